"""The template of a source notebook: a tune to hear, two tasks and a listening question."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode


def template(draw: Callable[[], int], note: str) -> NotebookNode:
    """Return the template: a title, setup, an example to hear, two tasks, a listening question.

    Parameters
    ----------
    draw : callable
        Where the seeds of its hidden tests come from.
    note : str
        What the instructor should know; it stands in a cell of its own.
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
        text = text.strip("\n").replace("SETUP", _setup()).replace("NOTE", note)
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
    ("note", "text", "NOTE", 0),
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
