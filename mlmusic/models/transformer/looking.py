"""Where a chorale model looks, and what it would miss: two questions with two answers.

Attention weights tell how much of each step's values goes into a sum. What a step is *for* shows
when it is hidden: how far does the prediction move? Sources: Jain and Wallace, *Attention is not
explanation*, 2019; Wiegreffe and Pinter, *Attention is not not explanation*, 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mlmusic.models.transformer.chorale import ORDER, ChoraleModel
from mlmusic.models.transformer.pieces import Past


def looked_at(
    model: ChoraleModel,
    notes: Tensor,
    step: int,
    *,
    layer: int | None = None,
    head: int | None = None,
) -> np.ndarray:
    """Return how much attention each step gets when another one is to be predicted.

    Parameters
    ----------
    model : ChoraleModel
        One model; of a committee take ``members[0]``.
    notes : (steps, 4) int64
        Symbols.
    step : int
        The one to be predicted, at least 1.
    layer, head : int, optional
        Which; by default the mean of all.

    Returns
    -------
    (step,) float array
        For steps 0 to ``step - 1``. They add up to 1 less what goes to the place before the first.

    Raises
    ------
    ValueError
        If there is no such step, or nothing before it.
    """
    _check(notes, step)
    weights = model.weights(notes[None, : step + 1])[:, 0, :, step]  # (layers, heads, places)
    weights = weights.mean(0) if layer is None else weights[layer]
    weights = weights.mean(0) if head is None else weights[head]
    return weights[1:].numpy()  # place s holds the notes of step s - 1


def influence(model: ChoraleModel, notes: Tensor, step: int) -> np.ndarray:
    """Return how far a prediction moves when a step is hidden, one step after the other.

    A hidden step looks as if nothing had sounded yet. How far is the Kullback–Leibler divergence
    from the prediction with it to that without, summed over the voices, each given the true notes
    of those before it.

    Parameters
    ----------
    model, notes, step
        As in `looked_at`.

    Returns
    -------
    (step - 1,) float array
        In nats, for steps 0 to ``step - 2``: the last one before isn't hidden, as the model needn't
        look back to know it.

    Raises
    ------
    ValueError
        If there is no such step, or fewer than two before it.
    """
    _check(notes, step, before=2)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            seen = model.past(notes[: step + 1])
            rows = torch.arange(1, step)  # row 0 hides nothing, row i hides place i
            hidden = Past(*(part.repeat(step, *part.ndim * [1]) for part in seen))
            hidden.previous[rows, rows] = model.pitches + 1
            hidden.age[rows, rows] = 0
            hidden.move[rows, rows] = model.pitches
            summary = model.look_back(hidden)[0][:, step]
            told = _predicted(model, summary, seen.previous[step], notes[step])
    finally:
        model.train(training)
    full, less = told[:1], told[1:]
    return (full.exp() * (full - less)).sum((1, 2)).numpy()


def sensitivity(model: ChoraleModel, notes: Tensor, step: int) -> np.ndarray:
    """Return gradient times input of each step: what a small change of it would do, at most.

    Of the likelihood of the true notes; the size of the product of the gradient and what the model
    reads at a step.

    Parameters
    ----------
    model, notes, step
        As in `influence`.

    Returns
    -------
    (step - 1,) float array
        For steps 0 to ``step - 2``.
    """
    _check(notes, step, before=2)
    training = model.training
    model.eval()
    try:
        with torch.enable_grad():
            seen = model.past(notes[: step + 1])
            x = model.embedded(Past(*(part[None] for part in seen))).detach().requires_grad_()
            summary = model.trunk(model.norm(x), None)[0][:, step]
            told = _predicted(model, summary, seen.previous[step], notes[step])[0]
            score = told.gather(1, notes[step][:, None]).sum()
            (slope,) = torch.autograd.grad(score, x)
    finally:
        model.train(training)
    return (slope * x.detach())[0].sum(-1).abs()[1:step].numpy()


def _predicted(model: ChoraleModel, summary: Tensor, previous: Tensor, notes: Tensor) -> Tensor:
    """Log-probabilities of one step's voices: (rows, width) to (rows, 4, symbols)."""
    previous, notes = (part.expand(len(summary), -1) for part in (previous, notes))
    found = [summary] * 4
    for v in ORDER:
        found[v] = model.voice(v, summary, previous, notes).double().log_softmax(-1)
        summary = model.tell(v, summary, previous, notes)
    return torch.stack(found, 1)


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Return Spearman's correlation of two rows of numbers: that of their ranks.

    Raises
    ------
    ValueError
        If they aren't equally long, at least two, or all numbers of one are the same.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ValueError(f"ranks are compared of two rows of one length, not {a.shape}, {b.shape}")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise ValueError("where all numbers are the same there is no order")
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(row: np.ndarray) -> np.ndarray:
    """Give the lowest rank 1 and so on; equals share the mean of their ranks."""
    _, which, count = np.unique(row, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[which]


def compare(
    model: ChoraleModel,
    pieces: Sequence[Tensor],
    *,
    count: int = 30,
    back: int = 48,
    layer: int | None = None,
    head: int | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Ask at many steps whether what is looked at most is what matters most.

    Parameters
    ----------
    model : ChoraleModel
    pieces : sequence of (steps, 4) int64
        Longer than ``back``.
    count : int
        How many steps are drawn, at which the harmony or melody moves: a note begins.
    back : int
        How many steps before them are kept.
    layer, head : int, optional
        As in `looked_at`.
    seed : int

    Returns
    -------
    dict of str to float
        ``most looked at``, ``at random``, ``most missed``: by how many nats the prediction moves on
        the mean when that step is hidden; ``same step``: how often the first is the last;
        ``ranks, attention`` and ``ranks, gradient``: mean rank correlation with what hiding does.
        The last step before isn't among them, see `influence`.

    Raises
    ------
    ValueError
        If no piece is long enough, or count or back too small.
    """
    if count < 1 or back < 3:
        raise ValueError("compare at 1 step or more, with 3 or more before it")
    ends = [
        (i, t)
        for i, piece in enumerate(pieces)
        for t in range(back, len(piece))
        if (piece[t] != piece[t - 1]).any()
    ]
    if not ends:
        raise ValueError(f"no piece has a note that begins after {back} steps")
    rng = np.random.default_rng(seed)
    rows = []
    for at in rng.permutation(len(ends))[:count]:
        i, t = ends[at]
        piece = pieces[i][t - back : t + 1]
        moved = influence(model, piece, back)
        attention = looked_at(model, piece, back, layer=layer, head=head)[:-1]
        most = int(attention.argmax())
        rows.append(
            {
                "most looked at": moved[most],
                "at random": moved[rng.integers(len(moved))],
                "most missed": moved.max(),
                "same step": float(most == moved.argmax()),
                "ranks, attention": rank_correlation(attention, moved),
                "ranks, gradient": rank_correlation(sensitivity(model, piece, back), moved),
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _check(notes: Tensor, step: int, before: int = 1) -> None:
    if notes.ndim != 2 or notes.shape[1] != 4 or notes.dtype != torch.int64:
        raise ValueError(f"notes must be int64 of shape (steps, 4), not {tuple(notes.shape)}")
    if not before <= step < len(notes):
        raise ValueError(f"step must be {before} to {len(notes) - 1}, not {step}")
