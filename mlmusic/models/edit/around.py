"""What is known around each cell of a grid: the nearest notes, how far, how old, how reached."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

FAR = 32
"""Steps: what is further away, or has been held for longer, counts as so much."""


class Side(NamedTuple):
    """What is known on one side of each cell, in its own voice: (batch, 4, time) int64 each.

    Attributes
    ----------
    note : int64
        Symbol of the nearest known note; 0 where there is none.
    away : int64
        How many steps away it is, at most `FAR`; one more where there is none.
    age : int64
        For how many steps, at most `FAR`, it is known to sound there without a break.
    move : int64
        By how many semitones the note beyond it is exceeded, plus ``pitches``; exactly that if
        there is none or it isn't known.
    """

    note: Tensor
    away: Tensor
    age: Tensor
    move: Tensor

    def at(self, first: int, last: int) -> Side:
        """Cut out some steps."""
        return Side(*(part[..., first:last] for part in self))


def before(grid: Tensor, pitches: int) -> Side:
    """Tell what is known before each cell of grids (batch, 4, time).

    Parameters
    ----------
    grid : (batch, 4, time) int64
        Symbols: 1 to ``pitches`` are notes, those above say that nothing is known.
    pitches : int
    """
    place = torch.arange(grid.shape[-1], device=grid.device)
    sounds = (grid > 0) & (grid <= pitches)
    prior = functional.pad(grid, (1, -1), value=pitches + 1)
    since = torch.where(grid != prior, place, 0).cummax(-1).values  # when the note began
    known = sounds & (prior > 0) & (prior <= pitches)
    reached = torch.where(known, grid - prior, 0).gather(-1, since) + pitches
    last = torch.where(sounds, place, -1).cummax(-1).values
    last = functional.pad(last, (1, -1), value=-1)  # before this cell
    there, some = last.clamp(min=0), last >= 0
    return Side(
        torch.where(some, grid.gather(-1, there), 0),
        torch.where(some, (place - last).clamp(max=FAR), FAR + 1),
        torch.where(some, (there - since.gather(-1, there) + 1).clamp(max=FAR), 0),
        torch.where(some, reached.gather(-1, there), pitches),
    )


def after(grid: Tensor, pitches: int) -> Side:
    """Tell what is known after each cell: `before` with time turned round."""
    return Side(*(part.flip(-1) for part in before(grid.flip(-1), pitches)))


def spaces(notes: Tensor, pitches: int) -> Tensor:
    """Tell how far each voice is above the next one, and the bass above the soprano.

    Parameters
    ----------
    notes : (batch, 4, time) int64
        Symbols.
    pitches : int

    Returns
    -------
    (batch, 4, time) int64
        Semitones plus ``pitches``; ``2 pitches + 1`` where one of them isn't known.
    """
    sounds = (notes > 0) & (notes <= pitches)
    below = notes.roll(-1, dims=1)
    return torch.where(sounds & sounds.roll(-1, dims=1), notes - below + pitches, 2 * pitches + 1)
