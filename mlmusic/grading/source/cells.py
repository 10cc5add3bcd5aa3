"""The cells of a source notebook: what each is for, what students get of it, when it can run.

The source follows nbgrader's conventions. nbgrader itself isn't needed here: what its stubs look
like and what it takes away from a released notebook is restated below, and tested against it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from mlmusic.grading.limits import Limits
from mlmusic.grading.source import syntax
from mlmusic.grading.source.notebook import Cell, Notebook
from mlmusic.grading.source.syntax import Names

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


def settings_of(notebook: Notebook) -> tuple[Limits, str]:
    """Return the limits of an assignment and what to run, "all" or "defs", from its metadata.

    Raises
    ------
    ValueError
        If they aren't what they have to be.
    """
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


def program_of(notebook: Notebook) -> list[SourceCell]:
    """Tell what each cell is for.

    Raises
    ------
    ValueError
        If the notebook can't be graded; the message names the cell.
    """
    program: list[SourceCell] = []
    seen: set[str] = set()
    for cell in notebook.cells:
        role, name = _role(cell), _name(cell)
        if role not in ("public", "text"):
            if name in seen:
                raise ValueError(f"two cells have the grade_id {name!r}")
            seen.add(name)
        names = Names()
        if cell.kind == "code":
            tree = syntax.parse(cell.source)
            if tree is None and role != "public":
                raise ValueError(f"the code of cell {name!r} is not Python")
            names = syntax.names_of(tree)
        program.append(
            SourceCell(
                index=cell.index,
                role=role,
                id=name,
                cell_id=cell.id,
                kind=cell.kind,
                source=cell.source,
                released=released(cell),
                points=_points(cell),
                names=names,
            )
        )
    if not any(cell.role in ("test", "manual", "task") for cell in program):
        raise ValueError("no cell is graded (nbgrader's metadata grade and points)")
    return program


def _role(cell: Cell) -> str:
    marks, code = cell.marks, cell.kind == "code"
    if marks.get("task") and not code:
        return "task"
    if marks.get("grade") and (marks.get("solution") or not code):
        return "manual"
    if code and marks.get("grade"):
        return "test"
    if code:
        return "answer" if marks.get("solution") else "public"
    return "text"


def _points(cell: Cell) -> float:
    worth = cell.marks.get("points") if cell.marks.get("grade") or cell.marks.get("task") else 0
    try:
        points = float(worth or 0)
    except (TypeError, ValueError):
        points = -1.0
    if not 0 <= points < 1e6:
        raise ValueError(f"cell {_name(cell)!r}: {worth!r} isn't a number of points")
    return points


def expected_names(program: Iterable[SourceCell]) -> frozenset[str]:
    """Return the names that answers define, and those that tests need and nobody defines."""
    program = [cell for cell in program if cell.kind == "code"]
    answers = [cell for cell in program if cell.role in ("answer", "manual")]
    given = BUILTINS.union(*(c.names.bound for c in program))
    wanted = {name for cell in program if cell.role == "test" for name in cell.names.mentioned}
    defined = {name for cell in answers for name in cell.names.bound - cell.names.imported}
    return frozenset(defined | (wanted - given))


def analysed(program: list[SourceCell]) -> tuple[SourceCell, ...]:
    """Find out which public cells can run before the answers, and what of each is to be run."""
    expected = expected_names(program)
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


def stub_statements(cell: SourceCell) -> list[ast.stmt]:
    """Return the statements of a released answer that the solution doesn't have."""
    solution, stub = syntax.parse(cell.source), syntax.parse(cell.released)
    if solution is None or stub is None:
        return []
    kept = {syntax.fingerprint(node) for node in solution.body}
    return [node for node in stub.body if syntax.fingerprint(node) not in kept]


def _without_stubs(cell: SourceCell) -> str:
    python = syntax.python_of(cell.released)
    stubs = {syntax.fingerprint(node) for node in stub_statements(cell)}
    tree = syntax.parse_python(python)
    if tree is None:
        return ""
    unwanted = [node for node in tree.body if syntax.fingerprint(node) in stubs]
    return "" if len(unwanted) == len(tree.body) else syntax.without(python, unwanted)
