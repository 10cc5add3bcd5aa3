"""The worker's process: it marks one submission after the other, each in a fork.

It runs the instructor's cells once and keeps a sandbox warm. For each submission it forks a child
that reads the notebook and runs the tests: whatever a submission brings about, it happens to the
child, and the server reports what was known by then. A test that takes its child down costs that
test; another child goes on behind it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import select
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from mlmusic.grading.limits import Limits
from mlmusic.grading.marking.mark import Marker, sandbox_options
from mlmusic.grading.marking.reference import NeedsReference, Reference
from mlmusic.grading.marking.results import add_up, blank_result
from mlmusic.grading.marking.worker import GRACE, read_frame, write_frame
from mlmusic.grading.sandbox import Sandbox, SandboxUnavailable
from mlmusic.grading.source.assignment import Assignment

_MOST_FAULTS = 4  # tests that take a child down before no other one goes on


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
        """Mark once; go on after a test that took the child down, as long as there is time."""
        deadline = time.monotonic() + self.marker.limits.total
        known = _Known(self.marker.assignment)
        known.more = True
        while known.more:
            known.more = False
            left = deadline - time.monotonic()
            if not known.settled or left > 1:
                self._attempt(data, seed, reference, record, known, left)
        return known.result, known.needs_reference

    def _attempt(
        self,
        data: bytes,
        seed: int,
        reference: Reference | None,
        record: bool,
        known: _Known,
        seconds: float,
    ) -> None:
        if not self._ready:
            try:
                self.sandbox.start()
            except SandboxUnavailable as error:
                known.learn({"fault": "sandbox", "detail": str(error)})
                return
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
                    seconds=seconds,
                    settled=known.settled,
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
            self._in_a_child(work, known, seconds)
        else:
            work(known.learn)
        if known.reference is not None:
            self._reference = known.reference

    def _in_a_child(self, work: Callable[..., None], known: _Known, seconds: float) -> None:
        """Run the work in a fork and learn what it tells; end it when its time is over."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reading)
                gc.set_threshold(50_000)  # it lives for a moment; looking for cycles takes longer
                _confine(self.marker.limits)
                with os.fdopen(writing, "wb") as pipe:
                    work(lambda event: write_frame(pipe, event))
            finally:
                os._exit(0)
        os.close(writing)
        deadline = time.monotonic() + seconds + GRACE
        received = bytearray()
        try:
            while True:
                until = min(deadline, known.running_since + self.marker.limits.cell + GRACE)
                left = until - time.monotonic()
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
                    known.learn({"fault": "timeout", "detail": "a test could not be ended"})
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
        self.finished = self.needs_reference = self.more = False
        self.settled: dict[str, dict[str, Any]] = {}
        self.running_since = math.inf
        self._running: str | None = None
        self._faults: list[dict[str, str]] = []

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
            self.finished = False
        elif "running" in event:
            self._running = event["running"]
            self.running_since = time.monotonic() if self._running else math.inf
        elif "test" in event:
            self._settle(event["test"])
        elif "reference" in event:
            self.reference = Reference.from_json(event["reference"])
        elif "done" in event:
            self.result, self.finished = event["done"], True
            self.result["flags"] += self._faults
        elif "needs" in event:
            self.finished = self.needs_reference = True
        elif "fault" in event and not self.finished:
            self._fail(event["fault"], event["detail"])

    def _fail(self, kind: str, detail: str) -> None:
        """Note that a child couldn't finish, and that another one may go on behind its test."""
        self.finished = True
        self._faults.append({"kind": kind, "detail": detail})
        if self._running is not None and kind != "sandbox":
            outcome = "timeout" if kind == "timeout" else "died"
            entry = self._entry(self._running)
            self._settle({**entry, "outcome": outcome, "score": 0.0, "message": detail})
            self.more = len(self._faults) < _MOST_FAULTS
        if not self.more:
            for entry in self.settled.values():
                self._entry(entry["id"]).update(entry)
            self.result["flags"] += self._faults
            add_up(self.result)

    def _settle(self, entry: dict[str, Any]) -> None:
        self.settled[entry["id"]] = entry
        self._running, self.running_since = None, math.inf

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
