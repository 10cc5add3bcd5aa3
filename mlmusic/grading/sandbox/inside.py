"""The warm process in the sandbox: imports everything once, forks one process for each student.

It talks to the trusted side over its standard input and output, in frames of its own: one letter,
a length, bytes. What a student's process says is passed on inside such a frame, so that no student
can say anything in the warm process's name.

==========  ===========================================================
in          ``F`` fork a student, ``D`` data for it, ``K`` end it, with a token
out         ``R`` ready, ``D`` data, ``X`` the student ended and how, ``S`` with the token: all gone
==========  ===========================================================
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

from mlmusic.grading.sandbox import linux

_TICK = 0.2  # seconds between two looks at what a student uses
_ENOUGH = 1 << 18  # bytes that wait for the trusted side before a student is read no further
_MOST_FILES = 20_000


def main() -> None:
    """Run until the standard input ends."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    letter, data = _read_frame(requests)
    setting = json.loads(data)
    if sys.platform.startswith("linux"):
        linux.adopt_orphans()
        if setting["kind"] in ("landlock", "none"):
            linux.die_with_parent()
        if setting["user"] is not None:
            _become(setting["user"])
        linux.set_dumpable(False)
    zygote = Zygote(requests, replies, setting)
    errors = zygote.warm()
    zygote.tell(b"R", json.dumps(errors).encode())
    zygote.run()


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _read_frame(source: int) -> tuple[bytes, bytes]:
    def read(size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = os.read(source, size - len(data))
            if not piece:
                os._exit(0)
            data += piece
        return data

    letter, length = struct.unpack("<cI", read(5))
    return letter, read(length)


class Zygote:
    """Forks students, relays between them and the trusted side, and cleans up after them."""

    def __init__(self, requests: int, replies: int, setting: dict[str, Any]) -> None:
        self._requests, self._replies = requests, replies
        self._setting = setting
        self._temp = setting["temp"]
        self._cells: Any = None
        self._pid: int | None = None
        self._status: int | None = None
        self._socket: socket.socket | None = None
        self._killed_for = ""
        self._arrived = bytearray()  # from the trusted side, not yet a whole frame
        self._to_student = bytearray()
        self._to_client = bytearray()

    def warm(self) -> list[str | None]:
        """Import the modules and run the public cells; return each cell's error, or None."""
        os.environ["TMPDIR"] = self._temp
        os.chdir(self._temp)
        for name in self._setting["modules"]:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(1)
            with contextlib.suppress(RuntimeError):  # too late once it has been used
                torch.set_num_interop_threads(1)
        from mlmusic.grading.sandbox import student
        from mlmusic.grading.sandbox.cells import Cells

        self._cells = Cells()
        sys.argv = ["student"]
        student.seed()
        errors = []
        out, error_out = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = student.Printed(0)
        for source in self._setting["cells"]:
            error, line, _ = self._cells.run(source)
            errors.append(error and f"{type(error).__name__}: {error} (line {line})"[:500])
        sys.stdout, sys.stderr = out, error_out
        wipe(self._temp)
        gc.collect()
        gc.freeze()  # what is there stays shared between all students
        return errors

    # Frames

    def tell(self, letter: bytes, data: bytes = b"") -> None:
        """Queue a frame for the trusted side."""
        self._to_client += struct.pack("<cI", letter, len(data)) + data

    def run(self) -> None:
        """Relay until the trusted side is gone."""
        os.set_blocking(self._requests, False)
        os.set_blocking(self._replies, False)
        look = time.monotonic() + _TICK
        while True:
            reading, writing = [self._requests], []
            if self._to_client:
                writing.append(self._replies)
            if self._socket is not None:
                if len(self._to_client) < _ENOUGH:
                    reading.append(self._socket)
                if self._to_student:
                    writing.append(self._socket)
            # Blocking for ever is right only where nobody has to be looked after.
            timeout = None if self._pid is None else max(0.0, look - time.monotonic())
            readable, writable, _ = select.select(reading, writing, [], timeout)
            if self._replies in writable:
                self._flush()
            if self._requests in readable:
                self._hear()
            if self._socket is not None and self._socket in writable:
                self._push()
            if self._socket is not None and self._socket in readable:
                self._pull()
            if time.monotonic() >= look:
                look = time.monotonic() + _TICK
                self._look()

    def _flush(self) -> None:
        try:
            written = os.write(self._replies, self._to_client[: 1 << 20])
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._leave()
        del self._to_client[:written]

    def _hear(self) -> None:
        try:
            data = os.read(self._requests, 1 << 20)
        except BlockingIOError:
            return
        if not data:
            self._leave()
        self._arrived += data
        while len(self._arrived) >= 5:
            letter, length = struct.unpack_from("<cI", self._arrived)
            if len(self._arrived) < 5 + length:
                break
            body = bytes(self._arrived[5 : 5 + length])
            del self._arrived[: 5 + length]
            if letter == b"F":
                self._fork()
            elif letter == b"D":
                if self._socket is not None:
                    self._to_student += body
            elif letter == b"K":
                self._end()
                self.tell(b"S", body)

    def _push(self) -> None:
        assert self._socket is not None
        try:
            sent = self._socket.send(self._to_student[: 1 << 20])
        except BlockingIOError:
            return
        except OSError:  # it has gone: what it said before is still to be read
            self._to_student.clear()
            return
        del self._to_student[:sent]

    def _pull(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.tell(b"D", data)
            return
        self._socket.close()
        self._socket = None
        self._reap()
        if self._pid is not None and self._status is None:
            # It closed its connection, or is about to end: it can't answer any more.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._reap(wait=True)
        self.tell(b"X", self._how_it_ended().encode())

    def _how_it_ended(self) -> str:
        if self._killed_for:
            return self._killed_for
        if self._status is None:
            return "it ended"
        if os.WIFSIGNALED(self._status):
            number = os.WTERMSIG(self._status)
            if number == signal.SIGXCPU:
                return "it used up its computing time"
            if number == signal.SIGSEGV:
                return "it crashed (segmentation fault, or too deep a recursion)"
            return f"it was ended by {signal.Signals(number).name}"
        return f"it ended itself (exit status {os.WEXITSTATUS(self._status)})"

    # Students

    def _fork(self) -> None:
        ours, theirs = socket.socketpair()
        zygote = os.getpid()
        pid = os.fork()
        if pid == 0:
            status = 70
            try:
                ours.close()
                self._be_student(theirs, zygote)
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        ours.setblocking(False)
        self._pid, self._status, self._socket, self._killed_for = pid, None, ours, ""

    def _be_student(self, connection: socket.socket, zygote: int) -> None:
        from mlmusic.grading.sandbox import student

        os.setsid()
        os.dup2(0, 2)  # 0 and 1 lead nowhere already
        os.close(self._requests)
        os.close(self._replies)
        sys.path.insert(0, "")
        gc.enable()
        student.confine(self._setting, zygote)
        student.seed()
        student.Student(connection, self._cells, self._setting).serve()

    def _reap(self, wait: bool = False) -> None:
        """Collect the processes that have ended, the student's own and those it has left."""
        while True:
            try:
                pid, status = os.waitpid(-1, 0 if wait and self._status is None else os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._status = status

    def _look(self) -> None:
        """End a student that uses more than it may of what the kernel doesn't limit."""
        self._reap()
        if self._pid is None or self._killed_for:
            return
        reason = self._excess()
        if reason:
            self._killed_for = reason
            self._kill()

    def _excess(self) -> str:
        limits = self._setting["limits"]
        size, count = usage(self._temp)
        if self._setting["kind"] != "bwrap" and size > limits["files"]:
            return f"it wrote more than {limits['files'] / 1e6:g} MB of files"
        if count > _MOST_FILES:
            return f"it made more than {_MOST_FILES:,} files"
        return ""

    def _kill(self) -> None:
        """Kill everything that the student has started."""
        kind = self._setting["kind"]
        if kind in ("bwrap", "docker"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # all but the first process and this one
        elif self._pid is not None and self._status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def _end(self) -> None:
        if self._pid is None:
            return
        if self._socket is not None:
            self._socket.close()
        while True:
            self._kill()
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                break
            if pid == self._pid:
                self._status = status
        self._pid = self._socket = None
        self._to_student.clear()
        try:
            wipe(self._temp)
            if self._setting["kind"] in ("bwrap", "docker"):
                wipe("/dev/shm")
        except OSError:
            self._leave()  # a fresh process has fresh folders

    def _leave(self) -> None:
        self._kill()
        os._exit(0)


# Files ------------------------------------------------------------------------------------------


def usage(folder: str) -> tuple[int, int]:
    """Return the bytes and the number of files in a folder, as far as they can be counted."""
    size = count = 0
    folders = [folder]
    while folders and count <= _MOST_FILES:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    count += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return size, count


def wipe(folder: str) -> None:
    """Empty a folder, however deep it is and whatever its permissions are.

    Nobody else may be at work in it. Folders are lifted to the top one level at a time, so that
    neither recursion nor the length of a path can overflow; links are removed, not followed.
    """
    number = 0
    while names := os.listdir(folder):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isdir(path):
                os.unlink(path)
                continue
            os.chmod(path, 0o700)
            with os.scandir(path) as entries:
                inner = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
            for entry_path, is_folder in inner:
                if not is_folder:
                    os.unlink(entry_path)
                    continue
                target = os.path.join(folder, f"lifted-{number}")
                while os.path.lexists(target):
                    number += 1
                    target = os.path.join(folder, f"lifted-{number}")
                os.chmod(entry_path, 0o700)  # its entry ".." changes
                os.rename(entry_path, target)
            os.rmdir(path)


if __name__ == "__main__":
    main()
