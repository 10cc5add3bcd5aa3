"""The scoreboard: one row for each model that the course trains, kept from chapter to chapter.

Rows live in the user's cache folder (``MLMUSIC_CACHE``), so that chapter 13 can read what the
chapters before it wrote. Running a chapter again replaces its rows.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from mlmusic.datasets.cache import folder

COLUMNS = ("name", "chapter", "nats per note", "CPU seconds")


def path() -> Path:
    """Return the file that holds the rows."""
    return folder() / "scoreboard.json"


def add(
    name: str,
    chapter: str,
    *,
    nats_per_note: float | None = None,
    cpu_seconds: float | None = None,
    metrics: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Put a model on the scoreboard, in place of a row with the same name and chapter.

    Parameters
    ----------
    name : str
        The model's, such as ``"GRU"``.
    chapter : str
        Such as ``"03"``.
    nats_per_note : float, optional
        On held-out music; only rows of the same data and split can be compared.
    cpu_seconds : float, optional
        What training cost.
    metrics : mapping of str to float, optional
        Others by name, with the unit in the name: ``{"longest copied run (notes)": 9}``.

    Returns
    -------
    dict
        The row.

    Raises
    ------
    ValueError
        If a name is empty, or a number isn't finite.
    """
    if not name or not chapter:
        raise ValueError("a row needs the model's name and the chapter")
    given = {"nats per note": nats_per_note, "CPU seconds": cpu_seconds, **(metrics or {})}
    row: dict[str, Any] = {"name": str(name), "chapter": str(chapter)}
    for metric, value in given.items():
        if value is None:
            continue
        value = float(value)
        if not math.isfinite(value):
            raise ValueError(f"{metric} of {name} must be a finite number, not {value}")
        row[metric] = value
    kept = [old for old in rows() if (old["name"], old["chapter"]) != (name, chapter)]
    _write(sorted([*kept, row], key=lambda each: each["chapter"]))
    return row


def rows() -> list[dict[str, Any]]:
    """Return all rows, by chapter, in the order in which they were added.

    A damaged file counts as an empty one: the chapters can be run again.
    """
    try:
        found = json.loads(path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if not isinstance(found, list):
        return []
    return [row for row in found if isinstance(row, dict) and {"name", "chapter"} <= row.keys()]


def clear(chapter: str | None = None) -> None:
    """Forget all rows, or those of one chapter."""
    _write([] if chapter is None else [row for row in rows() if row["chapter"] != chapter])


def show(chapter: str | None = None) -> Board:
    """Return the scoreboard as a table that shows itself as the last line of a cell.

    Parameters
    ----------
    chapter : str, optional
        Only the rows of one chapter.
    """
    return Board([row for row in rows() if chapter in (None, row["chapter"])])


class Board:
    """A table of rows: HTML in a notebook, text elsewhere."""

    def __init__(self, found: list[dict[str, Any]]):
        self.rows = found
        others = dict.fromkeys(key for row in found for key in row if key not in COLUMNS)
        self.columns = [*COLUMNS, *others]

    def cells(self) -> list[list[str]]:
        """Return the table's texts, row by row, without the header."""
        return [[_text(row.get(column)) for column in self.columns] for row in self.rows]

    def __repr__(self) -> str:
        if not self.rows:
            return "The scoreboard is empty."
        table = [self.columns, *self.cells()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in table
        )

    def _repr_html_(self) -> str:
        if not self.rows:
            return "<p>The scoreboard is empty.</p>"
        head = "".join(f'<th scope="col">{escape(column)}</th>' for column in self.columns)
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            + "".join(f"<td>{escape(text)}</td>" for text in others)
            + "</tr>"
            for name, *others in self.cells()
        )
        return (
            "<table><caption>Scoreboard</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.4g}"


def _write(found: list[dict[str, Any]]) -> None:
    """Write all rows at once: a chapter that is stopped leaves the file whole."""
    target = path()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1, ensure_ascii=False)
    os.replace(name, target)
