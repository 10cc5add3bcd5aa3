"""The key of music by its notes alone.

Source: Krumhansl, *Cognitive foundations of musical pitch*, 1990: the profiles are how well each
pitch class seemed to fit after a key had been played to listeners (Krumhansl and Kessler, 1982).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mlmusic.score import Score

PROFILES = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
"""Krumhansl and Kessler's ratings, semitones above the tonic."""

TONICS = {
    "major": "C Db D Eb E F F# G Ab A Bb B".split(),
    "minor": "C C# D Eb E F F# G G# A Bb B".split(),
}
"""What each pitch class is called as a tonic: the name with the shorter signature."""

FIFTHS = {"major": 0, "minor": -3, "dorian": -2, "mixolydian": -1, "lydian": 1, "phrygian": -4}
"""Signature of each mode on C; negative is flats."""

KEYS = [f"{tonic} {mode}" for mode in PROFILES for tonic in TONICS[mode]]


def key_name(fifths: int, mode: str) -> str:
    """Name a key signature: ``key_name(1, "major")`` is ``"G major"``.

    Raises
    ------
    ValueError
        If the mode is unknown.
    """
    if mode not in FIFTHS:
        raise ValueError(f"mode must be one of {', '.join(FIFTHS)}, not {mode!r}")
    tonic = 7 * (fifths - FIFTHS[mode]) % 12
    return f"{TONICS.get(mode, TONICS['major'])[tonic]} {mode}"


def pitch_classes(score: Score) -> np.ndarray:
    """Add up for how long each pitch class sounds, in quarter notes: shape (12,), C first."""
    notes = score.notes
    return np.bincount(notes["pitch"] % 12, weights=notes["duration"], minlength=12)


def key_fit(durations: ArrayLike) -> np.ndarray:
    """Correlate twelve durations with the profile of each key.

    Parameters
    ----------
    durations : array_like, (12,)
        Of each pitch class, C first.

    Returns
    -------
    (24,) float array
        For each of `KEYS`, from -1 to 1; all 0 if the durations are all the same.

    Raises
    ------
    ValueError
        If these aren't twelve finite numbers of 0 or more.
    """
    durations = np.asarray(durations, float)
    if durations.shape != (12,) or not np.isfinite(durations).all() or durations.min() < 0:
        raise ValueError(f"a key is found from 12 durations, not from {durations}")
    profiles = np.array([np.roll(row, shift) for row in PROFILES.values() for shift in range(12)])
    profiles -= profiles.mean(axis=1, keepdims=True)
    given = durations - durations.mean()
    size = np.linalg.norm(given)
    return profiles @ given / np.linalg.norm(profiles, axis=1) / (size if size > 0 else 1.0)


def find_key(score: Score) -> str:
    """Return the key whose profile fits best how long each pitch class sounds.

    Parameters
    ----------
    score : Score
        Its key signature isn't looked at.

    Returns
    -------
    str
        One of `KEYS`, such as ``"G major"``.

    Raises
    ------
    ValueError
        If there is no note.
    """
    if not len(score):
        raise ValueError("a score without notes has no key")
    return KEYS[int(key_fit(pitch_classes(score)).argmax())]
