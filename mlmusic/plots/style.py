"""What all figures share: colours, sizes, text descriptions, and how they reach the page."""

from __future__ import annotations

import base64
import html
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlmusic.pictures import COLOURS

PALETTE = COLOURS
"""The player's colours, after Paul Tol's schemes: distinct to colour-blind eyes. Colour never
stands alone."""

INK = "#333333"

DPI = 144
"""Dots per inch: twice a notebook's, for sharp letters on dense screens."""

WIDTH = 7.0
"""Inches: the width of a notebook's output."""

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters everywhere
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "figure.dpi": DPI,
}

_ALTS: WeakKeyDictionary[Axes, str] = WeakKeyDictionary()


class Panel(Axes):
    """A matplotlib Axes that shows its figure, with its text, at the end of a notebook cell."""

    def _repr_html_(self) -> str:
        return to_html(self)


@contextmanager
def canvas(ax: Axes | None, height: float = 3.0) -> Iterator[Axes]:
    """Give an Axes to draw on, a new one if `ax` is None, in the course's style.

    Parameters
    ----------
    ax : matplotlib Axes, optional
        Where to draw.
    height : float
        Inches, of the new figure.

    Raises
    ------
    TypeError
        If ``ax`` is something else.
    """
    if ax is not None and not isinstance(ax, Axes):
        raise TypeError(f"ax must be a matplotlib Axes or None, not {type(ax).__name__}")
    with matplotlib.style.context(["default", STYLE]):
        yield panels(height=height)[0] if ax is None else ax


def panels(rows: int = 1, columns: int = 1, *, height: float = 3.0, **options: Any) -> list[Axes]:
    """Make a figure with several Axes, to pass as ``ax``.

    Parameters
    ----------
    rows, columns : int
        How many.
    height : float
        Inches of each row; the figure is 7 inches wide.
    **options
        For matplotlib's ``Figure.subplots``, such as ``sharex=True``.

    Returns
    -------
    list of Axes
        Row by row. Pass any one of them (or ``ax.figure``) to `show`.
    """
    with matplotlib.style.context(["default", STYLE]):
        # A Figure outside pyplot: it's drawn when asked, never a second time by the notebook.
        figure = Figure(figsize=(WIDTH, height * rows), dpi=DPI, layout="constrained")
        axes = figure.subplots(
            rows, columns, squeeze=False, subplot_kw={"axes_class": Panel}, **options
        )
        return axes.ravel().tolist()


def set_alt(ax: Axes, text: str) -> Axes:
    """Say in words what an Axes shows, for those who can't see it; returns the Axes."""
    _ALTS[ax] = " ".join(text.split())
    return ax


def alt(ax: Axes | Figure) -> str:
    """Return the text of an Axes, or of a figure: those of all its Axes.

    Raises
    ------
    ValueError
        If there is none: `set_alt` sets one.
    """
    axes = ax.axes if isinstance(ax, Figure) else [ax]
    texts = [_ALTS[each] for each in axes if each in _ALTS]
    if not texts:
        raise ValueError("this figure has no text yet: describe it with plots.set_alt(ax, text)")
    return " ".join(texts)


def png(ax: Axes | Figure) -> bytes:
    """Render the figure of an Axes as PNG, 144 dots per inch, the same bytes every time."""
    buffer = io.BytesIO()
    with matplotlib.style.context(["default", STYLE]):
        # matplotlib would write its version into the file, and 'savefig.dpi' could be anything.
        _figure(ax).savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def to_html(ax: Axes | Figure) -> str:
    """Write the figure of an Axes as an HTML image with its text.

    A bare ``<img>`` with inline style and data survives a notebook that isn't trusted.
    """
    figure = _figure(ax)
    data = base64.b64encode(png(figure)).decode()
    width = round(figure.get_figwidth() * 96)  # CSS pixels
    return (
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt(figure))}"'
        f' width="{width}" style="max-width: 100%; height: auto">'
    )


def show(ax: Axes | Figure) -> None:
    """Display the figure of an Axes in the notebook, with its text for screen readers.

    Raises
    ------
    ValueError
        If nothing in it has a text.
    """
    from IPython.display import HTML, display

    figure = _figure(ax)
    display(HTML(to_html(figure)))
    if "matplotlib.pyplot" in sys.modules:  # or the notebook would draw it again, without text
        sys.modules["matplotlib.pyplot"].close(figure)


def _figure(ax: Axes | Figure) -> Figure:
    if isinstance(ax, Figure):
        return ax
    if isinstance(ax, Axes):
        return ax.figure.canvas.figure  # the whole, also where ax.figure is a part of it
    raise TypeError(f"expected a matplotlib Axes or Figure, not {type(ax).__name__}")


def numbers(values: Any, name: str) -> np.ndarray:
    """Return one row of finite numbers, or say what is wrong with them.

    Raises
    ------
    ValueError
        If they aren't that.
    """
    values = np.asarray(values)
    if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "fiu":
        raise ValueError(
            f"{name} must be one row of numbers, not {values.dtype} of shape {values.shape}"
        )
    if not np.isfinite(values).all():
        place = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"{name}[{place}] is {values[place]}, not a finite number")
    return values.astype(float)
