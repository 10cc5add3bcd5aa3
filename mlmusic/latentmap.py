"""A map of melodies: a grid of latent points that is clicked, or walked with the arrow keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from numpy.typing import ArrayLike

from mlmusic.describe import describe
from mlmusic.score import Score

MOST = 15
"""Largest number of rows or columns: beyond, the buttons don't fit."""


class LatentMap(ipywidgets.VBox):
    """Buttons for the points of a grid, two sliders to walk, and what is heard here, in words.

    Every point is a button: clicked, or reached with Tab and pressed with Enter. For the arrow
    keys, go to one of the sliders: right and left move across, and up and down move up and down,
    since rows are counted from the bottom, as on a chart. The melody of the point is said in
    words below, for those who can't hear it, and read out by screen readers. The map doesn't
    play: watch ``place``.

    Parameters
    ----------
    points : array, shape (rows, columns, latent)
        Such as `mlmusic.latent.plane` gives; row 0 is drawn at the bottom. At least 2 rows and
        columns, at most `MOST`.
    decode : function (latent,) array -> Score
        Called once for each point that is visited.
    mark : function Score -> str, optional
        A short label for a point's button, such as its number of notes. All points are decoded
        at once then.
    place : (row, column)
        Where to begin, from 0.
    names : mapping of (row, column) to str, optional
        Short names of landmarks, such as the corners; a name stands before the mark.

    Attributes
    ----------
    place : tuple of int
        Row (0 is the lowest) and column. Watch it with ``map.observe(function, names="place")``;
        set it to walk by program.
    buttons : list of list of ipywidgets.Button

    Raises
    ------
    ValueError
        If the points aren't such a grid, or the place or a name isn't on it.

    Examples
    --------
    >>> import numpy as np
    >>> from mlmusic import Score
    >>> grid = np.zeros((2, 3, 8))
    >>> found = LatentMap(grid, lambda z: Score([(0, 1, 60)]))
    >>> found.place = (1, 2)
    >>> found.score().notes["pitch"].tolist()
    [60]
    """

    place = traitlets.Tuple()

    def __init__(
        self,
        points: ArrayLike,
        decode: Callable[[np.ndarray], Score],
        *,
        mark: Callable[[Score], str] | None = None,
        place: tuple[int, int] = (0, 0),
        names: Mapping[tuple[int, int], str] | None = None,
    ):
        self.points = np.asarray(points, float)
        if self.points.ndim != 3 or not all(2 <= n <= MOST for n in self.points.shape[:2]):
            raise ValueError(
                f"a map has points (rows, columns, latent), 2 to {MOST} rows and columns, not"
                f" {self.points.shape}"
            )
        if not np.isfinite(self.points).all():
            raise ValueError("the points of a map must be finite")
        self.rows, self.columns = self.points.shape[:2]
        self._decode, self._scores, self._names = decode, {}, dict(names or {})
        for named in self._names:
            self._on_map(named)
        self.buttons = [
            [self._button(row, column, mark) for column in range(self.columns)]
            for row in range(self.rows)
        ]
        grid = ipywidgets.GridBox(
            [button for row in reversed(self.buttons) for button in row],
            layout=ipywidgets.Layout(
                grid_template_columns=f"repeat({self.columns}, 40px)", grid_gap="2px"
            ),
        )
        wide = {"continuous_update": True, "min": 1}
        self.across = ipywidgets.IntSlider(max=self.columns, description="across", **wide)
        self.up = ipywidgets.IntSlider(max=self.rows, description="up", **wide)
        self.said = ipywidgets.HTML()
        super().__init__([grid, self.across, self.up, self.said])
        self.across.observe(self._slid, names="value")
        self.up.observe(self._slid, names="value")
        self.observe(self._moved, names="place")
        self.place = place

    @traitlets.validate("place")
    def _checked(self, proposal: dict[str, Any]) -> tuple[int, int]:
        return self._on_map(proposal["value"])

    def _on_map(self, place: tuple[int, int]) -> tuple[int, int]:
        place = tuple(int(n) for n in place)
        if len(place) != 2 or not (0 <= place[0] < self.rows and 0 <= place[1] < self.columns):
            raise ValueError(
                f"place {place} isn't on the map: rows 0–{self.rows - 1}, columns"
                f" 0–{self.columns - 1}"
            )
        return place

    def score(self, place: tuple[int, int] | None = None) -> Score:
        """Return the melody of a point, by default of where one is."""
        place = self.place if place is None else place
        if place not in self._scores:
            self._scores[place] = self._decode(self.points[place])
        return self._scores[place]

    def _button(
        self, row: int, column: int, mark: Callable[[Score], str] | None
    ) -> ipywidgets.Button:
        text = "·" if mark is None else mark(self.score((row, column)))
        text = f"{self._names.get((row, column), '')} {text}".strip()
        button = ipywidgets.Button(
            description=text,
            tooltip=f"row {row + 1}, column {column + 1}: {text}",
            layout=ipywidgets.Layout(width="40px", height="32px", padding="0px", margin="0px"),
        )
        button.on_click(lambda _: self._go((row, column)))
        return button

    def _go(self, place: tuple[int, int]) -> None:
        self.place = place

    def _slid(self, _: dict[str, Any]) -> None:
        self._go((self.up.value - 1, self.across.value - 1))

    def _moved(self, change: dict[str, Any]) -> None:
        if change["old"] and change["old"] is not traitlets.Undefined:
            row, column = change["old"]
            self.buttons[row][column].layout.border = None
            self.buttons[row][column].style.font_weight = ""
        row, column = self.place
        # Framed and bold: where one is doesn't hang on a colour.
        self.buttons[row][column].layout.border = "3px solid #333333"
        self.buttons[row][column].style.font_weight = "bold"
        # Both sliders are moved before either is listened to again.
        with self.across.hold_trait_notifications(), self.up.hold_trait_notifications():
            self.across.value, self.up.value = column + 1, row + 1
        score = self.score()
        what = describe(score) if len(score) else "Nothing sounds here."
        name = self._names.get(self.place)
        text = f"Row {row + 1}, column {column + 1}{f' ({name})' if name else ''}. {what}"
        self.said.value = f'<div role="status" aria-live="polite">{escape(text)}</div>'
