"""What all recommenders share: a history of plays in, scores of items out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from mlmusic.metrics.ranking import top
from mlmusic.plays import Plays

_BATCH = 256  # users whose dense scores are in memory at once


class Recommender:
    """A recommender turns a history into a score for each item.

    Subclasses write ``_fit(history)`` and ``_score(history)``; the rest is here. A user is
    nothing but a row of the table of plays: so a newcomer's five tunes are scored by the same
    code as the history of somebody who was there in training.

    Attributes
    ----------
    weight : {"binary", "count", "log"}
        How plays are weighed; see `Plays.matrix`.
    history : csr_matrix of float32, shape (users, items)
        What it was fitted on.
    """

    weight = "binary"

    def fit(self, plays: Plays) -> Recommender:
        """Learn from plays; return itself.

        Raises
        ------
        ValueError
            If there are no plays.
        """
        if not len(plays):
            raise ValueError("there are no plays to learn from")
        self.history = plays.matrix(self.weight).astype(np.float32)
        self.items = plays.items
        self._popularity = plays.popularity() / len(plays.users)
        self._fit(self.history)
        return self

    def _fit(self, history: csr_matrix) -> None:
        """Learn from a table of users × items."""
        raise NotImplementedError

    def _score(self, history: csr_matrix) -> np.ndarray:
        """Score every item for each row of a table, as a dense array of the same shape."""
        raise NotImplementedError

    def score(self, history: csr_matrix) -> np.ndarray:
        """Score every item for each history; higher is better.

        Who has played nothing yet gets the items' popularity: nothing else is known.

        Parameters
        ----------
        history : csr_matrix, shape (users, items)
            Weighed as `weight` says.

        Returns
        -------
        float array, shape (users, items)

        Raises
        ------
        RuntimeError
            If it hasn't been fitted.
        ValueError
            If the histories are about another catalogue.
        """
        self._check_fitted()
        if history.shape[1] != len(self.items):
            raise ValueError(
                f"histories of {history.shape[1]} items, but it was fitted on {len(self.items)}"
            )
        scores = np.asarray(self._score(history))
        empty = np.diff(history.indptr) == 0
        if empty.any():
            scores[empty] = self._popularity
        return scores

    def recommend(self, user: int, k: int = 10, exclude_seen: bool = True) -> np.ndarray:
        """Return up to k items for a user of the training data, best first.

        Parameters
        ----------
        user : int
            The user's place.
        k : int
            Fewer come back if the catalogue, less what was seen, is smaller.
        exclude_seen : bool
            Leave out what the user has already played.

        Returns
        -------
        int array
            Places of items. Equal scores stay in the catalogue's order.

        Raises
        ------
        ValueError
            If there is no such user, or k isn't at least 1.
        RuntimeError
            If it hasn't been fitted.
        """
        self._check_fitted()
        return _listed(self._ranked(self._row(user), k, exclude_seen)[0])

    def recommend_to(
        self,
        items: Sequence[int],
        k: int = 10,
        exclude_seen: bool = True,
        counts: Sequence[float] | None = None,
    ) -> np.ndarray:
        """Return up to k items for a newcomer who likes these items: nothing is fitted anew.

        Parameters
        ----------
        items : sequence of int
            May be empty: then the list is by popularity.
        k, exclude_seen
            As in `recommend`.
        counts : sequence of float, optional
            How often each was played; once, if not given.

        Raises
        ------
        ValueError
            If an item or a count is impossible, or k isn't at least 1.
        RuntimeError
            If it hasn't been fitted.
        """
        self._check_fitted()
        return _listed(self._ranked(self.newcomer(items, counts), k, exclude_seen)[0])

    def newcomer(self, items: Sequence[int], counts: Sequence[float] | None = None) -> csr_matrix:
        """Return the history of a newcomer, shape (1, items), weighed as this method does.

        Raises
        ------
        ValueError
            If an item or a count is impossible.
        """
        self._check_fitted()
        counts = np.ones(len(items)) if counts is None else counts
        plays = Plays(np.zeros(len(items), int), items, counts, ["you"], self.items)
        return plays.matrix(self.weight).astype(np.float32)

    def recommend_all(self, k: int = 10, exclude_seen: bool = True) -> np.ndarray:
        """Return the lists of all users of the training data, in batches.

        Returns
        -------
        int array, shape (users, k)
            A list that is shorter than k ends with -1.

        Raises
        ------
        ValueError
            If k isn't at least 1.
        RuntimeError
            If it hasn't been fitted.
        """
        self._check_fitted()
        return self.recommend_histories(self.history, k, exclude_seen)

    def recommend_histories(
        self, history: csr_matrix, k: int = 10, exclude_seen: bool = True
    ) -> np.ndarray:
        """Return the lists for each history; see `recommend_all` and `score`."""
        self._check_fitted()
        lists = [
            self._ranked(history[start : start + _BATCH], k, exclude_seen)
            for start in range(0, history.shape[0], _BATCH)
        ]
        return np.concatenate(lists) if lists else np.zeros((0, k), int)

    def explain(self, user: int, item: int, n: int = 3) -> list[tuple[int, float]]:
        """Tell which n of a user's plays speak most for an item: "because you played …".

        By leaving one out: how much lower would the item be scored, had the user never played
        that one? True of every method, however it works inside.

        Parameters
        ----------
        user, item : int
            Places.
        n : int
            How many reasons at most.

        Returns
        -------
        list of (item, weight)
            What was played and how much of the item's score it carries; strongest first, only
            those with a weight above 0. Empty if nothing speaks for it.

        Raises
        ------
        ValueError
            If there is no such user or item.
        RuntimeError
            If it hasn't been fitted.
        """
        self._check_fitted()
        row = self._row(user)
        if not 0 <= item < len(self.items):
            raise ValueError(f"there is no item {item}: they are 0 to {len(self.items) - 1}")
        played = row.indices[row.indices != item]
        if len(played) < 2:  # with nothing left, popularity would answer
            return [(int(place), float(self.score(row)[0, item])) for place in played]
        keep = ~np.eye(len(played), dtype=bool)
        others = np.broadcast_to(played, keep.shape)[keep]
        counts = np.broadcast_to(row.data[row.indices != item], keep.shape)[keep]
        starts = np.arange(0, len(others) + 1, len(played) - 1)
        without = csr_matrix((counts, others, starts), (len(played), row.shape[1]))
        whole = csr_matrix((row.data[row.indices != item], played, [0, len(played)]), row.shape)
        drop = self.score(whole)[0, item] - self.score(without)[:, item]
        order = np.argsort(-drop, kind="stable")[:n]
        return [(int(played[i]), float(drop[i])) for i in order if drop[i] > 0]

    def _row(self, user: int) -> csr_matrix:
        users = self.history.shape[0]
        if not 0 <= user < users:
            raise ValueError(
                f"there is no user {user}: they are 0 to {users - 1}; recommend_to takes newcomers"
            )
        return self.history[user]

    def _ranked(self, history: csr_matrix, k: int, exclude_seen: bool) -> np.ndarray:
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        scores = self.score(history)
        if exclude_seen:
            seen = np.repeat(np.arange(history.shape[0]), np.diff(history.indptr))
            scores[seen, history.indices] = -np.inf
        ranked = top(scores, min(k, scores.shape[1]))
        ranked[np.take_along_axis(scores, ranked, 1) == -np.inf] = -1
        return np.pad(ranked, ((0, 0), (0, k - ranked.shape[1])), constant_values=-1)

    def _check_fitted(self) -> None:
        if not hasattr(self, "history"):
            raise RuntimeError(f"fit this {type(self).__name__} on plays first")


def batches(rows: int, size: int = _BATCH) -> Iterator[slice]:
    """Cut a number of rows into slices."""
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def _listed(row: np.ndarray) -> np.ndarray:
    return row[row >= 0]
