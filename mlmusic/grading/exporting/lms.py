"""Grades into the file of a learning management system.

Nothing is guessed: who can't be matched for certain is left alone and listed.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from mlmusic.grading.exporting.roster import Grade, Roster

_EMPTY = ("", "-")  # cells without a grade


def fill(
    roster: Roster, grades: Sequence[Grade], scale: bool = False
) -> tuple[int, list[str], list[str]]:
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
    replaced : list of str
        What stood there and was another grade or comment, a line each.

    Raises
    ------
    ValueError
        If the points differ and `scale` is False, there is nothing to scale, or nobody at all is
        in the roster.
    """
    _check_points(roster, grades, scale)
    rows: dict[str, list[int]] = {}
    for row in roster.students:
        for key in roster.keys(row) - {""}:
            rows.setdefault(key, []).append(row)
    claims: dict[int, list[Grade]] = {}
    left, replaced, unclear = [], [], set()
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
    if grades and not (claims or unclear):
        raise ValueError(
            f"nobody in {roster.table.name} is {roster.key(grades[0])!r} or another of the "
            f"{len(grades)} graded: choose what to compare with --match"
        )
    count = 0
    for row in roster.students:
        label, claim = roster.label(row), claims.get(row, [])
        if len(claim) > 1:
            files = ", ".join(f"{grade.submission} ({_points(grade)})" for grade in claim)
            left.append(f"more than one submission: {label}: {files}")
        elif claim and row in roster.locked:
            left.append(f"{roster.locked[row]}: {label}, {_points(claim[0])}")
        elif claim:
            replaced += _write(roster, row, claim[0])
            count += 1
        elif row not in unclear and row not in roster.locked:
            left.append(f"in the roster, but without a grade: {label}")
    return count, left, replaced


def _write(roster: Roster, row: int, grade: Grade) -> Iterator[str]:
    """Write a student's cells; yield what they replace."""
    possible, score = roster.possible[row], grade.score
    if _text(possible) != _text(grade.points):
        score *= possible / grade.points
    text = _text(score)
    before = roster.cell(row, roster.column)
    if before not in _EMPTY and roster.number(row, roster.column) != float(text):
        yield f"{roster.label(row)}: {before} becomes {text}"
    roster.table.set(row, roster.column, text.replace(".", ",") if roster.comma else text)
    if roster.feedback is not None:
        comment = html.escape(grade.summary, quote=False)  # Moodle takes it as HTML
        if roster.cell(row, roster.feedback) not in (*_EMPTY, comment.strip()):
            yield f"{roster.label(row)}: another comment"
        roster.table.set(row, roster.feedback, comment)


def _check_points(roster: Roster, grades: Sequence[Grade], scale: bool) -> None:
    for possible in set(roster.possible.values()):
        for grade in grades:
            theirs, ours = _text(possible), _text(grade.points)
            if theirs != ours and not (scale and grade.points > 0):
                heading = roster.table.rows[0][roster.column].strip()
                raise ValueError(
                    f"{roster.lms} gives {theirs} points for {heading!r}, the assignment has "
                    f"{ours}: change the points there and export its file again, or say --scale "
                    f"to multiply every score by {theirs}/{ours}"
                )


def _text(number: float) -> str:
    # Five decimals are what Moodle keeps; Canvas keeps more and shows two.
    return f"{number:.5f}".rstrip("0").rstrip(".")


def _points(grade: Grade) -> str:
    return f"{_text(grade.score)} of {_text(grade.points)} points"
