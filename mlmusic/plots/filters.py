"""Inside a convolutional network: which inputs an output sees, and what its kernels hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from mlmusic.plots.style import INK, PALETTE, canvas, set_alt


def receptive_field(
    layers: Sequence[tuple[int, ...]], ax: Axes | None = None, *, names: Sequence[str] = ()
) -> Axes:
    """Draw a stack of layers, and which places of each the last layer's one output sees.

    Parameters
    ----------
    layers : sequence of (kernel, stride, dilation)
        From the input on, as for `mlmusic.models.cnn.receptive_field`; without padding.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    names : sequence of str
        Of the layers, for the axis; by default their numbers.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If there are no layers, a layer is impossible, or names are not as many.
    """
    from mlmusic.models.cnn import receptive_field as measure  # imports torch, figures don't

    if not layers:
        raise ValueError("there is nothing to draw: no layers")
    field, _ = measure(layers)
    names = list(names) or [f"layer {i + 1}" for i in range(len(layers))]
    if len(names) != len(layers):
        raise ValueError(f"{len(names)} names for {len(layers)} layers")
    # From the one output down: the places of each row that it depends on, and their links.
    rows, links = [[0]], []
    for kernel, stride, dilation in ((*layer, 1, 1)[:3] for layer in reversed(layers)):
        below = {(p, p * stride + k * dilation) for p in rows[0] for k in range(kernel)}
        links.insert(0, below)
        rows.insert(0, sorted({place for _, place in below}))
    # Where each place stands, in steps of the input: the middle of what it sees.
    jumps, middles = [1], [0.0]
    for kernel, stride, dilation in ((*layer, 1, 1)[:3] for layer in layers):
        middles.append(middles[-1] + (kernel - 1) * dilation * jumps[-1] / 2)
        jumps.append(jumps[-1] * stride)

    def x(row: int, place: float) -> float:
        return middles[row] + place * jumps[row]

    with canvas(ax, height=0.7 + 0.45 * len(rows)) as ax:
        for row, pairs in enumerate(links):
            for above, place in pairs:
                ends = [x(row + 1, above), x(row, place)]
                ax.plot(ends, [row + 1, row], color=PALETTE[0], lw=0.6, alpha=0.6, zorder=1)
        for row, places in enumerate(rows):
            every = np.arange(-2, (field + 2 - middles[row]) / jumps[row])
            every = [p for p in every if -1.5 <= x(row, p) <= field + 0.5]
            at = [x(row, p) for p in every]
            seen = [PALETTE[0] if p in places else "white" for p in every]
            ax.scatter(at, [row] * len(at), s=26, c=seen, edgecolors=INK, lw=0.6, zorder=2)
        ax.set_yticks(range(len(rows)), ["input", *names])
        ax.set(xlabel="step of the input", xlim=(-2, field + 1), ylim=(-0.5, len(rows) - 0.5))
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
    counts = ", ".join(
        f"{len(places)} of {name}" for name, places in zip(names, rows[1:-1], strict=False)
    )
    return set_alt(
        ax,
        f"Receptive field: one output of {names[-1]} depends on {len(rows[0])} of the {field}"
        f" inputs that it spans{f', through {counts}' if counts else ''}.",
    )


def kernels(
    weights: ArrayLike,
    ax: Axes | None = None,
    *,
    rows: Sequence[str] | None = None,
    title: str = "",
) -> Axes:
    """Draw one kernel of a melody net: its weights by input channel and tap.

    Filled squares are positive weights, hollow ones negative; the area is the size.

    Parameters
    ----------
    weights : array_like, (channels, taps)
        One output channel of a 1-D convolution.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    rows : sequence of str, optional
        Names of the channels, from 0 up.
    title : str
        Above the picture.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If the weights aren't a table of finite numbers, or names are not as many.
    """
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or weights.size == 0 or not np.isfinite(weights).all():
        raise ValueError(f"weights must be a finite (channels, taps) table, not {weights.shape}")
    rows = [str(i) for i in range(len(weights))] if rows is None else list(rows)
    if len(rows) != len(weights):
        raise ValueError(f"{len(rows)} names for {len(weights)} channels")
    channel, tap = np.indices(weights.shape).reshape(2, -1)
    flat = weights.ravel()
    area = 110 * np.abs(flat) / (np.abs(flat).max() or 1)
    with canvas(ax, height=0.7 + 0.16 * len(weights)) as ax:
        for chosen, face in ((flat > 0, PALETTE[0]), (flat < 0, "white")):
            ax.scatter(
                tap[chosen], channel[chosen], s=area[chosen], marker="s", c=face, ec=INK, lw=0.7
            )
        ax.set_yticks(range(len(rows)), rows)
        ax.set_xticks(range(weights.shape[1]))
        ax.set(xlabel="tap of the kernel", xlim=(-0.6, weights.shape[1] - 0.4))
        ax.set_ylim(-0.7, len(rows) - 0.3)
        if title:
            ax.set_title(title)
    strongest = np.argsort(-np.abs(flat), kind="stable")[:3]
    said = "; ".join(f"{rows[channel[i]]} at tap {tap[i]}, {flat[i]:+.2g}" for i in strongest)
    return set_alt(ax, f"Kernel{f' {title}' if title else ''}: the largest weights are {said}.")
