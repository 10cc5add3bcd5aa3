"""Grades into the file of a learning management system: Canvas's gradebook, Moodle's worksheet.

Canvas: Grades → Export gives one row a student and one column an assignment, ``Name (12345)``;
the points stand in a row of their own. Grades → Import takes the same file back.
Moodle: View all submissions → Download grading worksheet gives one row a participant, with the
grade and its maximum; Upload grading worksheet takes it back.
Nothing is guessed: who can't be matched for certain is left alone and listed.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mlmusic.grading.table import Table

_CANVAS_COLUMNS = {
    "id": "ID",
    "login": "SIS Login ID",
    "sis": "SIS User ID",
    "name": "Student",
}
_MOODLE_COLUMNS = {
    "id": "Identifier",
    "idnumber": "ID number",
    "email": "Email address",
    "name": "Full name",
}
_ASSIGNMENT = re.compile(r"(.*\S)\s*\((\d+)\)\s*")


@dataclass(frozen=True)
class Grade:
    """One student's grade, as it is exported.

    Parameters
    ----------
    submission, student, name : str
        The file handed in, the student's id and name as the file's name had them.
    score, points : float
        What was reached, and the most that could be.
    summary : str
        One line for the student.
    """

    submission: str
    student: str
    name: str
    score: float
    points: float
    summary: str = ""


@dataclass
class Roster:
    """Where things stand in an LMS's file.

    Parameters
    ----------
    lms : str
        ``"Canvas"`` or ``"Moodle"``.
    table : Table
        The file.
    students : list of int
        The rows that are students.
    keys : callable
        From a row to the texts that a student may be matched by.
    key : callable
        From a grade to such a text.
    label : callable
        From a row to the student's name and id, for messages.
    column : int
        The column of the grade.
    possible : dict of int to float
        The points that the LMS gives for it, by row.
    comma : bool
        Whether the file writes 7,5 for 7.5.
    locked : dict of int to str
        Rows whose grade must stay as it is, and why.
    feedback : int or None
        The column of the comments.
    """

    lms: str
    table: Table
    students: list[int]
    keys: Callable[[int], set[str]]
    key: Callable[[Grade], str]
    label: Callable[[int], str]
    column: int
    possible: dict[int, float] = field(default_factory=dict)
    comma: bool = False
    locked: dict[int, str] = field(default_factory=dict)
    feedback: int | None = None


def canvas(table: Table, assignment: str, column: str | None = None, match: str = "id") -> Roster:
    """Find the students and the assignment's column in the gradebook that Canvas exports.

    Parameters
    ----------
    table : Table
        The file.
    assignment : str
        The assignment's name; its column is the one whose title has the same words.
    column : str, optional
        The column, if not by that name: its heading, its title or its number.
    match : str
        ``"id"``, ``"login"``, ``"sis"``, ``"name"`` or a column's heading.

    Raises
    ------
    ValueError
        If it isn't such a file, or the column or the way to match isn't clear.
    """
    header, *rest = table.rows or [[]]
    split = [cell.strip() for cell in header[:2]] == ["LastName", "FirstName"]
    first = 2 if split else 1
    if len(header) < 4 or header[first].strip() != "ID" or not (split or "Student" in header[0]):
        raise ValueError(
            f"{table.name} isn't a gradebook that Canvas exported: its columns must begin "
            "with Student, ID (Grades → Export → Export entire gradebook)"
        )
    points_row = next((row for row in rest if "Points Possible" in row[0]), [])
    chosen = _canvas_column(table, header, points_row, assignment, column)

    def name(row: int) -> str:
        return ", ".join(table.rows[row][:first]).strip()

    def is_student(row: int) -> bool:
        cells = table.rows[row]
        # The row above the points says which assignments are posted by hand; 'Student, Test' is
        # what a teacher sees in the student view.
        return len(cells) > first and any(cells[: first + 1]) and name(row) != "Student, Test"

    start = rest.index(points_row) + 2 if points_row else 1
    students = [row for row in range(start, len(table.rows)) if is_student(row)]
    key = first if match == "id" else _find(table, _CANVAS_COLUMNS, match)
    by_name = match == "name"
    roster = Roster(
        "Canvas",
        table,
        students,
        keys=lambda row: _names(name(row)) if by_name else {_cell(table, row, key).casefold()},
        key=lambda grade: _letters(grade.name) if by_name else grade.student.strip().casefold(),
        label=lambda row: f"{name(row)} ({_cell(table, row, first)})",
        column=chosen,
    )
    if points_row:
        possible = points_row[chosen] if chosen < len(points_row) else ""
        if _number(possible) is None:
            raise ValueError(f"{table.name}: {header[chosen]!r} has no points in Canvas")
        roster.possible = dict.fromkeys(students, _number(possible))
        roster.comma = "," in possible
    reasons = {"EX": "excused in Canvas", "N/A": "not assigned to them in Canvas"}
    for row in students:
        if reason := reasons.get(_cell(table, row, chosen).upper()):
            roster.locked[row] = reason
    return roster


def _canvas_column(
    table: Table, header: list[str], points: list[str], assignment: str, column: str | None
) -> int:
    found = {}
    for index, title in enumerate(header):
        read_only = index < len(points) and "read only" in points[index]
        if (match := _ASSIGNMENT.fullmatch(title)) and not read_only:
            found[index] = (match[1], match[2])
    if column is not None:
        wanted = column.strip()
        chosen = [i for i, names in found.items() if wanted in (header[i].strip(), *names)]
    else:
        words = _words(assignment)
        chosen = [i for i, names in found.items() if _words(names[0]) == words]
        chosen = chosen or [i for i, names in found.items() if _within(words, _words(names[0]))]
    if len(chosen) != 1:
        which = "More than one" if chosen else "No"
        raise ValueError(
            f"{table.name}: {which.lower()} column is called {column or assignment!r}; name one "
            f"with --column: {', '.join(repr(header[i]) for i in chosen or found) or 'it has none'}"
        )
    return chosen[0]


def moodle(
    table: Table, column: str = "Grade", match: str = "id", feedback: str | None = None
) -> Roster:
    """Find the students and the grades in the grading worksheet that Moodle gives.

    Parameters
    ----------
    table : Table
        The file.
    column : str
        The heading of the grades; a Moodle in another language has another one.
    match : str
        ``"id"`` (the participant's number), ``"idnumber"``, ``"email"``, ``"name"`` or a column's
        heading.
    feedback : str, optional
        The heading of the comments, if they are to be written, too.

    Raises
    ------
    ValueError
        If it isn't such a file, or a column isn't there.
    """
    header = [cell.strip() for cell in (table.rows or [[]])[0]]
    if len(header) < 4:
        raise ValueError(
            f"{table.name} isn't a grading worksheet that Moodle gave (View all submissions → "
            "Download grading worksheet)"
        )
    grade = _find(table, {}, column)
    headings = [heading.casefold() for heading in header]
    # Without English headings: Moodle writes the identifier first, the maximum after the grade.
    identifier = headings.index("identifier") if "identifier" in headings else 0
    maximum = headings.index("maximum grade") if "maximum grade" in headings else grade + 1
    students = [
        row
        for row in range(1, len(table.rows))
        if re.search(r"\d\s*$", _cell(table, row, identifier))
    ]
    names = headings.index("full name") if "full name" in headings else identifier
    key = identifier if match == "id" else _find(table, _MOODLE_COLUMNS, match)

    def keys(row: int) -> set[str]:
        text = _cell(table, row, key)
        if match == "id":
            return {_digits(text)}
        return _names(text) if match == "name" else {text.casefold()}

    def key_of(grade: Grade) -> str:
        if match == "id":
            return _digits(grade.student)
        return _letters(grade.name) if match == "name" else grade.student.strip().casefold()

    possible = {row: _number(_cell(table, row, maximum)) for row in students}
    if None in possible.values():
        raise ValueError(
            f"{table.name} has no maximum beside {column!r}: the assignment needs points as its "
            "type of grade, not a scale of words"
        )
    roster = Roster(
        "Moodle",
        table,
        students,
        keys,
        key_of,
        label=lambda row: f"{_cell(table, row, names)} ({_cell(table, row, identifier)})",
        column=grade,
        possible=possible,
        comma=any("," in _cell(table, row, maximum) for row in students),
        feedback=None if feedback is None else _find(table, {}, feedback),
    )
    if "grade can be changed" in headings:
        change = headings.index("grade can be changed")
        for row in students:
            if _cell(table, row, change).casefold() == "no":
                roster.locked[row] = "the grade is locked in Moodle"
    return roster


def fill(roster: Roster, grades: Sequence[Grade], scale: bool = False) -> tuple[int, list[str]]:
    """Write the grades into an LMS's file.

    Parameters
    ----------
    roster : Roster
        The file; its table is changed.
    grades : sequence of Grade
        At most one for a student; where there are more, none is written.
    scale : bool
        Multiply the scores where the LMS gives other points than the assignment has.

    Returns
    -------
    count : int
        How many students got their grade.
    left : list of str
        Everybody else, a line each: without a grade, not in the roster, unclear, locked.

    Raises
    ------
    ValueError
        If the points differ and `scale` is False.
    """
    if not scale:
        _same_points(roster, grades)
    rows: dict[str, list[int]] = {}
    for row in roster.students:
        for key in roster.keys(row) - {""}:
            rows.setdefault(key, []).append(row)
    claims: dict[int, list[Grade]] = {}
    left, unclear = [], set()
    for grade in grades:
        found = rows.get(roster.key(grade), [])
        who = f"{grade.submission} (student {grade.student}, {_points(grade)})"
        if not found:
            left.append(f"graded, but not in the roster: {who}")
        elif len(found) > 1:
            unclear.update(found)
            several = "; ".join(map(roster.label, found))
            left.append(f"graded, but more than one student in the roster fits: {who}: {several}")
        else:
            claims.setdefault(found[0], []).append(grade)
    count = 0
    for row in roster.students:
        label, claim = roster.label(row), claims.get(row, [])
        if len(claim) > 1:
            files = ", ".join(f"{grade.submission} ({_points(grade)})" for grade in claim)
            left.append(f"more than one submission: {label}: {files}")
        elif claim and row in roster.locked:
            left.append(f"{roster.locked[row]}: {label}, {_points(claim[0])}")
        elif claim:
            fault = _write(roster, row, claim[0])
            left += [f"{fault}: {label}"] if fault else []
            count += not fault
        elif row not in unclear and row not in roster.locked:
            left.append(f"in the roster, but without a grade: {label}")
    return count, left


def _write(roster: Roster, row: int, grade: Grade) -> str | None:
    """Write one grade; return why not, if it can't be."""
    possible = roster.possible.get(row, grade.points)
    score = grade.score * possible / grade.points
    if roster.lms == "Moodle" and score > possible + 1e-9:
        return f"{_text(score)} is above {_text(possible)}, which Moodle would skip"
    text = _text(score)
    roster.table.set(row, roster.column, text.replace(".", ",") if roster.comma else text)
    if roster.feedback is not None:
        # Moodle takes the comment as HTML.
        roster.table.set(row, roster.feedback, html.escape(grade.summary, quote=False))
    return None


def _same_points(roster: Roster, grades: Sequence[Grade]) -> None:
    for possible in set(roster.possible.values()):
        for grade in grades:
            if abs(possible - grade.points) > 1e-9:
                theirs, ours = _text(possible), _text(grade.points)
                raise ValueError(
                    f"{roster.lms} gives {theirs} points for "
                    f"{roster.table.rows[0][roster.column].strip()!r}, the assignment has {ours}: "
                    f"change the points there and export its file again, or say --scale to "
                    f"multiply every score by {theirs}/{ours}"
                )


def _find(table: Table, aliases: dict[str, str], name: str) -> int:
    """Return the column of a heading or of its short name."""
    header = [cell.strip() for cell in table.rows[0]]
    wanted = aliases.get(name, name).strip().casefold()
    if "LastName" in header and wanted == "student":
        return header.index("LastName")
    found = [index for index, cell in enumerate(header) if cell.casefold() == wanted]
    if len(found) != 1:
        what = "more than one column" if found else "no column"
        raise ValueError(
            f"{table.name} has {what} {aliases.get(name, name)!r}: {', '.join(header)}"
        )
    return found[0]


def _cell(table: Table, row: int, column: int) -> str:
    cells = table.rows[row]
    return cells[column].strip() if column < len(cells) else ""


def _number(text: str) -> float | None:
    """Return a number, or None; 10,00 and 10.00 are the same."""
    text = text.strip()
    return float(text.replace(",", ".")) if re.fullmatch(r"\d+([.,]\d+)?", text) else None


def _text(number: float) -> str:
    # Five decimals are what Moodle keeps; Canvas keeps more and shows two.
    return f"{number:.5f}".rstrip("0").rstrip(".")


def _points(grade: Grade) -> str:
    return f"{_text(grade.score)} of {_text(grade.points)} points"


def _digits(text: str) -> str:
    """Return the number at the end: the participant's of 'Participant 1234567'."""
    found = re.search(r"(\d+)\s*$", text)
    return found[1] if found else text.strip().casefold()


def _letters(text: str) -> str:
    """Return a name's letters alone: file names have lost the rest."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def _names(text: str) -> set[str]:
    last, _, first = text.partition(",")
    return {_letters(last + first), _letters(first + last)}


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _within(words: list[str], title: list[str]) -> bool:
    """Tell whether words follow one another in a title; 1 isn't in 11."""
    size = len(words)
    return any(title[at : at + size] == words for at in range(len(title) - size + 1))
