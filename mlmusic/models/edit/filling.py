"""Gaps filled: hidden symbols drawn step by step in several orders, or again and again.

Sources: *cosine* is the schedule of MaskGIT (Chang et al., 2022); blocked Gibbs sampling with fewer
and fewer cells at a time is Coconet's (Huang et al., *Counterpoint by convolution*, 2017; Yao et
al., *On the equivalence between deep NADE and generative stochastic networks*, 2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mlmusic.models.edit.model import UNKNOWN, MaskedChorale
from mlmusic.models.transformer.chorale import ORDER
from mlmusic.models.transformer.writing import RANGES

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
    order: str = "cosine",
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
    - "time": from left to right, inside a step soprano, bass, alto, tenor, as chapter 06 writes;
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
    order : str
        One of `ORDERS`.
    steps : int, optional
        In how many passes, see `schedule`.
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
    schedule(order, 1, steps)  # complains early

    def unmask(part: Tensor, cells: Tensor, score: Scores, draw: Draw) -> Tensor:
        part = torch.where(cells, model.mask, part)
        rows = torch.arange(len(part), device=part.device)[:, None]
        where = cells.flatten().nonzero()[:, 0]
        hidden = torch.ones(len(part), len(where), dtype=torch.bool, device=part.device)
        rank = _rank(order, where, part.shape, draw)
        for count in schedule(order, len(where), steps):
            logits = score(part, cells.expand_as(part)).view(len(part), len(where), -1)
            if order in ("certain", "cosine"):
                rank = logits.log_softmax(-1).max(-1).values
            chosen = rank.masked_fill(~hidden, -torch.inf).topk(count, dim=-1).indices
            part.view(len(part), -1)[rows, where[chosen]] = draw(logits[rows, chosen])
            hidden[rows, chosen] = False
        return part

    may = sung(model, ranges, rests), allowed
    return _filled(model, grid, free, unmask, phase, temperature, may, context, seed)


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

    def sweep(part: Tensor, cells: Tensor, score: Scores, draw: Draw) -> Tensor:
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
    return _filled(model, grid, free, sweep, phase, temperature, may, context, seed)


Scores = Callable[[Tensor, Tensor], Tensor]
"""Logits of some cells (bool) of grids (count, 4, time): (cells, symbols), -inf for what isn't
allowed."""


class Draw:
    """Random numbers from one seed: symbols drawn from logits, and uniform numbers."""

    def __init__(self, temperature: float, generator: torch.Generator):
        self.temperature, self.generator = temperature, generator

    def __call__(self, logits: Tensor) -> Tensor:
        """Draw a symbol for each row: (…, symbols) to (…)."""
        if self.temperature == 0:
            return logits.argmax(-1)
        # The largest of logits with Gumbel noise is a draw from their softmax.
        noise = -(-self.uniform(logits.shape).clamp(1e-12).log()).log()
        return (logits.double() / self.temperature + noise).argmax(-1)

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Draw numbers from 0 to 1, in float64."""
        device = self.generator.device
        return torch.rand(shape, dtype=torch.float64, device=device, generator=self.generator)


def _rank(order: str, where: Tensor, shape: Sequence[int], draw: Draw) -> Tensor:
    """Say who comes first: (count, cells), the highest."""
    count, _, time = shape
    if order == "time":
        voice, step = where // time, where % time
        turn = torch.tensor([ORDER.index(v) for v in range(4)], device=where.device)
        return -(4 * step + turn[voice]).double().expand(count, -1)
    return draw.uniform((count, len(where)))


def _filled(
    model: MaskedChorale,
    grid: Tensor,
    free: Tensor,
    way: Callable[..., Tensor],
    phase: Tensor | None,
    temperature: float,
    may: tuple[Tensor, Tensor | None],
    context: int | None,
    seed: int,
) -> Tensor:
    """Check everything, and fill window after window in one ``way``."""
    grid, free = torch.as_tensor(grid), torch.as_tensor(free)
    whole = grid[None] if grid.ndim == 2 else grid
    if whole.ndim != 3 or whole.shape[1] != 4 or not whole.numel() or whole.dtype != torch.int64:
        raise ValueError(
            f"a grid is int64 of shape (4, time) with a step, not {grid.dtype} of"
            f" {tuple(grid.shape)}"
        )
    time = whole.shape[2]
    if free.dtype != torch.bool or free.shape != (4, time):
        raise ValueError(
            f"free is bool of shape (4, {time}), not {free.dtype} of {tuple(free.shape)}"
        )
    known = whole[:, ~free]
    if known.numel() and not 0 <= int(known.min()) <= int(known.max()) <= model.mask:
        raise ValueError(
            f"symbols must be 0–{model.symbols - 1}, or {model.mask} for hidden ones, not"
            f" {int(known.min())}–{int(known.max())}"
        )
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be a number of 0 or more, not {temperature!r}")
    if phase is None:
        phase = torch.full((time,), UNKNOWN)
    if phase.shape != (time,):
        raise ValueError(f"phase must be of shape ({time},), not {tuple(phase.shape)}")
    context = model.context if context is None else context
    if not isinstance(context, int) or context < 2:
        raise ValueError(f"a context has 2 steps or more, not {context!r}")
    may, allowed = may[0][:, None].expand(4, time, -1), may[1]
    if allowed is not None:
        if allowed.shape != may.shape or allowed.dtype != torch.bool:
            raise ValueError(
                f"allowed is bool of shape {tuple(may.shape)}, not {allowed.dtype} of"
                f" {tuple(allowed.shape)}"
            )
        may = may & allowed
    stuck = free & ~may.any(-1)
    if stuck.any():
        voice, step = stuck.nonzero()[0].tolist()
        raise ValueError(f"nothing is allowed in voice {voice} at step {step}, which is free")
    device = next(model.parameters()).device
    whole, free, phase, may = (x.to(device) for x in (whole.clone(), free, phase, may))
    draw = Draw(temperature, torch.Generator(device).manual_seed(seed))
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            whole[:, free] = model.mask
            for start, stop, first, last in windows(free, context):
                cells = free[:, first:last].clone()
                cells[:, : start - first] = cells[:, stop - first :] = False
                blocked = ~may[:, first:last]

                def score(
                    part: Tensor, cells: Tensor, span=slice(first, last), blocked=blocked
                ) -> Tensor:
                    logits = model(part, phase[span], cells)
                    if not logits.isfinite().all():
                        raise FloatingPointError("the model's scores aren't finite")
                    return logits.masked_fill(blocked.expand(*part.shape, -1)[cells], -torch.inf)

                whole[..., first:last] = way(whole[..., first:last], cells, score, draw)
    finally:
        model.train(training)
    whole = whole.clone().cpu()
    return whole[0] if grid.ndim == 2 else whole


def windows(free: Tensor, context: int) -> list[tuple[int, int, int, int]]:
    """Cut what is free into parts, each with a window of the context around it.

    Returns
    -------
    list of (start, stop, first, last)
        Steps ``start`` to ``stop`` are to be filled, seeing ``first`` to ``last``.
    """
    time = free.shape[1]
    steps = free.any(0).nonzero()[:, 0].tolist()
    if not steps:
        return []
    most = time if time <= context else max(1, context // 2)
    found, start = [], steps[0]
    while start is not None:
        stop = min(start + most, steps[-1] + 1)
        middle = (start + stop) // 2
        first = max(0, min(middle - context // 2, time - context))
        found.append((start, stop, first, min(time, first + context)))
        start = next((step for step in steps if step >= stop), None)
    return found


def sung(
    model: MaskedChorale, ranges: Sequence[tuple[int, int]] | None = RANGES, rests: bool = False
) -> Tensor:
    """Tell what each voice may sing: (4, symbols) bool.

    Raises
    ------
    ValueError
        If there aren't four ranges, or in one of them there is no pitch that the model knows.
    """
    found = torch.ones(4, model.symbols, dtype=torch.bool)
    if ranges is not None:
        if len(ranges) != 4:
            raise ValueError(f"there are four voices, not {len(ranges)} ranges")
        pitches = torch.arange(model.low, model.low + model.pitches)
        for v, (lowest, highest) in enumerate(ranges):
            found[v, 1:] = (pitches >= lowest) & (pitches <= highest)
        if not found[:, 1:].any(1).all():
            raise ValueError(f"in a range of {ranges} this model knows no pitch")
    found[:, 0] = rests
    return found
