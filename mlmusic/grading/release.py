"""Make the students' exercises from the solutions: ``mlmusic release solutions -o exercises``.

A solution notebook follows nbgrader's conventions, so that a school which runs nbgrader can use it
as it is. What a student must not see goes: solutions become a stub that raises
NotImplementedError, hidden tests and mark schemes disappear, outputs are cleared. The work is done
by nbgrader's own preprocessors, in the order of its ``generate_assignment`` and without its
database, so the cells and their metadata are the ones that nbgrader itself would release. The same
solution always gives the same bytes.

Before that the source is read (`releasing.validation`, `releasing.hidden`) and graded
(`releasing.proof`): one that would give wrong marks isn't released.
"""

from __future__ import annotations

import argparse
import copy
import difflib
import json
import logging
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmusic.grading.wording import Parser, check_folder, in_words, typed

if TYPE_CHECKING:
    from nbformat import NotebookNode


_UNSAFE = (
    "your own notebook may run without one: add --sandbox none, or --no-run to release it ungraded"
)


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


def release(
    source: str | Path,
    out_dir: str | Path,
    *,
    run: bool = True,
    sandbox: str = "auto",
    strict: bool = False,
    warn: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write the exercise that belongs to a solution notebook, if nothing stands against it.

    Parameters
    ----------
    source : path
        The solution notebook, with nbgrader's markers and metadata.
    out_dir : path
        The folder for the exercise, which keeps the solution's name. It is made if need be.
    run : bool
        Whether to grade the solution, the empty exercise and cheap answers first.
    sandbox : str
        Which kind of isolation they run in: "auto", "bwrap", "landlock", "docker" or "none".
    strict : bool
        Whether a weak test, one that gives points to a cheap answer, is refused, too.
    warn : callable
        Is given a line for each weak test that isn't refused.

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
    import nbformat

    source = Path(source)
    target = Path(out_dir) / source.name
    check_folder(target.parent, "-o")
    text = released_text(source)
    same = target.exists() and target.samefile(source)
    if same or target.resolve() == source.resolve():  # new/../x exists when new is made
        raise ReleaseError(source, ["the exercise would replace it: give another folder with -o"])
    if run:
        from mlmusic.grading.releasing.proof import prove
        from mlmusic.grading.sandbox import SandboxUnavailable

        try:
            proof = prove(source.read_bytes(), source.name, nbformat.v4.reads(text), sandbox)
        except SandboxUnavailable as error:
            raise ReleaseError(source, [f"{error}; {_UNSAFE}"]) from None
        faults = proof.faults + (proof.weak if strict else [])
        if faults:
            raise ReleaseError(source, faults)
        for line in proof.weak:
            warn(f"{source}: {line}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode())  # bytes: Windows would turn the line ends
    return target


def released_text(source: str | Path) -> str:
    """Return the exercise that belongs to a solution notebook, as the text of its file.

    Raises what `release` raises.
    """
    import nbformat

    from mlmusic.grading.releasing import hidden, validation

    source = Path(source)
    steps = _steps()
    original = read_source(source)
    if _is_released(original):
        raise ReleaseError(source, ["is the students' notebook: name the source it was made from"])
    if faults := validation.faults(original) + _mark_schemes(original):
        raise ReleaseError(source, faults)
    notebook = _without_secrets(source, copy.deepcopy(original), steps)
    faults = hidden.misspelt(notebook) or _nearly_markers(notebook)
    faults += validation.stubs(notebook)
    if faults := faults or hidden.leaks(original, notebook):
        raise ReleaseError(source, faults)
    # The link that opens this notebook on Colab should open the exercise.
    first = notebook.cells[0]
    first.source = first.source.replace(f"/solutions/{source.name}", f"/exercises/{source.name}")
    return nbformat.v4.writes(notebook).rstrip("\n") + "\n"


def _is_released(notebook: NotebookNode) -> bool:
    """Say whether a notebook's answers have been taken out already."""
    answers = [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution")
    ]
    return bool(answers) and all("YOUR CODE HERE" in text for text in answers)


_MARKERS = tuple(
    f"{end} {what}"
    for what in ("SOLUTION", "HIDDEN TESTS", "MARK SCHEME")
    for end in ("BEGIN", "END")
)
_LIKE_A_MARKER = re.compile(r"^[ \t#=*]*((?:BEGIN|END)\b.*?)[ \t#=*]*$", re.M)


def _mark_schemes(original: NotebookNode) -> list[str]:
    """Name the cells with half a mark scheme, or with one where none may stand."""
    found = []
    for number, cell in enumerate(original.cells, start=1):
        lacking = _lacking(cell.source)
        if lacking:
            near = [text for text, marker in _nearly(cell.source).items() if marker == lacking]
            hint = f"is it {near[0]!r}, misspelt?" if near else "write it"
            found.append(f"{_cell(number, cell)} has a mark scheme without '{lacking}': {hint}")
        elif _MARKERS[-1] in cell.source and not cell.metadata.get("nbgrader", {}).get("task"):
            found.append(
                f"{_cell(number, cell)} has a mark scheme, which only a task to do by hand may "
                'have: a text cell with nbgrader\'s "task": true'
            )
    return found


def _lacking(source: str) -> str | None:
    """Return the marker of a mark scheme that is missing from a cell, if one is."""
    begin, end = _MARKERS[-2:]
    inside = False
    for line in source.split("\n"):
        if begin in line and inside:
            return end
        if end in line and not inside:
            return begin
        inside = begin in line or (inside and end not in line)
    return end if inside else None


def _nearly_markers(released: NotebookNode) -> list[str]:
    """Name lines that are markers but for a slip: nbgrader would release what they hide."""
    return [
        f"{_cell(number, cell)} says {text!r}, which isn't a marker: is it '{marker}'?"
        for number, cell in enumerate(released.cells, start=1)
        for text, marker in _nearly(cell.source).items()
    ]


def _nearly(source: str) -> dict[str, str]:
    """Return the lines that look like a marker and aren't one, with the marker."""
    found = {}
    for text in _LIKE_A_MARKER.findall(source):
        near = difflib.get_close_matches(text.upper(), _MARKERS, n=1, cutoff=0.8)
        if near and text not in _MARKERS:
            found[text] = near[0]
    return found


def _cell(number: int, cell: NotebookNode) -> str:
    name = cell.metadata.get("nbgrader", {}).get("grade_id") or cell.get("id")
    return f"cell {number} {name!r}" if name else f"cell {number}"


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


def read_source(source: Path) -> NotebookNode:
    """Read a source notebook as it stands.

    Raises
    ------
    FileNotFoundError
        If there is no such notebook.
    ReleaseError
        If it isn't a notebook.
    """
    import nbformat

    try:
        text = source.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no notebook {source}: check its name") from None
    except UnicodeDecodeError:
        raise ReleaseError(source, ["isn't a notebook: it isn't text in UTF-8"]) from None
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("nbformat") != 4:
            raise ValueError("its format is not nbformat 4")
        nbformat.validate(content)
    except json.JSONDecodeError:
        raise ReleaseError(source, ["isn't a notebook: it holds no JSON"]) from None
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
    parser = _parser()
    options = parser.parse_args(argv)
    if options.origin and not options.new:
        parser.error("--from goes with --new FILE")
    if options.new and options.source:
        parser.error(
            f"--new takes one name: a notebook to vary is named by --from, not {options.source[0]}"
        )
    try:
        if options.new:
            from mlmusic.grading.releasing.new_source import new_source

            print(*new_source(options.new, options.origin), sep="\n")
            return 0
        sources = _sources(options.source)
    except (OSError, ValueError) as error:
        return _fault(error)
    status = 0
    for source in sources:
        try:
            out = Path(options.out) if options.out else _default_out(source)
            if options.check:
                if fault := difference(source, out):
                    print(fault, file=sys.stderr)
                    status = 1
                continue
            run, kind, strict = not options.no_run, options.sandbox, options.strict
            target = release(source, out, run=run, sandbox=kind, strict=strict, warn=_warn)
            print(f"wrote {target}, the students' notebook")
        except (ModuleNotFoundError, OSError, ValueError) as error:
            status = _fault(error)
    return status


def _sources(named: list[str]) -> list[Path]:
    """Return the notebooks that are named, those in folders too; by default the course's."""
    if not named and not Path("solutions").is_dir():
        raise ValueError(
            "name your source, such as mlmusic release my_assignment.ipynb "
            "(without a name all of solutions/ is released, and there is no such folder here)"
        )
    sources: list[Path] = []
    for path in map(Path, named or ["solutions"]):
        sources += sorted(path.glob("*.ipynb")) if path.is_dir() else [path]
    if not sources:
        raise ValueError(f"no notebooks in {', '.join(named or ['solutions'])}")
    return sources


def _default_out(source: Path) -> Path:
    """Return exercises/ beside the course's solutions/, else handout/ beside the source."""
    if source.absolute().parent.name == "solutions":
        return source.parent.parent / "exercises" if source.parent.name else Path("../exercises")
    return source.parent / "handout"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="mlmusic release")
    parser.description = "Make the students' exercises from the solutions."
    parser.add_argument("source", nargs="*", help="notebooks or folders (solutions/)")
    parser.add_argument(
        "-o",
        "--out",
        metavar="FOLDER",
        help="folder for the students' notebooks (handout/ beside the source; exercises/ beside "
        "solutions/)",
    )
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    parser.add_argument(
        "--no-run", action="store_true", help="release without grading the solution first"
    )
    parser.add_argument(
        "--strict", action="store_true", help="refuse tests that give points to a cheap answer"
    )
    kinds = ("auto", "bwrap", "landlock", "docker", "none")
    parser.add_argument("--sandbox", choices=kinds, default="auto", help="where the solution runs")
    parser.add_argument("--new", metavar="FILE", help="write a new source notebook and stop")
    parser.add_argument(
        "--from", dest="origin", metavar="SOLUTION", help="the solution that --new varies"
    )
    parser.epilog = (
        "Exit status: 0; 1 for a fault, a source that isn't released, or one that --check finds "
        "out of step; 2 for a wrong call."
    )
    return parser


def _fault(error: BaseException) -> int:
    lines = error.faults if isinstance(error, ReleaseError) else [in_words(error)]
    for line in lines:
        print(f"mlmusic release: {line}", file=sys.stderr)
    return 1


def _warn(line: str) -> None:
    print(f"mlmusic release: warning: {line}", file=sys.stderr)


def difference(source: Path, out_dir: Path) -> str | None:
    """Say whether the exercise of a solution is missing or out of step; None if all is well."""
    target = out_dir / source.name
    mend = f"run mlmusic release {typed(source)} -o {typed(out_dir)}"
    if not target.exists():
        return f"{target} is missing: {mend}"
    if target.read_bytes() != released_text(source).encode():
        return f"{target} is out of step with {source}: {mend}"
    return None
