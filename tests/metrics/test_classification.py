"""Classification metrics: hand-counted cases, scikit-learn's numbers, refusals."""

import numpy as np
import pytest
from sklearn import metrics as theirs

from mlmusic.metrics import classification as ours

TRUTH = [1, 1, 1, 0, 0, 0, 0, 1]
CALLED = [1, 0, 1, 1, 0, 0, 0, 1]


def test_counted_by_hand():
    """Three hits, one false alarm, one miss, three rightly left alone."""
    assert ours.accuracy(TRUTH, CALLED) == 6 / 8
    assert ours.precision(TRUTH, CALLED) == 3 / 4
    assert ours.recall(TRUTH, CALLED) == 3 / 4
    assert ours.f1(TRUTH, CALLED) == 3 / 4
    assert ours.confusion_matrix(TRUTH, CALLED, [0, 1]).tolist() == [[3, 1], [1, 3]]


def test_auc_counted_by_hand():
    """Of 2 × 3 pairs the positive is above in 4, equal in 1: 4.5 of 6."""
    truth, scores = [1, 1, 0, 0, 0], [0.9, 0.4, 0.4, 0.1, 0.5]
    assert ours.roc_auc(truth, scores) == pytest.approx(4.5 / 6)
    x, y, thresholds = ours.roc_curve(truth, scores)
    assert thresholds.tolist() == [np.inf, 0.9, 0.5, 0.4, 0.1]
    np.testing.assert_allclose(y, [0, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(x, [0, 0, 1 / 3, 2 / 3, 1])


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth = rng.choice(["reel", "jig", "hornpipe"], 80, p=[0.6, 0.3, 0.1])
    called = np.where(rng.random(80) < 0.6, truth, rng.choice(["reel", "jig", "air"], 80))
    assert ours.accuracy(truth, called) == pytest.approx(theirs.accuracy_score(truth, called))
    assert ours.macro_f1(truth, called) == pytest.approx(
        theirs.f1_score(truth, called, average="macro", zero_division=0)
    )
    classes = ["reel", "jig", "hornpipe", "air"]
    np.testing.assert_array_equal(
        ours.confusion_matrix(truth, called, classes),
        theirs.confusion_matrix(truth, called, labels=classes),
    )
    for name in classes:
        one, two = truth == name, called == name
        pairs = [
            (ours.precision, theirs.precision_score),
            (ours.recall, theirs.recall_score),
            (ours.f1, theirs.f1_score),
        ]
        for mine, their in pairs:
            expected = their(one, two, zero_division=0)
            assert mine(truth, called, positive=name) == pytest.approx(expected)


@pytest.mark.parametrize("decimals", [8, 1])  # the second with many ties
def test_roc_is_equal_to_scikit_learns(decimals):
    rng = np.random.default_rng(1)
    truth = rng.random(300) < 0.3
    scores = np.round(rng.normal(truth, 1.0), decimals)
    expected = theirs.roc_curve(truth, scores, drop_intermediate=False)
    for mine, their in zip(ours.roc_curve(truth, scores), expected, strict=True):
        np.testing.assert_allclose(mine, their)
    assert ours.roc_auc(truth, scores) == pytest.approx(theirs.roc_auc_score(truth, scores))


def test_auc_looks_at_the_order_only():
    rng = np.random.default_rng(2)
    truth, scores = rng.integers(0, 2, 50), rng.normal(size=50)
    area = ours.roc_auc(truth, scores)
    assert ours.roc_auc(truth, np.exp(3 * scores)) == pytest.approx(area)
    assert ours.roc_auc(truth, -scores) == pytest.approx(1 - area)
    assert ours.roc_auc([0, 1], [5, 5]) == 0.5


def test_nothing_called_positive():
    assert ours.precision([1, 0], [0, 0]) == 0
    assert ours.recall([0, 0], [1, 0]) == 0
    assert ours.f1([0, 0], [1, 0]) == 0


@pytest.mark.parametrize(
    "metric", [ours.accuracy, ours.precision, ours.recall, ours.f1, ours.macro_f1]
)
@pytest.mark.parametrize(
    ("truth", "called", "message"),
    [
        ([], [], "two rows of labels"),
        ([1, 0], [1], r"\(2,\) and \(1,\)"),
        ([[1, 0]], [[1, 0]], "two rows of labels"),
        ([1, np.nan], [1, 0], "truth has NaN"),
        ([1, 0], [np.inf, 0], "predicted has NaN"),
        (["a", "b"], [1, 0], "both be words"),
    ],
)
def test_bad_labels_are_refused(metric, truth, called, message):
    with pytest.raises(ValueError, match=message):
        metric(truth, called)


def test_the_class_that_is_looked_for_must_occur():
    for metric in (ours.precision, ours.recall, ours.f1):
        with pytest.raises(ValueError, match="no label is 1: name the class"):
            metric(["lament", "merry"], ["merry", "merry"])


def test_bad_classes_are_refused():
    with pytest.raises(ValueError, match="label 2 is none of the classes"):
        ours.confusion_matrix([0, 2], [0, 1], [0, 1])
    with pytest.raises(ValueError, match="each class once"):
        ours.confusion_matrix([0], [0], [0, 0])
    with pytest.raises(ValueError, match="each class once"):
        ours.confusion_matrix([0], [0], [])


@pytest.mark.parametrize("metric", [ours.roc_curve, ours.roc_auc])
@pytest.mark.parametrize(
    ("truth", "scores", "message"),
    [
        ([1, 1], [0.1, 0.2], "at least one of each"),
        ([1, 2], [0.1, 0.2], "truth must be 0 and 1"),
        (["a", "b"], [0.1, 0.2], "truth must be 0 and 1"),
        ([0, 1], [0.1, np.nan], "finite"),
        ([0, 1], ["a", "b"], "finite"),
        ([0, 1], [0.1], "of one length"),
        ([], [], "of one length"),
    ],
)
def test_bad_scores_are_refused(metric, truth, scores, message):
    with pytest.raises(ValueError, match=message):
        metric(truth, scores)
