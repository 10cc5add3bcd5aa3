"""Mark submissions side by side on this computer's cores.

An executor's `run` takes jobs and gives their results in the order in which they come; its `close`
ends every worker. One worker marks one submission at a time and takes seconds to start, so each
thread keeps its own until the end. `mlmusic.grading.runs.cluster` does the same with Dask.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from mlmusic.grading.limits import Limits
from mlmusic.grading.runs.finding import Unreadable

TICK = 1.0  # seconds between two looks at what is still running
_PATIENCE = 2.0  # seconds that a worker may take to end
_PACKAGES = ("mlmusic", "ipython", "numpy", "torch")


class Marker(Protocol):
    """What marks one submission at a time: `mlmusic.grading.marking.worker.Worker`."""

    kind: str

    def mark(self, data: bytes, seed: int) -> dict[str, Any]:
        """Return the result of one notebook."""

    def close(self) -> None:
        """End its processes."""


@dataclass(frozen=True)
class Recipe:
    """What a worker needs to start, wherever it does.

    Parameters
    ----------
    source : bytes
        The source notebook.
    name : str
        The assignment's name.
    sandbox : str
        ``"auto"`` or a kind of sandbox.
    forbidden : tuple of str
        Files and folders that student code must not be able to read.
    limits : Limits
        What a submission may use.
    """

    source: bytes
    name: str
    sandbox: str
    forbidden: tuple[str, ...]
    limits: Limits

    def start(self) -> Marker:
        """Start a worker.

        Raises
        ------
        RuntimeError
            If the sandbox can't be used here; the message says why.
        """
        from mlmusic.grading.marking.worker import Worker

        return Worker(
            self.source,
            self.name,
            sandbox=self.sandbox,
            forbidden=self.forbidden,
            limits=self.limits,
        )


@dataclass(frozen=True)
class Job:
    """One notebook to mark: a name to know it by, how to read it, and the seed of the tests."""

    key: str
    read: Callable[[], bytes]
    seed: int


@dataclass(frozen=True)
class Done:
    """A marked notebook.

    Parameters
    ----------
    key : str
        The job's.
    result : dict or None
        What the worker found; None if it found nothing, and then `fault` says why.
    sha256 : str
        Of the bytes that were marked; "" if they couldn't be read.
    sandbox : str
        The kind of sandbox that was used.
    seconds : float
        How long it took.
    fault : tuple of str, optional
        Kind and detail of the flag, if there is no result.
    """

    key: str
    result: dict[str, Any] | None
    sha256: str = ""
    sandbox: str = ""
    seconds: float = 0.0
    fault: tuple[str, str] | None = None


class Executor(Protocol):
    """What marks a batch: `LocalExecutor` here, `cluster.DaskExecutor` elsewhere."""

    def run(
        self, jobs: Iterable[Job], tick: Callable[[dict[str, float]], None] = ...
    ) -> Iterator[Done]:
        """Mark all jobs; `tick` hears every second for how long which ones have been running."""

    def close(self) -> None:
        """Begin no further job, and end the workers."""


class LocalExecutor:
    """Threads of this process, each with a worker of its own.

    Parameters
    ----------
    start : callable
        Starts a worker, such as `Recipe.start`.
    jobs : int
        How many to mark at once.
    """

    def __init__(self, start: Callable[[], Marker], jobs: int) -> None:
        self._start = start
        self._count = max(1, jobs)
        self._todo: Iterator[Job] = iter(())
        self._lock = threading.Lock()
        self._done: queue.SimpleQueue[Done | BaseException | None] = queue.SimpleQueue()
        self._running: dict[str, float] = {}
        self._threads: list[threading.Thread] = []
        self._closed = False

    def run(
        self, jobs: Iterable[Job], tick: Callable[[dict[str, float]], None] = lambda running: None
    ) -> Iterator[Done]:
        """Mark all jobs.

        Parameters
        ----------
        jobs : iterable of Job
            Taken one by one, when a worker is free.
        tick : callable
            Called about every second with the names of the jobs that are running, and their
            seconds.

        Yields
        ------
        Done
            In the order in which they come.

        Raises
        ------
        RuntimeError
            If no worker can be started.
        """
        self._todo = iter(jobs)
        self._threads = [
            threading.Thread(target=self._work, name=f"marking {i + 1}", daemon=True)
            for i in range(self._count)
        ]
        for thread in self._threads:
            thread.start()
        left, ticked = self._count, time.monotonic()
        while left:
            now = time.monotonic()
            if now - ticked >= TICK:
                ticked = now
                tick({key: now - since for key, since in list(self._running.items())})
            try:
                done = self._done.get(timeout=TICK)
            except queue.Empty:
                continue
            if done is None:
                left -= 1
            elif isinstance(done, BaseException):
                raise done
            else:
                yield done

    def _work(self) -> None:
        """Mark jobs until there are none left."""
        worker: Marker | None = None
        try:
            while not self._closed:
                with self._lock:
                    job = next(self._todo, None)
                if job is None:
                    break
                worker = worker or self._start()
                self._running[job.key] = time.monotonic()
                done, healthy = mark(worker, job)
                del self._running[job.key]
                if not healthy:
                    worker.close()
                    worker = None
                self._done.put(done)
        except BaseException as error:  # the sandbox can't be used: nobody's submission is at fault
            self._done.put(error)
        finally:
            if worker:
                worker.close()
            self._done.put(None)

    def close(self) -> None:
        """Begin no further job, and end the workers.

        A worker in the middle of a job ends after it, or with this process: whichever is first.
        """
        self._closed = True
        deadline = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))


def mark(worker: Marker, job: Job) -> tuple[Done, bool]:
    """Mark one job with a worker, whatever happens.

    Returns
    -------
    done : Done
        Its result, or why there is none.
    healthy : bool
        Whether the worker can be used again.
    """
    begin = time.monotonic()
    try:
        data = job.read()
    except Unreadable as error:
        return Done(job.key, None, fault=("unreadable", str(error))), True
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        result = worker.mark(data, job.seed)
    except Exception as error:  # a fault of the grader's own must not end the batch either
        fault = ("grader", f"{type(error).__name__}: {error}"[:300])
        seconds = time.monotonic() - begin
        return Done(job.key, None, sha256, worker.kind, seconds, fault), False
    return Done(job.key, result, sha256, worker.kind, time.monotonic() - begin), True


def versions() -> dict[str, str]:
    """Return the versions that a grade may depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
