"""From results and what was given by hand: ``grades.csv``, ``flags.csv`` and the feedback."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlmusic.grading import files, overrides
from mlmusic.grading.pages import feedback, wording
from mlmusic.grading.runs.collect import Flag
from mlmusic.grading.runs.formats import FORMULA, flags_csv, grades_csv, number, slim
from mlmusic.grading.runs.store import locked, read_json

# Flags that no run has to wait for: nobody can do anything about an answer that isn't there.
NOTES = frozenset({"not answered"})
# Outcomes of tests that are flagged like the same fault of a cell.
_OUTCOMES = ("timeout", "died")


@dataclass(frozen=True)
class Report:
    """What was written.

    Parameters
    ----------
    rows : int
        The rows of grades.csv.
    waiting : int
        How many of them wait for grading by hand.
    median : float
        The median of their scores.
    flags : tuple of Flag
        The rows of flags.csv that ask for somebody's look: all but those of `NOTES`.
    """

    rows: int
    waiting: int
    median: float
    flags: tuple[Flag, ...]


def write(out: Path, flags: Sequence[Flag], *, pages: bool) -> Report:
    """Write grades.csv and flags.csv, and the students' pages if they are wanted.

    Parameters
    ----------
    out : Path
        The folder of the grades, with ``results/`` and ``run.json``.
    flags : sequence of Flag
        What no result says.
    pages : bool
        Whether to write feedback.

    Returns
    -------
    Report
        What stands in them.

    Raises
    ------
    ValueError
        If overrides.csv has a mistake; the message names the line.
    """
    given = overrides.read(out / "overrides.csv")
    about = read_json(out / "run.json")
    shows = {item: asked["shows"] for item, asked in about.get("by_hand", {}).items()}
    found: list[dict[str, Any]] = []
    for path in sorted((out / "results").glob("*.json")):
        result = read_json(path)
        if pages:
            page = out / "feedback" / f"{path.stem}.html"
            feedback.write(page, result, given, shows=shows)
        found.append(slim(result))
    found.sort(key=lambda result: result["submission"])
    rows = [
        (result["submission"], result["student"], overrides.totals(result, given))
        for result in found
    ]
    flags = [*flags, *(Flag("", "", "override", line) for line in overrides.unknown(given, found))]
    for result in found:
        flags += _flags(result, given)
    flags.sort(key=lambda flag: flag.submission)
    files.write(out / "grades.csv", grades_csv(rows, about["tasks"]))
    files.write(out / "flags.csv", flags_csv(flags))
    return Report(
        rows=len(rows),
        waiting=sum(bool(totals.waiting) for _, _, totals in rows),
        median=statistics.median(totals.score for _, _, totals in rows),
        flags=tuple(flag for flag in flags if flag.kind not in NOTES),
    )


def _flags(result: Mapping[str, Any], given: overrides.Overrides) -> Iterator[Flag]:
    """Return what a result says, a row for each kind."""
    submission, student = result["submission"], result["student"]
    if submission.startswith(FORMULA) or student.startswith(FORMULA):
        detail = "a spreadsheet takes this name for a formula: import grades.csv as text"
        yield Flag(submission, student, "name", detail)
    details: dict[str, list[str]] = {}
    for flag in result["flags"]:
        if flag["kind"] == "not answered" and _is_settled(student, flag["detail"], given):
            continue
        details.setdefault(flag["kind"], []).append(flag["detail"])
    for kind in _OUTCOMES:
        if texts := _told_by_tests(result, kind):
            details.setdefault(kind, []).extend(texts)
    for kind, texts in details.items():
        yield Flag(submission, student, kind, "; ".join(wording.folded(texts)))


def _is_settled(student: str, item: str, given: overrides.Overrides) -> bool:
    """Whether somebody gave points for an item."""
    row = given.of(student, item)
    return row is not None and row.points is not None


def _told_by_tests(result: Mapping[str, Any], outcome: str) -> list[str]:
    """Return what the tests of an outcome say, each with the tests that say it."""
    tests: dict[str, list[str]] = {}
    for test in (test for task in result["tasks"] for test in task["tests"]):
        if test["outcome"] == outcome:
            tests.setdefault(test["message"], []).append(test["id"])
    return [f"{message} ({', '.join(names)})".lstrip() for message, names in tests.items()]


def renew(out: Path) -> str:
    """Write everything anew after points were given by hand; nothing is graded.

    Parameters
    ----------
    out : Path
        The folder of the grades.

    Returns
    -------
    str
        One line about it.

    Raises
    ------
    RuntimeError
        If a run is at the same folder.
    ValueError
        If overrides.csv has a mistake, or nothing has been graded there.
    """
    with locked(out):
        about = read_json(out / "run.json")
        if "tasks" not in about or not any(out.glob("results/*.json")):
            raise ValueError(f"nothing has been graded in {out}")
        flags = [Flag(*row) for row in about.get("flags", [])]
        report = write(out, flags, pages=(out / "feedback").is_dir())
    waiting = f", {report.waiting} still waiting for grading by hand" if report.waiting else ""
    return f"{report.rows} students, median score {number(report.median)}{waiting}"
