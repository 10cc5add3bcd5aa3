"""How far off a predicted number is; for pitches, in semitones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def mean_absolute_error(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean distance, in the unit of the numbers.

    Parameters
    ----------
    truth, predicted : array of numbers, of one shape

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the shapes differ, or a number isn't finite.
    """
    truth, predicted = _checked(truth, predicted)
    return float(np.abs(truth - predicted).mean())


def mean_squared_error(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean squared distance: one large error counts more than many small ones.

    Parameters
    ----------
    truth, predicted : array of numbers, of one shape

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the shapes differ, or a number isn't finite.
    """
    truth, predicted = _checked(truth, predicted)
    return float(((truth - predicted) ** 2).mean())


def exact_share(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the share of predictions that, rounded to whole numbers, are right.

    Parameters
    ----------
    truth : array of whole numbers, such as MIDI pitches
    predicted : array of numbers, of the same shape

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        If the shapes differ, or a number isn't finite.
    """
    truth, predicted = _checked(truth, predicted)
    return float((truth == np.floor(predicted + 0.5)).mean())


def _checked(truth: ArrayLike, predicted: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape or not truth.size:
        raise ValueError(
            f"truth {truth.shape} and predicted {predicted.shape} must be of one shape, not empty"
        )
    for name, values in (("truth", truth), ("predicted", predicted)):
        if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
            raise ValueError(f"{name} must hold finite numbers")
    return truth.astype(float), predicted.astype(float)
