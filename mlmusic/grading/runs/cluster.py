"""Mark submissions on the workers of a Dask cluster: ``mlmusic grade --dask ADDRESS``."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mlmusic.grading.runs.executors import TICK, Done, Job, Marker, Recipe, mark, versions
from mlmusic.grading.runs.finding import Unreadable

_PATIENCE = 15  # seconds for a cluster to answer
_TIMEOUTS = (TimeoutError, asyncio.TimeoutError)  # the same only since Python 3.11


class DaskExecutor:
    """The workers of a Dask cluster; each of their threads keeps a worker of its own.

    Parameters
    ----------
    address : str
        The scheduler's, such as ``tcp://10.0.0.5:8786``.
    recipe : Recipe
        What each worker needs to start.

    Raises
    ------
    ModuleNotFoundError
        If ``distributed`` isn't installed.
    ConnectionError
        If nobody answers there, or the cluster has no workers.
    ValueError
        If a worker has other versions of the packages that grades depend on.
    """

    def __init__(self, address: str, recipe: Recipe) -> None:
        try:
            import distributed
        except ModuleNotFoundError as error:
            if error.name != "distributed":
                raise
            raise ModuleNotFoundError(
                "--dask needs Dask: pip install 'mlmusic[cluster]'", name="distributed"
            ) from None
        self._dask = distributed
        self._recipe = recipe
        try:
            # Asked first: a client would start threads of its own, and retry, before it gave up.
            place = distributed.comm.get_address_host_port(address)
            socket.create_connection(place, timeout=_PATIENCE).close()
            self._client = distributed.Client(
                address, timeout=_PATIENCE, set_as_default=False, name="mlmusic"
            )
        except (OSError, *_TIMEOUTS, ValueError) as error:
            raise ConnectionError(f"no Dask scheduler answers at {address}") from error
        try:
            self._check(address)
        except BaseException:
            self._client.close()
            raise

    def _check(self, address: str) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except _TIMEOUTS:
            raise ConnectionError(f"the Dask cluster at {address} has no workers") from None
        try:
            found = self._client.run(_versions_there)
        except Exception:  # unpickling the function failed there
            raise ValueError(
                f"the Dask workers at {address} lack mlmusic: install version "
                f"{versions()['mlmusic']} there, too"
            ) from None
        for where, theirs in sorted(found.items()):
            for name, ours in versions().items():
                if theirs.get(name) != ours:
                    raise ValueError(
                        f"the Dask worker {where} has {name} {theirs.get(name)}, this computer "
                        f"{ours}: install the same there, or grades might differ"
                    )

    def run(
        self, jobs: Iterable[Job], tick: Callable[[dict[str, float]], None] = lambda running: None
    ) -> Iterator[Done]:
        """Mark all jobs; see `LocalExecutor.run`.

        Raises
        ------
        RuntimeError
            If no worker can be started there.
        ConnectionError
            If the cluster is gone.
        """
        todo = iter(jobs)
        sent: dict[Any, tuple[str, float]] = {}  # futures, and which job since when
        finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threads = self._threads()
        while True:
            # A few more than can run, so that nobody waits; not all, so that memory stays small.
            while len(sent) < 2 * threads and (job := next(todo, None)):
                try:
                    data = job.read()
                except Unreadable as error:
                    yield Done(job.key, None, fault=("unreadable", str(error)))
                    continue
                with warnings.catch_warnings():
                    # That megabytes are better scattered. But then they are lost with a worker.
                    warnings.filterwarnings("ignore", message="Sending large graph")
                    future = self._client.submit(
                        _mark_there, self._recipe, job.key, data, job.seed, pure=False
                    )
                sent[future] = (job.key, time.monotonic())
                future.add_done_callback(finished.put)
            if not sent:
                return
            try:
                future = finished.get(timeout=TICK)
            except queue.Empty:
                now, threads = time.monotonic(), self._threads()
                tick({key: now - since for key, since in list(sent.values())[:threads]})
                continue
            key, _ = sent.pop(future)
            yield self._result(future, key)

    def _threads(self) -> int:
        """Return how many submissions the cluster can mark at once; workers come and go."""
        try:
            return max(1, sum(self._client.nthreads().values()))
        except (OSError, *_TIMEOUTS):
            raise _gone() from None

    def _result(self, future: Any, key: str) -> Done:
        if future.status == "finished":
            return future.result()
        if future.status != "error":
            raise _gone()
        error = future.exception()
        if isinstance(error, self._dask.KilledWorker):
            return Done(key, None, fault=("grader", "the Dask workers that marked it died"))
        raise RuntimeError(f"a Dask worker can't grade: {error}")

    def close(self) -> None:
        """End all workers on the cluster and leave it."""
        with contextlib.suppress(OSError, *_TIMEOUTS, RuntimeError):
            self._client.run(_close_there, self._recipe)
        self._client.close(timeout=5)


def _gone() -> ConnectionError:
    return ConnectionError(
        "the Dask cluster is gone; what is graded is safe: run the same command again later"
    )


def _versions_there() -> dict[str, str]:
    """Return the versions on a Dask worker."""
    return versions()


# On a Dask worker: one marker for each of its threads, kept from task to task.
_there: dict[tuple[Recipe, int], Marker] = {}


def _mark_there(recipe: Recipe, key: str, data: bytes, seed: int) -> Done:
    """Mark one notebook in a thread of a Dask worker."""
    slot = (recipe, threading.get_ident())
    worker = _there.get(slot) or _there.setdefault(slot, recipe.start())
    done, healthy = mark(worker, Job(key, lambda: data, seed))
    if not healthy:
        _there.pop(slot, None)
        worker.close()
    return done


def _close_there(recipe: Recipe) -> None:
    """End the markers that a Dask worker keeps."""
    for slot in [slot for slot in list(_there) if slot[0] == recipe]:
        if worker := _there.pop(slot, None):
            worker.close()
