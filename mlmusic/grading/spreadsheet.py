"""Small CSV files that people edit in a spreadsheet: read what it saves, write what it reads.

Excel saves a table with semicolons and decimal commas in much of Europe, as UTF-8 with a byte order
mark, as UTF-16 ("Unicode text") or in Windows' own letters. A file that is changed by a program in
between must come back in the same dialect, or the spreadsheet shows one wide column, and 1.5 as the
first of May.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# A spreadsheet would run a cell that begins with one of these as a formula, and who hands in a
# notebook chooses its name. An apostrophe before it says that it is text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_FAULTS = {  # what the csv module calls it: what to do
    "unexpected end of data": 'a quote is opened and never closed: add a " or write it as ""',
    **{
        f"'{mark}' expected after '\"'": 'text stands behind a closing quote: write " as ""'
        for mark in ",;\t"
    },
}


@dataclass(frozen=True)
class Dialect:
    """How a file is written: the names of its columns in order, and what separates them."""

    columns: tuple[str, ...]
    delimiter: str = ","
    newline: str = "\n"


def parse(data: bytes, needed: tuple[str, ...], name: str) -> tuple[Dialect, list]:
    """Read a table.

    Parameters
    ----------
    data : bytes
        The file.
    needed : tuple of str
        Columns that must be there, in any order and among others.
    name : str
        The file's name, for messages.

    Returns
    -------
    dialect : Dialect
        How to write it again; of an empty file the plain one, with the needed columns.
    rows : list of (line, cells)
        For each row that isn't empty the line where it begins, counted from 1, and a dict.

    Raises
    ------
    ValueError
        If a column is missing, doubled, or a row has too many cells; one line that names the line.
    """
    text = _text(data)
    lines = list(io.StringIO(text, newline=""))  # str.splitlines knows further line ends
    skipped = 1 if lines and re.fullmatch(r"sep=.\s*", lines[0]) else 0  # for Excel's eyes only
    lines = lines[skipped:]
    while lines and not lines[0].strip(",;\t\r\n "):
        skipped, lines = skipped + 1, lines[1:]
    if not lines:
        return Dialect(needed), []
    delimiter = max(",;\t", key=lines[0].count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    columns: tuple[str, ...] = ()
    rows = []
    while True:
        line = reader.line_num + skipped + 1
        where = f"{name}, line {line}"
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            break
        except csv.Error as error:
            raise ValueError(f"{where}: {_FAULTS.get(str(error), error)}") from None
        if not columns:
            columns = _columns(cells, needed, where)
        elif any(cells[len(columns) :]):
            raise ValueError(
                f"{where}: {len(cells)} cells, but {len(columns)} columns: put text that has a"
                ' comma, a semicolon or a line break into "quotes"'
            )
        elif any(cells):
            cells += [""] * (len(columns) - len(cells))
            rows.append((line, dict(zip(columns, map(_unguarded, cells), strict=False))))
    newline = "\r\n" if "\r\n" in text else "\n"
    return Dialect(columns, delimiter, newline), rows


def write(dialect: Dialect, rows: Iterable[Mapping[str, str | float | None]]) -> bytes:
    """Return a table as a file's bytes: numbers as the dialect has them, None as an empty cell.

    The file is UTF-8 with a byte order mark, by which spreadsheets know that it is.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=dialect.delimiter, lineterminator=dialect.newline)
    writer.writerow(dialect.columns)
    for row in rows:
        writer.writerow([_cell(row.get(column), dialect) for column in dialect.columns])
    return out.getvalue().encode("utf-8-sig", "replace")


def number(text: str) -> float:
    """Read a plain number with a decimal point or comma; ValueError if it is something else."""
    if not re.fullmatch(r"[+-]?(\d{1,9}([.,]\d{0,9})?|[.,]\d{1,9})", text):
        raise ValueError(f"must be a number, not {text[:40]!r}")
    return float(text.replace(",", "."))


def exact(value: float) -> str:
    """Write a number so that it is read as the same: 2, 1.5, 0.1."""
    return repr(float(value)).removesuffix(".0")


def _cell(value: str | float | None, dialect: Dialect) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        value = value.replace("\r", "\n")  # not every csv module quotes a lone \r
        return "'" + value if value.lstrip("'").startswith(_FORMULA) else value
    text = exact(value)
    return text.replace(".", ",") if dialect.delimiter == ";" else text


def _unguarded(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'").startswith(_FORMULA) else cell


def _columns(cells: list[str], needed: tuple[str, ...], where: str) -> tuple[str, ...]:
    while cells and not cells[-1]:  # a spreadsheet adds empty columns to the right
        cells.pop()
    columns = tuple(cell.lower() if cell.lower() in needed else cell for cell in cells)
    missing = [column for column in needed if column not in columns]
    if missing:
        raise ValueError(
            f"{where}: column {missing[0]!r} is missing; the first line must be {','.join(needed)}"
        )
    if len(set(columns)) < len(columns):
        raise ValueError(f"{where}: two columns have the same name")
    return columns


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
