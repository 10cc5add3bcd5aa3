"""Plays: columns checked, tables made, splits that don't leak."""

import numpy as np
import pytest

from mlmusic.plays import Plays, hold_out, split_by_time

ROWS = [("ann", "reel", 3, 5.0), ("bob", "jig", 1, 1.0), ("ann", "jig", 2, 2.0),
        ("ann", "reel", 4, 9.0), ("cid", "air", 1, 3.0)]  # fmt: skip


@pytest.fixture
def plays():
    return Plays.from_rows(ROWS)


@pytest.fixture(scope="module")
def many():
    random = np.random.default_rng(0)
    user, item = random.integers(0, 80, 4000), random.integers(0, 60, 4000)
    return Plays(user, item, random.integers(1, 9, 4000), range(80), range(60), random.random(4000))


def test_names_become_places(plays):
    assert list(plays.users) == ["ann", "bob", "cid"]
    assert list(plays.items) == ["reel", "jig", "air"]
    assert repr(plays) == "Plays(5 rows: 3 users, 3 items, 11 plays)"
    assert len(plays) == 5


def test_tables(plays):
    assert plays.matrix().toarray().tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    # Rows of one pair add up before they are weighed.
    assert plays.matrix("count").toarray().tolist() == [[7, 2, 0], [0, 1, 0], [0, 0, 1]]
    assert plays.matrix("log")[0, 0] == pytest.approx(np.log(8))
    # Ann met the jig on day 2, the reel on day 5; that she played it again doesn't count.
    assert plays.matrix("order").toarray().tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert plays.popularity().tolist() == [1, 2, 1]


def test_without_times_the_rows_are_in_order():
    plays = Plays.from_rows([row[:3] for row in ROWS])
    assert plays.matrix("order").toarray()[0].tolist() == [1, 2, 0]


def test_without_a_user_nothing_is_left_of_them(plays):
    rest = plays.without(0)
    assert list(rest.users) == ["bob", "cid"]
    assert rest.user.tolist() == [0, 1]
    assert rest.time.tolist() == [1.0, 3.0]
    with pytest.raises(ValueError, match="user 3 isn't among the 3 users"):
        plays.without(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": [0, 9]}, r"row 1: user 9 isn't among the 2 users \(0 to 1\)"),
        ({"item": [-1, 0]}, r"row 0: item -1 isn't among the 2 items"),
        ({"item": [0.5, 1.0]}, "item must be whole numbers"),
        ({"count": [1, -2]}, "row 1: count -2.0 must be a number above 0"),
        ({"count": [0, 1]}, "row 0: count 0.0 must be"),
        ({"count": [1, np.nan]}, "row 1: count nan must be"),
        ({"time": [0, np.inf]}, "row 1: time inf must be"),
        ({"count": [1]}, "rows of one length"),
        ({"users": ["a", "a"]}, "a name stands twice in users"),
    ],
)
def test_impossible_plays_are_refused(change, message):
    fine = {"user": [0, 1], "item": [0, 1], "count": [1, 1], "users": "ab", "items": "xy"}
    Plays(**fine)
    with pytest.raises(ValueError, match=message):
        Plays(**fine | change)


def test_rows_of_mixed_length_and_unknown_weights_are_refused(plays):
    with pytest.raises(ValueError, match="each row is"):
        Plays.from_rows([("a", "x", 1), ("a", "y", 1, 0.0)])
    with pytest.raises(ValueError, match="weight must be one of binary, count, log, order"):
        plays.matrix("loud")


def test_nothing_at_all_is_possible():
    empty = Plays.from_rows([])
    assert empty.matrix().shape == (0, 0)


def test_hold_out_hides_whole_pairs_of_everybody(many):
    train, test = hold_out(many, 0.25, seed=1)
    seen, hidden = train.matrix().toarray(), test.matrix().toarray()
    assert not (seen * hidden).any()
    assert np.array_equal(seen + hidden, many.matrix().toarray())
    assert np.array_equal(hidden.sum(1), np.round(0.25 * many.matrix().toarray().sum(1)))
    assert len(train) + len(test) == len(many)
    again = hold_out(many, 0.25, seed=1)[1]
    assert np.array_equal(again.item, test.item)
    assert not np.array_equal(hold_out(many, 0.25, seed=2)[1].item, test.item)


def test_nobody_loses_their_only_item():
    train, test = hold_out(Plays.from_rows([("a", "x", 1), ("b", "x", 1), ("b", "y", 1)]), 0.9)
    assert train.matrix().toarray().sum(1).tolist() == [1, 1]
    assert len(test) == 1


def test_hidden_items_are_drawn_evenly():
    plays = Plays(np.zeros(10, int), np.arange(10), np.ones(10), ["a"], range(10))
    counts = sum(hold_out(plays, 0.3, seed)[1].matrix().toarray()[0] for seed in range(400))
    # 120 each by chance, deviation 9.
    assert counts.sum() == 1200
    assert counts.min() > 75 and counts.max() < 165


def test_the_past_and_the_future(many):
    train, test = split_by_time(many, 0.3)
    assert train.time.max() <= test.time.min()
    assert len(train) == pytest.approx(0.7 * len(many), abs=1)
    # Nothing in the future was known in the past.
    assert not (train.matrix().toarray() * test.matrix().toarray()).any()


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_impossible_shares(many, share):
    for split in (hold_out, split_by_time):
        with pytest.raises(ValueError, match="share must be between 0 and 1"):
            split(many, share)


def test_without_times_there_is_no_past():
    with pytest.raises(ValueError, match="no times"):
        split_by_time(Plays.from_rows([("a", "x", 1)]))
