"""How far a measured number could be off: bootstrap intervals, by rows or by whole groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Interval", "bootstrap"]


class Interval(NamedTuple):
    """A number, and the range in which it would likely fall on other data of the same kind.

    Attributes
    ----------
    value : float
        The statistic of the data themselves.
    low, high : float
        The ends of the interval, in the statistic's unit.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def bootstrap(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> Interval:
    """Bootstrap interval (percentile method): compute the statistic on resampled data.

    Rows are drawn with replacement, as many as there are, again and again; the interval holds the
    middle ``level`` of the statistic's values. Rows that belong together (variants of one melody,
    notes of one preset) aren't independent: with ``groups``, whole groups are drawn instead, and
    the interval becomes honestly wider.

    Parameters
    ----------
    statistic : function (*arrays) -> float
        For example ``accuracy``. A draw on which it gives NaN is left out.
    *arrays : array_like, (rows, ...)
        Data that are resampled together.
    draws : int
        How often to resample.
    level : float
        Between 0 and 1: how much of the draws the interval holds.
    seed : int
        Of the draws: the same call gives the same interval.
    groups : array_like, (rows,), optional
        The group of each row; groups are never taken apart.

    Returns
    -------
    Interval
        ``(value, low, high)``.

    Raises
    ------
    ValueError
        If there are no arrays or rows, lengths differ, ``draws`` or ``level`` is impossible, or
        the statistic is NaN on the data or on every draw.

    References
    ----------
    B. Efron and R. Tibshirani, *An Introduction to the Bootstrap*, Chapman & Hall, 1993,
    section 13.3; for groups (the cluster bootstrap): A. Davison and D. Hinkley, *Bootstrap Methods
    and their Application*, Cambridge, 1997, section 3.8.

    Examples
    --------
    >>> import numpy as np
    >>> bootstrap(np.mean, [0, 1, 1, 1], draws=200).value
    0.75
    """
    data = [np.asarray(array) for array in arrays]
    rows = _rows(data)
    if not isinstance(draws, (int, np.integer)) or draws < 1:
        raise ValueError(f"draws must be a whole number from 1 on, not {draws!r}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, such as 0.95, not {level!r}")
    members = _members(groups, rows)

    value = float(statistic(*data))
    if np.isnan(value):
        raise ValueError("the statistic is NaN on the data themselves")
    rng = np.random.default_rng(seed)
    drawn = np.empty(draws)
    for i in range(draws):
        chosen = rng.integers(0, len(members), len(members))
        index = np.concatenate([members[k] for k in chosen])
        drawn[i] = statistic(*(array[index] for array in data))
    if np.isnan(drawn).all():
        raise ValueError("the statistic is NaN on every draw")
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _rows(data: list[np.ndarray]) -> int:
    if not data:
        raise ValueError("there is nothing to resample: pass at least one array")
    lengths = [len(array) if array.ndim else 0 for array in data]
    if len(set(lengths)) > 1:
        raise ValueError(f"the arrays have {lengths} rows; they must have equally many")
    if lengths[0] == 0:
        raise ValueError("the arrays have no rows")
    return lengths[0]


def _members(groups: ArrayLike | None, rows: int) -> list[np.ndarray]:
    """Row indices of each group; without groups each row is its own."""
    if groups is None:
        return list(np.arange(rows)[:, None])
    groups = np.asarray(groups)
    if groups.shape != (rows,):
        raise ValueError(f"groups has shape {groups.shape}; it must name a group for {rows} rows")
    _, which = np.unique(groups, return_inverse=True)
    order = np.argsort(which, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(which[order])) + 1)
