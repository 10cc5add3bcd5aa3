"""How a training went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mlmusic.plots.style import INK, PALETTE, canvas, numbers, set_alt

if TYPE_CHECKING:
    from mlmusic.training import History


def loss(history: History, ax: Axes | None = None, *, unit: str = "") -> Axes:
    """Draw training and validation loss by epoch, and mark the epoch whose weights were kept.

    Parameters
    ----------
    history : History
        What `fit` returned.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    unit : str
        Of the loss, such as ``"nats per note"``.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If no epoch was finished, or a loss isn't finite.
    """
    if not len(history):
        raise ValueError("there is no loss to draw: no epoch was finished")
    train = numbers(history.train, "history.train")
    epochs = np.arange(1, len(train) + 1)
    kept, unit_text = history.best_epoch, f" {unit}" if unit else ""
    text = f"Loss by epoch, {len(train)} epoch{'s' * (len(train) > 1)}. Training: " + _course(train)
    with canvas(ax) as ax:
        every = max(1, len(train) // 12)  # markers far enough apart to be told from each other
        ax.plot(epochs, train, "-o", color=PALETTE[0], ms=5, markevery=every, label="training")
        curve = train
        if history.valid:
            curve = numbers(history.valid, "history.valid")
            text += f" Validation: {_course(curve)}"
            ax.plot(
                epochs,
                curve,
                "--s",
                color=PALETTE[3],
                ms=5,
                mfc="white",
                markevery=(every // 2, every),
                label="validation",
            )
        if kept:
            best = curve[kept - 1]
            text += f" The weights of epoch {kept}, at {best:.3g}{unit_text}, were kept."
            ax.axvline(kept, color=INK, lw=0.8, ls=":", zorder=0)
            ax.plot(kept, best, "*", color=INK, ms=13, label=f"kept: epoch {kept}, {best:.3g}")
        ax.set_xlabel("epoch")
        ax.set_ylabel(f"loss ({unit})" if unit else "loss")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.margins(x=0.03)
        ax.grid(axis="y", color="#DDDDDD", lw=0.6)
        ax.legend()
    return set_alt(ax, text)


def _course(curve: np.ndarray) -> str:
    if len(curve) == 1:
        return f"{curve[0]:.3g}."
    low = int(np.argmin(curve))
    return f"from {curve[0]:.3g} to {curve[-1]:.3g}, lowest {curve[low]:.3g} in epoch {low + 1}."
