"""Points and comments given by hand: ``overrides.csv``, which no grading run overwrites.

The file has four columns. `item` is a task's id, a test's id, or nothing for a comment on the
whole notebook::

    student,item,points,comment
    ada,listening,1.5,You heard the lost eighth note. And the long one?
    ada,hidden-3,2,
    grace,,,See me about the second task.

A task's points replace all that its tests gave; a test's points replace what that test gave. The
file may be edited in a spreadsheet: semicolons, tabs, decimal commas, a byte order mark and further
columns are read, and kept when one row is changed by `put`.
"""

from __future__ import annotations

import contextlib
import csv
import difflib
import io
import math
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

COLUMNS = ("student", "item", "points", "comment")
# A spreadsheet would run a cell that begins with one of these as a formula, and who hands in a
# notebook chooses its name. An apostrophe before it is how spreadsheets write plain text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TRIES = 5  # how often `put` starts again because the file was changed under its hands


@dataclass(frozen=True)
class Override:
    """One row: points, a comment or both, for one item of one student.

    Attributes
    ----------
    student, item
        Whose, and the id of the task or the test; an empty item is the whole notebook.
    points
        What replaces the item's points; None leaves them.
    comment
        What the student reads.
    line
        Where the row begins in the file, for messages; 0 if it isn't from a file.
    more
        The cells of columns that this module doesn't know.
    """

    student: str
    item: str
    points: float | None = None
    comment: str = ""
    line: int = field(default=0, compare=False)
    more: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """What makes a row unique."""
        return _plain(self.student), _plain(self.item)


@dataclass(frozen=True)
class Overrides:
    """The rows of an overrides file, and how that file is written.

    Attributes
    ----------
    rows
        In the order of the file.
    name
        The file's name, for messages.
    columns, delimiter, newline
        The file's own, so that it stays what a spreadsheet made of it.
    """

    rows: tuple[Override, ...] = ()
    name: str = "overrides.csv"
    columns: tuple[str, ...] = COLUMNS
    delimiter: str = ","
    newline: str = "\n"

    def of(self, student: str, item: str = "") -> Override | None:
        """Return the row for a student's item, or None."""
        key = (_plain(student), _plain(item))
        return next((row for row in self.rows if row.key == key), None)


class Conflict(ValueError):
    """A row that isn't any more what somebody who wants to change it saw.

    Attributes
    ----------
    current
        What the file says now; None if it has no such row.
    """

    def __init__(self, current: Override | None) -> None:
        super().__init__("overrides.csv was changed meanwhile")
        self.current = current


@dataclass(frozen=True)
class Totals:
    """What a student has: the row of ``grades.csv``.

    Attributes
    ----------
    score, points
        What the notebook earned (an item that waits counts 0), and the most it could.
    tasks
        For each task's id its score; None while it waits for grading by hand.
    """

    score: float
    points: float
    tasks: dict[str, float | None]

    @property
    def waiting(self) -> list[str]:
        """The tasks that wait for grading by hand."""
        return [name for name, score in self.tasks.items() if score is None]


def student_of(result: Mapping[str, Any]) -> str:
    """Return whom a result belongs to: its student, or the submission if nobody is named."""
    return str(result.get("student") or result.get("submission") or "")


def read(path: str | Path) -> Overrides:
    """Read an overrides file; a missing or empty one has no rows.

    Parameters
    ----------
    path : path
        The file, as written by `put` or by a spreadsheet.

    Raises
    ------
    ValueError
        If it isn't such a file, points aren't a number of at least 0 or belong to no item, or two
        rows are about the same; one line that names the line of the file.
    """
    path = Path(path)
    try:
        text = _text(path.read_bytes())
    except FileNotFoundError:
        return Overrides(name=path.name)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    skipped = 1 if lines and re.fullmatch(r"sep=.\s*", lines[0]) else 0  # for Excel's eyes only
    lines = lines[skipped:]
    if not "".join(lines).strip():
        return Overrides(name=path.name)
    delimiter = max(",;\t", key=lines[0].count)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    columns: tuple[str, ...] = ()
    rows: dict[tuple[str, str], Override] = {}
    while True:
        at = reader.line_num + skipped + 1
        where = f"{path.name}, line {at}"
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            break
        except csv.Error as error:
            raise ValueError(f"{where}: {error}") from None
        if not any(cells):
            continue
        if not columns:
            columns = _columns(cells, where)
            continue
        row = _row(cells, columns, at, where)
        if row.key in rows:
            what = f"{row.student!r}, {row.item!r}" if row.item else f"{row.student!r}"
            raise ValueError(f"{where}: {what} stands in line {rows[row.key].line}: keep one")
        rows[row.key] = row
    return Overrides(tuple(rows.values()), path.name, columns, delimiter, newline)


def put(path: str | Path, row: Override, before: Override | None | bool = True) -> Overrides:
    """Change one row of an overrides file; all others stay as they are, known or not.

    The file is read anew first, so what a spreadsheet saved meanwhile is kept, and replaced in one
    step, so that nobody ever reads half of it. A row without points and comment is taken out.

    Parameters
    ----------
    path : path
        The file; it is made if need be.
    row : Override
        What is to stand there for its student and item.
    before : Override, None or True
        What the caller believes to stand there now (None: no row); True for whatever it is.

    Returns
    -------
    Overrides
        The file's new content.

    Raises
    ------
    Conflict
        If something else than `before` stands there. Nothing is written.
    ValueError
        If the file can't be read, see `read`.
    OSError
        If it can't be written; the old file stays as it was.
    """
    path = Path(path)
    for attempt in range(_TRIES):
        seen = _identity(path)
        overrides = read(path)
        current = overrides.of(*row.key)
        if before is not True and not _same(current, before or None):
            raise Conflict(current)
        if current:
            row = replace(row, more=current.more)
        rows = [row if old.key == row.key else old for old in overrides.rows]
        if not current:
            rows.append(row)
        if row.points is None and not row.comment:
            rows.remove(row)
        changed = replace(overrides, rows=tuple(rows))
        if _replace(path, _csv(changed), seen, last=attempt == _TRIES - 1):
            return changed
    raise AssertionError("unreachable: the last try writes or raises")


def apply(result: Mapping[str, Any], overrides: Overrides | None) -> dict[str, Any]:
    """Return a result with what was given by hand in place of what was computed.

    Parameters
    ----------
    result : dict
        What `mark` made of a submission, with its student; it isn't changed.
    overrides : Overrides or None
        All students' rows. Rows about items that this result hasn't are for `unknown` to report.

    Returns
    -------
    dict
        A new result. What a row touched (a task, a test or the whole) has a further entry
        ``by_hand``: ``{"points": number or None, "comment": text}``.

    Raises
    ------
    ValueError
        If a row gives more points than its item has; one line that names the line of the file.
    """
    student = _plain(student_of(result))
    rows = {row.key[1]: row for row in (overrides.rows if overrides else ())
            if row.key[0] == student}  # fmt: skip
    name = overrides.name if overrides else ""
    tasks = []
    for task in result.get("tasks", ()):
        tests = [_touched(test, rows.get(_plain(test["id"])), name) for test in task["tests"]]
        score = task["score"]
        if any(_points(test) is not None for test in tests):
            score = _sum(test["score"] for test in tests)
        task = {**task, "tests": tests, "score": score}
        tasks.append(_touched(task, rows.get(_plain(task["id"])), name))
    changed = {**result, "tasks": tasks}
    if any(_points(item) is not None for task in tasks for item in (task, *task["tests"])):
        changed["score"] = _sum(task["score"] for task in tasks)
    if whole := rows.get(""):
        changed["by_hand"] = {"points": None, "comment": whole.comment}
    return changed


def totals(result: Mapping[str, Any], overrides: Overrides | None = None) -> Totals:
    """Return what a student has in the end: the score, and each task's, with what was given by hand.

    Raises
    ------
    ValueError
        If a row gives more points than its item has, see `apply`.
    """
    final = apply(result, overrides)
    tasks = {task["id"]: task["score"] for task in final["tasks"]}
    return Totals(final["score"], final["points"], tasks)


def unknown(overrides: Overrides, results: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say which rows apply to nobody and nothing: one line each, for the instructor.

    Parameters
    ----------
    overrides : Overrides
        The rows.
    results : iterable of dict
        All results, read one at a time.
    """
    items: dict[str, set[str]] = {}
    for result in results:
        mine = items.setdefault(_plain(student_of(result)), {""})
        for task in result.get("tasks", ()):
            mine.update(_plain(item["id"]) for item in (task, *task["tests"]))
    messages = []
    for row in overrides.rows:
        student, item = row.key
        where = f"{overrides.name}, line {row.line}"
        if student not in items:
            hint = _nearest(student, items)
            messages.append(f"{where}: nobody called {row.student!r} handed in{hint}")
        elif item not in items[student]:
            hint = _nearest(item, items[student] - {""})
            messages.append(f"{where}: no task or test is called {row.item!r}{hint}")
    return messages


def _plain(text: str) -> str:
    """Return one spelling for what looks the same: file systems differ in composed letters."""
    return unicodedata.normalize("NFC", text.strip())


def _nearest(name: str, names: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, sorted(names), n=1)
    return f": is it {found[0]!r}?" if found else ""


def _points(item: Mapping[str, Any]) -> float | None:
    return item.get("by_hand", {}).get("points")


def _sum(scores: Iterable[float | None]) -> float:
    """Add scores so that thirds of a point leave no dust; what waits counts nothing."""
    return round(math.fsum(score or 0 for score in scores), 6)


def _touched(item: dict[str, Any], row: Override | None, name: str) -> dict[str, Any]:
    """Return a task or a test with its row applied."""
    if row is None:
        return dict(item)
    changed = {**item, "by_hand": {"points": row.points, "comment": row.comment}}
    if row.points is not None:
        if not 0 <= row.points <= item["points"] + 1e-9:
            raise ValueError(
                f"{name}, line {row.line}: {show(row.points)} points for {row.student!r}, but"
                f" {row.item!r} has {show(item['points'])}"
            )
        changed["score"] = row.points
    return changed


def show(points: float) -> str:
    """Write points as people do: 2, 1.5, 0.333."""
    return f"{points:.3f}".rstrip("0").rstrip(".")


def _text(data: bytes) -> str:
    """Decode what spreadsheets save: UTF-8, "Unicode text" (UTF-16), or Windows' own letters."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _columns(cells: list[str], where: str) -> tuple[str, ...]:
    columns = tuple(cell.lower() if cell.lower() in COLUMNS else cell for cell in cells)
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise ValueError(
            f"{where}: column {missing[0]!r} is missing; the first line must be {','.join(COLUMNS)}"
        )
    if len(set(columns)) < len(columns):
        raise ValueError(f"{where}: two columns have the same name")
    return columns


def _row(cells: list[str], columns: tuple[str, ...], line: int, where: str) -> Override:
    if any(cells[len(columns) :]):
        raise ValueError(
            f"{where}: {len(cells)} cells, but {len(columns)} columns: put a comment that has a"
            ' comma, a semicolon or a line break into "quotes"'
        )
    cells = [_unguarded(cell) for cell in cells]
    cells += [""] * (len(columns) - len(cells))
    named = dict(zip(columns, cells, strict=False))
    student, item, points, comment = (named.pop(column) for column in COLUMNS)
    if not student:
        raise ValueError(f"{where}: no student is named")
    value = None
    if points:
        if not re.fullmatch(r"[+-]?\d{1,9}([.,]\d{0,9})?", points):
            raise ValueError(f"{where}: points must be a number, not {points[:40]!r}")
        value = float(points.replace(",", "."))
        if value < 0:
            raise ValueError(f"{where}: points can't be below 0, and are {points}")
        if not item:
            raise ValueError(f"{where}: points need an item, the id of a task or a test")
    comment = "\n".join(comment.splitlines())
    return Override(student, item, value, comment, line, tuple(named.items()))


def _guarded(cell: str) -> str:
    return "'" + cell if cell.startswith(_FORMULA) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell


def _csv(overrides: Overrides) -> bytes:
    """Write the file as it was; a byte order mark tells spreadsheets that it is UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=overrides.delimiter, lineterminator=overrides.newline)
    writer.writerow(overrides.columns)
    for row in overrides.rows:
        points = "" if row.points is None else repr(row.points).removesuffix(".0")
        if overrides.delimiter == ";":  # a spreadsheet that reads 1.5 as the first of May
            points = points.replace(".", ",")
        cells = {
            **{name: _guarded(cell) for name, cell in row.more},
            "student": _guarded(row.student),
            "item": _guarded(row.item),
            "points": points,
            "comment": _guarded(row.comment),
        }
        writer.writerow([cells.get(column, "") for column in overrides.columns])
    return out.getvalue().encode("utf-8-sig", "replace")


def _identity(path: Path) -> tuple[int, ...] | None:
    """Return what changes when somebody else writes a file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _replace(path: Path, data: bytes, seen: tuple[int, ...] | None, last: bool) -> bool:
    """Put data into a file's place in one step, unless the file isn't the one that was seen."""
    handle, temporary = tempfile.mkstemp(prefix=".overrides-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if _identity(path) != seen:
            if last:
                raise OSError(f"{path.name} keeps changing: close it elsewhere and save again")
            return False
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return True


def _same(a: Override | None, b: Override | None) -> bool:
    """Whether two rows say the same; no row says the same as an empty one."""
    return (a.points if a else None, a.comment if a else "") == (
        b.points if b else None,
        b.comment if b else "",
    )
