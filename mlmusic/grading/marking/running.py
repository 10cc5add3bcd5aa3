"""Run a student's cells in the sandbox, and again after one of them took the process down."""

from __future__ import annotations

import time
from typing import Any

from mlmusic.grading.limits import Limits
from mlmusic.grading.marking.answers import Step, Submission
from mlmusic.grading.marking.errors import Lost
from mlmusic.grading.marking.namespace import plain_text
from mlmusic.grading.marking.process import Student
from mlmusic.grading.sandbox import StudentDied, StudentError, StudentTimeout

CELLS_SHARE = 2 / 3  # of the whole time; the tests have the rest
_SLOW = 1.0  # seconds: what took longer isn't repeated when time is short
_MOST_REMARKS = 10  # of one kind on one notebook


class Cells:
    """A student's cells, in order, and the process that they run in.

    Parameters
    ----------
    submission : Submission
        What to run.
    student : Student
        The process.
    limits : Limits
        How long a cell may take.
    only_definitions : bool
        Whether students' cells run in mode "defs".
    contested : dict of str to set of str
        For each test, the names that get another value below it in the source itself.

    Attributes
    ----------
    flags : list of dict
        What was odd.
    remembered : dict
        For a test and a name that is bound again below the test, what it stood for there.
    """

    def __init__(
        self,
        submission: Submission,
        student: Student,
        limits: Limits,
        only_definitions: bool,
        contested: dict[str, frozenset[str]],
    ) -> None:
        self._steps, self._student, self._limits = submission.steps, student, limits
        self._modes = [
            "defs" if only_definitions and step.student else step.mode for step in self._steps
        ]
        self._seconds = [0.0] * len(self._steps)
        self._marks: dict[int, list[str]] = {}
        self._names = {
            test: contested.get(test, frozenset()) | submission.redefined.get(test, set())
            for test in submission.positions
        }
        for test, place in submission.positions.items():
            if self._names[test]:
                self._marks.setdefault(place, []).append(test)
        self._until = time.monotonic() + CELLS_SHARE * (student.deadline - time.monotonic())
        self.flags: list[dict[str, str]] = []
        self.remembered: dict[tuple[str, str], Any] = {}

    def run(self) -> None:
        """Run the cells in a fresh process that has been started."""
        place = 0
        while place <= len(self._steps):
            self._remember(place)
            if place == len(self._steps):
                return
            kind = self._run_step(place, self._steps[place])
            if kind == "late":
                return
            if kind:
                # Without the cell that did it, or at least with nothing but its definitions.
                self._modes[place] = "defs" if self._modes[place] == "all" else "none"
                self._fresh()
                place = 0
            else:
                place += 1

    def rerun(self) -> None:
        """Start a fresh process and run the cells in it."""
        now = time.monotonic()
        self._until = max(self._until, now + CELLS_SHARE * (self._student.deadline - now))
        self._fresh()
        self.run()

    def _fresh(self) -> None:
        self._student.sandbox.start()
        self._student.renewed()
        self.remembered.clear()
        if time.monotonic() + sum(self._seconds) > self._until:
            self._modes = [
                "defs" if mode == "all" and seconds > _SLOW else mode
                for mode, seconds in zip(self._modes, self._seconds, strict=True)
            ]

    def _run_step(self, place: int, step: Step) -> str:
        """Run one step; return "" if all is well, else what happened."""
        now = time.monotonic()
        mode = self._modes[place]
        if mode == "all" and now >= self._until:
            mode = "defs"
            self._flag("timeout", "the cells took too long: of the last ones only definitions ran")
        until = self._until if mode == "all" else self._student.deadline
        seconds = min(self._limits.cell, until - now)
        if seconds <= 0:
            return "late"
        if mode == "none":
            return ""
        where = f"cell {step.number}" if step.number else "a cell of the instructor's"
        try:
            reply = self._student.sandbox.request(
                "exec", seconds=seconds, source=step.source, mode=mode
            )
        except StudentTimeout:
            whole = seconds == self._limits.cell
            limit = f"more than {seconds:g} s" if whole else "as long as there was time"
            self._flag("timeout", f"{where} ran for {limit}")
            return "timeout"
        except StudentDied as error:
            self._flag("died", f"{where} ended its process: {error}")
            return "died"
        except StudentError as error:
            self._flag("cell error", f"{where}: {error.message}")
            return ""
        self._seconds[place] = time.monotonic() - now
        if step.student and isinstance(reply, dict):
            self._remark(where, reply)
        return ""

    def _remark(self, where: str, reply: dict[str, Any]) -> None:
        error, notes = reply.get("error"), reply.get("notes")
        if isinstance(error, dict):
            words = f"{where}: {error.get('type')}: {error.get('message')}"
            self._flag("cell error", words)
        for note in notes if isinstance(notes, list) else ():
            self._flag("ignored command", f"{where}: {note}")

    def _flag(self, kind: str, detail: str) -> None:
        flag = {"kind": kind, "detail": plain_text(detail, 200)}
        if flag not in self.flags and sum(f["kind"] == kind for f in self.flags) < _MOST_REMARKS:
            self.flags.append(flag)

    def _remember(self, place: int) -> None:
        for test in self._marks.get(place, ()):
            for name in sorted(self._names[test]):
                try:
                    self.remembered[test, name] = self._student.fetch(name)
                except Lost:
                    self._student.lost = None
                    if not self._student.alive:
                        return
                except Exception:
                    continue
