"""Start an assignment of one's own: from a template, or as a private variant of a chapter's.

The course's solutions and hidden tests are public, so its exercises are for practice. For marks an
instructor keeps a source of their own: ``mlmusic release --new my_assignment.ipynb``. What has to
be written is marked by slots, ``⟦rewrite: …⟧``; nothing is released while one is left.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mlmusic.grading.releasing import hidden
from mlmusic.grading.releasing.template import template
from mlmusic.grading.releasing.validation import PRIVATE, SLOT

if TYPE_CHECKING:
    from nbformat import NotebookNode

_NOTE = """\
⟦rewrite: delete this cell when you have read it.

{private} Keep it where students can't read it: outside the
public repository, or named in its .gitignore. Hand out only what `mlmusic release` makes of it.
{note}
Where it says rewrite, write your own words and delete the brackets: nothing is released before.⟧"""
_OF_TEMPLATE = """
The two tasks below are examples, and public with the course: replace them by your own."""
_OF_COPY = """
Answers to the tasks as they stand are public with the course: change what each task asks, then its
answer and its tests. Each hidden test draws its music from a SEED of its own, drawn for you."""
_UNDRAWN = "# ⟦rewrite: this hidden test draws nothing anew; change its values⟧"

# Calls that start something random: their argument becomes SEED.
_SEEDED = re.compile(
    r"\b(default_rng|RandomState|manual_seed|seed|Random)\((?:[^()]|\([^()]*\))*\)"
)
_COLAB = re.compile(r"^.*colab\.research\.google\.com.*\n*", re.M)
_RELATIVE_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)[^)]*\)")


def new_source(
    target: str | Path,
    source: str | Path | None = None,
    draw: Callable[[], int] = lambda: secrets.randbelow(2**32),
) -> list[str]:
    """Write a new source notebook.

    Parameters
    ----------
    target : path
        The notebook to write. It must not exist.
    source : path, optional
        A solution of the course, or an exercise that lies beside its solution; without it the
        template is written.
    draw : callable
        Where the new seeds come from.

    Returns
    -------
    list of str
        What to do next, in lines.

    Raises
    ------
    FileExistsError
        If the notebook exists.
    FileNotFoundError
        If there is no such source.
    ValueError
        If the source has no answers to make a variant of, or the target is no .ipynb.
    """
    import nbformat

    target = Path(target)
    if target.suffix != ".ipynb":
        raise ValueError(f"{target}: a notebook's name ends in .ipynb")
    if target.exists():
        raise FileExistsError(f"{target} exists: choose another name")
    if source is None:
        notebook = template(draw, _NOTE.format(private=PRIVATE, note=_OF_TEMPLATE))
    else:
        notebook = _variant(Path(source), target.stem, draw)
    total = _state_points(notebook)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes((nbformat.v4.writes(notebook).rstrip("\n") + "\n").encode())
    slots = sum(cell.source.count(SLOT) for cell in notebook.cells)
    lines = [
        f"{target}: {total:g} points, {slots} places marked ⟦rewrite: …⟧ are yours to write",
        f"then: mlmusic release {target} -o FOLDER-FOR-STUDENTS",
        "keep it private: it holds answers and hidden tests",
    ]
    if repository := _repository(target):
        name = target.resolve().relative_to(repository).as_posix()
        lines[-1] += f"; it lies in the repository {repository}: add the line {name} to .gitignore"
    return lines


def _repository(path: Path) -> Path | None:
    """Return the git repository that a file lies in, if there is one."""
    return next((p for p in path.resolve().parents if (p / ".git").exists()), None)


def _state_points(notebook: NotebookNode) -> float:
    """Write the sum of the points into the first cell and the metadata; release compares them."""
    total = sum(
        cell.metadata.nbgrader.points
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("points") is not None
    )
    notebook.cells[0].source += f"\n\nTotal: {total:g} points"
    settings = notebook.metadata.setdefault("mlmusic", {})
    settings["points"] = int(total) if total == int(total) else total
    return total


# A variant of a chapter's -----------------------------------------------------------------


def _variant(source: Path, name: str, draw: Callable[[], int]) -> NotebookNode:
    import nbformat

    from mlmusic.grading.release import read_source

    notebook = read_source(source)
    if not any("BEGIN SOLUTION" in cell.source for cell in notebook.cells):
        source = source.resolve().parents[1] / "solutions" / source.name
        if not source.is_file():
            raise ValueError(
                f"{source.name} has no answers, and there is no {source}: "
                "name the solution that it was made from"
            )
        notebook = read_source(source)
    prefix = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower() or "own"
    for cell in notebook.cells:
        marks = cell.metadata.get("nbgrader", {})
        if "grade_id" in marks:
            marks["grade_id"] = f"{prefix}-{marks['grade_id']}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.source = _with_new_seeds(cell.source, draw)
        elif not marks.get("solution"):
            cell.source = _as_slot(cell.source)
    if notebook.cells[0].cell_type != "markdown":
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# ⟦rewrite: a title⟧", id="title"))
    note = nbformat.v4.new_markdown_cell(_NOTE.format(private=PRIVATE, note=_OF_COPY), id="note")
    notebook.cells.insert(1, note)
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        for cell in notebook.cells:
            cell.pop("id", None)
    return notebook


def _as_slot(markdown: str) -> str:
    """Keep the headings of a text and make a slot of the rest."""
    text = _RELATIVE_LINK.sub(r"\1", _COLAB.sub("", markdown)).strip()
    heading, _, body = text.partition("\n") if text.startswith("#") else ("", "", text)
    if heading.startswith("# "):
        heading = f"# ⟦rewrite: {heading[2:]}⟧"
    body = f"⟦rewrite: {body.strip()}⟧" if body.strip() else ""
    return "\n\n".join(filter(None, [heading, body]))


def _with_new_seeds(source: str, draw: Callable[[], int]) -> str:
    """Give the hidden tests of a cell a seed of their own, or a slot if nothing is drawn."""
    lines = source.split("\n")
    secret = hidden.hidden_lines(source)
    if not any(line.strip() for line in secret.values()):
        return source
    changed = {i: _SEEDED.sub(r"\1(SEED)", line) for i, line in secret.items()}
    first = min(secret)
    indent = re.match(r"\s*", lines[first - 1])[0]
    new = f"SEED = {draw()}" if changed != secret else _UNDRAWN
    for number, line in changed.items():
        lines[number - 1] = line or lines[number - 1]
    return "\n".join([*lines[:first], indent + new, *lines[first:]])
