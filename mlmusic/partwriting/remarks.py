"""Faults told like a teacher: bar, beat, voices and a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mlmusic.describe import CHOIR, interval, pitch_name, spell
from mlmusic.partwriting import rules
from mlmusic.partwriting.moments import Moments, bars_and_beats, moments, on_beats
from mlmusic.partwriting.rules import KINDS, RANGES, Fault
from mlmusic.score import Score

_PARTS = {0.25: "¼", 0.5: "½", 0.75: "¾"}


@dataclass(frozen=True)
class Remark:
    """What a teacher would write beside a bar.

    Attributes
    ----------
    kind : str
        One of `mlmusic.partwriting.KINDS`.
    bar : int
        From 1; a pickup is 0.
    beat : float
        From 1, in units of the metre's denominator. A motion is told of where it arrives.
    voices : tuple of int
        0 is the soprano, 3 the bass; the upper one first.
    sentence : str
        The same in plain words, with the notes.
    """

    kind: str
    bar: int
    beat: float
    voices: tuple[int, ...]
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def remarks(
    score: Score,
    *,
    kinds: str | Iterable[str] = KINDS,
    ranges: Sequence[tuple[int, int]] = RANGES,
    key: tuple[int, str] | None = None,
) -> list[Remark]:
    """Look for broken rules of part writing.

    Parameters
    ----------
    score : Score
        Voices 0 to 3 are soprano, alto, tenor and bass; a voice may be missing.
    kinds : str or iterable of str
        What to look for: one or several of `mlmusic.partwriting.KINDS`.
    ranges : four pairs of int
        Lowest and highest MIDI pitch of each voice.
    key : (fifths, mode), optional
        Sharps (or flats, negative) and ``"major"`` or ``"minor"``; by default what the score
        itself says at each place. Where it says nothing, leading notes are looked for in dominant
        sevenths only.

    Returns
    -------
    list of Remark
        In the order of the music.

    Raises
    ------
    ValueError
        If the score isn't for four voices with one note at a time, or a kind, the key or the
        ranges are impossible.

    Examples
    --------
    >>> from mlmusic import Score
    >>> score = Score([(0, 1, 57, 80, 2), (1, 1, 59, 80, 2), (0, 1, 50, 80, 3), (1, 1, 52, 80, 3)])
    >>> for remark in remarks(score):
    ...     print(remark)
    Bar 1, beat 2: tenor and bass move in parallel fifths (D–A to E–B).
    """
    wanted, ranges = _checked_kinds(kinds), _checked_ranges(ranges)
    key = None if key is None else _checked_key(key)
    found = moments(score)
    keys = [key or _key_at(score, onset) for onset in found.onset.tolist()]
    faults = [fault for fault in _faults(score, found, ranges, keys) if fault.kind in wanted]
    bars, beats = bars_and_beats(score, found.onset)
    faults.sort(key=lambda fault: (fault.moment, KINDS.index(fault.kind), fault.voices))
    return [
        Remark(
            fault.kind,
            int(bars[fault.moment]),
            float(beats[fault.moment]),
            fault.voices,
            f"Bar {bars[fault.moment]}, beat {_written(float(beats[fault.moment]))}:"
            f" {_sentence(fault, found, ranges, keys[fault.moment])}.",
        )
        for fault in faults
    ]


def faults_per_bar(
    scores: Score | Iterable[Score],
    *,
    kinds: str | Iterable[str] = KINDS,
    ranges: Sequence[tuple[int, int]] = RANGES,
) -> dict[str, float]:
    """Count the broken rules of each kind in a bar, on average.

    Parameters
    ----------
    scores : Score, or several
        As `remarks` takes; of several, all bars count alike. A pickup isn't counted as a bar of
        its own.
    kinds : str or iterable of str
    ranges : four pairs of int
        As `remarks` takes.

    Returns
    -------
    dict of str to float
        In the order of ``kinds``, each once; the sum of its values is the rate of all.

    Raises
    ------
    ValueError
        If there is no score, or as `remarks` does.
    """
    wanted = _checked_kinds(kinds)
    scores = [scores] if isinstance(scores, Score) else list(scores)
    if not scores:
        raise ValueError("a rate needs at least one score")
    counts: Counter[str] = Counter()
    bars = 0
    for score in scores:
        counts.update(remark.kind for remark in remarks(score, kinds=wanted, ranges=ranges))
        bars += max(1, len(score.bar_lines) - 1 - score.has_pickup)
    return {kind: counts[kind] / bars for kind in wanted}


def _faults(
    score: Score,
    found: Moments,
    ranges: Sequence[tuple[int, int]],
    keys: Sequence[tuple[int, str] | None],
) -> list[Fault]:
    beats = on_beats(score, found)
    tonics = [None if key is None else _tonic(*key) for key in keys]
    return [
        *rules.parallels(found),
        *rules.hidden(found),
        *rules.crossings(found),
        *rules.overlaps(found),
        *rules.ranges(found, ranges),
        *rules.spacing(found),
        *rules.leading_notes(found, beats, tonics),
        *rules.sevenths(found, beats, tonics),
    ]


def _sentence(
    fault: Fault,
    found: Moments,
    ranges: Sequence[tuple[int, int]],
    key: tuple[int, str] | None,
) -> str:
    key = key or (0, "")
    here, voices = fault.moment, fault.voices
    names = [CHOIR[voice] for voice in voices]
    both = " and ".join(names)
    after = [int(found.pitch[here, voice]) for voice in voices]
    before = [int(found.pitch[max(here - 1, 0), voice]) for voice in voices]
    if fault.kind.startswith(("parallel", "hidden")):
        adjective, plural = fault.kind.split()
        # From below, as intervals are named.
        motion = f"{_pair(before, key)} to {_pair(after, key)}"
        if adjective == "hidden":
            one = {"fifths": "a fifth", "octaves": "an octave"}[plural]
            return f"{both} move the same way into {one}, the soprano by a leap ({motion})"
        if course := _to_or_from_unison(before, after):
            return f"{both} move {course} ({motion})"
        if np.sign(after[0] - before[0]) == np.sign(after[1] - before[1]):
            return f"{both} move in {fault.kind} ({motion})"
        one = {"fifths": "fifth", "octaves": "octave"}[plural]
        return f"{both} move in contrary motion from one {one} to the next ({motion})"
    first = pitch_name(after[0], key)
    if fault.kind == "crossing":
        return f"the {names[1]} sings above the {names[0]} ({pitch_name(after[1], key)}, {first})"
    if fault.kind == "overlap":
        moving, other = (1, 0) if after[1] > before[0] else (0, 1)
        return (
            f"the {names[moving]} moves {'above' if moving else 'below'} the note that the"
            f" {names[other]} has just left ({pitch_name(after[moving], key)},"
            f" {pitch_name(before[other], key)})"
        )
    if fault.kind == "range":
        high = after[0] > ranges[voices[0]][1]
        limits = " to ".join(pitch_name(pitch, key) for pitch in ranges[voices[0]])
        return f"{first} is too {'high' if high else 'low'} for the {names[0]} ({limits})"
    if fault.kind == "spacing":
        return f"{both} are {interval(after[0] - after[1])} apart, more than an octave"
    if fault.kind == "doubled leading note":
        singers = f"{', '.join(names[:-1])} and {names[-1]}"
        return f"{singers} double the leading note, {_letter(after[0], key)}"
    note = pitch_name(before[0], key)
    if fault.kind == "unresolved leading note":
        goal = _letter(before[0] + 1, key)
        return f"the {names[0]}'s leading note {note} goes to {first} instead of rising to {goal}"
    return f"the {names[0]}'s seventh {note} goes to {first} instead of falling by a step"


def _to_or_from_unison(before: list[int], after: list[int]) -> str | None:
    """Name a motion between octave and unison, which count as one interval."""
    if (before[0] == before[1]) == (after[0] == after[1]):
        return None
    return "from an octave to a unison" if after[0] == after[1] else "from a unison to an octave"


def _pair(pitches: list[int], key: tuple[int, str]) -> str:
    """Name two pitches, the lower one first, a fifth as a fifth: G sharp–D sharp, not –E flat."""
    low, high = sorted(pitches)
    fifth = (high - low) % 12 == rules.FIFTH
    # In the key a fifth higher each name lies a fifth higher.
    return f"{_letter(low, key)}–{_letter(high, (key[0] + fifth, key[1]))}"


def _letter(pitch: int, key: tuple[int, str]) -> str:
    """Name a pitch without its octave."""
    _, _, octave = spell(pitch, *key)
    return pitch_name(pitch, key).removesuffix(str(octave)).strip()


def _written(beat: float) -> str:
    """Write a beat as ``2``, ``2½`` or ``2.33``."""
    whole, part = divmod(beat, 1)
    if part in _PARTS or not part:
        return f"{whole:.0f}{_PARTS.get(part, '')}"
    return f"{beat:.2f}"


def _tonic(fifths: int, mode: str) -> int:
    return (fifths * 7 + (9 if mode == "minor" else 0)) % 12


def _key_at(score: Score, onset: float) -> tuple[int, str] | None:
    """Return the key signature in force, if its keynote is known."""
    keys = [entry[1:] for entry in score.key if entry[0] <= onset + 1e-9] or [
        entry[1:] for entry in score.key[:1]
    ]
    return keys[-1] if keys and keys[-1][1] in ("major", "minor") else None


def _checked_kinds(kinds: str | Iterable[str]) -> tuple[str, ...]:
    """Return the kinds that are asked for, each once; an iterator can be read only here."""
    several = [kinds] if isinstance(kinds, str) or not isinstance(kinds, Iterable) else list(kinds)
    for kind in several:
        if kind not in KINDS:
            raise ValueError(f"there is no rule {kind!r}: choose from {', '.join(KINDS)}")
    return tuple(dict.fromkeys(several))


def _checked_key(key: tuple[int, str]) -> tuple[int, str]:
    try:
        fifths, mode = key
    except (TypeError, ValueError):
        fifths, mode = None, None
    if fifths not in range(-7, 8) or mode not in ("major", "minor"):
        raise ValueError(f"a key is (-7 to 7 sharps, 'major' or 'minor'), not {key!r}")
    return int(fifths), mode


def _checked_ranges(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    try:
        limits = np.asarray(ranges, float)
    except (TypeError, ValueError):
        limits = np.empty(0)
    # The remainder of NaN and of infinity is NaN: neither counts as whole.
    with np.errstate(invalid="ignore"):
        whole = limits.shape == (len(CHOIR), 2) and (limits % 1 == 0).all()
    if not whole or (limits[:, 0] > limits[:, 1]).any():
        raise ValueError(f"ranges are four pairs (lowest, highest) of MIDI pitches, not {ranges!r}")
    return [(int(low), int(high)) for low, high in limits]
