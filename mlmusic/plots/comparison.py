"""Models side by side: one number each, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mlmusic.plots.style import INK, PALETTE, canvas, numbers, set_alt

DIRECTIONS = {
    "higher": "higher is better →",
    "lower": "← lower is better",
    "nearer": "the nearer to the dashed line, the better",
}


def comparison(
    rows: Mapping[str, float | tuple[float, float, float] | Sequence[float]],
    ax: Axes | None = None,
    *,
    unit: str = "",
    better: str = "higher",
    baseline: str | None = None,
) -> Axes:
    """Draw one line for each model: a dot for its score, a bar for how far it may be off.

    Parameters
    ----------
    rows : mapping of name to score
        From top to bottom. A score is one number; a tuple ``(value, low, high)``, or anything
        with these three attributes, such as an interval of `mlmusic.metrics.intervals`; or a list
        (or array) with the scores of each fold or seed, of which the mean and the range are
        drawn, and each as a stroke.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    unit : str
        What is measured, such as ``"semitones"``.
    better : {"higher", "lower", "nearer"}
        Which direction is better; nearer is to the baseline.
    baseline : str, optional
        The row that the others should beat: hollow, with a dashed line through its score.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If there are no rows, a score isn't finite, an interval doesn't hold its value, the
        direction is unknown, the baseline is none of the rows, or it is missing where nearer to it
        is better.
    """
    if better not in DIRECTIONS:
        raise ValueError(f"better is {better!r}; it must be one of {', '.join(DIRECTIONS)}")
    if not rows:
        raise ValueError("there is nothing to compare: no rows")
    if baseline is not None and baseline not in rows:
        raise ValueError(f"the baseline {baseline!r} is none of the rows: {', '.join(rows)}")
    if better == "nearer" and baseline is None:
        raise ValueError("nearer to what is better? Name the baseline")
    scores = {str(name): _score(name, row) for name, row in rows.items()}
    decimals = _decimals(scores)
    with canvas(ax, height=0.7 + 0.32 * len(scores)) as ax:
        for place, (name, (value, low, high, single)) in enumerate(scores.items()):
            face = "white" if name == baseline else PALETTE[0]
            if high > low:
                ax.plot([low, high], [place, place], color=PALETTE[0], lw=3, alpha=0.4)
            if len(single):
                ax.plot(single, np.full(len(single), place), "|", color=INK, ms=8, mew=0.8)
            ax.plot(value, place, "o", ms=7, mfc=face, mec=PALETTE[0], mew=1.5, zorder=3)
            ax.annotate(
                f"{value:.{decimals}f}",
                (1.01, place),
                xycoords=("axes fraction", "data"),
                va="center",
            )
        if baseline is not None:
            ax.axvline(scores[baseline][0], color=INK, lw=0.8, ls="--", zorder=0)
        ax.set_yticks(range(len(scores)), list(scores))
        ax.set_ylim(len(scores) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color="#DDDDDD", lw=0.6)
        ax.set_axisbelow(True)
        arrow = DIRECTIONS[better]
        said = [f"{unit} ({arrow})" if unit else arrow]
        if any(len(single) for *_, single in scores.values()):
            said.append("strokes: single runs or folds; pale bar: their range")
        if any(high > low and not len(single) for _, low, high, single in scores.values()):
            said.append("pale bar: interval" if len(said) == 1 else "or an interval")
        ax.set_xlabel(said[0] + "\n" * (len(said) > 1) + ", ".join(said[1:]))
    return set_alt(ax, _describe(scores, unit, better, baseline))


def _decimals(scores: dict[str, tuple]) -> int:
    """Return how many decimals give the largest score three digits; all rows get as many."""
    most = max(abs(score[0]) for score in scores.values())
    return int(np.clip(2 - np.floor(np.log10(most)), 0, 6)) if most > 0 else 0


def _score(name: str, row: Any) -> tuple[float, float, float, np.ndarray]:
    """Return value, low, high and the single scores of a row."""
    if all(hasattr(row, part) for part in ("value", "low", "high")):
        row = (row.value, row.low, row.high)
    values = numbers(np.atleast_1d(np.asarray(row)), f"the score of {name!r}")
    if np.ndim(row) == 0:
        return values[0], values[0], values[0], values[:0]
    if not isinstance(row, tuple):
        return values.mean(), values.min(), values.max(), values
    if len(values) != 3:
        raise ValueError(
            f"the score of {name!r} is a tuple of {len(values)}: give (value, low, high), or a"
            " list of the scores of each fold or seed"
        )
    value, low, high = values
    if not low <= value <= high:
        raise ValueError(f"the score of {name!r}, {value:.4g}, lies outside {low:.4g}–{high:.4g}")
    return value, low, high, values[:0]


def _describe(scores: dict[str, tuple], unit: str, better: str, baseline: str | None) -> str:
    if better == "nearer":
        others = [name for name in scores if name != baseline]
        best = min(others, key=lambda name: abs(scores[name][0] - scores[baseline][0]))
    else:
        best = (max if better == "higher" else min)(scores, key=lambda name: scores[name][0])
    said, decimals = [], _decimals(scores)
    for name, (value, low, high, _) in scores.items():
        which = " (the baseline)" if name == baseline else ""
        span = f", from {low:.{decimals}f} to {high:.{decimals}f}" if high > low else ""
        said.append(f"{name}{which} {value:.{decimals}f}{span}")
    of = f" in {unit}" if unit else ""
    than = " to the baseline" if better == "nearer" else ""
    return f"Comparison{of}, {better}{than} is better: {'; '.join(said)}. The best is {best}."
