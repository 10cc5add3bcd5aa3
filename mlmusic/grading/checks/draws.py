"""Music drawn anew: scores, rows of a grid, tokens."""

from __future__ import annotations

import numpy as np

from mlmusic.score import HOLD, REST, Score


def draw_score(
    rng: np.random.Generator,
    notes: int = 12,
    *,
    voices: int = 1,
    low: int = 48,
    high: int = 84,
    step: float = 0.5,
    rests: bool = True,
) -> Score:
    """Draw a score whose voices sing one note at a time.

    Parameters
    ----------
    rng : numpy.random.Generator
        What it is drawn from: the same generator, the same score.
    notes : int
        Notes in each voice.
    voices : int
        How many voices, numbered from 0; each has a program, never 0.
    low, high : int
        The lowest and the highest MIDI pitch.
    step : float
        Onsets and durations are multiples of it, in quarter notes: durations of 1 to 4 steps.
    rests : bool
        Whether there are rests between notes. Voice 0 begins at 0 in any case.

    Returns
    -------
    Score
        Velocities from 40 to 100, a tempo of 60 to 160 and, for each voice, a program.

    Raises
    ------
    ValueError
        If there is nothing to draw, or the pitches aren't MIDI's.

    Examples
    --------
    >>> len(draw_score(np.random.default_rng(1), notes=5, voices=2))
    10
    """
    if notes < 1 or voices < 1 or step <= 0:
        raise ValueError("a score needs at least one note, one voice and a step above 0")
    if not 0 <= low <= high <= 127:
        raise ValueError(f"pitches {low} to {high} aren't within MIDI's 0–127")
    drawn = []
    for voice in range(voices):
        steps = rng.integers(1, 5, notes)
        waits = rng.integers(1, 4, notes) * (rng.random(notes) < 0.3) * rests
        waits[0] = waits[0] if voice else 0
        onsets = np.cumsum(waits + np.concatenate([[0], steps[:-1]]))
        pitches = rng.integers(low, high + 1, notes)
        velocities = rng.integers(40, 101, notes)
        for onset, length, pitch, velocity in zip(onsets, steps, pitches, velocities, strict=True):
            drawn.append((onset * step, length * step, int(pitch), int(velocity), voice))
    programs = {voice: int(rng.integers(1, 128)) for voice in range(voices)}
    return Score(drawn, tempo=[(0, int(rng.integers(60, 161)))], programs=programs)


def draw_row(
    rng: np.random.Generator, steps: int = 32, *, low: int = 48, high: int = 84
) -> np.ndarray:
    """Draw one row of a grid: pitches, ``HOLD`` while a note sounds on, ``REST``.

    Parameters
    ----------
    rng : numpy.random.Generator
        What it is drawn from.
    steps : int
        How many cells.
    low, high : int
        The lowest and the highest MIDI pitch.

    Returns
    -------
    int array, shape (steps,)
        A row that is possible: it never begins with HOLD, nor does HOLD follow REST.

    Raises
    ------
    ValueError
        If there are no steps, or the pitches aren't MIDI's.
    """
    if steps < 1:
        raise ValueError("a row needs at least one step")
    if not 0 <= low <= high <= 127:
        raise ValueError(f"pitches {low} to {high} aren't within MIDI's 0–127")
    row: list[int] = []
    while len(row) < steps:
        length = int(rng.integers(1, 5))
        if rng.random() < 0.25:
            row += [REST] * length
        else:
            row += [int(rng.integers(low, high + 1))] + [HOLD] * (length - 1)
    return np.array(row[:steps], dtype=int)


def draw_tokens(
    rng: np.random.Generator, length: int, vocabulary: int, *, first: int = 0
) -> np.ndarray:
    """Draw a sequence of token ids.

    Parameters
    ----------
    rng : numpy.random.Generator
        What it is drawn from.
    length : int
        How many tokens.
    vocabulary : int
        Ids are below this number.
    first : int
        The lowest id: 3, say, where 0 to 2 are padding, start and end.

    Returns
    -------
    int64 array, shape (length,)
        The ids.

    Raises
    ------
    ValueError
        If there are no tokens to choose from.
    """
    if not 0 <= first < vocabulary or length < 0:
        raise ValueError(f"no {length} tokens from {first} to below {vocabulary}")
    return rng.integers(first, vocabulary, length)
