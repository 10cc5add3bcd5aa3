"""Four voices as the moments at which something changes, and which of them are beats."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlmusic.score import REST, Score

VOICES = 4
_CLOSE = 1e-6  # quarter notes: nearer onsets are one moment (triplets are sums of rounded floats)


class Moments(NamedTuple):
    """What four voices sing from each moment to the next.

    Attributes
    ----------
    onset : (moments,) float
        In quarter notes.
    pitch : (moments, 4) int
        MIDI pitch that sounds in soprano, alto, tenor and bass; `mlmusic.score.REST` in silence.
    begins : (moments, 4) bool
        Whether the note begins here; otherwise it sounds on.
    """

    onset: np.ndarray
    pitch: np.ndarray
    begins: np.ndarray


def moments(score: Score) -> Moments:
    """Cut a score wherever a note begins or ends.

    Parameters
    ----------
    score : Score
        Voices 0 to 3 are soprano, alto, tenor and bass, one note at a time in each. A voice may be
        missing.

    Raises
    ------
    ValueError
        If there is no note, another voice, or a voice sings two notes at once.
    """
    notes = score.notes
    if not len(notes) or max(score.voices) >= VOICES:
        raise ValueError(f"part writing needs notes in voices 0–3, not in {score.voices}")
    start, stop = notes["onset"], notes["onset"] + notes["duration"]
    times = np.sort(np.concatenate([start, stop]))
    times = times[np.append(True, np.diff(times) > _CLOSE)][:-1]  # the last is the end
    pitch = np.full((len(times), VOICES), REST)
    begins = np.zeros((len(times), VOICES), bool)
    for voice in score.voices:
        some = notes["voice"] == voice
        first, last = start[some], stop[some]
        early = np.flatnonzero(first[1:] < last[:-1] - _CLOSE)
        if len(early):
            raise ValueError(
                f"voice {voice} sings two notes at once (onset {first[early[0] + 1]:.6g}):"
                " part writing needs one at a time"
            )
        at = np.searchsorted(first, times + _CLOSE, side="right") - 1
        sounds = (at >= 0) & (last[at] > times + _CLOSE)
        pitch[sounds, voice] = notes["pitch"][some][at[sounds]]
        begins[:, voice] = sounds & (np.abs(first[at] - times) <= _CLOSE)
    return Moments(times, pitch, begins)


def bars_and_beats(score: Score, onsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell in which bar, and on which beat of it, positions lie, as musicians count.

    Parameters
    ----------
    score : Score
    onsets : (n,) float
        In quarter notes, before the last bar line.

    Returns
    -------
    bar : (n,) int
        From 1; a pickup is 0.
    beat : (n,) float
        From 1, in units of the metre's denominator, so that 2.5 lies half a quarter after the
        second beat of 4/4. A pickup's beats are those before the bar line: one quarter in 4/4 is
        beat 4.
    """
    lines = score.bar_lines
    at = np.searchsorted(lines, onsets + _CLOSE, side="right") - 1
    at = np.minimum(at, len(lines) - 2)
    changes = np.array([onset for onset, _, _ in score.metre])
    metre = np.maximum(np.searchsorted(changes, lines[at] + _CLOSE, side="right") - 1, 0)
    beats, unit = np.array([(n, 4 / d) for _, n, d in score.metre])[metre].T
    beat = (onsets - lines[at]) / unit + 1
    if score.has_pickup:
        beat += np.where(at == 0, beats - lines[1] / unit, 0)
    return at + (not score.has_pickup), np.round(beat, 6)


def on_beats(score: Score, found: Moments) -> np.ndarray:
    """Return the numbers of the moments that sound on the beats, in order, each once.

    A chord that begins between two beats and is held over the next one counts, too.
    """
    bar, beat = bars_and_beats(score, found.onset)
    ends = np.append(found.onset[1:], score.duration)
    until, last = bars_and_beats(score, ends - 0.001)  # shorter than any note
    starts = np.abs(beat - np.round(beat)) < _CLOSE
    return np.flatnonzero(starts | (until > bar) | (np.floor(last) > np.floor(beat)))
