"""Windows of chorales to train on, in every key that the voices reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mlmusic.models.transformer.chorale import ChoraleModel
from mlmusic.models.transformer.pieces import VOICES, Past, transposed

Window = tuple[Tensor, Past]
"""Symbols (batch, steps, 4), -1 after a piece's end, and what is known before each step."""


class Windows:
    """Windows drawn from pieces: `batch` gives the same for the same step.

    A piece is drawn by its length, transposed by any interval that keeps each voice within what
    that voice sings somewhere in these pieces. One that is longer than the context is cut out of
    anywhere; its beginning and its end are drawn more often, as they have fewer windows.

    Parameters
    ----------
    model : ChoraleModel
        For which the windows are: its range and bar.
    pieces : sequence of (steps, 4) int64
        Symbols.
    size : int
        How many windows make a batch.
    context : int, optional
        Steps of a window; by default the model's context.
    transposed : bool
    reach : int
        In half of the windows, voices needn't stay where they sing: any interval of at most so
        many semitones that the model's range allows. So it knows all keys; 0 leaves this out.
    seed : int

    Raises
    ------
    ValueError
        If a number is impossible or there is no piece.
    """

    def __init__(
        self,
        model: ChoraleModel,
        pieces: Sequence[Tensor],
        *,
        size: int = 16,
        context: int | None = None,
        transposed: bool = True,
        reach: int = 0,
        seed: int = 0,
    ):
        self.context = model.context if context is None else context
        if not len(pieces) or size < 1 or self.context < 2:
            raise ValueError("windows need a piece, a size of 1 or more and 2 steps or more")
        self.pieces, self.size, self.seed = list(pieces), size, seed
        self.pasts = [model.past(piece) for piece in pieces]
        self.pitches = model.pitches
        whole = torch.cat(self.pieces)
        sung = [whole[:, v][whole[:, v] > 0] for v in range(4)]
        self.shifts = [(_shifts(piece, sung) if transposed else (0, 0)) for piece in self.pieces]
        everything = [torch.tensor([1, model.pitches])] * 4
        self.wider = [
            (max(-reach, low), min(reach, high))
            for low, high in (_shifts(piece, everything) for piece in self.pieces)
        ]
        self.reach = reach
        lengths = np.array([len(piece) for piece in self.pieces], float)
        self.shares = lengths / lengths.sum()

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Window:
        """Draw the windows of a step, or of ``world`` equal parts the one with number ``rank``.

        Raises
        ------
        ValueError
            If the batch can't be cut into so many equal parts.
        """
        if self.size % world:
            raise ValueError(f"{self.size} windows can't be shared evenly by {world} processes")
        rng = np.random.default_rng((self.seed, step))
        drawn = [
            self._window(i, rng) for i in rng.choice(len(self.pieces), self.size, p=self.shares)
        ]
        part = drawn[rank * (self.size // world) : (rank + 1) * (self.size // world)]
        notes = torch.stack([notes for notes, _ in part])
        return notes, Past(*map(torch.stack, zip(*(seen for _, seen in part), strict=True)))

    def _window(self, i: int, rng: np.random.Generator) -> Window:
        piece, seen, context = self.pieces[i], self.pasts[i], self.context
        wide = self.reach and rng.random() < 0.5
        low, high = self.wider[i] if wide else self.shifts[i]
        shift = int(rng.integers(low, high + 1))
        spare = len(piece) - context
        first = int(rng.integers(-context // 4, spare + context // 4 + 1)) if spare > 0 else 0
        first = max(0, min(first, spare))
        last = min(len(piece), first + context)
        fill = context - (last - first)
        notes = transposed(piece[first:last], shift, self.pitches)
        seen = seen.window(first, last).transposed(shift, self.pitches)
        pad = nn.functional.pad
        filled = {name: pad(getattr(seen, name), (0, 0, 0, fill)) for name in VOICES}
        seen = seen._replace(phase=pad(seen.phase, (0, fill)), **filled)
        return pad(notes, (0, 0, 0, fill), value=-1), seen


def _shifts(piece: Tensor, sung: list[Tensor]) -> tuple[int, int]:
    """By how many semitones a piece may go down and up."""
    down, up = -127, 127
    for v in range(4):
        notes = piece[:, v][piece[:, v] > 0]
        if len(notes):
            down = max(down, int(sung[v].min() - notes.min()))
            up = min(up, int(sung[v].max() - notes.max()))
    return down, up


def note_loss(model: nn.Module, window: Window) -> tuple[Tensor, Tensor]:
    """Return the sum of ``-log p`` over the notes of windows, and how many there are."""
    notes, seen = window
    logits = model(notes.clamp(min=0), seen)
    loss = nn.functional.cross_entropy(
        logits.float().flatten(0, -2), notes.flatten(), ignore_index=-1, reduction="sum"
    )
    return loss, (notes >= 0).sum()
