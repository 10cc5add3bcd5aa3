"""Content filtering: recommend what sounds like what you play; and a hybrid with the others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from mlmusic.models.recommend.base import Recommender
from mlmusic.plays import Plays
from mlmusic.score import Score

FEATURES = (
    "notes", "length", "mean pitch", "range", "mean step", "leaps", "repeats", "rising",
    "mean duration", "variety of durations", "distinct pitches", "compound metre", "triple metre",
    "last to lowest",
)  # fmt: skip


def tune_features(scores: Iterable[Score]) -> np.ndarray:
    """Describe melodies by numbers that can be computed from their notes.

    Parameters
    ----------
    scores : iterable of Score
        Melodies, each with at least two notes.

    Returns
    -------
    float array, shape (scores, len(FEATURES))
        Columns as `FEATURES` names them, each standardised over these scores (mean 0, deviation
        1), and cut at ±3.

    Raises
    ------
    ValueError
        If there is no score, or one has fewer than two notes.
    """
    table = np.array([_features(score) for score in scores])
    if not len(table):
        raise ValueError("there are no scores to describe")
    return np.clip((table - table.mean(0)) / (table.std(0) + 1e-9), -3, 3)


def _features(score: Score) -> list[float]:
    pitch = score.notes["pitch"].astype(float)
    duration = score.notes["duration"].astype(float)
    if len(pitch) < 2:
        raise ValueError(f"{score.title or 'a score'} has {len(pitch)} notes; two are needed")
    step = np.diff(pitch)
    beats, unit = score.metre[0][1:] if score.metre else (4, 4)
    return [
        np.log(len(pitch)),
        np.log(duration.sum()),
        pitch.mean(),
        np.ptp(pitch),
        np.abs(step).mean(),
        (np.abs(step) > 4).mean(),
        (step == 0).mean(),
        (step > 0).mean(),
        np.log(duration.mean()),
        np.log(duration).std(),
        len(np.unique(pitch % 12)),
        beats in (6, 9, 12) and unit >= 8,
        beats == 3,
        pitch[-1] - pitch.min(),
    ]


class Content(Recommender):
    """Recommend what resembles the mean of what a user plays; nobody else's plays are needed.

    So it can recommend a tune that nobody has played yet, and only tunes like those already known.

    Parameters
    ----------
    features : array, shape (items, features)
        One row an item, standardised.
    weight : {"binary", "count", "log"}
        How plays are weighed in the mean.

    Raises
    ------
    ValueError
        If the features aren't a table of numbers; on `fit`, if they are of another catalogue.
    """

    def __init__(self, features: ArrayLike, weight: str = "binary") -> None:
        features = np.asarray(features, float)
        if features.ndim != 2 or not np.isfinite(features).all():
            raise ValueError("features must be a table of numbers, shape (items, features)")
        self._directions = features / np.maximum(
            np.linalg.norm(features, axis=1, keepdims=True), 1e-9
        )
        self.weight = weight

    def _fit(self, history: csr_matrix) -> None:
        if len(self._directions) != history.shape[1]:
            raise ValueError(
                f"features of {len(self._directions)} items, but plays of {history.shape[1]}"
            )

    def _score(self, history: csr_matrix) -> np.ndarray:
        taste = history @ self._directions
        taste /= np.maximum(np.linalg.norm(taste, axis=1, keepdims=True), 1e-9)
        return taste @ self._directions.T


class Hybrid(Recommender):
    """Mix recommenders: the weighted mean of their scores, each brought to the same scale.

    Scores of different methods have different units; before they are mixed, those of each history
    are standardised over the catalogue.

    Parameters
    ----------
    parts : sequence of (Recommender, float)
        The methods and their weights, at least 0.

    Raises
    ------
    ValueError
        If there are no parts, weights are impossible, or parts weigh plays differently.
    """

    def __init__(self, *parts: tuple[Recommender, float]) -> None:
        weights = np.array([weight for _, weight in parts], float)
        if not len(weights) or (weights < 0).any() or not weights.sum() > 0:
            raise ValueError("a hybrid needs parts, with weights of 0 or more that aren't all 0")
        kinds = {part.weight for part, _ in parts}
        if len(kinds) > 1:
            raise ValueError(f"the parts weigh plays differently: {', '.join(sorted(kinds))}")
        self.parts, self.weight = parts, kinds.pop()

    def fit(self, plays: Plays) -> Hybrid:
        """Fit all parts; see `Recommender.fit`."""
        for part, _ in self.parts:
            part.fit(plays)
        return super().fit(plays)

    def _fit(self, history: csr_matrix) -> None:
        pass

    def _score(self, history: csr_matrix) -> np.ndarray:
        mixed = np.zeros(history.shape)
        for part, weight in self.parts:
            scores = part.score(history)
            spread = scores.std(1, keepdims=True)
            mixed += weight * (scores - scores.mean(1, keepdims=True)) / np.maximum(spread, 1e-12)
        return mixed
