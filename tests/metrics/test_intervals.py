"""Bootstrap intervals: the value, the seed, groups that stay whole, coverage, bad input."""

import numpy as np
import pytest

from mlmusic.metrics.intervals import Interval, bootstrap


def test_the_value_is_that_of_the_data_and_lies_inside():
    interval = bootstrap(np.mean, [0, 1, 1, 1] * 10)
    assert isinstance(interval, Interval)
    assert interval.value == 0.75
    assert interval.low < 0.75 < interval.high
    assert str(Interval(0.5, 0.25, 0.75)) == "0.5 (0.25 to 0.75)"


def test_the_interval_of_a_mean_is_that_of_theory():
    data = np.random.default_rng(1).standard_normal(400)
    interval = bootstrap(np.mean, data, draws=4000)
    half = 1.96 * data.std() / np.sqrt(len(data))
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.05)


def test_a_lower_level_gives_a_narrower_interval():
    data = np.arange(50)
    wide, narrow = bootstrap(np.mean, data), bootstrap(np.mean, data, level=0.5)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_arrays_are_resampled_together():
    truth = np.arange(30)
    agreement = bootstrap(lambda a, b: float((a == b).mean()), truth, truth)
    assert agreement == (1, 1, 1)


def test_equal_seeds_give_equal_intervals():
    data = np.random.default_rng(2).random(40)
    assert bootstrap(np.mean, data, seed=3) == bootstrap(np.mean, data, seed=3)
    assert bootstrap(np.mean, data, seed=3) != bootstrap(np.mean, data, seed=4)


def test_groups_are_drawn_whole():
    groups = np.array(["a", "b", "a", "c", "b", "a"])
    seen = []
    bootstrap(lambda g: seen.append(g.tolist()) or 0.0, groups, draws=50, groups=groups)
    sizes = {"a": 3, "b": 2, "c": 1}
    for drawn in seen:
        assert all(drawn.count(name) % size == 0 for name, size in sizes.items())
    assert len({tuple(sorted(drawn)) for drawn in seen}) > 5


def test_rows_that_say_the_same_count_once():
    rng = np.random.default_rng(5)
    one_each = rng.random(60)
    copied, groups = np.repeat(one_each, 10), np.repeat(np.arange(60), 10)
    rows, whole = bootstrap(np.mean, copied), bootstrap(np.mean, copied, groups=groups)
    single = bootstrap(np.mean, one_each)
    assert whole.high - whole.low > 2 * (rows.high - rows.low)
    assert whole.high - whole.low == pytest.approx(single.high - single.low, rel=0.15)


def test_draws_without_a_value_are_left_out():
    def only_ones(values):
        return 0.5 if values.any() else np.nan

    assert bootstrap(only_ones, [0, 1], draws=100) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ((), {}, "nothing to resample"),
        (([],), {}, "no rows"),
        ((3.0,), {}, "no rows"),
        (([1, 2], [1]), {}, r"\[2, 1\] rows"),
        (([1, 2],), {"draws": 0}, "draws must be"),
        (([1, 2],), {"draws": 2.5}, "draws must be"),
        (([1, 2],), {"level": 95}, "such as 0.95"),
        (([1, 2],), {"groups": [1]}, r"groups has shape \(1,\)"),
        (([np.nan, 2],), {}, "NaN on the data"),
    ],
)
def test_bad_input(arrays, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap(lambda *a: float(np.mean(a[0])), *arrays, **options)
