"""Who is behind the plays? Pseudonyms, and a check whether they are enough.

References
----------
L. Sweeney, "k-anonymity: a model for protecting privacy", *International Journal of Uncertainty,
Fuzziness and Knowledge-Based Systems* 10(5), 2002. A. Narayanan and V. Shmatikov, "Robust
de-anonymization of large sparse datasets", *IEEE Symposium on Security and Privacy*, 2008.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from mlmusic.plays import Plays


def pseudonyms(plays: Plays, key: bytes) -> Plays:
    """Replace the names of users by pseudonyms that only the holder of the key can make.

    A keyed hash (HMAC-SHA256, its first 16 hexadecimal digits): the same name always gets the
    same pseudonym. Without the key, whoever knows all names could hash them and compare. Nothing
    else is changed: a pseudonym hides a name, and not what somebody plays.

    Parameters
    ----------
    plays : Plays
    key : bytes
        At least 16 random ones, such as ``secrets.token_bytes(32)``; keep them elsewhere.

    Returns
    -------
    Plays

    Raises
    ------
    ValueError
        If the key is short, or two users get the same pseudonym (choose another key).
    """
    if len(key) < 16:
        raise ValueError(f"a key of {len(key)} bytes can be guessed: take at least 16 random ones")
    names = [
        hmac.new(key, str(name).encode(), hashlib.sha256).hexdigest()[:16] for name in plays.users
    ]
    return replace(plays, users=names)


def group_sizes(known: Sequence[Hashable]) -> np.ndarray:
    """For each person, count how many share what is known of them, themselves included.

    Parameters
    ----------
    known : sequence
        What somebody who wants to find a person might know: a region, ``(region, age)``, or the
        set of their three favourite tunes as a frozenset.

    Returns
    -------
    int array, shape (persons,)
        1: this person can be singled out.
    """
    counts: dict[Hashable, int] = {}
    for value in known:
        counts[value] = counts.get(value, 0) + 1
    return np.array([counts[value] for value in known], int)


def is_k_anonymous(known: Sequence[Hashable], k: int) -> bool:
    """Tell whether nobody stands in a group of fewer than k.

    Raises
    ------
    ValueError
        If k is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    return not len(known) or int(group_sizes(known).min()) >= k


def favourites(plays: Plays, n: int) -> list[frozenset[int]]:
    """Return the n most played items of each user: what a friend might know of them.

    Raises
    ------
    ValueError
        If n is below 1.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    table = plays.matrix("count")
    rows = zip(table.indptr, table.indptr[1:], strict=False)
    return [
        frozenset(table.indices[a:b][np.argsort(-table.data[a:b], kind="stable")[:n]].tolist())
        for a, b in rows
    ]
