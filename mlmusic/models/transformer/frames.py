"""Chorales as frames of a quarter note, the older unit in which results are published.

A frame is the set of pitches that sound on the beat, one to four of them or none. `ChoraleModel`
takes its pitches from the highest down for its four voices, with silence for those that are
missing. Each set has one such spelling, so what the model gives it is at most the set's likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mlmusic.score import Score
from mlmusic.tokens.base import last_change

LOW, HIGH = 36, 102
"""MIDI range of the symbols: the quarter-note file lies higher than the sixteenths', 43 to 96."""


def frame_symbols(frames: Sequence[Sequence[int]], *, low: int = LOW, high: int = HIGH) -> Tensor:
    """Write frames as symbols: (frames, 4) int64, 0 for none.

    Raises
    ------
    ValueError
        If there is no frame, one has more than four pitches, or a pitch is out of range.
    """
    if not len(frames):
        raise ValueError("there is no frame")
    rows = np.zeros((len(frames), 4), np.int64)
    for i, frame in enumerate(frames):
        pitches = sorted(set(frame), reverse=True)
        if len(pitches) > 4 or (pitches and not low <= pitches[-1] <= pitches[0] <= high):
            raise ValueError(
                f"frame {i} must have at most four pitches from {low} to {high}, not {pitches}"
            )
        rows[i, : len(pitches)] = np.array(pitches, np.int64) - low + 1
    return torch.from_numpy(rows)


def frames_of(score: Score) -> list[tuple[int, ...]]:
    """List what sounds on each quarter note of a score: pitches, ascending.

    Raises
    ------
    ValueError
        If the score has two notes at a time in a voice.
    """
    grid = score.to_grid(4, quantize=True)
    sounding = np.take_along_axis(grid, last_change(grid), axis=1) if grid.size else grid
    beats = sounding[:, ::4].T
    return [tuple(sorted({int(pitch) for pitch in beat if pitch >= 0})) for beat in beats]
