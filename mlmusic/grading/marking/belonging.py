"""Whether a notebook is a submission to this assignment, or one that belongs to another.

Assignments of one course share cells: imports, advice on handing in, names such as `answer-1`. So
what counts is which tasks are there: their questions, their visible tests, or what answers define.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from mlmusic.grading.source import syntax
from mlmusic.grading.source.assignment import Assignment
from mlmusic.grading.source.cells import CODE_STUB, TEXT_STUB, SourceCell
from mlmusic.grading.source.notebook import Cell, Notebook

_SHORT = 20  # characters: a text like "## Task 1" is in every notebook
_LONG = 100_000  # characters: no cell of an instructor's is looked for in longer ones


class Belonging:
    """Knows an assignment's tasks again.

    Parameters
    ----------
    assignment : Assignment
        The assignment that submissions should belong to.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._graded = {cell.id for cell in assignment.program if _is_graded(cell)}
        self._material: dict[str, list[SourceCell]] = {}  # by task: what says which one it is
        self._names: dict[str, set[str]] = {}
        given = {name for cell in assignment.cells for name in cell.names.bound}
        tasks = {name: task.id for task in assignment.tasks for name in (task.id, *task.graded)}
        tasks |= {test.id: test.task for test in assignment.tests}
        question: SourceCell | None = None
        for cell in assignment.program:
            if cell.role == "text":
                question = cell if _says_something(cell) else question
            elif cell.id in tasks and cell.role != "public":
                known = self._material.setdefault(tasks[cell.id], [])
                known += [own for own in (question, cell) if own and _says_something(own)]
                question = None
        for task in assignment.tasks:
            self._names[task.id] = set(task.names) - given

    def is_another(
        self,
        notebook: Notebook,
        matches: Sequence[SourceCell | None],
        bound: Iterable[Collection[str]],
    ) -> bool:
        """Say whether a notebook belongs to another assignment, or to none.

        It does if most of its graded cells have names that are unknown here and most tasks aren't
        in it; or, with whatever names, if no more than a quarter of the tasks is in it and no
        answer to any. An answer in a notebook without anything else is fine, and so are cells of
        another assignment beside this one's.

        Parameters
        ----------
        notebook : Notebook
            What was handed in.
        matches : sequence of SourceCell or None
            For each of its cells, the instructor's cell that it is.
        bound : iterable of collections of str
            The names that the student's cells bind.
        """
        there = {match.index for match in matches if match is not None}
        texts = {
            code: "\n\n".join(
                syntax.normalised(cell.source)
                for cell in notebook.cells
                if (cell.kind == "code") is code and len(cell.source) <= _LONG
            )
            for code in (True, False)
        }
        found = sum(
            any(
                cell.index in there
                or syntax.normalised(cell.released) in texts[cell.kind == "code"]
                for cell in material
            )
            for material in self._material.values()
        )
        names = {name for cell in bound for name in cell}
        answered = any(names & own for own in self._names.values())
        known, unknown = self._named(notebook.cells)
        tasks = sum(map(bool, self._material.values()))
        if not tasks:
            return not answered and not there
        if len(unknown) > max(1, len(known)) and 2 * found < tasks:
            return True
        return not answered and 4 * found <= tasks

    def _named(self, cells: Iterable[Cell]) -> tuple[set[str], set[str]]:
        """Return the names of graded cells that this assignment has, and those that it hasn't."""
        names = {
            cell.grade_id
            for cell in cells
            if cell.grade_id and any(cell.marks.get(key) for key in ("grade", "solution", "task"))
        }
        return names & self._graded, names - self._graded


def _is_graded(cell: SourceCell) -> bool:
    return cell.role not in ("text", "public")


def _says_something(cell: SourceCell) -> bool:
    """Whether a cell, as it was handed out, tells its task from others."""
    text = syntax.normalised(cell.released)
    if cell.role == "test":
        return bool(text)
    return len(text) >= _SHORT and text not in (CODE_STUB, TEXT_STUB)
