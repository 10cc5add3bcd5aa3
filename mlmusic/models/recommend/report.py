"""How good are the recommenders on a set of plays? What ``mlmusic evaluate recommend`` prints."""

from __future__ import annotations

from collections.abc import Callable

from tqdm.auto import tqdm

from mlmusic.metrics import ranking
from mlmusic.models.recommend.base import Recommender
from mlmusic.models.recommend.ease import EASE
from mlmusic.models.recommend.factors import ALS
from mlmusic.models.recommend.neighbors import ItemKNN, UserKNN
from mlmusic.models.recommend.simple import Popularity
from mlmusic.plays import Plays, hold_out

METHODS: dict[str, Callable[[], Recommender]] = {
    "popularity": Popularity,
    "item-knn": ItemKNN,
    "user-knn": UserKNN,
    "user-knn-tfidf": lambda: UserKNN(scheme="tfidf"),
    "als": ALS,
    "ease": EASE,
}


def report(plays: Plays, seed: int = 0, progress: bool = True) -> dict[str, dict[str, float]]:
    """Compare `METHODS`, each with its defaults, on items that were hidden from them.

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
        ``{"recall@20": {method: value}, "ndcg@10": {method: value}}``. Recall with 20 % of each
        user's items hidden. NDCG with 10 % hidden and another 10 % set aside (as others split
        8:1:1 to choose parameters): these aren't learnt from, and aren't recommended either. All
        items compete; means over the users.

    Raises
    ------
    ValueError
        If nobody has played enough for an item to be hidden.
    """
    train, test = hold_out(plays, 0.2, seed)
    most, tenth = hold_out(plays, 0.1, seed)
    rest, aside = hold_out(most, 1 / 9, seed)
    scores: dict[str, dict[str, float]] = {"recall@20": {}, "ndcg@10": {}}
    for name, make in tqdm(METHODS.items(), "evaluate", unit="method", disable=not progress):
        scores["recall@20"][name] = _score(make().fit(train), 20, test, ranking.recall)
        model = make().fit(rest)
        scores["ndcg@10"][name] = _score(model, 10, tenth, ranking.ndcg, aside)
    return scores


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
