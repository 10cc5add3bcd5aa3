"""How surprised a masked model is by pieces: the mean over orders of an exact chain rule."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mlmusic.models.edit.model import UNKNOWN, MaskedChorale


class Nats(NamedTuple):
    """Nats per note, and the standard error of drawing orders at random.

    Each part of a piece is scored at one random place from each of ``samples`` equal parts of an
    order. So few draws say only roughly how far they would scatter: what a straight line through
    three neighbours misses is taken for chance (Wolter, *Introduction to variance estimation*,
    2007, section 8.2). From 3 samples on the error is right within about a fifth; of 2, their
    difference overstates it about twofold; of 1, it isn't known (NaN).
    """

    per_note: float
    error: float


def nll(
    model: MaskedChorale,
    grids: Sequence[Tensor],
    phases: Sequence[Tensor] | None = None,
    *,
    order: str = "random",
    samples: int = 4,
    batch: int = 16,
    seed: int = 0,
) -> Nats:
    """Estimate the negative log-likelihood of pieces over their number of symbols, 4 a step.

    For any order of the cells, ``p(x) = Π p(cell | cells before it in the order)`` is exact. With
    "random" this is the mean of ``-log p(x)`` over all orders: to draw an order and a place in it,
    and take the mean of ``-log p`` over all cells that aren't known there, is right on average
    (Uria et al., 2014; Hoogeboom et al., 2022, equation 6). By Jensen's inequality it is at least
    ``-log`` of the mean of ``p(x)`` over orders. With "time" the order is chapter 06's: from left
    to right, inside a step soprano, bass, alto, tenor. As there, one pass scores all cells
    exactly, and ``samples`` and ``seed`` play no part.

    As there, a piece that is longer than the context is read in parts that are half as long, each
    given as much before it: what comes later is never seen. So "random" is beyond the context the
    mean over the orders that finish one part before the next, not over all. The unit is that of
    `mlmusic.metrics.chorales.nats_per_note`, so that both can be compared on the same pieces.

    Parameters
    ----------
    model : MaskedChorale
        In eval mode meanwhile.
    grids : sequence of (4, time) int64
        Symbols.
    phases : sequence of (time,) int64, optional
        By default unknown.
    order : {"random", "time"}
    samples : int
        How many places are drawn for each part of each piece; one pass each.
    batch : int
        Parts at a time.
    seed : int

    Raises
    ------
    ValueError
        If there is no piece, one is of another shape, empty or has unknown symbols, its phases
        are, a number is impossible or the order unknown.
    FloatingPointError
        If the model's scores aren't finite.
    """
    if order not in ("random", "time"):
        raise ValueError(f"there is no likelihood in the order {order!r}: random or time")
    if not len(grids) or samples < 1 or batch < 1:
        raise ValueError("likelihood needs a piece, and samples and a batch of 1 or more")
    if phases is not None and len(phases) != len(grids):
        raise ValueError(f"there are {len(grids)} pieces, but phases of {len(phases)}")
    for i, grid in enumerate(grids):
        if grid.ndim != 2 or grid.shape[0] != 4 or grid.dtype != torch.int64 or not grid.numel():
            raise ValueError(
                f"piece {i} must be int64 of shape (4, time) with a step, not {grid.dtype} of"
                f" {tuple(grid.shape)}"
            )
        if not 0 <= int(grid.min()) <= int(grid.max()) < model.symbols:
            raise ValueError(f"piece {i} has symbols outside 0–{model.symbols - 1}")
        if phases is not None and phases[i].shape != grid.shape[1:]:
            raise ValueError(
                f"phases of piece {i} must be of shape {tuple(grid.shape[1:])}, not"
                f" {tuple(phases[i].shape)}"
            )
    rng = np.random.default_rng(seed)
    jobs = []  # piece, first step, last, what is hidden, what counts and how much
    for i, grid in enumerate(grids):
        for first, done, last in parts(grid.shape[1], model.context):
            cells = 4 * (last - done)
            places = np.zeros(1)
            if order == "random":
                # One place from each of as many equal parts of the order: fewer rare draws.
                places = (np.arange(samples) + rng.random(samples)) / samples * cells
            for place in places.astype(int):
                hidden = gap(last - first, done - first, place, rng)
                jobs.append((i, first, last, hidden, cells))
    # Only parts of one length go together, for the model takes notice of what is padded.
    jobs.sort(key=_length)
    together = [
        some[start : start + batch]
        for some in (list(same) for _, same in groupby(jobs, _length))
        for start in range(0, len(some), batch)
    ]
    device, training = next(model.parameters()).device, model.training
    model.eval()
    try:
        with torch.no_grad():
            found = [_nats(model, grids, phases, some, order, device) for some in together]
    finally:
        model.train(training)
    notes = sum(grid.numel() for grid in grids)
    whole = {}
    for (i, first, *_), nats in zip(jobs, np.concatenate(found), strict=True):
        whole.setdefault((i, first), []).append(nats)
    spread = 0.0 if order == "time" else sum(map(_variance, whole.values()))
    total = sum(np.mean(nats) for nats in whole.values())
    return Nats(float(total / notes), float(np.sqrt(spread) / notes))


def _length(job: tuple) -> int:
    return job[2] - job[1]


def _variance(nats: Sequence[float]) -> float:
    """Estimate the variance of the mean of draws from neighbouring parts of an order."""
    if len(nats) == 1:
        return np.nan
    apart = np.diff(nats) ** 2 / 2 if len(nats) == 2 else np.diff(nats, n=2) ** 2 / 6
    return apart.mean() / len(nats)


def parts(time: int, context: int) -> list[tuple[int, int, int]]:
    """Cut a piece into parts: steps ``done`` to ``last``, given those from ``first`` on."""
    found, done = [], 0
    while done < time:
        first = max(0, done - context // 2)
        last = min(time, first + context)
        found.append((first, done, last))
        done = last
    return found


def gap(time: int, done: int, place: int, rng: np.random.Generator) -> np.ndarray:
    """Hide all cells from one place of a random order on: (4, time) bool.

    Parameters
    ----------
    time, done : int
        Steps of a part, and how many of them are known.
    place : int
        How many of the other cells are known.
    """
    hidden = np.zeros((4, time), bool)
    hidden[:, done:] = rng.permutation(4 * (time - done)).reshape(4, -1) >= place
    return hidden


def _nats(
    model: MaskedChorale,
    grids: Sequence[Tensor],
    phases: Sequence[Tensor] | None,
    jobs: list,
    order: str,
    device: torch.device,
) -> np.ndarray:
    """Estimate the nats of parts of one length."""
    notes = torch.stack([grids[i][:, first:last] for i, first, last, *_ in jobs])
    hidden = torch.from_numpy(np.stack([masked for *_, masked, _ in jobs]))
    if phases is None:
        phase = torch.full((len(jobs), notes.shape[2]), UNKNOWN)
    else:
        phase = torch.stack([phases[i][first:last] for i, first, last, *_ in jobs])
    notes, hidden, phase = (part.to(device) for part in (notes, hidden, phase))
    if order == "time":
        logits = model.both(notes, hidden, phase)[1]
    else:
        logits = model(torch.where(hidden, model.mask, notes), phase, hidden)
    if not logits.isfinite().all():
        raise FloatingPointError("the model's scores aren't finite")
    log_p = logits.double().log_softmax(-1).gather(-1, notes[hidden][:, None])[:, 0]
    row = hidden.nonzero()[:, 0]
    means = row.bincount(-log_p, minlength=len(jobs)) / row.bincount(minlength=len(jobs))
    return means.cpu().numpy() * [cells for *_, cells in jobs]
