"""The process in which one student's code runs: what it may do, and the requests it answers."""

from __future__ import annotations

import builtins
import io
import operator
import os
import random
import re
import resource
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from mlmusic.grading import codec
from mlmusic.grading.codec import Callback, CodecError, Handle
from mlmusic.grading.sandbox import linux
from mlmusic.grading.sandbox.cells import Cells, line_in, nearest_builtin

_ADDRESS = re.compile(r"(?<= at )0x[0-9A-Fa-f]+|\b0x[0-9A-Fa-f]{9,16}\b")
_LONGEST_MESSAGE = 500


# What it may do -----------------------------------------------------------------------------------


def confine(setting: dict[str, Any], zygote: int) -> None:
    """Take everything from this process that a student's code doesn't need."""
    limits = setting["limits"]
    kind = setting["kind"]
    data = _data_size()
    ceilings = {
        resource.RLIMIT_CPU: int(limits["total"]) + 10,
        resource.RLIMIT_FSIZE: limits["files"],
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_STACK: 64 << 20,
    }
    if data is not None:
        ceilings[resource.RLIMIT_DATA] = data + limits["memory"]
    if setting["count_processes"]:
        ceilings[resource.RLIMIT_NPROC] = limits["processes"]
    for what, ceiling in ceilings.items():
        soft, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            ceiling = min(ceiling, hard)
        soft = ceiling if soft == resource.RLIM_INFINITY else min(soft, ceiling)
        resource.setrlimit(what, (soft, ceiling))
    if kind == "none":
        return
    linux.no_new_privileges()
    linux.set_dumpable(True)  # else its own /proc/self isn't its own
    namespaces = kind != "landlock"
    if linux.landlock_abi():
        write = [setting["temp"], "/dev/null"]
        if namespaces:
            linux.landlock([*write, "/dev/shm"])
        else:
            linux.landlock(write, read=[*setting["read"], "/dev/urandom"])
    linux.seccomp(
        linux.student_rules(
            namespaces=namespaces,
            scoped=linux.landlock_abi() >= 6,
            pid=os.getpid(),
            zygote=zygote,
        )
    )


def _data_size() -> int | None:
    """Return the bytes of private memory that this process has already; None if unknown."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmData"))
    except (OSError, StopIteration):
        return None


def seed() -> None:
    """Seed every source of random numbers, unseeded generators too, with fixed numbers."""
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
        # Where NumPy takes the seed of default_rng() and the like from.
        numpy.random.bit_generator.randbits = random.Random(0).getrandbits
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


class Printed(io.TextIOBase):
    """Standard output that keeps the first characters and forgets the others."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: list[str] = []
        self._room = most
        self.buffer = _Bytes(self)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._room > 0:
            self._parts.append(text[: self._room])
            self._room -= len(self._parts[-1])
        return len(text)

    def take(self) -> str:
        """Return what was printed since the last time."""
        text = "".join(self._parts)
        self._parts, self._room = [], self._most
        return text


class _Bytes(io.RawIOBase):
    def __init__(self, text: Printed) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._text.write(bytes(data[: 1 << 20]).decode("utf-8", "replace"))
        return len(data)


# The requests it answers --------------------------------------------------------------------------


class Student:
    """Answers requests over a socket, one at a time."""

    def __init__(self, connection: socket.socket, cells: Cells, setting: dict[str, Any]) -> None:
        self._connection = connection
        self._cells = cells
        self._temp = setting["temp"]
        self._out = Printed(setting["limits"]["text"])
        self._error_out = Printed(0)
        self._objects: list[Any] = []
        self._request: int | None = None
        self._thread = threading.get_ident()
        sys.stdout, sys.stderr = self._out, self._error_out
        sys.stdin = io.StringIO()
        builtins.input = lambda prompt="": ""

    def serve(self) -> None:
        """Answer until the other side is gone."""
        operations: dict[str, Callable[..., Any]] = {
            "exec": self.execute,
            "get": self.get,
            "call": self.call,
            "do": self.do,
        }
        while True:
            try:
                (number, header), blobs = codec.read_message(self._read)
            except EOFError:
                return
            self._request = number
            try:
                fields = self._decode(header, blobs)
                reply = self._pack("value", operations[fields.pop("op")](**fields))
            except BaseException as error:
                reply = self._pack("error", self._described(error))
            self._request = None
            self._connection.sendall(reply)

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._connection.recv(min(1 << 20, size - len(data)))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def _pack(self, kind: str, value: Any) -> bytes:
        header, blobs = codec.encode(value, self._keep)
        return codec.pack([self._request, kind, header], blobs)

    def _decode(self, header: Any, blobs: list[bytes]) -> Any:
        return codec.decode(header, blobs, lambda number, _: self._objects[number], self._function)

    def _keep(self, value: Any) -> Handle | Callback:
        if isinstance(getattr(value, "_mlmusic_callback", None), Callback):
            return value._mlmusic_callback
        self._objects.append(value)
        return Handle(len(self._objects) - 1, _facts(value))

    def _function(self, number: int) -> Callable[..., Any]:
        """Make a function that asks the trusted side to call its own."""

        def function(*args: Any, **kwargs: Any) -> Any:
            if self._request is None or threading.get_ident() != self._thread:
                raise RuntimeError("this function can be called only while your own is running")
            call = {"callback": number, "args": list(args), "kwargs": kwargs}
            self._connection.sendall(self._pack("callback", call))
            (answered, kind, header), blobs = codec.read_message(self._read)
            value = self._decode(header, blobs)
            if answered != self._request or kind != "value":
                raise getattr(builtins, value["type"] or "", RuntimeError)(value["message"])
            return value

        function._mlmusic_callback = Callback(number)
        return function

    def _described(self, error: BaseException) -> dict[str, Any]:
        line = None
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename.startswith("<cell "):
                line = trace.tb_lineno
            trace = trace.tb_next
        return {
            "type": nearest_builtin(error),
            "name": type(error).__name__[:100],
            "message": self._text(error),
            "line": line,
        }

    def _text(self, value: Any, longest: int = _LONGEST_MESSAGE) -> str:
        """Return str(value), the same at every run, and without halves of characters."""
        try:
            text = str.__str__(str(value))
        except BaseException:
            text = f"a {type(value).__name__} that can't be printed"
        return self._same(text)[:longest]

    def _same(self, text: str) -> str:
        text = _ADDRESS.sub("0x…", text.replace(self._temp, "/tmp"))
        return text.encode("utf-8", "replace").decode()

    # Operations

    def execute(self, source: str, mode: str = "all") -> dict[str, Any]:
        """Run a cell."""
        error, line, notes = self._cells.run(source, mode)
        described = None
        if error is not None:
            name = type(error).__name__[:100]
            described = {"type": name, "message": self._text(error), "line": line}
        return {"error": described, "printed": self._same(self._out.take()), "notes": notes}

    def get(self, name: str) -> Any:
        """Return what a name stands for."""
        return self._named(name)

    def _named(self, name: str) -> Any:
        try:
            return self._cells.names[name]
        except KeyError:
            raise NameError(f"name {name!r} is not defined") from None

    def call(
        self,
        target: Any,
        args: list[Any] | tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        back: bool = False,
        printed: bool = False,
    ) -> Any:
        """Call a function."""
        function = self._target(target)
        args = list(args)
        self._out.take()
        value = function(*args, **(kwargs or {}))
        if not back and not printed:
            return value
        extra = [args] if back else []
        return [value, *extra, *([self._same(self._out.take())] if printed else [])]

    def _target(self, target: Any) -> Any:
        if type(target) is str:
            return self._named(target)
        return self._objects[target] if type(target) is int else target

    def do(self, what: str, target: Any, args: list[Any] | tuple[Any, ...] = ()) -> Any:
        """Do something else with an object."""
        target = self._target(target)
        if what == "iter":
            self._objects.append(iter(target))
            return Handle(len(self._objects) - 1, _facts(self._objects[-1]))
        if what == "next":
            return [next(target) for _ in range(1)] if not args else _several(target, *args)
        if what == "await":
            return self._cells.wait(target)
        if what == "isinstance":
            return isinstance(target, tuple(map(_class_named, args)))
        if what in ("str", "repr"):
            text = str(target) if what == "str" else repr(target)
            return self._text(text, 10_000)
        return _ACTIONS[what](target, *args)


def _several(iterator: Any, most: int) -> list[Any]:
    items = []
    for item in iterator:
        items.append(item)
        if len(items) == most:
            break
    return items


def _class_named(kind: Any) -> Any:
    """Find a class by its module and name, such as ``torch.nn.modules.module.Module``."""
    if type(kind) is not str:
        return kind
    module, _, name = kind.rpartition(".")
    found: Any = sys.modules.get(module or "builtins")
    if found is None:
        return ()  # nothing can be an instance of what was never imported
    return getattr(found, name, ())


_ACTIONS: dict[str, Callable[..., Any]] = {
    "getattr": getattr,
    "setattr": setattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "contains": operator.contains,
    "len": len,
    "dir": dir,
    "int": int,
    "float": float,
    "complex": complex,
    "index": operator.index,
    "round": round,
    "neg": operator.neg,
    "pos": operator.pos,
    "abs": operator.abs,
    "invert": operator.invert,
}
for _word in "add sub mul matmul truediv floordiv mod pow and or xor lshift rshift".split():
    _do = getattr(operator, _word + "_" * (_word in ("and", "or")))
    _ACTIONS[_word] = _do
    _ACTIONS[f"r{_word}"] = lambda target, other, _do=_do: _do(other, target)


def _facts(value: Any) -> dict[str, Any]:
    kind = type(value)
    what = "class" if isinstance(value, type) else "instance"
    if kind.__name__ in ("function", "method", "builtin_function_or_method"):
        what = "function"
    elif kind.__name__ == "module":
        what = "module"
    facts = {"type": _word_of(kind), "kind": what, "callable": callable(value)}
    if what != "instance":
        facts["name"] = _word_of(value)
    return facts


def _word_of(value: Any) -> str:
    name = getattr(value, "__name__", "")
    name = str.__str__(name) if isinstance(name, str) else ""
    return name.encode("ascii", "replace").decode()[:100]
