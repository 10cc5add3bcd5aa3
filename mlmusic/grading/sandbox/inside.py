"""The warm process in the sandbox: imports everything once, forks one process for each student.

It talks to the trusted side over its standard input and output, in frames of its own: one letter,
a length, bytes. What a student's process says is passed on inside such a frame, so that no student
can say anything in the warm process's name.

====  ========================================================================
in    ``W`` the setting; ``F`` fork a student, ``D`` data for it, ``K`` end it, with a token
out   ``R`` ready, ``D`` data, ``X`` how the student ended, ``S`` with the token: all is gone
====  ========================================================================
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
from typing import Any, NoReturn

from mlmusic.grading.sandbox import linux, watch

_TICK = 0.2  # seconds between two looks at what a student uses
_ENOUGH = 1 << 18  # bytes that wait for the trusted side before a student is read no further
_PIECE = 1 << 16


def main() -> None:
    """Run until the standard input ends."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    setting = json.loads(_read_frame(requests)[1])
    if sys.platform.startswith("linux"):
        _settle(setting)
    zygote = Zygote(requests, replies, setting)
    errors = zygote.warm()
    zygote.tell(b"R", json.dumps(errors).encode())
    zygote.run()


def _settle(setting: dict[str, Any]) -> None:
    """Make sure that this process can't be disturbed, and leaves nothing behind."""
    if setting["kind"] in ("bwrap", "docker"):
        # Here everything else is killed after each student: that must not be the whole machine.
        if os.readlink("/proc/self/ns/pid") == setting["pid_namespace"]:
            sys.exit("there is no PID namespace of its own")
    else:
        linux.die_with_parent()
    linux.adopt_orphans()
    if setting["user"] is not None:
        os.setgroups([])
        os.setresgid(*[setting["user"]] * 3)
        os.setresuid(*[setting["user"]] * 3)
    linux.set_dumpable(False)


def _read_frame(source: int) -> tuple[bytes, bytes]:
    def read(size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = os.read(source, size - len(data))
            if not piece:
                sys.exit("the trusted side is gone")
            data += piece
        return data

    letter, length = struct.unpack("<cI", read(5))
    return letter, read(length)


class Zygote:
    """Forks students, relays between them and the trusted side, and cleans up after them."""

    def __init__(self, requests: int, replies: int, setting: dict[str, Any]) -> None:
        self._requests, self._replies = requests, replies
        self._setting = setting
        self._temp: str = setting["temp"]
        self._apart = setting["kind"] in ("bwrap", "docker")  # in a PID namespace of its own
        self._cells: Any = None
        self._baseline = 0  # bytes of memory that every student starts with
        self._pid: int | None = None
        self._status: int | None = None
        self._killed_for = ""
        self._socket: socket.socket | None = None
        self._arrived = bytearray()  # from the trusted side, not yet a whole frame
        self._to_student = bytearray()
        self._to_client = bytearray()

    def warm(self) -> list[str | None]:
        """Import the modules and run the public cells; return each cell's error, or None."""
        from mlmusic.grading.sandbox import confine, student
        from mlmusic.grading.sandbox.cells import Cells

        os.chdir(self._temp)
        self._furnish()
        for name in self._setting["modules"]:
            with contextlib.suppress(Exception):  # a student that imports it will hear why
                importlib.import_module(name)
        self._cells = Cells()
        sys.argv = ["student"]
        confine.seed()
        outputs = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = student.Printed(0)
        errors = []
        for source in self._setting["cells"]:
            error, line, _ = self._cells.run(source)
            errors.append(error and f"{type(error).__name__}: {error} (line {line})"[:500])
        sys.stdout, sys.stderr = outputs
        self._cells.settle()
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(1)
        if "matplotlib.font_manager" in sys.modules:
            self._setting["files"] = {}  # read already
        self._try_out()
        self._wipe()
        gc.collect()
        gc.freeze()  # what is there stays shared between all students
        self._baseline = watch.memory(["self"])
        return errors

    def _furnish(self) -> None:
        """Put the files into the temporary folder that a student would have to wait for."""
        for name, text in self._setting["files"].items():
            folder = os.path.join(self._temp, ".matplotlib")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, os.path.basename(name)), "w") as file:
                file.write(text)

    def _try_out(self) -> None:
        """Confine a process; without that no student's code may run."""
        pid = os.fork()
        if pid == 0:
            from mlmusic.grading.sandbox import confine

            try:
                confine.confine(self._setting, os.getppid())
                os._exit(0)
            except BaseException as error:
                os.write(2, f"a process can't be confined: {error}\n".encode())
            finally:
                os._exit(1)
        if os.waitpid(pid, 0)[1] != 0:
            sys.exit(1)

    # Frames -----------------------------------------------------------------------------------

    def tell(self, letter: bytes, data: bytes = b"") -> None:
        """Queue a frame for the trusted side."""
        self._to_client += struct.pack("<cI", letter, len(data)) + data

    def run(self) -> None:
        """Relay until the trusted side is gone."""
        os.set_blocking(self._requests, False)
        os.set_blocking(self._replies, False)
        look = time.monotonic() + _TICK
        while True:
            reading: list[Any] = [self._requests]
            writing: list[Any] = [self._replies] if self._to_client else []
            if self._socket is not None:
                if len(self._to_client) < _ENOUGH:
                    reading.append(self._socket)
                if self._to_student:
                    writing.append(self._socket)
            # Waiting for ever is right only where nobody has to be looked after.
            timeout = None if self._pid is None else max(0.0, look - time.monotonic())
            readable, writable, _ = select.select(reading, writing, [], timeout)
            if self._replies in writable:
                self._flush()
            if self._socket in writable:
                self._push()
            if self._socket in readable:
                self._pull()
            if self._requests in readable:  # last: it may end the student
                self._hear()
            if time.monotonic() >= look:
                look = time.monotonic() + _TICK
                self._look()

    def _flush(self) -> None:
        try:
            written = os.write(self._replies, self._to_client[:_PIECE])
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
            elif letter == b"D" and self._socket is not None:
                self._to_student += body
            elif letter == b"K":
                self._end()
                self.tell(b"S", body)

    def _push(self) -> None:
        try:
            sent = self._socket.send(self._to_student[: 1 << 20])
        except BlockingIOError:
            return
        except OSError:  # it has gone: what it said before is still to be read
            self._to_student.clear()
            return
        del self._to_student[:sent]

    def _pull(self) -> None:
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.tell(b"D", data)
            return
        # It ends, or has closed its connection: it can't answer any more.
        self._socket.close()
        self._socket = None
        self._to_student.clear()
        self._reap()
        if self._status is None:
            time.sleep(0.01)  # so that it can end by itself, and its status says how
            self._reap()
        if self._status is None:
            self._kill()
            self._status = os.waitpid(self._pid, 0)[1]
        self.tell(b"X", self._how_it_ended().encode())

    def _how_it_ended(self) -> str:
        if self._killed_for:
            return self._killed_for
        if os.WIFSIGNALED(self._status):
            number = os.WTERMSIG(self._status)
            if number == signal.SIGXCPU:
                return "it used up its computing time"
            if number in (signal.SIGSEGV, signal.SIGBUS):
                return "it crashed (an access to memory that isn't there, or too deep a recursion)"
            return f"it was ended by {signal.Signals(number).name}"
        return f"it ended itself (exit status {os.WEXITSTATUS(self._status)})"

    # Students ---------------------------------------------------------------------------------

    def _fork(self) -> None:
        self._end()
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
        from mlmusic.grading.sandbox import confine, student

        os.setsid()
        os.dup2(0, 2)  # 0 and 1 lead nowhere already
        os.close(self._requests)
        os.close(self._replies)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._furnish()
        confine.confine(self._setting, zygote)
        confine.seed()
        student.Student(connection, self._cells, self._setting).serve()

    def _reap(self) -> None:
        """Collect the processes that have ended, the student's own and those it has left."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._pid:
                    self._status = status

    def _look(self) -> None:
        """End a student that uses more than it may of what the kernel doesn't limit."""
        self._reap()
        if self._socket is not None and not self._killed_for:
            self._killed_for = self._excess()
            if self._killed_for:
                self._kill()

    def _excess(self) -> str:
        limits = self._setting["limits"]
        size, count = watch.files(self._temp)
        if not self._apart and count <= watch.MOST_FILES:  # else its tmpfs has a size
            size += watch.unlinked(self._pid, self._temp, limits["files"])
        if size > 1.1 * limits["files"]:
            return f"it wrote more than {limits['files'] / 1e6:g} MB of files"
        if count > watch.MOST_FILES:
            return f"it made more than {watch.MOST_FILES:,} files"
        pids = watch.everybody() if self._apart else [self._pid]
        if not self._setting["count_processes"] and watch.threads(pids) > limits["processes"]:
            return f"it started more than {limits['processes']} threads"
        most = limits["memory"] + self._baseline
        if watch.memory(pids) > most and watch.memory(pids, shared_once=True) > most:
            return f"it used more than {limits['memory'] / 2**30:g} GB of memory"
        return ""

    def _kill(self) -> None:
        """Kill everything that the student has started."""
        if self._apart:
            targets = [-1]  # all but the first process and this one
        elif self._setting["kind"] == "none" and sys.platform.startswith("linux"):
            targets = watch.children()
        elif self._setting["kind"] == "none":
            targets = [-self._pid]
        else:  # it can't have started any other
            targets = [self._pid]
        for target in targets:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(target, signal.SIGKILL)

    def _end(self) -> None:
        """Kill and wipe all that the student has left."""
        if self._pid is None:
            return
        if self._socket is not None:
            self._socket.close()
        with contextlib.suppress(ChildProcessError):
            while True:  # what a killed process leaves becomes a child of this one
                self._kill()
                os.waitpid(-1, 0)
        self._pid = self._socket = None
        self._to_student.clear()
        self._wipe()

    def _wipe(self) -> None:
        try:
            watch.wipe(self._temp)
            if self._apart:
                watch.wipe("/dev/shm")
        except OSError:
            self._leave()  # the next warm process has fresh folders

    def _leave(self) -> NoReturn:
        if self._pid is not None:
            self._kill()
        os._exit(0)


if __name__ == "__main__":
    main()
