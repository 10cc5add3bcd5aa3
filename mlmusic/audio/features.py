"""Waveform -> log-mel spectrogram and MFCC, in torch: batched and differentiable.

Defaults and definitions are librosa's, so that a learner may check one against the other:

    log_mel(wave, rate)  ==  power_to_db(feature.melspectrogram(y=wave, sr=rate))
    mfcc(wave, rate)     ==  feature.mfcc(y=wave, sr=rate)
"""

import functools
import math

import numpy as np
import torch

__all__ = ["hz_to_mel", "log_mel", "mel_filters", "mel_to_hz", "mfcc"]

FLOOR = 1e-10
"""Power below which the logarithm is cut off: -100 dB."""


def log_mel(
    wave: np.ndarray | torch.Tensor,
    rate: int,
    *,
    n_fft: int = 2048,
    hop: int = 512,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    top_db: float | None = 80.0,
) -> torch.Tensor:
    """Log-mel spectrogram in decibels.

    Parameters
    ----------
    wave : array or tensor of float
        (..., samples). float64 stays float64, everything else becomes float32, whose rounding
        shows in the fourth decimal of bands 80 dB below the peak.
    rate : int
        Samples per second.
    n_fft : int
        Samples in a frame (Hann window). librosa: `n_fft`, with `win_length` equal to it.
    hop : int
        Samples from one frame to the next. librosa: `hop_length`.
    n_mels : int
        Mel bands, Slaney's scale, each filter of unit area. librosa: `n_mels`, `htk=False`,
        `norm="slaney"`.
    fmin, fmax : float
        Lowest and highest frequency in Hz; fmax defaults to rate / 2.
    top_db : float or None
        What lies further below the clip's loudest point is raised to there; None keeps all down to
        -100 dB. librosa: `power_to_db(…, top_db=…)`; here each clip of a batch has its own peak.

    Returns
    -------
    torch.Tensor
        (..., n_mels, frames), frames = 1 + samples // hop: frame t is centred on sample t · hop,
        with zeros beyond the ends (librosa: `center=True`, `pad_mode="constant"`).

    Raises
    ------
    TypeError
        `wave` doesn't hold floats.
    ValueError
        `wave` has no samples, or NaN or infinite ones; a parameter is impossible.
    """
    wave = _checked(wave, rate, n_fft, hop)
    top = rate / 2 if fmax is None else fmax
    if not 0 <= fmin < top <= rate / 2:
        raise ValueError(f"fmin {fmin} and fmax {top} Hz must satisfy 0 <= fmin < fmax <= rate / 2")
    if n_mels < 1:
        raise ValueError(f"n_mels is {n_mels}; it must be at least 1")
    if top_db is not None and not top_db > 0:
        raise ValueError(f"top_db is {top_db}; it must be positive, or None")

    window = torch.hann_window(n_fft, dtype=wave.dtype, device=wave.device)
    spectrum = torch.stft(
        wave.reshape(-1, wave.shape[-1]),
        n_fft,
        hop,
        window=window,
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    power = spectrum.real**2 + spectrum.imag**2  # (clips, n_fft / 2 + 1, frames)
    filters = torch.from_numpy(mel_filters(rate, n_fft, n_mels, fmin, top))
    mel = filters.to(power) @ power  # (clips, n_mels, frames)
    decibels = 10 * torch.log10(mel.clamp(min=FLOOR))
    if top_db is not None:
        peak = decibels.amax(dim=(-2, -1), keepdim=True)
        decibels = torch.maximum(decibels, peak - top_db)
    return decibels.reshape(*wave.shape[:-1], *decibels.shape[-2:])


def mfcc(
    wave: np.ndarray | torch.Tensor,
    rate: int,
    *,
    n_mfcc: int = 20,
    n_fft: int = 2048,
    hop: int = 512,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    top_db: float | None = 80.0,
) -> torch.Tensor:
    """Mel-frequency cepstral coefficients: the DCT of the log-mel spectrogram along frequency.

    Coefficient 0 goes with loudness, the next few with the broad shape of the spectrum: timbre
    without pitch.

    Parameters
    ----------
    wave, rate, n_fft, hop, n_mels, fmin, fmax, top_db
        As for `log_mel`.
    n_mfcc : int
        Coefficients to keep, at most n_mels. Orthonormal DCT-II (librosa: `dct_type=2`,
        `norm="ortho"`, `lifter=0`).

    Returns
    -------
    torch.Tensor
        (..., n_mfcc, frames).

    Raises
    ------
    TypeError, ValueError
        As `log_mel`; n_mfcc is not from 1 to n_mels.
    """
    if not 1 <= n_mfcc <= n_mels:
        raise ValueError(f"n_mfcc is {n_mfcc}; it must be from 1 to n_mels ({n_mels})")
    mel = log_mel(
        wave, rate, n_fft=n_fft, hop=hop, n_mels=n_mels, fmin=fmin, fmax=fmax, top_db=top_db
    )
    k = torch.arange(n_mfcc, dtype=torch.float64)[:, None]
    m = torch.arange(n_mels, dtype=torch.float64)
    basis = torch.cos(math.pi / n_mels * (m + 0.5) * k) * math.sqrt(2 / n_mels)
    basis[0] /= math.sqrt(2)
    return basis.to(mel) @ mel


def hz_to_mel(hertz: np.ndarray | float) -> np.ndarray:
    """Slaney's mel scale: 3 mel for every 200 Hz up to 1,000 Hz, logarithmic above.

    M. Slaney, "Auditory Toolbox", Interval Research technical report 1998-010, 1998.
    """
    hertz = np.asarray(hertz, float)
    above = np.log(np.maximum(hertz, 1000) / 1000) * 27 / math.log(6.4)
    return np.where(hertz < 1000, hertz * 3 / 200, 15 + above)


def mel_to_hz(mel: np.ndarray | float) -> np.ndarray:
    """Inverse of `hz_to_mel`."""
    mel = np.asarray(mel, float)
    above = 1000 * np.exp(np.maximum(mel - 15, 0) * math.log(6.4) / 27)
    return np.where(mel < 15, mel * 200 / 3, above)


@functools.lru_cache(maxsize=16)
def mel_filters(rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Triangles evenly spaced on the mel scale: (n_mels, n_fft / 2 + 1), each of unit area in Hz.

    librosa: `filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)`.
    """
    corners = mel_to_hz(np.linspace(hz_to_mel(fmin), hz_to_mel(fmax), n_mels + 2))
    left, centre, right = (corners[i : i + n_mels, None] for i in range(3))
    frequency = np.arange(n_fft // 2 + 1) * (rate / n_fft)
    rising = (frequency - left) / (centre - left)
    falling = (right - frequency) / (right - centre)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)


def _checked(wave: np.ndarray | torch.Tensor, rate: int, n_fft: int, hop: int) -> torch.Tensor:
    if not isinstance(wave, torch.Tensor):
        wave = np.asarray(wave)
        if wave.dtype.kind != "f":
            raise TypeError(f"wave holds {wave.dtype}; it must hold floats")
        # A copy: torch wants arrays that are writable and not reversed.
        wave = torch.from_numpy(np.array(wave, dtype=np.promote_types(wave.dtype, np.float32)))
    if not wave.is_floating_point():
        raise TypeError(f"wave holds {wave.dtype}; it must hold floats")
    if wave.dtype in (torch.float16, torch.bfloat16):
        wave = wave.float()  # too coarse for a Fourier transform
    if wave.ndim == 0 or wave.numel() == 0:
        raise ValueError(
            f"wave has shape {tuple(wave.shape)}; it must be (..., samples), not empty"
        )
    if not torch.isfinite(wave.detach()).all():
        raise ValueError("wave has NaN or infinite samples")
    if rate <= 0:
        raise ValueError(f"rate is {rate}; it must be positive")
    if n_fft < 2 or not 1 <= hop <= n_fft:
        raise ValueError(
            f"n_fft is {n_fft} and hop {hop}; they must satisfy 1 <= hop <= n_fft >= 2"
        )
    return wave
