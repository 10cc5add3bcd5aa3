"""A student's functions and objects, as a trusted test sees them: stand-ins that send values.

A test calls `frequency(69)`; the stand-in sends 69 into the sandbox and gives back the number that
comes out. What isn't plain data stays inside and has a stand-in, too: it can be called and asked
for its parts, never compared, because then the student's own ``__eq__`` would be the judge.
"""

from __future__ import annotations

import re
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from mlmusic.grading.codec import CodecError, Handle
from mlmusic.grading.errors import Lost, error_class, raised
from mlmusic.grading.export import NeedsExport, Outgoing
from mlmusic.grading.limits import Limits
from mlmusic.grading.sandbox import Sandbox, StudentDied, StudentError, StudentTimeout

MAX_STRIKES = 2  # hangs or deaths after which a function isn't called again

_USED_UP = "the time for the whole notebook is used up"

# Attributes with two underscores that a test may ask for. The others are how NumPy, torch, copy
# and pickle find out what an object can do, and here they'd find a student's answer.
_OPEN = frozenset(
    f"__{word}__"
    for word in (
        "add annotations call closure code defaults dict eq func getitem gt init iter kwdefaults "
        "len lt module mro name next qualname repr self setitem slots str sub wrapped"
    ).split()
)
_WORDS = "add sub mul matmul truediv floordiv mod pow and or xor lshift rshift".split()
_OPERATORS = [*_WORDS, *(f"r{word}" for word in _WORDS)]
# Modules whose classes a stand-in never claims to be an instance of: plain data.
_DATA = ("builtins", "numpy", "mlmusic.score", "collections", "numbers", "decimal", "fractions")


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
        Called with label, arguments, keyword arguments and value of every answer; returns the
        value that the test gets.
    arguments_after : callable or None
        Called with a function's name, the arguments that it was given and what it made of them.
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
        self.observe: Callable[..., Any] = lambda label, args, kwargs, value: value
        self.permit: Callable[[str, str], None] = lambda label, what: None
        self.arguments_after: Callable[[str, tuple, list], None] | None = None
        self.stdout: Any = sys.stdout
        self._kinds: dict[str, str] = {}  # of the strikes
        self._lineages: dict[str, tuple[str, ...]] = {}  # of error classes that tests know
        self._busy = self._exporting = False
        self.renewed()

    def renewed(self) -> None:
        """Forget the objects of a process that has ended; a fresh one has been started."""
        self.generation += 1
        self.alive = True
        self._outgoing = Outgoing(self)
        self._stand_ins: dict[int, Any] = {}

    def lose(self, kind: str, message: str) -> Lost:
        """Note that the running test can't be saved, and return what to raise."""
        self.lost = self.lost or Lost(kind, message)
        return Lost(self.lost.kind, self.lost.message)

    def fetch(self, name: str) -> Any:
        """Return what a global name stands for: a value or a stand-in.

        Raises
        ------
        Lost
            If the student hasn't defined it ("missing"), or the process is gone.
        """
        try:
            value = self.ask(name, "get", name=name)
        except NameError:
            raise self.lose("missing", f"{name} is not defined") from None
        if isinstance(value, types.CoroutineType):
            return value
        if type(value) in (Remote, RemoteFunction) and value._mlmusic_facts.get("kind") == "class":
            lineage = self.lineage(value)
            if "BaseException" in lineage:
                self._lineages[lineage[0]] = lineage
                return error_class(lineage)
        return self.observe(name, (), {}, value)

    def lineage(self, handle: Remote) -> tuple[str, ...]:
        """Return the names of a class and of what it extends, as the student's process says."""
        bases = self.ask(
            handle._mlmusic_label, "do", what="getattr", target=handle, args=["__mro__"]
        )
        bases = bases if isinstance(bases, tuple) else ()
        return tuple(str(b._mlmusic_facts.get("name")) for b in bases if type(b) in _STAND_INS)

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
        return self.observe(label, args, kwargs, value)

    def do(self, handle: Remote, what: str, *args: Any) -> Any:
        """Do something else with an object of the student's."""
        label = handle._mlmusic_label[:200]
        if what == "getattr":
            label = f"{label}.{args[0]}"
        elif what in ("getitem", "iter", "next"):
            label = f"{label}[]"
        elif what in _OPERATORS:
            self.permit(label, what)
        value = self.ask(label, "do", what=what, target=handle, args=list(args))
        return self.observe(label, (what, *args), {}, value)

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
                self._sent()
                raise raised(error, self._error_lineage(error)) from None
        self._sent()
        return value

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

    def _error_lineage(self, error: StudentError) -> tuple[str, ...] | None:
        """Find what a raised class extends, if tests know any class of the student's."""
        if not self._lineages or not error.name.isidentifier() or error.name == error.type_name:
            return None
        if error.name not in self._lineages:
            try:
                kind = self.ask(error.name, "get", name=error.name)
                self._lineages[error.name] = self.lineage(kind)
            except Exception:
                return None
        lineage = self._lineages[error.name]
        return lineage if "BaseException" in lineage else None

    def handle_of(self, value: Any) -> Handle | None:
        """Return the handle of a stand-in; None for anything else.

        Raises
        ------
        Lost
            If the process that it lived in has ended.
        """
        if type(value) not in _STAND_INS:
            return None
        if value._mlmusic_generation != self.generation:
            raise self.lose("died", f"{value._mlmusic_label} was lost when its process ended")
        return Handle(value._mlmusic_number)

    def _stand_in(self, number: int, facts: dict[str, Any], label: str) -> Any:
        known = self._stand_ins.get(number)
        if known is not None:
            return known
        facts = facts if isinstance(facts, dict) else {}
        kind = RemoteFunction if facts.get("callable") is True else Remote
        made: Any = kind(self, number, facts, label)
        if facts.get("type") == "coroutine":
            return _waiting(made)  # asyncio accepts nothing but real coroutines
        self._stand_ins[number] = made
        return made


def root_of(label: str) -> str:
    """Return the global name that a label begins with: ``Net`` for ``Net().forward``."""
    return re.split(r"[.(\[]", label, maxsplit=1)[0]


async def _waiting(coroutine: Remote) -> Any:
    return coroutine._mlmusic_student.do(coroutine, "await")


def _can_change(value: Any) -> bool:
    """Whether a function could change an argument in place, and it's small enough to look."""
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size <= 1 << 20
    return isinstance(value, (list, dict, set)) and len(value) <= 10_000


def _refuse(self: Any, *_: Any) -> Any:
    raise TypeError(
        f"a test may only compare plain values; ask the object {self._mlmusic_label} for a number, "
        "a text or an array"
    )


def _operation(what: str) -> Callable[..., Any]:
    return lambda self, *args: self._mlmusic_student.do(self, what, *args)


class Remote:
    """Stands for an object that lives in the student's process."""

    __slots__ = (
        "__weakref__",
        "_mlmusic_facts",
        "_mlmusic_generation",
        "_mlmusic_label",
        "_mlmusic_lineage",
        "_mlmusic_number",
        "_mlmusic_student",
    )

    def __init__(self, student: Student, number: int, facts: dict[str, Any], label: str) -> None:
        keep = object.__setattr__
        keep(self, "_mlmusic_student", student)
        keep(self, "_mlmusic_number", number)
        keep(self, "_mlmusic_facts", facts)
        keep(self, "_mlmusic_label", label)
        keep(self, "_mlmusic_generation", student.generation)
        keep(self, "_mlmusic_lineage", None)

    # What it passes on

    def __getattr__(self, name: str) -> Any:
        hidden = name.startswith(("_mlmusic", "_ipython", "_repr_"))
        if hidden or (name.startswith("__") and name.endswith("__") and name not in _OPEN):
            raise AttributeError(name)
        return self._mlmusic_student.do(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._mlmusic_student.do(self, "setattr", name, value)

    def __iter__(self) -> Iterator[Any]:
        found = self._mlmusic_student.do(self, "iter")
        return found if isinstance(found, Remote) else iter(found)

    def __next__(self) -> Any:
        items = self._mlmusic_student.do(self, "next", 1)
        if not isinstance(items, list) or not items:
            raise StopIteration
        return items[0]

    def __await__(self) -> Iterator[Any]:
        return _waiting(self).__await__()

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        step = self._mlmusic_student.do(self, "getattr", "__anext__")
        try:
            return await step()
        except Exception as error:
            if getattr(error, "name", "") == "StopAsyncIteration":
                raise StopAsyncIteration from None
            raise

    def __enter__(self) -> Any:
        return self._mlmusic_student.do(self, "getattr", "__enter__")()

    def __exit__(self, *_: Any) -> Any:
        return self._mlmusic_student.do(self, "getattr", "__exit__")(None, None, None)

    def __len__(self) -> int:
        return self._mlmusic_student.do(self, "len")

    def __dir__(self) -> list[str]:
        return self._mlmusic_student.do(self, "dir")

    def __str__(self) -> str:
        return str(self._mlmusic_student.do(self, "str"))

    def __repr__(self) -> str:
        return str(self._mlmusic_student.do(self, "repr"))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    __getitem__, __setitem__ = _operation("getitem"), _operation("setitem")
    __delitem__, __round__ = _operation("delitem"), _operation("round")
    __neg__, __pos__, __abs__ = _operation("neg"), _operation("pos"), _operation("abs")
    __invert__ = _operation("invert")

    # What it refuses, because the student's code would answer

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _refuse
    __bool__ = __hash__ = __int__ = __float__ = __complex__ = __index__ = __array__ = _refuse
    __copy__ = __deepcopy__ = __reduce_ex__ = _refuse
    __array_ufunc__ = None  # else NumPy would take it apart

    def __mro_entries__(self, bases: tuple) -> Any:
        raise TypeError("a test can't extend a student's class")

    # What it is

    @property
    def __class__(self) -> type:
        facts = self._mlmusic_facts
        if facts.get("kind") == "class":
            return type
        if facts.get("kind") == "module":
            return types.ModuleType
        plain = {
            "function": types.FunctionType,
            "method": types.MethodType,
            "builtin_function_or_method": types.BuiltinFunctionType,
            "generator": types.GeneratorType,
        }.get(str(facts.get("type")))
        if plain is not None:
            return plain
        bases = self._mlmusic_bases(self._mlmusic_student.do(self, "getattr", "__class__"))
        return bases[0] if bases else type(self)

    @property
    def __bases__(self) -> tuple[type, ...]:
        if self._mlmusic_facts.get("kind") != "class":
            raise AttributeError("__bases__")
        return self._mlmusic_bases(self)

    def _mlmusic_bases(self, kind: Any) -> tuple[type, ...]:
        """Find the nearest trusted class that a student's class extends, such as nn.Module."""
        if self._mlmusic_lineage is None:
            object.__setattr__(self, "_mlmusic_lineage", self._mlmusic_find_bases(kind))
        return self._mlmusic_lineage

    def _mlmusic_find_bases(self, kind: Any) -> tuple[type, ...]:
        student = self._mlmusic_student
        lineage = student.ask(
            self._mlmusic_label, "do", what="getattr", target=kind, args=["__mro__"]
        )
        for base in lineage if isinstance(lineage, tuple) else ():
            if not isinstance(base, Remote):
                continue
            name = str(base._mlmusic_facts.get("name"))
            module = student.ask(name, "do", what="getattr", target=base, args=["__module__"])
            if not isinstance(module, str) or any(
                module == data or module.startswith(f"{data}.") for data in _DATA
            ):
                continue
            found = (
                student.trusted(name)
                if module == "__main__"
                else getattr(sys.modules.get(module), name, None)
            )
            if type(found) is not RemoteFunction and isinstance(found, type):
                return (found,)
        return ()

    def __instancecheck__(self, value: Any) -> bool:
        if type(value) not in _STAND_INS:
            return False  # plain data is of no student's class
        return self._mlmusic_student.do(value, "isinstance", self) is True

    def __subclasscheck__(self, kind: Any) -> bool:
        if type(kind) not in _STAND_INS:
            return False
        check = self._mlmusic_student.do(self, "getattr", "__subclasscheck__")
        return check(kind) is True


for _word in _OPERATORS:
    setattr(Remote, f"__{_word}__", _operation(_word))


class RemoteFunction(Remote):
    """Stands for a function, a class, a model: something of the student's that can be called."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the student's function."""
        return self._mlmusic_student.call(self, args, kwargs)


_STAND_INS = (Remote, RemoteFunction)
