"""What comes back, against hand-made windows."""

import numpy as np
import pytest

from mlmusic.metrics.reconstruction import Recovered, always_hold, recovered

TRUTH = np.array([[20, 0, 0, 22], [1, 20, 0, 0]])  # three notes, four holds, one rest


def test_counted_by_hand():
    written = np.array([[20, 0, 0, 23], [1, 20, 0, 0]])
    assert recovered(TRUTH, written) == Recovered(7 / 8, 2 / 3, 1 / 2)
    assert recovered(TRUTH, TRUTH) == Recovered(1.0, 1.0, 1.0)


def test_always_holding_recovers_the_holds_and_no_onset():
    assert recovered(TRUTH, always_hold(TRUTH)) == Recovered(4 / 8, 0.0, 0.0)


def test_said_in_a_line():
    assert str(Recovered(0.5, 0.25, 0)) == "per token 0.500, per onset 0.250, exact 0.000"


@pytest.mark.parametrize(
    ("truth", "written", "message"),
    [
        (TRUTH, TRUTH[:1], "must have one shape"),
        (TRUTH * 0, TRUTH, "no note to recover"),
        (TRUTH[0], TRUTH[0], "must have one shape"),
        (TRUTH, TRUTH + 50, "isn't a symbol"),
        (TRUTH.astype(float), TRUTH, "whole numbers"),
    ],
)
def test_bad_input_is_refused(truth, written, message):
    with pytest.raises(ValueError, match=message):
        recovered(truth, written)
