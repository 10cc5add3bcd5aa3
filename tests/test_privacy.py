"""Pseudonyms and k-anonymity."""

import numpy as np
import pytest

from mlmusic.plays import Plays
from mlmusic.privacy import favourites, group_sizes, is_k_anonymous, pseudonyms

KEY = b"0123456789abcdef"
ROWS = [("ann", "reel", 3), ("ann", "jig", 5), ("bob", "jig", 2), ("bob", "reel", 2),
        ("cid", "air", 1)]  # fmt: skip


@pytest.fixture
def plays():
    return Plays.from_rows(ROWS)


def test_pseudonyms_hide_names_and_change_nothing_else(plays):
    hidden = pseudonyms(plays, KEY)
    assert not set(hidden.users) & {"ann", "bob", "cid"}
    assert len(set(hidden.users)) == 3 and all(len(name) == 16 for name in hidden.users)
    assert np.array_equal(hidden.matrix("count").toarray(), plays.matrix("count").toarray())
    assert list(plays.users) == ["ann", "bob", "cid"]  # the original is as it was


def test_pseudonyms_depend_on_name_and_key_alone(plays):
    assert pseudonyms(plays, KEY).users == pseudonyms(plays, KEY).users
    assert pseudonyms(plays.without(0), KEY).users == pseudonyms(plays, KEY).users[1:]
    other = pseudonyms(plays, KEY[::-1]).users
    assert not set(other) & set(pseudonyms(plays, KEY).users)


def test_a_short_key_is_refused(plays):
    with pytest.raises(ValueError, match="a key of 6 bytes can be guessed"):
        pseudonyms(plays, b"secret")


def test_groups():
    known = [("north", 30), ("north", 30), ("south", 30), ("north", 30)]
    assert group_sizes(known).tolist() == [3, 3, 1, 3]
    assert is_k_anonymous(known, 1) and not is_k_anonymous(known, 2)
    assert is_k_anonymous([k for k in known if k[0] == "north"], 3)
    assert is_k_anonymous([], 5)
    with pytest.raises(ValueError, match="k must be at least 1"):
        is_k_anonymous(known, 0)


def test_favourites(plays):
    reel, jig, air = range(3)
    assert favourites(plays, 1) == [{jig}, {reel}, {air}]  # bob's tie goes to the first item
    assert favourites(plays, 2) == [{reel, jig}, {reel, jig}, {air}]
    assert group_sizes(favourites(plays, 2)).tolist() == [2, 2, 1]
    with pytest.raises(ValueError, match="n must be at least 1"):
        favourites(plays, 0)
