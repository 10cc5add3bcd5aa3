"""Grade a whole class: ``mlmusic grade SOURCE SUBMISSIONS -o OUT``.

OUT is the memory of a batch. Every result is written as soon as it is known, so a run that was
stopped, in whatever way, is gone on with by the same command, and only what is new or changed is
graded. It holds

- ``grades.csv``, ``flags.csv``, ``results/`` and ``feedback/``: one row or file a student,
- ``attempts/``: results that don't count now, of other attempts or of submissions not named again,
- ``run.json`` and ``solution.json``: the seed, what was asked where a person grades, and how the
  solution itself did,
- ``overrides.csv``: points given by hand, which is only read here.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmusic.grading import files, overrides
from mlmusic.grading.runs import formats
from mlmusic.grading.runs.collect import Flag, Submission, by_student, collect
from mlmusic.grading.runs.executors import Done, Executor, Job, LocalExecutor, Recipe
from mlmusic.grading.runs.executors import versions as installed_versions
from mlmusic.grading.runs.finding import Unreadable
from mlmusic.grading.runs.order import Order, Stopped, Summary, Watcher
from mlmusic.grading.runs.questions import questions
from mlmusic.grading.runs.report import write as write_report
from mlmusic.grading.runs.store import Store, locked, read_json

if TYPE_CHECKING:
    from mlmusic.grading.runs.executors import Marker
    from mlmusic.grading.source.assignment import Assignment

SLOW = 5.0  # seconds after which a submission is named
_NOT_KEPT = ("grader", "sandbox")  # flags of what was no student's fault: tried again


def grade(
    order: Order, watcher: Watcher, start: Callable[[Recipe], Marker] = Recipe.start
) -> Summary:
    """Grade a batch.

    Parameters
    ----------
    order : Order
        What to grade, and how.
    watcher : Watcher
        Follows the run.
    start : callable
        Starts a worker; a test has one of its own.

    Returns
    -------
    Summary

    Raises
    ------
    FileNotFoundError, PermissionError, ValueError
        If the source is no assignment, or the submissions or the folder can't be used.
    RuntimeError
        If another run is at the same folder, or no sandbox can be used.
    Stopped
        If the run was interrupted, or the disk is full.
    """
    from mlmusic.grading.source.assignment import Assignment

    try:
        source = order.source.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no source notebook {order.source}") from None
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise PermissionError(f"the source {order.source} can't be read: {reason}") from None
    assignment = Assignment.from_bytes(source, order.source.name)
    answers = assignment.answers.values()
    if answers and all("# YOUR CODE HERE" in answer.solution for answer in answers):
        # Its hidden tests are gone: empty ones, which everybody would pass.
        raise ValueError(
            f"{order.source} is the students' notebook, without answers and hidden tests: name the "
            "source that it was released from"
        )
    out = Path(os.path.realpath(order.out))
    for path in order.submissions:
        if Path(os.path.realpath(path)).is_relative_to(out):
            raise ValueError(
                f"{path} is in the folder of the grades, {order.out}: choose another -o"
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise PermissionError(f"the folder {order.out} can't be made: {reason}") from None
    with locked(out):
        batch = _Batch(order, out, source, assignment, watcher, start)
        try:
            return batch.run()
        except KeyboardInterrupt:
            raise Stopped(
                "interrupted", batch.graded, batch.todo, order.out, interrupted=True
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = f"the disk of {order.out} is full"
            raise Stopped(reason, batch.graded, batch.todo, order.out) from None


class _Batch:
    """One run over a batch, with its folder locked."""

    def __init__(
        self,
        order: Order,
        out: Path,
        source: bytes,
        assignment: Assignment,
        watcher: Watcher,
        start: Callable[[Recipe], Marker],
    ) -> None:
        self.order, self.out, self.source, self.assignment = order, out, source, assignment
        self.watcher, self.start = watcher, start
        self.limits = assignment.limits.changed(order.limits)
        self.versions = installed_versions()
        self.graded = self.todo = 0
        self.slow: list[tuple[str, float]] = []

    def run(self) -> Summary:
        """Do everything, in order."""
        self._check_overrides()
        order, name = self.order, self.assignment.name
        before = read_json(self.out / "run.json")
        if before.get("assignment", name) != name:
            raise ValueError(
                f"{order.out} holds the grades of {before['assignment']!r}: choose another -o"
            )
        submissions, flags = collect(
            order.submissions, assignment=name, skip=(order.source, self.out)
        )
        if not submissions:
            where = ", ".join(map(str, order.submissions))
            raise ValueError(f"no notebooks were found in {where}")
        groups = by_student(submissions, name)
        asked = self._asked(groups)
        by_name = {one.name: one for one in submissions}
        hashes = {one.name: _sha256(one) for one in submissions}
        self.seed = self._seed(before, hashes)
        if before.get("source_sha256", self.assignment.sha256) != self.assignment.sha256:
            what = "what --only names" if order.only else "everything"
            self.watcher.say(f"{order.source} has changed: {what} is graded again")
        self._write("run.json", self._about())
        self.store = Store(self.out, hashes)
        self.store.load(
            lambda name, result: (
                asked[name] is False
                or (
                    asked[name]
                    and not order.force
                    and self._is_good(result, hashes[name])
                    and _about_student(by_name[name]).items() <= result.items()
                )
            )
        )
        todo = [one for one in submissions if asked[one.name] and one.name not in self.store.scores]
        kept = sum(map(bool, asked.values())) - len(todo)
        self.todo = len(todo)
        self.watcher.begin(self.todo, kept, self.seed)
        try:
            self._mark(todo)
        finally:
            self.watcher.end()
        flags += self._solution_flags(read_json(self.out / "solution.json"))
        flags += self._settle(groups)
        self._write("run.json", self._about() | {"flags": flags})
        report = write_report(self.out, flags, pages=order.feedback)
        slow = tuple(sorted(self.slow, key=lambda pair: -pair[1]))
        return Summary(self.graded, kept, report, self.assignment.points, self.seed, slow)

    def _check_overrides(self) -> None:
        """Raise ValueError for a mistake in overrides.csv: it is better known now."""
        given = overrides.read(self.out / "overrides.csv")
        most = {
            item.id: item.points for task in self.assignment.tasks for item in (*task.tests, task)
        }
        for mistake in overrides.too_many(given, most):
            raise ValueError(mistake)

    def _asked(self, groups: list[list[Submission]]) -> dict[str, bool | None]:
        """Say of each submission whether it is to be graded: True, not now, or, None, not at all.

        Raises
        ------
        ValueError
            If there is none to be graded.
        """
        only = self.order.only
        asked: dict[str, bool | None] = {}
        for group in groups:
            counting = group if self.order.attempt == "best" else group[-1:]
            for one in group:
                named = not only or any(map(one.is_called, only))
                asked[one.name] = named if one in counting else None
        if not any(asked.values()):
            raise ValueError(f"no submission or student is called {' or '.join(only)}")
        return asked

    def _seed(self, before: Mapping[str, Any], hashes: Mapping[str, str]) -> int:
        """Return the seed: one that nobody can know before all submissions are in."""
        if self.order.seed is not None:
            return self.order.seed
        if isinstance(before.get("seed"), int):
            return before["seed"]
        everything = json.dumps([self.assignment.sha256, sorted(hashes.items())])
        return int.from_bytes(hashlib.sha256(everything.encode()).digest()[:4], "big")

    def _about(self) -> dict[str, Any]:
        return {
            "format": formats.FORMAT,
            "assignment": self.assignment.name,
            "points": self.assignment.points,
            "seed": self.seed,
            "source_sha256": self.assignment.sha256,
            "tasks": [task.id for task in self.assignment.tasks],
            "by_hand": questions(self.assignment),
        }

    def _is_good(self, result: Mapping[str, Any], sha256: str) -> bool:
        """Return whether grading again would give the same result."""
        before, now = result["provenance"], self._provenance(sha256)
        same = all(before.get(key) == now[key] for key in now if key != "sandbox")
        tried_again = any(flag["kind"] in _NOT_KEPT for flag in result["flags"])
        return same and bool(sha256) and not tried_again

    def _provenance(self, sha256: str, sandbox: str = "") -> dict[str, Any]:
        return {
            "submission_sha256": sha256,
            "source_sha256": self.assignment.sha256,
            "seed": self.seed,
            "limits": asdict(self.limits),
            "sandbox": sandbox,
            "versions": self.versions,
        }

    def _mark(self, todo: list[Submission]) -> None:
        """Mark submissions, and the solution; write every result as soon as it is known."""
        jobs: list[Job] = []
        solution = read_json(self.out / "solution.json")
        if not solution or not self._is_good(solution, self.assignment.sha256):
            jobs.append(Job("", lambda: self.source, self.seed))
        by_name = {one.name: one for one in todo}
        for one in todo:
            if one.problem:
                self._save(one, Done(one.name, None, fault=one.problem))
            else:
                jobs.append(Job(one.name, one.read, self.seed))
        if not jobs:
            return
        executor = self._executor(len(jobs))
        try:
            for done in executor.run(jobs, self._running):
                if done.key:
                    self._save(by_name[done.key], done)
                else:
                    self._save_solution(done)
        finally:
            executor.close()

    def _executor(self, jobs: int) -> Executor:
        order = self.order
        named = (order.source, *order.submissions, self.out)
        forbidden = tuple(os.path.realpath(path) for path in named)
        recipe = Recipe(self.source, order.source.name, order.sandbox, forbidden, self.limits)
        if order.dask:
            from mlmusic.grading.runs.cluster import DaskExecutor

            return DaskExecutor(order.dask, recipe)
        return LocalExecutor(lambda: self.start(recipe), min(order.jobs or _cores(), jobs))

    def _running(self, seconds: Mapping[str, float]) -> None:
        self.watcher.running({name or "the solution": s for name, s in seconds.items()})

    def _save(self, one: Submission, done: Done) -> None:
        """Write a result."""
        result = done.result or self._blank(*done.fault)
        result |= {
            "format": formats.FORMAT,
            "assignment": self.assignment.name,
            "submission": one.name,
            **_about_student(one),
            "provenance": self._provenance(done.sha256, done.sandbox),
        }
        # Which attempt is the best isn't known before all are marked.
        self.store.save(result, counts=self.order.attempt != "best")
        self.graded += 1
        if done.seconds > SLOW:
            self.slow.append((one.name, done.seconds))
        self.watcher.done(one.name, done.seconds, len(result["flags"]))

    def _blank(self, kind: str, detail: str) -> dict[str, Any]:
        """Return the result of a submission in which there was nothing to mark."""
        from mlmusic.grading.marking.results import blank_result

        result = blank_result(self.assignment)
        result["flags"].append({"kind": kind, "detail": detail})
        return result

    def _save_solution(self, done: Done) -> None:
        result = done.result or self._blank(*done.fault)
        result = formats.slim(result) | {"provenance": self._provenance(done.sha256, done.sandbox)}
        self._write("solution.json", result)
        for flag in self._solution_flags(result):
            self.watcher.say(f"WARNING: {flag.detail}")

    def _solution_flags(self, solution: Mapping[str, Any]) -> list[Flag]:
        """Flag that the solution itself fails tests: nobody else can pass them then."""
        tests = [test for task in solution.get("tasks", []) for test in task["tests"]]
        failed = [test for test in tests if test["score"] < test["points"]]
        if not failed:
            return []
        reasons = [f"{test['outcome']} {test['message']}".split() for test in failed]
        named = "; ".join(
            f"{test['id']} ({' '.join(reason)[:200]})"
            for test, reason in zip(failed, reasons, strict=True)
        )
        lost = formats.number(sum(test["points"] - test["score"] for test in failed))
        detail = (
            f"the solution in {self.order.source.name} itself fails {named}: students lose up to "
            f"{lost} points undeservedly; mend the source and grade again"
        )
        return [Flag("", "", "solution", detail)]

    def _settle(self, groups: list[list[Submission]]) -> list[Flag]:
        """Choose the attempts that count; flag students who handed in others, too."""
        scores, best = self.store.scores, self.order.attempt == "best"
        counting: list[str] = []
        flags: list[Flag] = []
        for group in groups:
            marked = [one for one in reversed(group) if one.name in scores]
            if not marked:
                continue
            one = max(marked, key=lambda one: scores[one.name]) if best else marked[0]
            counting.append(one.name)
            others = [
                f"{other.name} ({formats.number(scores[other.name])} points)"
                if best and other.name in scores
                else other.name
                for other in group
                if other is not one
            ]
            if others:
                detail = f"the {self.order.attempt} counts; also handed in: {', '.join(others)}"
                flags.append(Flag(one.name, one.student, "attempt", detail))
        self.store.settle(counting)
        return flags

    def _write(self, name: str, content: dict[str, Any]) -> None:
        files.write(self.out / name, formats.to_bytes(content))


def _about_student(one: Submission) -> dict[str, Any]:
    """Return what a result says about a student; other files beside it may make that clearer."""
    return {"student": one.student, "name": one.person, "attempt": one.attempt}


def _sha256(one: Submission) -> str:
    """Return the hash of a submission; "" if it can't be read, so that it is tried every time."""
    try:
        return hashlib.sha256(one.read()).hexdigest()
    except Unreadable:
        return ""


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
