"""What a note is, and the checks that keep the impossible out of a Score."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

NOTE_DTYPE = np.dtype(
    [("onset", "f8"), ("duration", "f8"), ("pitch", "i2"), ("velocity", "u1"), ("voice", "u1")]
)
"""One note: onset and duration in quarter notes, MIDI pitch, velocity 1–127, voice 0–255."""

HOLD = -1
"""Grid code: the note of an earlier step still sounds."""

REST = -2
"""Grid code: silence."""

DEFAULT_VELOCITY = 80

MAX_QUARTERS = 100_000
"""Where the longest piece ends, in quarter notes (at 120 a minute, after 14 hours)."""


def name_note(notes: np.ndarray, index: int) -> str:
    """Name a note in an error message: ``note 12, onset 3.0``."""
    return f"note {index}, onset {round(float(notes['onset'][index]), 6)}"


def checked_notes(notes: Any) -> np.ndarray:
    """Validate, sort and freeze notes; name the first that is impossible."""
    if not (isinstance(notes, np.ndarray) and notes.dtype == NOTE_DTYPE):
        notes = _from_tuples(notes)
    if notes.ndim != 1:
        raise ValueError(f"notes must be one-dimensional, not of shape {notes.shape}")
    onset, duration = notes["onset"], notes["duration"]
    rules = [
        (~np.isfinite(onset), "onset", "isn't a finite number"),
        (~np.isfinite(duration), "duration", "isn't a finite number"),
        (onset < 0, "onset", "is negative"),
        (duration <= 0, "duration", "isn't positive"),
        (
            onset + duration > MAX_QUARTERS,
            "onset",
            f"lies beyond {MAX_QUARTERS:,} quarters",
        ),
        ((notes["pitch"] < 0) | (notes["pitch"] > 127), "pitch", "is outside MIDI's 0–127"),
        ((notes["velocity"] < 1) | (notes["velocity"] > 127), "velocity", "is outside 1–127"),
    ]
    for bad, name, fault in rules:
        if bad.any():
            i = int(np.argmax(bad))
            raise ValueError(f"{name} {notes[name][i]} {fault} ({name_note(notes, i)})")
    # Duration and velocity settle ties, so that equal music is always the same array.
    columns = ("velocity", "duration", "pitch", "voice", "onset")
    notes = notes[np.lexsort([notes[name] for name in columns])]
    notes.setflags(write=False)
    return notes


def _from_tuples(rows: Any) -> np.ndarray:
    names = getattr(getattr(rows, "dtype", None), "names", None)
    if names:  # by name: another structured array may have its fields in another order
        missing = {"onset", "duration", "pitch"} - set(names)
        unknown = set(names) - set(NOTE_DTYPE.names)
        if missing or unknown:
            raise ValueError(f"notes have the fields {NOTE_DTYPE.names}, these have {names}")
        rows = rows[[name for name in NOTE_DTYPE.names if name in names]]
        if "voice" in names and "velocity" not in names:
            raise ValueError("notes that have a voice need a velocity, too")
    if not isinstance(rows, Iterable) or isinstance(rows, (str, bytes)):
        raise ValueError(f"notes must be an array or a list of tuples, not {type(rows).__name__}")
    rows = list(rows)
    notes = np.zeros(len(rows), NOTE_DTYPE)
    notes["velocity"] = DEFAULT_VELOCITY
    limits = {"pitch": (0, 127), "velocity": (1, 127), "voice": (0, 255)}
    for i, row in enumerate(rows):
        row = tuple(row) if isinstance(row, (tuple, list, np.ndarray, np.void)) else ()
        if not 3 <= len(row) <= 5:
            raise ValueError(
                f"note {i} must be (onset, duration, pitch[, velocity[, voice]]), not {rows[i]!r}"
            )
        for name, value in zip(NOTE_DTYPE.names, row, strict=False):
            # Checked before they are stored: a small integer type would wrap 300 round to 44.
            low, high = limits.get(name, (None, None))
            try:
                number = float(value)
                if low is not None and not (low <= number <= high and number == int(number)):
                    raise ValueError
            except (TypeError, ValueError, OverflowError):
                what = "isn't a number" if low is None else f"isn't a whole number {low}–{high}"
                if isinstance(value, (int, np.integer)) and name == "pitch":
                    what = "is outside MIDI's 0–127"
                raise ValueError(f"{name} {value!r} {what} (note {i}, onset {row[0]})") from None
            notes[name][i] = number
    return notes


def _ordered(changes: Iterable[Any], name: str) -> list[Any]:
    """Check that changes come at finite, strictly increasing onsets from 0 on."""
    changes = list(changes)
    onsets = np.array([change[0] for change in changes], dtype=float)
    if not np.isfinite(onsets).all() or (onsets < 0).any() or (np.diff(onsets) <= 0).any():
        raise ValueError(
            f"{name} changes must come at finite, increasing onsets: {onsets.tolist()}"
        )
    return changes


def whole(value: Any, rule: str) -> int:
    """Return a whole number as an int; raise ValueError with the rule for anything else."""
    try:
        number = int(value)
        if number == value:
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{rule}, not {value!r}")


def _entries(value: Any, name: str, kinds: tuple[type, ...], example: str) -> list[Any]:
    """Read a list of changes such as (onset, bpm); say what it should look like if it isn't."""
    try:
        if isinstance(value, str):
            raise TypeError
        entries = [
            tuple(_as(kind, part) for kind, part in zip(kinds, entry, strict=True))
            for entry in value
        ]
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a list such as {example}, not {value!r}") from None
    return _ordered(entries, name)


def _as(kind: type, value: Any) -> Any:
    return whole(value, "a whole number is needed") if kind is int else kind(value)


def checked_tempo(tempo: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the tempo map as floats; the first entry must stand at 0, every bpm be positive."""
    checked = _entries(tempo, "tempo", (float, float), "[(0, 96)] for 96 quarters a minute")
    for onset, bpm in checked:
        if not (np.isfinite(bpm) and bpm > 0):
            raise ValueError(f"tempo {bpm} isn't a positive number of quarters a minute ({onset=})")
    if not checked or checked[0][0] != 0:
        raise ValueError("the first tempo must stand at onset 0")
    return checked


def checked_metre(metre: Iterable[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    """Return the metres as numbers; each must be writable, such as 3/4 or 12/8."""
    checked = _entries(metre, "metre", (float, int, int), "[(0, 3, 4)] for 3/4")
    for onset, numerator, denominator in checked:
        power_of_two = denominator > 0 and denominator & (denominator - 1) == 0
        if not (1 <= numerator <= 255 and power_of_two and denominator <= 128):
            raise ValueError(f"metre {numerator}/{denominator} can't be written ({onset=})")
    if not checked:
        raise ValueError("a score needs at least one metre, such as (0, 4, 4)")
    return checked


def checked_key(key: Iterable[tuple[float, int, str]]) -> list[tuple[float, int, str]]:
    """Return the key signatures; each has at most seven sharps or flats."""
    checked = _entries(key, "key", (float, int, str), '[(0, 2, "major")] for two sharps')
    for onset, fifths, _ in checked:
        if not -7 <= fifths <= 7:
            raise ValueError(f"a key signature has at most 7 accidentals, not {fifths} ({onset=})")
    return checked


def checked_programs(programs: dict[int, int]) -> dict[int, int]:
    """Return the programs by voice, ascending; 0–127, or 128 for drums."""
    try:
        checked = {_as(int, voice): _as(int, program) for voice, program in programs.items()}
    except (AttributeError, TypeError, ValueError):
        example = "{0: 73} for voice 0 on General MIDI's program 73"
        raise ValueError(f"programs must be a dict such as {example}, not {programs!r}") from None
    for voice, program in checked.items():
        if not (0 <= program <= 128 and 0 <= voice <= 255):
            raise ValueError(f"program {program} of voice {voice} is outside 0–127 (128 = drums)")
    # Program 0 is what a voice plays anyway: left out, so that equal music is equal.
    return {voice: program for voice, program in sorted(checked.items()) if program}


def checked_lyrics(lyrics: dict[int, list[tuple[float, str]]]) -> dict[int, list[Any]]:
    """Return the lyrics by voice, syllables at finite onsets."""
    try:
        checked = {
            _as(int, voice): [(float(onset), str(text)) for onset, text in line]
            for voice, line in lyrics.items()
        }
    except (AttributeError, TypeError, ValueError):
        example = '{0: [(0, "A-"), (1, "men")]}'
        raise ValueError(f"lyrics must be a dict such as {example}, not {lyrics!r}") from None
    for voice, line in checked.items():
        if not 0 <= voice <= 255 or not all(0 <= onset < np.inf for onset, _ in line):
            raise ValueError(f"lyrics of voice {voice}: a voice is 0–255, an onset finite")
    return checked
