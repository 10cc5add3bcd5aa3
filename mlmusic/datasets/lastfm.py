"""Last.fm 2k: what 1,892 people listened to, from a file that the reader has to get."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlmusic.plays import Plays

HEADER = ("userID", "artistID", "weight")


def lastfm(path: str | Path) -> Plays:
    """Read ``user_artists.dat`` of HetRec 2011's Last.fm set, or any file of that format.

    A header ``userID artistID weight``, then one row a pair, tab-separated: two whole numbers and
    how often that user played that artist. Blanks and tabs at the end of a line and Windows' line
    ends do no harm. The file is free for non-commercial research and isn't shipped:
    https://grouplens.org/datasets/hetrec-2011/.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Plays
        Users and items ascend by their number; there are no times.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the header differs, or a row is damaged, impossible or repeated; the message gives the
        line's number.

    References
    ----------
    I. Cantador, P. Brusilovsky and T. Kuflik, "Second workshop on information heterogeneity and
    fusion in recommender systems (HetRec 2011)", *RecSys*, 2011.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {path}: user_artists.dat is in hetrec2011-lastfm-2k.zip, "
            "at https://grouplens.org/datasets/hetrec-2011/"
        )
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    if not lines or tuple(lines[0].lstrip("\ufeff").rstrip("\t ").split("\t")) != HEADER:
        raise ValueError(f"{path.name} doesn't begin with the header {'<tab>'.join(HEADER)}")
    rows, first_at = [], {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        try:
            user, item, count = map(int, line.rstrip().split("\t"))
        except ValueError:
            raise ValueError(
                f"{path.name}, line {number}: {line[:60]!r} isn't three whole numbers with tabs "
                "between them"
            ) from None
        if min(user, item) < 0 or count < 1:
            raise ValueError(
                f"{path.name}, line {number}: numbers must be at least 0, and the weight at least 1"
            )
        if max(user, item, count) >= 2**63:
            raise ValueError(f"{path.name}, line {number}: a number is too large")
        if (before := first_at.setdefault((user, item), number)) != number:
            raise ValueError(
                f"{path.name}, line {number}: user {user} and artist {item} stand in line {before} "
                "already"
            )
        rows.append((user, item, count))
    table = np.array(rows, np.int64).reshape(-1, 3)
    users, user = np.unique(table[:, 0], return_inverse=True)
    items, item = np.unique(table[:, 1], return_inverse=True)
    return Plays(user.ravel(), item.ravel(), table[:, 2], users.tolist(), items.tolist())
