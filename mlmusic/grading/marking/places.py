"""Where an answer that a person grades stands, in words or in code, whatever happened to its name.

No test asks for such an answer, so it is looked for by the cell's name, by names that only it
defines, and by its place behind its question. Code that could be it and can't be placed isn't
taken for nothing: the answer counts as lost, and a person looks.
"""

from __future__ import annotations

import ast
import collections
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from mlmusic.grading.source import syntax
from mlmusic.grading.source.assignment import Assignment, Task
from mlmusic.grading.source.cells import TEXT_STUB, SourceCell
from mlmusic.grading.source.notebook import Cell, Notebook


class Places:
    """Looks for the answers of one notebook.

    Parameters
    ----------
    assignment : Assignment
        What was asked.
    notebook : Notebook
        What was handed in.
    matches : sequence of SourceCell or None
        For each cell of the notebook, the instructor's cell that it is.
    bound : mapping of int to set of str
        For each cell of the student's code, by its index, the names that it binds.
    long : container of int
        The indexes of code cells that are too long to be read.
    """

    def __init__(
        self,
        assignment: Assignment,
        notebook: Notebook,
        matches: Sequence[SourceCell | None],
        bound: Mapping[int, set[str]],
        long: Container[int] = (),
    ) -> None:
        self._notebook, self._matches, self._bound = notebook, matches, bound
        self._program = {cell.id: cell for cell in assignment.program if cell.role != "text"}
        self._cell_ids = {cell.cell_id for cell in self._program.values()} - {""}
        self._own = [cell for cell in notebook.cells if cell.index in bound]
        self._unread = [cell for cell in notebook.cells if cell.index in long]
        asked = [self._program[name] for name in assignment.answers]
        given = {name for cell in assignment.cells for name in cell.names.bound}
        self._only: dict[str, set[str]] = {}  # names that one answer defines and no other cell
        for cell in asked:
            others = (other.names.bound for other in asked if other is not cell)
            mine = cell.names.bound - cell.names.imported
            self._only[cell.id] = set(mine.difference(given, *others))
        self._twins = collections.Counter(syntax.normalised(cell.released) for cell in asked)

    def of(self, task: Task) -> tuple[list[Cell], list[Cell]]:
        """Return the cells of a task's answer, and the cells whose outputs belong to it."""
        source = self._program[task.id]
        if not task.manual:
            own = [cell for cell in self._own if self._bound[cell.index] & set(task.names)]
            found = own or [cell for cell in self._own if cell.grade_id == task.id]
            return found, found
        coded = {cell.index: cell for name in task.graded for cell in self._code(name)}
        if source.kind == "code":
            found = _in_order(coded)
            return found, found
        words, place = self._words(source)
        if not task.graded:
            return words, list(_before(self._notebook, place))
        found = _in_order(coded | {cell.index: cell for cell in words})
        return found, found

    def is_lost(self, task: Task) -> bool:
        """Whether code was asked for that isn't there, and isn't the stub any more, either."""
        return bool(self._own or self._unread) and any(
            not self._is_left_empty(self._program[name]) for name in task.graded
        )

    def unplaced(self) -> list[Cell]:
        """Return the student's code that answers nothing else."""
        return [cell for cell in self._own if self._is_free(cell, "")]

    def _code(self, name: str) -> list[Cell]:
        """Find the code of an answer."""
        source, only = self._program[name], self._only[name]
        written = [
            cell
            for cell in self._own
            if cell.source.strip() and not self._is_called_otherwise(cell, name)
        ]
        called = [cell for cell in written if cell.grade_id == name]
        if not called and source.cell_id:
            called = [cell for cell in written if cell.id == source.cell_id]
        # A function is sure to be meant by its name; a variable such as `fig` is not.
        functions = only & _functions(source)
        defining = [cell for cell in written if self._bound[cell.index] & functions]
        if called or defining:
            return _in_order({cell.index: cell for cell in (*called, *defining)})
        places = {cell.index for cell in self._until_next(source, self._behind(source))}
        here = [cell for cell in written if cell.index in places]
        free = [cell for cell in here if self._is_free(cell, name)]
        if free or self._is_left_empty(source):
            return free
        return [cell for cell in written if self._bound[cell.index] & only] or here

    def _is_called_otherwise(self, cell: Cell, name: str) -> bool:
        """Whether a cell has the name of another one of the instructor's."""
        if cell.grade_id in self._program:
            return cell.grade_id != name
        mine = self._program[name].cell_id if name else ""
        return cell.id in self._cell_ids and cell.id != mine

    def _is_free(self, cell: Cell, name: str) -> bool:
        """Whether a student's cell isn't the answer to something else than `name`."""
        names = self._bound[cell.index]
        return not self._is_called_otherwise(cell, name) and not any(
            names & only for other, only in self._only.items() if other != name
        )

    def _is_left_empty(self, source: SourceCell) -> bool:
        """Whether the place of an answer is there as it was handed out, or empty."""
        if any(cell.grade_id == source.id for cell in self._notebook.cells):
            return all(cell.grade_id != source.id for cell in self._unread)
        stub = syntax.normalised(source.released)
        if self._twins[stub] == 1:
            return any(match is not None and match.id == source.id for match in self._matches)
        for match in self._matches[self._behind(source) + 1 :]:
            if match is not None and match.released.strip():
                return syntax.normalised(match.released) == stub
        return False

    def _behind(self, source: SourceCell) -> int:
        """Return the place of the last cell that stands before an answer in the source, or -1."""
        above = [
            (match.index, place)
            for place, match in enumerate(self._matches)
            if match is not None
            and match.role != "manual"
            and match.index < source.index
            and match.released.strip()
        ]
        return max(above, default=(0, -1))[1]

    def _until_next(self, source: SourceCell, place: int) -> Iterator[Cell]:
        """Yield the student's cells between a place and the next question."""
        cells, matches = self._notebook.cells[place + 1 :], self._matches[place + 1 :]
        stub = source.released if source.kind == "code" else None
        for cell, match in zip(cells, matches, strict=True):
            if match is None:
                yield cell
            elif match.released == stub:
                stub = None  # its own: a stub like this may be in other cells, too
            elif match.index != source.index and cell.source.strip():
                return

    def _words(self, source: SourceCell) -> tuple[list[Cell], int]:
        """Find an answer in words: by the cell's name, its id, or its place behind its question.

        Returns
        -------
        tuple of list of Cell, int
            The cells of the answer, and the place where it stands or should stand.
        """
        words = [cell for cell in self._notebook.cells if cell.kind != "code"]
        named = [cell for cell in words if cell.grade_id == source.id]
        if not named and source.cell_id:
            named = [cell for cell in words if cell.id == source.cell_id]
        written = [cell for cell in named if _is_written(cell, source)]
        if written and source.role != "task":
            return written, written[0].index
        place = named[-1].index if named else self._behind(source)
        for cell in self._until_next(source, place):
            possible = cell.kind != "code" or source.role == "task"
            if possible and _is_written(cell, source):
                written.append(cell)
        return written, written[0].index if written else place + 1


def _functions(source: SourceCell) -> set[str]:
    tree = syntax.parse(source.source)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in (tree.body if tree else ()) if isinstance(node, kinds)}


def _in_order(cells: Mapping[int, Cell]) -> list[Cell]:
    return [cells[index] for index in sorted(cells)]


def _is_written(cell: Cell, source: SourceCell) -> bool:
    text = cell.source.strip()
    return bool(text) and text != TEXT_STUB and text != source.released.strip()


def _before(notebook: Notebook, place: int) -> Iterable[Cell]:
    """Return the code cells between a heading and the place of an answer."""
    found = []
    for cell in reversed(notebook.cells[:place]):
        if cell.kind == "code":
            found.append(cell)
        elif cell.source.lstrip().startswith("#"):
            break
    return reversed(found)
