"""Make the students' exercises from the solutions: ``mlmusic release solutions -o exercises``.

A solution notebook follows nbgrader's conventions, so that a school which runs nbgrader can use it
as it is. What a student must not see goes: solutions become a stub that raises
NotImplementedError, hidden tests and mark schemes disappear, outputs are cleared. The work is done
by nbgrader's own preprocessors, in the order of its ``generate_assignment`` and without its
database, so the cells and their metadata are the ones that nbgrader itself would release. The same
solution always gives the same bytes.

Before that the source is read (`mlmusic.grading.validation`, `mlmusic.grading.hidden`) and graded
(`mlmusic.grading.proof`): one that would give wrong marks isn't released.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode


class ReleaseError(ValueError):
    """Why a source isn't released.

    Parameters
    ----------
    source : path
        The notebook.
    faults : sequence of str
        What is wrong, one line each.
    """

    def __init__(self, source: str | Path, faults: Sequence[str]) -> None:
        self.faults = [f"{source}: {fault}" for fault in faults]
        super().__init__("\n".join(self.faults))


def release(source: str | Path, out_dir: str | Path) -> Path:
    """Write the exercise that belongs to a solution notebook, if reading it shows no fault.

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
    ReleaseError
        If it isn't a notebook, or not fit for release; a line for each fault names the cell.
    ModuleNotFoundError
        If nbgrader isn't installed.
    """
    return _write(source, out_dir, released_text(source))


def _write(source: str | Path, out_dir: str | Path, text: str) -> Path:
    target = Path(out_dir) / Path(source).name
    if target.exists() and target.samefile(source):
        raise ReleaseError(source, ["the exercise would replace it: give another folder with -o"])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode())  # bytes: Windows would turn the line ends
    return target


def released_text(source: str | Path) -> str:
    """Return the exercise that belongs to a solution notebook, as the text of its file.

    Raises what `release` raises.
    """
    import nbformat

    from mlmusic.grading import hidden, validation

    source = Path(source)
    steps = _steps()
    original = _read(source)
    if faults := validation.faults(original):
        raise ReleaseError(source, faults)
    notebook = _without_secrets(source, copy.deepcopy(original), steps)
    if faults := hidden.misspelt(notebook) + hidden.leaks(original, notebook):
        raise ReleaseError(source, faults)
    # The link that opens this notebook on Colab should open the exercise.
    first = notebook.cells[0]
    first.source = first.source.replace(f"/solutions/{source.name}", f"/exercises/{source.name}")
    return nbformat.v4.writes(notebook).rstrip("\n") + "\n"


def _without_secrets(source: Path, notebook: NotebookNode, steps: list[Any]) -> NotebookNode:
    import nbformat
    from nbgrader.nbgraderformat.common import SchemaMismatchError

    resources: dict[str, Any] = {}
    for step in steps:
        try:
            notebook, resources = step.preprocess(notebook, resources)
        except SchemaMismatchError as error:
            fault = f"its nbgrader metadata is old ({error}): run `nbgrader update` on it"
            raise ReleaseError(source, [fault]) from None
        except (RuntimeError, ValueError, KeyError, nbformat.ValidationError) as error:
            reason = " ".join(str(error).split())
            raise ReleaseError(source, [f"{reason} ({type(step).__name__})"]) from None
    return notebook


def _read(source: Path) -> NotebookNode:
    import nbformat

    try:
        text = source.read_text(encoding="utf-8-sig")
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("nbformat") != 4:
            raise ValueError("its format is not nbformat 4")
        nbformat.validate(content)
    except (nbformat.ValidationError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ReleaseError(source, [f"isn't a notebook: {reason}"]) from None
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
        except (ModuleNotFoundError, OSError, ValueError) as error:
            for line in str(error).splitlines():
                print(f"mlmusic release: {line}", file=sys.stderr)
            status = 1
    return status


def difference(source: Path, out_dir: Path) -> str | None:
    """Say whether the exercise of a solution is missing or out of step; None if all is well."""
    target = out_dir / source.name
    if not target.exists():
        return f"{target} is missing: run `make release`"
    if target.read_bytes() != released_text(source).encode():
        return f"{target} is out of step with {source}: run `make release`"
    return None
