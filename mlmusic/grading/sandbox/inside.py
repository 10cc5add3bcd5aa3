"""The warm process in the sandbox: imports everything once, forks one process for each student.

It runs until the trusted side closes its standard input.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from mlmusic.grading.sandbox import linux, watch
from mlmusic.grading.sandbox.frames import Frames

_TICK = 0.2  # seconds between two looks at what a student uses
_ENOUGH = 1 << 18  # bytes that wait for the trusted side before a student is read no further
_PIECE = 1 << 16
_FONTS = ".matplotlib"  # where its list of fonts is kept


def main() -> None:
    """Run until the standard input ends."""
    frames = Frames(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    setting = json.loads(frames.first()[1])
    if sys.platform.startswith("linux"):
        _settle(setting)
    zygote = Zygote(frames, setting)
    with _leaving_when_alone(frames, zygote.leave):
        errors = zygote.warm()
    zygote.try_out()
    frames.tell(b"R", json.dumps(errors).encode())
    try:
        zygote.run()
    except (BrokenPipeError, EOFError):
        zygote.leave()


def _settle(setting: dict[str, Any]) -> None:
    """Make sure that this process can't be disturbed, and leaves nothing behind."""
    # Where everything else is killed after each student, that must not be the whole machine.
    apart = os.readlink("/proc/self/ns/pid") != setting["pid_namespace"]
    if setting["kind"] in ("bwrap", "docker") and not apart:
        sys.exit("there is no PID namespace of its own")
    linux.adopt_orphans()
    if setting["user"] is not None:
        os.setgroups([])
        os.setresgid(*[setting["user"]] * 3)
        os.setresuid(*[setting["user"]] * 3)
    linux.set_dumpable(False)  # which a change of user undoes


@contextlib.contextmanager
def _leaving_when_alone(frames: Frames, leave: Callable[[], NoReturn]) -> Iterator[None]:
    """Leave when the trusted side is gone, even in the middle of a public cell."""
    hang_up = select.poll()
    hang_up.register(frames.requests, 0)
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            if hang_up.poll(200):
                leave()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()  # a fork must not find other threads at work


class Zygote:
    """Forks students, relays between them and the trusted side, and cleans up after them."""

    def __init__(self, frames: Frames, setting: dict[str, Any]) -> None:
        self._frames = frames
        self._setting = setting
        self._temp: str = setting["temp"]
        self._apart = setting["kind"] in ("bwrap", "docker")  # in a PID namespace of its own
        self._cells: Any = None
        self._files: dict[str, bytes | None] = {}
        self._folder = self._temp
        self._random: Any = None
        self._baseline = 0  # bytes of memory that every student starts with
        self._pid: int | None = None
        self._status: int | None = None
        self._killed_for = ""
        self._socket: socket.socket | None = None
        self._to_student = bytearray()

    def warm(self) -> list[str | None]:
        """Import the modules and run the public cells; return each cell's error, or None."""
        from mlmusic.grading.sandbox import confine, student
        from mlmusic.grading.sandbox.cells import Cells

        os.chdir(self._temp)
        lists = {os.path.join(_FONTS, name): text for name, text in self._setting["files"].items()}
        watch.restore(self._temp, {_FONTS: None} | {n: t.encode() for n, t in lists.items()})
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
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # The kernel keeps signals without a handler from the first process of a namespace.
            signal.signal(number, signal.SIG_DFL)
        if not self._apart:
            signal.signal(signal.SIGTERM, lambda *_: self.leave())
            if sys.platform.startswith("linux"):
                linux.die_with_parent(signal.SIGTERM)
        # What public cells have written is there for every student.
        self._files = watch.snapshot(self._temp)
        self._folder = os.getcwd()
        self._random = random.getstate()
        os.chdir(self._temp)
        self._wipe()
        gc.collect()
        gc.freeze()  # what is there stays shared between all students
        self._baseline = watch.memory(["self"])
        return errors

    def try_out(self) -> None:
        """Confine a process, and end if that fails: then no student's code may run."""
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

    def run(self) -> None:
        """Relay until the trusted side is gone."""
        frames = self._frames
        look = time.monotonic() + _TICK
        while True:
            reading: list[Any] = [frames.requests]
            writing: list[Any] = [frames.replies] if frames.waiting else []
            if self._socket is not None:
                if frames.waiting < _ENOUGH:
                    reading.append(self._socket)
                if self._to_student:
                    writing.append(self._socket)
            # Waiting for ever is right only where nobody has to be looked after.
            timeout = None if self._pid is None else max(0.0, look - time.monotonic())
            readable, writable, _ = select.select(reading, writing, [], timeout)
            if frames.replies in writable:
                frames.write()
            if self._socket in writable:
                self._push()
            if self._socket in readable:
                self._pull()
            if frames.requests in readable:  # last: it may end the student
                self._hear()
            if time.monotonic() >= look:
                look = time.monotonic() + _TICK
                self._look()

    def _hear(self) -> None:
        for letter, body in self._frames.read():
            if letter == b"F":
                self._fork()
            elif letter == b"D" and self._socket is not None:
                self._to_student += body
            elif letter == b"K":
                self._end()
                self._frames.tell(b"S", body)

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
            self._frames.tell(b"D", data)
            return
        self._conclude()

    def _conclude(self) -> None:
        """Tell how a student ended that ends, or has closed its connection."""
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
        self._frames.tell(b"X", self._how_it_ended().encode())

    def _how_it_ended(self) -> str:
        if self._killed_for:
            return self._killed_for
        if os.WIFSIGNALED(self._status):
            number = os.WTERMSIG(self._status)
            if number == signal.SIGXCPU:
                return "it used up its computing time"
            if number in (signal.SIGSEGV, signal.SIGBUS):
                return "it crashed (an access to memory that isn't there, or too deep a recursion)"
            names = {known.value: known.name for known in signal.Signals}
            return f"it was ended by {names.get(number, f'signal {number}')}"
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
        self._frames.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        watch.restore(self._temp, self._files)
        with contextlib.suppress(OSError):  # it was a link, or lies elsewhere
            os.chdir(self._folder)
        random.setstate(self._random)  # Python seeds it anew in every fork
        confine.confine(self._setting, zygote)
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
        if self._socket is not None and self._status is not None:
            self._conclude()  # others that it has started may still hold its connection
        elif self._socket is not None and not self._killed_for:
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
            targets = watch.children(os.getpid())
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
        self._kill_all()
        self._pid = self._socket = None
        self._to_student.clear()
        self._wipe()

    def _kill_all(self) -> None:
        """Kill until nothing is left: what a killed process leaves is a child of this one."""
        with contextlib.suppress(ChildProcessError):
            while True:
                self._kill()
                os.waitpid(-1, 0)

    def _wipe(self) -> None:
        try:
            watch.wipe(self._temp)
            if self._apart:
                watch.wipe("/dev/shm")
        except OSError as error:
            os.write(2, f"a temporary folder can't be emptied: {error}\n".encode())
            self.leave()  # the next warm process has fresh folders

    def leave(self) -> NoReturn:
        """End, with all that the student has left."""
        if self._pid is not None:
            self._kill_all()
        if not self._apart:
            with contextlib.suppress(OSError):
                watch.wipe(self._temp)
                os.rmdir(self._temp)
        os._exit(0)


if __name__ == "__main__":
    main()
