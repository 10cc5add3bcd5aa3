"""Mel-cepstral distance: a case by hand, what it ignores, and how it relates to the spectrum."""

import math

import numpy as np
import pytest

from mlmusic.audio.features import log_mel, mfcc
from mlmusic.metrics.sound import cepstral_distance, mel_cepstral_distance, mel_cepstrum

RATE = 22050


def noise(seed, samples=8000):
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


def test_by_hand():
    # Frame 1: differences 3 and 4, √(2 · 25) = 7.0711, times 10 / ln 10 = 4.3429: 30.709.
    # Frame 2: equal, 0. The mean of both is 15.354.
    a, b = [[3.0, 1.0], [4.0, 2.0]], [[0.0, 1.0], [0.0, 2.0]]
    assert cepstral_distance(a, b) == pytest.approx(30.7092 / 2, abs=1e-3)


def test_the_coefficients_are_those_of_the_cosine_series():
    wave, bands = noise(0), 8
    cepstrum = mel_cepstrum(wave, RATE, coefficients=7, n_mels=bands)  # all of them
    power = log_mel(wave, RATE, n_mels=bands).numpy() * math.log(10) / 10  # ln P
    m = np.arange(bands)[:, None]
    series = sum(
        2 * cepstrum[d - 1] * np.cos(math.pi * d * (m + 0.5) / bands) for d in range(1, bands)
    )
    np.testing.assert_allclose(series, power - power.mean(axis=0), atol=1e-9)


def test_with_all_coefficients_it_is_the_root_mean_square_difference_in_decibels():
    a, b, bands = noise(1), np.convolve(noise(2), [1, 0.9], "same"), 10
    distance = mel_cepstral_distance(a, b, RATE, coefficients=bands - 1, n_mels=bands)
    difference = (log_mel(a, RATE, n_mels=bands) - log_mel(b, RATE, n_mels=bands)).numpy()
    difference -= difference.mean(axis=0)
    assert distance == pytest.approx(np.sqrt((difference**2).mean(axis=0)).mean(), rel=1e-9)


def test_it_is_a_distance_that_ignores_loudness():
    a, b = noise(3), np.convolve(noise(4), [1, 1, 1], "same")
    assert mel_cepstral_distance(a, a, RATE) == 0
    assert mel_cepstral_distance(a, 0.1 * a, RATE) == pytest.approx(0, abs=1e-6)
    there, back = mel_cepstral_distance(a, b, RATE), mel_cepstral_distance(b, a, RATE)
    assert there == back > 1


def test_it_is_a_scaled_distance_of_mfcc():
    a, b = noise(5), np.convolve(noise(6), [1, 0.5], "same")
    first, second = (mfcc(x, RATE, n_mfcc=14, n_mels=40).numpy()[1:] for x in (a, b))
    euclidean = np.sqrt(((first - second) ** 2).sum(axis=0)).mean()
    assert mel_cepstral_distance(a, b, RATE) == pytest.approx(euclidean / math.sqrt(40), rel=1e-9)


def test_batches_give_a_distance_each():
    a, b = np.stack([noise(7), noise(8)]), np.stack([noise(9), noise(8)])
    distances = mel_cepstral_distance(a, b, RATE)
    assert distances.shape == (2,)
    assert distances[0] == pytest.approx(mel_cepstral_distance(a[0], b[0], RATE))
    assert distances[1] == 0


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), r"\(2, 3\) and \(2, 4\)"),
        (np.zeros(3), np.zeros(3), r"\(\.\.\., coefficients, frames\)"),
        (np.zeros((2, 0)), np.zeros((2, 0)), r"\(\.\.\., coefficients, frames\)"),
        (np.full((2, 2), np.nan), np.zeros((2, 2)), "NaN or infinite"),
    ],
)
def test_bad_cepstra(a, b, message):
    with pytest.raises(ValueError, match=message):
        cepstral_distance(a, b)


def test_bad_sounds():
    with pytest.raises(ValueError, match="cut them to the same length"):
        mel_cepstral_distance(noise(0, 500), noise(0, 600), RATE)
    with pytest.raises(ValueError, match="coefficients is 40"):
        mel_cepstrum(noise(0), RATE, coefficients=40)
    with pytest.raises(ValueError, match="coefficients is 0"):
        mel_cepstrum(noise(0), RATE, coefficients=0)
    with pytest.raises(TypeError, match="must hold floats"):
        mel_cepstral_distance(np.zeros(100, int), np.zeros(100, int), RATE)
    with pytest.raises(ValueError, match="NaN"):
        mel_cepstrum(np.full(100, np.nan), RATE)
