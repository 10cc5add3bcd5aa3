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

    A note that lies wholly in fixed cells stays as it was, whatever is written beside it. In free
    cells a pitch that goes on is one note, for the symbols don't say where it would be struck
    again: how the score's own notes were repeated there plays no part. Where free cells border on
    fixed ones, a note that lay across is held on if its pitch is still the same on both sides, and
    otherwise begins or ends there; two notes stay two.

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
        With new notes of the fixed ones' median velocity (of all, if none is fixed); syllables at
        which no note begins any longer are left out.

    Raises
    ------
    ValueError
        If a fixed cell has a new symbol.
    """
    if (before != after)[~free].any():
        raise ValueError("there are new symbols in cells that aren't free")
    steps = free.shape[1]
    codes = np.full((4, steps), REST, np.int64)
    grid = score.to_grid(4, quantize=True)
    codes[: len(grid), : grid.shape[1]] = grid
    held = codes == HOLD
    held[:, 1:] |= free[:, 1:] & free[:, :-1]
    goes_on = (after > 0) & (after == np.pad(after, ((0, 0), (1, 0)))[:, :-1])
    new = np.where(after > 0, after + low - 1, REST)
    new[held & goes_on] = HOLD

    touched, cells = _touched(score.notes, free)
    kept = np.array([not touched[cell].any() for cell in cells], bool)
    found = Score.from_grid(new).notes
    found = found[touched[found["voice"], np.rint(4 * found["onset"]).astype(int)]]
    found = found.astype(NOTE_DTYPE)
    if len(score):
        found["velocity"] = int(np.median(score.notes["velocity"][kept if kept.any() else ...]))
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
    starts, stops = np.floor(first + 1e-6).astype(int), np.ceil(last - 1e-6).astype(int)
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
