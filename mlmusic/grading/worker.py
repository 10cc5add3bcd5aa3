"""A process that marks one submission after the other, and the client that starts it.

The worker runs the instructor's cells once and keeps a sandbox warm. For each submission it forks
a child that reads the notebook and runs the tests: whatever a submission brings about, it happens
to the child, and the worker reports what was known by then.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from mlmusic.grading.assignment import Assignment
from mlmusic.grading.limits import Limits
from mlmusic.grading.marking import (
    Marker,
    NeedsReference,
    Reference,
    add_up,
    blank_result,
    sandbox_options,
)
from mlmusic.grading.sandbox import Sandbox, SandboxUnavailable

_GRACE = 15.0  # seconds beyond a submission's own limit: for reading it, and for a busy machine
_START = "import sys; sys.path[:] = [p for p in sys.path if p] + [{!r}]; " + (
    "from mlmusic.grading.worker import serve; serve()"
)
_FAULTS = {"ValueError": ValueError, "SandboxUnavailable": SandboxUnavailable}


class Worker:
    """A worker process, from the side that gives it work. One submission at a time.

    Parameters
    ----------
    source : bytes
        The assignment's source notebook.
    name : str
        Its file name, for messages.
    sandbox : str
        The kind of isolation: auto, bwrap, landlock, docker or none.
    forbidden : iterable of paths
        What students' code must not be able to read.
    limits : Limits, optional
        Instead of the assignment's own.

    Attributes
    ----------
    kind : str
        The kind of isolation that is used.

    Raises
    ------
    ValueError
        If the source can't be graded, or a forbidden path would be readable.
    SandboxUnavailable
        If this kind of isolation doesn't work here.
    """

    def __init__(
        self,
        source: bytes,
        name: str,
        *,
        sandbox: str = "auto",
        forbidden: Iterable[str | Path] = (),
        limits: Limits | None = None,
    ) -> None:
        self._source, self._name = source, name
        self._setting = {
            "name": name,
            "sandbox": sandbox,
            "forbidden": [str(path) for path in forbidden],
            "limits": asdict(limits) if limits else None,
        }
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.kind = ""
        self._patience = 0.0
        self._start()

    def mark(self, data: bytes, seed: int) -> dict[str, Any]:
        """Mark a submission.

        Parameters
        ----------
        data : bytes
            The file that was handed in.
        seed : int
            Tests draw their numbers from it.

        Returns
        -------
        dict
            The result; never an error because of what a submission does.

        Raises
        ------
        ValueError
            If the worker has been closed.
        SandboxUnavailable
            If the sandbox was lost, and no new one can be had.
        """
        with self._lock:
            if not self._patience:
                raise ValueError("this worker has been closed")
            for _ in range(2):
                if self._process is None:
                    self._start()
                try:
                    answer, _ = self._exchange({"seed": seed}, data)
                except (EOFError, OSError):
                    self._end()
                    continue
                if not answer["reusable"]:  # no fork here: a process for each submission
                    self._end()
                return answer["result"]
        result = blank_result(Assignment.from_bytes(self._source, self._name))
        result["flags"].append({"kind": "died", "detail": "it ended the grading process, twice"})
        return result

    def close(self) -> None:
        """End the worker and everything that it has started."""
        with self._lock:
            self._patience = 0.0
            self._end()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        home = str(Path(__file__).resolve().parents[2])
        changes = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
        self._process = subprocess.Popen(
            # Not with -m: that would import from the current folder, where submissions may lie.
            [sys.executable, "-c", _START.format(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **changes},
            start_new_session=True,
        )
        self._patience = 600.0
        try:
            answer, _ = self._exchange(self._setting, self._source)
        except (EOFError, OSError):
            self._end()
            raise RuntimeError("the grading process ended while it was starting") from None
        if "fault" in answer:
            self._end()
            raise _FAULTS.get(answer["fault"], RuntimeError)(answer["message"])
        self.kind = answer["kind"]
        # The submission, perhaps the solution, and the submission again.
        self._patience = 3 * (answer["total"] + _GRACE) + 300.0

    def _exchange(self, header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        process = self._process
        watch = threading.Timer(self._patience, process.kill)
        watch.daemon = True
        watch.start()
        try:
            write_frame(process.stdin, header, data)
            return read_frame(process.stdout)
        finally:
            watch.cancel()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                if hasattr(os, "killpg"):
                    os.killpg(process.pid, signal.SIGKILL)
                process.kill()
            process.wait()
        process.stdout.close()


def write_frame(stream: BinaryIO, header: dict[str, Any], data: bytes = b"") -> None:
    """Write a header and bytes to a pipe."""
    text = json.dumps(header).encode()
    stream.write(struct.pack("<QQ", len(text), len(data)) + text)
    stream.write(data)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read what `write_frame` has written; EOFError at the end."""

    def read(size: int) -> bytes:
        data = stream.read(size)
        if len(data) < size:
            raise EOFError
        return data

    lengths = struct.unpack("<QQ", read(16))
    return json.loads(read(lengths[0])), read(lengths[1])


# The worker itself ------------------------------------------------------------------------------


def serve() -> None:
    """Answer the client's frames on the standard streams until they end."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)  # whatever a test prints, it isn't an answer
    setting, source = read_frame(requests)
    with tempfile.TemporaryDirectory(prefix="mlmusic-tests-") as folder:
        os.chdir(folder)
        try:
            server = _Server(setting, source, requests)
        except (ValueError, SandboxUnavailable) as error:
            fault = {"fault": type(error).__name__, "message": str(error)}
            write_frame(replies, fault)
            return
        try:
            write_frame(replies, {"kind": server.sandbox.kind, "total": server.marker.limits.total})
            while True:
                server.prepare()
                header, data = read_frame(requests)
                result = server.mark(data, header["seed"])
                write_frame(replies, {"result": result, "reusable": server.forks})
        except (EOFError, BrokenPipeError):
            pass  # the client is gone
        finally:
            server.sandbox.close()
            os.chdir("/")


class _Server:
    def __init__(self, setting: dict[str, Any], source: bytes, requests: BinaryIO) -> None:
        assignment = Assignment.from_bytes(source, setting["name"])
        limits = Limits(**setting["limits"]) if setting["limits"] else assignment.limits
        options = {**sandbox_options(assignment), "limits": limits}
        self.forks = hasattr(os, "fork")
        self._requests = requests
        self._source = source
        self._reference: Reference | None = None
        self._ready = False

        def open_sandbox() -> Sandbox:
            return Sandbox(setting["sandbox"], forbidden=setting["forbidden"], **options)

        if setting["sandbox"] == "none":
            self.sandbox = open_sandbox()  # its warning must not get lost
            self.marker = Marker(assignment, limits)
        else:
            with ThreadPoolExecutor(1) as executor:
                opening = executor.submit(open_sandbox)
                try:
                    self.marker = Marker(assignment, limits)
                finally:
                    self.sandbox = opening.result()
        gc.collect()
        gc.freeze()  # so that the children share it

    def prepare(self) -> None:
        """Have a fresh student's process ready before there is anything to mark."""
        with contextlib.suppress(SandboxUnavailable):
            self.sandbox.start()
            self._ready = True

    def mark(self, data: bytes, seed: int) -> dict[str, Any]:
        """Mark a submission; whatever happens, return a result."""
        is_solution = data == self._source
        known = self._reference if self._reference and self._reference.seed == seed else None
        if is_solution or known:
            return self._once(data, seed, known, record=is_solution)[0]
        result, needs_reference = self._once(data, seed, None)
        if needs_reference:
            self._once(self._source, seed, None, record=True)
            known = self._reference or Reference(seed)
            result, _ = self._once(data, seed, known)
        return result

    def _once(
        self, data: bytes, seed: int, reference: Reference | None, record: bool = False
    ) -> tuple[dict[str, Any], bool]:
        known = _Known(self.marker.assignment)
        if not self._ready:
            try:
                self.sandbox.start()
            except SandboxUnavailable as error:
                known.result["flags"].append({"kind": "sandbox", "detail": str(error)})
                return known.result, False
        self._ready = False

        def work(tell: Callable[[dict[str, Any]], None]) -> None:
            noted = Reference(seed) if record else None
            try:
                result = self.marker.mark(
                    data,
                    self.sandbox,
                    seed,
                    reference=None if record else reference,
                    record=noted,
                    progress=tell,
                )
            except NeedsReference:
                tell({"needs": "reference"})
            except SandboxUnavailable as error:
                tell({"fault": "sandbox", "detail": str(error)})
            except MemoryError:
                tell({"fault": "died", "detail": "marking it took too much memory"})
            except BaseException as error:
                tell({"fault": "died", "detail": f"marking it failed: {type(error).__name__}"})
            else:
                if noted is not None:
                    tell({"reference": noted.as_json()})
                tell({"done": result})

        if self.forks:
            self._in_a_child(work, known)
        else:
            work(known.learn)
        if known.reference is not None:
            self._reference = known.reference
        if not self._ready:
            self.prepare()
        return known.result, known.needs_reference

    def _in_a_child(self, work: Callable[..., None], known: _Known) -> None:
        """Run the work in a fork and learn what it tells; end it when its time is over."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reading)
                _confine(self.marker.limits)
                with os.fdopen(writing, "wb") as pipe:
                    work(lambda event: write_frame(pipe, event))
            finally:
                os._exit(0)
        os.close(writing)
        deadline = time.monotonic() + self.marker.limits.total + _GRACE
        received = bytearray()
        try:
            while True:
                left = deadline - time.monotonic()
                ready = select.select([reading, self._requests], [], [], max(0.0, left))[0]
                if reading in ready:
                    piece = os.read(reading, 1 << 20)
                    if not piece:
                        break
                    received += piece
                    known.learn_all(received)
                elif ready:
                    raise EOFError  # no request can come now: the client is gone
                else:
                    known.learn({"fault": "timeout", "detail": "marking it took too long"})
                    break
        finally:
            os.close(reading)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        if not known.finished:
            how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "no reason given"
            known.learn({"fault": "died", "detail": f"marking it ended the process ({how})"})


class _Known:
    """What a child has told so far about a submission."""

    def __init__(self, assignment: Assignment) -> None:
        self.result = blank_result(assignment)
        self.reference: Reference | None = None
        self.finished = self.needs_reference = False
        self._running: str | None = None

    def learn_all(self, received: bytearray) -> None:
        """Learn from the frames in a buffer and take them out of it."""
        while len(received) >= 16:
            length, _ = struct.unpack_from("<QQ", received)
            if len(received) < 16 + length:
                return
            event = json.loads(bytes(received[16 : 16 + length]))
            del received[: 16 + length]
            self.learn(event)

    def learn(self, event: dict[str, Any]) -> None:
        """Learn from one event."""
        if "result" in event:
            self.result = event["result"]
        elif "running" in event:
            self._running = event["running"]
        elif "test" in event:
            self._entry(event["test"]["id"]).update(event["test"])
            self._running = None
        elif "reference" in event:
            self.reference = Reference.from_json(event["reference"])
        elif "done" in event:
            self.result, self.finished = event["done"], True
        elif "needs" in event:
            self.finished = self.needs_reference = True
        elif "fault" in event and not self.finished:
            self.finished = True
            flag = {"kind": event["fault"], "detail": event["detail"]}
            self.result["flags"].append(flag)
            if self._running is not None:
                outcome = "timeout" if event["fault"] == "timeout" else "died"
                entry = self._entry(self._running)
                entry.update(outcome=outcome, score=0.0, message=event["detail"])
            add_up(self.result)

    def _entry(self, test: str) -> dict[str, Any]:
        entries = [e for task in self.result["tasks"] for e in task["tests"]]
        return next(entry for entry in entries if entry["id"] == test)


def _confine(limits: Limits) -> None:
    """Limit a child's memory, and let it end with the worker."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform.startswith("linux"):
        from mlmusic.grading.sandbox import linux

        linux.die_with_parent()
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = Path("/proc/self/statm").read_text().split()[5]  # data and stack
        most = int(pages) * resource.getpagesize() + limits.memory
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
