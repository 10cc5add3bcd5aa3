"""A test's own functions and objects on their way to a student's code.

Plain data is copied. A function stays on the trusted side and is called back. Anything else, such
as a random generator, a date or an instance of a class that the instructor gave to the students,
is built anew in the student's process, from the parts that `copyreg` says it has.
"""

from __future__ import annotations

import importlib
import itertools
import sys
import types
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from mlmusic.grading.codec import Callback, Handle

if TYPE_CHECKING:
    from mlmusic.grading.marking.process import Student

_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, partial)
_PARAMETERS = """
def _mlmusic_register(module, tensors, needed):
    from torch.nn import Parameter
    for name, tensor in tensors.items():
        made = None if tensor is None else Parameter(tensor, needed[name])
        module.register_parameter(name, made)
"""
_LONGEST_ITERATOR = 100_000
_MOST_OBJECTS = 1_000  # that one call may take along


class NeedsExport(Exception):
    """An object has to be built in the student's process before it can be referred to."""

    def __init__(self, value: Any) -> None:
        super().__init__(type(value).__name__)
        self.value = value


class Outgoing:
    """What a request refers to besides plain data.

    Parameters
    ----------
    student : Student
        The process that the objects go to.

    Attributes
    ----------
    callbacks : dict of int to function
        The trusted functions that the student's code may call.
    """

    def __init__(self, student: Student) -> None:
        self._student = student
        self.callbacks = _Functions()
        self._numbers: dict[int, int] = {}
        self._built: dict[int, tuple[Any, Handle]] = {}
        self._imported: dict[tuple[str, str], Handle] = {}

    def keep(self, value: Any) -> Handle | Callback:
        """Say how to refer to an object that isn't plain data.

        Raises
        ------
        NeedsExport
            If `export` has to be called with it first.
        """
        handle = self._student.handle_of(value)
        if handle is not None:
            return handle
        if id(value) in self._built:
            return self._built[id(value)][1]
        if isinstance(value, _FUNCTIONS) and _home(value) is None:
            return self._callback(value)
        raise NeedsExport(value)

    def _callback(self, function: Any) -> Callback:
        number = self._numbers.setdefault(id(function), len(self._numbers))
        self.callbacks[number] = function  # kept alive, so that its id stays its own
        return Callback(number)

    def sent(self) -> None:
        """Forget what was built for the request: the test may change it before the next one."""
        for value, _ in self._built.values():
            _advance(value)
        self._built.clear()

    def export(self, value: Any) -> None:
        """Build an object in the student's process.

        Raises
        ------
        TypeError
            If it can't be.
        """
        if len(self._built) >= _MOST_OBJECTS:
            raise TypeError(f"more than {_MOST_OBJECTS} objects at once for the student's code")
        self._built[id(value)] = (value, self._handle(value))

    def _handle(self, value: Any) -> Handle:
        if isinstance(value, types.ModuleType):
            return self._import(value.__name__, "")
        home = _home(value)
        if home is not None:
            return self._import(*home)
        if isinstance(value, type):
            return self._global(value.__name__)
        if isinstance(value, Iterator):
            items = list(itertools.islice(value, _LONGEST_ITERATOR))
            return self._ask("call", target=self._import("builtins", "iter"), args=[items])
        return self._rebuilt(value)

    def _rebuilt(self, value: Any) -> Handle:
        try:
            parts = value.__reduce_ex__(2)
        except Exception:
            raise TypeError(
                f"a {type(value).__name__} can't be handed to the student's code"
            ) from None
        if isinstance(parts, str):  # the name of a global, as of torch.float32
            return self._import(type(value).__module__.split(".")[0], parts)
        function, args, state, items, pairs = (*parts, None, None, None)[:5]
        handle = self._ask("call", target=function, args=list(args))
        if state is not None:
            self._set_state(value, handle, state)
        for item in items or ():
            self._ask("call", target=self._part(handle, "append"), args=[item])
        for key, item in pairs or ():
            self._ask("do", what="setitem", target=handle, args=[key, item])
        return handle

    def _set_state(self, value: Any, handle: Handle, state: Any) -> None:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.nn.Module):
            # By value a parameter is a tensor like any other: there it becomes one again.
            own, state = state["_parameters"], {**state, "_parameters": {}}
            self._ask("call", target=self._part(handle, "__setstate__"), args=[state])
            self._ask("exec", source=_PARAMETERS)
            needed = {name: p is not None and p.requires_grad for name, p in own.items()}
            register = self._global("_mlmusic_register")
            self._ask("call", target=register, args=[handle, dict(own), needed])
        elif hasattr(value, "__setstate__"):
            self._ask("call", target=self._part(handle, "__setstate__"), args=[state])
        else:
            plain, slots = state if isinstance(state, tuple) else (state, None)
            # A frozen dataclass refuses setattr.
            setter = self._part(self._import("builtins", "object"), "__setattr__")
            for name, part in {**(plain or {}), **(slots or {})}.items():
                self._ask("call", target=setter, args=[handle, name, part])

    def _import(self, module: str, name: str) -> Handle:
        if (module, name) not in self._imported:
            source = (
                f"import {module} as _mlmusic_module"
                if "." not in module
                else (
                    f"import importlib as _mlmusic_module\n"
                    f"_mlmusic_module = _mlmusic_module.import_module({module!r})"
                )
            )
            self._ask("exec", source=source)
            found = self._global("_mlmusic_module")
            for part in name.split(".") if name else ():
                found = self._part(found, part)
            self._imported[module, name] = found
        return self._imported[module, name]

    def _global(self, name: str) -> Handle:
        return self._ask("get", name=name)

    def _part(self, handle: Handle, name: str) -> Handle:
        return self._ask("do", what="getattr", target=handle, args=[name])

    def _ask(self, op: str, **fields: Any) -> Any:
        answer = self._student.ask("the test's arguments", op, **fields)
        return self._student.handle_of(answer) or answer


class _Functions(dict):
    """The functions of a request: true while it's empty, as they are found while it is packed."""

    def __bool__(self) -> bool:
        return True


def _home(value: Any) -> tuple[str, str] | None:
    """Say from where an object can be imported, under which name; None if it can't be."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    module = getattr(value, "__module__", None)
    if not isinstance(name, str):
        return None
    if module is None:  # methods of builtin types, and ufuncs before NumPy 2
        module = getattr(getattr(value, "__objclass__", None), "__module__", "numpy")
    if not isinstance(module, str):
        return None
    if module == "__main__" or module.startswith("mlmusic.grading"):
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return (module, name) if found is value else None


def _advance(value: Any) -> None:
    """Let a random generator go on, as if it had been used: the student's copy has been."""
    kind = type(value).__module__.split(".")[0], type(value).__name__
    if kind in (("numpy", "Generator"), ("numpy", "RandomState")):
        value.bytes(8)
    elif kind == ("random", "Random"):
        value.random()
    elif kind == ("torch", "Generator"):
        importlib.import_module("torch").rand(1, generator=value)
