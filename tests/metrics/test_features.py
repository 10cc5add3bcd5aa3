"""Features of windows, Yang and Lerch's distances, and what features don't see."""

import numpy as np
import pytest
from scipy import stats

from mlmusic.metrics.features import (
    BINS,
    FEATURES,
    compare,
    coverage,
    densities,
    distances,
    features,
    kl_divergence,
    mean_overlap,
    nearest,
    overlap_area,
    share_in,
    sounding,
    uniqueness,
)
from mlmusic.windows import FIRST, HOLD, LOWEST, REST


def symbol(pitch):
    return FIRST + pitch - LOWEST


# C4 on beat 1, E4 off it, C5 on beat 3; then a bar with F♯4 on its last sixteenth.
ROW = [REST] * 32
ROW[0], ROW[1], ROW[6], ROW[8], ROW[31] = symbol(60), HOLD, symbol(64), symbol(72), symbol(66)


def test_features_by_hand():
    found = features([ROW, [REST] * 32], 16)
    assert tuple(found) == FEATURES
    assert found["notes per bar"].tolist() == [2, 0]
    assert found["pitch range"].tolist() == [12, 0]
    classes = np.zeros(12)
    classes[[0, 4, 6]] = 0.5, 0.25, 0.25
    np.testing.assert_allclose(found["pitch classes"], [classes, np.zeros(12)])
    intervals = np.zeros(25)
    intervals[[12 + 4, 12 + 8, 12 - 6]] = 1 / 3
    np.testing.assert_allclose(found["intervals"], [intervals, np.zeros(25)])
    gaps = np.zeros(31)
    gaps[[6 - 1, 2 - 1, 23 - 1]] = 1 / 3
    np.testing.assert_allclose(found["inter-onset intervals"], [gaps, np.zeros(31)])
    assert found["scale consistency"].tolist() == [1, 0]  # C, E and F♯ are all in G major
    assert found["off-beat share"].tolist() == [0.5, 0]


def test_edges_of_features():
    wide = features([[symbol(55), symbol(88)] + [HOLD] * 14], 16)
    assert wide["intervals"][0, 24] == 1  # 33 semitones count as 12
    chromatic = features([[symbol(60 + i) for i in range(12)]], 12)
    assert chromatic["scale consistency"].tolist() == [pytest.approx(7 / 12)]
    assert chromatic["off-beat share"].tolist() == [pytest.approx(10 / 12)]  # beats at 0 and 6
    assert features([[symbol(60)] + [HOLD] * 15], 16)["intervals"].sum() == 0
    with pytest.raises(ValueError, match="aren't whole bars of 12"):
        features([ROW], 12)
    with pytest.raises(ValueError, match="filled array"):
        features(np.zeros((0, 16), int), 16)
    with pytest.raises(ValueError, match="isn't a symbol"):
        features([[99] * 16], 16)


def test_distances():
    assert distances([1, 4, 6]).tolist() == [3, 5, 2]
    assert distances([[0, 0], [3, 4]], [[0, 0]]).tolist() == [0, 5]
    same = np.full((3, 12), 1 / 12)
    assert distances(same).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="two windows of one set"):
        distances([1])
    with pytest.raises(ValueError, match="sizes 1 and 2"):
        distances([1, 2], [[1, 2]])
    with pytest.raises(ValueError, match="finite"):
        distances([1, np.nan])


def test_densities_are_those_of_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 800), rng.normal(1, 2, 500)
    axis, left, right = densities(a, b)
    assert len(axis) == BINS
    for sample, density in ((a, left), (b, right)):
        assert density.sum() * (axis[1] - axis[0]) == pytest.approx(1)
        np.testing.assert_allclose(density, stats.gaussian_kde(sample)(axis), atol=0.004)


def test_overlap_and_divergence_of_normal_samples():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 40_000), rng.normal(1, 1, 40_000)
    # Two normal curves, one standard deviation apart: 2 Φ(-1/2), and half a nat.
    assert overlap_area(a, b) == pytest.approx(2 * stats.norm.cdf(-0.5), abs=0.01)
    assert kl_divergence(a, b) == pytest.approx(0.5, abs=0.05)
    assert overlap_area(a, a) == pytest.approx(1) and kl_divergence(a, a) < 1e-6
    assert overlap_area(a, b) == pytest.approx(overlap_area(b, a))
    far = kl_divergence(a, a + 100)
    assert overlap_area(a, a + 100) < 0.001 and 5 < far < 20
    assert overlap_area([3, 3, 3], [3, 3]) == pytest.approx(1)
    assert overlap_area([0, 0], [1, 1]) < 1e-6
    for wrong in ([], [np.nan]):
        with pytest.raises(ValueError, match="finite numbers"):
            overlap_area(wrong, [1])


@pytest.fixture(scope="module")
def made():
    """Draw two sets of one kind and one of another: scales in G major, and chromatic noise."""
    rng = np.random.default_rng(0)
    scale = np.array([symbol(pitch) for pitch in (62, 64, 66, 67, 69, 71, 72, 74)])

    def tunes(n):
        rows = np.full((n, 32), HOLD)
        onsets = rng.random((n, 16)) < rng.uniform(0.5, 1, (n, 1))
        onsets[:, 0] = True
        rows[:, ::2] = np.where(onsets, scale[rng.integers(0, 8, (n, 16))], HOLD)
        return rows

    noise = rng.integers(FIRST, 30, (300, 32))
    return tunes(300), tunes(300), noise


def test_compare_tells_like_from_unlike(made):
    real, like, noise = made
    found = compare(real, like, 16)
    assert tuple(found) == FEATURES
    assert min(overlap for overlap, _ in found.values()) > 0.9
    assert mean_overlap(real, like, 16) == pytest.approx(np.mean([o for o, _ in found.values()]))
    unlike = compare(real, noise, 16)
    assert unlike["scale consistency"][0] < 0.1 and unlike["scale consistency"][1] > 2
    assert mean_overlap(real, noise, 16) < 0.4
    # By hand, for one feature: intra-set against inter-set distances.
    there, here = features(real, 16)["notes per bar"], features(like, 16)["notes per bar"]
    intra = [abs(a - b) for i, a in enumerate(there) for b in there[:i]]
    inter = [abs(a - b) for a in there for b in here]
    assert found["notes per bar"][0] == pytest.approx(overlap_area(intra, inter))


def test_large_sets_are_drawn_from(made):
    real, like, _ = made
    few = mean_overlap(real, like, 16, most=100, seed=3)
    assert few == mean_overlap(real, like, 16, most=100, seed=3)
    assert few != mean_overlap(real, like, 16, most=100, seed=4)
    with pytest.raises(ValueError, match="windows of 32 and of 16 steps"):
        compare(real, like[:, :16], 16)


def test_what_features_dont_see(made):
    real, like, _ = made
    one = np.repeat(real[:1], 300, axis=0)
    assert uniqueness(real) == 1 and uniqueness(one) == 1 / 300
    assert share_in(one, real) == 1 and share_in(like, real) == 0
    assert share_in(np.concatenate([like, real]), real) == 0.5
    assert coverage(real, one) < 0.1 < 0.8 < coverage(real, like)
    assert coverage(real, real) == 1
    with pytest.raises(ValueError, match="32 and of 16 steps"):
        share_in(real, like[:, :16])
    with pytest.raises(ValueError, match="3 real windows don't have 5 neighbours"):
        coverage(real[:3], like)


def test_coverage_by_hand():
    low, high = [symbol(60)] * 4, [symbol(80)] * 4
    near = [symbol(60)] * 3 + [symbol(61)]
    real = np.array([low, near, high])
    # With one neighbour: low and near reach one step, high reaches all four.
    assert coverage(real, np.array([near]), neighbours=1) == 1
    assert coverage(real[:2], np.array([high]), neighbours=1) == 0


def test_sounding_and_nearest():
    row = [symbol(60), HOLD, REST, symbol(60)]
    assert sounding([row]).tolist() == [[60, 60, -1, 60]]
    struck = [symbol(60), symbol(60), REST, symbol(60)]
    other = [symbol(61), HOLD, REST, REST]
    assert nearest(row, [other, struck]) == (1, 1)  # struck again isn't held on
    assert nearest(row, [other, struck, row, row]) == (2, 0)
    assert nearest(row, [other]) == (0, 3)
    with pytest.raises(ValueError, match="one bar at a time"):
        nearest([row, row], [other])
    with pytest.raises(ValueError, match="rows of 4 and of 3"):
        nearest(row, [other[:3]])
