"""One submission's way through the tests, from the top of the source to its end, twice."""

from __future__ import annotations

import contextlib
import reprlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlmusic.grading.marking import guard
from mlmusic.grading.marking.answers import Submission
from mlmusic.grading.marking.errors import Lost, Raised
from mlmusic.grading.marking.namespace import CompiledCell, plain_text
from mlmusic.grading.marking.process import Student, root_of
from mlmusic.grading.marking.reference import Comparison, NeedsReference
from mlmusic.grading.marking.remote import is_stand_in
from mlmusic.grading.marking.results import add_up
from mlmusic.grading.marking.running import Cells
from mlmusic.grading.source.assignment import Test
from mlmusic.grading.source.cells import SourceCell

if TYPE_CHECKING:
    from mlmusic.grading.marking.mark import Marker

Progress = Callable[[dict[str, Any]], None]


class Testing:
    """One submission's way through the tests.

    Parameters
    ----------
    marker : Marker
        The assignment, with its public cells run and its tests compiled.
    submission : Submission
        What the student handed in.
    student : Student
        A fresh process for it.
    comparison : Comparison
        How answers are taken.
    seed : int
        The run's seed.
    settled : mapping of str to dict
        Tests that aren't run again, by id, and what came of them.
    """

    def __init__(
        self,
        marker: Marker,
        submission: Submission,
        student: Student,
        comparison: Comparison,
        seed: int,
        settled: Mapping[str, dict[str, Any]],
    ) -> None:
        self._marker, self._assignment, self._names = marker, marker.assignment, marker.namespace
        self._student, self._comparison = student, comparison
        self._seed, self._settled = seed, settled
        self._cells = Cells(
            submission,
            student,
            marker.limits,
            marker.assignment.run == "defs",
            marker.contested,
        )
        self._effects: list[SourceCell] = []  # cells that bind nothing, and may change something
        self._late: dict[str, SourceCell] = {}  # names that a cell will bind when it is run
        self._late_bindings: dict[tuple[int, int], dict[str, Any]] = {}
        self._students: set[str] = set()  # names that are the student's at this place
        self._borrowed: set[str] = set()  # names that solutions import
        self._fetched: dict[str, Any] = {}
        self._pinned: dict[str, str] = {}  # names that are taken as they were at a test
        self._submission = submission
        self._names.find, self._names.offers = self._find, self._offers
        student.trusted, student.source_of = self._trusted_class, submission.source_of
        student.permit, student.observe = comparison.permit, comparison.observe
        student.ended, student.arguments_after = comparison.ended, comparison.arguments_after

    def run(self, result: dict[str, Any], progress: Progress) -> None:
        """Run the cells and both passes of the tests, and write down what comes of it."""
        entries = {test["id"]: test for task in result["tasks"] for test in task["tests"]}
        self._cells.run()
        done = self._pass("visible", entries, {}, progress)
        self._pass("hidden", entries, done, progress)
        result["flags"] += self._cells.flags
        add_up(result)

    # The walk through the source

    def _pass(
        self, kind: str, entries: dict[str, Any], done: dict[str, Any], progress: Progress
    ) -> dict[str, Any]:
        """Walk through the source from top to bottom.

        The visible parts of all tests run before any hidden one: what a function saw in a hidden
        test must not come out in a message that the student reads.

        Returns
        -------
        dict
            For each test, the names that it bound and those that it deleted.
        """
        changes: dict[str, Any] = {}
        tests = {test.id: test for test in self._assignment.tests}
        self._names.reset()
        self._late.clear()
        self._effects.clear()
        self._borrowed.clear()
        self._students = set(self._assignment.expected)
        for cell in self._assignment.program:
            if cell.role == "public":
                self._give(cell, effects=kind == "visible")
            elif cell.role in ("answer", "manual"):
                self._hand_over(cell)
            elif cell.role == "test":
                before = dict(self._names)
                if kind == "visible" or tests[cell.id].hidden:
                    self._test(tests[cell.id], cell, kind, entries[cell.id], progress)
                else:
                    new, gone = done[cell.id]
                    self._names.update(new)
                    for name in gone:
                        self._names.pop(name, None)
                changes[cell.id] = self._names.changes_since(before)
        return changes

    def _give(self, cell: SourceCell, effects: bool) -> None:
        known = self._marker.bindings.get(cell.index)
        if known is not None:
            self._names.update(known)
            return
        if cell.index in self._marker.compiled:
            if effects and not cell.names.bound:
                self._effects.append(cell)
            for name in cell.names.bound:
                self._names.pop(name, None)
                self._late[name] = cell

    def _hand_over(self, cell: SourceCell) -> None:
        for name in cell.names.bound:
            if name in self._assignment.expected:
                self._names.pop(name, None)
                self._late.pop(name, None)
                self._students.add(name)
            elif name in self._marker.imports:
                self._names[name] = self._marker.imports[name]
                self._borrowed.add(name)

    # Names

    def _find(self, name: str) -> Any:
        if name in self._late:
            self._run_late(self._late[name])
            return self._names[name]
        if name not in self._students:
            raise KeyError(name)
        if name not in self._fetched:
            test = self._comparison.where[0]
            if name not in self._marker.contested[test]:
                test = self._pinned.get(name, "")
            known = self._cells.remembered
            place = (test, name)
            self._fetched[name] = (
                known[place] if place in known else self._student.fetch(name, settled=True)
            )
        return self._fetched[name]

    def _offers(self, name: str) -> bool:
        if name in self._late:
            return True
        if name not in self._students:
            return False
        try:
            self._find(name)
        except Lost as lost:
            if lost.kind != "missing":
                raise
            self._student.lost = None
            return False
        return True

    def _run_late(self, cell: SourceCell) -> None:
        """Run a cell of the instructor's that needs answers: now, because a test needs it."""
        for name in cell.names.bound:
            self._late.pop(name, None)
        if cell.index in self._comparison.broken():
            self._students |= cell.names.bound
            return
        key = (cell.index, self._student.generation)
        if key not in self._late_bindings:
            before = dict(self._names)
            error = self._names.run(self._marker.compiled[cell.index])
            if error is not None:
                self._undo(cell)
                self._late_failed(cell, error)
                return
            self._late_bindings[key] = self._names.changes_since(before)[0]
        self._names.update(self._late_bindings[key])

    def _undo(self, cell: SourceCell) -> None:
        """Take back what a cell has bound, so that it runs again when that is needed again."""
        for name in cell.names.bound:
            self._names.pop(name, None)
            self._late[name] = cell

    def _late_failed(self, cell: SourceCell, error: BaseException) -> None:
        """Raise what a cell of the instructor's has raised, if that is the student's fault.

        Training, for example, takes a model itself, not its stand-in. If not even the solution's
        will do, what the cell has made in the sandbox has to be enough.
        """
        if isinstance(error, Exception) and not isinstance(error, Raised):
            if self._comparison.record is not None:
                self._comparison.record.broken.add(cell.index)
            if cell.index in self._comparison.known().broken:
                for name in cell.names.bound:
                    self._late.pop(name, None)
                self._students |= cell.names.bound
                return
        raise error

    def _run_effects(self, test: SourceCell) -> None:
        """Run cells that bind no name but change something which a test mentions."""
        for cell in list(self._effects):
            used = cell.names.now & test.names.mentioned
            if any(
                name in self._late or not callable(dict.get(self._names, name, print))
                for name in used
            ):
                self._effects.remove(cell)
                error = self._names.run(self._marker.compiled[cell.index])
                if error is not None and not isinstance(error, Exception):
                    raise error

    def _trusted_class(self, name: str) -> Any:
        found = dict.get(self._names, name)
        mine = isinstance(found, type) and found.__module__ == "__main__"
        return found if mine else None

    # One test

    def _test(
        self, test: Test, cell: SourceCell, kind: str, entry: dict[str, Any], progress: Progress
    ) -> None:
        compiled = (self._marker.visible if kind == "visible" else self._marker.full)[test.id]
        if kind == "visible" and test.hidden and not compiled:
            return
        if test.id in self._settled:
            entry.update(self._settled[test.id])
        if entry["outcome"] != "not run":
            self._names.run(compiled.definitions())
            return
        comparison = self._comparison
        before = dict(self._names)
        progress({"running": test.id})
        outcome, message = self._attempt(test, cell, compiled, kind)
        if kind == "visible" and outcome in ("failed", "error") and self._pin(test):
            # Further down there is another definition, perhaps a draft. Run from top to bottom the
            # notebook would pass, so all tests get the one that stands above this test.
            self._restore(before)
            again = self._attempt(test, cell, compiled, kind)
            if again[0] == "passed":
                outcome, message = again
            else:
                self._unpin(test)
        if outcome == "passed" and comparison.changed:
            # The function changed an argument, which the solution doesn't do. So far the test
            # hasn't seen it: it must pass whether it does or not.
            self._restore(before)
            comparison.write_back = True
            outcome, message = self._attempt(test, cell, compiled, kind)
            comparison.write_back = False
        if outcome == "passed" and kind == "visible" and test.hidden:
            progress({"running": None})
            return
        entry["outcome"], entry["message"] = outcome, plain_text(message)
        entry["score"] = test.points if outcome == "passed" else 0.0
        entry["hidden"] = kind == "hidden"
        progress({"test": entry})

    def _restore(self, names: dict[str, Any]) -> None:
        self._names.clear()
        self._names.update(names)

    def _pin(self, test: Test) -> bool:
        """Take functions as they were where a test stands; say whether that makes a difference.

        Only functions and classes, and by a visible test: otherwise an answer that is a number or
        a choice could be given twice.
        """
        for name in self._submission.redefined.get(test.id, ()):
            if is_stand_in(self._cells.remembered.get((test.id, name))):
                self._pinned.setdefault(name, test.id)
        return test.id in self._pinned.values()

    def _unpin(self, test: Test) -> None:
        self._pinned = {name: by for name, by in self._pinned.items() if by != test.id}

    def _attempt(
        self, test: Test, cell: SourceCell, compiled: CompiledCell, kind: str
    ) -> tuple[str, str]:
        """Run a test in a process that is alive; return the outcome and what there is to say."""
        student, comparison = self._student, self._comparison
        comparison.begin(test.id, kind)
        if not student.alive:
            self._cells.rerun()
        student.lost = None
        self._fetched.clear()
        comparison.changed.clear()
        comparison.last = None
        guard.seed_everything(self._seed, test.id)
        limit = min(self._marker.limits.cell, student.deadline - time.monotonic())
        if limit <= 0:
            return "timeout", "the time for the whole notebook is used up"

        def end(*_: Any) -> None:
            raise student.lose("timeout", "the test took too long")

        error: BaseException | None = None
        with _alarm(limit, end):
            try:
                self._check_imports(cell)
                self._run_effects(cell)
                error = self._names.run(compiled)
            except BaseException as lost:
                error = lost
        if isinstance(error, NeedsReference):
            raise error
        if student.lost is not None:
            return student.lost.kind, student.lost.message
        return self._judged(error, compiled)

    def _check_imports(self, cell: SourceCell) -> None:
        """Ask for what a test needs, if that is nothing but a module that answers import."""
        if not cell.names.mentioned & (self._students | self._late.keys()):
            for name in sorted(cell.names.mentioned & self._borrowed):
                self._student.fetch(name)

    def _judged(self, error: BaseException | None, compiled: CompiledCell) -> tuple[str, str]:
        if error is None:
            return "passed", ""
        if isinstance(error, Raised):
            return "error", error.told()
        if isinstance(error, AssertionError) or type(error).__name__ == "Failed":  # pytest's
            return "failed", str(error) or self._unsaid(error, compiled)
        return "error", f"the test can't use the answer: {type(error).__name__}: {error}"

    def _unsaid(self, error: BaseException, compiled: CompiledCell) -> str:
        """Say what an assertion without a message asked for, and what it got."""
        words = compiled.assertion(error)
        if not words:
            return "an assertion failed"
        label, value = self._comparison.last or ("", None)
        gave = ""
        if label and root_of(label) in words and not is_stand_in(value):
            gave = f" ({label} gave {_SHORT.repr(value)})"
        return f"not true: {words[:300]}{gave}"


_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 80


@contextlib.contextmanager
def _alarm(seconds: float, handler: Callable[..., None]) -> Iterator[None]:
    """Call a function when the time is over, if this system and thread can."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
