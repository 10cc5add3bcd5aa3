"""An assignment as its source notebook tells it: tasks, tests, answers and what students are given.

The source follows nbgrader's conventions. nbgrader itself isn't needed here: what its stubs look
like and what it takes away from a released notebook is restated below, and tested against it.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from mlmusic.grading import syntax
from mlmusic.grading.limits import Limits
from mlmusic.grading.notebook import Cell, Notebook, read_notebook
from mlmusic.grading.syntax import Names

CODE_STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
TEXT_STUB = "YOUR ANSWER HERE"
# Names that every notebook has.
BUILTINS = frozenset(dir(__builtins__) if not isinstance(__builtins__, dict) else __builtins__) | {
    *("display get_ipython In Out exit quit __name__ __file__ __doc__ _ __ ___").split()
}


@dataclass(frozen=True)
class SourceCell:
    """A cell of the source notebook.

    Parameters
    ----------
    index : int
        Its place, from 0.
    role : str
        "text", "public" (code that students are given), "answer", "test", "manual" (an answer
        that is graded by hand) or "task" (a question that is answered in the cells behind it).
    id : str
        Its grade_id; without one its cell id, or "cell-N".
    cell_id : str
        Its id, as nbformat has it, or "".
    kind : str
        "code", "markdown" or "raw".
    source, released : str
        Its text in the source and in the students' notebook.
    points : float
        What it is worth.
    names : Names
        What its code binds and needs.
    needs_answers : bool
        Whether it is an instructor's code that can't run without the student's.
    early : bool
        Whether it can run before any answer: it needs none, and changes nothing that an earlier
        cell made.
    plain : str
        For an instructor's code: Python to run, without the statements that only show something.
        For an answer: what is left of the released cell without its stubs.
    """

    index: int
    role: str
    id: str
    cell_id: str
    kind: str
    source: str
    released: str
    points: float = 0.0
    names: Names = field(default_factory=Names)
    needs_answers: bool = False
    early: bool = False
    plain: str = ""


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
    """

    id: str
    title: str
    points: float
    manual: bool
    names: tuple[str, ...] = ()
    tests: tuple[Test, ...] = ()


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
            limits, run = _settings(notebook)
            program = _program(notebook)
            return cls(
                name=PurePath(name).stem,
                program=_analysed(program),
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
        return _expected(self.program)

    @cached_property
    def imports(self) -> dict[str, str]:
        """What the solutions import, by name: a statement that does the same."""
        found: dict[str, str] = {}
        for answer in self.answers.values():
            tree = syntax.parse(answer.solution)
            for node in ast.walk(tree) if tree else ():
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    for alias in node.names:
                        line = ast.copy_location(
                            type(node)(**{**vars(node), "names": [alias]}), node
                        )
                        bound = (alias.asname or alias.name).split(".")[0]
                        found.setdefault(bound, ast.unparse(line))
        return found


def released(cell: Cell) -> str:
    """Return what nbgrader leaves of a cell for the students.

    Raises
    ------
    ValueError
        If a region that it would take away has no end.
    """
    marks, source = cell.marks, cell.source
    stub = CODE_STUB if cell.kind == "code" else TEXT_STUB
    if marks.get("solution"):
        source = _cut(cell, source, "SOLUTION", stub) if "BEGIN SOLUTION" in source else stub
    if marks.get("grade"):
        source = _cut(cell, source, "HIDDEN TESTS")
    return _cut(cell, source, "MARK SCHEME") if marks.get("task") else source


def _cut(cell: Cell, source: str, marker: str, stub: str = "") -> str:
    """Replace every region between two markers by a stub, indented like the first marker."""
    lines: list[str] = []
    inside = False
    for line in source.split("\n"):
        if f"BEGIN {marker}" in line:
            if inside:
                raise ValueError(f"cell {_name(cell)!r} has a BEGIN {marker} within another")
            inside = True
            indent = re.match(r"\s*", line)[0]
            lines += [indent + text for text in stub.split("\n") if stub]
        elif f"END {marker}" in line:
            inside = False
        elif not inside:
            lines.append(line)
    if inside:
        raise ValueError(f"cell {_name(cell)!r} has no END {marker}")
    return "\n".join(lines)


def _name(cell: Cell) -> str:
    return cell.grade_id or cell.id or f"cell-{cell.index}"


def _settings(notebook: Notebook) -> tuple[Limits, str]:
    settings: Any = notebook.metadata
    for key in ("mlmusic", "grading"):
        settings = settings.get(key, {}) if isinstance(settings, dict) else None
    if not isinstance(settings, dict):
        raise ValueError('the notebook\'s metadata "mlmusic": {"grading": …} must be an object')
    changes = dict(settings)
    run = changes.pop("run", "all")
    if run not in ("all", "defs"):
        raise ValueError(f'"run" must be "all" or "defs", not {run!r}')
    return Limits().changed(changes), run


def _program(notebook: Notebook) -> list[SourceCell]:
    """Tell what each cell is for."""
    program: list[SourceCell] = []
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        marks, code = cell.marks, cell.kind == "code"
        if marks.get("task") and not code:
            role = "task"
        elif marks.get("grade") and (marks.get("solution") or not code):
            role = "manual"
        elif marks.get("grade"):
            role = "test"
        elif marks.get("solution") and code:
            role = "answer"
        else:
            role = "public" if code else "text"
        if role in ("manual", "task", "answer", "test"):
            name = _name(cell)
            if name in seen:
                raise ValueError(f"two cells have the grade_id {name!r}")
            seen[name] = cell.index
        points = marks.get("points", 0) if marks.get("grade") or marks.get("task") else 0
        try:
            points = float(points or 0)
        except (TypeError, ValueError):
            points = -1.0
        if not 0 <= points < 1e6:
            raise ValueError(
                f"cell {_name(cell)!r}: {marks.get('points')!r} isn't a number of points"
            )
        names = Names()
        if code:
            tree = syntax.parse(cell.source)
            if tree is None and role != "public":
                raise ValueError(f"the code of cell {_name(cell)!r} is not Python")
            names = syntax.names_of(tree)
        program.append(
            SourceCell(
                index=cell.index,
                role=role,
                id=_name(cell),
                cell_id=cell.id,
                kind=cell.kind,
                source=cell.source,
                released=released(cell),
                points=points,
                names=names,
            )
        )
    if not any(cell.role in ("test", "manual", "task") for cell in program):
        raise ValueError("no cell is graded (nbgrader's metadata grade and points)")
    return program


def _expected(program: Iterable[SourceCell]) -> frozenset[str]:
    """Return the names that answers define, and those that tests need and nobody defines."""
    program = [cell for cell in program if cell.kind == "code"]
    answers = [cell for cell in program if cell.role in ("answer", "manual")]
    given = BUILTINS.union(*(c.names.bound for c in program))
    wanted = {name for cell in program if cell.role == "test" for name in cell.names.mentioned}
    defined = {name for cell in answers for name in cell.names.bound - cell.names.imported}
    return frozenset(defined | (wanted - given))


def _analysed(program: list[SourceCell]) -> tuple[SourceCell, ...]:
    """Find out which public cells can run before the answers, and what of each is to be run."""
    expected = _expected(program)
    tainted = set(expected)  # what needs an answer
    public = [cell for cell in program if cell.role == "public"]
    size = -1
    while len(tainted) != size:
        size = len(tainted)
        for cell in public:
            if cell.names.now & tainted:
                tainted |= cell.names.bound
            tainted |= {name for name, needs in cell.names.later if needs & tainted}
    first_answer = min((c.index for c in program if c.role in ("answer", "manual")), default=0)
    bound: set[str] = set()
    done: list[SourceCell] = []
    for cell in program:
        if cell.role == "public":
            plain = _plain(cell.source, expected)
            names = syntax.names_of(syntax.parse_python(plain))
            fresh = bool(names.bound) and not names.bound & bound
            needs = bool(names.now & tainted)
            early = not needs and (cell.index < first_answer or fresh)
            cell = replace(cell, plain=plain, names=names, needs_answers=needs, early=early)
        elif cell.role in ("answer", "manual") and cell.kind == "code":
            cell = replace(cell, plain=_without_stubs(cell))
        bound |= cell.names.bound
        done.append(cell)
    return tuple(done)


def _plain(source: str, expected: frozenset[str]) -> str:
    python = syntax.python_of(source)
    tree = syntax.parse_python(python)
    if tree is None:
        return ""
    shows = [node for node in tree.body if syntax.only_shows(node, expected)]
    return "" if len(shows) == len(tree.body) else syntax.without(python, shows)


def _stub_statements(cell: SourceCell) -> list[ast.stmt]:
    """Return the statements of a released answer that the solution doesn't have."""
    solution, stub = syntax.parse(cell.source), syntax.parse(cell.released)
    if solution is None or stub is None:
        return []
    kept = {syntax.fingerprint(node) for node in solution.body}
    return [node for node in stub.body if syntax.fingerprint(node) not in kept]


def _without_stubs(cell: SourceCell) -> str:
    python = syntax.python_of(cell.released)
    stubs = {syntax.fingerprint(node) for node in _stub_statements(cell)}
    tree = syntax.parse_python(python)
    if tree is None:
        return ""
    unwanted = [node for node in tree.body if syntax.fingerprint(node) in stubs]
    return "" if len(unwanted) == len(tree.body) else syntax.without(python, unwanted)


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
                    for node in _stub_statements(cell)
                    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
                },
            )
    return found


def _tasks(program: Iterable[SourceCell]) -> tuple[Task, ...]:
    """Group tests with the nearest answer above them."""
    tasks: dict[str, Task] = {}
    title = ""
    answer: Task | None = None
    for cell in program:
        if cell.kind == "markdown":
            title = heading(cell.released) or title
        if cell.role in ("manual", "task"):
            names = tuple(sorted(cell.names.bound - cell.names.imported))
            tasks[cell.id] = Task(cell.id, title or cell.id, cell.points, True, names)
        elif cell.role == "answer":
            names = tuple(sorted(cell.names.bound - cell.names.imported))
            answer = Task(cell.id, title or cell.id, 0.0, False, names)
        elif cell.role == "test":
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
    return tuple(tasks.values())


def heading(markdown: str) -> str:
    """Return the first heading of a markdown cell, without its signs; "" if there is none."""
    match = re.search(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", markdown, re.MULTILINE)
    return match[1] if match else ""
