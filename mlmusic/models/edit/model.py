"""Four voices with gaps: a model that scores every hidden note, given all that isn't hidden.

It reads a grid of symbols in which some cells are masked and, unlike chapter 06's model, looks both
ways. Trained on every kind of gap it is an order-agnostic autoregressive model (Uria et al., *A
deep and tractable density estimator*, 2014), which is the same as absorbing discrete diffusion
(Austin et al., *Structured denoising diffusion models in discrete state-spaces*, 2021; Hoogeboom et
al., *Autoregressive diffusion models*, 2022). For chorales it was first used in Coconet (Huang et
al., *Counterpoint by convolution*, 2017), with convolutions instead of attention.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mlmusic.models.transformer.attention import Dropout, SelfAttention, Trunk, Turns, start
from mlmusic.models.transformer.pieces import symbols
from mlmusic.score import Score

PHASES = {(4, 4): 0, (3, 4): 16}
"""Where the sixteenths of each metre's bar begin among the phases; others are unknown."""

UNKNOWN = 28
"""Phase of a step whose place in the bar isn't known."""

FAR = 32
"""Notes that are further away than so many steps count as so far."""


class BothWays(SelfAttention):
    """Self-attention in which each position looks at all, before it and after it."""

    def forward(self, x: Tensor, cache: None = None, turns: Turns | None = None):
        """Map (batch, time, width) to the same shape."""
        q, k, v = self.split(x, turns)
        dtype = q.dtype
        if q.device.type == "cpu":  # in bfloat16 it would be slower there
            q, k, v = q.float(), k.float(), v.float()
        with torch.autocast(q.device.type, enabled=False):
            y = functional.scaled_dot_product_attention(q, k, v).to(dtype)
        return self.mix(y.transpose(1, 2).flatten(2)), cache


class MaskedChorale(nn.Module):
    """Score each masked symbol of four voices, given all that aren't masked.

    A symbol is silence (0) or a pitch (from 1 on, MIDI ``low + symbol - 1``) at each sixteenth, as
    in `mlmusic.models.transformer.pieces`: a note that sounds on is written again at each step.

    One position a sixteenth: what is seen of the four voices is added up, and each voice has a head
    of its own. A pitch's score is also that of its distance from the nearest known notes: of its
    voice before and after, and of the other voices at this step.

    Parameters
    ----------
    low, high : int
        MIDI range of all voices.
    width, layers, heads : int
        Of the trunk.
    dropout : float
    context : int
        How many steps it was trained to see at once.

    Attributes
    ----------
    config : dict
        The parameters above: ``MaskedChorale(**config)`` is the same architecture.
    pitches, symbols : int
        How many pitches there are; how many symbols: pitches and silence.
    mask, outside : int
        What stands in a grid for a symbol that is hidden, and for what lies after the end.
    """

    def __init__(
        self,
        *,
        low: int = 33,
        high: int = 84,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.1,
        context: int = 128,
    ):
        super().__init__()
        if not 0 <= low <= high <= 127:
            raise ValueError(f"pitches must run from low to high within 0–127, not {low}–{high}")
        if layers < 1 or context < 2:
            raise ValueError(f"layers must be 1 or more and context 2, not {layers} and {context}")
        self.config = {
            "low": low,
            "high": high,
            "width": width,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
            "context": context,
        }
        self.low, self.context = low, context
        self.pitches = high - low + 1
        self.symbols = self.pitches + 1
        self.mask, self.outside = self.symbols, self.symbols + 1
        # One table for all that is seen: phase; symbols; how far the known notes are.
        sizes = [UNKNOWN + 1] + 4 * [self.symbols + 2] + 8 * [FAR + 2]
        self.see = nn.Embedding(sum(sizes), width)
        offsets = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("offsets", offsets, persistent=False)
        self.dropout, self.norm = Dropout(dropout), nn.LayerNorm(width)
        self.trunk = Trunk(width, layers, heads, dropout=dropout)
        for block in self.trunk.blocks:
            block.attention = BothWays(width, heads)
        self.score = nn.ModuleList(nn.Linear(width, self.symbols) for _ in range(4))
        # From each of five notes: the voice's last and next one, and the other voices'.
        self.distance = nn.ModuleList(
            nn.Linear(width, 5 * (2 * self.pitches - 1)) for _ in range(4)
        )
        self.apply(start)

    def forward(
        self, grid: Tensor, phase: Tensor | None = None, cells: Tensor | None = None
    ) -> Tensor:
        """Score the symbols of every cell, or of some.

        Parameters
        ----------
        grid : (batch, 4, time) int64
            Symbols, `mask` where one is hidden and `outside` after the end.
        phase : (batch, time) or (time,) int64, optional
            Of `phases`; by default unknown.
        cells : (batch, 4, time) bool, optional
            Which cells are asked for: fewer take less time.

        Returns
        -------
        logits : (batch, 4, time, symbols), or (number of cells, symbols)
            Those of a masked cell depend on all cells that aren't masked. Those of the others say
            nothing: the model has seen the answer.

        Raises
        ------
        ValueError
            If a shape or type is another.
        """
        if grid.ndim != 3 or grid.shape[1] != 4 or not grid.shape[2] or grid.dtype != torch.int64:
            raise ValueError(
                "a grid is int64 of shape (batch, 4, time) with a step, not"
                f" {grid.dtype} of {tuple(grid.shape)}"
            )
        batch, _, time = grid.shape
        if phase is None:
            phase = torch.full((time,), UNKNOWN, device=grid.device)
        if phase.shape[-1] != time:
            raise ValueError(f"phases of {phase.shape[-1]} steps don't fit a grid of {time}")
        notes, far = self.known(grid)
        seen = [phase.expand(batch, time)[:, None], grid, far]  # (batch, rows, time) each
        rows = torch.cat(seen, 1).transpose(1, 2) + self.offsets
        x = functional.embedding_bag(rows.flatten(0, 1), self.see.weight, mode="sum")
        x, _ = self.trunk(self.norm(self.dropout(x.view(batch, time, -1))))
        wanted = torch.ones_like(grid, dtype=torch.bool) if cells is None else cells
        row, voice, step = wanted.nonzero(as_tuple=True)
        turn = voice.argsort(stable=True)  # one voice after the other, for each has its own head
        row, voice, step = row[turn], voice[turn], step[turn]
        x, near = x[row, step], notes[row, voice, :, step]
        sizes = voice.bincount(minlength=4).tolist()
        split = zip(x.split(sizes), near.split(sizes), strict=True)
        logits = torch.cat([self.voice(v, *part) for v, part in enumerate(split)])
        logits = logits[turn.argsort()]
        return logits.view(*grid.shape, self.symbols) if cells is None else logits

    def voice(self, v: int, x: Tensor, notes: Tensor) -> Tensor:
        """Score one voice's symbols at some cells.

        Parameters
        ----------
        v : int
        x : (n, width)
            What the trunk says there.
        notes : (n, 5) int64
            The known notes around, see `known`.

        Returns
        -------
        (n, symbols)
        """
        scores = self.distance[v](x).view(len(x), 5, 2 * self.pitches - 1)
        symbol = torch.arange(1, self.symbols, device=x.device)
        away = symbol - notes.clamp(min=1)[..., None] + self.pitches - 1  # (n, 5, pitches)
        found = (scores.gather(-1, away) * (notes > 0)[..., None]).sum(1)
        return self.score[v](x) + functional.pad(found, (1, 0))

    def known(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Find the notes around each cell that aren't hidden.

        Returns
        -------
        notes : (batch, 4, 5, time) int64
            The voice's nearest known note before the cell and after it, then the other three
            voices' at this step; 0 where there is none.
        far : (batch, 8, time) int64
            How many steps away the former are, at most `FAR`, for four voices before and after;
            one more where there is none.
        """
        time = grid.shape[-1]
        place = torch.arange(time, device=grid.device)
        sounds = (grid > 0) & (grid < self.mask)
        notes, far = [], []
        for backwards in (False, True):
            seen = sounds.flip(-1) if backwards else sounds
            here = grid.flip(-1) if backwards else grid
            last = torch.where(seen, place, -1).cummax(-1).values
            last = functional.pad(last, (1, -1), value=-1)  # before this cell
            note = torch.where(last >= 0, here.gather(-1, last.clamp(min=0)), 0)
            away = torch.where(last >= 0, (place - last).clamp(max=FAR), FAR + 1)
            notes.append(note.flip(-1) if backwards else note)
            far.append(away.flip(-1) if backwards else away)
        here = torch.where(sounds, grid, 0)
        notes += [here.roll(-shift, dims=1) for shift in (1, 2, 3)]
        return torch.stack(notes, 2), torch.cat(far, 1)

    def grid(self, score: Score) -> tuple[Tensor, Tensor]:
        """Write a score as a grid of symbols (4, steps) and its phases (steps,).

        Raises
        ------
        ValueError
            If there is no note, a voice too many, or a pitch outside the model's range.
        """
        high = self.low + self.pitches - 1
        notes = symbols(score, low=self.low, high=high).T.contiguous()
        return notes, phases(score, notes.shape[1])


def phases(score: Score, steps: int) -> Tensor:
    """Tell each sixteenth's place in its bar: 0–15 in 4/4, 16–27 in 3/4, else `UNKNOWN`."""
    found = np.full(steps, UNKNOWN)
    quarters = np.arange(steps) / 4
    for onset, *metre in score.metre:
        if tuple(metre) in PHASES:
            length = 4 * metre[0]
            # What stands before the first metre is a pickup to it.
            here = (quarters >= onset) | (onset == score.metre[0][0])
            place = np.rint(4 * (quarters - onset)).astype(int) % length
            found = np.where(here, place + PHASES[tuple(metre)], found)
        else:
            found = np.where(quarters >= onset, UNKNOWN, found)
    return torch.from_numpy(found)
