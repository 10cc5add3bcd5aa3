"""The student's process, asked on behalf of the tests, and what may happen when it is."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from mlmusic.grading.codec import CodecError, Handle
from mlmusic.grading.limits import Limits
from mlmusic.grading.marking.errors import Lost, error_class, raised
from mlmusic.grading.marking.incoming import Incoming
from mlmusic.grading.marking.outgoing import NeedsExport, Outgoing
from mlmusic.grading.marking.remote import OPERATORS, Remote, RemoteFunction, is_stand_in, waiting
from mlmusic.grading.sandbox import Sandbox, StudentDied, StudentError, StudentTimeout
from mlmusic.grading.sandbox.answers import UNSENDABLE

MAX_STRIKES = 2  # hangs or deaths after which a function isn't called again

_USED_UP = "the time for the whole notebook is used up"


class Student:
    """The student's process, asked on behalf of the tests.

    Parameters
    ----------
    sandbox : Sandbox
        Its side of the connection; a student's process has been started.
    limits : Limits
        How long a call may take.
    deadline : float
        When the time for the whole notebook is over, on `time.monotonic`'s clock.
    trusted : callable, optional
        Takes a name and returns the instructor's class of this name, or None.

    Attributes
    ----------
    lost : Lost or None
        Set once something happened that the running test can't recover from.
    alive : bool
        Whether the process can answer; False after a hang or a death.
    generation : int
        Counts the processes: what was kept in an earlier one is gone.
    strikes : Counter
        For each function, how often it hung or took its process down.
    permit : callable
        Called with a label and an operator before a test's value meets an object of the student's
        in one; raises if it must not.
    observe : callable
        Called with label, arguments, keyword arguments and value of every answer, and the stand-in
        that was asked, if any; returns the value that the test gets.
    ended : callable
        Called with a stand-in that says it is empty.
    arguments_after : callable or None
        Called with a function's name, the arguments that it was given and what it made of them.
    source_of : callable
        Takes a name and returns the text of the student's function or class, or "".
    stdout : object
        What `sys.stdout` is while no test captures it.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        limits: Limits,
        deadline: float,
        trusted: Callable[[str], Any] = lambda name: None,
    ) -> None:
        self.sandbox, self.limits, self.deadline, self.trusted = sandbox, limits, deadline, trusted
        self.lost: Lost | None = None
        self.alive = True
        self.generation = -1
        self.strikes: Counter[str] = Counter()
        self.observe: Callable[..., Any] = lambda label, args, kwargs, value, asked=None: value
        self.ended: Callable[[Remote], None] = lambda handle: None
        self.permit: Callable[[str, str], None] = lambda label, what: None
        self.arguments_after: Callable[[str, tuple, list], None] | None = None
        self.source_of: Callable[[str], str] = lambda name: ""
        self.stdout: Any = sys.stdout
        self._kinds: dict[str, str] = {}  # of the strikes
        self._lineages: dict[str, tuple[str, ...]] = {}  # of the student's error classes
        self._incoming = Incoming(lambda name: self.trusted(name), self.part_of, is_stand_in)
        self._busy = self._exporting = self._taking = False
        self._familiar = False  # whether the last answer brought something of a trusted class
        self.renewed()

    def renewed(self) -> None:
        """Forget the objects of a process that has ended; a fresh one has been started."""
        self.generation += 1
        self.alive = True
        self._outgoing = Outgoing(self)
        self._stand_ins: dict[tuple[int, str], Any] = {}
        self._functions: dict[str, Any] = {}  # global ones that tests have asked for

    def lose(self, kind: str, message: str) -> Lost:
        """Note that the running test can't be saved, and return what to raise."""
        self.lost = self.lost or Lost(kind, message)
        return Lost(self.lost.kind, self.lost.message)

    def fetch(self, name: str, *, settled: bool = False) -> Any:
        """Return what a global name stands for: a value or a stand-in.

        Parameters
        ----------
        name : str
        settled : bool
            Whether the cells have run: a function that a test has asked for is then the same for
            the next one, which saves asking again.

        Raises
        ------
        Lost
            If the student hasn't defined it ("missing"), or the process is gone.
        """
        try:
            value = self._functions.get(name) if settled else None
            if value is None:
                value = self.ask(name, "get", name=name)
        except NameError:
            raise self.lose("missing", f"{name} is not defined") from None
        if is_stand_in(value) and value._mlmusic_facts.get("kind") == "class":
            lineage = self.lineage(value)
            if "BaseException" in lineage:
                return error_class(lineage, self.trusted)
        elif settled and type(value) is RemoteFunction:
            self._functions[name] = value
        return self.observe(name, (), {}, value)

    def lineage(self, handle: Remote) -> tuple[str, ...]:
        """Return the names of a class and of what it extends, as the student's process says."""
        return tuple(str(base._mlmusic_facts.get("name")) for base in self.bases(handle))

    def bases(self, handle: Remote) -> list[Remote]:
        """Return a class and what it extends, nearest first."""
        found = self.part_of(handle, "__mro__")
        return [base for base in found if is_stand_in(base)] if type(found) is tuple else []

    def call(self, handle: Remote, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Call a function of the student's with a test's arguments."""
        label = f"{handle._mlmusic_label}()"
        captured = sys.stdout is not self.stdout
        back = self.arguments_after is not None and any(map(_can_change, args))
        value = self.ask(
            label,
            "call",
            target=handle,
            args=list(args),
            kwargs=kwargs,
            back=back,
            printed=captured,
        )
        if captured or back:
            if type(value) is not list or len(value) != 1 + captured + back:
                raise self._struck(label, "died", f"{label}: its process answered with nonsense")
            if captured:
                sys.stdout.write(str(value[-1]))
            if back and type(value[1]) is list and len(value[1]) == len(args):
                self.arguments_after(root_of(label), args, value[1])
            value = value[0]
        # A global function's answers are its own; a method's come from the object's origin.
        derived = root_of(handle._mlmusic_label) != handle._mlmusic_label
        return self.observe(label, args, kwargs, value, handle if derived else None)

    def do(self, handle: Remote, what: str, *args: Any) -> Any:
        """Do something else with an object of the student's."""
        label = handle._mlmusic_label[:200]
        if what == "getattr":
            label = f"{label}.{args[0]}"
        elif what in ("getitem", "iter", "next"):
            label = f"{label}[]"
        elif what in OPERATORS:
            self.permit(label, what)
        value = self.ask(label, "do", what=what, target=handle, args=list(args))
        if what == "next":
            if value == [] and not handle._mlmusic_given:
                self.ended(handle)
            object.__setattr__(handle, "_mlmusic_given", True)
        elif what == "len" and value == 0:
            self.ended(handle)
        return self.observe(label, (what, *args), {}, value, handle)

    def ask(self, label: str, op: str, **fields: Any) -> Any:
        """Send a request and see to it that nothing bad comes of it.

        Raises
        ------
        Lost
            If the process hung, died, or isn't to be asked any more.
        TypeError
            If something in the fields can't be sent.
        Exception
            What the student's code raised, as a class of the same builtin kind.
        """
        if self.lost is not None:
            raise Lost(self.lost.kind, self.lost.message)
        root = root_of(label)
        if self.strikes[root] >= MAX_STRIKES:
            raise self.lose(
                self._kinds[root], f"{root} did this {MAX_STRIKES} times and isn't called again"
            )
        if self._busy:
            raise RuntimeError("a function handed to the student's code can't call that code again")
        while True:
            try:
                value = self._request(label, op, fields)
                break
            except NeedsExport as needed:
                outermost, self._exporting = not self._exporting, True
                try:
                    self._outgoing.export(needed.value)
                finally:
                    self._exporting = not outermost
            except CodecError as error:
                raise TypeError(f"{label}: {error}") from None
            except StudentError as error:
                if error.name == UNSENDABLE and error.type_name is None:
                    told = f"{label} gave something that can't be handed over: {error.message}"
                    raise self.lose("error", told[:500]) from None
                self._sent()
                raise raised(error, self._error_class(error)) from None
        self._sent()
        return value if self._taking or self._exporting else self._taken(value)

    def _taken(self, value: Any) -> Any:
        """Make the instructor's own out of what is of an instructor's class."""
        first = value[0] if type(value) in (list, tuple) and value else None
        if not (self._familiar or _is_named(value) or _is_named(first)):
            return value
        self._familiar, self._taking = False, True
        try:
            return self._incoming.taken(value)
        finally:
            self._taking = False

    def part_of(self, handle: Remote, name: str) -> Any:
        """Return an attribute of an object of the student's."""
        return self.ask(handle._mlmusic_label, "do", what="getattr", target=handle, args=[name])

    def _sent(self) -> None:
        if not self._exporting:
            self._outgoing.sent()

    def _request(self, label: str, op: str, fields: dict[str, Any]) -> Any:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self.lose("timeout", _USED_UP)
        seconds = min(self.limits.call, left)
        self._busy = True
        try:
            return self.sandbox.request(
                op,
                seconds=seconds,
                callbacks=self._outgoing.callbacks,
                handle=lambda number, facts: self._stand_in(number, facts, label),
                keep=self._outgoing.keep,
                **fields,
            )
        except StudentTimeout:
            if seconds < self.limits.call:
                raise self.lose("timeout", _USED_UP) from None
            raise self._struck(label, "timeout", f"{label} took more than {seconds:g} s") from None
        except StudentDied as error:
            raise self._struck(label, "died", f"{label} ended its process: {error}") from None
        except (NeedsExport, CodecError, TypeError, StudentError):
            raise  # nothing was sent, or an answer has come
        except BaseException:
            self.alive = False  # interrupted: the answer would be taken for that of the next call
            raise
        finally:
            self._busy = False

    def _struck(self, label: str, kind: str, message: str) -> Lost:
        root = root_of(label)
        self.strikes[root] += 1
        self._kinds[root] = kind
        self.alive = False
        return self.lose(kind, message)

    def _error_class(self, error: StudentError) -> type[Exception]:
        """Find the class to raise for an error; a class of the student's own has its lineage."""
        own, builtin = error.name, error.type_name or "Exception"
        if own == builtin or error.type_name is None:
            return error_class((builtin,))
        if own not in self._lineages:
            self._lineages[own] = (own, builtin)
            try:
                lineage = self.lineage(self.ask(own, "get", name=own))
            except Exception:
                lineage = ()  # none of the notebook's own: a library's
            if builtin in lineage:
                self._lineages[own] = lineage
        return error_class(self._lineages[own], self.trusted)

    def handle_of(self, value: Any) -> Handle | None:
        """Return the handle of a stand-in; None for anything else.

        Raises
        ------
        Lost
            If the process that it lived in has ended.
        """
        if not is_stand_in(value):
            return None
        if value._mlmusic_generation != self.generation:
            raise self.lose("died", f"{value._mlmusic_label} was lost when its process ended")
        return Handle(value._mlmusic_number)

    def _stand_in(self, number: int, facts: dict[str, Any], label: str) -> Any:
        # By the label, too: the number is the student's to choose, and what is known of one
        # question's answer must not be taken for that of another.
        known = self._stand_ins.get((number, label))
        if known is not None:
            return known
        facts = facts if isinstance(facts, dict) else {}
        kind = RemoteFunction if facts.get("callable") is True else Remote
        made: Any = kind(self, number, facts, label)
        if facts.get("type") == "coroutine":
            return waiting(made)
        self._familiar = self._familiar or self.trusted(str(facts.get("type"))) is not None
        self._stand_ins[number, label] = made
        return made


def root_of(label: str) -> str:
    """Return the global name that a label begins with: ``Net`` for ``Net().forward``."""
    return re.split(r"[.(\[]", label, maxsplit=1)[0]


def _is_named(value: Any) -> bool:
    return issubclass(type(value), tuple) and type(value) is not tuple


def _can_change(value: Any) -> bool:
    """Whether a function could change an argument in place, and it's small enough to look."""
    if is_stand_in(value):
        return False
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size <= 1 << 20
    return isinstance(value, (list, dict, set)) and len(value) <= 10_000
