import numpy as np
import pytest

from mlmusic import Score
from mlmusic.metrics.keys import KEYS, find_key, key_fit, key_name, pitch_classes

MAJOR = (0, 2, 4, 5, 7, 9, 11)


def scale(steps, tonic=60, key=()):
    """A scale with a long tonic and fifth."""
    lengths = [3 if step in (0, 7) else 1 for step in steps]
    onsets = np.cumsum([0, *lengths[:-1]])
    notes = [(o, d, tonic + s) for o, d, s in zip(onsets, lengths, steps, strict=True)]
    return Score(notes, key=list(key))


@pytest.mark.parametrize("shift", range(12))
def test_scales_in_all_keys(shift):
    assert find_key(scale(MAJOR, 60 + shift)) == KEYS[shift]
    assert find_key(scale((0, 2, 3, 5, 7, 8, 11), 60 + shift)) == KEYS[12 + shift]


def test_the_signature_is_not_looked_at():
    assert find_key(scale(MAJOR, 62, key=[(0, -3, "minor")])) == "D major"


def test_the_fit_is_pearsons_correlation():
    durations = np.random.default_rng(0).random(12)
    profile = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]
    expected = np.corrcoef(durations, np.roll(profile, 2))[0, 1]
    assert key_fit(durations)[KEYS.index("D major")] == pytest.approx(expected)
    assert key_fit(7 * durations) == pytest.approx(key_fit(durations))
    assert (key_fit(np.ones(12)) == 0).all()


def test_pitch_classes_count_time():
    score = Score([(0, 1.5, 60), (1.5, 1, 72), (2.5, 0.5, 71)])
    assert pitch_classes(score).tolist() == [2.5, *[0] * 10, 0.5]


@pytest.mark.parametrize(
    ("signature", "name"),
    [
        ((0, "major"), "C major"),
        ((-2, "major"), "Bb major"),
        ((0, "minor"), "A minor"),
        ((3, "minor"), "F# minor"),
        ((0, "dorian"), "D dorian"),
        ((1, "mixolydian"), "D mixolydian"),
        ((0, "phrygian"), "E phrygian"),
        ((0, "lydian"), "F lydian"),
    ],
)
def test_names_of_signatures(signature, name):
    assert key_name(*signature) == name


def test_bad_input():
    with pytest.raises(ValueError, match="without notes"):
        find_key(Score([]))
    with pytest.raises(ValueError, match="12 durations"):
        key_fit([1, 2, 3])
    with pytest.raises(ValueError, match="12 durations"):
        key_fit([-1, *[0] * 11])
    with pytest.raises(ValueError, match="mode must be"):
        key_name(0, "blue")
