"""Log-mel and MFCC against librosa."""

import numpy as np
import pytest
import torch

from mlmusic import Score
from mlmusic.audio import log_mel, mfcc, synthesize
from mlmusic.audio.features import hz_to_mel, mel_filters, mel_to_hz

librosa = pytest.importorskip("librosa")

RATE = 22050
OTHER = dict(n_fft=1024, hop=256, n_mels=64, fmin=30.0, fmax=8000.0)


def waves():
    random = np.random.default_rng(0)
    music = synthesize(Score([(0, 1, 60), (1, 1, 64), (2, 1, 38, 90, 1)], programs={1: 128}))
    chirp = np.sin(2 * np.pi * np.cumsum(np.linspace(50, 10000, RATE)) / RATE)
    return {
        "music": music.astype(float),
        "noise": random.standard_normal(30001) * 0.1,
        "chirp": chirp,
        "short": random.standard_normal(300),
    }


def librosas(parameters):
    return {"hop_length" if name == "hop" else name: value for name, value in parameters.items()}


@pytest.mark.parametrize("parameters", [{}, OTHER])
@pytest.mark.parametrize("top_db", [80.0, None])
@pytest.mark.filterwarnings("ignore:n_fft=")  # librosa, of a wave shorter than a frame
def test_log_mel_equals_librosa(parameters, top_db):
    for name, wave in waves().items():
        power = librosa.feature.melspectrogram(y=wave, sr=RATE, **librosas(parameters))
        expected = librosa.power_to_db(power, top_db=top_db)
        found = log_mel(wave, RATE, top_db=top_db, **parameters).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("parameters", [{}, OTHER, {"n_mfcc": 13}])
@pytest.mark.filterwarnings("ignore:n_fft=")
def test_mfcc_equals_librosa(parameters):
    for name, wave in waves().items():
        expected = librosa.feature.mfcc(y=wave, sr=RATE, **librosas(parameters))
        found = mfcc(wave, RATE, **parameters).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=name)


def test_filters_equal_librosa():
    expected = librosa.filters.mel(sr=RATE, n_fft=2048, dtype=np.float64)
    np.testing.assert_allclose(mel_filters(RATE, 2048, 128, 0.0, RATE / 2), expected, atol=1e-12)
    hertz = np.array([0.0, 440, 999, 1000, 1001, 8000])
    np.testing.assert_allclose(hz_to_mel(hertz), librosa.hz_to_mel(hertz))
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hertz)), hertz, atol=1e-9)


def test_float32_is_near():
    wave = waves()["music"]
    coarse, fine = log_mel(wave.astype(np.float32), RATE), log_mel(wave, RATE)
    assert coarse.dtype == torch.float32 and fine.dtype == torch.float64
    np.testing.assert_allclose(coarse, fine, atol=5e-3)


def test_batches():
    batch = torch.randn(2, 3, 5000, generator=torch.Generator().manual_seed(0))
    batch[0] *= 100  # another peak: each clip has its own floor
    mel, cepstrum = log_mel(batch, RATE), mfcc(batch, RATE)
    assert mel.shape == (2, 3, 128, 10) and cepstrum.shape == (2, 3, 20, 10)
    torch.testing.assert_close(mel[1, 2], log_mel(batch[1, 2], RATE))
    torch.testing.assert_close(cepstrum[1, 2], mfcc(batch[1, 2], RATE))


@pytest.mark.parametrize("feature", [log_mel, mfcc])
def test_differentiable(feature):
    wave = torch.randn(64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wave.requires_grad_()
    sizes = dict(n_fft=32, hop=16, n_mels=4)
    if feature is mfcc:
        sizes["n_mfcc"] = 3
    assert torch.autograd.gradcheck(lambda x: feature(x, 8000, **sizes), wave)


def test_silence():
    np.testing.assert_array_equal(log_mel(np.zeros(4000), RATE), np.full((128, 8), -100.0))


def test_the_wave_stays_as_it_was():
    wave = np.random.default_rng(0).standard_normal(4000)
    wave.setflags(write=False)
    torch.testing.assert_close(log_mel(wave[::-1], RATE), log_mel(wave[::-1].copy(), RATE))


@pytest.mark.parametrize("feature", [log_mel, mfcc])
def test_bad_input(feature):
    good = np.zeros(4000)
    for wave in (np.zeros(10, np.int16), torch.zeros(10, dtype=torch.int64), [1, 2], ["a"]):
        with pytest.raises(TypeError, match="must hold floats"):
            feature(wave, RATE)
    for wave in (np.zeros(0), np.zeros((0, 100)), np.float64(1)):
        with pytest.raises(ValueError, match="must be \\(..., samples\\)"):
            feature(wave, RATE)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN or infinite"):
            feature(np.array([0.0, value]), RATE)
    for parameters, message in [
        (dict(n_fft=0), "n_fft is 0"),
        (dict(hop=0), "hop 0"),
        (dict(hop=4096), "hop 4096"),
        (dict(n_mels=0), "n_mels"),
        (dict(fmin=9000, fmax=8000), "fmin 9000"),
        (dict(fmax=20000), "fmax 20000"),
        (dict(top_db=-1), "top_db is -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            feature(good, RATE, **parameters)
    with pytest.raises(ValueError, match="rate is 0"):
        feature(good, 0)


def test_bad_mfcc_count():
    for count in (0, 129):
        with pytest.raises(ValueError, match=f"n_mfcc is {count}"):
            mfcc(np.zeros(4000), RATE, n_mfcc=count)
