"""The rules of part writing, one function each: from moments to faults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from mlmusic.partwriting.moments import VOICES, Moments

KINDS = (
    "parallel fifths",
    "parallel octaves",
    "parallel unisons",
    "hidden fifths",
    "hidden octaves",
    "crossing",
    "overlap",
    "range",
    "spacing",
    "doubled leading note",
    "unresolved leading note",
    "unresolved seventh",
)
"""What is looked for."""

RANGES = ((60, 81), (53, 74), (48, 69), (36, 64))
"""MIDI ranges of soprano, alto, tenor and bass, as choirs are asked to sing.

The bass is an exception: textbooks end at E2 or F2, but in Bach's chorales it goes down to C2, a
cello's lowest string. Instruments went along with the singers; to call 160 of his notes too low
would tell more of the rule than of him.
"""

OCTAVE, FIFTH, STEP = 12, 7, 2


class Fault(NamedTuple):
    """A rule broken.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    moment : int
        Number of the moment; of a motion, that at which it arrives.
    voices : tuple of int
        The upper one first.
    """

    kind: str
    moment: int
    voices: tuple[int, ...]


def parallels(found: Moments) -> Iterator[Fault]:
    """Find two voices that move from a perfect fifth (octave, unison) to another one.

    Intervals wider than an octave count as what they are less octaves. Contrary motion, as from a
    fifth to a twelfth, counts, too: the ear hears two fifths in a row.
    """
    for upper, lower in combinations(range(VOICES), 2):
        before, after = _intervals(found, upper, lower)
        moved = _moved(found, upper) & _moved(found, lower)
        fifths = (before % OCTAVE == FIFTH) & (after % OCTAVE == FIFTH)
        perfect = (before % OCTAVE == 0) & (after % OCTAVE == 0)
        unisons = (before == 0) & (after == 0)
        for kind, here in (
            ("parallel fifths", fifths),
            ("parallel octaves", perfect & ~unisons),
            ("parallel unisons", unisons),
        ):
            yield from _faults(kind, 1 + np.flatnonzero(moved & here), upper, lower)


def hidden(found: Moments) -> Iterator[Fault]:
    """Find outer voices that move the same way into a fifth or octave, the soprano by a leap."""
    soprano, bass = 0, VOICES - 1
    before, after = _intervals(found, soprano, bass)
    moved = _moved(found, soprano) & _moved(found, bass)
    steps = np.diff(found.pitch, axis=0)
    same_way = np.sign(steps[:, soprano]) == np.sign(steps[:, bass])
    leaps = np.abs(steps[:, soprano]) > STEP
    for kind, size in (("hidden fifths", FIFTH), ("hidden octaves", 0)):
        here = (after % OCTAVE == size) & (before % OCTAVE != size)  # else they are parallel
        yield from _faults(kind, 1 + np.flatnonzero(moved & same_way & leaps & here), soprano, bass)


def crossings(found: Moments) -> Iterator[Fault]:
    """Find where a voice begins to sing below one that should be lower."""
    for upper, lower in combinations(range(VOICES), 2):
        yield from _faults("crossing", _starts(_crossed(found, upper, lower)), upper, lower)


def overlaps(found: Moments) -> Iterator[Fault]:
    """Find a voice that moves beyond what its neighbour has just left, without crossing it."""
    for upper in range(VOICES - 1):
        lower = upper + 1
        high, low = found.pitch[:, upper], found.pitch[:, lower]
        sounds = (high >= 0) & (low >= 0)
        beyond = (low[1:] > high[:-1]) | (high[1:] < low[:-1])
        crossed = _crossed(found, upper, lower)
        here = sounds[1:] & sounds[:-1] & beyond & ~crossed[1:] & ~crossed[:-1]
        yield from _faults("overlap", 1 + np.flatnonzero(here), upper, lower)


def ranges(found: Moments, limits: Sequence[tuple[int, int]]) -> Iterator[Fault]:
    """Find notes that lie higher or lower than their voice sings."""
    for voice, (lowest, highest) in enumerate(limits):
        line = found.pitch[:, voice]
        here = found.begins[:, voice] & ((line < lowest) | (line > highest))
        yield from _faults("range", np.flatnonzero(here), voice)


def spacing(found: Moments) -> Iterator[Fault]:
    """Find where soprano and alto, or alto and tenor, come to be more than an octave apart."""
    for upper in (0, 1):
        high, low = found.pitch[:, upper], found.pitch[:, upper + 1]
        wide = (high >= 0) & (low >= 0) & (high - low > OCTAVE)
        yield from _faults("spacing", _starts(wide), upper, upper + 1)


def leading_notes(
    found: Moments, beats: np.ndarray, tonics: Sequence[int | None]
) -> Iterator[Fault]:
    """Find leading notes that are doubled or, in an outer voice, don't rise to the tonic.

    They have to rise where the chord resolves: where the triad a fifth below follows. Other notes
    may stand between, as in B–A–C or B–A–B–C: what counts is that the voice gets there.

    The leading note is the third of a dominant chord: of any dominant seventh, of the key's
    diminished triad on the seventh degree, and of its dominant triad where the tonic follows.
    Chords are what sounds on a beat.

    Parameters
    ----------
    found : Moments
    beats : (beats,) int
        Numbers of the moments that are beats.
    tonics : sequence of int or None
        Pitch class of the keynote at each moment; None if it isn't known.
    """
    chords = [_classes(found, moment) for moment in beats]
    for i, (moment, chord) in enumerate(zip(beats, chords, strict=True)):
        j = next((j for j in range(i + 1, len(beats)) if chords[j] and chords[j] != chord), None)
        following = None if j is None else chords[j]
        root = _dominant(found, moment, following, tonics[moment])
        if root is None:
            continue
        leading = (root + 4) % OCTAVE
        singers = [v for v in range(VOICES) if _sings(found, moment, v, leading)]
        fresh = any(found.begins[moment, v] for v in singers)  # held notes are told of once
        if len(singers) > 1 and fresh:
            yield Fault("doubled leading note", int(moment), tuple(singers))
        if following is None or not _is_triad(following, (root + 5) % OCTAVE):
            continue
        for voice in singers:
            # Sung on the next beat of the same chord as well, it's judged there.
            again = _sings(found, beats[i + 1], voice, leading)
            left = _left(found, moment, voice)
            if voice not in (0, VOICES - 1) or left is None or again:
                continue
            line = found.pitch[:, voice]
            within = _classes(found, left) <= _seventh_chord(root)
            rises = line[moment] + 1 in (line[left], line[beats[j]])
            if not within and not rises:
                yield Fault("unresolved leading note", left, (voice,))


def sevenths(found: Moments, beats: np.ndarray, tonics: Sequence[int | None]) -> Iterator[Fault]:
    """Find sevenths of dominant seventh chords, heard on a beat, that don't fall by a step.

    One may stay while the chord changes, be left while the chord goes on, or get to its goal by way
    of other notes. It may rise by a step where the bass does so with it, from the chord's fifth to
    the third of the chord of resolution: from the second inversion to the first, as textbooks
    allow.

    Parameters
    ----------
    found, beats, tonics
        As `leading_notes` takes.
    """
    told = set()
    for i, moment in enumerate(beats):
        root = _dominant_seventh(found, moment, tonics[moment])
        if root is None:
            continue
        chord = _seventh_chord(root)
        arrival = next((int(b) for b in beats[i + 1 :] if not _classes(found, b) <= chord), None)
        for voice in range(VOICES):
            left = _left(found, moment, voice)
            if left is None or not _sings(found, moment, voice, (root + 10) % OCTAVE):
                continue
            line = found.pitch[:, voice]
            stays = arrival is not None and arrival < left
            within = _classes(found, left) <= chord
            goals = line[[left]] if arrival is None else line[[left, arrival]]
            falls = np.isin(line[moment] - goals, (1, STEP)).any()
            excused = stays or within or falls or _rises_with_bass(found, moment, left, voice, root)
            if not excused and (left, voice) not in told:
                told.add((left, voice))
                yield Fault("unresolved seventh", left, (voice,))


def _faults(kind: str, found: np.ndarray, *voices: int) -> Iterator[Fault]:
    return (Fault(kind, int(moment), voices) for moment in found)


def _intervals(found: Moments, upper: int, lower: int) -> tuple[np.ndarray, np.ndarray]:
    """Sizes in semitones before and after each motion."""
    sizes = np.abs(found.pitch[:, upper] - found.pitch[:, lower])
    return sizes[:-1], sizes[1:]


def _moved(found: Moments, voice: int) -> np.ndarray:
    """Whether a voice goes from one pitch to another, without a rest."""
    line = found.pitch[:, voice]
    return (line[:-1] >= 0) & (line[1:] >= 0) & (line[:-1] != line[1:])


def _crossed(found: Moments, upper: int, lower: int) -> np.ndarray:
    high, low = found.pitch[:, upper], found.pitch[:, lower]
    return (high >= 0) & (low >= 0) & (high < low)


def _starts(here: np.ndarray) -> np.ndarray:
    """Return where something begins that may go on for several moments."""
    return np.flatnonzero(here & ~np.append(False, here[:-1]))


def _classes(found: Moments, moment: int) -> frozenset[int]:
    """Pitch classes that sound."""
    return frozenset(pitch % OCTAVE for pitch in found.pitch[moment].tolist() if pitch >= 0)


def _sings(found: Moments, moment: int, voice: int, pitch_class: int) -> bool:
    pitch = found.pitch[moment, voice]
    return bool(pitch >= 0 and pitch % OCTAVE == pitch_class)


def _left(found: Moments, moment: int, voice: int) -> int | None:
    """Return the moment at which a voice goes to another pitch; None if it rests or ends first."""
    line = found.pitch[:, voice]
    other = np.flatnonzero(line[moment + 1 :] != line[moment])
    if not len(other):
        return None
    left = moment + 1 + int(other[0])
    return left if line[left] >= 0 else None


def _chord(root: int, *steps: int) -> frozenset[int]:
    return frozenset((root + step) % OCTAVE for step in steps)


def _seventh_chord(root: int) -> frozenset[int]:
    return _chord(root, 0, 4, 7, 10)


def _seventh_root(chord: frozenset[int]) -> int | None:
    """Root of a dominant seventh chord, whose fifth may be missing."""
    for root in chord:
        if _chord(root, 0, 4, 10) <= chord <= _seventh_chord(root):
            return root
    return None


def _dominant_seventh(found: Moments, moment: int, tonic: int | None) -> int | None:
    """Root of a dominant seventh chord; not of an augmented sixth chord, which sounds the same.

    That one (in C minor A flat, C, E flat, F sharp) lies a semitone above the dominant, and opens
    to an octave: its lowest note falls by a semitone, what sounds like the seventh rises by one.
    """
    root = _seventh_root(_classes(found, moment))
    if root is None or (tonic is not None and root == (tonic + 8) % OCTAVE):
        return None
    bass = VOICES - 1
    falls = _sings(found, moment, bass, root) and _step(found, moment, bass) == -1
    seventh = [v for v in range(bass) if _sings(found, moment, v, (root + 10) % OCTAVE)]
    opens = falls and any(_step(found, moment, voice) == 1 for voice in seventh)
    return None if opens else root


def _rises_with_bass(found: Moments, moment: int, left: int, voice: int, root: int) -> bool:
    """Whether a seventh and the bass rise together, by a step, into the first inversion."""
    bass = VOICES - 1
    together = _sings(found, moment, bass, (root + 7) % OCTAVE) and (
        _left(found, moment, bass) == left
    )
    return (
        together
        and _step(found, moment, bass) in (1, STEP)
        and _step(found, moment, voice) in (1, STEP)
        and _is_triad(_classes(found, left), (root + 5) % OCTAVE)
    )


def _step(found: Moments, moment: int, voice: int) -> int | None:
    """Semitones by which a voice rises where it leaves its note."""
    left = _left(found, moment, voice)
    return None if left is None else int(found.pitch[left, voice] - found.pitch[moment, voice])


def _is_triad(chord: frozenset[int], root: int) -> bool:
    """Whether a chord is the major or minor triad on a root, with or without its fifth."""
    return any(_chord(root, 0, third) <= chord <= _chord(root, 0, third, 7) for third in (3, 4))


def _dominant(
    found: Moments, moment: int, following: frozenset[int] | None, tonic: int | None
) -> int | None:
    """Root of a chord that has a leading note as its third."""
    root = _dominant_seventh(found, moment, tonic)
    if root is not None or tonic is None:
        return root
    chord, root = _classes(found, moment), (tonic + 7) % OCTAVE
    diminished = chord == _chord(root, 4, 7, 10)  # on the seventh degree: a dominant without root
    triad = _chord(root, 0, 4) <= chord <= _chord(root, 0, 4, 7)
    resolves = following is not None and _is_triad(following, tonic)
    return root if diminished or (triad and resolves) else None
