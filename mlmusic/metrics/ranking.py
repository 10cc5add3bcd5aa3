"""Is the list that a recommender shows any good? Precision, recall, NDCG, MRR, MAP, and beyond.

All take ``ranked``, an int array of shape (users, k): the items recommended to each user, best
first, and ``relevant``, one set (or list, or array) of items a user: those held out. A list
shorter than k ends with -1. Users without a relevant item can't be scored and count as NaN; `mean`
leaves them out. Lists without a place (k = 0) are refused with a ValueError.

References
----------
K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", *ACM
Transactions on Information Systems* 20(4), 2002, for NDCG. S. Vargas and P. Castells, "Rank and
relevance in novelty and diversity metrics for recommender systems", *RecSys*, 2011.
W. Krichene and S. Rendle, "On sampled metrics for item recommendation", *KDD*, 2020.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

Relevant = Sequence[Iterable[int]]


def top(scores: ArrayLike, k: int) -> np.ndarray:
    """Return the places of the k highest scores in each row, best first, shape (rows, k).

    Equal scores stay in order, also at the edge: the same scores always give the same list.
    """
    scores = np.ascontiguousarray(scores)
    places = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    if k < scores.shape[1]:
        # NumPy's argpartition takes ten times as long where most scores are 0.
        chosen = torch.from_numpy(scores).topk(k, dim=1, sorted=False).indices
        places = np.sort(chosen.numpy(), axis=1)
        edge = np.take_along_axis(scores, places, 1).min(1, keepdims=True)
        # Where several scores are equal to the lowest that is listed, any of them was taken.
        for row in np.flatnonzero((scores >= edge).sum(1) > k):
            above, level = (
                np.flatnonzero(x) for x in (scores[row] > edge[row], scores[row] == edge[row])
            )
            places[row] = np.sort(np.concatenate([above, level[: k - len(above)]]))
    order = np.argsort(-np.take_along_axis(scores, places, 1), axis=1, kind="stable")
    return np.take_along_axis(places, order, 1)


def hits(ranked: ArrayLike, relevant: Relevant) -> np.ndarray:
    """Mark each recommendation that the user did play.

    Returns
    -------
    bool array, shape (users, k)

    Raises
    ------
    ValueError
        If ``ranked`` isn't a table of whole numbers, has no places (k = 0) or another number of
        users than ``relevant``, or recommends an item twice to the same user.
    """
    ranked = _checked(ranked)
    if len(relevant) != len(ranked):
        raise ValueError(f"{len(ranked)} lists, but relevant items of {len(relevant)} users")
    rows = [
        np.isin(row, list(items)) & (row >= 0) for row, items in zip(ranked, relevant, strict=True)
    ]
    return np.array(rows, bool).reshape(ranked.shape)


def recall(ranked: ArrayLike, relevant: Relevant) -> np.ndarray:
    """Share of each user's relevant items that stand in the list, shape (users,)."""
    return _divide(hits(ranked, relevant).sum(1), _sizes(relevant))


def precision(ranked: ArrayLike, relevant: Relevant) -> np.ndarray:
    """Share of each list that is relevant, shape (users,). An empty place is a miss."""
    found = hits(ranked, relevant)
    width = np.where(_sizes(relevant) > 0, found.shape[1], 0)
    return _divide(found.sum(1), width)


def ndcg(ranked: ArrayLike, relevant: Relevant) -> np.ndarray:
    """Normalised discounted cumulative gain: a hit on place p counts 1 / log2(p + 1).

    Divided by what the best possible list of this length would get, so 1 is perfect.
    """
    found = hits(ranked, relevant)
    discount = 1 / np.log2(np.arange(2, found.shape[1] + 2))
    best = np.concatenate([[0.0], np.cumsum(discount)])
    return _divide(found @ discount, best[np.minimum(_sizes(relevant), found.shape[1])])


def reciprocal_rank(ranked: ArrayLike, relevant: Relevant) -> np.ndarray:
    """1 / place of the first hit, 0 without one, shape (users,).

    Its mean over users is MRR, the mean reciprocal rank.
    """
    found = hits(ranked, relevant)
    first = np.where(found.any(1), 1 / (found.argmax(1) + 1), 0.0)
    return np.where(_sizes(relevant) > 0, first, np.nan)


def average_precision(ranked: ArrayLike, relevant: Relevant) -> np.ndarray:
    """Mean of the precision at each hit, over the hits that were possible, shape (users,).

    Its mean over users is MAP, the mean average precision.
    """
    found = hits(ranked, relevant)
    places = np.arange(1, found.shape[1] + 1)
    total = (found * np.cumsum(found, 1) / places).sum(1)
    return _divide(total, np.minimum(_sizes(relevant), found.shape[1]))


def mean(values: ArrayLike) -> float:
    """Mean over the users who could be scored.

    Raises
    ------
    ValueError
        If there is none.
    """
    values = np.asarray(values, float)
    if not (~np.isnan(values)).any():
        raise ValueError("no user has a relevant item: there is nothing to average")
    return float(np.nanmean(values))


def coverage(ranked: ArrayLike, items: int) -> float:
    """Share of the catalogue that is recommended to anybody at all.

    Parameters
    ----------
    ranked : int array, shape (users, k)
        May hold nothing but -1: nothing is recommended, and the coverage is 0.
    items : int
        How many there are in the catalogue.

    Raises
    ------
    ValueError
        If the catalogue is empty, or doesn't hold all that is recommended.
    """
    ranked = _checked(ranked)
    if items < 1:
        raise ValueError(f"the catalogue must hold at least one item, not {items}")
    if ranked.max(initial=-1) >= items:
        raise ValueError(f"item {ranked.max()} is recommended, but the catalogue holds {items}")
    return len(np.unique(ranked[ranked >= 0])) / items


def gini(counts: ArrayLike) -> float:
    """Gini coefficient: 0 if all counts are equal, near 1 if one item has everything.

    Raises
    ------
    ValueError
        If there are no counts, a negative one, or only zeros.
    """
    counts = np.sort(np.asarray(counts, float))
    if counts.size == 0 or (counts < 0).any() or counts.sum() == 0:
        raise ValueError("gini needs counts of 0 or more that aren't all 0")
    place = np.arange(1, len(counts) + 1)
    return float((2 * place - len(counts) - 1) @ counts / (len(counts) * counts.sum()))


def novelty(ranked: ArrayLike, popularity: ArrayLike, users: int) -> np.ndarray:
    """Mean surprise of each list in bits, ``-log2(share of users who know the item)``.

    Parameters
    ----------
    ranked : int array, shape (users, k)
    popularity : array, shape (items,)
        Listeners of each item in the training data; nobody counts as one.
    users : int
        How many there are.

    Returns
    -------
    float array, shape (users,)
        NaN for an empty list.
    """
    ranked = _checked(ranked)
    surprise = -np.log2(np.maximum(np.asarray(popularity, float), 1) / users)
    listed = ranked >= 0
    return _divide(np.where(listed, surprise[ranked], 0).sum(1), listed.sum(1))


def diversity(ranked: ArrayLike, features: ArrayLike) -> np.ndarray:
    """Mean of 1 - cosine over the pairs in each list: 0 if all items sound alike.

    Parameters
    ----------
    ranked : int array, shape (users, k)
    features : array, shape (items, features)
        Without rows of zeros.

    Returns
    -------
    float array, shape (users,)
        NaN for lists with fewer than two items.
    """
    ranked = _checked(ranked)
    features = np.asarray(features, float)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    if (length == 0).any():
        raise ValueError("an item whose features are all 0 has no direction")
    directions = features / length
    values = np.full(len(ranked), np.nan)
    for user, row in enumerate(ranked):
        listed = directions[row[row >= 0]]
        if len(listed) > 1:
            pairs = len(listed) * (len(listed) - 1)
            # The sum of all cosines is the squared length of the sum of directions.
            values[user] = 1 - (np.square(listed.sum(0)).sum() - len(listed)) / pairs
    return values


def miscalibration(ranked: ArrayLike, history: Relevant, group: ArrayLike) -> np.ndarray:
    """How far a list's mix of groups is from the mix that its user plays, in total variation.

    Parameters
    ----------
    ranked : int array, shape (users, k)
    history : one collection of items a user
        What the user had played before.
    group : int array, shape (items,)
        The group of each item, from 0: head or tail of popularity, or a kind of tune.

    Returns
    -------
    float array, shape (users,)
        0 if the list mixes the groups as the user does, 1 if they have nothing in common; NaN
        without a history or a list.

    Raises
    ------
    ValueError
        If there are no groups, they aren't whole numbers from 0, an item has none, or the lists
        and the histories are of different numbers of users.

    References
    ----------
    H. Steck, "Calibrated recommendations", *RecSys*, 2018 (who takes a KL divergence; total
    variation needs no smoothing and can be read as a share of the list).
    """
    ranked = _checked(ranked)
    group = np.asarray(group)
    if group.size == 0:
        raise ValueError("there are no groups: group must say the group of each item")
    if group.ndim != 1 or not np.issubdtype(group.dtype, np.integer) or group.min() < 0:
        raise ValueError("group must hold one whole number from 0 for each item")
    if len(history) != len(ranked):
        raise ValueError(f"{len(ranked)} lists, but histories of {len(history)} users")
    width = int(group.max()) + 1
    values = np.full(len(ranked), np.nan)
    for user, (row, played) in enumerate(zip(ranked, history, strict=True)):
        listed, own = row[row >= 0], np.array(list(played), int)
        if len(listed) and len(own):
            if (last := max(listed.max(), own.max())) >= len(group):
                raise ValueError(
                    f"item {last} has no group: there are groups of {len(group)} items"
                )
            shares = [np.bincount(group[x], minlength=width) / len(x) for x in (listed, own)]
            values[user] = np.abs(shares[0] - shares[1]).sum() / 2
    return values


def _checked(ranked: ArrayLike) -> np.ndarray:
    ranked = np.asarray(ranked)
    if ranked.ndim != 2 or not np.issubdtype(ranked.dtype, np.integer):
        raise ValueError("ranked must be a table of item numbers, shape (users, k)")
    if ranked.shape[1] == 0:
        raise ValueError("the lists have no places: k must be at least 1")
    ordered = np.sort(ranked, 1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        raise ValueError(f"user {int(twice.any(1).argmax())} gets the same item twice")
    return ranked


def _sizes(relevant: Relevant) -> np.ndarray:
    return np.array([len(set(items)) for items in relevant], int)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)
