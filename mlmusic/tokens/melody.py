"""Melodies as notes with durations, one token a note."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np

from mlmusic.score import HOLD, NOTE_DTYPE, REST, Score
from mlmusic.tokens.base import (
    NONE,
    Vocabulary,
    checked_range,
    last_change,
    pitch_name,
    refuse,
    refuse_range,
)

DURATIONS = "1/12 1/8 1/6 1/4 1/3 3/8 1/2 2/3 3/4 1 3/2 2 3 4".split()
"""Note values of `MelodyVocabulary` in quarter notes; the others are ties of these."""

METRES = (
    "1/8 3/8 4/8 5/8 6/8 7/8 9/8 12/8 1/4 2/4 3/4 4/4 5/4 6/4 7/4 8/4 9/4 10/4"
    " 2/2 3/2 4/2 6/2 3/1 4/1"
).split()
"""Metres of `MelodyVocabulary`: those that some tunes and folk songs share."""

MAX_TICKS = 10_080
"""Ticks a quarter note: enough for all tuplets of 2 to 10 in 32nds."""


class MelodyVocabulary(Vocabulary):
    """One token a note: its pitch and its duration together, with bar lines in between.

    As on paper, a note that crosses a bar line, or has no note value of its own, goes on as
    HOLD (a tie). Each bar begins with BAR, or with its metre where that is stated; what stands
    before is a pickup.

    `decode` gives back onset, duration and pitch of every note, and the metre up to the last
    one's end; times are whole ticks, ``ticks_per_quarter`` of them in a quarter note. Velocity,
    voice number, tempo, key and everything else are lost: pass them to `decode` as fields.

    Parameters
    ----------
    low, high : int
        Lowest and highest MIDI pitch.
    durations : sequence of str, int or Fraction
        Note values in quarter notes.
    metres : sequence of str
        Such as ``"6/8"``.

    Attributes
    ----------
    bar : int
        Id of a bar line.
    ticks_per_quarter : int
        The finest grid on which all note values lie.
    durations : float array, shape (size,)
        Quarter notes that each token lasts; 0 for bar lines and what isn't music. With
        `pitches` it splits each token into its two halves, for example to embed them apart.

    Examples
    --------
    >>> vocabulary = MelodyVocabulary()
    >>> tokens = vocabulary.encode(Score([(0, 3, 60), (3, 2, 62), (5.5, 0.5, 64)]))
    >>> vocabulary.text(tokens)
    'START 4/4 C4:3 D4:1 BAR HOLD:1 REST:1/2 E4:1/2 END'
    """

    bar = 3

    def __init__(
        self,
        *,
        low: int = 48,
        high: int = 95,
        durations: Sequence[str | int | Fraction] = DURATIONS,
        metres: Sequence[str] = METRES,
    ):
        self.low, self.high = checked_range(low, high)
        values = sorted({Fraction(value) for value in durations})
        if not values or values[0] <= 0:
            raise ValueError(f"durations must be positive, and at least one: {list(durations)}")
        if lcm(*(value.denominator for value in values)) > MAX_TICKS:
            raise ValueError(
                f"durations need over {MAX_TICKS} ticks a quarter: write them like '1/3', not 0.333"
            )
        self.metres = tuple(metres)
        for metre in self.metres:
            if not re.fullmatch(r"[1-9]\d*/[1-9]\d*", metre):
                raise ValueError(f"a metre is written like '6/8', not {metre!r}")
        # Time is counted in whole ticks, so that three thirds are exactly one.
        self.ticks_per_quarter = lcm(*(value.denominator for value in values))
        self._values = np.array([int(value * self.ticks_per_quarter) for value in values])
        events = [REST, HOLD, *range(low, high + 1)]
        self._first = self.bar + 1 + len(self.metres)  # id of the first event
        self.rest, self.hold = self._first, self._first + len(values)
        self.names = (
            *("PAD", "START", "END", "BAR", *self.metres),
            *(f"{_event_name(event)}:{value}" for event in events for value in values),
        )
        self.pitches = np.full(self.size, NONE, np.int16)
        self.pitches[self._first :] = np.repeat(events, len(values))
        self._ticks = np.zeros(self.size, np.int64)
        self._ticks[self._first :] = np.tile(self._values, len(events))
        self.durations = self._ticks / self.ticks_per_quarter
        self._spelled: dict[int, tuple[int, ...]] = {0: ()}

    def encode(self, score: Score, *, ends: bool = True) -> np.ndarray:
        """Write a score as tokens.

        Parameters
        ----------
        score : Score
            One voice, one note at a time.
        ends : bool
            Put START in front and END behind.

        Returns
        -------
        int64 array, shape (tokens,)

        Raises
        ------
        ValueError
            If a note overlaps the one before, lies outside ``low`` to ``high`` or at a time
            that ties of ``durations`` can't reach, if there are several voices, or a metre is
            unknown; the message names it.
        """
        notes = score.notes
        if len(score.voices) > 1:
            raise ValueError(
                f"a melody has one voice, this score has voices {score.voices}: select() one"
            )
        refuse_range(notes, self.low, self.high)
        starts, stops = self._to_ticks(score)
        overlap = np.append(False, starts[1:] < stops[:-1])
        refuse(notes, overlap, lambda note: "starts while the note before it sounds")
        lines, marks = self._bar_marks(score)

        # Cut time wherever a note starts, a note ends, or a bar line stands.
        cuts = np.unique(np.concatenate([[0], starts, stops, lines]))
        here, lengths = cuts[:-1], np.diff(cuts)
        note = np.searchsorted(starts, here, side="right") - 1  # the last to start by then; or -1
        events = np.where(
            np.append(starts, -1)[note] == here, np.append(notes["pitch"], 0)[note], HOLD
        )
        events[(note < 0) | (here >= np.append(stops, 0)[note])] = REST

        # Spell each stretch as note values; all but the first of a note's are ties.
        values, counts = self._spell_all(here, lengths, events)
        begins = np.cumsum(counts) - counts
        events = np.repeat(events, counts)
        tied = np.ones(len(events), bool)
        tied[begins] = False
        events[tied & (events >= 0)] = HOLD
        rows = np.where(events >= 0, events - self.low + 2, events - REST).astype(np.int64)
        tokens = self._first + rows * len(self._values) + values
        return self._wrapped(np.insert(tokens, begins[np.searchsorted(here, lines)], marks), ends)

    def decode(
        self, tokens: Sequence[int] | np.ndarray, *, repair: bool = False, **fields: Any
    ) -> Score:
        """Read a score from tokens.

        A bar line before the bar is full makes an irregular bar; a bar that is too full gets
        the bar lines of its metre. Without any metre it is 4/4.

        Parameters
        ----------
        tokens : sequence of int
            With or without START, END and padding.
        repair : bool
            Mend what an unfinished model writes: a HOLD with nothing to hold becomes a rest, an
            empty bar and all after the first END are ignored.
        **fields
            Tempo, key, title … of the score; ``metre`` here replaces the tokens'.

        Raises
        ------
        ValueError
            If (without ``repair``) a HOLD holds nothing, a bar is empty, or a token stands
            where it can't; the message gives the position.
        """
        body, first = self._body(tokens, repair)
        events, ticks = self.pitches[body], self._ticks[body]
        onsets = np.cumsum(ticks) - ticks
        metre = self._metre(body, onsets, None if repair else first)
        played = np.flatnonzero(events != NONE)
        events, ticks, onsets = events[played], ticks[played], onsets[played]
        idle = (events == HOLD) & (events[last_change(events)] < 0)
        if idle.any() and not repair:
            i = int(np.argmax(idle))
            raise ValueError(
                f"{self.names[body[played[i]]]} at position {first + played[i]} has no note to hold"
            )
        events = np.where(idle, REST, events)
        leads = np.flatnonzero(events != HOLD)
        lasting = np.add.reduceat(ticks, leads) if len(leads) else ticks  # tied values added up
        sounding = events[leads] >= 0
        notes = np.zeros(int(sounding.sum()), NOTE_DTYPE)
        notes["onset"] = onsets[leads][sounding] / self.ticks_per_quarter
        notes["duration"] = lasting[sounding] / self.ticks_per_quarter
        notes["pitch"] = events[leads][sounding]
        notes["velocity"] = 80
        return Score(notes, **{"metre": metre, **fields})

    def _to_ticks(self, score: Score) -> tuple[np.ndarray, np.ndarray]:
        """First and one-past-last tick of every note."""
        notes = score.notes
        exact = np.stack([notes["onset"], notes["onset"] + notes["duration"]])
        exact = exact * self.ticks_per_quarter
        ticks = np.rint(exact).astype(np.int64)
        refuse(
            notes,
            (np.abs(exact - ticks) > 1e-6).any(axis=0) | (ticks[0] == ticks[1]),
            lambda note: (
                f"with duration {note['duration']:.6g} lies between ticks of "
                f"1/{self.ticks_per_quarter} quarter note, the finest that the note values allow"
            ),
        )
        return ticks[0], ticks[1]

    def _bar_marks(self, score: Score) -> tuple[np.ndarray, np.ndarray]:
        """Ticks of the bar lines before the end, and the token of each."""
        metre = {onset: f"{n}/{d}" for onset, n, d in score.metre}
        lines = [] if score.duration == 0 else score.bar_lines[:-1].tolist()
        if score.has_pickup:
            lines = lines[1:]
        ids = {name: self.bar + 1 + i for i, name in enumerate(self.metres)}
        for onset in set(lines) & set(metre):
            if metre[onset] not in ids:
                raise ValueError(
                    f"metre {metre[onset]} at onset {onset:g} isn't one of this vocabulary's: "
                    + ", ".join(self.metres)
                )
        marks = [ids[metre[onset]] if onset in metre else self.bar for onset in lines]
        exact = np.array(lines, float) * self.ticks_per_quarter
        ticks = np.rint(exact).astype(np.int64)
        for i in np.flatnonzero(np.abs(exact - ticks) > 1e-6):
            raise ValueError(
                f"the bar line at onset {lines[i]:.6g} lies between ticks of"
                f" 1/{self.ticks_per_quarter} quarter note"
            )
        return ticks, np.array(marks, np.int64)

    def _metre(
        self, body: np.ndarray, onsets: np.ndarray, first: int | None
    ) -> list[tuple[float, int, int]]:
        """Turn bar tokens into metre entries; `first` is None where empty bars are ignored."""
        entries: list[tuple[int, int, int]] = []  # in ticks
        previous = -1
        for i in np.flatnonzero(self.pitches[body] == NONE):
            tick = int(onsets[i])
            if tick == previous:
                if first is not None:
                    name = self.names[body[i]]
                    raise ValueError(f"{name} at position {first + i} follows an empty bar")
                if body[i] == self.bar:
                    continue
                if entries and entries[-1][0] == tick:
                    entries.pop()
            previous = tick
            if body[i] == self.bar:
                at, *metre = entries[-1] if entries else (None, 4, 4)
                # A bar line where the metre expects it needs no words.
                if (
                    at is not None
                    and (tick - at) * metre[1] % (4 * metre[0] * self.ticks_per_quarter) == 0
                ):
                    continue
            else:
                metre = [int(part) for part in self.names[body[i]].split("/")]
            entries.append((tick, metre[0], metre[1]))
        return [(tick / self.ticks_per_quarter, n, d) for tick, n, d in entries] or [(0.0, 4, 4)]

    def _spell_all(
        self, here: np.ndarray, lengths: np.ndarray, events: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Note values of all stretches in a row, and how many each stretch takes."""
        unique, which = np.unique(lengths, return_inverse=True)
        spelled = [self._spell(int(length)) for length in unique]
        impossible = np.array([not values for values in spelled], bool)[which]
        if impossible.any():
            i = int(np.argmax(impossible))
            what = "the rest" if events[i] == REST else f"note {(events[: i + 1] >= 0).sum() - 1}"
            raise ValueError(
                f"{what} at onset {here[i] / self.ticks_per_quarter:.6g}: no note values add up to"
                f" {Fraction(int(lengths[i]), self.ticks_per_quarter)} quarter notes"
            )
        values = np.array([value for i in which for value in spelled[i]], np.int64)
        return values, np.array([len(spelled[i]) for i in which], np.int64)

    def _spell(self, ticks: int) -> tuple[int, ...]:
        """Write a length as the fewest note values, long before short; () if there is no way."""
        known = self._spelled
        for length in range(max(known) + 1, ticks + 1):
            ways = [
                (i, *known[length - value])
                for i, value in reversed(list(enumerate(self._values.tolist())))
                if value == length or known.get(length - value)
            ]
            known[length] = min(ways, key=len, default=())
        return known[ticks]


def _event_name(event: int) -> str:
    return {REST: "REST", HOLD: "HOLD"}.get(event) or pitch_name(event)
