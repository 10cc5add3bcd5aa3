"""Points and comments given by hand: ``overrides.csv``, which no grading run overwrites.

The file has four columns. `item` is a task's id, a test's id, or nothing for a comment on the
whole notebook::

    student,item,points,comment
    ada,listening,1.5,You heard the lost eighth note. And the long one?
    ada,hidden-3,2,
    grace,,,See me about the second task.

A task's points replace all that its tests gave; a test's points replace what that test gave. The
file may be edited in a spreadsheet; what `put` doesn't know (rows of other students, further
columns, semicolons) stays as it is.
"""

from __future__ import annotations

import difflib
import math
import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import EllipsisType
from typing import Any

from mlmusic.grading import spreadsheet
from mlmusic.grading.spreadsheet import Dialect

COLUMNS = ("student", "item", "points", "comment")
_PLAIN_CSV = Dialect(COLUMNS)
_DUST = 1e-9  # of a point: what adding thirds may leave
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
    item: str = ""
    points: float | None = None
    comment: str = ""
    line: int = field(default=0, compare=False)
    more: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """What makes a row unique."""
        return _plain(self.student), _plain(self.item)


@dataclass(frozen=True)
class Overrides:
    """The rows of an overrides file in their order, its name for messages, and its dialect."""

    rows: tuple[Override, ...] = ()
    name: str = "overrides.csv"
    dialect: Dialect = _PLAIN_CSV

    def of(self, student: str, item: str = "") -> Override | None:
        """Return the row for a student's item, or None."""
        key = (_plain(student), _plain(item))
        return next((row for row in self.rows if row.key == key), None)


class Conflict(ValueError):
    """A row isn't any more what somebody who wants to change it saw.

    Attributes
    ----------
    current
        What the file says now; None if it has no such row.
    """

    def __init__(self, name: str, current: Override | None) -> None:
        super().__init__(f"{name} was changed meanwhile")
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

    Raises
    ------
    ValueError
        If it isn't such a file, points aren't a number of at least 0 or belong to no item, or two
        rows are about the same; one line that names the line of the file.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Overrides(name=path.name)
    dialect, table = spreadsheet.parse(data, COLUMNS, path.name)
    rows: dict[tuple[str, str], Override] = {}
    for line, cells in table:
        where = f"{path.name}, line {line}"
        row = _row(cells, line, where)
        if row.key in rows:
            about = f"{row.item!r} of {row.student!r}" if row.item else f"{row.student!r}"
            raise ValueError(f"{where}: line {rows[row.key].line} is about {about} too: keep one")
        rows[row.key] = row
    return Overrides(tuple(rows.values()), path.name, dialect)


def put(path: str | Path, row: Override, before: Override | EllipsisType | None = ...) -> Overrides:
    """Change one row of an overrides file; all others stay as they are, known or not.

    The file is read anew first, so what a spreadsheet saved meanwhile is kept, and replaced in one
    step, so that nobody ever reads half of it. A row without points and comment is taken out.

    Parameters
    ----------
    path : path
        The file; it is made if need be.
    row : Override
        What is to stand there for its student and item.
    before : Override or None, optional
        What the caller believes to stand there now, None being no row. By default any row will do.

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
    path = Path(path).resolve()  # a link stays a link
    row = replace(row, comment=_lines(row.comment))
    for _ in range(_TRIES):
        seen = _identity(path)
        overrides = read(path)
        current = overrides.of(*row.key)
        if before is not ... and _says(current) != _says(before):
            raise Conflict(path.name, current)
        if current:
            row = replace(row, student=current.student, item=current.item, more=current.more)
        rows = [row if old.key == row.key else old for old in overrides.rows]
        if not current:
            rows.append(row)
        if row.points is None and not row.comment:
            rows.remove(row)
        data = spreadsheet.write(overrides.dialect, map(_cells, rows))
        if _replace(path, data, seen):
            return replace(overrides, rows=tuple(rows))
    raise OSError(f"{path.name} keeps changing: close it in other programs and save again")


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
    rows: dict[str, Override] = {}
    name = ""
    if overrides:
        name = overrides.name
        rows = {row.key[1]: row for row in overrides.rows if row.key[0] == student}
    tasks = []
    for task in result.get("tasks", ()):
        tests = [_touched(test, rows, name) for test in task["tests"]]
        score = task["score"]
        if any(_points(test) is not None for test in tests):
            score = _sum(test["score"] for test in tests)
        tasks.append(_touched({**task, "tests": tests, "score": score}, rows, name))
    changed = {**result, "tasks": tasks}
    if any(_points(item) is not None for task in tasks for item in (task, *task["tests"])):
        changed["score"] = _sum(task["score"] for task in tasks)
    if "" in rows:
        changed["by_hand"] = {"points": None, "comment": rows[""].comment}
    return changed


def totals(result: Mapping[str, Any], overrides: Overrides | None = None) -> Totals:
    """Return what a student has in the end, with what was given by hand.

    Raises
    ------
    ValueError
        If a row gives more points than its item has, see `apply`.
    """
    final = apply(result, overrides)
    tasks = {task["id"]: task["score"] for task in final["tasks"]}
    return Totals(final["score"], final["points"], tasks)


def unknown(overrides: Overrides, results: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say which rows apply to nobody or nothing: one line each, for the instructor.

    Parameters
    ----------
    overrides : Overrides
        The rows.
    results : iterable of dict
        All results; they are taken one at a time.
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


def too_many(overrides: Overrides, most: Mapping[str, float]) -> list[str]:
    """Say which rows give more points than their item has: one line each, for the instructor.

    Parameters
    ----------
    overrides : Overrides
        The rows.
    most : mapping of str to float
        What each task and each test is worth; rows about others are for `unknown` to report.
    """
    most = {_plain(item): points for item, points in most.items()}
    return [
        _too_many(overrides.name, row, most[row.key[1]])
        for row in overrides.rows
        if row.points is not None and row.points > most.get(row.key[1], math.inf) + _DUST
    ]


def show(points: float) -> str:
    """Write points as people do: 2, 1.5, 0.333."""
    return f"{points:.3f}".rstrip("0").rstrip(".")


def _plain(text: str) -> str:
    """Return one spelling for what looks the same: file systems differ in composed letters."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _nearest(name: str, names: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, sorted(names), n=1)
    return f": is it {found[0]!r}?" if found else ""


def _points(item: Mapping[str, Any]) -> float | None:
    return item.get("by_hand", {}).get("points")


def _sum(scores: Iterable[float | None]) -> float:
    """Add scores so that thirds of a point leave no dust; what waits counts nothing."""
    return round(math.fsum(score or 0 for score in scores), 6)


def _too_many(name: str, row: Override, most: float) -> str:
    return (
        f"{name}, line {row.line}: {show(row.points)} points for {row.item!r} of"
        f" {row.student!r}, which has {show(most)} at most"
    )


def _touched(item: dict[str, Any], rows: Mapping[str, Override], name: str) -> dict[str, Any]:
    """Return a task or a test with its row, if there is one, applied."""
    row = rows.get(_plain(item["id"]))
    if row is None:
        return item
    changed = {**item, "by_hand": {"points": row.points, "comment": row.comment}}
    if row.points is not None:
        if row.points > item["points"] + _DUST:
            raise ValueError(_too_many(name, row, item["points"]))
        changed["score"] = row.points
    return changed


def _row(cells: dict[str, str], line: int, where: str) -> Override:
    student, item, points, comment = (cells.pop(column) for column in COLUMNS)
    if not student:
        raise ValueError(f"{where}: no student is named")
    value = None
    if points:
        try:
            value = spreadsheet.number(points)
        except ValueError as error:
            raise ValueError(f"{where}: points {error}") from None
        if value < 0:
            raise ValueError(f"{where}: points can't be below 0, and are {points}")
        if not item:
            raise ValueError(f"{where}: points need an item, the id of a task or a test")
    return Override(student, item, value, _lines(comment), line, cells)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _cells(row: Override) -> dict[str, str | float | None]:
    return {**row.more, **{column: getattr(row, column) for column in COLUMNS}}


def _says(row: Override | None) -> tuple[float | None, str]:
    """Return what a row says; no row says the same as an empty one."""
    return (row.points, row.comment) if row else (None, "")


def _identity(path: Path) -> tuple[int, ...] | None:
    """Return what changes when somebody else writes a file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _replace(path: Path, data: bytes, seen: tuple[int, ...] | None) -> bool:
    """Put data into a file's place in one step, unless it isn't any more the file that was seen."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if seen:
            shutil.copymode(path, temporary)
        if _identity(path) != seen:
            return False
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return True
