"""What training hides: gaps of every kind that somebody may want to have filled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mlmusic.models.edit.model import UNKNOWN, MaskedChorale
from mlmusic.models.transformer.pieces import past
from mlmusic.models.transformer.windows import Windows
from mlmusic.score import Score

KINDS = {"everything": 0.4, "bars": 0.3, "voices": 0.2, "the rest": 0.1}
"""Where something is hidden, and how often."""

UNITS = {"cells": 0.3, "notes": 0.05, "beats": 0.05, "all": 0.6}
"""What is hidden there as a whole, and how often."""

Gap = tuple[Tensor, Tensor, Tensor]
"""Grids (batch, 4, time) with `outside` after the end; what is hidden there; phases."""


def region(grid: np.ndarray, rng: np.random.Generator, kind: str) -> np.ndarray:
    """Draw where something may be hidden: (4, time) bool.

    "bars" are 4 to 64 steps, half of the time of all voices and else of some; "voices" are one to
    three whole ones, half of the time all but the soprano: a melody to harmonise; "the rest" is
    all after a step.
    """
    time = grid.shape[1]
    chosen = np.zeros(grid.shape, bool)
    if kind == "everything":
        chosen[:] = True
    elif kind == "bars":
        length = min(time, 4 * int(rng.integers(1, 17)))
        first = int(rng.integers(0, time - length + 1))
        voices = rng.permutation(4)[: rng.integers(1, 4) if rng.random() < 0.5 else 4]
        chosen[voices, first : first + length] = True
    elif kind == "voices":
        voices = rng.permutation(4)[: rng.integers(1, 4)] if rng.random() < 0.5 else [1, 2, 3]
        chosen[voices] = True
    else:
        chosen[:, int(rng.integers(0, time)) :] = True
    return chosen


def hidden(grid: np.ndarray, rng: np.random.Generator, there: np.ndarray, unit: str) -> np.ndarray:
    """Hide some units of a region: any number of them is as likely as any other.

    Parameters
    ----------
    grid : (4, time) int
        Symbols.
    rng : np.random.Generator
    there : (4, time) bool
        The region.
    unit : {"cells", "notes", "beats", "all"}
        A beat is four steps of one voice.

    Returns
    -------
    (4, time) bool
        At least one unit.
    """
    if unit == "all":
        return there
    place = np.arange(grid.shape[1])
    if unit == "cells":
        number = np.broadcast_to(place, grid.shape)
    elif unit == "beats":
        number = np.broadcast_to((place + rng.integers(4)) // 4, grid.shape)
    else:
        number = np.cumsum(np.diff(grid, axis=1, prepend=grid[:, :1]) != 0, axis=1)
    number = number + grid.shape[1] * 2 * np.arange(4)[:, None]  # other voices, other units
    units = np.unique(number[there])
    drawn = rng.choice(units, rng.integers(1, len(units) + 1), replace=False)
    return there & np.isin(number, drawn)


class Gaps:
    """Windows of chorales in which something is hidden: `batch` gives the same for one step.

    Parameters
    ----------
    model : MaskedChorale
    scores : sequence of Score
    size : int
        How many windows make a batch.
    unknown : float
        Share of windows that don't tell where in the bar they are.
    seed : int
    **options
        Of `mlmusic.models.transformer.windows.Windows`: ``context``, ``transposed``, ``reach``.
    """

    def __init__(
        self,
        model: MaskedChorale,
        scores: Sequence[Score],
        *,
        size: int = 16,
        unknown: float = 0.2,
        seed: int = 0,
        **options: object,
    ):
        pieces, places = zip(*map(model.grid, scores), strict=True)
        pieces = [piece.T for piece in pieces]
        self.windows = Windows(_Frame(model), pieces, size=size, seed=seed, **options)
        self.windows.pasts = [
            seen._replace(phase=place)
            for seen, place in zip(self.windows.pasts, places, strict=True)
        ]
        self.outside, self.unknown, self.seed, self.size = model.outside, unknown, seed, size

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Gap:
        """Draw the gaps of a step, or of ``world`` equal parts the one with number ``rank``."""
        notes, seen = self.windows.batch(step, rank, world)
        grids = notes.transpose(1, 2).contiguous()  # (batch, 4, time), -1 after the end
        rng = np.random.default_rng((self.seed, step, rank, 8))
        masks = np.zeros(grids.shape, bool)
        phase = seen.phase.clone()
        for i, grid in enumerate(grids.numpy()):
            length = int((grid[0] >= 0).sum())
            here = grid[:, :length]
            there = region(here, rng, rng.choice(list(KINDS), p=list(KINDS.values())))
            unit = rng.choice(list(UNITS), p=list(UNITS.values()))
            masks[i, :, :length] = hidden(here, rng, there, unit)
            if rng.random() < self.unknown:
                phase[i] = UNKNOWN
        grids = torch.where(grids < 0, self.outside, grids)
        return grids, torch.from_numpy(masks), phase


class _Frame:
    """What `Windows` asks a model for."""

    def __init__(self, model: MaskedChorale):
        self.context, self.pitches = model.context, model.pitches

    def past(self, notes: Tensor):
        return past(notes, self.pitches)


IN_TIME = 0.7
"""How much the loss from left to right counts in `both_losses`."""


def gap_loss(model: nn.Module, gap: Gap) -> tuple[Tensor, Tensor]:
    """Return the sum of the gaps' losses in any order, and how many there are.

    A gap's loss is the mean of ``-log p`` over its hidden cells, each as if it were the next one.
    Where any number of cells is as likely hidden as any other, and any cells of that number, this
    is an unbiased estimate of the order-agnostic loss per cell (Hoogeboom et al., equation 6). Gaps
    as `Gaps` mixes them, of bars, voices and whole notes, weight contexts otherwise: those that
    are asked for in editing count more. It doesn't teach the model to write from left to right:
    `both_losses` does.
    """
    grids, masks, phase = gap
    mask = getattr(model, "module", model).mask
    logits = model(torch.where(masks, mask, grids), phase, masks)
    return _by_gap(logits, grids, masks), torch.tensor(len(grids), device=grids.device)


def both_losses(model: nn.Module, gap: Gap) -> tuple[Tensor, Tensor]:
    """Return the sum of the gaps' losses in any order and from left to right, and how many.

    The first is that of `gap_loss`, the other the mean of ``-log p`` over all hidden cells of the
    batch, given also the hidden ones before them; `IN_TIME` weights them.
    """
    grids, masks, phase = gap
    any_order, in_time = model(grids, phase, masks, both=True)
    in_time = nn.functional.cross_entropy(in_time.float(), grids[masks])
    total = (1 - IN_TIME) * _by_gap(any_order, grids, masks) + IN_TIME * len(grids) * in_time
    return total, torch.tensor(len(grids), device=grids.device)


def _by_gap(logits: Tensor, grids: Tensor, masks: Tensor) -> Tensor:
    """Add up the mean losses of gaps."""
    loss = nn.functional.cross_entropy(logits.float(), grids[masks], reduction="none")
    share = 1 / masks.flatten(1).sum(1)
    return (loss * share[masks.nonzero()[:, 0]]).sum()
