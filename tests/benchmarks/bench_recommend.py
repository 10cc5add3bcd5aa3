"""Recommenders: fit and a list for every listener, against implicit, and memory with a million."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from mlmusic import datasets
from mlmusic.listeners import simulate
from mlmusic.metrics import ranking
from mlmusic.models.recommend import ALS, ItemKNN, Recommender
from mlmusic.models.recommend.content import tune_features
from mlmusic.plays import Plays, hold_out

FACTORS, ITERATIONS, ALPHA, REGULARIZATION = 64, 15, 10.0, 10.0
NEIGHBORS, LISTED = 100, 20
LIMIT = 2.0  # GB that a million plays may take
MILLION = """
import resource
import numpy as np
from mlmusic.models.recommend import ALS, ItemKNN
from mlmusic.plays import Plays

random = np.random.default_rng(0)
user = np.repeat(np.arange(20_000), 50)
item = np.minimum(15_000 * random.random(len(user)) ** 3, 14_999).astype(int)
plays = Plays(user, item, random.integers(1, 100, len(user)), range(20_000), range(15_000))
lists = {METHOD}.fit(plays).recommend_all(20)
assert lists.shape == (20_000, 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def run() -> list[dict]:
    """Measure both on the same simulated plays, one thread, in turns."""
    scores = [*datasets.tunes().all, *datasets.folksongs().all]
    items, features = [score.meta["source"] for score in scores], tune_features(scores)
    costs = []
    for _ in range(3):
        began = time.process_time()
        plays = simulate(items, features, seed=0).plays
        costs.append(time.process_time() - began)
    simulated = min(costs) / len(plays) * 100_000
    train, test = hold_out(plays, 0.2, seed=0)
    hidden = [row.indices for row in test.matrix()]
    rows = []
    try:
        import implicit  # noqa: F401
    except ImportError:
        rows.append({"row": "recommend", "note": "implicit isn't installed: skipped"})
    else:
        table = train.matrix().astype(np.float32)
        of = (
            f"{len(train):,} plays of {len(plays.users):,} listeners and {len(plays.items):,} tunes"
        )
        als = ALS(FACTORS, ALPHA, REGULARIZATION, ITERATIONS)
        knn = ItemKNN(NEIGHBORS)
        for what, model, peer in ((f"ALS, {of}", als, _their_als), ("item-kNN", knn, _their_knn)):
            ours, theirs = partial(_ours, model, train), partial(peer, table)
            rows.append(_row(what, ours, theirs, hidden))
    rows.append(
        {
            "row": "recommend: 100,000 plays simulated",
            "ours": f"{simulated:.2f} s",
            "note": f"of {len(plays):,}; CPU seconds, one thread; the limit is 2 s",
        }
    )
    return [*rows, *(_memory(method) for method in ("ALS()", "ItemKNN()"))]


def _ours(model: Recommender, train: Plays) -> np.ndarray:
    return model.fit(train).recommend_all(LISTED)


def _their_als(table) -> np.ndarray:
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=FACTORS,
        regularization=REGULARIZATION,
        alpha=ALPHA + 1,  # its confidence is alpha, ours 1 + alpha
        iterations=ITERATIONS,
        num_threads=1,
        random_state=0,
    )
    model.fit(table, show_progress=False)
    return model.recommend(np.arange(table.shape[0]), table, N=LISTED)[0]


def _their_knn(table) -> np.ndarray:
    from implicit.nearest_neighbours import CosineRecommender

    model = CosineRecommender(K=NEIGHBORS + 1, num_threads=1)  # an item is its own neighbour
    model.fit(table, show_progress=False)
    return model.recommend(np.arange(table.shape[0]), table, N=LISTED)[0]


def _row(what: str, ours: Callable, theirs: Callable, hidden: list) -> dict:
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    recall = {}
    for _ in range(3):
        for name, call in (("ours", ours), ("theirs", theirs)):
            began = time.process_time()
            lists = call()
            times[name].append(time.process_time() - began)
            recall[name] = ranking.mean(ranking.recall(_distinct(lists), hidden))
    fastest = {name: min(values) for name, values in times.items()}
    return {
        "row": f"recommend: {what}: fit and {LISTED} for everybody, against implicit",
        "ours": f"{fastest['ours']:.2f} s",
        "peer": f"{fastest['theirs']:.2f} s",
        "ratio": fastest["theirs"] / fastest["ours"],
        "note": f"recall@{LISTED} {recall['ours']:.3f} against {recall['theirs']:.3f}; simulated"
        " listeners; same factors, iterations, confidence, neighbours; CPU seconds, one thread",
    }


def _distinct(lists: np.ndarray) -> np.ndarray:
    """Mark what an item-kNN list is filled up with where it has no more to recommend."""
    lists = np.array(lists, np.int64)
    for row in lists:
        first = np.unique(row, return_index=True)[1]
        row[np.setdiff1d(np.arange(len(row)), first)] = -1
    return lists


def _memory(method: str) -> dict:
    code = MILLION.replace("{METHOD}", method)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    peak = float(done.stdout)
    assert peak <= LIMIT, f"{method} took {peak:.2f} GB"
    return {
        "row": f"recommend: peak memory of {method.rstrip('()')}, 1,000,000 plays",
        "ours": f"{peak:.2f} GB",
        "note": f"20,000 users, 15,000 items drawn by lot; fit and {LISTED} for everybody; the"
        f" limit is {LIMIT:g} GB",
    }


if __name__ == "__main__":
    for row in run():
        print(row)
