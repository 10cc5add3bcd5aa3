"""Frames to and from the warm process, over its standard input and output, with deadlines.

See `frames` for what they are. Nothing here blocks longer than the deadline, and what the other
side floods is read no faster than it's used.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlmusic.grading.sandbox import watch

_PIECE = 1 << 20  # bytes read or written at once
_GRACE = 2.0  # seconds in which the warm process may end by itself


class Late(Exception):
    """The deadline has passed."""


class Lost(Exception):
    """The warm process has ended."""


class Channel:
    """A process, and the frames that go to it and come from it.

    Parameters
    ----------
    command : list of str
    env : dict
        Its whole environment.
    folder : str
        Where it is started.

    Raises
    ------
    OSError
        If it can't be started.
    """

    def __init__(self, command: Sequence[str], env: dict[str, str], folder: str) -> None:
        # Open as long as the process lives.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = _spawn(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=env,
                cwd=folder,
                bufsize=0,
            )
        except BaseException:
            self._errors.close()
            raise
        self._owner = os.getpid()
        self._pipes = _pipes(self._process)
        self._arrived = bytearray()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, letter: bytes, body: bytes, deadline: float) -> None:
        """Send a frame.

        Raises
        ------
        Late, Lost
        """
        self._pipes.write(struct.pack("<cI", letter, len(body)) + body, deadline)

    def receive(self, deadline: float) -> tuple[bytes, bytes]:
        """Wait for the next frame: its letter and its body.

        Raises
        ------
        Late, Lost
        """
        while True:
            if len(self._arrived) >= 5:
                letter, length = struct.unpack_from("<cI", self._arrived)
                if len(self._arrived) >= 5 + length:
                    body = bytes(self._arrived[5 : 5 + length])
                    del self._arrived[: 5 + length]
                    return letter, body
            self._arrived += self._pipes.read(deadline)

    def skip_past(self, token: bytes, deadline: float) -> None:
        """Forget all that comes before a token, and the token.

        It is searched for in the raw bytes, since whoever read here before (another process, which
        was killed) may have stopped in the middle of a frame.

        Raises
        ------
        Late, Lost
        """
        while (found := self._arrived.find(token)) < 0:
            del self._arrived[: -len(token)]
            self._arrived += self._pipes.read(deadline)
        del self._arrived[: found + len(token)]

    def last_words(self) -> str:
        """Return the last line that the process wrote to its standard error."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._errors.seek(0)
        lines = self._errors.read()[-10_000:].decode("utf-8", "replace").splitlines()
        # What the docker command adds to every error.
        lines = [s for line in lines if (s := line.strip()) and not s.startswith("Run 'docker")]
        return lines[-1][:300] if lines else "its first process ended without a word"

    def close(self) -> None:
        """End the process. A fork of the one that started it only closes its own ends."""
        # The end of its input asks it to leave, and to take everything with it.
        self._pipes.close_input()
        if os.getpid() == self._owner:
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                # bwrap's death isn't its child's, if that has become another user.
                for child in watch.children(self._process.pid):
                    with contextlib.suppress(OSError):
                        os.kill(child, signal.SIGKILL)
                self._process.kill()
                self._process.wait()
        self._pipes.close_output()
        self._errors.close()


_spawners: dict[int, ThreadPoolExecutor] = {}


def _spawn(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process from a thread that lasts as long as this process.

    The kernel takes the death of the thread that started a process for that of its parent, and
    the warm process dies with its parent.
    """
    if threading.current_thread() is threading.main_thread():
        return subprocess.Popen(command, **options)
    if os.getpid() not in _spawners:  # not the one of a process that this is a fork of
        _spawners[os.getpid()] = ThreadPoolExecutor(1, "mlmusic-sandbox")
    return _spawners[os.getpid()].submit(subprocess.Popen, command, **options).result()


class _Pipes:
    """The two pipes of a process, where `select` takes pipes: everywhere but on Windows."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._in, self._out = process.stdin, process.stdout
        os.set_blocking(self._in.fileno(), False)

    def read(self, deadline: float) -> bytes:
        if not select.select([self._out], [], [], _left(deadline))[0]:
            raise Late
        data = os.read(self._out.fileno(), _PIECE)
        if not data:
            raise Lost
        return data

    def write(self, data: bytes, deadline: float) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._in.fileno(), rest[:_PIECE]) :]
            except BlockingIOError:
                if not select.select([], [self._in], [], _left(deadline))[1]:
                    raise Late from None
            except OSError:
                raise Lost from None

    def close_input(self) -> None:
        self._in.close()

    def close_output(self) -> None:
        self._out.close()


class _ThreadedPipes:
    """The same with a thread for each direction, for Windows."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._in, self._out = process.stdin, process.stdout
        self._reads: queue.Queue[bytes] = queue.Queue(maxsize=64)
        self._writes: queue.Queue[bytes | None] = queue.Queue()
        self._written: queue.Queue[bool] = queue.Queue()
        for work in (self._keep_reading, self._keep_writing):
            threading.Thread(target=work, daemon=True).start()

    def _keep_reading(self) -> None:
        data = b"."
        while data:
            try:
                data = self._out.read(1 << 16)
            except (OSError, ValueError):
                data = b""
            self._reads.put(data)

    def _keep_writing(self) -> None:
        while (data := self._writes.get()) is not None:
            try:
                while data:
                    data = data[self._in.write(data) :]
            except (OSError, ValueError):
                pass
            self._written.put(not data)
        with contextlib.suppress(OSError):
            self._in.close()

    def read(self, deadline: float) -> bytes:
        try:
            data = self._reads.get(timeout=_left(deadline))
        except queue.Empty:
            raise Late from None
        if not data:
            self._reads.put(data)  # for whoever asks again
            raise Lost
        return data

    def write(self, data: bytes, deadline: float) -> None:
        self._writes.put(data)
        try:
            if not self._written.get(timeout=_left(deadline)):
                raise Lost
        except queue.Empty:
            raise Late from None

    def close_input(self) -> None:
        self._writes.put(None)

    def close_output(self) -> None:
        with contextlib.suppress(OSError):
            self._out.close()


def _pipes(process: subprocess.Popen[bytes]) -> _Pipes | _ThreadedPipes:
    return _ThreadedPipes(process) if os.name == "nt" else _Pipes(process)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise Late
    return left
