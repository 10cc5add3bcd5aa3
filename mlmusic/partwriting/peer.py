"""music21's own checks of part writing, to compare with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

from mlmusic.partwriting.moments import VOICES

if TYPE_CHECKING:
    import music21

CHECKED = (
    "parallel fifths",
    "parallel octaves",
    "parallel unisons",
    "hidden fifths",
    "hidden octaves",
    "crossing",
    "overlap",
    "spacing",
)
"""What music21 looks for, in our words."""


def music21_faults(
    stream: music21.stream.Score,
) -> set[tuple[str, float, tuple[int, int]]]:
    """Let music21 look for faults: its `figuredBass`, and `VoiceLeadingQuartet`.

    What lasts, a crossing or wide spacing, is told where it begins.

    Parameters
    ----------
    stream : music21.stream.Score
        Four parts, soprano first, silence written as rests.

    Returns
    -------
    set of (kind, onset, voices)
        Onset in quarter notes, of a motion that at which it arrives; the upper voice first.

    Raises
    ------
    ValueError
        If there aren't four parts.
    """
    from music21.figuredBass import checker

    if len(stream.parts) != VOICES:
        raise ValueError(f"music21's checks compare with ours on 4 parts, not {len(stream.parts)}")
    found: set[tuple[str, float, tuple[int, int]]] = set()
    # The checker's own way to read rests raises in music21 10.5 ("Cannot make a step out of 'R'"),
    # while its rules pass over whatever isn't a pitch.
    harmonies = [
        (round(float(start), 4), [note.pitch if note.isNote else note for note in notes])
        for (start, _), notes in sorted(checker.extractHarmonies(stream).items())
    ]
    last: set[tuple[str, tuple[int, int]]] = set()
    for onset, pitches in harmonies:
        now = {("crossing", (a - 1, b - 1)) for a, b in checker.voiceCrossing(pitches)}
        now |= {("spacing", pair) for pair in ((0, 1), (1, 2)) if _wide(pitches, *pair)}
        found |= {(kind, onset, pair) for kind, pair in now - last}
        last = now
    for (_, before), (onset, after) in pairwise(harmonies):
        found |= {(kind, onset, pair) for kind, pair in _motions(before, after)}
    return found


def _wide(pitches: list[Any], upper: int, lower: int) -> bool:
    from music21.figuredBass.possibility import upperPartsWithinLimit

    # It asks whether all parts but the last lie within an octave: of two, they are the two.
    pair = (pitches[upper], pitches[lower])
    return all(hasattr(p, "ps") for p in pair) and not upperPartsWithinLimit((*pair, pitches[-1]))


def _motions(before: list[Any], after: list[Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    from music21.figuredBass import checker
    from music21.voiceLeading import VoiceLeadingQuartet

    # It remembers hidden intervals as False once it has told of them: it must forget.
    checker.hiddenFifthsTable.clear()
    checker.hiddenOctavesTable.clear()
    outer = (before[0], after[0], before[-1], after[-1])
    functions = [
        ("parallel fifths", checker.parallelFifths),
        ("parallel octaves", checker.parallelOctaves),
    ]
    if all(hasattr(pitch, "ps") for pitch in outer):  # these two raise where one rests
        functions += [
            ("hidden fifths", checker.hiddenFifth),
            ("hidden octaves", checker.hiddenOctave),
        ]
    for kind, function in functions:
        for a, b in function(before, after):
            yield kind, (a - 1, b - 1)
    for upper, lower in combinations(range(VOICES), 2):
        four = (before[upper], after[upper], before[lower], after[lower])
        if not all(hasattr(pitch, "ps") for pitch in four):
            continue
        motion = VoiceLeadingQuartet(*four)
        if lower == upper + 1 and motion.voiceOverlap():
            yield "overlap", (upper, lower)
        if before[upper] == before[lower] and motion.parallelUnison():
            yield "parallel unisons", (upper, lower)
