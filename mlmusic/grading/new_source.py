"""Start an assignment of one's own: from a template, or as a private variant of a chapter's.

The course's solutions and hidden tests are public, so its exercises are for practice. For marks an
instructor keeps a source of their own: ``mlmusic release --new my_assignment.ipynb``. What has to
be written is marked by slots, ``⟦rewrite: …⟧``; nothing is released while one is left.
"""

from __future__ import annotations

import importlib.metadata
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmusic.grading import hidden
from mlmusic.grading.validation import PRIVATE, SLOT

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
    notebook = template(draw) if source is None else _variant(Path(source), target.stem, draw)
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


# The template -----------------------------------------------------------------------------


def template(draw: Callable[[], int]) -> NotebookNode:
    """Return the template: a title, setup, an example to hear, two tasks, a listening question.

    Parameters
    ----------
    draw : callable
        Where the seeds of its hidden tests come from.
    """
    from nbformat import v4

    cells = []
    for name, kind, text, points in _TEMPLATE:
        metadata: dict[str, Any] = {}
        if kind in _MARKS:
            marks = {"grade": False, "locked": False, "solution": False, **_MARKS[kind]}
            points = {"points": points} if points else {}
            marks |= {"grade_id": name, "schema_version": 3, "task": False, **points}
            metadata["nbgrader"] = marks
        text = text.strip("\n").replace("SETUP", _setup())
        text = re.sub(r"\bNEW_SEED\b", lambda _: str(draw()), text)
        new = v4.new_markdown_cell if kind in ("text", "by hand") else v4.new_code_cell
        cells.append(new(text, id=name, metadata=metadata))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(
        cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}}
    )


def _setup() -> str:
    """Return the lines that install the package on Colab, from where this one came from."""
    urls = importlib.metadata.metadata("mlmusic").get_all("Project-URL") or []
    url = next((u.split(", ")[1] for u in urls if u.startswith("Repository, ")), "")
    return f'%pip install -q "mlmusic[colab] @ git+{url}"' if url else "%pip install -q mlmusic"


_MARKS: dict[str, dict[str, bool]] = {
    "answer": {"solution": True},
    "test": {"grade": True, "locked": True},
    "by hand": {"grade": True, "solution": True},
}
_TEMPLATE: list[tuple[str, str, str, float]] = [
    (
        "title",
        "text",
        """
# ⟦rewrite: a title, best a question⟧

⟦rewrite: what students practise here, what they should know, when it is due⟧

Write your answers where it says `YOUR CODE HERE`, and delete the line that raises an error. The
cell below each answer checks it. More tests, which you don't see, are run when the notebook is
graded: they draw new music.
""",
        0,
    ),
    ("note", "text", _NOTE.format(private=PRIVATE, note=_OF_TEMPLATE), 0),
    (
        "setup",
        "code",
        """
import importlib.util
import sys

if "google.colab" in sys.modules and not importlib.util.find_spec("mlmusic"):
    SETUP

import numpy as np

from mlmusic import Score, play
from mlmusic.grading import checks
""",
        0,
    ),
    ("h-listen", "text", "## Listen\n\n⟦rewrite: what to listen for in this tune⟧", 0),
    (
        "tune",
        "code",
        """
notes = [(0, 1, 62), (1, 0.5, 65), (1.5, 0.5, 69), (2, 1, 68), (3, 1, 65), (4, 2, 62)]
tune = Score(notes, programs={0: 73}, title="a tune for the flute")
play(tune)
""",
        0,
    ),
    (
        "task-1",
        "text",
        """
## Task 1: intervals

⟦rewrite: Write `intervals(pitches)`: the steps in semitones from each note of a melody to the
next, up or down, as an array of whole numbers. A melody of n notes has n - 1 of them.⟧
""",
        0,
    ),
    (
        "answer-1",
        "answer",
        '''
def intervals(pitches):
    """Return the steps in semitones from each note to the next."""
    ### BEGIN SOLUTION
    return np.diff(np.asarray(pitches))
    ### END SOLUTION
''',
        0,
    ),
    (
        "check-1",
        "test",
        """
checks.same(intervals([60, 64, 62]), np.array([4, -2]), "intervals([60, 64, 62])")
checks.same(intervals([60]), np.array([], dtype=int), "intervals([60])")
print("Task 1 passes the visible checks.")
""",
        1,
    ),
    (
        "hidden-1",
        "test",
        """
# Hidden: melodies drawn anew, in any key
### BEGIN HIDDEN TESTS
SEED = NEW_SEED
rng = np.random.default_rng(SEED)
for _ in range(10):
    pitches = checks.draw_tokens(rng, 12, 100, first=30)
    checks.same(intervals(pitches), np.diff(pitches), f"intervals({pitches.tolist()})")
    checks.invariant_to_transposition(intervals, pitches, what="the intervals")
checks.keeps_arguments(intervals, pitches)
### END HIDDEN TESTS
""",
        2,
    ),
    (
        "task-2",
        "text",
        """
## Task 2: and back again

⟦rewrite: Write `melody(first, steps)`: the pitches of the melody that begins on `first` and has
these intervals. It undoes `intervals`.⟧
""",
        0,
    ),
    (
        "answer-2",
        "answer",
        '''
def melody(first, steps):
    """Return the pitches of a melody from its first one and its intervals."""
    ### BEGIN SOLUTION
    return first + np.concatenate([[0], np.cumsum(steps)]).astype(int)
    ### END SOLUTION
''',
        0,
    ),
    (
        "check-2",
        "test",
        """
checks.same(melody(60, [4, -2]), np.array([60, 64, 62]), "melody(60, [4, -2])")
print("Task 2 passes the visible checks.")
""",
        1,
    ),
    (
        "hidden-2",
        "test",
        """
# Hidden: there and back again for melodies drawn anew
### BEGIN HIDDEN TESTS
SEED = NEW_SEED
rng = np.random.default_rng(SEED)
melodies = [checks.draw_score(rng, 9).notes["pitch"].astype(int) for _ in range(10)]
for pitches in melodies:
    checks.round_trip(np.diff, lambda steps, pitches=pitches: melody(pitches[0], steps), [pitches])
checks.transposes(lambda pitches, k: melody(pitches[0] + k, np.diff(pitches)), *melodies)
### END HIDDEN TESTS
""",
        2,
    ),
    (
        "h-question",
        "text",
        """
## Listening question

⟦rewrite: The second version is the first one upside down: every step up became a step down. What
do you still recognise, and what is gone? Two or three sentences.⟧
""",
        0,
    ),
    (
        "turned",
        "code",
        """
turned = tune.notes.copy()
turned["pitch"] = 2 * 65 - turned["pitch"]
play({"the tune": tune, "upside down": Score(turned, programs=tune.programs)})
""",
        0,
    ),
    (
        "listening",
        "by hand",
        """
### BEGIN SOLUTION
The rhythm and the size of the steps stay, so the contour is recognised in the mirror; the mode
changes, and with it where the tune seems to want to go.
### END SOLUTION
""",
        4,
    ),
]
