"""What a network looked at: importance drawn over its input."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from mlmusic.plots.style import INK, PALETTE, canvas, set_alt

MOST = 160
"""Dots in a picture: more would hide what lies under them."""


def saliency(
    picture: ArrayLike,
    importance: ArrayLike,
    ax: Axes | None = None,
    *,
    xlabel: str = "step",
    ylabel: str = "channel",
    extent: tuple[float, float, float, float] | None = None,
    target: str = "the class",
) -> Axes:
    """Draw an input in grey, and on it how much each place speaks for or against a class.

    The larger a dot, the more important the place: filled where it speaks for the class, a ring
    where it speaks against. Only the most important places are drawn.

    Parameters
    ----------
    picture : array_like, (rows, columns)
        What the network saw, row 0 at the bottom; darker is more.
    importance : array_like, (rows, columns)
        Of each place, in any unit; coarser pictures of the same shape are made by repeating.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    xlabel, ylabel : str
        What columns and rows are.
    extent : (left, right, bottom, top), optional
        Coordinates of the picture's edges; by default columns and rows are counted from 0.
    target : str
        The class, for the text.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If the arrays aren't two tables of one shape, or hold what isn't finite.
    """
    picture, importance = np.asarray(picture, float), np.asarray(importance, float)
    if picture.ndim != 2 or picture.size == 0 or picture.shape != importance.shape:
        raise ValueError(
            f"picture {picture.shape} and importance {importance.shape} must be two tables of one"
            " shape"
        )
    if not (np.isfinite(picture).all() and np.isfinite(importance).all()):
        raise ValueError("picture and importance must hold finite numbers only")
    rows, columns = picture.shape
    left, right, bottom, top = extent or (-0.5, columns - 0.5, -0.5, rows - 0.5)
    size = np.abs(importance)
    at = np.argsort(-size, axis=None, kind="stable")[:MOST]
    at = at[size.ravel()[at] > 0.05 * size.max()] if size.max() > 0 else at[:0]
    row, column = np.unravel_index(at, size.shape)
    x = left + (column + 0.5) * (right - left) / columns
    y = bottom + (row + 0.5) * (top - bottom) / rows
    with canvas(ax) as ax:
        ax.imshow(
            picture,
            origin="lower",
            aspect="auto",
            extent=(left, right, bottom, top),
            cmap="Greys",
            vmin=picture.min(),
            vmax=picture.max() + 0.8 * np.ptp(picture),  # dots must stand out on the darkest
            interpolation="nearest",
        )
        area = 90 * size[row, column] / (size.max() or 1)
        forward = importance[row, column] > 0
        for chosen, face, label in ((forward, PALETTE[0], "for"), (~forward, "none", "against")):
            ax.scatter(
                x[chosen],
                y[chosen],
                s=area[chosen],
                facecolors=face,
                edgecolors=INK,
                linewidths=0.7,
                label=label,
            )
        ax.set(xlim=(left, right), ylim=(bottom, top), ylabel=ylabel)
        ax.set_xlabel(xlabel, loc="left")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        # Beside the label of the axis, so that a title has its place.
        legend = ax.legend(loc="upper right", bbox_to_anchor=(1, -0.1), ncols=2, borderaxespad=0.2)
        for handle in legend.legend_handles:
            handle.set_sizes([40])
    return set_alt(ax, _describe(importance, target, xlabel, ylabel, (left, right, bottom, top)))


def _describe(
    importance: np.ndarray, target: str, xlabel: str, ylabel: str, extent: tuple[float, ...]
) -> str:
    left, right, bottom, top = extent
    rows, columns = importance.shape
    total = np.abs(importance).sum()
    if total == 0:
        return f"Importance for {target}: zero everywhere."

    def name(place: int) -> str:
        row, column = np.unravel_index(place, importance.shape)
        x = left + (column + 0.5) * (right - left) / columns
        y = bottom + (row + 0.5) * (top - bottom) / rows
        return f"{xlabel} {x:.3g}, {ylabel} {y:.3g}"

    share = importance.clip(min=0).sum() / total
    text = f"Importance for {target}: {share:.0%} of it speaks for, the rest against."
    for word, sign in (("for", 1), ("against", -1)):
        order = np.argsort(-sign * importance, axis=None, kind="stable")[:3]
        places = [name(at) for at in order if sign * importance.ravel()[at] > 0]
        if places:
            text += f" Most {word}: {'; '.join(places)}."
    return text
