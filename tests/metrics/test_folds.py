"""Folds: everyone is tested once, groups stay whole, the same seed gives the same folds."""

import numpy as np
import pytest

from mlmusic.metrics.folds import k_folds, leave_one_group_out


@pytest.mark.parametrize(("n", "k"), [(10, 5), (11, 5), (7, 7), (100, 3)])
def test_everyone_is_tested_once(n, k):
    folds = k_folds(n, k)
    assert len(folds) == k
    assert np.concatenate([test for _, test in folds]).tolist() != list(range(n))  # shuffled
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(n))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(n))
        assert len(test) in (n // k, -(-n // k))
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()


def test_groups_are_never_split():
    rng = np.random.default_rng(0)
    groups = rng.choice(["a", "b", "c", "d", "e", "f", "g"], 200, p=[0.4, *[0.1] * 6])
    folds = k_folds(200, 5, groups=groups, seed=3)
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
    sizes = [len(test) for _, test in folds]
    assert sum(sizes) == 200
    assert max(sizes) == (groups == "a").sum()  # the largest group is alone in its fold


def test_small_groups_balance():
    groups = np.repeat(np.arange(60), np.tile([1, 2, 3], 20))
    assert {len(test) for _, test in k_folds(120, 5, groups=groups)} == {24}


def test_the_seed_decides():
    first, again, other = (k_folds(50, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True))


def test_leave_one_group_out():
    found = leave_one_group_out(["erk", "boehme", "erk", "fink"])
    assert [(name, train.tolist(), test.tolist()) for name, train, test in found] == [
        ("boehme", [0, 2, 3], [1]),
        ("erk", [1, 3], [0, 2]),
        ("fink", [0, 1, 2], [3]),
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: k_folds(3, 5), "5 folds need at least 5 samples, not 3"),
        (lambda: k_folds(0, 2), "at least 2 samples"),
        (lambda: k_folds(10.0, 2), "at least 2 samples"),
        (lambda: k_folds(10, 1), "from 2 on"),
        (lambda: k_folds(10, 2.5), "from 2 on"),
        (lambda: k_folds(4, 3, groups=[0, 0, 1, 1]), "3 folds need at least 3 groups, not 2"),
        (lambda: k_folds(4, 2, groups=[0, 1]), r"each of 4 samples, not \(2,\)"),
        (lambda: k_folds(2, 2, groups=[0, np.nan]), "NaN"),
        (lambda: leave_one_group_out([1, 1]), "at least two groups"),
        (lambda: leave_one_group_out([]), "at least two groups"),
        (lambda: leave_one_group_out([[1], [2]]), "one label for each"),
    ],
)
def test_impossible_folds_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
