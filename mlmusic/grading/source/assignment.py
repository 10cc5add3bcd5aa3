"""An assignment as its source notebook tells it: tasks, tests, answers and what students get."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePath

from mlmusic.grading.limits import Limits
from mlmusic.grading.source import syntax
from mlmusic.grading.source.cells import (
    SourceCell,
    analysed,
    expected_names,
    program_of,
    settings_of,
    stub_statements,
)
from mlmusic.grading.source.notebook import read_notebook


@dataclass(frozen=True)
class Answer:
    """A cell that students fill in.

    Parameters
    ----------
    id : str
        Its grade_id.
    solution, stub : str
        Its text in the source and as released.
    names : tuple of str
        The names that the solution defines, imports left out.
    stubs : dict of str to str
        The unanswered functions and classes of the stub, by name, as `syntax.fingerprint` sees
        them.
    """

    id: str
    solution: str
    stub: str
    names: tuple[str, ...]
    stubs: dict[str, str]


@dataclass(frozen=True)
class Test:
    """A test cell: all of its points or none.

    Parameters
    ----------
    id : str
        Its grade_id.
    task : str
        The id of its task.
    points : float
        What it is worth.
    source : str
        The whole cell.
    visible_source : str
        What students see of it.
    hidden : bool
        Whether there is more to it than they see.
    """

    __test__ = False  # not one of pytest's

    id: str
    task: str
    points: float
    source: str
    visible_source: str
    hidden: bool


@dataclass(frozen=True)
class Task:
    """What is reported together: an answer and its tests, or an item that is graded by hand.

    Parameters
    ----------
    id : str
        The grade_id of its answer; of its test if there is no answer above it.
    title : str
        The nearest heading above it.
    points : float
        What it is worth.
    manual : bool
        Whether a person grades it.
    names : tuple of str
        What the answer has to define.
    tests : tuple of Test
        Its tests, in order.
    graded : tuple of str
        The ids of the code cells that a person grades with it: its own, and for a nbgrader task
        the answers beside it that no test mentions.
    """

    id: str
    title: str
    points: float
    manual: bool
    names: tuple[str, ...] = ()
    tests: tuple[Test, ...] = ()
    graded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """An assignment, read from its source notebook by `load` or `from_bytes`.

    Parameters
    ----------
    name : str
        The source's file name without its ending.
    program : tuple of SourceCell
        Every cell of the source, in order.
    tasks : tuple of Task
        The tasks, in order.
    answers : dict of str to Answer
        The cells that students fill in, by their id.
    limits : Limits
        What a submission may use.
    run : str
        "all" runs students' cells; "defs" only their definitions and simple constants.
    source : bytes
        The source itself.
    """

    name: str
    program: tuple[SourceCell, ...]
    tasks: tuple[Task, ...]
    answers: dict[str, Answer]
    limits: Limits
    run: str
    source: bytes = field(repr=False)

    @classmethod
    def load(cls, path: str | Path) -> Assignment:
        """Read an assignment from the file of its source.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it isn't a notebook, or isn't one that can be graded; the message names the fault.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no notebook {path}")
        return cls.from_bytes(path.read_bytes(), path.name)

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Assignment:
        """Read an assignment from the bytes of its source; raises ValueError like `load`."""
        try:
            notebook = read_notebook(data)
            limits, run = settings_of(notebook)
            program = program_of(notebook)
            return cls(
                name=PurePath(name).stem,
                program=analysed(program),
                tasks=_tasks(program),
                answers=_answers(program),
                limits=limits,
                run=run,
                source=data,
            )
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    @cached_property
    def sha256(self) -> str:
        """Of the source's bytes."""
        return hashlib.sha256(self.source).hexdigest()

    @property
    def points(self) -> float:
        """What the assignment is worth, items that are graded by hand included."""
        return sum(task.points for task in self.tasks)

    @cached_property
    def cells(self) -> tuple[SourceCell, ...]:
        """The instructor's code that students are given, tests left out."""
        return tuple(cell for cell in self.program if cell.role == "public")

    @cached_property
    def tests(self) -> tuple[Test, ...]:
        """Every test, in the order of the source."""
        found = {test.id: test for task in self.tasks for test in task.tests}
        return tuple(found[cell.id] for cell in self.program if cell.role == "test")

    @cached_property
    def expected(self) -> frozenset[str]:
        """The names that are asked of the student: what answers define and tests need."""
        return expected_names(self.program)

    @cached_property
    def imports(self) -> dict[str, str]:
        """What the solutions import, by name: a statement that does the same."""
        found: dict[str, str] = {}
        for answer in self.answers.values():
            tree = syntax.parse(answer.solution)
            for node in ast.walk(tree) if tree else ():
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    for alias in node.names:
                        words = f"import {alias.name}"
                        if isinstance(node, ast.ImportFrom):
                            words = f"from {'.' * node.level}{node.module or ''} {words}"
                        words += f" as {alias.asname}" if alias.asname else ""
                        found.setdefault((alias.asname or alias.name).split(".")[0], words)
        return found


def _answers(program: Iterable[SourceCell]) -> dict[str, Answer]:
    found = {}
    for cell in program:
        if cell.kind == "code" and cell.role in ("answer", "manual"):
            found[cell.id] = Answer(
                id=cell.id,
                solution=cell.source,
                stub=cell.released,
                names=tuple(sorted(cell.names.bound - cell.names.imported)),
                stubs={
                    node.name: syntax.fingerprint(node)
                    for node in stub_statements(cell)
                    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
                },
            )
    return found


def _tasks(program: list[SourceCell]) -> tuple[Task, ...]:
    """Group tests with the nearest answer above them, and other answers with a nbgrader task."""
    tested = {name for cell in program if cell.role == "test" for name in cell.names.mentioned}
    tasks: dict[str, Task] = {}
    title = ""
    answer: Task | None = None
    waiting: tuple[str, ...] = ()  # answers that nothing grades so far
    asking = ""  # a task that may be answered further down
    for cell in program:
        names = tuple(sorted(cell.names.bound - cell.names.imported))
        if cell.kind == "markdown":
            title = heading(cell.released) or title
        if cell.role == "manual":
            own = (cell.id,) if cell.kind == "code" else ()
            tasks[cell.id] = Task(cell.id, title or cell.id, cell.points, True, names, graded=own)
        elif cell.role == "task":
            tasks[cell.id] = Task(cell.id, title or cell.id, cell.points, True, graded=waiting)
            asking, waiting = "" if waiting else cell.id, ()
        elif cell.role == "answer":
            answer = Task(cell.id, title or cell.id, 0.0, False, names)
            if not tested & set(names):
                if asking:
                    task = tasks[asking]
                    tasks[asking] = replace(task, graded=(*task.graded, cell.id))
                else:
                    waiting += (cell.id,)
        elif cell.role == "test":
            asking = ""
            task = answer or Task(cell.id, title or cell.id, 0.0, False)
            task = tasks.get(task.id, task)
            test = Test(
                id=cell.id,
                task=task.id,
                points=cell.points,
                source=cell.source,
                visible_source=cell.released,
                hidden=cell.source != cell.released,
            )
            tasks[task.id] = replace(
                task, points=task.points + cell.points, tests=(*task.tests, test)
            )
    with_tests = {task.id for task in tasks.values() if task.tests}
    return tuple(
        replace(task, graded=tuple(name for name in task.graded if name not in with_tests))
        for task in tasks.values()
    )


def heading(markdown: str) -> str:
    """Return the first heading of a markdown cell, without its signs; "" if there is none."""
    match = re.search(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", markdown, re.MULTILINE)
    return match[1] if match else ""
