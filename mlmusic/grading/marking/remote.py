"""A student's functions and objects, as a trusted test sees them: stand-ins that send values.

A test calls `frequency(69)`; the stand-in sends 69 into the sandbox and gives back the number that
comes out. What isn't plain data stays inside and has a stand-in, too: it can be called and asked
for its parts, never compared, because then the student's own ``__eq__`` would be the judge.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlmusic.grading.marking.process import Student

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
OPERATORS = [*_WORDS, *(f"r{word}" for word in _WORDS)]
# Modules whose classes a stand-in never claims to be an instance of: plain data.
_DATA = ("builtins", "numpy", "mlmusic.score", "collections", "numbers", "decimal", "fractions")


def is_stand_in(value: Any) -> bool:
    """Whether a value stands for an object of the student's; `isinstance` would ask the object."""
    return type(value) in _STAND_INS


async def waiting(coroutine: Remote) -> Any:
    """Wait for a coroutine of the student's; asyncio accepts nothing but real coroutines."""
    return coroutine._mlmusic_student.do(coroutine, "await")


def _refuse(self: Any, *_: Any, **__: Any) -> Any:
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
        "_mlmusic_given",
        "_mlmusic_label",
        "_mlmusic_lineage",
        "_mlmusic_number",
        "_mlmusic_origin",
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
        keep(self, "_mlmusic_origin", None)  # the answer that it is, or comes from
        keep(self, "_mlmusic_given", False)  # whether an item has come out of it

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
        return found if is_stand_in(found) else iter(found)

    def __next__(self) -> Any:
        items = self._mlmusic_student.do(self, "next", 1)
        if type(items) is not list or not items:
            raise StopIteration
        return items[0]

    def __await__(self) -> Iterator[Any]:
        return waiting(self).__await__()

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
        bases = student.bases(kind) if is_stand_in(kind) else ()
        # All are asked before one is looked for: else the last one that is asked would tell the
        # student's code which modules there are on this side, those of hidden tests among them.
        modules = [student.part_of(base, "__module__") for base in bases]
        for base, module in zip(bases, modules, strict=True):
            name = str(base._mlmusic_facts.get("name"))
            if type(module) is not str or module.startswith(_DATA):
                continue
            own = student.trusted(name) if module == "__main__" else None
            found = own or getattr(sys.modules.get(module), name, None)
            if type(found) not in _STAND_INS and isinstance(found, type):
                return (found,)
        return ()

    def __instancecheck__(self, value: Any) -> bool:
        if not is_stand_in(value):
            return False  # plain data is of no student's class
        return self._mlmusic_student.do(value, "isinstance", self) is True

    def __subclasscheck__(self, kind: Any) -> bool:
        if not is_stand_in(kind):
            return False
        check = self._mlmusic_student.do(self, "getattr", "__subclasscheck__")
        return check(kind) is True


for _word in OPERATORS:
    setattr(Remote, f"__{_word}__", _operation(_word))


class RemoteFunction(Remote):
    """Stands for a function, a class, a model: something of the student's that can be called."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the student's function."""
        return self._mlmusic_student.call(self, args, kwargs)


_STAND_INS = (Remote, RemoteFunction)
# A test that asks for a docstring means the student's, not the ones above.
for _class in _STAND_INS:
    _class.__doc__ = property(lambda self: self._mlmusic_student.do(self, "getattr", "__doc__"))
