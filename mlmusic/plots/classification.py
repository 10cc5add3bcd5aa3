"""Right and wrong in pictures: the confusion matrix and the ROC curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from mlmusic.metrics.classification import roc_auc, roc_curve
from mlmusic.plots.style import INK, PALETTE, canvas, set_alt

LINES = ("-", "--", ":", "-.")
MOST_NUMBERED = 16
"""With more classes than this, the cells are too small for numbers."""


def confusion(matrix: ArrayLike, classes: Sequence[Any], ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix: the darker, the larger the share of that row's class.

    Parameters
    ----------
    matrix : int array, shape (classes, classes)
        Counts, rows the true class, columns the predicted one.
    classes : sequence of labels
        Names of the rows and columns.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If it isn't a square of counts with one name for each row.
    """
    matrix, names = np.asarray(matrix), [str(name) for name in classes]
    if matrix.shape != (len(names), len(names)) or not names:
        raise ValueError(f"a confusion matrix of {len(names)} classes can't be {matrix.shape}")
    if matrix.dtype.kind not in "iu" or matrix.min() < 0 or not matrix.any():
        raise ValueError("a confusion matrix holds counts: whole numbers from 0, not all of them 0")
    totals = matrix.sum(axis=1, keepdims=True)
    share = matrix / np.maximum(totals, 1)
    with canvas(ax, height=1.2 + 0.32 * max(len(names), 4)) as ax:
        ax.imshow(share, cmap="Greys", vmin=0, vmax=1, aspect="auto")
        if len(names) <= MOST_NUMBERED:
            for (row, column), count in np.ndenumerate(matrix):
                ink = "white" if share[row, column] > 0.55 else INK
                ax.text(column, row, f"{count:,}", ha="center", va="center", color=ink)
        turned = {"rotation": 45, "ha": "right"} if sum(map(len, names)) > 60 else {}
        ax.set_xticks(range(len(names)), names, **turned)
        ax.set_yticks(range(len(names)), names)
        ax.set(xlabel="predicted", ylabel="true")
        ax.tick_params(length=0)
    return set_alt(ax, _describe(matrix, share, totals[:, 0], names))


def roc(
    models: Mapping[str, tuple[ArrayLike, ArrayLike]],
    ax: Axes | None = None,
) -> Axes:
    """Draw ROC curves: the share of positives found against the share of false alarms.

    Parameters
    ----------
    models : mapping of name to (truth, scores)
        As `mlmusic.metrics.classification.roc_curve` takes them.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If there is no model, or truth and scores don't fit.
    """
    if not models:
        raise ValueError("there is no curve to draw: no models")
    areas = {name: roc_auc(*pair) for name, pair in models.items()}
    with canvas(ax) as ax:
        ax.plot([0, 1], [0, 1], color="#999999", lw=0.8)
        for i, (name, (truth, scores)) in enumerate(models.items()):
            x, y, _ = roc_curve(truth, scores)
            look = {"color": PALETTE[i % len(PALETTE)], "ls": LINES[i % len(LINES)], "lw": 1.6}
            ax.plot(x, y, label=f"{name}: AUC {areas[name]:.3f}", **look)
        ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        ax.set_xlabel("false alarms (share of the negatives)")
        ax.set_ylabel("found (share of the positives)")
        ax.legend(loc="lower right")
    said = "; ".join(f"{name} {area:.3f}" for name, area in areas.items())
    return set_alt(ax, f"ROC curves, area under each (0.5 is guessing, 1 perfect): {said}.")


def _describe(matrix: np.ndarray, share: np.ndarray, totals: np.ndarray, names: list[str]) -> str:
    right = np.trace(matrix) / matrix.sum()
    text = f"Confusion matrix of {len(names)} classes, {right:.0%} right of {matrix.sum():,}."
    found = [
        f"{name} {share[i, i]:.0%} of {totals[i]:,}" for i, name in enumerate(names) if totals[i]
    ]
    text += f" Found: {'; '.join(found)}."
    wrong = share.copy()
    np.fill_diagonal(wrong, 0)
    row, column = np.unravel_index(np.argmax(wrong), wrong.shape)
    if wrong[row, column] > 0:
        text += (
            f" The commonest mistake: {names[row]} taken for {names[column]},"
            f" {wrong[row, column]:.0%}."
        )
    return text
