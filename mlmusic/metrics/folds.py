"""Which samples are trained on and which are tested on, when all of them take their turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def k_folds(
    n: int, k: int = 5, *, groups: ArrayLike | Sequence[Any] | None = None, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split samples into k folds, each of which is tested on once.

    Parameters
    ----------
    n : int
        How many samples.
    k : int
        How many folds.
    groups : array of labels, shape (n,), optional
        Samples with the same label stay together: settings of one melody, or the chords of one
        piece. Otherwise what was trained on returns in the test.
    seed : int
        Of the shuffling.

    Returns
    -------
    list of (train, test)
        Ascending int arrays of indices. The test folds share no sample and together hold all.
        Their sizes differ by one at most; with groups, as little as the largest group allows.

    Raises
    ------
    ValueError
        If there are fewer samples or groups than folds, fewer than two folds, or not one group a
        sample.
    """
    if not isinstance(k, (int, np.integer)) or k < 2:
        raise ValueError(f"k must be a whole number of folds from 2 on, not {k!r}")
    if not isinstance(n, (int, np.integer)) or n < k:
        raise ValueError(f"{k} folds need at least {k} samples, not {n!r}")
    numbers = np.arange(n) if groups is None else _numbered(groups, n)[1]
    sizes = np.bincount(numbers)
    if len(sizes) < k:
        raise ValueError(f"{k} folds need at least {k} groups, not {len(sizes)}")
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]  # largest first: small ones fill gaps
    fold_of, filled = np.zeros(len(sizes), int), np.zeros(k, int)
    for group in order:
        fold_of[group] = np.argmin(filled)
        filled[fold_of[group]] += sizes[group]
    folds = fold_of[numbers]
    return [(np.flatnonzero(folds != i), np.flatnonzero(folds == i)) for i in range(k)]


def leave_one_group_out(
    groups: ArrayLike | Sequence[Any],
) -> list[tuple[Any, np.ndarray, np.ndarray]]:
    """Test on each group in turn, after training on all the others.

    Parameters
    ----------
    groups : array of labels, shape (n,)
        Such as the collection that each tune comes from.

    Returns
    -------
    list of (group, train, test)
        In the order of the labels; train and test are ascending int arrays of indices.

    Raises
    ------
    ValueError
        If there are fewer than two groups.
    """
    names, numbers = _numbered(groups, len(groups))
    if len(names) < 2:
        raise ValueError("leaving one group out needs at least two groups")
    return [
        (name, np.flatnonzero(numbers != i), np.flatnonzero(numbers == i))
        for i, name in enumerate(names)
    ]


def _numbered(groups: ArrayLike | Sequence[Any], n: int) -> tuple[list[Any], np.ndarray]:
    """Return the different labels and, for each sample, the number of its label."""
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(f"groups must be one label for each of {n} samples, not {groups.shape}")
    if groups.dtype.kind == "f" and not np.isfinite(groups).all():
        raise ValueError("groups has NaN or infinite labels")
    names, numbers = np.unique(groups, return_inverse=True)
    return names.tolist(), numbers
