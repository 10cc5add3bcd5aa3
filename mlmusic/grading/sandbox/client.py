"""The trusted side of a sandbox: starts students' processes and asks them things."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlmusic.grading import codec
from mlmusic.grading.codec import Callback, CodecError, Handle
from mlmusic.grading.limits import Limits
from mlmusic.grading.sandbox import isolation, watch
from mlmusic.grading.sandbox.answers import LONGEST_MESSAGE, checked_call, checked_error
from mlmusic.grading.sandbox.errors import (
    SandboxLost,
    SandboxUnavailable,
    StudentDied,
    StudentTimeout,
)
from mlmusic.grading.sandbox.transport import Channel, Late, Lost

_WARM_SECONDS = 300.0  # for imports and public cells
_CLEAN_SECONDS = 5.0  # for killing and wiping; after that the warm process is replaced
_NONSENSE = "it answered with nonsense"


class Sandbox:
    """A warm process in isolation, from which one process for each student is forked.

    It isn't thread-safe. A fork of the process that made it can use it, as long as only one of
    the two does at a time, and both begin with `start`.

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
        self._channel: Channel | None = None
        self._temp: str | None = None
        self._owner = 0
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
        for _ in range(2):
            if not self._clean():
                self._close()
                self._open()
            try:
                self._channel.send(b"F", b"", time.monotonic() + _CLEAN_SECONDS)
            except (Late, Lost):
                continue
            self._usable = True
            return
        raise SandboxUnavailable(f"{self.kind}: the warm process ends again and again")

    def stop(self) -> None:
        """Kill everything that the student has left, and wipe its files."""
        if not self._clean():
            self._close()

    def close(self) -> None:
        """End the warm process and everything in it."""
        self._close()

    @property
    def pid(self) -> int | None:
        """The number of the process that leads to the sandbox; None if it isn't running."""
        return None if self._channel is None else self._channel.pid

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
        handle: Callable[[int, dict[str, Any]], Any] = Handle,
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
            float, complex, index, round, await; neg, pos, abs, invert, add, radd and so on; iter
            (returns a handle), next (a list of the next item, or with ``args=[n]`` of up to n;
            empty at the end), isinstance (with classes as handles, or by module and name).

        Parameters
        ----------
        op : str
        seconds : float
            How long the answer may take, calls of callbacks included.
        callbacks : dict of int to function, optional
            The trusted functions that `Callback` objects in the fields stand for.
        handle : callable
            Makes the object that stands for one which stays in the sandbox, from its number and
            facts.
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
        if not self._usable or self._channel is None:
            raise StudentDied("it isn't running")
        deadline = time.monotonic() + seconds
        functions = callbacks or {}
        self._number += 1
        message = self._packed([], {"op": op, **fields}, keep)
        self._usable = False  # until an answer has come
        try:
            self._channel.send(b"D", message, deadline)
            while True:
                kind, value = self._receive(deadline, handle, functions)
                if kind == "callback":
                    answer = self._called(functions, *checked_call(value), keep)
                    self._channel.send(b"D", answer, deadline)
                    continue
                raised = checked_error(value) if kind == "error" else None
                break
        except CodecError as error:
            raise StudentDied(f"{_NONSENSE}: {error}") from None
        except Late:
            raise StudentTimeout(f"no answer within {seconds:g} s") from None
        except Lost:
            raise SandboxLost("the sandbox has ended") from None
        self._usable = True
        if raised is not None:
            raise raised
        return value

    def _receive(self, deadline: float, handle: Any, functions: Any) -> tuple[str, Any]:
        parts, blobs = codec.read_message(lambda size: self._student_bytes(size, deadline))
        if type(parts) is not list or len(parts) != 3:
            raise CodecError("not an answer")
        number, kind, header = parts
        if type(number) is not int or number != self._number:
            raise StudentDied("it answered out of turn")
        if type(kind) is not str or kind not in ("value", "error", "callback"):
            raise CodecError("not an answer")
        return kind, codec.decode(header, blobs, handle, functions.__getitem__)

    def _student_bytes(self, size: int, deadline: float) -> bytes:
        """Return what the student says next; whatever it sends, no more than this is kept."""
        while len(self._said) < size:
            letter, body = self._channel.receive(deadline)
            if letter == b"D":
                self._said += body
            elif letter == b"X":
                raise StudentDied(body.decode("utf-8", "replace")[:200])
        data = bytes(self._said[:size])
        del self._said[:size]
        return data

    def _called(
        self, functions: Mapping[int, Any], number: int, args: Any, kwargs: Any, keep: Any
    ) -> bytes:
        """Call a trusted function for the student, and return the message with its answer."""
        try:
            if number not in functions:
                raise RuntimeError("there is no such function")
            return self._packed(["value"], functions[number](*args, **kwargs), keep)
        except Exception as error:
            # What a trusted assertion says is none of the student's business.
            message = "" if isinstance(error, AssertionError) else str(error)[:LONGEST_MESSAGE]
            message = message.encode("utf-8", "replace").decode()
            name = next(c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins")
            return self._packed(["error"], {"type": name, "message": message}, None)

    def _packed(self, kind: list[str], value: Any, keep: Any) -> bytes:
        header, blobs = codec.encode(value, keep)
        return codec.pack([self._number, *kind, header], blobs)

    # The warm process ---------------------------------------------------------------------------

    def _open(self) -> None:
        plan = isolation.plan(self.kind, self.limits, self._forbidden)
        self._temp = plan.temp if plan.own_temp else None
        self._owner = os.getpid()
        setting = {
            "kind": self.kind,
            "modules": self._modules,
            "cells": self._cells,
            "limits": asdict(self.limits),
            **plan.setting(),
        }
        try:
            self._channel = Channel(plan.command, plan.env, self._temp or os.sep)
        except OSError as error:
            self._close()
            raise SandboxUnavailable(f"{self.kind} doesn't start: {error}") from None
        deadline = time.monotonic() + _WARM_SECONDS
        try:
            self._channel.send(b"W", json.dumps(setting).encode(), deadline)
            _, body = self._channel.receive(deadline)
        except (Late, Lost) as error:
            reason = self._channel.last_words()
            if isinstance(error, Late):
                reason = f"the public cells take more than {_WARM_SECONDS:g} s"
            elif plan.hint:
                reason += f" ({plan.hint})"
            self._close()
            raise SandboxUnavailable(f"{self.kind} doesn't work here: {reason}") from None
        self.warm_errors = json.loads(body)

    def _clean(self) -> bool:
        """Have the student's process ended and its files wiped; False if that fails."""
        self._usable = False
        self._said.clear()
        if self._channel is None:
            return False
        token = secrets.token_bytes(16)  # which no student can know
        deadline = time.monotonic() + _CLEAN_SECONDS
        try:
            self._channel.send(b"K", token, deadline)
            self._channel.skip_past(token, deadline)
        except (Late, Lost):
            return False
        return True

    def _close(self) -> None:
        self._usable = False
        channel, self._channel = self._channel, None
        temp, self._temp = self._temp, None
        if channel is not None:
            channel.close()
        if temp is not None and os.getpid() == self._owner:
            with contextlib.suppress(OSError):
                watch.wipe(temp)
                os.rmdir(temp)
