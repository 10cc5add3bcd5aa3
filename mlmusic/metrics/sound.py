"""How differently two sounds sound: the mel-cepstral distance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["cepstral_distance", "mel_cepstral_distance", "mel_cepstrum"]


def mel_cepstrum(
    wave: ArrayLike,
    rate: int,
    *,
    coefficients: int = 13,
    n_fft: int = 2048,
    hop: int = 512,
    n_mels: int = 40,
) -> np.ndarray:
    """Mel-cepstral coefficients 1 to ``coefficients`` of each frame.

    They are those of the cosine series of the logarithmic mel spectrum,

        ln P_m = c_0 + 2 Σ_d c_d cos(π d (m + ½) / M),   m = 0 … M - 1,

    where P_m is the power in mel band m of M. c_0, the mean level, is left out: a sound stays the
    same sound when it's turned down.

    Parameters
    ----------
    wave : array_like of float, (..., samples)
        Sound within ±1.
    rate : int
        Samples per second.
    coefficients : int
        How many, from 1 to n_mels - 1. Few describe the spectrum's envelope (timbre), many also
        its single partials (pitch).
    n_fft, hop, n_mels
        As for `mlmusic.audio.log_mel`, whose levels are cut off 80 dB below the loudest.

    Returns
    -------
    np.ndarray
        (..., coefficients, frames), in nepers of power.

    Raises
    ------
    TypeError, ValueError
        As `mlmusic.audio.log_mel`; or ``coefficients`` is out of its range.
    """
    from mlmusic.audio.features import mfcc  # here: it imports torch, distances don't need it

    if not 1 <= coefficients < n_mels:
        raise ValueError(f"coefficients is {coefficients}; it must be from 1 to n_mels - 1")
    # `mfcc` is the orthonormal DCT of decibels; the series' coefficients differ by two factors.
    scaled = mfcc(wave, rate, n_mfcc=coefficients + 1, n_fft=n_fft, hop=hop, n_mels=n_mels)
    nepers = scaled.numpy()[..., 1:, :] * (math.log(10) / 10)
    return nepers / math.sqrt(2 * n_mels)


def cepstral_distance(a: ArrayLike, b: ArrayLike) -> float | np.ndarray:
    """Mel-cepstral distance in decibels between two series of cepstral coefficients.

    Mean over the frames of

        MCD = 10 / ln 10 · √(2 Σ_d (a_d - b_d)²),

    which, with all coefficients, is the root mean square difference of the two spectra in
    decibels after their mean levels have been made equal.

    Parameters
    ----------
    a, b : array_like, (..., coefficients, frames)
        As `mel_cepstrum` gives them: without coefficient 0.

    Returns
    -------
    float, or np.ndarray (...)
        0 for equal ones.

    Raises
    ------
    ValueError
        If the shapes differ, there is no frame or coefficient, or something isn't finite.

    References
    ----------
    R. Kubichek, "Mel-cepstral distance measure for objective speech quality assessment", IEEE
    Pacific Rim Conference, 1993, equation 1; the factor 2 belongs to the cosine series.

    Examples
    --------
    One frame of two coefficients, 3 and 4 apart: √(2 · 25) · 10 / ln 10.

    >>> round(cepstral_distance([[3.0], [4.0]], [[0.0], [0.0]]), 3)
    30.709
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape:
        raise ValueError(f"cepstra of shapes {a.shape} and {b.shape}: they must be equally long")
    if a.ndim < 2 or 0 in a.shape[-2:]:
        raise ValueError(f"cepstra have shape {a.shape}; it must be (..., coefficients, frames)")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a cepstrum has NaN or infinite coefficients")
    frames = 10 / math.log(10) * np.sqrt(2 * ((a - b) ** 2).sum(axis=-2))  # (..., frames)
    distance = frames.mean(axis=-1)
    return float(distance) if distance.ndim == 0 else distance


def mel_cepstral_distance(
    a: ArrayLike,
    b: ArrayLike,
    rate: int,
    *,
    coefficients: int = 13,
    n_fft: int = 2048,
    hop: int = 512,
    n_mels: int = 40,
) -> float | np.ndarray:
    """Mel-cepstral distance between two sounds of the same length, in decibels.

    Frame by frame, so the sounds must run in step: nothing is shifted or stretched to fit. It
    ignores loudness, and doesn't know how ears weigh what remains.

    Parameters
    ----------
    a, b : array_like of float, (..., samples)
        Sounds, equally long.
    rate, coefficients, n_fft, hop, n_mels
        As for `mel_cepstrum`.

    Returns
    -------
    float, or np.ndarray (...)
        See `cepstral_distance`.

    Raises
    ------
    TypeError, ValueError
        As `mel_cepstrum` and `cepstral_distance`.
    """
    options = {"coefficients": coefficients, "n_fft": n_fft, "hop": hop, "n_mels": n_mels}
    if np.shape(a) != np.shape(b):
        raise ValueError(
            f"sounds of shapes {np.shape(a)} and {np.shape(b)}: cut them to the same length"
        )
    return cepstral_distance(mel_cepstrum(a, rate, **options), mel_cepstrum(b, rate, **options))
