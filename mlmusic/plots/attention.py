"""Attention drawn on the score: where a model looks back to before it writes a step."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from mlmusic.plots.roll import piano_roll
from mlmusic.plots.style import INK, PALETTE, alt, canvas, set_alt
from mlmusic.score import Score

ROOM = 0.3
"""Height of the bars of attention, as a share of the roll's."""


def attention_on_score(
    score: Score,
    weights: ArrayLike,
    step: int,
    ax: Axes | None = None,
    *,
    steps_per_quarter: int = 4,
) -> Axes:
    """Draw the piano roll, and below it how much of a step's attention goes to each step before.

    The longer a bar, the more attention; the three longest are numbered. A dashed line stands where
    the step begins that looks back.

    Parameters
    ----------
    score : Score
    weights : array_like, (step,)
        For steps 0 to ``step - 1``, 0 or more: a head's, or the mean of several. They needn't add
        up to 1.
    step : int
        The one that looks back, at least 1, counted from the score's beginning.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    steps_per_quarter : int
        4 are sixteenths.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError
        If this is no Score.
    ValueError
        If the score is empty, or weights are negative, not finite, or not one for each step before
        ``step`` and within the score.
    """
    weights = np.asarray(weights, float)
    if step < 1 or weights.shape != (step,):
        raise ValueError(
            f"weights must be one for each of the {step} steps before it, not of shape"
            f" {weights.shape}"
        )
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError("weights must be finite and 0 or more")
    with canvas(ax, height=3.6) as ax:
        piano_roll(score, ax)
        if step / steps_per_quarter >= score.bar_lines[-1]:
            raise ValueError(f"step {step} lies after the end of the score")
        _draw(ax, weights, step, steps_per_quarter)
    roll = alt(ax)
    return set_alt(ax, f"{_describe(score, weights, step, steps_per_quarter)} On it: {roll}")


def place(score: Score, onset: float) -> str:
    """Say where in a score a quarter note is: ``"bar 2 beat 3"``, beats counted from 1.

    A bar before the first full one is bar 0; beats are what the metre counts, quarters in 4/4.
    """
    lines = score.bar_lines
    i = max(0, int(np.searchsorted(lines, onset + 1e-9, side="right")) - 1)
    ruling = [entry for entry in score.metre if entry[0] <= onset + 1e-9] or score.metre[:1]
    unit = 4 / ruling[-1][2]
    bar = i if score.has_pickup else i + 1
    return f"bar {bar} beat {(onset - lines[i]) / unit + 1:.4g}"


def _draw(ax: Axes, weights: np.ndarray, step: int, steps_per_quarter: int) -> None:
    low, high = ax.get_ylim()
    room = ROOM * (high - low)
    base = low - 1.25 * room
    left = np.arange(step) / steps_per_quarter
    tall = weights / (weights.max() or 1) * room
    ax.bar(
        left,
        tall,
        width=1 / steps_per_quarter,
        bottom=base,
        align="edge",
        color=PALETTE[1],
        edgecolor=INK,
        linewidth=0.4,
        zorder=3,
    )
    ax.axhline(base, color=INK, lw=0.8)
    for rank, at in enumerate(_most(weights), 1):
        x = left[at] + 0.5 / steps_per_quarter
        ax.axvspan(
            left[at], left[at] + 1 / steps_per_quarter, color=PALETTE[1], alpha=0.3, lw=0, zorder=1
        )
        ax.text(x, base + tall[at], str(rank), ha="center", va="bottom", fontsize=8, zorder=4)
    now = step / steps_per_quarter
    ax.axvline(now, color=INK, lw=1.4, ls="--", zorder=3)
    ax.annotate(
        "◂ looks back",
        (now, base + 0.55 * room),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        annotation_clip=False,
    )
    ax.set_ylim(base, high)


def _most(weights: np.ndarray) -> list[int]:
    order = np.argsort(-weights, kind="stable")[:3]
    return [int(at) for at in order if weights[at] > 0]


def _describe(score: Score, weights: np.ndarray, step: int, steps_per_quarter: int) -> str:
    text = f"Attention of the step at {place(score, step / steps_per_quarter)}."
    most = _most(weights)
    if not most:
        return f"{text} It looks nowhere."
    named = [f"{place(score, at / steps_per_quarter)} ({weights[at]:.0%})" for at in most]
    return f"{text} Most looked at: {', '.join(named)}."
