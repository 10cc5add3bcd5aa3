"""Right and wrong by class: accuracy, precision, recall, F1, and the ROC curve with its area.

Every function takes NumPy arrays (or lists) of shape (samples,) and returns plain numbers that
equal scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def accuracy(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the share of labels that are right.

    Parameters
    ----------
    truth, predicted : array of labels, shape (samples,)
        Numbers or words.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        If the two aren't rows of labels of one length, at least one of them.
    """
    truth, predicted = _labels(truth, predicted)
    return float((truth == predicted).mean())


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, classes: Sequence[Any]) -> np.ndarray:
    """Count how often each class was taken for each.

    Parameters
    ----------
    truth, predicted : array of labels, shape (samples,)
    classes : sequence of labels
        The order of the rows and columns.

    Returns
    -------
    int array, shape (classes, classes)
        Rows are the true class, columns the predicted one: the diagonal is right.

    Raises
    ------
    ValueError
        If a label isn't among the classes, a class is named twice, or the rows don't fit.
    """
    truth, predicted = _labels(truth, predicted)
    place = {name: i for i, name in enumerate(classes)}
    if len(place) != len(classes) or not place:
        raise ValueError("classes must name each class once")
    matrix = np.zeros((len(place), len(place)), dtype=int)
    for pair in zip(truth.tolist(), predicted.tolist(), strict=True):
        for label in pair:
            if label not in place:
                raise ValueError(f"label {label!r} is none of the classes {list(place)}")
        matrix[place[pair[0]], place[pair[1]]] += 1
    return matrix


def precision(truth: ArrayLike, predicted: ArrayLike, positive: Any = 1) -> float:
    """Return how many of those that were called positive are: TP / (TP + FP).

    Parameters
    ----------
    truth, predicted : array of labels, shape (samples,)
    positive : label
        The class that is looked for; all others are negative.

    Returns
    -------
    float
        0 to 1; 0 if nothing was called positive.

    Raises
    ------
    ValueError
        If the rows don't fit, or ``positive`` is nowhere among the labels.
    """
    hits, false_alarms, _ = _counts(truth, predicted, positive)
    return _ratio(hits, hits + false_alarms)


def recall(truth: ArrayLike, predicted: ArrayLike, positive: Any = 1) -> float:
    """Return how many of the positive ones were found: TP / (TP + FN).

    Parameters
    ----------
    truth, predicted : array of labels, shape (samples,)
    positive : label
        The class that is looked for; all others are negative.

    Returns
    -------
    float
        0 to 1; 0 if there was nothing to find.

    Raises
    ------
    ValueError
        If the rows don't fit, or ``positive`` is nowhere among the labels.
    """
    hits, _, misses = _counts(truth, predicted, positive)
    return _ratio(hits, hits + misses)


def f1(truth: ArrayLike, predicted: ArrayLike, positive: Any = 1) -> float:
    """Return the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    truth, predicted : array of labels, shape (samples,)
    positive : label
        The class that is looked for; all others are negative.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        If the rows don't fit, or ``positive`` is nowhere among the labels.
    """
    hits, false_alarms, misses = _counts(truth, predicted, positive)
    return _ratio(2 * hits, 2 * hits + false_alarms + misses)


def macro_f1(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean F1 over all classes that occur, each counting the same.

    Accuracy hides a rare class that is never found; this doesn't.

    Parameters
    ----------
    truth, predicted : array of labels, shape (samples,)

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        If the two aren't rows of labels of one length, at least one of them.
    """
    truth, predicted = _labels(truth, predicted)
    classes = sorted({*truth.tolist(), *predicted.tolist()})
    return float(np.mean([f1(truth, predicted, positive=name) for name in classes]))


def roc_curve(truth: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the receiver operating characteristic: hits against false alarms.

    Parameters
    ----------
    truth : array of 0 and 1 (or bool), shape (samples,)
    scores : array of numbers, shape (samples,)
        The higher, the likelier to be 1: probabilities or logits.

    Returns
    -------
    false_positive_rate, true_positive_rate, thresholds : arrays, shape (points,)
        What share of the negatives and of the positives scores at least each threshold, from
        infinity (nobody) down to the lowest score (everybody). One point for each different
        score, as scikit-learn's with ``drop_intermediate=False``.

    Raises
    ------
    ValueError
        If there aren't both classes, or a score is no finite number.
    """
    truth, scores = _binary(truth, scores)
    order = np.argsort(-scores, kind="stable")
    truth, scores = truth[order], scores[order]
    # Equal scores pass a threshold together: only the last of them is a point of the curve.
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    hits = np.cumsum(truth)[last]
    alarms = last + 1 - hits
    false_positive_rate = np.append(0, alarms / alarms[-1])
    true_positive_rate = np.append(0, hits / hits[-1])
    return false_positive_rate, true_positive_rate, np.append(np.inf, scores[last])


def roc_auc(truth: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve.

    It is the chance that a random positive scores above a random negative, ties counting half:
    0.5 for guessing, 1 for a perfect order. It doesn't change with the threshold, nor with how
    many of each class there are.

    Parameters
    ----------
    truth : array of 0 and 1 (or bool), shape (samples,)
    scores : array of numbers, shape (samples,)

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    ValueError
        If there aren't both classes, or a score is no finite number.
    """
    x, y, _ = roc_curve(truth, scores)
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())  # trapezoids


def _labels(truth: ArrayLike, predicted: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.ndim != 1 or truth.shape != predicted.shape or not truth.size:
        raise ValueError(
            "truth and predicted must be two rows of labels of one length, not of shapes"
            f" {truth.shape} and {predicted.shape}"
        )
    for name, labels in (("truth", truth), ("predicted", predicted)):
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise ValueError(f"{name} has NaN or infinite labels")
    if (truth.dtype.kind in "US") != (predicted.dtype.kind in "US"):
        raise ValueError("truth and predicted must both be words or both be numbers")
    return truth, predicted


def _counts(truth: ArrayLike, predicted: ArrayLike, positive: Any) -> tuple[int, int, int]:
    """Count hits (TP), false alarms (FP) and misses (FN)."""
    truth, predicted = _labels(truth, predicted)
    true, called = truth == positive, predicted == positive
    if not np.any(true) and not np.any(called):
        raise ValueError(f"no label is {positive!r}: name the class that you look for, positive=…")
    return int((true & called).sum()), int((~true & called).sum()), int((true & ~called).sum())


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _binary(truth: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    truth, scores = np.asarray(truth), np.asarray(scores)
    if truth.ndim != 1 or truth.shape != scores.shape or not truth.size:
        raise ValueError(
            f"truth and scores must be two rows of one length, not of shapes {truth.shape}"
            f" and {scores.shape}"
        )
    if truth.dtype.kind not in "biuf" or set(np.unique(truth).tolist()) != {0, 1}:
        raise ValueError("truth must be 0 and 1, with at least one of each")
    if scores.dtype.kind not in "biuf" or not np.isfinite(scores).all():
        raise ValueError("scores must be finite numbers")
    return truth.astype(int), scores.astype(float)
