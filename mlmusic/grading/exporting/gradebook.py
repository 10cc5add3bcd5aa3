"""Scores into nbgrader's gradebook, so that formgrader, ``nbgrader export`` and feedback work.

A test's score becomes the automatic score of nbgrader's cell of that name, what was given by hand
its manual score, a comment the comment on the answer. A gradebook in which nbgrader itself made
the assignment is filled in; it is changed only if its cells and points are those that were graded.

nbgrader shows the notebooks in ``autograded/`` beside the gradebook. Where it has none, one is
written from the results.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import sqlite3
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmusic.grading import files, overrides
from mlmusic.grading.exporting.autograded import KERNEL, autograded
from mlmusic.grading.runs.formats import safe_names

if TYPE_CHECKING:
    from nbgrader.api import Gradebook, Notebook, SubmittedNotebook


def write(
    results: Mapping[Path, dict[str, Any]],
    given: overrides.Overrides,
    path: str | Path,
    assignment: str | None = None,
) -> list[str]:
    """Write all scores into a gradebook; a second time changes nothing.

    Parameters
    ----------
    results : dict of Path to dict
        What a grading run found, before anything was given by hand, by the files of the results.
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
        with _alembic_in_reach():
            book = Gradebook(f"sqlite:///{path}", _course(path))
        with book:
            try:
                return _Export(book, path, results, given, assignment).run()
            except BaseException:
                book.db.rollback()
                raise
    except DatabaseError as error:
        reason = str(error.orig or error).splitlines()[0]
        raise ValueError(
            f"{path.name}: {reason}: close formgrader if it is locked, run nbgrader db upgrade if "
            "an older nbgrader made it"
        ) from None


@contextlib.contextmanager
def _alembic_in_reach() -> Iterator[None]:
    """Let nbgrader find alembic, which it starts by name, in an environment that isn't active."""
    installed = importlib.metadata.files("alembic") or []
    scripts = [file.locate() for file in installed if Path(file).stem == "alembic"]
    folders = [str(Path(script).parent) for script in scripts]
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([*folders, before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _course(path: Path) -> str:
    """Return the course in a gradebook, so that no second one is made."""
    if path.exists() and path.stat().st_size:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            courses = connection.execute("SELECT id FROM course ORDER BY id").fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                raise ValueError(f"{path} isn't a gradebook of nbgrader's") from None
            raise ValueError(f"{path.name}: {error}: close formgrader, and try again") from None
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
        results: Mapping[Path, dict[str, Any]],
        given: overrides.Overrides,
        assignment: str | None,
    ):
        self.book, self.path, self.given = book, path, given
        self.name = next(iter(results.values()))["assignment"]
        self.assignment = assignment
        self.left: list[str] = []
        self.tasks = _tasks(results.values())
        self.by_student: dict[str, list[tuple[Path, dict[str, Any]]]] = defaultdict(list)
        for file, result in results.items():
            overrides.apply(result, given)  # raises if more was given than an item has
            self.by_student[overrides.student_of(result)].append((file, result))
        self.folders = safe_names(self.by_student)

    def run(self) -> list[str]:
        notebook = self._notebook()
        self.types = {cell.name: cell.cell_type for cell in _graded(notebook)}
        self.answers = {c.name for c in (*notebook.solution_cells, *notebook.task_cells)}
        for student, results in self.by_student.items():
            if len(results) > 1:
                names = ", ".join(result["submission"] for _, result in results)
                self.left.append(f"more than one submission: {student}: {names}")
                continue
            ((file, result),) = results
            submitted = self._submitted(self.folders[student])
            self._grades(submitted, result, student)
            self._autograded(self.folders[student], file)
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
        notebook = book.add_notebook(self.name, self.assignment, kernelspec=json.dumps(KERNEL))
        for item, points, manual in _items(self.tasks):
            kind = "markdown" if manual else "code"
            book.add_grade_cell(item, self.name, self.assignment, max_score=points, cell_type=kind)
        for task in self.tasks:
            if task["id"] not in {test["id"] for test in task["tests"]}:
                book.add_solution_cell(task["id"], self.name, self.assignment)
        return notebook

    def _submitted(self, student: str) -> SubmittedNotebook:
        from nbgrader.api import MissingEntry
        from sqlalchemy.exc import SAWarning

        try:
            self.book.find_student(student)
        except MissingEntry:
            self.book.add_student(student)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # of nbgrader's way with SQLAlchemy
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

    def _autograded(self, student: str, file: Path) -> None:
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
        result = json.loads(file.read_bytes())  # with the saved outputs
        shown = autograded(overrides.apply(result, self.given), self.types, self.answers)
        files.write(target, (json.dumps(shown, indent=1, sort_keys=True) + "\n").encode())


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
                moved = part is not result and place != part["id"]
                found[place].append(f"{part['id']}: {comment}" if moved else comment)
    return [(place, "\n".join(texts)) for place, texts in found.items()]


def _show(points: float | None) -> str:
    return "no points" if points is None else f"{overrides.show(points)} points"
