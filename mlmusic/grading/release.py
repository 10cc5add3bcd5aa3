"""Make the students' exercises from the solutions: ``mlmusic release solutions -o exercises``.

A solution notebook follows nbgrader's conventions, so that a school which runs nbgrader can use it
as it is. What a student must not see goes: solutions become a stub that raises
NotImplementedError, hidden tests and mark schemes disappear, outputs are cleared. The work is done
by nbgrader's own preprocessors, in the order of its ``generate_assignment`` and without its
database, so the cells and their metadata are the ones that nbgrader itself would release. The same
solution always gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

# What is nearly one of nbgrader's markers. It doesn't know them, and would release the secret.
_MARKER = re.compile(r"\b(begin|end)[ _]*(solution|hidden[ _]*test|mark(ing)?[ _]*scheme)s?", re.I)


def release(source: str | Path, out_dir: str | Path) -> Path:
    """Write the exercise that belongs to a solution notebook.

    Parameters
    ----------
    source : path
        The solution notebook, with nbgrader's markers and metadata.
    out_dir : path
        The folder for the exercise, which keeps the solution's name. It is made if need be.

    Returns
    -------
    Path
        The exercise.

    Raises
    ------
    FileNotFoundError
        If there is no such notebook.
    ValueError
        If it isn't a notebook, or breaks nbgrader's conventions; the message names the fault.
    ModuleNotFoundError
        If nbgrader isn't installed.
    """
    target = Path(out_dir) / Path(source).name
    text = released_text(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode())  # bytes: Windows would turn the line ends
    return target


def released_text(source: str | Path) -> str:
    """Return the exercise that belongs to a solution notebook, as the text of its file.

    Raises what `release` raises.
    """
    import nbformat

    source = Path(source)
    steps = _steps()
    notebook = _read(source)
    _check(source, notebook)
    resources: dict[str, Any] = {}
    for step in steps:
        try:
            notebook, resources = step.preprocess(notebook, resources)
        except (RuntimeError, ValueError, nbformat.ValidationError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{source}: {reason} ({type(step).__name__})") from None
    for cell in notebook.cells:
        if found := _MARKER.search(cell.source):
            raise ValueError(f"{source}: cell {cell.id!r} says {found[0]!r}, which isn't a marker")
    # The link that opens this notebook on Colab should open the exercise.
    first = notebook.cells[0]
    first.source = first.source.replace(f"/solutions/{source.name}", f"/exercises/{source.name}")
    return nbformat.v4.writes(notebook).rstrip("\n") + "\n"


def _read(source: Path) -> NotebookNode:
    import nbformat

    try:
        text = source.read_text(encoding="utf-8")
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("nbformat") != 4:
            raise ValueError("its format is not nbformat 4")
        nbformat.validate(content)
    except (nbformat.ValidationError, ValueError) as error:
        raise ValueError(f"{source} isn't a notebook: {str(error).splitlines()[0]}") from None
    return nbformat.v4.reads(text)


def _steps() -> list[Any]:
    """Return nbgrader's preprocessors in its order, less those that need its database."""
    try:
        from nbgrader import preprocessors as steps
        from traitlets.config import Config
    except ModuleNotFoundError as error:
        if error.name != "nbgrader":
            raise
        raise ModuleNotFoundError(
            "releasing exercises needs nbgrader: pip install 'mlmusic[grade]'", name="nbgrader"
        ) from None
    names = (
        "LockCells ClearSolutions ClearOutput CheckCellMetadata ComputeChecksums "
        "ClearHiddenTests ClearMarkScheme ComputeChecksums CheckCellMetadata"
    )
    # An empty Config: what an instructor has configured elsewhere must not change the bytes.
    quiet = logging.getLogger(__name__)  # what nbgrader would log, its exceptions say as well
    quiet.setLevel(logging.CRITICAL + 1)
    return [getattr(steps, name)(config=Config(), log=quiet) for name in names.split()]


def _check(source: Path, notebook: NotebookNode) -> None:
    """Refuse what nbgrader would let pass and students would stumble over."""
    marks = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
    if not any(mark.get("grade") for mark in marks):
        raise ValueError(f"{source}: no cell is graded (nbgrader's metadata grade and points)")
    for cell, mark in zip(notebook.cells, marks, strict=True):
        if "AUTOTEST" in cell.source:
            raise ValueError(f"{source}: cell {cell.id!r} uses AUTOTEST; write the test out")
        has_solution = "BEGIN SOLUTION" in cell.source
        if mark.get("solution") and cell.cell_type == "code" and not has_solution:
            # nbgrader would replace the whole cell, the function's signature with it
            raise ValueError(
                f"{source}: solution cell {cell.id!r} has no '### BEGIN SOLUTION' line"
            )


def main(argv: list[str] | None = None) -> int:
    """Run ``mlmusic release``; return its exit status."""
    parser = argparse.ArgumentParser(prog="mlmusic release", description=main.__doc__)
    parser.description = "Make the students' exercises from the solutions."
    parser.add_argument("source", nargs="*", default=["solutions"], help="notebooks or folders")
    parser.add_argument("-o", "--out", default="exercises", help="folder for the exercises")
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    options = parser.parse_args(argv)
    sources: list[Path] = []
    for name in map(Path, options.source):
        sources += sorted(name.glob("*.ipynb")) if name.is_dir() else [name]
    if not sources:
        print(f"mlmusic release: no notebooks in {', '.join(options.source)}", file=sys.stderr)
        return 1
    status = 0
    for source in sources:
        try:
            if options.check:
                fault = difference(source, Path(options.out))
                if fault:
                    print(fault, file=sys.stderr)
                    status = 1
            else:
                print(release(source, options.out))
        except (FileNotFoundError, ModuleNotFoundError, ValueError) as error:
            print(f"mlmusic release: {error}", file=sys.stderr)
            return 1
    return status


def difference(source: Path, out_dir: Path) -> str | None:
    """Say whether the exercise of a solution is missing or out of step; None if all is well."""
    target = out_dir / source.name
    if not target.exists():
        return f"{target} is missing: run `make release`"
    if target.read_bytes() != released_text(source).encode():
        return f"{target} is out of step with {source}: run `make release`"
    return None
