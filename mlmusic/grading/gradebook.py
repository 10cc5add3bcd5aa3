"""Scores into nbgrader's gradebook, so that formgrader, ``nbgrader export`` and feedback work.

A test's score becomes the automatic score of nbgrader's cell of that name, what was given by hand
its manual score, a comment the comment on the answer. A gradebook in which nbgrader itself made
the assignment is filled in; it is changed only if its cells and points are those that were graded.

nbgrader shows the notebooks in ``autograded/`` beside the gradebook. Where it has none, one is
written from the results: the student's answers and what each test said. Hidden tests are named
there, never shown, and whatever could run in a grader's browser is left out.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmusic.grading import files, overrides

if TYPE_CHECKING:
    from nbgrader.api import Gradebook, Notebook, SubmittedNotebook

_SCHEMA = 3  # of nbgrader's metadata
_IMAGES = ("image/png", "image/jpeg")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def write(
    results: list[dict[str, Any]],
    given: overrides.Overrides,
    path: str | Path,
    assignment: str | None = None,
) -> list[str]:
    """Write all scores into a gradebook; a second time changes nothing.

    Parameters
    ----------
    results : list of dict
        What a grading run found, before anything was given by hand.
    given : Overrides
        What was given by hand. Manual scores that formgrader has put into the gradebook stay,
        where nothing was given here.
    path : path
        The gradebook, ``gradebook.db`` in nbgrader's folder of the course. It is made if need be.
    assignment : str, optional
        The assignment's name in the gradebook. By default the one that has a notebook of the
        source's name; a new one is called like the source.

    Returns
    -------
    list of str
        Who was left out and what stayed as it was, a line each.

    Raises
    ------
    ModuleNotFoundError
        If nbgrader isn't installed.
    ValueError
        If it isn't a gradebook, or its assignment isn't what was graded. It is unchanged then.
    """
    try:
        from nbgrader.api import Gradebook
        from sqlalchemy.exc import DatabaseError
    except ModuleNotFoundError as error:
        if error.name not in ("nbgrader", "sqlalchemy"):
            raise
        raise ModuleNotFoundError(
            "writing into nbgrader's gradebook needs nbgrader: pip install 'mlmusic[grade]'",
            name=error.name,
        ) from None
    path = Path(path).resolve()
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} isn't a folder: name nbgrader's folder of the course")
    try:
        with Gradebook(f"sqlite:///{path}", _course(path)) as book:
            try:
                return _Export(book, path, results, given, assignment).run()
            except BaseException:
                book.db.rollback()
                raise
    except DatabaseError as error:
        reason = str(error.orig or error).splitlines()[0]
        raise ValueError(
            f"{path.name}: {reason}. Close formgrader if it is locked; run nbgrader db upgrade if "
            "an older nbgrader made it"
        ) from None


def _course(path: Path) -> str:
    """Return the course in a gradebook, so that no second one is made."""
    if path.exists() and path.stat().st_size:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            courses = connection.execute("SELECT id FROM course ORDER BY id").fetchall()
        except sqlite3.OperationalError:
            raise ValueError(f"{path} isn't a gradebook of nbgrader's") from None
        except sqlite3.DatabaseError:
            raise ValueError(f"{path} isn't a database") from None
        finally:
            connection.close()
        if courses:
            return courses[0][0]
    return "default_course"  # nbgrader's own default


class _Export:
    """One run: everything is checked before the first change."""

    def __init__(
        self,
        book: Gradebook,
        path: Path,
        results: list[dict[str, Any]],
        given: overrides.Overrides,
        assignment: str | None,
    ):
        self.book, self.path, self.given = book, path, given
        self.name = results[0]["assignment"]
        self.assignment = assignment
        self.left: list[str] = []
        self.tasks = _tasks(results)
        self.by_student: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for result in results:
            overrides.apply(result, given)  # raises if more was given than an item has
            self.by_student[overrides.student_of(result)].append(result)
        self.folders = files.folder_names(self.by_student)

    def run(self) -> list[str]:
        notebook = self._notebook()
        self.types = {cell.name: cell.cell_type for cell in _graded(notebook)}
        for student, results in self.by_student.items():
            if len(results) > 1:
                names = ", ".join(result["submission"] for result in results)
                self.left.append(f"more than one submission: {student}: {names}")
                continue
            submitted = self._submitted(self.folders[student])
            self._grades(submitted, results[0], student)
            self._autograded(self.folders[student], results[0])
        self.book.db.commit()
        return self.left

    def _notebook(self) -> Notebook:
        """Return the gradebook's notebook; check it, or make it."""
        found = [a for a in self.book.assignments if self.name in {n.name for n in a.notebooks}]
        if self.assignment is not None:
            found = [a for a in found if a.name == self.assignment]
        if len(found) > 1:
            names = ", ".join(repr(a.name) for a in found)
            raise ValueError(
                f"{self.path.name} has a notebook {self.name!r} in several assignments: name one "
                f"with --assignment: {names}"
            )
        if not found:
            return self._made()
        self.assignment = found[0].name
        notebook = self.book.find_notebook(self.name, self.assignment)
        theirs = {cell.name: cell.max_score for cell in _graded(notebook)}
        ours = {item: points for item, points, _ in _items(self.tasks)}
        for item in [*theirs, *ours]:
            there, here = theirs.get(item), ours.get(item)
            if there is None or here is None or abs(there - here) > 1e-9:
                raise ValueError(
                    f"{self.path.name}: the cell {item!r} of {self.name!r} has "
                    f"{_show(there)} there, and {_show(here)} in the source that was graded: run "
                    "nbgrader generate_assignment with that source"
                )
        return notebook

    def _made(self) -> Notebook:
        book = self.book
        self.assignment = self.assignment or self.name
        book.update_or_create_assignment(self.assignment)
        notebook = book.add_notebook(self.name, self.assignment, kernelspec=json.dumps(_KERNEL))
        for item, points, manual in _items(self.tasks):
            kind = "markdown" if manual else "code"
            book.add_grade_cell(item, self.name, self.assignment, max_score=points, cell_type=kind)
        for task in self.tasks:
            if task["id"] not in {test["id"] for test in task["tests"]}:
                book.add_solution_cell(task["id"], self.name, self.assignment)
        return notebook

    def _submitted(self, student: str) -> SubmittedNotebook:
        from nbgrader.api import MissingEntry

        try:
            self.book.find_student(student)
        except MissingEntry:
            self.book.add_student(student)
        self.book.update_or_create_submission(self.assignment, student)
        return self.book.find_submission_notebook(self.name, self.assignment, student)

    def _grades(self, submitted: SubmittedNotebook, result: dict[str, Any], student: str) -> None:
        scores = _scores(overrides.apply(result, self.given), result)
        for grade in submitted.grades:
            automatic, manual = scores[grade.name]
            changed = grade.auto_score != automatic
            grade.auto_score = automatic
            if manual is not None:
                grade.manual_score, grade.needs_manual_grade = manual, False
            elif grade.manual_score is None:
                grade.needs_manual_grade = automatic is None
            else:
                # nbgrader, too, asks for a second look when a new score lies under a manual one.
                grade.needs_manual_grade = changed or grade.needs_manual_grade
                self.left.append(
                    f"kept, for it isn't in {self.given.name}: {student}, {grade.name}: "
                    f"{overrides.show(grade.manual_score)} points in {self.path.name}"
                )
        places = {comment.name: comment for comment in submitted.comments}
        for item, text in _comments(overrides.apply(result, self.given), list(places)):
            if item is None:
                self.left.append(f"no cell takes a comment: {student}: {text}")
            else:
                places[item].manual_comment = text

    def _autograded(self, student: str, result: dict[str, Any]) -> None:
        """Write the notebook that nbgrader shows, unless nbgrader has made one."""
        folder = self.path.parent / "autograded" / student / str(self.assignment)
        target = folder / f"{self.name}.ipynb"
        try:
            if "mlmusic" not in json.loads(target.read_bytes())["metadata"]:
                return
        except FileNotFoundError:
            pass
        except (KeyError, TypeError, ValueError):
            return
        folder.mkdir(parents=True, exist_ok=True)
        shown = autograded(overrides.apply(result, self.given), self.types)
        files.write(target, (json.dumps(shown, indent=1, sort_keys=True) + "\n").encode())


def autograded(result: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    """Return a notebook for formgrader and nbgrader's feedback, as the content of its file.

    Parameters
    ----------
    result : dict
        One student's, with what was given by hand.
    types : dict of str to str
        For each graded cell ``"code"`` or ``"markdown"``.
    """
    cells: list[dict[str, Any]] = []
    for task in result["tasks"]:
        tests = {test["id"] for test in task["tests"]}
        cells.append(_markdown(f"## {_plain(task['title'] or task['id'])}"))
        if task["id"] not in tests:
            answer = task["answer"] or ""
            mark = _mark(task["id"], solution=True)
            if task["manual"]:
                mark = _mark(task["id"], solution=True, points=task["points"])
            if types.get(task["id"], "code") == "markdown":
                cells.append(_markdown(_plain(answer), mark))
                cells += [_code("", {}, [out]) for out in _outputs(task)]
            else:
                cells.append(_code(answer, mark, _outputs(task)))
        for test in task["tests"]:
            said = test["outcome"] if test["hidden"] else f"{test['outcome']}\n{test['message']}"
            output = {"output_type": "stream", "name": "stdout", "text": said.strip() + "\n"}
            title = f"# {test['id']}{' (hidden)' if test['hidden'] else ''}"
            cells.append(_code(title, _mark(test["id"], points=test["points"]), [output]))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return {
        "cells": cells,
        "metadata": {"kernelspec": _KERNEL, "mlmusic": {"from": "results"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def _mark(item: str, solution: bool = False, points: float | None = None) -> dict[str, Any]:
    graded = points is not None
    mark = {
        "grade_id": item,
        "grade": graded,
        "solution": solution,
        "locked": not solution,
        "task": False,
        "schema_version": _SCHEMA,
    }
    return mark | ({"points": points} if graded else {})


def _markdown(source: str, mark: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata = {"nbgrader": mark} if mark else {}
    return {"cell_type": "markdown", "metadata": metadata, "source": source}


def _code(source: str, mark: dict[str, Any], outputs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"nbgrader": mark} if mark else {},
        "outputs": outputs,
        "source": source,
    }


def _outputs(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a task's pictures and texts; HTML and SVG could run in the grader's browser."""
    return [
        {"output_type": "display_data", "metadata": {}, "data": {out["mime"]: out["data"]}}
        for out in task["outputs"]
        if out["mime"] in (*_IMAGES, "text/plain")
    ]


def _plain(text: str) -> str:
    """Return Markdown that shows a text as it was typed: no HTML, no links, no headings."""
    lines = (_PUNCTUATION.sub(r"\\\1", line.strip()) for line in text.splitlines())
    return "  \n".join(lines)  # two blanks: a line break


def _graded(notebook: Notebook) -> list[Any]:
    return [*notebook.grade_cells, *notebook.task_cells]


def _tasks(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the assignment's tasks; all results of one source have the same."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        for task in result["tasks"]:
            found.setdefault(task["id"], task)
    return list(found.values())


def _items(tasks: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, float, bool]]:
    """Yield what is graded: its id, its points, and whether by hand."""
    for task in tasks:
        if task["manual"]:
            yield task["id"], task["points"], True
        for test in task["tests"]:
            yield test["id"], test["points"], False


def _scores(
    final: Mapping[str, Any], raw: Mapping[str, Any]
) -> dict[str, tuple[float | None, float | None]]:
    """Return each graded cell's automatic and manual score."""
    scores: dict[str, tuple[float | None, float | None]] = {}
    for task, before in zip(final["tasks"], raw["tasks"], strict=True):
        by_hand = task.get("by_hand", {}).get("points")
        if task["manual"]:
            scores[task["id"]] = (before["score"], by_hand)
        automatic = [test["score"] for test in before["tests"]]
        manual = [test.get("by_hand", {}).get("points") for test in task["tests"]]
        if by_hand is not None and not task["manual"]:
            manual = _shared([test["score"] for test in task["tests"]], task["tests"], by_hand)
        for test, *both in zip(task["tests"], automatic, manual, strict=True):
            scores[test["id"]] = tuple(both)
    return scores


def _shared(scores: list[float], tests: list[Mapping[str, Any]], total: float) -> list[float]:
    """Spread a task's points over its tests, for nbgrader has points for cells only.

    Each keeps what it has as far as possible; what is missing or too much is made up from the
    first test on, within its points.
    """
    missing = total - sum(scores)
    shared = []
    for score, test in zip(scores, tests, strict=True):
        new = min(max(score + missing, 0.0), test["points"])
        missing -= new - score
        shared.append(round(new, 6))
    return shared


def _comments(result: Mapping[str, Any], places: list[str]) -> list[tuple[str | None, str]]:
    """Return what was written by hand, by the cell that takes it; None if no cell does."""
    found: dict[str | None, list[str]] = defaultdict(list)
    default = next((t["id"] for t in result["tasks"] if t["id"] in places), None)
    for item in (result, *result["tasks"]):
        place = item.get("id") if item.get("id") in places else default
        for part in (item, *item.get("tests", ())):
            if comment := part.get("by_hand", {}).get("comment"):
                moved = part is not result and place != item["id"]
                found[place].append(f"{part['id']}: {comment}" if moved else comment)
    return [(place, "\n".join(texts)) for place, texts in found.items()]


def _show(points: float | None) -> str:
    return "no points" if points is None else f"{overrides.show(points)} points"
