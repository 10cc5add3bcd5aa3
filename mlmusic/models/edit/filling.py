"""Gaps filled: hidden symbols drawn step by step in several orders, or again and again.

Sources: *cosine* is the schedule of MaskGIT (Chang et al., 2022); blocked Gibbs sampling with fewer
and fewer cells at a time is Coconet's (Huang et al., *Counterpoint by convolution*, 2017; Yao et
al., *On the equivalence between deep NADE and generative stochastic networks*, 2014).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mlmusic.models.edit.model import MaskedChorale
from mlmusic.models.edit.spans import Draw, Span, filled
from mlmusic.models.transformer.writing import RANGES, sung

ORDERS = ("random", "time", "certain", "cosine", "at once")
"""In which order `fill` draws what is hidden."""

PASSES = 12
"""How often `fill` asks the model where the order doesn't say it."""


def schedule(order: str, cells: int, steps: int | None = None) -> list[int]:
    """Tell how many cells are drawn in each pass.

    Parameters
    ----------
    order : str
        One of `ORDERS`.
    cells : int
        How many are hidden.
    steps : int, optional
        In how many passes; by default as many as there are cells, 12 for "cosine" and 1 for
        "at once". Where there are fewer cells, there are fewer passes.

    Returns
    -------
    list of int
        All of them 1 or more; they add up to ``cells``.

    Raises
    ------
    ValueError
        If the order is unknown or ``steps`` isn't a whole number above 0.

    Examples
    --------
    >>> schedule("cosine", 64, 4), schedule("random", 64, 4)
    ([5, 14, 21, 24], [16, 16, 16, 16])
    """
    if order not in ORDERS:
        raise ValueError(f"there is no order {order!r}: choose from {', '.join(ORDERS)}")
    if steps is None:
        steps = {"cosine": PASSES, "at once": 1}.get(order, max(1, cells))
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a whole number of 1 or more, not {steps!r}")
    shares = [i / steps for i in range(steps + 1)]
    if order == "cosine":  # few at first, when little is known
        shares = [1 - math.cos(math.pi / 2 * share) for share in shares]
    done = [round(cells * share) for share in shares]
    counts = [last - first for first, last in pairwise(done)]
    return [count for count in counts if count]


def fill(
    model: MaskedChorale,
    grid: Tensor,
    free: Tensor,
    *,
    phase: Tensor | None = None,
    order: str | None = None,
    steps: int | None = None,
    temperature: float = 1.0,
    ranges: Sequence[tuple[int, int]] | None = RANGES,
    rests: bool = False,
    allowed: Tensor | None = None,
    context: int | None = None,
    seed: int,
) -> Tensor:
    """Draw the free symbols of a grid anew, given all others, which stay as they are.

    In each pass the model scores all that is still hidden; some of it is drawn and then known:

    - "random": any cells, by default one at a time: what the model was trained for;
    - "time": from left to right, inside a step soprano, bass, alto, tenor, as chapter 06 writes:
      what is known is read once, and each step is one short pass;
    - "certain": first the cells about which the model is surest;
    - "cosine": the same, few at first and then ever more, in 12 passes;
    - "at once": all in one pass, each cell as if the others weren't drawn.

    A grid that is longer than the context is filled from left to right, half a context at
    a time, each with as much around it as the context holds.

    Parameters
    ----------
    model : MaskedChorale
        Switched to eval mode meanwhile.
    grid : (4, time) or (count, 4, time) int64
        Symbols. What stands in free cells plays no part. A fixed cell may hold the model's mask:
        it stays hidden.
    free : (4, time) bool
        True where a symbol is drawn. Nothing free: the grid comes back; all free: a new piece.
    phase : (time,) int64, optional
        Of `phases`; by default unknown.
    order : str, optional
        One of `ORDERS`; by default "time", or "cosine" in so many ``steps``.
    steps : int, optional
        In how many passes, see `schedule`; "time" takes no notice of it.
    temperature : float
        Below 1 the likely becomes likelier; at 0 the likeliest takes all.
    ranges : four pairs of MIDI pitches, optional
        What each voice may sing in free cells; None: whatever the model knows.
    rests : bool
        Whether a voice may fall silent there.
    allowed : (4, time, symbols) bool, optional
        What may stand in each cell besides.
    context : int, optional
        How many steps are seen at once; by default the model's own. Fewer take less time.
    seed : int

    Returns
    -------
    int64, as ``grid``

    Raises
    ------
    ValueError
        If a shape, type or number is impossible, a fixed symbol is unknown, or nothing is allowed
        in a free cell.
    FloatingPointError
        If the model's scores aren't finite.
    """
    if order is None:
        order = "time" if steps is None else "cosine"
    schedule(order, 1, steps)  # complains early
    may = sung(model, ranges, rests), allowed
    if order == "time":

        def write(part: Tensor, cells: Tensor, span: Span, draw: Draw) -> Tensor:
            return span.written(part, cells, draw)

        return filled(model, grid, free, write, phase, temperature, may, context, seed)

    def unmask(part: Tensor, cells: Tensor, score: Span, draw: Draw) -> Tensor:
        part = torch.where(cells, model.mask, part)
        rows = torch.arange(len(part), device=part.device)[:, None]
        where = cells.flatten().nonzero()[:, 0]
        hidden = torch.ones(len(part), len(where), dtype=torch.bool, device=part.device)
        rank = draw.uniform(hidden.shape)
        for count in schedule(order, len(where), steps):
            logits = score(part, cells.expand_as(part)).view(len(part), len(where), -1)
            if order in ("certain", "cosine"):
                rank = logits.log_softmax(-1).max(-1).values
            chosen = rank.masked_fill(~hidden, -torch.inf).topk(count, dim=-1).indices
            part.view(len(part), -1)[rows, where[chosen]] = draw(logits[rows, chosen])
            hidden[rows, chosen] = False
        return part

    return filled(model, grid, free, unmask, phase, temperature, may, context, seed)


def gibbs(
    model: MaskedChorale,
    grid: Tensor,
    free: Tensor,
    *,
    phase: Tensor | None = None,
    sweeps: int = 24,
    most: float = 0.9,
    least: float = 0.05,
    temperature: float = 1.0,
    ranges: Sequence[tuple[int, int]] | None = RANGES,
    rests: bool = False,
    allowed: Tensor | None = None,
    context: int | None = None,
    seed: int,
) -> Tensor:
    """Draw the free symbols again and again, ever fewer at a time: annealed blocked Gibbs.

    First all at once; then, in each sweep, a share of the free cells is hidden and drawn at once,
    given the others. The share falls from ``most`` to ``least`` over the first three quarters of
    the sweeps and stays there: in the end cells are drawn almost one by one, given the rest.

    The cells of a sweep are drawn independently of each other, where Gibbs sampling would draw a
    block from its joint distribution: only as the share falls does it come near to that.

    Parameters
    ----------
    model, grid, free, phase, temperature, ranges, rests, allowed, context, seed
        As in `fill`.
    sweeps : int
        How often; each asks the model once.
    most, least : float
        Shares from 0 to 1.

    Raises
    ------
    ValueError, FloatingPointError
        As `fill` does, or if ``sweeps`` or a share is impossible.
    """
    if not isinstance(sweeps, int) or sweeps < 0 or not 0 <= least <= most <= 1:
        raise ValueError(
            "gibbs needs 0 sweeps or more and 0 <= least <= most <= 1, not"
            f" {sweeps!r}, {least!r} and {most!r}"
        )

    def sweep(part: Tensor, cells: Tensor, score: Span, draw: Draw) -> Tensor:
        part = torch.where(cells, model.mask, part)
        for i in range(sweeps + 1):
            share = max(least, most - (most - least) * (i - 1) / max(1.0, 0.75 * sweeps))
            again = cells if i == 0 else cells & (draw.uniform(part.shape) < share)
            if again.any():
                again = again.expand_as(part)
                part = torch.where(again, model.mask, part)
                part[again] = draw(score(part, again))
        return part

    may = sung(model, ranges, rests), allowed
    return filled(model, grid, free, sweep, phase, temperature, may, context, seed)
