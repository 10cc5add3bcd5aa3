"""The file of a learning management system: who stands where, and where the grades belong.

Canvas: Grades → Export gives one row a student and one column an assignment, ``Name (12345)``;
the points stand in a row of their own. Grades → Import takes the same file back.
Moodle: View all submissions → Download grading worksheet gives one row a participant, with the
grade and its maximum; Upload grading worksheet takes it back.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from mlmusic.grading.exporting.table import Table

_CANVAS_COLUMNS = {"login": "SIS Login ID", "sis": "SIS User ID"}
_MOODLE_COLUMNS = {
    "idnumber": "ID number",
    "email": "Email address",
    "name": "Full name",
}
_LIKE_CANVAS = ": it looks like Canvas's, which takes --lms canvas"
_LIKE_MOODLE = ": it looks like Moodle's, which takes --lms moodle"
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
    possible: dict[int, float]
    comma: bool
    locked: dict[int, str]
    feedback: int | None = None

    def cell(self, row: int, column: int) -> str:
        """Return a cell's text without blanks around it."""
        return _cell(self.table, row, column)

    def number(self, row: int, column: int) -> float | None:
        """Return a cell's number, None if it has none."""
        return _number(self.cell(row, column))


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
    header = (table.rows or [[]])[0]
    split = [cell.strip() for cell in header[:2]] == ["LastName", "FirstName"]
    first = 2 if split else 1
    if len(header) < 4 or header[first].strip() != "ID" or not (split or "Student" in header[0]):
        raise ValueError(
            f"{table.name} isn't a gradebook that Canvas exported: its columns must begin "
            "with Student, ID (Grades → Export → Export entire gradebook)"
            + (_LIKE_MOODLE if "Identifier" in header and "Maximum grade" in header else "")
        )
    top = next((i for i, row in enumerate(table.rows) if "Points Possible" in row[0]), None)
    if top is None:
        raise ValueError(f"{table.name} has no row 'Points Possible': export it from Canvas again")
    chosen = _canvas_column(table, header, table.rows[top], assignment, column)
    possible = _number(_cell(table, top, chosen))
    if possible is None:
        raise ValueError(f"{table.name}: {header[chosen]!r} has no points in Canvas")

    def name(row: int) -> str:
        return ", ".join(table.rows[row][:first]).strip()

    def is_student(row: int) -> bool:
        # 'Student, Test' is what a teacher sees in the student view.
        return bool(_cell(table, row, first) or name(row)) and name(row) != "Student, Test"

    students = [row for row in range(top + 1, len(table.rows)) if is_student(row)]
    by_name = match == "name"
    key = first if by_name or match == "id" else _find(table, _CANVAS_COLUMNS, match)
    reasons = {"EX": "excused in Canvas", "N/A": "not assigned to them in Canvas"}
    cells = {row: _cell(table, row, chosen).upper() for row in students}
    return Roster(
        "Canvas",
        table,
        students,
        keys=lambda row: _names(name(row)) if by_name else {_cell(table, row, key).casefold()},
        key=lambda grade: _letters(grade.name) if by_name else grade.student.strip().casefold(),
        label=lambda row: f"{name(row)} ({_cell(table, row, first)})",
        column=chosen,
        possible=dict.fromkeys(students, possible),
        comma="," in _cell(table, top, chosen),
        locked={row: reasons[text] for row, text in cells.items() if text in reasons},
    )


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
    is_canvas = "Student" in header and "ID" in header
    if len(header) < 4 or is_canvas:
        raise ValueError(
            f"{table.name} isn't a grading worksheet that Moodle gave (View all submissions → "
            f"Download grading worksheet){_LIKE_CANVAS if is_canvas else ''}"
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
    change = headings.index("grade can be changed") if "grade can be changed" in headings else None
    return Roster(
        "Moodle",
        table,
        students,
        keys,
        key_of,
        label=lambda row: f"{_cell(table, row, names)} ({_cell(table, row, identifier)})",
        column=grade,
        possible=possible,
        comma=any("," in _cell(table, row, maximum) for row in students),
        locked={
            row: "the grade is locked in Moodle"
            for row in students
            if change is not None and _cell(table, row, change).casefold() == "no"
        },
        feedback=None if feedback is None else _find(table, {}, feedback),
    )


def _find(table: Table, aliases: dict[str, str], name: str) -> int:
    """Return the column of a heading or of its short name."""
    header = [cell.strip() for cell in table.rows[0]]
    wanted = aliases.get(name, name).strip().casefold()
    found = [index for index, cell in enumerate(header) if cell.casefold() == wanted]
    if len(found) != 1:
        what = "more than one column" if found else "no column"
        hint = f"; --match takes id, name, {', '.join(aliases)} or a column" if aliases else ""
        raise ValueError(
            f"{table.name} has {what} {aliases.get(name, name)!r}: {', '.join(header)}{hint}"
        )
    return found[0]


def _cell(table: Table, row: int, column: int) -> str:
    cells = table.rows[row]
    return cells[column].strip() if column < len(cells) else ""


def _number(text: str) -> float | None:
    """Return a number, or None; 10,00 and 10.00 are the same."""
    text = text.strip()
    return float(text.replace(",", ".")) if re.fullmatch(r"\d+([.,]\d+)?", text) else None


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
