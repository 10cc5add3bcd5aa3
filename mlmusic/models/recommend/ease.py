"""EASE: a straight line from everything that you play to everything that you might.

References
----------
H. Steck, "Embarrassingly shallow autoencoders for sparse data", *WWW*, 2019.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix

from mlmusic.models.recommend.base import Recommender, batches

_LARGEST = 15_000  # rows of the dense table that is inverted: 1.7 GiB of float64


class EASE(Recommender):
    """Predict each item by ridge regression from all others; the diagonal must stay 0.

    With the table X of users × items and ``P = (XᵀX + λI)⁻¹``, the weights are
    ``B = I - P / diag(P)`` (column j divided by P[j, j]) and the scores of a history h are
    ``h B``: a closed form, nothing is iterated.

    P is as large as the catalogue squared. With fewer users than items, the same scores are had
    from the smaller ``L = (XXᵀ + λI)⁻¹``, as ``P = (I - XᵀLX) / λ`` (Woodbury's identity).

    Parameters
    ----------
    regularization : float
        λ, above 0. The larger, the less a rare pair counts.
    weight : {"binary", "count", "log"}
        How plays are weighed.

    Raises
    ------
    ValueError
        If the regularization isn't above 0; on `fit`, if users and items are both too many for a
        dense inverse.
    """

    def __init__(self, regularization: float = 100.0, weight: str = "binary") -> None:
        if not regularization > 0:
            raise ValueError(f"regularization must be above 0, not {regularization}")
        self.regularization, self.weight = regularization, weight

    def _fit(self, history: csr_matrix) -> None:
        users, items = history.shape
        history = history.astype(np.float64)  # for the inverse
        if min(users, items) > _LARGEST:
            raise ValueError(
                f"EASE inverts a dense table of the smaller of {users:,} users and {items:,} "
                f"items; above {_LARGEST:,} it won't fit: keep the items that are played most"
            )
        self._dual = users < items
        gram = (history @ history.T if self._dual else history.T @ history).toarray()
        gram[np.diag_indices_from(gram)] += self.regularization
        identity = np.eye(len(gram))
        inverse = cho_solve(cho_factor(gram, overwrite_a=True), identity, overwrite_b=True)
        if self._dual:
            self._inverse = inverse.astype(np.float32)  # L
            # What 1 - λ diag(P) is: the quadratic form of each item's column with L.
            self._explained = np.empty(items, np.float32)
            columns = history.T.tocsr()
            self._transposed = columns.astype(np.float32)
            for block in batches(items, 1024):
                product = columns[block] @ inverse
                self._explained[block] = np.asarray(columns[block].multiply(product).sum(1)).ravel()
        else:
            self._weights = (inverse / -np.diag(inverse)).astype(np.float32)  # B off the diagonal
            np.fill_diagonal(self._weights, 0)

    def _score(self, history: csr_matrix) -> np.ndarray:
        if not self._dual:
            return history @ self._weights
        history = history.astype(np.float32)
        near = (history @ self._transposed).toarray() @ self._inverse  # (rows, users)
        predicted = (self._transposed @ near.T).T  # h XᵀLX, which is h (I - λP)
        dense = history.toarray()
        return dense - (dense - predicted) / (1 - self._explained)
