"""How much of a window comes back: symbol by symbol, onset by onset, whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mlmusic.windows import FIRST, HOLD, checked


@dataclass(frozen=True)
class Recovered:
    """Shares from 0 to 1.

    Attributes
    ----------
    token : float
        Of all steps, those whose symbol came back. More than half of them are holds, so that
        writing nothing but holds scores well.
    onset : float
        Of the steps at which a note begins, those at which the same note begins again.
    exact : float
        Of all windows, those without a wrong symbol.
    """

    token: float
    onset: float
    exact: float

    def __str__(self) -> str:
        return f"per token {self.token:.3f}, per onset {self.onset:.3f}, exact {self.exact:.3f}"


def recovered(truth: ArrayLike, written: ArrayLike) -> Recovered:
    """Compare windows with what a model made of them.

    Parameters
    ----------
    truth, written : int array, shape (n, steps)

    Raises
    ------
    ValueError
        If there is nothing, no note begins, or the shapes differ.
    """
    truth, written = checked(truth), checked(written)
    if truth.ndim != 2 or truth.shape != written.shape:
        raise ValueError(
            f"windows {truth.shape} and {written.shape} must have one shape (n, steps)"
        )
    onsets = truth >= FIRST
    if not onsets.any():
        raise ValueError("the windows have no note to recover")
    same = truth == written
    return Recovered(float(same.mean()), float(same[onsets].mean()), float(same.all(axis=1).mean()))


def always_hold(truth: ArrayLike) -> np.ndarray:
    """Return the baseline's answer: a hold at every step, whatever the window."""
    return np.full_like(checked(truth), HOLD)
