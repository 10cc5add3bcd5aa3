"""The trusted side of a sandbox: starts students' processes and asks them things."""

from __future__ import annotations

import builtins
import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlmusic.grading import codec
from mlmusic.grading.codec import Callback, CodecError, Handle
from mlmusic.grading.limits import Limits
from mlmusic.grading.sandbox import isolation
from mlmusic.grading.sandbox.isolation import SandboxUnavailable

_WARM_SECONDS = 300.0  # for imports and public cells
_CLEAN_SECONDS = 5.0  # for killing and wiping; after that the warm process is replaced
_LONGEST_MESSAGE = 500


class StudentError(Exception):
    """What a student's code raised.

    Attributes
    ----------
    type_name : str or None
        The builtin exception that it was, or extended; None for those that aren't an `Exception`
        and those that end a loop.
    message : str
        At most 500 characters.
    line : int or None
        The line of the cell.
    name : str
        The class's own name.
    """

    def __init__(
        self, type_name: str | None, message: str, line: int | None = None, name: str = ""
    ) -> None:
        super().__init__(f"{name or type_name or 'error'}: {message}")
        self.type_name, self.message, self.line = type_name, message, line
        self.name = name or type_name or ""


class StudentTimeout(Exception):
    """No answer in time. The student's process is unusable: call `Sandbox.start` again."""


class StudentDied(Exception):
    """The student's process has ended, or answers nonsense: call `Sandbox.start` again."""


class Sandbox:
    """A warm process in isolation, from which one process for each student is forked.

    Parameters
    ----------
    kind : str
        ``auto``, ``bwrap``, ``landlock``, ``docker`` or ``none``.
    modules : iterable of str
        What to import before forking.
    cells : iterable of str
        Sources of the instructor's public cells, run once before forking, in IPython's syntax.
    limits : Limits
    forbidden : iterable of paths
        What must not be readable inside: the source, the submissions, the folder of results.

    Attributes
    ----------
    kind : str
        The kind that is used.
    warm_errors : list of str or None
        For each public cell the error that it raised.

    Raises
    ------
    ValueError
        If the kind is unknown, or a forbidden path would be readable inside.
    SandboxUnavailable
        If the kind can't be used here.
    """

    def __init__(
        self,
        kind: str = "auto",
        *,
        modules: Iterable[str] = (),
        cells: Iterable[str] = (),
        limits: Limits | None = None,
        forbidden: Iterable[str | Path] = (),
    ) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._temp: str | None = None
        self.kind = isolation.choose(kind)
        if self.kind == "none":
            print(
                "WARNING: --sandbox none: students' code runs with all your rights: it can read, "
                "change and delete your files, use the network, and forge grades",
                file=sys.stderr,
            )
        self.limits = limits or Limits()
        self.warm_errors: list[str | None] = []
        self._modules, self._cells = list(modules), list(cells)
        self._forbidden = list(forbidden)
        self._arrived = bytearray()  # from the warm process, not yet a whole frame
        self._said = bytearray()  # by the student, not yet a whole message
        self._number = 0
        self._usable = False
        self._open()

    # Students ---------------------------------------------------------------------------------

    def start(self) -> None:
        """End the student's process if there is one, wipe its files, and fork a fresh one.

        Raises
        ------
        SandboxUnavailable
            If the warm process was lost and no new one can be started.
        """
        if not self._clean():
            self._close_process()
            self._open()
        self._send(b"F", b"", time.monotonic() + _CLEAN_SECONDS)
        self._usable = True

    def stop(self) -> None:
        """Kill everything that the student has left, and wipe its files."""
        if not self._clean():
            self._close_process()

    def close(self) -> None:
        """End the warm process and everything in it."""
        self._close_process()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Requests ---------------------------------------------------------------------------------

    def request(
        self,
        op: str,
        *,
        seconds: float,
        callbacks: Mapping[int, Callable[..., Any]] | None = None,
        handle: Callable[[int, dict[str, Any]], Any] | None = None,
        keep: Callable[[Any], int | Handle | Callback] | None = None,
        **fields: Any,
    ) -> Any:
        """Ask the student's process for something.

        ``exec(source, mode="all"|"defs")``
            runs a cell; returns ``{"error": None or {"type", "message", "line"}, "printed",
            "notes"}``.
        ``get(name)``
            what a name stands for.
        ``call(target, args=(), kwargs={}, back=False, printed=False)``
            calls a function: a name, a handle or a handle's number. With ``back`` or ``printed``
            it returns a list: the value, the arguments as they are afterwards, what was printed.
        ``do(what, target, args=())``
            getattr, setattr, getitem, setitem, delitem, contains, len, dir, str, repr, int,
            float, complex, index, round, await, neg, pos, abs, invert; add, radd and so on; iter
            (returns a handle), next (with ``args=[n]`` a list of up to n items, empty at the
            end), isinstance (with classes as handles, or by module and name).

        Parameters
        ----------
        op : str
        seconds : float
            How long the answer may take, calls of callbacks included.
        callbacks : dict of int to function, optional
            The trusted functions that `Callback` objects in the fields stand for.
        handle : callable, optional
            Makes the object that stands for one which stays in the sandbox, from its number and
            facts; `Handle` if not given.
        keep : callable, optional
            Says which `Handle` or `Callback` (or number of a handle) an object in the fields is.
        **fields
            The operation's own.

        Returns
        -------
        object
            The answer, decoded; what isn't plain data stays inside, as a handle.

        Raises
        ------
        StudentError
            If the student's code raised something.
        StudentTimeout, StudentDied
            If no answer came; `start` has to be called before the next request.
        TypeError, CodecError
            If the fields can't be sent.
        """
        if not self._usable:
            raise StudentDied("it isn't running")
        deadline = time.monotonic() + seconds
        self._number += 1
        message = self._packed([], {"op": op, **fields}, keep)
        self._usable = False  # until an answer has come
        self._send(b"D", message, deadline)
        while True:
            kind, header, blobs = self._receive(deadline)
            try:
                value = codec.decode(header, blobs, handle or Handle, (callbacks or {}).__getitem__)
                if kind == "callback":
                    number, args, kwargs = _checked_call(value)
            except CodecError as error:
                raise StudentDied(f"it answered with nonsense: {error}") from None
            if kind == "value":
                self._usable = True
                return value
            if kind == "error":
                raised = _checked_error(value)
                self._usable = True
                raise raised
            self._send(b"D", self._called(callbacks or {}, number, args, kwargs, keep), deadline)

    def _called(
        self, callbacks: Mapping[int, Any], number: int, args: Any, kwargs: Any, keep: Any
    ) -> bytes:
        try:
            if number not in callbacks:
                raise RuntimeError("there is no such function")
            return self._packed(["value"], callbacks[number](*args, **kwargs), keep)
        except Exception as error:
            # What a trusted assertion says is none of the student's business.
            message = "" if isinstance(error, AssertionError) else str(error)[:_LONGEST_MESSAGE]
            name = next(c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins")
            return self._packed(["error"], {"type": name, "message": message}, None)

    def _packed(self, kind: list[str], value: Any, keep: Any) -> bytes:
        header, blobs = codec.encode(value, keep)
        return codec.pack([self._number, *kind, header], blobs)

    def _receive(self, deadline: float) -> tuple[str, Any, list[bytes]]:
        try:
            parts, blobs = codec.read_message(lambda size: self._student_bytes(size, deadline))
        except CodecError as error:
            raise StudentDied(f"it answered with nonsense: {error}") from None
        if type(parts) is not list or len(parts) != 3:
            raise StudentDied("it answered with nonsense: not an answer")
        number, kind, header = parts
        if type(number) is not int or number != self._number:
            raise StudentDied("it answered out of turn")
        if type(kind) is not str or kind not in ("value", "error", "callback"):
            raise StudentDied("it answered with nonsense: not an answer")
        return kind, header, blobs

    def _student_bytes(self, size: int, deadline: float) -> bytes:
        """Return what the student says next; whatever it sends, no more than this is kept."""
        while len(self._said) < size:
            letter, body = self._frame(deadline)
            if letter == b"D":
                self._said += body
            elif letter == b"X":
                raise StudentDied(body.decode("utf-8", "replace")[:200])
        data = bytes(self._said[:size])
        del self._said[:size]
        return data

    # The warm process ---------------------------------------------------------------------------

    def _open(self) -> None:
        plan = isolation.plan(self.kind, self.limits, self._forbidden)
        self._temp = plan.temp if plan.own_temp else None
        self._errors = tempfile.TemporaryFile()
        self._arrived.clear()
        self._said.clear()
        try:
            self._process = subprocess.Popen(
                plan.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=plan.env,
                cwd=self._temp or "/",
                bufsize=0,
            )
        except OSError as error:
            self._close_process()
            raise SandboxUnavailable(f"{self.kind} doesn't start: {error}") from None
        os.set_blocking(self._process.stdin.fileno(), False)
        self._owner = os.getpid()
        setting = {
            "kind": self.kind,
            "modules": self._modules,
            "cells": self._cells,
            "limits": asdict(self.limits),
            "temp": plan.temp,
            "user": plan.user,
            "read": plan.read,
            "count_processes": plan.count_processes,
        }
        deadline = time.monotonic() + _WARM_SECONDS
        try:
            self._send(b"W", json.dumps(setting).encode(), deadline)
            letter, body = self._frame(deadline)
        except (StudentDied, StudentTimeout):
            letter = b""
        if letter != b"R":
            reason = self._last_words()
            self._close_process()
            raise SandboxUnavailable(f"{self.kind} doesn't work here: {reason}")
        self.warm_errors = json.loads(body)

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._errors.seek(0)
        lines = self._errors.read()[-10_000:].decode("utf-8", "replace").split("\n")
        lines = [line.strip() for line in lines if line.strip()]
        return lines[-1][:300] if lines else "its first process ended without a word"

    def _clean(self) -> bool:
        """Have the student's process ended and its files wiped; False if that fails."""
        self._usable = False
        self._said.clear()
        if self._process is None:
            return False
        token = secrets.token_bytes(16)
        deadline = time.monotonic() + _CLEAN_SECONDS
        try:
            self._send(b"K", token, deadline)
            # Searched for in the raw bytes: whoever read before may have stopped inside a frame.
            while token not in self._arrived:
                del self._arrived[:-16]
                self._read(deadline)
        except (StudentDied, StudentTimeout):
            return False
        del self._arrived[: self._arrived.index(token) + 16]
        return True

    def _close_process(self) -> None:
        process, self._process = self._process, None
        self._usable = False
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.stdin.close()
            process.stdout.close()
            if os.getpid() == self._owner:  # else it isn't ours to wait for
                process.wait()
            self._errors.close()
        if self._temp is not None:
            shutil.rmtree(self._temp, ignore_errors=True)
            self._temp = None

    def _send(self, letter: bytes, body: bytes, deadline: float) -> None:
        data = memoryview(struct.pack("<cI", letter, len(body)) + body)
        target = self._process.stdin.fileno()
        while data:
            try:
                data = data[os.write(target, data[: 1 << 20]) :]
            except BlockingIOError:
                self._wait([], [target], deadline)
            except BrokenPipeError:
                raise StudentDied("the sandbox has ended") from None

    def _frame(self, deadline: float) -> tuple[bytes, bytes]:
        while True:
            if len(self._arrived) >= 5:
                letter, length = struct.unpack_from("<cI", self._arrived)
                if len(self._arrived) >= 5 + length:
                    body = bytes(self._arrived[5 : 5 + length])
                    del self._arrived[: 5 + length]
                    return letter, body
            self._read(deadline)

    def _read(self, deadline: float) -> None:
        source = self._process.stdout.fileno()
        self._wait([source], [], deadline)
        data = os.read(source, 1 << 20)
        if not data:
            raise StudentDied("the sandbox has ended")
        self._arrived += data

    def _wait(self, reading: list[int], writing: list[int], deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not any(select.select(reading, writing, [], left)):
            raise StudentTimeout("no answer in time")


def _checked_error(value: Any) -> StudentError:
    """Make the exception that an answer describes, believing nothing about it."""
    if type(value) is not dict:
        raise StudentDied("it answered with nonsense: not an error")
    name, message, line = value.get("type"), value.get("message"), value.get("line")
    kind = getattr(builtins, name, None) if type(name) is str else None
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        name = None
    elif issubclass(kind, (StopIteration, StopAsyncIteration)):
        name = None
    message = message[:_LONGEST_MESSAGE] if type(message) is str else ""
    line = line if type(line) is int and 0 < line < 1_000_000 else None
    own = value.get("name")
    return StudentError(name, message, line, own[:100] if type(own) is str else "")


def _checked_call(value: Any) -> tuple[int, list[Any], dict[str, Any]]:
    if type(value) is not dict or value.keys() != {"callback", "args", "kwargs"}:
        raise CodecError("not a call")
    number, args, kwargs = value["callback"], value["args"], value["kwargs"]
    if type(number) is not int or type(args) is not list or type(kwargs) is not dict:
        raise CodecError("not a call")
    if not all(type(name) is str for name in kwargs):
        raise CodecError("not a call")
    return number, args, kwargs
