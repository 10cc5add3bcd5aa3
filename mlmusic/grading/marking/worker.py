"""A process that marks submissions, from the side that gives it work."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from mlmusic.grading.limits import Limits
from mlmusic.grading.marking.results import blank_result
from mlmusic.grading.sandbox import SandboxUnavailable
from mlmusic.grading.source.assignment import Assignment

GRACE = 15.0  # seconds beyond a submission's own limit: for reading it, and for a busy machine
_START = "import sys; sys.path[:] = [p for p in sys.path if p] + [{!r}]; " + (
    "from mlmusic.grading.marking.server import serve; serve()"
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
        home = str(Path(__file__).resolve().parents[3])
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
        self._patience = 3 * (answer["total"] + GRACE) + 300.0

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
