"""From grids back to scores: what is rewritten, and what stays to the last detail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlmusic.score import HOLD, REST, Score
from mlmusic.score.notes import NOTE_DTYPE


def rewritten(
    score: Score, before: np.ndarray, after: np.ndarray, free: np.ndarray, low: int
) -> Score:
    """Write new symbols into a score.

    A note that lies wholly in fixed cells stays as it was, whatever is written beside it. One that
    reaches into free cells or out of them goes on sounding in its fixed ones: where the new
    pitch at the border is the same it's held across, otherwise it begins or ends there. A pitch
    that goes on inside is one note; where nothing has changed, it's struck again where it was.

    Parameters
    ----------
    score : Score
        Voices 0 to 3.
    before, after : (4, steps) int
        Its symbols, and the new ones: the same in fixed cells.
    free : (4, steps) bool
        What may differ.
    low : int
        MIDI pitch of symbol 1.

    Returns
    -------
    Score
        With new notes of the median velocity; syllables at which no note begins any longer are
        left out.
    """
    steps = free.shape[1]
    codes = np.full((4, steps), REST, np.int64)
    grid = score.to_grid(4, quantize=True)
    codes[: len(grid), : grid.shape[1]] = grid
    pitches = np.where(after > 0, after + low - 1, REST)
    goes_on = np.zeros(free.shape, bool)
    goes_on[:, 1:] = (after[:, 1:] == after[:, :-1]) & (after[:, 1:] > 0)
    was_held = codes == HOLD
    changed = before != after
    inside = free.copy()  # this cell and the one before it are free, and one of them is new
    inside[:, 1:] &= free[:, :-1] & (changed[:, 1:] | changed[:, :-1])
    inside[:, 0] = False
    new = np.where(goes_on & (was_held | inside), HOLD, pitches)

    touched, cells = _touched(score.notes, free)
    kept = np.array([not touched[cell].any() for cell in cells], bool)
    found = Score.from_grid(new).notes
    found = found[touched[found["voice"], np.rint(4 * found["onset"]).astype(int)]]
    found = found.astype(NOTE_DTYPE)
    if len(score):
        found["velocity"] = int(np.median(score.notes["velocity"]))
    notes = np.concatenate([score.notes[kept], found])
    notes = notes[np.lexsort((notes["pitch"], notes["voice"], notes["onset"]))]
    begun = {(int(n["voice"]), round(float(n["onset"]), 6)) for n in notes}
    lyrics = {
        voice: [entry for entry in line if (voice, round(float(entry[0]), 6)) in begun]
        for voice, line in score.lyrics.items()
    }
    return replace(score, notes=notes, lyrics=lyrics)


def _touched(notes: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, list]:
    """Add to the free cells those of all notes that reach into them; and list each note's cells.

    Notes off the grid may share a cell, so one may drag another one along.
    """
    first, last = 4 * notes["onset"], 4 * (notes["onset"] + notes["duration"])
    starts = np.minimum(np.floor(first + 1e-6), np.rint(first)).astype(int)
    stops = np.maximum(np.ceil(last - 1e-6), np.rint(first) + 1).astype(int)
    cells = [
        (int(voice), slice(start, stop))
        for voice, start, stop in zip(notes["voice"], starts, stops, strict=True)
    ]
    touched = free.copy()
    while True:
        reached = touched.copy()
        for cell in cells:
            if reached[cell].any():
                reached[cell] = True
        if (reached == touched).all():
            return touched, cells
        touched = reached
