"""MP3 and WAV: round trips, sizes, the same bytes, refusals."""

import numpy as np
import pytest
import soundfile

from mlmusic import Score
from mlmusic.audio import decode, encode, synthesize

RATE = 22050


@pytest.fixture(scope="module")
def minute():
    """A minute of four voices."""
    notes = [
        (beat, 1, 48 + 5 * voice + (beat * (7 + voice)) % 12, 80, voice)
        for beat in range(118)
        for voice in range(4)
    ]
    return synthesize(Score(notes, tempo=[(0, 120)]), RATE)[: 60 * RATE]


def test_wav_is_exact_to_16_bits(minute):
    wave, rate = decode(encode(minute, RATE, "wav"))
    assert rate == RATE and wave.dtype == np.float32 and wave.shape == minute.shape
    np.testing.assert_allclose(wave, minute, atol=1 / 32768)


def test_mp3_is_small_and_near(minute):
    data = encode(minute, RATE)
    assert len(data) <= 450_000
    wave, rate = decode(data)
    assert rate == RATE and abs(len(wave) - len(minute)) < 0.1 * RATE
    size = min(len(wave), len(minute))
    assert np.corrcoef(wave[:size], minute[:size])[0, 1] > 0.98


@pytest.mark.parametrize("format", ["mp3", "wav"])
def test_same_bytes(minute, format):
    assert encode(minute, RATE, format) == encode(minute.copy(), RATE, format)


def test_loud_noise_stays_within_the_size():
    noise = np.random.default_rng(0).uniform(-1, 1, 60 * RATE)
    assert len(encode(noise, RATE)) <= 800_000


def test_stereo():
    left_right = np.stack([np.linspace(-0.5, 0.5, 5000), np.zeros(5000)]).astype(np.float32)
    wave, _ = decode(encode(left_right, 44100, "wav"))
    np.testing.assert_allclose(wave, left_right, atol=1 / 32768)


def test_bad_input():
    good = np.zeros(100, np.float32)
    with pytest.raises(TypeError, match="wave / 32768"):
        encode(np.zeros(100, np.int16), RATE)
    for shape in ((), (3, 100), (100, 2), (1, 2, 100)):
        with pytest.raises(ValueError, match="shape"):
            encode(np.zeros(shape), RATE)
    with pytest.raises(ValueError, match="empty"):
        encode(good[:0], RATE)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN or infinite"):
            encode(np.array([0, value]), RATE)
    with pytest.raises(ValueError, match="peaks at 1.5"):
        encode(np.array([0, -1.5]), RATE)
    with pytest.raises(ValueError, match="'ogg'"):
        encode(good, RATE, "ogg")
    with pytest.raises(ValueError, match="MP3 can't have 22000"):
        encode(good, 22000)
    with pytest.raises(ValueError, match="not a sound file"):
        decode(b"nonsense")


def test_old_libsndfile(monkeypatch):
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": ""})
    with pytest.raises(RuntimeError, match="pip install --upgrade soundfile"):
        encode(np.zeros(100), RATE)
    assert encode(np.zeros(100), RATE, "wav")[:4] == b"RIFF"
