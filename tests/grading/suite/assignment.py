"""A small assignment of the kind that instructors write: seven tasks and a question by hand.

Its tests are ordinary: raw asserts, ``np.allclose``, ``np.testing``, ``pytest.raises``, helpers
and imports inside the test cells, a callback, attributes of an object, and an ``await``. Each task
has a visible test of 1 point and a hidden one of 2. ``SECRETS`` are words of the hidden tests and
of the solution: none may ever come out at a student's end.
"""

from __future__ import annotations

import json
from typing import Any

import nbformat

from mlmusic.grading.release import released_text

NAME = "motif"
MANUAL = "listening"
TASKS = ("frequency", "transpose", "contour", "select", "Motif", "NextNote", "scale")
FULL = {**dict.fromkeys(TASKS, 3.0), MANUAL: None}
POINTS = 23.0
SECRETS = ("HIDDEN-7041", "SOLUTION-5519")
# Short, because many of the notebooks below hang on purpose; long enough for a busy machine.
LIMITS = {"call": 2, "cell": 4, "total": 15}

SETUP = """\
import numpy as np
import torch
from torch import nn

A4 = 440.0"""

MELODY = """\
# Our tune: (onset in quarter notes, MIDI pitch)
melody = [(0.0, 60), (1.0, 62), (1.5, 64), (2.0, 60)]"""

# A task's answer; what stands between the markers becomes the student's stub.
SOLUTIONS = {
    "frequency": '''\
def frequency(pitch):
    """Return the frequency in Hz of a MIDI pitch, or of an array of pitches."""
    ### BEGIN SOLUTION
    return A4 * 2 ** ((np.asarray(pitch) - 69) / 12)  # SOLUTION-5519
    ### END SOLUTION''',
    "transpose": '''\
def transpose(notes, semitones):
    """Return the notes (onset, pitch) with every pitch moved by some semitones."""
    ### BEGIN SOLUTION
    return [(onset, pitch + semitones) for onset, pitch in notes]
    ### END SOLUTION''',
    "contour": '''\
def contour(pitches):
    """Return the Parsons code of a melody: * and then U, D or R for up, down, repeat.

    No pitches at all is a ValueError.
    """
    ### BEGIN SOLUTION
    if len(pitches) == 0:
        raise ValueError("a melody has at least one pitch")
    steps = zip(pitches[:-1], pitches[1:], strict=True)
    return "*" + "".join("R" if a == b else "U" if b > a else "D" for a, b in steps)
    ### END SOLUTION''',
    "select": '''\
def select(notes, wanted):
    """Return those notes for which the function ``wanted`` gives True."""
    ### BEGIN SOLUTION
    return [note for note in notes if wanted(note)]
    ### END SOLUTION''',
    "Motif": '''\
class Motif:
    """A short melody: its pitches, its length, and its inversion around the first pitch."""

    ### BEGIN SOLUTION
    def __init__(self, pitches):
        self.pitches = list(pitches)

    def __len__(self):
        return len(self.pitches)

    def inverted(self):
        return Motif([2 * self.pitches[0] - pitch for pitch in self.pitches])
    ### END SOLUTION''',
    "NextNote": '''\
class NextNote(nn.Module):
    """Logits (batch, time, 128) of the next pitch; later notes never change earlier logits."""

    ### BEGIN SOLUTION
    def __init__(self, size):
        super().__init__()
        self.embed = nn.Embedding(128, size)
        self.rnn = nn.GRU(size, size, batch_first=True)
        self.out = nn.Linear(size, 128)

    def forward(self, pitches):
        return self.out(self.rnn(self.embed(pitches))[0])
    ### END SOLUTION''',
    "scale": """\
# The C major scale from middle C (60) up to the next C
### BEGIN SOLUTION
scale = [60, 62, 64, 65, 67, 69, 71, 72]
### END SOLUTION""",
}

# The first of a task's two cells is visible; in the second, all or most of it is hidden.
TESTS = {
    "frequency": (
        """\
assert abs(frequency(69) - 440.0) < 1e-6, "A4 is 440 Hz"
assert abs(frequency(57) - 220) < 1e-6, "an octave lower is half the frequency\"""",
        """\
several = np.array([60, 69, 81])
assert np.shape(frequency(several)) == (3,), "three pitches in, three frequencies out"
### BEGIN HIDDEN TESTS
pitches = np.arange(21, 109)
expected = 440.0 * 2.0 ** ((pitches - 69) / 12)  # HIDDEN-7041
np.testing.assert_allclose(frequency(pitches), expected, rtol=1e-6)
assert np.allclose(frequency(60.5), 269.2918, atol=1e-3)
### END HIDDEN TESTS""",
    ),
    "transpose": (
        """\
up = [tuple(note) for note in transpose(melody, 2)]
assert up == [(0.0, 62), (1.0, 64), (1.5, 66), (2.0, 62)], f"two semitones up gave {up}\"""",
        """\
### BEGIN HIDDEN TESTS
from random import Random

def drawn(random, length):  # HIDDEN-7041
    return [(index / 2, random.randrange(40, 90)) for index in range(length)]

random = Random()
for length in (1, 5, 30):
    notes, shift = drawn(random, length), random.randrange(1, 12)
    moved = [tuple(note) for note in transpose(notes, shift)]
    assert moved == [(onset, pitch + shift) for onset, pitch in notes]
    assert [tuple(note) for note in transpose(moved, -shift)] == notes
### END HIDDEN TESTS""",
    ),
    "contour": (
        """\
assert contour([60, 62, 62, 59]) == "*URD", "up, repeat, down"
try:
    contour([])
except ValueError:
    pass
else:
    raise AssertionError("no pitches at all must be a ValueError")""",
        """\
### BEGIN HIDDEN TESTS
import pytest

for pitches, code in {(60,): "*", (48, 48, 50): "*RU", (70, 65, 66, 66, 2): "*DURD"}.items():
    assert contour(list(pitches)) == code, f"HIDDEN-7041 {pitches}"
with pytest.raises(ValueError):
    contour([])
assert len(contour(list(range(30, 90)))) == 60
### END HIDDEN TESTS""",
    ),
    "select": (
        """\
early = list(select(melody, lambda note: note[0] < 1.5))
assert [tuple(note) for note in early] == melody[:2], "only the notes before beat 1.5\"""",
        """\
### BEGIN HIDDEN TESTS
asked = []

def on_the_beat(note):
    asked.append(tuple(note))  # HIDDEN-7041
    return float(note[0]).is_integer()

notes = [(onset / 4, 60 + onset) for onset in range(23)]
chosen = [tuple(note) for note in select(notes, on_the_beat)]
assert chosen == [(float(beat), 60 + 4 * beat) for beat in range(6)]
assert asked == notes, "every note is asked for once, in order"
assert list(select([], on_the_beat)) == []
### END HIDDEN TESTS""",
    ),
    "Motif": (
        """\
motif = Motif([60, 64, 67])
assert list(motif.pitches) == [60, 64, 67]
assert len(motif) == 3, "three notes\"""",
        """\
### BEGIN HIDDEN TESTS
for pitches in ([72], [60, 64, 67], [50, 50, 49, 61]):
    motif = Motif(pitches)
    turned = motif.inverted()
    assert isinstance(turned, Motif), "HIDDEN-7041"
    assert list(turned.pitches) == [2 * pitches[0] - pitch for pitch in pitches]
    assert list(turned.inverted().pitches) == pitches
    assert list(motif.pitches) == pitches, "inverting makes a new motif"
    assert len(turned) == len(pitches)
### END HIDDEN TESTS""",
    ),
    "NextNote": (
        """\
model = NextNote(8)
logits = model(torch.zeros(2, 5, dtype=torch.long))
assert logits.shape == (2, 5, 128), f"(batch, time, 128), not {tuple(logits.shape)}\"""",
        """\
### BEGIN HIDDEN TESTS
model = NextNote(size=16)
model.eval()
early = torch.randint(128, (3, 9))
late = early.clone()
late[:, 6:] = (late[:, 6:] + 1) % 128  # HIDDEN-7041
with torch.no_grad():
    before, after = model(early), model(late)
assert torch.isfinite(before).all() and before.dtype.is_floating_point
assert torch.allclose(before[:, :6], after[:, :6], atol=1e-5), "it looks into the future"
assert not torch.allclose(before[:, 6:], after[:, 6:], atol=1e-5), "it doesn't hear the notes"
assert sum(weights.numel() for weights in model.parameters()) > 128
### END HIDDEN TESTS""",
    ),
    "scale": (
        """\
assert len(scale) == 8, "eight pitches, both Cs included"
assert scale[0] == 60""",
        """\
### BEGIN HIDDEN TESTS
assert np.array_equal(np.diff(scale), [2, 2, 1, 2, 2, 2, 1])  # HIDDEN-7041
assert sorted(set(scale)) == list(scale)
### END HIDDEN TESTS""",
    ),
}

QUESTION = """\
### BEGIN SOLUTION
The inversion goes down where the motif goes up (SOLUTION-5519).
### END SOLUTION"""


def cell(kind: str, name: str, source: str, **nbgrader: Any) -> dict[str, Any]:
    """Return one cell; keywords are nbgrader's metadata (grade_id is the cell's id)."""
    made = {"cell_type": kind, "id": name, "metadata": {}, "source": source}
    if kind == "code":
        made |= {"execution_count": None, "outputs": []}
    if nbgrader:
        mark = {"grade": False, "solution": False, "locked": False, "task": False}
        made["metadata"]["nbgrader"] = {**mark, "grade_id": name, "schema_version": 3, **nbgrader}
    return made


def source() -> dict[str, Any]:
    """Return the instructor's notebook."""
    cells = [
        cell("markdown", "title", "# A motif and what can be done with it"),
        cell("code", "setup", SETUP, locked=True),
        cell("code", "melody", MELODY),
    ]
    for number, task in enumerate(TASKS, 1):
        visible, hidden = TESTS[task]
        cells += [
            cell("markdown", f"task-{number}", f"## Task {number}: {task}\n\nWrite `{task}`."),
            cell("code", task, SOLUTIONS[task], solution=True),
            cell("code", f"{task}-visible", visible, grade=True, locked=True, points=1),
            cell("code", f"{task}-hidden", hidden, grade=True, locked=True, points=2),
        ]
    cells += [
        cell("markdown", "listen", "## Listening question\n\nWhat does the inversion do?"),
        cell("markdown", MANUAL, QUESTION, grade=True, solution=True, points=2),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {
        "kernelspec": kernel,
        "language_info": {"name": "python"},
        "mlmusic": {"grading": LIMITS},
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def source_bytes() -> bytes:
    """Return the instructor's notebook as the bytes of its file."""
    return (nbformat.v4.writes(nbformat.from_dict(source())) + "\n").encode()


def released(folder: Any) -> dict[str, Any]:
    """Return the exercise that students get, made by `mlmusic release` by way of a folder."""
    path = folder / f"{NAME}.ipynb"
    path.write_bytes(source_bytes())
    exercise = json.loads(released_text(path))
    for made in exercise["cells"]:  # as one string, which is easier to change
        made["source"] = "".join(made["source"])
    return exercise


def right_answer(task: str) -> str:
    """Return a right answer to a task, as a student would write it."""
    lines = SOLUTIONS[task].replace("  # SOLUTION-5519", "").splitlines()
    return "\n".join(line for line in lines if "### " not in line)
