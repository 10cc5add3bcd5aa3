"""Four voices with gaps: a model that scores every hidden note, given all that isn't hidden.

It reads a grid of symbols in which some cells are masked and, unlike chapter 06's model, looks both
ways. Trained on every kind of gap it is an order-agnostic autoregressive model (Uria et al., *A
deep and tractable density estimator*, 2014). Absorbing discrete diffusion (Austin et al.,
*Structured denoising diffusion models in discrete state-spaces*, 2021) has the same objective in
the limit of infinitely many steps, and only there (Hoogeboom et al., *Autoregressive diffusion
models*, 2022). For chorales it was first used in Coconet (Huang et
al., *Counterpoint by convolution*, 2017), with convolutions instead of attention.

With the same weights it also writes what is hidden from left to right, as chapter 06's model does,
but knowing what follows: see `mlmusic.models.edit.streams`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mlmusic.models.edit.around import FAR, Side, after, before, spaces
from mlmusic.models.edit.streams import Streams
from mlmusic.models.transformer.attention import Dropout, start
from mlmusic.models.transformer.chorale import ORDER
from mlmusic.models.transformer.heads import added_up, by_distance, thinkers
from mlmusic.models.transformer.pieces import symbols
from mlmusic.score import Score

PHASES = {(4, 4): 0, (3, 4): 16}
"""Where the sixteenths of each metre's bar begin among the phases; others are unknown."""

UNKNOWN = 28
"""Phase of a step whose place in the bar isn't known."""


class MaskedChorale(nn.Module):
    """Score each masked symbol of four voices, given all that aren't masked.

    A symbol is silence (0) or a pitch (from 1 on, MIDI ``low + symbol - 1``) at each sixteenth, as
    in `mlmusic.models.transformer.pieces`: a note that sounds on is written again at each step.

    One position a sixteenth: what is seen of the four voices there, before and after is added up,
    and each voice has a head of its own, which also sees the known notes of its step. A pitch's
    score is also that of its distance from the nearest known notes: of its voice before and after,
    and of the other voices at this step.

    Parameters
    ----------
    low, high : int
        MIDI range of all voices.
    width, layers, heads : int
        Of the trunk.
    dropout : float
    blank : float
        Share of what is seen at a step (a note, an age …) that training hides.
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
        layers: int = 3,
        heads: int = 4,
        dropout: float = 0.2,
        blank: float = 0.1,
        context: int = 64,
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
            "blank": blank,
            "context": context,
        }
        self.low, self.context = low, context
        self.pitches = high - low + 1
        self.symbols = self.pitches + 1
        self.mask, self.outside = self.symbols, self.symbols + 1
        # One table for all that is seen: which stream, phase; symbols, how far they are apart; and
        # on both sides the nearest notes, where, how old, how reached, how far they are apart.
        far = 2 * self.pitches + 2
        side = [self.symbols, FAR + 2, FAR + 1, far, far]
        self.see, offsets = self.table([2, UNKNOWN + 1], [self.symbols + 2, far, *side, *side])
        self.register_buffer("offsets", offsets, persistent=False)
        # And one for what a head sees of its step: the notes, and whether they're new.
        self.told, shifts = self.table([], [self.symbols + 2, 3])
        self.register_buffer("shifts", shifts, persistent=False)
        self.blank, self.dropout, self.norm = Dropout(blank), Dropout(dropout), nn.LayerNorm(width)
        self.trunk = Streams(width, layers, heads, dropout=dropout)
        self.think = thinkers(width, dropout)
        self.score = nn.ModuleList(nn.Linear(width, self.symbols) for _ in range(4))
        # From each of five notes: the voice's last and next one, and the other voices'.
        self.distance = nn.ModuleList(
            nn.Linear(width, 5 * (2 * self.pitches - 1)) for _ in range(4)
        )
        self.apply(start)

    def forward(
        self,
        grid: Tensor,
        phase: Tensor | None = None,
        cells: Tensor | None = None,
        both: bool = False,
    ) -> Tensor:
        """Score the symbols of every cell, or of some, as if each were the next one.

        Parameters
        ----------
        grid : (batch, 4, time) int64
            Symbols, `mask` where one is hidden and `outside` after the end.
        phase : (batch, time) or (time,) int64, optional
            Of `phases`; by default unknown.
        cells : (batch, 4, time) bool, optional
            Which cells are asked for: fewer take less time.
        both : bool
            Hide these cells and score them twice: see `both`.

        Returns
        -------
        logits : (batch, 4, time, symbols), or ([2,] number of cells, symbols)
            Those of a masked cell depend on all cells that aren't masked. Those of the others say
            nothing: the model has seen the answer.

        Raises
        ------
        ValueError
            If a shape or type is another, or a symbol or phase is unknown.
        """
        if both:
            return torch.stack(self.both(grid, cells, phase))
        phase = self.checked(grid, phase)
        left, right = before(grid, self.pitches), after(grid, self.pitches)
        x, _ = self.trunk.read(self.embedded(0, phase, grid, left, right))
        wanted = torch.ones_like(grid, dtype=torch.bool) if cells is None else cells
        logits = self.scored(x, wanted, grid, left, right)
        return logits.view(*grid.shape, self.symbols) if cells is None else logits

    def both(
        self, grid: Tensor, hidden: Tensor, phase: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Score hidden cells, each as if it were the next one, and from left to right.

        Parameters
        ----------
        grid : (batch, 4, time) int64
            Symbols, all of them.
        hidden : (batch, 4, time) bool
        phase : (batch, time) or (time,) int64, optional

        Returns
        -------
        any_order : (number of hidden cells, symbols)
            As `forward` does.
        in_time : (number of hidden cells, symbols)
            Given also what is hidden before the step, and in it the voices before in `ORDER`: the
            product over all of them is the exact likelihood of what is hidden.
        """
        phase = self.checked(grid, phase)
        seen = torch.where(hidden, self.mask, grid)
        left, right = before(seen, self.pitches), after(seen, self.pitches)
        past = before(grid, self.pitches)
        x = self.embedded(0, phase, seen, left, right)
        y = self.embedded(1, phase, seen, past, right)
        x, y = self.trunk.both(x, y, hidden.any(1))
        return (
            self.scored(x, hidden, seen, left, right),
            self.scored(y, hidden, seen, past, right, grid),
        )

    def checked(self, grid: Tensor, phase: Tensor | None) -> Tensor:
        """Return phases (batch, time), or complain about what the tables have no row for."""
        if grid.ndim != 3 or grid.shape[1] != 4 or not grid.shape[2] or grid.dtype != torch.int64:
            raise ValueError(
                "a grid is int64 of shape (batch, 4, time) with a step, not"
                f" {grid.dtype} of {tuple(grid.shape)}"
            )
        batch, _, time = grid.shape
        if phase is None:
            phase = torch.full((time,), UNKNOWN, device=grid.device)
        if phase.shape not in ((time,), (batch, time)) or phase.dtype != torch.int64:
            raise ValueError(
                f"phases are int64 of shape ({time},) or ({batch}, {time}), as the grid is, not"
                f" {phase.dtype} of {tuple(phase.shape)}"
            )
        # In one table, what is out of range would be another kind of thing.
        for name, given, last in (("symbols", grid, self.outside), ("phases", phase, UNKNOWN)):
            if ((given < 0) | (given > last)).any():
                raise ValueError(
                    f"{name} must be 0–{last}, not {int(given.min())}–{int(given.max())}"
                )
        return phase.expand(batch, time)

    def table(self, once: list[int], voices: list[int]) -> tuple[nn.Embedding, Tensor]:
        """Return a table of embeddings for things of several kinds, and where each begins.

        Of each kind in ``once`` there is one at a step, of those in ``voices`` one in each voice.
        """
        sizes = torch.tensor(once + [size for size in voices for _ in range(4)])
        return nn.Embedding(int(sizes.sum()), self.config["width"]), sizes.cumsum(0) - sizes

    def embedded(self, stream: int, phase: Tensor, seen: Tensor, left: Side, right: Side) -> Tensor:
        """Add up what is seen at each step: (batch, time, width).

        Parameters
        ----------
        stream : {0, 1}
            Reading, or writing.
        phase : (batch, time) int64
        seen : (batch, 4, time) int64
            What is known at each step.
        left, right : Side
            What is known before and after.
        """
        single = torch.stack([torch.full_like(phase, stream), phase], 1)
        parts = [single, seen, spaces(seen, self.pitches)]
        for side in (left, right):
            parts += [*side, spaces(side.note, self.pitches)]
        rows = torch.cat(parts, 1).transpose(1, 2) + self.offsets
        return self.norm(self.dropout(added_up(self.see, rows, self.blank)))

    def scored(
        self,
        x: Tensor,
        cells: Tensor,
        seen: Tensor,
        left: Side,
        right: Side,
        grid: Tensor | None = None,
    ) -> Tensor:
        """Score cells, each voice with its own head: (number of cells, symbols).

        Parameters
        ----------
        x : (batch, time, width)
            What the trunk says.
        cells : (batch, 4, time) bool
        seen, left, right
            As in `embedded`.
        grid : (batch, 4, time) int64, optional
            Symbols that are known to the voices after, in `ORDER`.
        """
        found, places = [], []
        number = (cells.flatten().cumsum(0) - 1).view(cells.shape)
        for v in range(4):
            row, step = cells[:, v].nonzero(as_tuple=True)
            count = len(row)
            if self.training:  # for each new shape, oneDNN compiles bfloat16 kernels anew: keep few
                row, step = (functional.pad(i, (0, -count % 128)) for i in (row, step))
            notes = seen[row, :, step]
            if grid is not None:
                first = list(ORDER[: ORDER.index(v)])
                notes[:, first] = grid[row, :, step][:, first]
            near = torch.stack([left.note[row, v, step], right.note[row, v, step]], -1)
            logits = self.voice(v, x[row, step], notes, left.note[row, :, step], near)
            found.append(logits[:count])
            places.append(number[row, v, step][:count])
        return torch.cat(found)[torch.cat(places).argsort()]

    def voice(self, v: int, x: Tensor, notes: Tensor, last: Tensor, near: Tensor) -> Tensor:
        """Score one voice's symbols at some cells.

        Parameters
        ----------
        v : int
        x : (n, width)
            What the trunk says there.
        notes : (n, 4) int64
            What is known of the step; the voice's own symbol plays no part.
        last : (n, 4) int64
            Each voice's nearest known note before it, or 0.
        near : (n, 2) int64
            The voice's own before and after.

        Returns
        -------
        (n, symbols)
        """
        own = torch.arange(4, device=x.device) == v
        notes = torch.where(own, self.mask, notes)
        new = torch.where(notes >= self.mask, 2, (notes != last).long())
        rows = torch.cat([notes, new], -1) + self.shifts
        x = self.think[v](x + functional.embedding_bag(rows, self.told.weight, mode="sum"))
        others = notes[:, [u for u in range(4) if u != v]]
        reference = torch.cat([near, others], -1)  # (n, 5)
        scores = self.distance[v](x).unflatten(-1, (5, 2 * self.pitches - 1))
        return self.score[v](x) + by_distance(scores, reference, self.pitches)

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
