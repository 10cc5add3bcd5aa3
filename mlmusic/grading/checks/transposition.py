"""Music in another key: what must move along with it, and what must not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlmusic.grading.checks.values import agree, counted, given, numbers, same
from mlmusic.score import Score

Music = Score | np.ndarray | list[int]
"""A score, or the pitches of one."""


def transposes(
    f: Callable[[Any, int], Any], *music: Music, by: Sequence[int] = (-5, 1, 12), what: str = "it"
) -> None:
    """Check a function that transposes: every pitch moves by k, and nothing else changes.

    Parameters
    ----------
    f : callable
        ``f(music, k)`` gives the music back, k semitones higher.
    music : Score or pitches
        What to transpose; draw it.
    by : sequence of int
        The semitones, such that all pitches stay within MIDI's range.
    what : str
        What the result is called in the message.

    Raises
    ------
    AssertionError
        If a pitch moves by another interval, or something else changes.
    ValueError
        If ``by`` leads out of MIDI's range.

    Examples
    --------
    >>> transposes(lambda pitches, k: pitches + 1, np.array([60, 64]), by=[2])
    Traceback (most recent call last):
    AssertionError: transposed by 2 semitones, the pitch of note 1 is 61, not 62
    """
    for piece in music:
        for semitones in by:
            found = f(piece, semitones)
            after = f"transposed by {_semitones(semitones)}"
            given(found, f"{after}, {what}")
            expected = _transposed(piece, semitones)
            if isinstance(piece, Score):
                if not isinstance(found, Score):
                    raise AssertionError(f"{after}, {what} must be a Score")
                _same_pitches(found.notes["pitch"], expected.notes["pitch"], after)
                # The key signature may be left as it was: a spelling, no sound.
                fields = ("notes", "tempo", "metre", "programs")
                for name in fields:
                    same(getattr(found, name), getattr(expected, name), f"{after}, its {name}")
            else:
                _same_pitches(found, expected, after)


def invariant_to_transposition(
    f: Callable[[Any], Any],
    *music: Music,
    by: Sequence[int] = (-5, 1, 12),
    what: str = "the result",
    tolerance: float = 1e-6,
) -> None:
    """Check that a function gives the same for music in another key.

    Parameters
    ----------
    f : callable
        ``f(music)`` gives something that the key doesn't change, such as intervals.
    music : Score or pitches
        What to transpose; draw it.
    by : sequence of int
        The semitones.
    what : str
        What the result is called in the message.
    tolerance : float
        As in `close`, for results that are fractions.

    Raises
    ------
    AssertionError
        If the result changes.
    ValueError
        If ``by`` leads out of MIDI's range.
    """
    for piece in music:
        before = f(piece)
        for semitones in by:
            after = f"{_semitones(semitones)} higher or lower changes nothing: {what}"
            agree(f(_transposed(piece, semitones)), before, after, tolerance)


def equivariant_to_transposition(
    f: Callable[[Any], Any],
    *music: Music,
    by: Sequence[int] = (-5, 1, 12),
    what: str = "the result",
) -> None:
    """Check that a function does the same in every key: what it gives moves along.

    Parameters
    ----------
    f : callable
        ``f(music)`` gives a Score or pitches, such as a tune read backwards.
    music : Score or pitches
        What to transpose; draw it.
    by : sequence of int
        The semitones.
    what : str
        What the result is called in the message.

    Raises
    ------
    AssertionError
        If the result doesn't move by the same interval.
    ValueError
        If ``by`` leads out of MIDI's range.
    """
    for piece in music:
        before = f(piece)
        given(before, what)
        for semitones in by:
            found = f(_transposed(piece, semitones))
            after = f"the music moved by {_semitones(semitones)}, and {what} must move along"
            given(found, what)
            expected = _transposed(before, semitones)
            if isinstance(expected, Score):
                if not isinstance(found, Score):
                    raise AssertionError(f"{what} must be a Score")
                _same_pitches(found.notes["pitch"], expected.notes["pitch"], after)
                same(found.notes, expected.notes, f"{after}: its notes")
            else:
                _same_pitches(found, expected, after)


def _transposed(music: Any, semitones: int) -> Any:
    if isinstance(music, Score):
        return music.transpose(semitones)
    pitches = numbers(music, "the pitches", "i") + semitones
    if pitches.size and not 0 <= pitches.min() <= pitches.max() <= 127:
        raise ValueError(f"moved by {semitones}, the pitches leave MIDI's 0–127: draw others")
    return pitches.tolist() if isinstance(music, (list, tuple)) else pitches


def _same_pitches(found: Any, expected: Any, after: str) -> None:
    found, expected = numbers(found, f"{after}, the pitches", "i"), np.asarray(expected)
    if found.shape != expected.shape:
        raise AssertionError(f"{after}, it has {counted(found.size, 'note')}, not {expected.size}")
    if (found != expected).any():
        i = int(np.argmax(np.ravel(found != expected)))
        pitch, right = np.ravel(found)[i], np.ravel(expected)[i]
        raise AssertionError(f"{after}, the pitch of note {i + 1} is {pitch}, not {right}")


def _semitones(number: int) -> str:
    return f"{number} semitone{'s' * (abs(number) != 1)}"
