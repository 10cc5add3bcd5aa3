"""Marking side by side gives what marking one by one gives, here and on a cluster."""

import sys
import threading
import time
import types
from dataclasses import dataclass

import pytest

from mlmusic.grading.limits import Limits
from mlmusic.grading.runs import executors
from mlmusic.grading.runs.executors import Done, Job, LocalExecutor, Recipe
from mlmusic.grading.runs.finding import Unreadable
from tests.grading.runs import fake_worker as fake


@dataclass(frozen=True)
class FakeRecipe(Recipe):
    """A recipe for a fake worker, which a Dask worker can follow, too."""

    def start(self):
        if self.sandbox == "docker":
            raise RuntimeError("docker isn't installed here")
        return fake.FakeWorker(self)


def recipe(sandbox="auto"):
    return FakeRecipe(fake.source(), "ps1.ipynb", sandbox, (), Limits())


def unreadable():
    raise Unreadable("damaged in the zip")


def jobs():
    """Return notebooks that go well, badly, slowly and not at all."""
    data = {f"student {i}": fake.notebook(["scale"] if i % 2 else []) for i in range(12)}
    data |= {"slow": fake.notebook(sleep=0.3), "boom": fake.notebook(crash=True)}
    found = [Job(name, lambda content=content: content, 7) for name, content in data.items()]
    return [*found, Job("damaged", unreadable, 7)]


def plain(done):
    """Return what must not depend on who marked it."""
    return done.key, done.result, done.sha256, done.sandbox, done.fault


@pytest.fixture
def expected():
    worker = fake.FakeWorker(recipe())
    found = sorted(plain(executors.mark(worker, job)[0]) for job in jobs())
    worker.close()
    return found


@pytest.mark.parametrize("count", [1, 3, 40])
def test_threads_give_the_same_results(expected, count):
    executor = LocalExecutor(recipe().start, count)
    assert sorted(map(plain, executor.run(jobs()))) == expected
    executor.close()
    assert fake.FakeWorker.alive == 0


def test_what_is_marked_once_is_described(expected):
    by_name = {key: (result, sha256, kind, fault) for key, result, sha256, kind, fault in expected}
    result, sha256, kind, fault = by_name["student 1"]
    assert (result["score"], len(sha256), kind, fault) == (2.0, 64, "fake", None)
    result, sha256, _, fault = by_name["boom"]
    assert result is None and len(sha256) == 64
    assert fault == ("grader", "BrokenPipeError: the worker is gone")
    assert by_name["damaged"] == (None, "", "", ("unreadable", "damaged in the zip"))


def test_every_thread_starts_one_worker_and_a_new_one_after_a_crash():
    started = []

    def start():
        started.append(threading.current_thread().name)
        return recipe().start()

    executor = LocalExecutor(start, 2)
    assert len(list(executor.run(jobs()))) == 15
    executor.close()
    assert 1 <= len(set(started)) <= 2 and len(started) <= 3


def test_what_runs_for_long_is_told(monkeypatch):
    monkeypatch.setattr(executors, "TICK", 0.05)
    heard = []
    executor = LocalExecutor(recipe().start, 1)
    slow = Job("slow", lambda: fake.notebook(sleep=0.5), 1)
    assert len(list(executor.run([slow], heard.append))) == 1
    seconds = [running["slow"] for running in heard if running]
    assert seconds == sorted(seconds) and 0.1 < seconds[-1] < 5


def test_a_sandbox_that_cannot_be_used_ends_it():
    executor = LocalExecutor(recipe("docker").start, 2)
    with pytest.raises(RuntimeError, match="docker isn't installed here"):
        list(executor.run(jobs()))
    executor.close()
    assert fake.FakeWorker.alive == 0


def test_closing_in_the_middle_ends_the_workers():
    executor = LocalExecutor(recipe().start, 2)
    run = executor.run(Job(str(i), lambda: fake.notebook(sleep=0.2), 1) for i in range(1000))
    assert isinstance(next(run), Done)
    executor.close()
    assert fake.FakeWorker.alive == 0


# With Dask


@pytest.fixture(scope="module")
def cluster():
    """Start two worker processes on this computer."""
    distributed = pytest.importorskip("distributed", reason="Dask is the extra 'cluster'")
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=2,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs="ERROR",
    )
    yield cluster
    cluster.close()


def test_a_cluster_that_goes_away(monkeypatch):
    distributed = pytest.importorskip("distributed", reason="Dask is the extra 'cluster'")
    from mlmusic.grading.runs import cluster as module

    monkeypatch.setattr(module, "_PATIENCE", 2)
    cluster = distributed.LocalCluster(
        n_workers=1, processes=True, host="127.0.0.1", dashboard_address=None
    )
    executor = module.DaskExecutor(cluster.scheduler_address, recipe())
    run = executor.run(Job(str(i), lambda: fake.notebook(sleep=0.1), 1) for i in range(1000))
    assert next(run).result
    cluster.close()
    with pytest.raises(ConnectionError, match="the Dask cluster is gone; what is graded is safe"):
        list(run)
    executor.close()


def test_a_cluster_gives_the_same_results(cluster, expected):
    from mlmusic.grading.runs.cluster import DaskExecutor

    executor = DaskExecutor(cluster.scheduler_address, recipe())
    assert sorted(map(plain, executor.run(jobs()))) == expected
    executor.close()
    with cluster.get_client() as client:
        kept = client.run(lambda: len(sys.modules["mlmusic.grading.runs.cluster"]._there))
    assert sum(kept.values()) == 0, "its workers have been ended"


def test_a_cluster_that_cannot_sandbox_ends_it(cluster):
    from mlmusic.grading.runs.cluster import DaskExecutor

    executor = DaskExecutor(cluster.scheduler_address, recipe("docker"))
    with pytest.raises(RuntimeError, match="a Dask worker can't grade: docker isn't installed"):
        list(executor.run(jobs()))
    executor.close()


def test_a_notebook_that_kills_the_cluster_s_workers_is_flagged(cluster):
    distributed = pytest.importorskip("distributed")
    from mlmusic.grading.runs.cluster import DaskExecutor

    executor = DaskExecutor(cluster.scheduler_address, recipe())
    error = distributed.KilledWorker("mark", None, 3)
    future = types.SimpleNamespace(status="error", exception=lambda: error)
    done = executor._result(future, "ada")
    assert (done.result, done.fault) == (None, ("grader", "the Dask workers that marked it died"))
    executor.close()


def test_a_cluster_with_other_versions_is_refused(cluster, monkeypatch):
    from mlmusic.grading.runs import cluster as module

    ours = executors.versions() | {"numpy": "0.1"}
    real = module.versions
    monkeypatch.setattr(module, "versions", lambda: ours)
    monkeypatch.setattr(module, "_versions_there", real)
    with pytest.raises(ValueError, match=r"the Dask worker .* has numpy .*, this computer 0\.1"):
        module.DaskExecutor(cluster.scheduler_address, recipe())


def test_a_cluster_that_does_not_answer(monkeypatch):
    pytest.importorskip("distributed", reason="Dask is the extra 'cluster'")
    from mlmusic.grading.runs import cluster as module

    monkeypatch.setattr(module, "_PATIENCE", 1)
    begin = time.monotonic()
    for address in ("tcp://127.0.0.1:9", "127.0.0.1", "nonsense://x", "127.0.0.1:many"):
        with pytest.raises(ConnectionError, match=f"no Dask scheduler answers at {address}"):
            module.DaskExecutor(address, recipe())
    assert time.monotonic() - begin < 60


def test_a_cluster_needs_dask(monkeypatch):
    from mlmusic.grading.runs.cluster import DaskExecutor

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mlmusic\[cluster\]'"):
        DaskExecutor("tcp://127.0.0.1:9", recipe())
