"""Grades to where they are wanted: ``mlmusic export OUT``.

``--lms canvas|moodle --roster FILE``
    fills the file that the learning management system gave, so that it takes it back.
``--gradebook gradebook.db``
    writes the scores into nbgrader's gradebook.
``--answers FOLDER``
    writes the students' answers for a plagiarism checker.

What was given by hand (``OUT/overrides.csv``) goes everywhere.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlmusic.grading import files, overrides
from mlmusic.grading.exporting import lms
from mlmusic.grading.exporting import roster as rosters
from mlmusic.grading.exporting.roster import Grade
from mlmusic.grading.exporting.table import Table
from mlmusic.grading.runs import formats
from mlmusic.grading.runs.store import locked
from mlmusic.grading.wording import Parser, check_folder, in_words, typed


def read_results(out: str | Path) -> dict[Path, dict[str, Any]]:
    """Read what a grading run found, as it was before anything was given by hand.

    Parameters
    ----------
    out : path
        The folder of ``mlmusic grade -o``.

    Returns
    -------
    dict of Path to dict
        The results by their files, in the order of the submissions' names; without the saved
        outputs, which are most of a file.

    Raises
    ------
    ValueError
        If there are none, one can't be read, or they belong to different assignments.
    """
    found = {}
    for path in sorted((Path(out) / "results").glob("*.json")):
        try:
            result = json.loads(path.read_bytes())
        except (OSError, ValueError):
            raise ValueError(f"{path} can't be read: grade again") from None
        if not isinstance(result, dict) or result.get("format") != formats.FORMAT:
            raise ValueError(f"{path} was written by another version of mlmusic: grade again")
        found[path] = {**result, "tasks": [{**task, "outputs": []} for task in result["tasks"]]}
    if not found:
        raise _nothing(out)
    for key, what in (("assignment", "assignments"), ("points", "totals of points")):
        values = Counter(result[key] for result in found.values())
        if len(values) > 1:
            listed = ", ".join(f"{value} ({count})" for value, count in values.most_common())
            raise ValueError(
                f"{out} has results of different {what}: {listed}; grade into an empty folder"
            )
    return dict(sorted(found.items(), key=lambda pair: pair[1]["submission"]))


def _nothing(out: str | Path) -> ValueError:
    return ValueError(
        f"{out} has no results: run mlmusic grade SOURCE SUBMISSIONS -o {typed(out)} first"
    )


def grades(
    found: Iterable[dict[str, Any]], given: overrides.Overrides
) -> tuple[list[Grade], list[str]]:
    """Return the students' grades, and the submissions that wait for grading by hand.

    Parameters
    ----------
    found : iterable of dict
        The results.
    given : Overrides
        What was given by hand.

    Raises
    ------
    ValueError
        If more was given by hand than an item has.
    """
    rows, waiting = [], []
    for result in found:
        total = overrides.totals(result, given)
        rows.append(
            Grade(
                result["submission"],
                overrides.student_of(result),
                result.get("name") or "",
                total.score,
                total.points,
                summary(result, given),
            )
        )
        if total.waiting:
            waiting.append(f"{result['submission']}: {', '.join(total.waiting)}")
    return rows, waiting


def summary(result: dict[str, Any], given: overrides.Overrides) -> str:
    """Return one line for a student: the score, each task's, and what was written by hand."""
    final = overrides.apply(result, given)
    parts = [f"{overrides.show(final['score'])} of {overrides.show(final['points'])} points"]
    for task in final["tasks"]:
        score = "not graded yet"
        if task["score"] is not None:
            score = f"{overrides.show(task['score'])} of {overrides.show(task['points'])}"
        comments = [item.get("by_hand", {}).get("comment") for item in (task, *task["tests"])]
        said = " ".join(filter(None, comments))
        parts.append(f"{task['title'] or task['id']}: {score}{f' ({said})' if said else ''}")
    parts.append(final.get("by_hand", {}).get("comment") or "")
    return " ".join(" · ".join(filter(None, parts)).split())


def main(argv: list[str] | None = None) -> int:
    """Run ``mlmusic export``; return its exit status: 3 if somebody was left out."""
    parser = _parser()
    options = parser.parse_args(argv)
    if fault := _wrong_call(options):
        parser.error(fault)
    if hasattr(sys.stdout, "reconfigure"):  # a name may have letters that a terminal hasn't
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        left = _export(options)
    except (OSError, ValueError, RuntimeError, ModuleNotFoundError) as error:
        print(f"mlmusic export: {in_words(error)}", file=sys.stderr)
        return 1
    for line in left:
        print(line, file=sys.stderr)
    return 3 if left else 0


def _wrong_call(options: argparse.Namespace) -> str | None:
    """Say which options don't go together."""
    if not (options.lms or options.roster or options.gradebook or options.answers):
        return (
            "say where to: --lms canvas|moodle --roster FILE, --gradebook FILE or --answers FOLDER"
        )
    if options.roster and not options.lms:
        return "say whose the roster is: --lms canvas or --lms moodle"
    if options.lms and not (options.roster or options.feedback_zip):
        return "--lms needs --roster FILE, --feedback-zip FILE or both"
    if options.lms == "canvas" and options.feedback:
        return "Canvas takes no comments from a file: leave --feedback out, or use --feedback-zip"
    needs = {
        "feedback_zip": "lms",
        "upload": "roster",
        "column": "roster",
        "feedback": "roster",
        "assignment": "gradebook",
        "base": "answers",
    }
    for option, other in needs.items():
        if getattr(options, option) and not getattr(options, other):
            flag = "-o" if option == "upload" else f"--{option.replace('_', '-')}"
            return f"{flag} goes with --{other}"
    return None


def _export(options: argparse.Namespace) -> list[str]:
    """Do what was asked for; return who was left out."""
    out = Path(options.out)
    if not (out / "results").is_dir():
        raise _nothing(out)
    if not os.access(out, os.W_OK):
        raise ValueError(f"you may not write into {out}, which an export has to lock: copy it")
    roster_file = _roster_file(options)
    _check_targets(options)
    with locked(out):  # what a run has written by halves would be exported by halves
        found = read_results(out)
        given = overrides.read(out / "overrides.csv")
        left = overrides.unknown(given, found.values())
        if options.lms:
            left += _to_lms(options, roster_file, found, given)
        if options.gradebook:
            from mlmusic.grading.exporting import gradebook

            left += gradebook.write(found, given, options.gradebook, options.assignment)
            shown = Path(options.gradebook).parent / "autograded"
            print(f"{options.gradebook}: {len(found)} submissions")
            print(f"{shown}{os.sep}: the notebooks that formgrader shows")
        if options.answers:
            from mlmusic.grading.exporting import plagiarism

            answers = list(found.values())
            left += plagiarism.write(answers, options.answers, options.base)
            print("\n".join(plagiarism.commands(options.answers, answers[0]["assignment"])))
    return left


def _roster_file(options: argparse.Namespace) -> Table | None:
    """Read the LMS's file, if one is named."""
    if not options.roster:
        return None
    try:
        return Table.read(options.roster)
    except FileNotFoundError:
        whose = {"canvas": "gradebook that Canvas", "moodle": "grading worksheet that Moodle"}
        raise FileNotFoundError(
            f"there is no roster {options.roster}: name the {whose[options.lms]} lets you download"
        ) from None


def _check_targets(options: argparse.Namespace) -> None:
    """Raise ValueError if something couldn't be written, before anything is."""
    flags = {"upload": "-o", "feedback_zip": "--feedback-zip", "gradebook": "--gradebook"}
    for option, flag in flags.items():
        target = getattr(options, option)
        if target and Path(target).is_dir():
            raise ValueError(f"{target} is a folder where a file is needed: choose another {flag}")
        if target and option != "gradebook":
            check_folder(Path(target).parent, flag)
    book = Path(options.gradebook) if options.gradebook else None
    if book and book.parent.is_dir():  # else it is said there what the folder is
        check_folder(book.parent, "--gradebook")
        if book.exists() and not os.access(book, os.W_OK):
            raise ValueError(f"you may not write into {book}: change its permissions")
    if options.answers:
        check_folder(options.answers, "--answers")
    if options.base and not Path(options.base).is_file():
        raise ValueError(f"there is no notebook {options.base}: --base names the released one")


def _to_lms(
    options: argparse.Namespace,
    roster_file: Table | None,
    found: dict[Path, dict[str, Any]],
    given: overrides.Overrides,
) -> list[str]:
    """Write the LMS's file and the zip of feedback; return who was left out."""
    rows, waiting = grades(found.values(), given)
    assignment = next(iter(found.values()))["assignment"]
    if roster_file:
        target = Path(options.upload or Path(options.out) / "upload.csv")
        if target.exists() and target.samefile(options.roster):
            raise ValueError(f"{target} is the roster itself: name another file with -o")
        if options.lms == "canvas":
            roster = rosters.canvas(roster_file, assignment, options.column, options.match)
        else:
            column = options.column or "Grade"
            roster = rosters.moodle(roster_file, column, options.match, options.feedback)
        count, left, replaced = lms.fill(roster, rows, options.scale)
    if waiting and not options.partial:
        raise ValueError(
            f"{len(waiting)} of {len(rows)} submissions wait for grading by hand, the first is "
            f"{waiting[0]}: give the points (mlmusic grade --by-hand -o {typed(options.out)}), or "
            "say --partial to export what there is"
        )
    who: list[str] = []
    if roster_file:
        who += left
        target.parent.mkdir(parents=True, exist_ok=True)
        files.write(target, roster_file.to_bytes())
        heading = roster_file.rows[0][roster.column].strip()
        print(f"{target}: {count} of {len(roster.students)} students filled in under {heading!r}")
        if replaced:
            print(f"{len(replaced)} replaced that stood in {options.roster}:")
            print("\n".join(f"  {line}" for line in replaced))
    if options.feedback_zip:
        from mlmusic.grading.exporting import feedback_zip

        Path(options.feedback_zip).parent.mkdir(parents=True, exist_ok=True)
        count, without = feedback_zip.write(found, given, options.lms, options.feedback_zip)
        who += without
        print(f"{options.feedback_zip}: {count} pages of feedback")
    if waiting:
        print(f"still to be graded by hand: {len(waiting)}", file=sys.stderr)
    return who


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="mlmusic export",
        description="Take the grades to an LMS or to nbgrader, and the answers to a checker.",
        epilog="Exit status: 0; 1 for a fault; 2 for a wrong call; 3 if somebody was left out, "
        "who is listed on standard error then.",
    )
    parser.add_argument("out", metavar="OUT", help="the folder that mlmusic grade wrote")
    group = parser.add_argument_group("a learning management system")
    group.add_argument("--lms", choices=["canvas", "moodle"], help="whose file it is")
    group.add_argument(
        "--roster",
        metavar="FILE",
        help="Canvas: the exported gradebook; Moodle: the grading worksheet",
    )
    group.add_argument("-o", dest="upload", metavar="FILE", help="what to upload (OUT/upload.csv)")
    group.add_argument(
        "--column",
        help="the grade's column, if it isn't the one of the assignment's name (Canvas)"
        " or 'Grade' (Moodle)",
    )
    group.add_argument(
        "--match",
        default="id",
        metavar="BY",
        help="what the students' ids in OUT are: id (Canvas's user or Moodle's participant number, "
        "as in the names of downloaded files), login, sis, idnumber, email, name, or any column's "
        "heading",
    )
    group.add_argument(
        "--scale", action="store_true", help="multiply the scores where the LMS gives other points"
    )
    group.add_argument(
        "--partial", action="store_true", help="even if answers wait for grading by hand"
    )
    group.add_argument(
        "--feedback",
        nargs="?",
        const="Feedback comments",
        metavar="COLUMN",
        help="Moodle: also write a line of points and comments for the student",
    )
    group.add_argument(
        "--feedback-zip",
        metavar="FILE",
        help="also write the students' pages in a zip that the LMS hands out",
    )
    group = parser.add_argument_group("nbgrader")
    group.add_argument(
        "--gradebook",
        metavar="FILE",
        help="nbgrader's gradebook.db; what formgrader shows goes into autograded/ beside it",
    )
    group.add_argument("--assignment", metavar="NAME", help="the assignment's name in there")
    group = parser.add_argument_group("plagiarism checkers (JPlag, MOSS)")
    group.add_argument("--answers", metavar="FOLDER", help="write FOLDER/STUDENT/ASSIGNMENT.py")
    group.add_argument(
        "--base", metavar="NOTEBOOK", help="the released notebook: its code is everybody's"
    )
    return parser
