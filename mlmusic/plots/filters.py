"""Inside a convolutional network: which inputs an output sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

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
        ax.xaxis.get_major_locator().set_params(integer=True)
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
