"""A CSV file that is changed in a few cells and is otherwise the same, byte by byte.

A learning management system takes back the file that it gave, if nobody has touched its columns,
its encoding or its quotes. So the file isn't parsed and written again: each cell knows where it
stands in the text, and only the cells that were set are replaced.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

_MARKS = (  # byte-order mark, encoding of what follows
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_QUOTED = r'"(?:[^"]|"")*"(?!")'


class Table:
    """The cells of a CSV file.

    Parameters
    ----------
    data : bytes
        The file: UTF-8 or UTF-16 with a byte-order mark, UTF-8 without one, or Windows-1252, with
        commas, semicolons or tabs between the cells.
    name : str
        What messages call the file.

    Attributes
    ----------
    rows : list of list of str
        The text of the cells, row by row; rows may differ in length.

    Raises
    ------
    ValueError
        If it can't be read as text, or a quote isn't closed.
    """

    def __init__(self, data: bytes, name: str = "the file"):
        self.name = name
        self._mark, self._encoding, self._text = _decode(data, name)
        self._delimiter = max(",;\t", key=lambda mark: len(_first_row(self._text, mark)))
        self.rows: list[list[str]] = []
        self._spans: list[list[tuple[int, int]]] = []
        self._changes: dict[int, dict[int, str]] = {}
        for spans in _cells(self._text, self._delimiter, name):
            self._spans.append(spans)
            self.rows.append([_value(self._text[start:end]) for start, end in spans])

    @classmethod
    def read(cls, path: str | Path) -> Table:
        """Read a CSV file.

        Raises
        ------
        OSError
            If it can't be read.
        ValueError
            If it isn't CSV.
        """
        return cls(Path(path).read_bytes(), str(path))

    def set(self, row: int, column: int, value: str) -> None:
        """Put a text into a cell; a row that is too short for it gets empty cells before it."""
        self._changes.setdefault(row, {})[column] = value
        cells = self.rows[row]
        cells.extend([""] * (column + 1 - len(cells)))
        cells[column] = value

    def to_bytes(self) -> bytes:
        """Return the file: what was set, and all other bytes as they came.

        A character that the file's encoding lacks becomes a reference such as ``&#937;``, which
        is what a browser shows as that character.
        """
        parts, done = [], 0
        for row, values in sorted(self._changes.items()):
            spans = self._spans[row]
            for column in sorted(column for column in values if column < len(spans)):
                start, end = spans[column]
                parts += [self._text[done:start], self._cell(values[column], self._text[start:end])]
                done = end
            parts.append(self._text[done : spans[-1][1]])
            done = spans[-1][1]
            for column in range(len(spans), max(values) + 1):
                parts += [self._delimiter, self._cell(values.get(column, ""))]
        parts.append(self._text[done:])
        return self._mark + "".join(parts).encode(self._encoding, "xmlcharrefreplace")

    def _cell(self, value: str, before: str = "") -> str:
        """Return a value as it stands in the file, in quotes if it needs or had them."""
        special = any(mark in value for mark in (self._delimiter, '"', "\r", "\n"))
        if special or before.startswith('"') or value != value.strip():
            return '"' + value.replace('"', '""') + '"'
        return value


def _decode(data: bytes, name: str) -> tuple[bytes, str, str]:
    known = {mark: encoding for mark, encoding in _MARKS if data.startswith(mark)}
    mark = next(iter(known), b"")
    for candidate in [known[mark]] if mark else ["utf-8", "cp1252"]:
        try:
            text = data[len(mark) :].decode(candidate)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return mark, candidate, text
    raise ValueError(f"{name} isn't a text file: save it as CSV in UTF-8")


def _pattern(delimiter: str) -> re.Pattern[str]:
    d = re.escape(delimiter)
    # A quote opens a cell only at its start; text behind the closing quote belongs to the cell.
    return re.compile(rf'({_QUOTED}[^{d}\r\n]*|(?!")[^{d}\r\n]*)({d}|\r\n|\r|\n|\Z)')


def _first_row(text: str, delimiter: str) -> list[str]:
    pattern, cells, at = _pattern(delimiter), [], 0
    while found := pattern.match(text, at):
        cells.append(found[1])
        at = found.end()
        if found[2] != delimiter:
            break
    return cells


def _cells(text: str, delimiter: str, name: str):
    """Yield each row's cells as (start, end) in the text."""
    pattern, row, at = _pattern(delimiter), [], 0
    while at < len(text) or row:
        found = pattern.match(text, at)
        if not found:
            line = text.count("\n", 0, at) + 1
            raise ValueError(f"{name}, line {line}: a quote isn't closed")
        row.append(found.span(1))
        at = found.end()
        if found[2] != delimiter:
            yield row
            row = []


def _value(cell: str) -> str:
    if found := re.match(_QUOTED, cell):
        return found[0][1:-1].replace('""', '"') + cell[found.end() :]
    return cell
