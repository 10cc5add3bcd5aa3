"""The baselines: chance, and what everybody plays."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from mlmusic.models.recommend.base import Recommender


class Random(Recommender):
    """Recommend by lot: what any method has to beat.

    Parameters
    ----------
    seed : int
        The same history gets the same list.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def _fit(self, history: csr_matrix) -> None:
        pass

    def _score(self, history: csr_matrix) -> np.ndarray:
        # Drawn from the history itself, so that a user's list doesn't depend on who else is asked.
        rows = [np.random.default_rng([self.seed, *row.indices.tolist()]) for row in history]
        return np.array([row.random(history.shape[1]) for row in rows])


class Popularity(Recommender):
    """Recommend to everybody what most people play."""

    def _fit(self, history: csr_matrix) -> None:
        pass

    def _score(self, history: csr_matrix) -> np.ndarray:
        return np.tile(self._popularity, (history.shape[0], 1))
