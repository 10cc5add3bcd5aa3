"""The limits of a submission."""

import math

import pytest

from mlmusic.grading.limits import Limits


def test_limits_can_be_changed_one_by_one():
    limits = Limits().changed({"call": 10, "memory": 1 << 20})
    assert (limits.call, limits.memory, limits.cell) == (10, 1 << 20, Limits().cell)


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, "5", None, True])
def test_limit_must_be_a_positive_number(value):
    with pytest.raises(ValueError, match="limit 'call' must be a positive number"):
        Limits().changed({"call": value})


def test_unknown_limit_is_named():
    with pytest.raises(ValueError, match="unknown limit 'speed': the limits are call, cell, total"):
        Limits().changed({"speed": 3})
