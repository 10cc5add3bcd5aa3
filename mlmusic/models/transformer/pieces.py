"""Chorales as tables of symbols, and what is known of the past at each step.

A piece is a table of symbols, (steps, 4): soprano, alto, tenor, bass at each sixteenth. Symbol 0 is
silence, symbol s the MIDI pitch ``low + s - 1``. A note that sounds on is written again at each
step, as in the published JSB chorales, so a repeated note can't be told from a held one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mlmusic.models.transformer.echo import Memory, echoes
from mlmusic.score import HOLD, REST, Score
from mlmusic.tokens.base import last_change, refuse_range

OLDEST = 32
"""Notes held for longer count as held for so many steps: two bars."""


class Past(NamedTuple):
    """What is known of the past at each step, (…, steps, 4) but for the phase.

    Attributes
    ----------
    previous : int64
        Symbols of the step before; ``symbols`` (one more than the last) before the first.
    age : int64
        For how many steps these have sounded, 0 before the first, at most `OLDEST`.
    move : int64
        By how many semitones they were reached, plus ``pitches``; exactly that if from silence or
        nothing.
    phase : int64, (…, steps)
        Step of the bar, where the first step of a piece is 0.
    echo, trust : int64
        What followed when the last passage was heard before in this piece, ``pitches + 1`` for
        nothing, and how much that says: see `mlmusic.models.transformer.echo`.
    """

    previous: Tensor
    age: Tensor
    move: Tensor
    phase: Tensor
    echo: Tensor
    trust: Tensor

    def window(self, first: int, last: int) -> Past:
        """Cut out some steps."""
        return self._replace(
            phase=self.phase[..., first:last],
            **{name: getattr(self, name)[..., first:last, :] for name in VOICES},
        )

    def transposed(self, shift: int, pitches: int) -> Past:
        """Shift what is known of pitches by semitones."""
        return self._replace(
            previous=transposed(self.previous, shift, pitches),
            echo=transposed(self.echo, shift, pitches),
        )


VOICES = ("previous", "age", "move", "echo", "trust")
"""What is known of each voice."""


def following(
    seen: Past, notes: Tensor, pitches: int, bar: int = 16, memory: Memory | None = None
) -> Past:
    """Tell what is known before the next step: `past` of one step more, from that of the last.

    Parameters
    ----------
    seen : Past
        Of one step.
    notes : (…, 1, 4) int64
        Its symbols.
    memory : Memory, optional
        Of all steps before it: without, nothing is known of echoes.
    """
    before = seen.previous
    same = notes == before
    reached = torch.where((notes > 0) & (before > 0) & (before <= pitches), notes - before, 0)
    return Past(
        notes,
        torch.where(same, seen.age + 1, 1).clamp(max=OLDEST),
        torch.where(same, seen.move, reached + pitches),
        (seen.phase + 1) % bar,
        *_heard(notes, None if memory is None else memory.add(notes[..., 0, :]), pitches),
    )


def _heard(
    notes: Tensor, found: tuple[Tensor, Tensor] | None, pitches: int
) -> tuple[Tensor, Tensor]:
    """Bring what a memory said into the form of `Past`."""
    if found is None:
        return torch.full_like(notes, pitches + 1), torch.zeros_like(notes)
    echo, trust = (part.view(notes.shape) for part in found)
    return torch.where(echo < 0, pitches + 1, echo), trust


def transposed(notes: Tensor, shift: int, pitches: int) -> Tensor:
    """Shift pitches by semitones, as far as they go; silence and "nothing yet" stay."""
    sounds = (notes > 0) & (notes <= pitches)
    return torch.where(sounds, (notes + shift).clamp(1, pitches), notes)


def symbols(score: Score, *, low: int = 36, high: int = 81) -> Tensor:
    """Write a chorale as symbols.

    Parameters
    ----------
    score : Score
        Voices 0 to 3, soprano to bass. Notes off the grid of sixteenths go to the nearest step.
    low, high : int
        MIDI range of the symbols.

    Returns
    -------
    (steps, 4) int64

    Raises
    ------
    ValueError
        If there is no note, a voice too many, or a pitch outside the range.
    """
    refuse_range(score.notes, low, high)
    if not len(score) or max(score.voices) > 3:
        raise ValueError(f"a chorale has notes in voices 0–3, not in {score.voices}")
    grid = score.to_grid(4, quantize=True)
    whole = np.full((4, grid.shape[1]), REST, np.int64)
    whole[: len(grid)] = grid
    whole = np.take_along_axis(whole, last_change(whole), axis=1)  # what sounds
    return torch.from_numpy(np.where(whole >= 0, whole - low + 1, 0).T.copy())


def to_score(notes: Tensor | np.ndarray, *, low: int = 36, **fields: Any) -> Score:
    """Read a chorale from symbols: a pitch that goes on is one note.

    Parameters
    ----------
    notes : (steps, 4) int
    low : int
        As in `symbols`.
    **fields
        Tempo, metre, title … of the score.

    Raises
    ------
    ValueError
        If the shape is another, or a symbol is no pitch.
    """
    notes = np.asarray(notes)
    if notes.ndim != 2 or notes.shape[1] != 4 or notes.dtype.kind not in "iu":
        raise ValueError(f"symbols must be whole numbers of shape (steps, 4), not {notes.shape}")
    if notes.size and (notes.min() < 0 or notes.max() + low - 1 > 127):
        raise ValueError(f"symbols must be 0–{128 - low}, not {notes.min()}–{notes.max()}")
    grid = np.where(notes > 0, notes + low - 1, REST).T  # (4, steps)
    again = np.zeros(grid.shape, bool)
    again[:, 1:] = (grid[:, 1:] == grid[:, :-1]) & (grid[:, 1:] != REST)
    return Score.from_grid(np.where(again, HOLD, grid), **fields)


def past(notes: Tensor, pitches: int, bar: int = 16, echo: bool = False) -> Past:
    """Tell what is known before each step of whole pieces.

    Parameters
    ----------
    notes : (…, steps, 4) int64
        Symbols.
    pitches : int
        How many there are; ``pitches + 1`` symbols with silence.
    bar : int
        Steps of a bar: four beats.
    echo : bool
        Whether to look for passages that were heard before; otherwise nothing is known of them.
    """
    steps = notes.shape[-2]
    place = torch.arange(steps, device=notes.device)[:, None]
    before = torch.cat([torch.full_like(notes[..., :1, :], pitches + 1), notes[..., :-1, :]], -2)
    changed = notes != before
    since = torch.where(changed, place, 0).cummax(dim=-2).values  # when the note began
    reached = torch.where((notes > 0) & (before > 0) & (before <= pitches), notes - before, 0)
    reached = reached.gather(-2, since)
    age = (place - since + 1).clamp(max=OLDEST)
    zeros = torch.zeros_like(notes[..., :1, :])
    return Past(
        before,
        torch.cat([zeros, age[..., :-1, :]], -2),
        torch.cat([zeros, reached[..., :-1, :]], -2) + pitches,
        (place[:, 0] % bar).expand(notes.shape[:-1]),
        *_heard(notes, echoes(notes, bar // 4) if echo else None, pitches),
    )
