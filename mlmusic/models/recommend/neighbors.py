"""Collaborative filtering by neighbours: people like you, and tunes that go with your tunes.

References
----------
B. Sarwar et al., "Item-based collaborative filtering recommendation algorithms", *WWW*, 2001.
S. Robertson and H. Zaragoza, "The probabilistic relevance framework: BM25 and beyond",
*Foundations and Trends in Information Retrieval* 3(4), 2009.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, vstack

from mlmusic.models.recommend.base import Recommender, batches

SCHEMES = ("cosine", "tfidf", "bm25")
_K1, _B = 1.2, 0.75  # BM25's usual saturation and length normalisation
_BLOCK = 1024  # rows of a similarity table that are made at once


class _Neighbors(Recommender):
    """What the two have in common: how rows are weighed, compared and kept."""

    def __init__(
        self,
        neighbors: int = 100,
        scheme: str = "cosine",
        shrinkage: float = 0.0,
        weight: str = "binary",
    ) -> None:
        if scheme not in SCHEMES:
            raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}, not {scheme!r}")
        if neighbors < 1 or shrinkage < 0:
            raise ValueError("neighbors must be at least 1, and shrinkage at least 0")
        self.neighbors, self.scheme, self.shrinkage = neighbors, scheme, shrinkage
        self.weight = weight

    def _learn_terms(self, documents: csr_matrix) -> None:
        """Remember how rare each term (column) is, and how long documents (rows) are."""
        rows = documents.shape[0]
        common = np.bincount(documents.indices, minlength=documents.shape[1])
        if self.scheme == "bm25":
            self._rarity = np.log1p((rows - common + 0.5) / (common + 0.5))
        elif self.scheme == "tfidf":
            self._rarity = np.log((1 + rows) / (1 + common)) + 1
        else:
            self._rarity = np.ones(documents.shape[1])
        lengths = np.asarray(documents.sum(1)).ravel()
        self._mean_length = lengths[lengths > 0].mean()

    def _directions(self, documents: csr_matrix) -> csr_matrix:
        """Weigh the terms of each document and scale it to length 1: dot products are cosines."""
        table = documents.astype(np.float32).tocsr(copy=True)
        if self.scheme == "bm25":
            lengths = np.asarray(documents.sum(1)).ravel() / self._mean_length
            damped = _K1 * (1 - _B + _B * np.repeat(lengths, np.diff(table.indptr)))
            table.data *= (_K1 + 1) / (table.data + damped)
        table.data *= self._rarity[table.indices]
        norm = np.sqrt(np.asarray(table.multiply(table).sum(1)).ravel())
        table.data /= np.repeat(np.where(norm > 0, norm, 1), np.diff(table.indptr))
        return table

    def _similar(
        self, rows: csr_matrix, others: csr_matrix, rows_played: csr_matrix, played: csr_matrix
    ) -> csr_matrix:
        """Cosines of rows with others, shrunk by how little they share; the nearest are kept."""
        similar = (rows @ others.T).tocsr()
        # Who is exactly like you knows nothing that you don't; in training, that is you.
        similar.data[similar.data > 1 - 1e-6] = 0
        if self.shrinkage:
            shared = (rows_played @ played.T).tocsr()
            similar.sort_indices(), shared.sort_indices()  # the same places are filled in both
            similar.data *= shared.data / (shared.data + self.shrinkage)
        return _keep(similar, self.neighbors)


class UserKNN(_Neighbors):
    """Recommend what the listeners with the most similar taste play.

    The score of an item is the sum of the similarities of those neighbours who play it.

    Parameters
    ----------
    neighbors : int
        How many of the most similar users have a say.
    scheme : {"cosine", "tfidf", "bm25"}
        How items are weighed before users are compared. TF-IDF and BM25 let a tune that hardly
        anybody knows say more about a taste than a hit.
    shrinkage : float
        A similarity that rests on n shared items is multiplied by ``n / (n + shrinkage)``.
    weight : {"binary", "count", "log"}
        How plays are weighed.

    Raises
    ------
    ValueError
        If a parameter is impossible.
    """

    def _fit(self, history: csr_matrix) -> None:
        self._learn_terms(history)
        self._users = self._directions(history)
        self._played = _binary(history)
        self._listeners = self._played.T.tocsr()

    def _score(self, history: csr_matrix) -> np.ndarray:
        return np.ascontiguousarray((self._listeners @ self._near(history).toarray().T).T)

    def estimate(self, user: int, item: int) -> float:
        """Estimate how much a user would play an item: the weighted mean of the neighbours' plays.

        Divided by the sum of the |similarities| of those who count, so that the estimate is in
        plays: if everybody plays twice as much, it doubles.

        Returns
        -------
        float
            In the unit of ``weight``; NaN if no neighbour plays the item.
        """
        near = self._near(self._row(user))
        column = self.history[:, [item]].toarray().ravel()
        return _weighted_mean(near.data, column[near.indices])

    def _near(self, history: csr_matrix) -> csr_matrix:
        rows = self._directions(history)
        return self._similar(rows, self._users, _binary(history), self._played)


class ItemKNN(_Neighbors):
    """Recommend the items that go with what the user plays.

    Two items are similar if the same people play them. Each item of the history votes for its
    neighbours with its similarity to them; the votes of all are added up.

    Parameters
    ----------
    neighbors : int
        How many of the most similar items are kept for each.
    scheme : {"cosine", "tfidf", "bm25"}
        How users are weighed before items are compared: somebody who plays everything says
        little about two items being alike.
    shrinkage : float
        A similarity that rests on n shared listeners is multiplied by ``n / (n + shrinkage)``.
    weight : {"binary", "count", "log"}
        How plays are weighed.

    Attributes
    ----------
    similarity : csr_matrix, shape (items, items)
        Row i holds the neighbours of item i.

    Raises
    ------
    ValueError
        If a parameter is impossible.
    """

    def _fit(self, history: csr_matrix) -> None:
        documents = history.T.tocsr()
        self._learn_terms(documents)
        items, played = self._directions(documents), _binary(documents)
        blocks = []
        for block in batches(items.shape[0], _BLOCK):
            similar = (items[block] @ items.T).tocsr()
            if self.shrinkage:
                shared = (played[block] @ played.T).tocsr()
                similar.sort_indices(), shared.sort_indices()
                similar.data *= shared.data / (shared.data + self.shrinkage)
            own = np.repeat(np.arange(block.start, block.stop), np.diff(similar.indptr))
            similar.data[similar.indices == own] = 0
            blocks.append(_keep(similar, self.neighbors))
        self.similarity = vstack(blocks, "csr")
        # The same with one number of neighbours for all items: missing ones weigh 0.
        sizes = np.diff(self.similarity.indptr)
        filled = np.arange(sizes.max()) < sizes[:, None]
        self._near = np.zeros(filled.shape, np.int32)
        self._how = np.zeros(filled.shape, np.float32)
        self._near[filled], self._how[filled] = self.similarity.indices, self.similarity.data

    def _score(self, history: csr_matrix) -> np.ndarray:
        scores = np.empty(history.shape, np.float32)
        for row, start, end in zip(scores, history.indptr, history.indptr[1:], strict=False):
            items, weights = history.indices[start:end], history.data[start:end, None]
            votes = (self._how[items] * weights).ravel()
            row[:] = np.bincount(self._near[items].ravel(), votes, history.shape[1])
        return scores

    def estimate(self, user: int, item: int) -> float:
        """Estimate how much a user would play an item from their plays of similar items.

        A weighted mean; see `UserKNN.estimate`.
        """
        row = self._row(user).toarray().ravel()
        near = self.similarity[item]
        values = row[near.indices]
        return _weighted_mean(near.data[values > 0], values[values > 0])


def _weighted_mean(similarity: np.ndarray, values: np.ndarray) -> float:
    known = values > 0
    total = np.abs(similarity[known]).sum()
    return float(similarity[known] @ values[known] / total) if total > 0 else float("nan")


def _binary(table: csr_matrix) -> csr_matrix:
    return csr_matrix(
        (np.ones_like(table.data, np.float32), table.indices, table.indptr), table.shape
    )


def _keep(table: csr_matrix, most: int) -> csr_matrix:
    """Keep the largest entries above 0 of each row, at most so many; ties by column."""
    kept = table.data > 0
    for row in np.flatnonzero(np.diff(table.indptr) > most):
        part = slice(table.indptr[row], table.indptr[row + 1])
        values = table.data[part]
        edge = np.partition(values, -most)[-most]
        inside = values >= edge
        if spare := np.count_nonzero(inside) - most:
            level = np.flatnonzero(values == edge)
            by_column = np.argsort(table.indices[part][level])
            inside[level[by_column[len(level) - spare :]]] = False
        kept[part] &= inside
    indptr = np.concatenate([[0], np.cumsum(kept)])[table.indptr]
    nearest = csr_matrix((table.data[kept], table.indices[kept], indptr), table.shape)
    nearest.sort_indices()
    return nearest
