"""Ranking metrics: by hand, against scikit-learn, and what they refuse."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from mlmusic.metrics import ranking

# Ann's relevant items are 1, 5, 9; her list has them at places 1 and 3. Bob's 2 isn't listed; Cid
# has none. The fourth list is short.
RANKED = np.array([[5, 0, 1, 7], [0, 1, 3, 4], [0, 1, 2, 3], [6, 8, -1, -1]])
RELEVANT = [{1, 5, 9}, [2], [], np.array([8])]


def test_top_is_stable():
    random = np.random.default_rng(0)
    scores = random.integers(0, 4, (50, 40)).astype(np.float32)
    for k in (1, 7, 39, 40):
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        assert np.array_equal(ranking.top(scores, k), expected)


def test_by_hand():
    assert ranking.hits(RANKED, RELEVANT).astype(int).tolist() == [
        [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]
    ]  # fmt: skip
    nan = np.nan
    cases = {
        ranking.recall: [2 / 3, 0, nan, 1],
        ranking.precision: [1 / 2, 0, nan, 1 / 4],
        ranking.reciprocal_rank: [1, 0, nan, 1 / 2],
        # Ann: places 1 and 3 of the best possible 1, 2, 3.
        ranking.ndcg: [(1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2), 0, nan, 1 / np.log2(3)],
        ranking.average_precision: [(1 + 2 / 3) / 3, 0, nan, 1 / 2],
    }
    for metric, expected in cases.items():
        assert metric(RANKED, RELEVANT) == pytest.approx(expected, nan_ok=True), metric.__name__
    assert ranking.mean(ranking.recall(RANKED, RELEVANT)) == pytest.approx((2 / 3 + 0 + 1) / 3)


def test_more_relevant_items_than_places():
    # Six relevant items, a list of two, both right: nothing better was possible.
    ranked, relevant = [[0, 1]], [range(6)]
    assert ranking.ndcg(ranked, relevant) == pytest.approx([1])
    assert ranking.average_precision(ranked, relevant) == pytest.approx([1])
    assert ranking.recall(ranked, relevant) == pytest.approx([1 / 3])


def test_equal_to_scikit_learn():
    random = np.random.default_rng(0)
    for _ in range(20):
        scores = random.permutation(30).astype(float)
        truth = np.zeros(30)
        truth[random.choice(30, 6, replace=False)] = 1
        relevant = [np.flatnonzero(truth)]
        ranked = np.argsort(-scores)[None]
        assert ranking.ndcg(ranked[:, :10], relevant)[0] == pytest.approx(
            ndcg_score([truth], [scores], k=10)
        )
        assert ranking.average_precision(ranked, relevant)[0] == pytest.approx(
            average_precision_score(truth, scores)
        )


def test_the_names_of_users_and_items_do_not_matter():
    random = np.random.default_rng(1)
    ranked = np.array([random.permutation(20)[:5] for _ in range(10)])
    relevant = [random.choice(20, 4, replace=False) for _ in range(10)]
    new, order = random.permutation(20), random.permutation(10)
    for metric in (ranking.recall, ranking.ndcg, ranking.average_precision):
        expected = metric(ranked, relevant)[order]
        assert metric(new[ranked][order], [new[relevant[i]] for i in order]) == pytest.approx(
            expected
        )


def test_coverage_and_gini():
    assert ranking.coverage(RANKED, 10) == 9 / 10  # all but item 9
    assert ranking.gini([1, 1, 1, 1]) == pytest.approx(0)
    assert ranking.gini([0, 0, 0, 1]) == pytest.approx(3 / 4)
    # The mean difference of all pairs, halved, over the mean: (1 + 2 + 1) * 2 / 9 / 2 / 2.
    assert ranking.gini([1, 2, 3]) == pytest.approx(4 / 18)
    for bad in ([], [0, 0], [1, -1]):
        with pytest.raises(ValueError, match="gini needs counts"):
            ranking.gini(bad)


def test_coverage_of_nothing():
    assert ranking.coverage([[-1, -1]], 10) == 0  # nothing is recommended to anybody
    with pytest.raises(ValueError, match="the catalogue must hold at least one item, not 0"):
        ranking.coverage([[-1, -1]], 0)
    with pytest.raises(ValueError, match="item 8 is recommended, but the catalogue holds 8"):
        ranking.coverage(RANKED, 8)


def test_novelty():
    # Of 8 users, 4 know item 0 (1 bit), 1 knows item 1 (3 bits), nobody item 2 (as if 1).
    values = ranking.novelty([[0, 1], [2, -1], [-1, -1]], [4, 1, 0], 8)
    assert values == pytest.approx([2, 3, np.nan], nan_ok=True)


def test_diversity():
    features = np.array([[1.0, 0], [0, 2], [-3, 0], [5, 0]])
    values = ranking.diversity([[0, 3, -1], [0, 1, -1], [0, 2, -1], [0, 1, 2], [1, -1, -1]],
                               features)  # fmt: skip
    # Same direction, right angle, opposite; mean of 1, 2, 1; one item has no pairs.
    assert values == pytest.approx([0, 1, 2, 4 / 3, np.nan], nan_ok=True)
    with pytest.raises(ValueError, match="no direction"):
        ranking.diversity([[0, 1]], [[0.0, 0], [1, 0]])


def test_miscalibration():
    group = np.array([0, 0, 1, 1])
    values = ranking.miscalibration(
        [[0, 2], [0, 1], [2, 3], [0, 1]], [[1, 3], [2], [2, 3], []], group
    )
    assert values == pytest.approx([0, 1, 0, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ([], "there are no groups"),
        ([0.0, 1.0], "one whole number from 0 for each item"),
        ([0, -1], "one whole number from 0"),
        ([[0, 1]], "one whole number from 0"),
        ([0, 1], "item 2 has no group: there are groups of 2 items"),
    ],
)
def test_impossible_groups(group, message):
    with pytest.raises(ValueError, match=message):
        ranking.miscalibration([[0, 1]], [[2]], group)


def test_histories_of_others():
    with pytest.raises(ValueError, match="1 lists, but histories of 2 users"):
        ranking.miscalibration([[0, 1]], [[1], [0]], [0, 0])


@pytest.mark.parametrize(
    "metric",
    [
        ranking.hits,
        ranking.recall,
        ranking.precision,
        ranking.ndcg,
        ranking.reciprocal_rank,
        ranking.average_precision,
    ],
)
def test_lists_without_a_place(metric):
    with pytest.raises(ValueError, match="the lists have no places: k must be at least 1"):
        metric(np.empty((2, 0), int), [[1], [2]])


@pytest.mark.parametrize(
    ("ranked", "relevant", "message"),
    [
        ([1, 2], [[1]], "table of item numbers"),
        ([[1.0, 2.0]], [[1]], "table of item numbers"),
        ([[1, 2]], [[1], [2]], "1 lists, but relevant items of 2 users"),
        ([[1, 2], [3, 3]], [[1], [2]], "user 1 gets the same item twice"),
    ],
)
def test_impossible_lists(ranked, relevant, message):
    with pytest.raises(ValueError, match=message):
        ranking.recall(ranked, relevant)


def test_nothing_to_average():
    with pytest.raises(ValueError, match="no user has a relevant item"):
        ranking.mean(ranking.recall([[1]], [[]]))
