"""The process in which one student's code runs, and the requests that it answers."""

from __future__ import annotations

import builtins
import getpass
import io
import operator
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlmusic.grading import codec
from mlmusic.grading.codec import Callback, Handle
from mlmusic.grading.sandbox.answers import UNSENDABLE
from mlmusic.grading.sandbox.cells import Cells, line_in, nearest_builtin

_ADDRESS = re.compile(r"(?<= at )0x[0-9A-Fa-f]+|\b0x[0-9A-Fa-f]{9,16}\b")
_LONGEST_MESSAGE = 500
_LONGEST_TEXT = 10_000  # of str() and repr()


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
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Keep the text as long as there is room."""
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
    """What `sys.stdout.buffer` is."""

    def __init__(self, text: Printed) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._text.write(bytes(data[: 1 << 20]).decode("utf-8", "replace"))
        return len(data)


class Student:
    """Answers requests over a socket, one at a time.

    Parameters
    ----------
    connection : socket
        Leads to the warm process.
    cells : Cells
        The namespace, with what the public cells have defined.
    setting : dict
        What the trusted side has told the warm process.
    """

    def __init__(self, connection: socket.socket, cells: Cells, setting: dict[str, Any]) -> None:
        self._connection = connection
        self._cells = cells
        self._temp = setting["temp"]
        self._out = Printed(int(setting["limits"]["text"]))
        self._objects: list[Any] = []  # what handles stand for; kept, so that ids stay theirs
        self._functions: dict[int, tuple[Any, Callback]] = {}  # of the trusted side, by id()
        self._pending: dict[int, BaseException] = {}  # of iterators, by id()
        self._request: int | None = None
        self._thread = threading.get_ident()
        sys.stdout, sys.stderr = self._out, Printed(0)
        sys.stdin = io.StringIO()
        builtins.input = getpass.getpass = lambda prompt="", *_, **__: ""

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
                kind, value = "value", operations[fields.pop("op")](**fields)
            except BaseException as error:
                kind, value = "error", self._described(error)
            try:
                reply = self._pack(kind, value)
            except BaseException as error:
                # Not an error of the function's: a test that expects one must not be content.
                refused = {"type": None, "name": UNSENDABLE, "message": self._text(error, 300)}
                reply = self._pack("error", refused)
            self._request = None
            self._connection.sendall(reply)

    # Messages ---------------------------------------------------------------------------------

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
        if id(value) in self._functions:
            return self._functions[id(value)][1]
        # A handle for each time: the trusted side knows it by the name that it came from.
        self._objects.append(value)
        return Handle(len(self._objects) - 1, _facts(value))

    def _function(self, number: int) -> Callable[..., Any]:
        """Make a function that has the trusted side call its own."""

        def function(*args: Any, **kwargs: Any) -> Any:
            if self._request is None or threading.get_ident() != self._thread:
                raise RuntimeError("this function can be called only while your own is running")
            call = {"callback": number, "args": list(args), "kwargs": kwargs}
            self._connection.sendall(self._pack("callback", call))
            (_, kind, header), blobs = codec.read_message(self._read)
            value = self._decode(header, blobs)
            if kind == "error":
                raise getattr(builtins, value["type"])(value["message"])
            return value

        self._functions[id(function)] = function, Callback(number)
        return function

    def _described(self, error: BaseException) -> dict[str, Any]:
        # A syntax error's text ends with the number of the cell, which says nothing to anybody.
        said = error.msg if type(error) is SyntaxError else error
        return {
            "type": nearest_builtin(error),
            "name": type(error).__name__[:100],
            "message": self._text(said, _LONGEST_MESSAGE),
            "line": line_in(error),
        }

    def _text(self, value: Any, longest: int) -> str:
        """Return str(value), the same at every run, and without halves of characters."""
        try:
            text = str.__str__(str(value))
        except BaseException:
            text = f"a {type(value).__name__} that can't be printed"
        return self._same(text[: 2 * longest])[:longest]

    def _same(self, text: str) -> str:
        text = _ADDRESS.sub("0x…", text.replace(self._temp, "/tmp"))
        return text.encode("utf-8", "replace").decode()

    # Operations -------------------------------------------------------------------------------

    def execute(self, source: str, mode: str = "all") -> dict[str, Any]:
        """Run a cell; see `Cells.run`."""
        self._out.take()
        error, line, notes = self._cells.run(source, mode)
        described = None
        if error is not None:
            described = self._described(error)
            described |= {"type": described.pop("name"), "line": line}
        notes = [self._same(note) for note in notes]
        return {"error": described, "printed": self._same(self._out.take()), "notes": notes}

    def get(self, name: str) -> Any:
        """Return what a name stands for."""
        try:
            return self._cells.names[name]
        except KeyError:
            raise NameError(f"name {name!r} is not defined") from None

    def call(
        self,
        target: Any,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
        back: bool = False,
        printed: bool = False,
    ) -> Any:
        """Call a function; return its value, and what else is asked for."""
        function = self._target(target)
        args = list(args)
        self._out.take()
        answer = [function(*args, **(kwargs or {}))]
        if back:
            answer.append(args)
        if printed:
            answer.append(self._same(self._out.take()))
        return answer if back or printed else answer[0]

    def _target(self, target: Any) -> Any:
        if type(target) is str:
            return self.get(target)
        return self._objects[target] if type(target) is int else target

    def do(self, what: str, target: Any, args: Sequence[Any] = ()) -> Any:
        """Do something else with an object."""
        target = self._target(target)
        if what == "iter":
            # As an object: a list's iterator isn't plain data, but a subclass of one might be.
            return self._keep(iter(target))
        if what == "next":
            return self._next(target, *args)
        if what == "await":
            return self._cells.wait(target)
        if what == "isinstance":
            return isinstance(target, tuple(map(_class_named, args)))
        if what in ("str", "repr"):
            return self._text(str(target) if what == "str" else repr(target), _LONGEST_TEXT)
        return _ACTIONS[what](target, *args)

    def _next(self, iterator: Iterator[Any], most: int = 1) -> list[Any]:
        """Return the next items; what is raised after some of them is raised the next time."""
        items: list[Any] = []
        try:
            if id(iterator) in self._pending:
                raise self._pending.pop(id(iterator))
            while len(items) < most:
                items.append(next(iterator))
        except StopIteration:
            pass
        except BaseException as error:
            if not items:
                raise
            self._pending[id(iterator)] = error
        return items


def _class_named(kind: Any) -> Any:
    """Find a class by its module and name, such as ``torch.nn.modules.module.Module``."""
    if type(kind) is not str:
        return kind
    module, _, name = kind.rpartition(".")
    # Nothing can be an instance of what was never imported.
    return getattr(sys.modules.get(module or "builtins"), name, ())


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
    """Say what can be said about an object without asking it."""
    kind = type(value)
    what = "class" if issubclass(kind, type) else "instance"
    if kind.__name__ in ("function", "method", "builtin_function_or_method"):
        what = "function"
    elif kind.__name__ == "module":
        what = "module"
    facts = {"type": _name_of(kind), "kind": what, "callable": callable(value)}
    if what != "instance":
        facts["name"] = _name_of(value)
    return facts


def _name_of(value: Any) -> str:
    name = getattr(value, "__name__", "")
    name = str.__str__(name) if isinstance(name, str) else ""
    return name.encode("ascii", "replace").decode()[:100]
