"""Windows of grids that are filled: what is checked first, what may be drawn, and from what."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real

import torch
from torch import Tensor

from mlmusic.models.edit.around import after, before
from mlmusic.models.edit.model import UNKNOWN, MaskedChorale
from mlmusic.models.transformer.chorale import ORDER


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


class Span:
    """A window with all that is around it: a model's scores there.

    Parameters
    ----------
    model : MaskedChorale
    phase : (time,) int64
    may : (4, time, symbols) bool
        What is allowed.
    """

    def __init__(self, model: MaskedChorale, phase: Tensor, may: Tensor):
        self.model, self.phase, self.blocked = model, phase, ~may

    def __call__(self, part: Tensor, cells: Tensor) -> Tensor:
        """Score some cells (bool) of grids (count, 4, time): (cells, symbols).

        What isn't allowed scores -inf.

        Raises
        ------
        FloatingPointError
            If the model's scores aren't finite.
        """
        logits = self.model(part, self.phase, cells)
        return self.refused(logits, self.blocked.expand(*part.shape, -1)[cells])

    def refused(self, logits: Tensor, blocked: Tensor) -> Tensor:
        """Give what isn't allowed no chance; complain if scores aren't finite."""
        if not logits.isfinite().all():
            raise FloatingPointError("the model's scores aren't finite")
        return logits.masked_fill(blocked, -torch.inf)

    def written(self, part: Tensor, cells: Tensor, draw: Draw) -> Tensor:
        """Write hidden cells (4, time) of grids (count, 4, time) from left to right.

        What is known is read once; each step then takes one position, and in it one voice comes
        after the other: `MaskedChorale.both` in its order of time, with a cache.
        """
        model, part = self.model, part.clone()
        phase = self.phase.expand(len(part), -1)
        right = after(part, model.pitches)
        x = model.embedded(0, phase, part, before(part, model.pitches), right)
        _, memory = model.trunk.read(x)
        for t in cells.any(0).nonzero()[:, 0].tolist():
            left = before(part[..., : t + 1], model.pitches).at(t, t + 1)
            here, coming = part[..., t : t + 1].clone(), right.at(t, t + 1)
            y = model.embedded(1, phase[:, t : t + 1], here, left, coming)
            y, memory = model.trunk.write(y, t, memory)
            last = left.note[..., 0]
            for v in ORDER:
                if not cells[v, t]:
                    continue
                near = torch.stack([last[:, v], coming.note[:, v, 0]], -1)
                logits = model.voice(v, y[:, 0], part[..., t], last, near)
                part[:, v, t] = draw(self.refused(logits, self.blocked[v, t]))
        return part


def filled(
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
    # Contiguous, for a transposed array keeps its strides through all that follows.
    grid, free = (torch.as_tensor(given).contiguous() for given in (grid, free))
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
    check_seed(seed)
    if not isinstance(temperature, Real) or not 0 <= temperature < math.inf:
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
    draw = Draw(temperature, torch.Generator(device).manual_seed(int(seed)))
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            whole[:, free] = model.mask
            model.checked(whole, phase)
            for start, stop, first, last in windows(free, context):
                cells = free[:, first:last].clone()
                cells[:, : start - first] = cells[:, stop - first :] = False
                span = Span(model, phase[first:last], may[:, first:last])
                whole[..., first:last] = way(whole[..., first:last], cells, span, draw)
    finally:
        model.train(training)
    whole = whole.clone().cpu()
    return whole[0] if grid.ndim == 2 else whole


def check_seed(seed: int) -> None:
    """Complain about a seed that isn't a whole number from 0 on.

    Raises
    ------
    ValueError
    """
    if not isinstance(seed, Integral) or not 0 <= seed < 2**63 - 4:  # `revoice` adds up to 3
        raise ValueError(f"seed must be a whole number of 0 or more, not {seed!r}")


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
