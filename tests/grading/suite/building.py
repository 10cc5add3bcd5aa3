"""Make the notebooks that students hand in, in code: from the exercise, with answers filled in."""

from __future__ import annotations

import copy
import functools
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import assignment

Notebook = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One handed-in file: how it is made, what it is called, and what it deserves."""

    name: str
    make: Callable[[], bytes]
    scores: Mapping[str, float | None]
    file: str = ""  # the file's name in the folder of submissions
    flags: frozenset[str] = field(default_factory=frozenset)  # kinds, at least these

    @property
    def submission(self) -> str:
        """What stands in grades.csv: the file's name without .ipynb."""
        return self.file.removesuffix(".ipynb")


def deserved(**scores: float | None) -> dict[str, float | None]:
    """Return full marks but for the tasks that are named."""
    unknown = set(scores) - set(assignment.FULL)
    assert not unknown, unknown
    return {**assignment.FULL, **scores}


NOTHING = dict.fromkeys(assignment.TASKS, 0.0)  # says nothing of the question


@functools.cache
def _exercise() -> Notebook:
    with tempfile.TemporaryDirectory() as folder:
        return assignment.released(Path(folder))


def empty() -> Notebook:
    """Return the exercise as it was released, to be changed at will."""
    return copy.deepcopy(_exercise())


def right() -> Notebook:
    """Return the exercise with every task solved."""
    notebook = empty()
    for task in assignment.TASKS:
        answer(notebook, task, assignment.right_answer(task))
    answer(notebook, assignment.MANUAL, "It goes down where the motif goes up.")
    return notebook


def find(notebook: Notebook, name: str) -> int:
    """Return the index of the cell with this grade_id or id."""
    for index, cell in enumerate(notebook["cells"]):
        if name in (cell.get("id"), cell["metadata"].get("nbgrader", {}).get("grade_id")):
            return index
    raise KeyError(name)


def get(notebook: Notebook, name: str) -> dict[str, Any]:
    """Return the cell with this grade_id or id."""
    return notebook["cells"][find(notebook, name)]


def answer(notebook: Notebook, task: str, source: str) -> None:
    """Write an answer into its cell."""
    get(notebook, task)["source"] = source


def code(source: str, name: str = "stray", **metadata: Any) -> dict[str, Any]:
    """Return a student's own code cell."""
    made = assignment.cell("code", name, source)
    made["metadata"] = metadata
    return made


def markdown(source: str, name: str = "text") -> dict[str, Any]:
    """Return a student's own markdown cell."""
    return assignment.cell("markdown", name, source)


def insert(notebook: Notebook, where: str, *cells: dict[str, Any], after: bool = False) -> None:
    """Put cells before (or after) the cell with this id; '' is the start (or the end)."""
    index = (len(notebook["cells"]) if after else 0) if not where else find(notebook, where) + after
    notebook["cells"][index:index] = cells


def remove(notebook: Notebook, *names: str) -> None:
    """Delete cells."""
    for name in names:
        del notebook["cells"][find(notebook, name)]


def dump(notebook: Notebook) -> bytes:
    """Return the bytes of the file, as JupyterLab writes them."""
    try:
        return (json.dumps(notebook, ensure_ascii=False, indent=1) + "\n").encode()
    except UnicodeEncodeError:  # half a character
        return (json.dumps(notebook, indent=1) + "\n").encode()


def file_name(name: str) -> str:
    """Return a harmless file name for a case."""
    return f"{name.replace('_', '-')}.ipynb"
