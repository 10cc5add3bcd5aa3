"""The course's opening: four bars that every generative chapter continues."""

from __future__ import annotations

from mlmusic.score import Score

BARS = 4

# Ours, written for this course. G major, 4/4, D4 to G5, nothing shorter than an eighth: a fiddle, a
# soprano, a grid of eighths and one of sixteenths can all take it. It ends on the dominant, open.
_NOTES = """
    G4 1    B4 1/2  D5 1/2  E5 1/2  D5 1/2  B4 1
    C5 1/2  B4 1/2  A4 1/2  G4 1/2  A4 1    D4 1
    G4 1    B4 1/2  D5 1/2  G5 1/2  F♯5 1/2  E5 1
    D5 1/2  B4 1/2  C5 1/2  A4 1/2  B4 1    A4 1
"""
_PITCHES = {
    "D4": 62,
    "G4": 67,
    "A4": 69,
    "B4": 71,
    "C5": 72,
    "D5": 74,
    "E5": 76,
    "F♯5": 78,
    "G5": 79,
}


def prompt() -> Score:
    """Return the four-bar opening that all generative chapters continue.

    Written for this course, so it may be shared freely; it is in no data set. G major, 4/4, one
    voice on a violin (program 40), 24 notes from D4 to G5 in eighths and quarters, 16 quarter
    notes long, ending on the dominant's fifth, so that it asks to be continued.

    Examples
    --------
    >>> from mlmusic.prompt import prompt
    >>> prompt()
    Score('the opening', 24 notes, 1 voice, 4 bars)
    """
    words = _NOTES.split()
    notes, onset = [], 0.0
    for name, length in zip(words[::2], words[1::2], strict=True):
        duration = 0.5 if length == "1/2" else float(length)
        notes.append((onset, duration, _PITCHES[name]))
        onset += duration
    return Score(
        notes,
        tempo=[(0.0, 160.0)],
        metre=[(0.0, 4, 4)],
        key=[(0.0, 1, "major")],
        programs={0: 40},
        title="the opening",
    )
