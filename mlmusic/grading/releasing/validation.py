"""What makes a source notebook unfit for release, found by reading it: names, points, hidden.

Every fault is one line that names the cell and says what to do. What only running it can show
(a solution that fails its own test) is in `mlmusic.grading.releasing.proof`.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlmusic.grading.limits import Limits
from mlmusic.grading.releasing import hidden, names

if TYPE_CHECKING:
    from nbformat import NotebookNode

SLOT = "⟦rewrite"
"""How a text begins that an instructor has still to write; see `new_source`."""

PRIVATE = "This notebook holds answers and hidden tests."
"""What a new source says to its instructor, and never to students."""

_GENERATED = re.compile(r"cell-[0-9a-f]{8,}")  # what nbgrader's toolbar calls a new cell
_COLUMNS = ("submission", "student", "score", "points")  # of grades.csv, beside the tasks
_TOTAL = re.compile(r"^[ \t>*_#-]*total\W{1,6}(\d+(?:\.\d+)?)[ \t]*points?\b", re.I | re.M)


@dataclass(frozen=True)
class Cell:
    """One cell of a source notebook, as the rules see it."""

    number: int  # counted from 1, as a reader counts
    node: NotebookNode

    @property
    def marks(self) -> dict[str, Any]:
        """The metadata of nbgrader; empty for a cell that it doesn't know."""
        marks = self.node.metadata.get("nbgrader", {})
        return marks if isinstance(marks, dict) else {}

    @property
    def source(self) -> str:
        """The text of the cell."""
        return self.node.source

    @property
    def is_code(self) -> bool:
        """Whether it is a code cell."""
        return self.node.cell_type == "code"

    @property
    def is_graded(self) -> bool:
        """Whether it has points: a test, or something graded by hand."""
        return bool(self.marks.get("grade") or self.marks.get("task"))

    @property
    def is_answer(self) -> bool:
        """Whether students write into it."""
        return bool(self.marks.get("solution"))

    @property
    def is_test(self) -> bool:
        """Whether it is a test that gives its points by itself."""
        marks = self.marks
        return self.is_code and bool(marks.get("grade")) and not marks.get("solution")

    def __str__(self) -> str:
        name = self.marks.get("grade_id") or self.node.get("id")
        return f"cell {self.number} {name!r}" if name else f"cell {self.number}"


def faults(notebook: NotebookNode) -> list[str]:
    """Return what stands against releasing a source notebook, in the order of its cells.

    Parameters
    ----------
    notebook : NotebookNode
        The source, with its solutions and hidden tests.

    Returns
    -------
    list of str
        One line for each fault; empty if there is none.
    """
    cells = [Cell(number, node) for number, node in enumerate(notebook.cells, start=1)]
    if not any(cell.is_graded for cell in cells):
        return ["no cell is graded (nbgrader's metadata grade and points)"]
    trees: dict[int, ast.Module] = {}
    found: list[str] = []
    for cell in cells:
        try:
            if cell.is_code:
                trees[cell.number] = names.parse(cell.source)
        except SyntaxError as error:
            found.append(f"{cell} isn't valid Python: {reason(error)}")
    found += _slots(cells)
    found += _grade_ids(cells)
    found += _points(cells)
    found += _stated_totals(notebook, cells)
    found += _settings(notebook)
    found += _conventions(cells)
    if len(trees) == sum(cell.is_code for cell in cells):
        found += _answer_names(cells, trees)
        found += _test_names(cells, trees)
    return sorted(dict.fromkeys(found), key=_place)


def stubs(released: NotebookNode) -> list[str]:
    """Name the cells of an exercise that aren't Python any more without their solutions.

    Parameters
    ----------
    released : NotebookNode
        The exercise.
    """
    found = []
    for number, node in enumerate(released.cells, start=1):
        try:
            if node.cell_type == "code":
                names.parse(node.source)
        except SyntaxError as error:
            found.append(
                f"{Cell(number, node)} isn't valid Python without its solution ({reason(error)}): "
                "move the markers"
            )
    return found


def ungraded(notebook: NotebookNode, by_hand: Container[str]) -> list[str]:
    """Name the answers that nothing grades: a student could leave them out and lose no point.

    Parameters
    ----------
    notebook : NotebookNode
        A source without faults.
    by_hand : container of str
        The grade_ids of the answers that a person grades.
    """
    cells = [Cell(number, node) for number, node in enumerate(notebook.cells, start=1)]
    trees = {cell.number: names.parse(cell.source) for cell in cells if cell.is_code}
    tests = [trees[cell.number] for cell in cells if cell.is_test]
    if any(map(names.is_open, trees.values())):
        return []  # tests may reach anything
    tested = {name for tree in tests for name in names.used(tree) | names.words_in_texts(tree)}
    statements = [
        (names.defined(part), names.used(part))
        for cell in cells
        if cell.is_code and not cell.is_test
        for part in (ast.Module([statement], []) for statement in trees[cell.number].body)
    ]
    size = -1
    while size != len(tested):  # and what that uses in turn
        size = len(tested)
        for defined, used in statements:
            if (defined or used) & tested:
                tested |= used - names.PROVIDED
    found = []
    for cell in cells:
        if not cell.is_answer or not cell.is_code or cell.is_graded:
            continue
        defined = names.defined(trees[cell.number])
        touched = defined or names.used(trees[cell.number]) - names.PROVIDED
        if not touched & tested and cell.marks["grade_id"] not in by_hand:
            found.append(
                f"{cell} is graded by nothing: no test mentions "
                f"{', '.join(sorted(defined)) or 'anything of it'}; add a test, "
                "or give it points to be graded by hand"
            )
    return found


def reason(error: SyntaxError) -> str:
    """Return where and why something isn't Python."""
    return f"line {error.lineno}: {error.msg}" if error.lineno else error.msg


def _place(fault: str) -> int:
    number = re.match(r"cell (\d+)", fault)
    return int(number[1]) if number else 0


def _slots(cells: list[Cell]) -> Iterator[str]:
    for cell in cells:
        if SLOT in cell.source:
            yield f"{cell} still has a slot: write its text yourself and delete '{SLOT}: … ⟧'"
        elif PRIVATE in cell.source:
            yield f"{cell} is a note to you alone: delete it"


def _grade_ids(cells: list[Cell]) -> Iterator[str]:
    seen: dict[str, Cell] = {}
    for cell in cells:
        if not cell.marks or not (cell.is_graded or cell.is_answer or cell.marks.get("locked")):
            continue
        name = cell.marks.get("grade_id")
        if not isinstance(name, str) or not name.strip():
            yield f"{cell} has no grade_id: name it after its task, such as 'answer-1'"
            continue
        if name in seen:
            yield (
                f"{cell} has the grade_id of cell {seen[name].number}, too: "
                "give each cell a grade_id of its own"
            )
        seen.setdefault(name, cell)
        if not (cell.is_graded or cell.is_answer):
            continue  # a locked text or import: its name is shown nowhere
        if _GENERATED.fullmatch(name):
            yield (
                f"{cell} has a grade_id that nbgrader made up: name it after its task, "
                "such as 'answer-1' or 'check-1'; grades and feedback show it"
            )
        if name.lower() in _COLUMNS:
            yield f"{cell} is named like a column of grades.csv: give it another grade_id"


def _points(cells: list[Cell]) -> Iterator[str]:
    for cell in cells:
        if not cell.is_graded:
            continue
        points = cell.marks.get("points")
        if points is None:
            yield f"{cell} is graded without points: say how many"
        elif not _is_number(points) or points <= 0:
            yield f"{cell} has {points!r} points: they must be a number above 0"


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _stated_totals(notebook: NotebookNode, cells: list[Cell]) -> Iterator[str]:
    points = [cell.marks.get("points") for cell in cells if cell.is_graded]
    if not all(map(_is_number, points)):
        return  # named already, cell by cell
    total = sum(points)
    settings = notebook.metadata.get("mlmusic", {})
    stated = settings.get("points") if isinstance(settings, dict) else None
    if stated is not None and (not _is_number(stated) or not math.isclose(stated, total)):
        yield (
            f'the notebook\'s metadata {{"mlmusic": {{"points": {stated!r}}}}} is wrong: '
            f"its cells have {total:g} points"
        )
    for cell in cells:
        for found in _TOTAL.findall("" if cell.is_code else cell.source):
            if not math.isclose(float(found), total):
                yield f"{cell} says 'Total: {found} points', but the cells have {total:g}"


def _settings(notebook: NotebookNode) -> Iterator[str]:
    """Check what the metadata says of grading, so that a typing error shows before the deadline."""
    settings = notebook.metadata.get("mlmusic", {})
    grading = settings.get("grading", {}) if isinstance(settings, dict) else None
    if not isinstance(grading, dict):
        yield 'the notebook\'s metadata must be of the form {"mlmusic": {"grading": {…}}}'
        return
    limits = dict(grading)
    if limits.pop("run", "all") not in ("all", "defs"):
        yield f"the notebook's metadata says run: {grading['run']!r}: it is 'all' or 'defs'"
    try:
        Limits().changed(limits)
    except ValueError as error:
        yield f"the notebook's metadata for grading: {error}"


def _conventions(cells: list[Cell]) -> Iterator[str]:
    """Refuse what nbgrader would let pass and students would stumble over."""
    for cell in cells:
        if "AUTOTEST" in cell.source:
            yield f"{cell} uses AUTOTEST: write the test out"
        if cell.is_answer and cell.is_code and "BEGIN SOLUTION" not in cell.source:
            # nbgrader would replace the whole cell, the function's signature with it
            yield f"{cell} is a solution without a '### BEGIN SOLUTION' line: mark what to remove"
        yield from (f"{cell} {fault}" for fault in hidden.misplaced(cell))


def _answer_names(cells: list[Cell], trees: dict[int, ast.Module]) -> Iterator[str]:
    """Find names that two cells define, so that a test can't know which one it is testing."""
    needed = {name for cell in cells if cell.is_test for name in names.used(trees[cell.number])}
    owner: dict[str, Cell] = {}
    for cell in cells:
        if not cell.is_code or cell.is_test:
            continue
        tree = trees[cell.number]
        solid = {node.name for node in tree.body if hasattr(node, "name")}  # no scratch variables
        for name in sorted(names.defined(tree)):
            first = owner.get(name)
            if first is not None and (name in solid or name in needed):
                other = "answer, too" if cell.is_answer else "answer, and this cell replaces it"
                yield (
                    f"{cell} defines {name!r}, which is cell {first.number}'s {other}: "
                    "tests see the last one; rename one of them"
                )
            elif cell.is_answer:
                owner[name] = cell


def _test_names(cells: list[Cell], trees: dict[int, ast.Module]) -> Iterator[str]:
    code = [cell for cell in cells if cell.is_code]
    answers = {n for c in code if c.is_answer for n in names.defined(trees[c.number])}
    reaches = _reaching(code, trees, answers)
    is_open = any(names.is_open(trees[cell.number]) for cell in code)
    above = set(names.PROVIDED)
    shown = set(names.PROVIDED)  # without what only hidden tests define
    below = {name: cell for cell in reversed(code) for name in names.defined(trees[cell.number])}
    for cell in code:
        tree = trees[cell.number]
        visible = _parsed(hidden.without_hidden(cell.source))
        if visible is None:
            yield f"{cell} isn't valid Python without its hidden tests: hide whole statements"
            visible = tree
        unknown: set[str] = set()
        if cell.is_test and not is_open:
            unknown = names.used(tree) - above - names.defined(tree)
            for name in sorted(unknown):
                if _expects_no(name, tree):
                    continue
                if name in below and below[name].number > cell.number:
                    yield (
                        f"{cell} uses {name!r}, which cell {below[name].number} defines further "
                        "down: move the test below it"
                    )
                else:
                    yield f"{cell} uses {name!r}, which no cell defines: check how it is spelt"
            for name in sorted(names.used(visible) & above - shown - names.defined(visible)):
                yield (
                    f"{cell} shows students a test that uses {name!r}, which only a hidden test "
                    "defines: define it where they see it"
                )
        mentioned = names.used(tree) | names.words_in_texts(tree)
        if cell.is_test and not unknown and not mentioned & reaches:
            yield (
                f"{cell} tests no answer: none of the names that students define is in it"
                + (f" ({', '.join(sorted(answers))})" if answers else "")
            )
        above |= names.defined(tree)
        shown |= names.defined(visible)


def _reaching(code: list[Cell], trees: dict[int, ast.Module], answers: set[str]) -> set[str]:
    """Return the answers' names and those of helpers that use them."""
    helpers: dict[str, set[str]] = {}
    for cell in code:
        if not cell.is_answer:
            for name, free in names.definitions(trees[cell.number]).items():
                helpers.setdefault(name, set()).update(free)
    reaches, size = set(answers), -1
    while size != len(reaches):
        size = len(reaches)
        reaches |= {name for name, free in helpers.items() if free & reaches}
    return reaches


def _parsed(source: str) -> ast.Module | None:
    try:
        return names.parse(source)
    except SyntaxError:
        return None


def _expects_no(name: str, tree: ast.Module) -> bool:
    """Say whether a test asks for a name on purpose inside ``try: … except NameError:``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            caught = " ".join(ast.unparse(h.type) if h.type else "bare" for h in node.handlers)
            inside = {n.id for part in node.body for n in ast.walk(part) if isinstance(n, ast.Name)}
            if name in inside and re.search(r"\b(NameError|Exception|bare)\b", caught):
                return True
    return False
