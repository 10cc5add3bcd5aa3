"""How good are the recommenders on a set of plays? What ``mlmusic evaluate recommend`` prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tqdm.auto import tqdm

from mlmusic.metrics import ranking
from mlmusic.models.recommend.base import Recommender
from mlmusic.models.recommend.ease import EASE
from mlmusic.models.recommend.factors import ALS
from mlmusic.models.recommend.neighbors import ItemKNN, UserKNN
from mlmusic.models.recommend.simple import Popularity
from mlmusic.plays import Plays, hold_out

# Of each method, the settings among which validation chooses; the first is its default.
METHODS: dict[str, tuple[Callable[[], Recommender], ...]] = {
    "popularity": (Popularity,),
    "item-knn": tuple(
        partial(ItemKNN, size, shrinkage=shrinkage)
        for size in (100, 30, 300)
        for shrinkage in (0.0, 5.0)
    ),
    "user-knn": tuple(partial(UserKNN, size) for size in (100, 50, 200, 400)),
    "user-knn-tfidf": tuple(partial(UserKNN, size, "tfidf") for size in (100, 50, 200, 400)),
    "als": tuple(
        partial(ALS, 64, alpha, regularization)
        for alpha, regularization in (
            *((10.0, 10.0), (0.3, 3.0), (0.3, 10.0), (1.0, 3.0), (1.0, 10.0), (1.0, 30.0)),
            *((3.0, 10.0), (3.0, 30.0), (10.0, 30.0), (10.0, 100.0)),
        )
    ),
    "ease": tuple(partial(EASE, regularization) for regularization in (100.0, 30.0, 200.0, 400.0)),
}


def report(plays: Plays, seed: int = 0, progress: bool = True) -> dict[str, dict[str, float]]:
    """Compare `METHODS` on items that were hidden from them.

    All learn from the binary table: who plays what, not how often. There are two splits, both at
    random within each user, and all items that the user isn't known to play compete.

    - recall@20: 20 % of each user's items are hidden, and the recall is the share of these that
      stand among the first 20. A method's settings are those with the best recall@20 when learning
      from seven eighths of the others and looking for the rest; with them, it learns from all 80 %.
    - NDCG@10: 8:1:1, as it is usual in publications. 80 % are learnt from, 10 % choose the
      settings by NDCG@10 (and are then neither learnt from nor recommended), 10 % are the test.

    Parameters
    ----------
    plays : Plays
    seed : int
        Of the splits.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict
        ``{"recall@20": {method: value}, "ndcg@10": {method: value}}``, means over the users.

    Raises
    ------
    ValueError
        If nobody has played enough for an item to be hidden.
    """
    train, test = hold_out(plays, 0.2, seed)
    most, tenth = hold_out(plays, 0.1, seed)
    scores: dict[str, dict[str, float]] = {"recall@20": {}, "ndcg@10": {}}
    learn, tune = hold_out(train, 1 / 8, seed)
    rest, aside = hold_out(most, 1 / 9, seed)
    for name, makers in tqdm(METHODS.items(), "evaluate", unit="method", disable=not progress):
        settings = [make() for make in makers]
        best = _choose(settings, learn, 20, tune, ranking.recall)
        scores["recall@20"][name] = _score(best.fit(train), 20, test, ranking.recall)
        best = _choose(settings, rest, 10, aside, ranking.ndcg)
        scores["ndcg@10"][name] = _score(best, 10, tenth, ranking.ndcg, aside)
    return scores


def _choose(
    settings: Sequence[Recommender], train: Plays, k: int, valid: Plays, metric: Callable
) -> Recommender:
    """Return the settings that do best on a validation split, fitted; the first of equals."""
    if len(settings) == 1 or not len(valid):
        return settings[0].fit(train)
    return max(settings, key=lambda model: _score(model.fit(train), k, valid, metric))


def _score(
    model: Recommender,
    k: int,
    test: Plays,
    metric: Callable,
    aside: Plays | None = None,
) -> float:
    hidden = [row.indices for row in test.matrix()]
    if aside is None:
        return ranking.mean(metric(model.recommend_all(k), hidden))
    # What is set aside leaves the lists: so take as many more as could have to leave.
    away = [set(row.indices.tolist()) for row in aside.matrix()]
    longer = model.recommend_all(k + max(map(len, away), default=0))
    kept = [
        [item for item in row if item not in out]
        for row, out in zip(longer.tolist(), away, strict=True)
    ]
    return ranking.mean(metric([(row + [-1] * k)[:k] for row in kept], hidden))
