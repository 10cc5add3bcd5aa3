"""Time cut into equal steps: the grid of voices × steps, and the piano roll."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlmusic.score.notes import DEFAULT_VELOCITY, HOLD, NOTE_DTYPE, REST, name_note

if TYPE_CHECKING:
    from mlmusic.score.core import Score

MAX_STEPS = 1_000_000
"""More steps than this (17 hours of sixteenths at 60 bpm) is a mistake, not music."""


def to_grid(score: Score, steps_per_quarter: int = 4, *, quantize: bool = False) -> np.ndarray:
    """Write a score as a grid of voices × steps.

    Parameters
    ----------
    score : Score
        At most one note at a time in each voice.
    steps_per_quarter : int
        4 gives sixteenth notes.
    quantize : bool
        Round onsets and ends to the nearest step (a note keeps at least one; of two that begin on
        one step, the longer is kept); otherwise a note off the grid is an error.

    Returns
    -------
    int16 array, shape (voices, steps)
        The pitch at the step where a note starts, `HOLD` while it sounds on, `REST` in silence.
        Row ``v`` is voice ``v``, so a voice without notes is a row of rests.

    Raises
    ------
    ValueError
        If a note is off the grid, or overlaps another one of its voice; the message names it.
    """
    _check_one_at_a_time(score)
    starts, stops = _steps(score, steps_per_quarter, quantize)
    notes = score.notes
    rows = int(notes["voice"].max(initial=0)) + 1
    grid = np.full((rows, int(stops.max(initial=0))), REST, np.int16)
    last: dict[int, int] = {}
    for i, (voice, start, stop) in enumerate(zip(notes["voice"], starts, stops, strict=True)):
        rival = last.get(voice, i)
        if starts[rival] == start and notes["duration"][rival] > notes["duration"][i]:
            continue
        last[voice] = i
        grid[voice, start] = notes["pitch"][i]
        grid[voice, start + 1 : stop] = HOLD
    return grid


def _check_one_at_a_time(score: Score) -> None:
    for voice in score.voices:
        notes = score.notes[score.notes["voice"] == voice]
        early = notes["onset"][1:] < (notes["onset"] + notes["duration"])[:-1] - 1e-9
        if early.any():
            raise ValueError(
                f"two notes of voice {voice} overlap ({name_note(notes, int(np.argmax(early)) + 1)}"
                " of that voice): a grid holds one note a voice"
            )


def from_grid(grid: np.ndarray, steps_per_quarter: int = 4) -> np.ndarray:
    """Read the notes of a grid of voices × steps, the inverse of `to_grid`.

    Parameters
    ----------
    grid : int array, shape (voices, steps) or (steps,)
        Pitches 0–127, `HOLD` and `REST`.
    steps_per_quarter : int
        4 reads the steps as sixteenth notes.

    Returns
    -------
    structured array of NOTE_DTYPE
        All with velocity 80.

    Raises
    ------
    ValueError
        If a cell is neither a pitch nor a code, or a hold has no note to hold.
    """
    grid = np.atleast_2d(np.asarray(grid))
    if grid.ndim != 2 or grid.dtype.kind not in "iu":
        raise ValueError(
            f"a grid is an integer array of voices × steps, not {grid.dtype} {grid.shape}"
        )
    _check_steps_per_quarter(steps_per_quarter)
    if len(grid) > 256:
        raise ValueError(f"a score has at most 256 voices, not {len(grid)}: voices × steps?")
    bad = (grid > 127) | (grid < REST)
    bad |= (grid == HOLD) & (np.roll(grid, 1, axis=1) == REST)  # nothing to hold after a rest
    bad[:, :1] |= grid[:, :1] == HOLD
    if bad.any():
        voice, step = np.argwhere(bad)[0]
        fault = "holds nothing" if grid[voice, step] == HOLD else "isn't a pitch, HOLD or REST"
        raise ValueError(f"cell {grid[voice, step]} {fault} (voice {voice}, step {step})")
    voice, start = np.nonzero(grid >= 0)
    # A note ends at the next cell of its voice that isn't HOLD, or at the end of the row.
    padded = np.append(grid, np.full((len(grid), 1), REST), axis=1)
    row, column = np.nonzero(padded != HOLD)
    width = padded.shape[1]
    nexts = np.searchsorted(row * width + column, voice * width + start, side="right")
    notes = np.zeros(len(start), NOTE_DTYPE)
    notes["onset"] = start / steps_per_quarter
    notes["duration"] = (column[nexts] - start) / steps_per_quarter
    notes["pitch"] = grid[voice, start]
    notes["velocity"] = DEFAULT_VELOCITY
    notes["voice"] = voice
    return notes


def to_pianoroll(score: Score, steps_per_quarter: int = 4, *, quantize: bool = False) -> np.ndarray:
    """Write a score as a piano roll: voices × (sounding, onsets) × pitches × steps.

    Parameters
    ----------
    score : Score
        Any number of notes at a time, but not one pitch twice in a voice.
    steps_per_quarter : int
        4 gives sixteenth notes.
    quantize : bool
        Round onsets and ends to the nearest step; otherwise a note off the grid is an error.

    Returns
    -------
    uint8 array, shape (voices, 2, 128, steps)
        ``[:, 0]`` holds the velocity while a note sounds, ``[:, 1]`` only where it starts, so
        that a note struck twice differs from one held. ``roll[:, 0].max(0)`` is the picture.

    Raises
    ------
    ValueError
        If a note is off the grid, or sounds while the same pitch of its voice still does.
    """
    starts, stops = _steps(score, steps_per_quarter, quantize)
    rows = int(score.notes["voice"].max(initial=0)) + 1
    roll = np.zeros((rows, 2, 128, int(stops.max(initial=0))), np.uint8)
    for i, note in enumerate(score.notes):
        sounding, onsets = roll[note["voice"], :, note["pitch"]]
        if sounding[starts[i] : stops[i]].any():
            raise ValueError(
                f"pitch {note['pitch']} of voice {note['voice']} is struck while it still sounds"
                f" ({name_note(score.notes, i)}): a piano roll can't hold that"
            )
        sounding[starts[i] : stops[i]] = note["velocity"]
        onsets[starts[i]] = note["velocity"]
    return roll


def from_pianoroll(roll: np.ndarray, steps_per_quarter: int = 4) -> np.ndarray:
    """Read the notes of a piano roll, the inverse of `to_pianoroll`.

    Parameters
    ----------
    roll : array, shape (voices, 2, 128, steps), (2, 128, steps) or (128, steps)
        Velocities 0–127, or booleans (velocity 80). Without the onset channel, neighbouring
        steps of one pitch are one note.
    steps_per_quarter : int
        4 reads the steps as sixteenth notes.

    Returns
    -------
    structured array of NOTE_DTYPE

    Raises
    ------
    ValueError
        If the shape or a velocity is impossible.
    """
    roll = np.asarray(roll)
    _check_steps_per_quarter(steps_per_quarter)
    if roll.dtype == bool:
        roll = roll * np.uint8(DEFAULT_VELOCITY)
    if roll.ndim == 2:
        onsets = roll * (np.diff(roll != 0, axis=1, prepend=False) & (roll != 0))
        roll = np.stack([roll, onsets])
    if roll.ndim == 3:
        roll = roll[None]
    if roll.ndim != 4 or roll.shape[1:3] != (2, 128) or roll.dtype.kind not in "iu":
        raise ValueError(
            "a piano roll is an integer array of shape (voices, 2, 128, steps), (2, 128, steps)"
            f" or (128, steps), not {roll.dtype} {roll.shape}"
        )
    if len(roll) > 256:
        raise ValueError(f"a score has at most 256 voices, not {len(roll)}")
    if roll.size and not (roll.min() >= 0 and roll.max() <= 127):
        raise ValueError(f"velocities lie in 0–127, not {roll.min()}–{roll.max()}")
    sounding, onsets = roll[:, 0] > 0, roll[:, 1] > 0
    if (onsets & ~sounding).any():
        voice, pitch, step = np.argwhere(onsets & ~sounding)[0]
        raise ValueError(f"an onset without sound (voice {voice}, pitch {pitch}, step {step})")
    # A note starts at each onset mark, or where sound begins without one.
    begins = sounding & (onsets | ~np.roll(sounding, 1, axis=2))
    begins[:, :, :1] = sounding[:, :, :1]
    voice, pitch, start = np.nonzero(begins)
    breaks = np.append(begins | ~sounding, np.ones((*sounding.shape[:2], 1), bool), axis=2)
    row, column = np.divmod(np.flatnonzero(breaks), breaks.shape[2])
    here = (voice * 128 + pitch) * breaks.shape[2] + start
    nexts = np.searchsorted(row * breaks.shape[2] + column, here, side="right")
    notes = np.zeros(len(start), NOTE_DTYPE)
    notes["onset"] = start / steps_per_quarter
    notes["duration"] = (column[nexts] - start) / steps_per_quarter
    notes["pitch"] = pitch
    notes["velocity"] = roll[voice, 0, pitch, start]
    notes["voice"] = voice
    return notes


def _steps(score: Score, steps_per_quarter: int, quantize: bool) -> tuple[np.ndarray, np.ndarray]:
    """First and one-past-last step of every note."""
    _check_steps_per_quarter(steps_per_quarter)
    exact = np.stack([score.notes["onset"], score.notes["onset"] + score.notes["duration"]])
    if score.duration * steps_per_quarter > MAX_STEPS:
        raise ValueError(f"{score.duration:.0f} quarter notes are too long for a grid of steps")
    exact = exact * steps_per_quarter
    steps = np.rint(exact).astype(np.int64)
    if not quantize:
        # A note shorter than the tolerance would be stretched to a step.
        off = (np.abs(exact - steps) > 1e-6).any(axis=0) | (steps[1] == steps[0])
        if off.any():
            i = int(np.argmax(off))
            raise ValueError(
                f"{name_note(score.notes, i)}, duration {score.notes['duration'][i]:.6g}, lies off"
                f" the grid of {steps_per_quarter} steps a quarter note;"
                " pass quantize=True to round it"
            )
    return steps[0], np.maximum(steps[1], steps[0] + 1)


def _check_steps_per_quarter(steps_per_quarter: int) -> None:
    if not (isinstance(steps_per_quarter, (int, np.integer)) and 1 <= steps_per_quarter <= 960):
        raise ValueError(f"steps_per_quarter must be a whole number 1–960: {steps_per_quarter!r}")
