"""Errors of numbers, against hand-computed values and scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as theirs

from mlmusic.metrics.regression import exact_share, mean_absolute_error, mean_squared_error


def test_by_hand():
    truth, predicted = [60, 64, 67, 72], [60.4, 62.0, 67.0, 75.0]
    assert mean_absolute_error(truth, predicted) == pytest.approx(5.4 / 4)
    assert mean_squared_error(truth, predicted) == pytest.approx((0.16 + 4 + 9) / 4)
    assert exact_share(truth, predicted) == 2 / 4
    assert exact_share([60, 61], [60.5, 60.5]) == 1 / 2  # halves go up


def test_equal_to_scikit_learn():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=(2, 40, 3))
    assert mean_absolute_error(truth, predicted) == pytest.approx(
        theirs.mean_absolute_error(truth, predicted)
    )
    assert mean_squared_error(truth, predicted) == pytest.approx(
        theirs.mean_squared_error(truth, predicted)
    )


@pytest.mark.parametrize("metric", [mean_absolute_error, mean_squared_error, exact_share])
@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([1, 2], [1], "of one shape"),
        ([[1], [2]], [1, 2], "of one shape"),
        ([], [], "not empty"),
        ([1, np.nan], [1, 2], "truth must hold finite"),
        ([1, 2], [1, np.inf], "predicted must hold finite"),
        (["a"], ["b"], "finite numbers"),
    ],
)
def test_bad_numbers_are_refused(metric, truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        metric(truth, predicted)
