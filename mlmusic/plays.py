"""Plays: who listened to what, how often and when. The data that every recommender learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

WEIGHTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "binary": np.ones_like,
    "count": lambda counts: counts,
    "log": np.log1p,
}


@dataclass(eq=False, repr=False)
class Plays:
    """Implicit feedback: nobody said what they like, we only saw what they played.

    Attributes
    ----------
    user, item : int array, shape (rows,)
        Who and what, as places in `users` and `items`.
    count : float array, shape (rows,)
        How often; above 0. A pair may stand in several rows: its counts add up.
    time : float array, shape (rows,), or None
        When the first of these plays was, in days from any day 0.
    users, items : list
        The names of everybody and of everything, also of those without a play.

    Raises
    ------
    ValueError
        If the columns differ in length, a place isn't in its list, a name stands twice, a count
        isn't a number above 0, or a time isn't finite. The message names the first such row.

    Examples
    --------
    >>> plays = Plays.from_rows([("ann", "reel", 3), ("bob", "reel", 1), ("bob", "jig", 5)])
    >>> plays
    Plays(3 rows: 2 users, 2 items, 9 plays)
    >>> plays.matrix().toarray()
    array([[1., 0.],
           [1., 1.]])
    """

    user: np.ndarray
    item: np.ndarray
    count: np.ndarray
    users: Sequence[Any]
    items: Sequence[Any]
    time: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.user = _places(self.user, len(self.users), "user")
        self.item = _places(self.item, len(self.items), "item")
        self.count = np.asarray(self.count, np.float64)
        columns = {"user": self.user, "item": self.item, "count": self.count}
        if self.time is not None:
            self.time = np.asarray(self.time, np.float64)
            columns["time"] = self.time
        shapes = {name: column.shape for name, column in columns.items()}
        if len(set(shapes.values())) > 1 or self.user.ndim != 1:
            raise ValueError(f"the columns of plays must be rows of one length, not {shapes}")
        _refuse(
            ~(np.isfinite(self.count) & (self.count > 0)),
            "count {} must be a number above 0",
            self.count,
        )
        if self.time is not None:
            _refuse(~np.isfinite(self.time), "time {} must be a number of days", self.time)
        for kind, names in (("users", self.users), ("items", self.items)):
            if len(set(names)) != len(names):
                raise ValueError(f"a name stands twice in {kind}")

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence]) -> Plays:
        """Make plays from rows ``(user, item, count)`` or ``(user, item, count, time)`` of names.

        Users and items are numbered in the order in which they first appear.

        Raises
        ------
        ValueError
            If a row has another length, or a count or time is impossible.
        """
        lengths = {len(row) for row in rows}
        if not lengths <= {3} and not lengths <= {4}:
            raise ValueError(
                "each row is (user, item, count), or each is (user, item, count, time)"
            )
        users: dict[Any, int] = {}
        items: dict[Any, int] = {}
        user = [users.setdefault(row[0], len(users)) for row in rows]
        item = [items.setdefault(row[1], len(items)) for row in rows]
        time = [row[3] for row in rows] if lengths == {4} else None
        return cls(user, item, [row[2] for row in rows], list(users), list(items), time)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.user)

    def __repr__(self) -> str:
        total = f"{self.count.sum():,.0f} plays"
        return (
            f"Plays({len(self):,} rows: {len(self.users):,} users, {len(self.items):,} items, "
            f"{total})"
        )

    def take(self, rows: ArrayLike) -> Plays:
        """Return some of the rows, by a mask or by their numbers; users and items stay known."""
        rows = np.asarray(rows)
        time = None if self.time is None else self.time[rows]
        return Plays(
            self.user[rows], self.item[rows], self.count[rows], self.users, self.items, time
        )

    def without(self, user: int) -> Plays:
        """Return the plays as if a user had never been there: neither rows nor name remain.

        Raises
        ------
        ValueError
            If there is no such user.
        """
        user = int(_places([user], len(self.users), "user")[0])
        rest = self.take(self.user != user)
        names = [name for place, name in enumerate(self.users) if place != user]
        shifted = rest.user - (rest.user > user)
        return Plays(shifted, rest.item, rest.count, names, self.items, rest.time)

    def matrix(self, weight: str = "binary") -> csr_matrix:
        """Return the table of users × items, which is nearly empty and stored so.

        Parameters
        ----------
        weight : {"binary", "count", "log", "order"}
            What stands in the table: 1; the number of plays; ``log(1 + plays)``, which keeps
            somebody's 2,000 plays of one tune from drowning the rest; or 1 for the item that the
            user met first, 2 for the next (by time, else by row).

        Returns
        -------
        csr_matrix of float64, shape (users, items)
            Rows of the same pair are added up first; items ascend within a row.

        Raises
        ------
        ValueError
            If the weight is unknown.
        """
        if weight not in (*WEIGHTS, "order"):
            raise ValueError(f"weight must be one of {', '.join(WEIGHTS)}, order, not {weight!r}")
        shape = len(self.users), len(self.items)
        if weight == "order":
            return self._order(shape)
        table = csr_matrix((self.count, (self.user, self.item)), shape)
        table.sum_duplicates()
        table.data = WEIGHTS[weight](table.data)
        return table

    def _order(self, shape: tuple[int, int]) -> csr_matrix:
        when = np.arange(len(self)) if self.time is None else self.time
        by_time = np.lexsort((when, self.user))
        pair = (self.user * shape[1] + self.item)[by_time]
        first = np.sort(np.unique(pair, return_index=True)[1])  # each pair's first row, in order
        user, item = self.user[by_time][first], self.item[by_time][first]
        place = np.arange(len(user)) - np.searchsorted(user, user) + 1
        table = csr_matrix((place.astype(float), (user, item)), shape)
        table.sort_indices()
        return table

    def popularity(self) -> np.ndarray:
        """Count the listeners of each item, shape (items,)."""
        return np.bincount(self.matrix().indices, minlength=len(self.items))


def hold_out(plays: Plays, share: float = 0.2, seed: int = 0) -> tuple[Plays, Plays]:
    """Hide a share of each user's items at random: rows for training, rows for testing.

    All rows of a pair go to the same side, or the answer would stand in the training data. Each
    user keeps at least one item; ``round(share * items)`` of them are hidden.

    Parameters
    ----------
    plays : Plays
    share : float
        Above 0, below 1.
    seed : int

    Returns
    -------
    train, test : Plays
        With the same users and items.

    Raises
    ------
    ValueError
        If the share is impossible.
    """
    _check_share(share)
    table = plays.matrix()
    sizes = np.diff(table.indptr)
    random = np.random.default_rng(seed).random(table.nnz)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((random, owner))
    place = np.arange(table.nnz) - np.repeat(table.indptr[:-1], sizes)  # in its user's shuffle
    hidden = np.minimum(np.round(share * sizes), np.maximum(sizes - 1, 0))
    chosen = order[place < np.repeat(hidden, sizes)]
    width = len(plays.items)
    pairs = owner[chosen] * width + table.indices[chosen]
    mask = np.isin(plays.user * width + plays.item, pairs)
    return plays.take(~mask), plays.take(mask)


def split_by_time(plays: Plays, share: float = 0.2) -> tuple[Plays, Plays]:
    """Split at one moment for everybody: the past for training, the future for testing.

    That is how a recommender is used. Of the future, only first meetings are kept: what the user
    had played before is no discovery. A row's count isn't divided: plays of a pair after the moment
    stay in it, so learn from the binary table, or from rows that are single plays.

    Parameters
    ----------
    plays : Plays
        With times.
    share : float
        How many of the rows lie after the moment, above 0, below 1.

    Returns
    -------
    train, test : Plays
        With the same users and items. Who came later has no row in train: a cold start.

    Raises
    ------
    ValueError
        If the plays have no times, or the share is impossible.
    """
    _check_share(share)
    if plays.time is None:
        raise ValueError("these plays have no times: split them with hold_out")
    moment = np.quantile(plays.time, 1 - share) if len(plays) else 0.0
    past = plays.time <= moment
    width = len(plays.items)
    pair = plays.user * width + plays.item
    return plays.take(past), plays.take(~past & ~np.isin(pair, pair[past]))


def _places(values: ArrayLike, size: int, kind: str) -> np.ndarray:
    """Return places in a list as int64, or refuse."""
    values = np.asarray(values)
    if values.size and not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{kind} must be whole numbers, places in the list of {kind}s")
    values = values.astype(np.int64)
    message = f"{kind} {{}} isn't among the {size:,} {kind}s (0 to {size - 1:,})"
    _refuse((values < 0) | (values >= size), message, values)
    return values


def _refuse(bad: np.ndarray, message: str, values: np.ndarray) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"row {row}: " + message.format(values.ravel()[row]))


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, not {share}")
