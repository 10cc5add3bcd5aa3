"""``Score``: the one symbolic music type that everything else takes or returns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmusic.score.notes import (
    checked_key,
    checked_lyrics,
    checked_metre,
    checked_notes,
    checked_programs,
    checked_tempo,
    whole,
)

if TYPE_CHECKING:
    import music21
    import pretty_midi


@dataclass(eq=False, repr=False)
class Score:
    """Notes in quarter-note time, with what is needed to play, print and label them.

    Parameters
    ----------
    notes : structured array of NOTE_DTYPE, or a sequence of tuples
        Tuples are ``(onset, duration, pitch[, velocity[, voice]])``; velocity defaults to 80,
        voice to 0. Stored sorted by onset, voice, pitch, and read-only.
    tempo : list of (onset, bpm)
        Quarter notes per minute, from each onset on.
    metre : list of (onset, numerator, denominator)
        Every entry starts a new bar. What lies before the first entry is a pickup bar; an
        irregular bar is written by stating the metre again at the next bar line.
    key : list of (onset, fifths, mode)
        ``fifths`` counts sharps (positive) or flats (negative); ``mode`` is ``"major"``,
        ``"minor"``, ``"dorian"`` … or ``""`` where the source doesn't say.
    programs : dict of voice to program
        General MIDI program 0–127, or 128 for drums. A voice that is missing plays program 0.
    title : str
        What the piece is called.
    lyrics : dict of voice to list of (onset, syllable)
        A trailing ``"-"`` says that the word goes on.
    meta : dict
        Labels (tune type, region, book …). Not part of equality.

    Raises
    ------
    ValueError
        If a note or a field is impossible; the message names it.

    Examples
    --------
    >>> score = Score([(0, 1, 60), (1, 1, 64), (2, 2, 67)])
    >>> score.transpose(2).notes["pitch"].tolist()
    [62, 66, 69]
    """

    notes: np.ndarray
    tempo: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 120.0)])
    metre: list[tuple[float, int, int]] = field(default_factory=lambda: [(0.0, 4, 4)])
    key: list[tuple[float, int, str]] = field(default_factory=list)
    programs: dict[int, int] = field(default_factory=dict)
    title: str = ""
    lyrics: dict[int, list[tuple[float, str]]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.notes = checked_notes(self.notes)
        self.tempo = checked_tempo(self.tempo)
        self.metre = checked_metre(self.metre)
        self.key = checked_key(self.key)
        self.programs = checked_programs(self.programs)
        self.lyrics = checked_lyrics(self.lyrics)
        if not isinstance(self.title, str):
            raise ValueError(f"title must be text, not {self.title!r}")
        self.meta = dict(self.meta)

    @classmethod
    def trusted(cls, notes: np.ndarray, **fields: Any) -> Score:
        """Make a Score without checks, from an array that is known to be valid and sorted.

        For readers and caches, which load thousands of pieces that were checked before.
        """
        score = cls.__new__(cls)
        score.notes = notes
        score.tempo = fields.get("tempo") or [(0.0, 120.0)]
        score.metre = fields.get("metre") or [(0.0, 4, 4)]
        score.key = fields.get("key") or []
        score.programs = fields.get("programs") or {}
        score.title = fields.get("title", "")
        score.lyrics = fields.get("lyrics") or {}
        score.meta = fields.get("meta") or {}
        return score

    # What a score tells of itself ---------------------------------------------------------

    def __len__(self) -> int:
        """Count the notes."""
        return len(self.notes)

    def __repr__(self) -> str:
        name = f"{self.title!r}, " if self.title else ""
        voices, bars = len(self.voices), len(self.bar_lines) - 1
        return (
            f"Score({name}{len(self)} note{'s' * (len(self) != 1)}, "
            f"{voices} voice{'s' * (voices != 1)}, {bars} bar{'s' * (bars != 1)})"
        )

    def __eq__(self, other: object) -> bool:
        """Compare everything that is music; ``meta`` (labels) doesn't count."""
        if not isinstance(other, Score):
            return NotImplemented
        return (
            np.array_equal(self.notes, other.notes)
            and self.tempo == other.tempo
            and self.metre == other.metre
            and self.key == other.key
            and self.programs == other.programs
            and self.title == other.title
            and self.lyrics == other.lyrics
        )

    __hash__ = None  # type: ignore[assignment]  # mutable fields: two equal scores may part ways

    @property
    def duration(self) -> float:
        """Where the last note ends, in quarter notes; 0 for an empty score."""
        return float((self.notes["onset"] + self.notes["duration"]).max(initial=0.0))

    @property
    def voices(self) -> list[int]:
        """The voices that have notes, ascending."""
        return np.unique(self.notes["voice"]).tolist()

    @property
    def has_pickup(self) -> bool:
        """Whether music stands before the first full bar."""
        return self.metre[0][0] > 0

    @property
    def bar_lines(self) -> np.ndarray:
        """Onsets of all bar lines in quarter notes, shape (bars + 1,); the last one ends the piece.

        A pickup counts as a bar here: with one, ``bar_lines[0]`` opens bar 0, else bar 1.
        """
        end = self.duration
        if end == 0:
            return np.zeros(1)
        lines = [np.zeros(1)] if self.has_pickup else []
        onsets = [entry[0] for entry in self.metre[1:]] + [np.inf]
        for (onset, numerator, denominator), stop in zip(self.metre, onsets, strict=True):
            length = 4 * numerator / denominator
            count = int(np.ceil((min(stop, end) - onset) / length - 1e-9))
            if onset < end:
                lines.append(onset + length * np.arange(count))
        opened = np.concatenate(lines)
        # The last bar closes when it's full, even if its notes end earlier, or at the next metre.
        before = [entry for entry in self.metre if entry[0] <= opened[-1]]
        after = [entry[0] for entry in self.metre if entry[0] > opened[-1]]
        length = 4 * before[-1][1] / before[-1][2] if before else np.inf
        return np.append(opened, min([opened[-1] + length, *after]))

    def seconds(self, onsets: float | Sequence[float] | np.ndarray) -> np.ndarray:
        """Turn positions in quarter notes into seconds, through the tempo map.

        Parameters
        ----------
        onsets : array of float, any shape
            Positions in quarter notes.

        Returns
        -------
        array of float, the same shape
            Seconds from the start of the piece.
        """
        onsets = np.asarray(onsets, dtype=float)
        changes = np.array([onset for onset, _ in self.tempo])
        seconds_per_quarter = np.array([60.0 / bpm for _, bpm in self.tempo])
        at_change = np.concatenate([[0.0], np.cumsum(np.diff(changes) * seconds_per_quarter[:-1])])
        segment = np.maximum(np.searchsorted(changes, onsets, side="right") - 1, 0)
        return at_change[segment] + (onsets - changes[segment]) * seconds_per_quarter[segment]

    # Operations: each returns a new Score ----------------------------------------------------

    def transpose(self, semitones: int) -> Score:
        """Shift every pitch, and the key signature with it.

        Drum voices (program 128) stay: their pitches name instruments.

        Raises
        ------
        ValueError
            If a note would leave MIDI's range 0–127, or this isn't a whole number.
        """
        semitones = whole(semitones, "a score is transposed by whole semitones")
        notes = self.notes.copy()
        drums = [voice for voice, program in self.programs.items() if program == 128]
        pitches = notes["pitch"].astype(int)
        pitches[~np.isin(notes["voice"], drums)] += int(semitones)
        notes["pitch"] = np.clip(pitches, -1, 128)  # out of range either way: named by the check
        key = [(onset, _shift_fifths(fifths, semitones), mode) for onset, fifths, mode in self.key]
        return replace(self, notes=notes, key=key)

    def select(self, voices: int | Iterable[int]) -> Score:
        """Keep only the notes, programs and lyrics of some voices.

        Raises
        ------
        ValueError
            If the score has no such voice.
        """
        wanted = {voices} if isinstance(voices, (int, np.integer, str)) else set(voices)
        if missing := wanted - set(self.voices):
            raise ValueError(f"no voice {missing.pop()!r}: this score has voices {self.voices}")
        return replace(
            self,
            notes=self.notes[np.isin(self.notes["voice"], list(wanted))],
            programs={voice: p for voice, p in self.programs.items() if voice in wanted},
            lyrics={voice: line for voice, line in self.lyrics.items() if voice in wanted},
        )

    def bars(self, first: int, last: int) -> Score:
        """Cut out bars, counted as musicians count: from 1, both ends included, the pickup is 0.

        Notes that sound across an edge are cut there. Onsets start at 0 again, and ``+`` puts
        the pieces together again, unless whole bars of silence lay between them.

        Raises
        ------
        ValueError
            If there are no such bars.
        """
        first, last = (whole(bar, "bars are counted in whole numbers") for bar in (first, last))
        lines = self.bar_lines
        lowest = 0 if self.has_pickup else 1
        highest = lowest + len(lines) - 2
        if not lowest <= first <= last <= highest:
            raise ValueError(
                f"bars {first}–{last} don't exist: this score has bars {lowest}–{highest}"
            )
        return self._between(lines[first - lowest], lines[last - lowest + 1])

    def _between(self, start: float, stop: float) -> Score:
        notes = self.notes
        ends = notes["onset"] + notes["duration"]
        # A bar line is a sum of floats: what sounds beyond it for less than that error isn't there.
        sounding = (notes["onset"] < stop - 1e-9) & (ends > start + 1e-9)
        cut = notes[sounding].copy()
        cut["onset"] = np.maximum(cut["onset"], start) - start
        # Notes that lie inside keep their duration to the last bit.
        crossing = (notes["onset"] < start) | (ends > stop)
        clipped = np.minimum(ends, stop) - np.maximum(notes["onset"], start)
        cut["duration"] = np.where(crossing, clipped, notes["duration"])[sounding]
        return replace(
            self,
            notes=cut,
            tempo=_cut_changes(self.tempo, start, stop),
            # With the one that starts at the cut: it says where a short last bar ends.
            metre=_cut_changes(self.metre, start, stop, inclusive=True),
            key=_cut_changes(self.key, start, stop),
            lyrics={
                voice: [(onset - start, text) for onset, text in line if start <= onset < stop]
                for voice, line in self.lyrics.items()
            },
        )

    def __add__(self, other: Score) -> Score:
        """Put another score after this one; see `concatenate`."""
        return Score.concatenate([self, other]) if isinstance(other, Score) else NotImplemented

    @classmethod
    def concatenate(cls, scores: Sequence[Score]) -> Score:
        """Play scores one after the other, each from the bar line where the one before it ends.

        A pickup takes the end of the bar before it if that is silent. Bars of silence at the end
        of a score don't count: a Score ends with its last note's bar. Title and labels are the
        first score's; where two scores give one voice different programs, the first one's wins.

        Raises
        ------
        ValueError
            If there is nothing to concatenate.
        """
        scores = list(scores)
        if not scores:
            raise ValueError("nothing to concatenate: the list of scores is empty")
        joined = scores[0]
        for score in scores[1:]:
            joined = joined._then(score)
        return joined

    def _then(self, other: Score) -> Score:
        line = float(self.bar_lines[-1])
        pickup = other.metre[0][0]
        start = line - pickup if self.duration <= line - pickup else line
        moved = other.notes.copy()
        moved["onset"] += start
        lyrics = {voice: list(syllables) for voice, syllables in self.lyrics.items()}
        for voice, syllables in other.lyrics.items():
            lyrics.setdefault(voice, []).extend((onset + start, text) for onset, text in syllables)
        return replace(
            self,
            notes=np.concatenate([self.notes, moved]),
            tempo=_append_changes(self.tempo, other.tempo, start),
            metre=_append_metre(self.metre, other.metre, start),
            key=_append_changes(self.key, other.key, start),
            # A voice that plays without a program plays the piano.
            programs={**other.programs, **dict.fromkeys(self.voices, 0), **self.programs},
            lyrics=lyrics,
        )

    # To and from other representations -------------------------------------------------------

    @classmethod
    def from_midi(cls, source: str | Path | bytes | pretty_midi.PrettyMIDI) -> Score:
        """Read a MIDI file, its bytes or a PrettyMIDI object; see `mlmusic.score.midi.read`."""
        from mlmusic.score import midi

        return midi.read(source)

    def to_midi(
        self, path: str | Path | None = None, *, quantize: bool = False
    ) -> pretty_midi.PrettyMIDI:
        """Convert to PrettyMIDI, and write a file if ``path`` is given; see `midi_bytes`."""
        import io

        import pretty_midi

        data = self.midi_bytes(quantize=quantize)
        if path is not None:
            Path(path).write_bytes(data)
        return pretty_midi.PrettyMIDI(io.BytesIO(data), charset="utf-8")

    def midi_bytes(self, *, quantize: bool = False) -> bytes:
        """Write a Standard MIDI File; see `mlmusic.score.midi.write`."""
        from mlmusic.score import midi

        return midi.write(self, quantize=quantize)

    @classmethod
    def from_music21(cls, stream: music21.stream.Stream) -> Score:
        """Convert a music21 stream; see `mlmusic.score.stream.read`."""
        from mlmusic.score import stream as music21_stream

        return music21_stream.read(stream)

    def to_music21(self) -> music21.stream.Score:
        """Convert to a music21 Score, one part a voice; see `mlmusic.score.stream.write`."""
        from mlmusic.score import stream as music21_stream

        return music21_stream.write(self)

    @classmethod
    def from_grid(cls, grid: np.ndarray, steps_per_quarter: int = 4, **fields: Any) -> Score:
        """Read a grid of voices × steps; see `mlmusic.score.grid.from_grid`."""
        from mlmusic.score import grid as grids

        return cls(grids.from_grid(grid, steps_per_quarter), **fields)

    def to_grid(self, steps_per_quarter: int = 4, *, quantize: bool = False) -> np.ndarray:
        """Write as a grid of voices × steps; see `mlmusic.score.grid.to_grid`."""
        from mlmusic.score import grid as grids

        return grids.to_grid(self, steps_per_quarter, quantize=quantize)

    @classmethod
    def from_pianoroll(cls, roll: np.ndarray, steps_per_quarter: int = 4, **fields: Any) -> Score:
        """Read a piano roll; see `mlmusic.score.grid.from_pianoroll`."""
        from mlmusic.score import grid as grids

        return cls(grids.from_pianoroll(roll, steps_per_quarter), **fields)

    def to_pianoroll(self, steps_per_quarter: int = 4, *, quantize: bool = False) -> np.ndarray:
        """Write as a piano roll; see `mlmusic.score.grid.to_pianoroll`."""
        from mlmusic.score import grid as grids

        return grids.to_pianoroll(self, steps_per_quarter, quantize=quantize)


def _shift_fifths(fifths: int, semitones: int) -> int:
    """Transpose a key signature, choosing the spelling with the fewest accidentals."""
    if semitones % 12 == 0:
        return fifths
    return (fifths + 7 * semitones + 5) % 12 - 5


def _cut_changes(
    changes: list[Any], start: float, stop: float, inclusive: bool = False
) -> list[Any]:
    """Keep the changes inside [start, stop) and the one in force at its start, which becomes 0."""
    before = [change for change in changes if change[0] <= start]
    inside = [
        (change[0] - start, *change[1:])
        for change in changes
        if start < change[0] < stop or (inclusive and change[0] == stop)
    ]
    return [(0.0, *before[-1][1:]), *inside] if before else inside


def _append_changes(changes: list[Any], more: list[Any], start: float) -> list[Any]:
    """Put the changes of a score that begins at ``start`` behind those of the score before it."""
    joined = [change for change in changes if change[0] < start]
    for change in more:
        if not joined or joined[-1][1:] != change[1:]:  # else it says nothing new
            joined.append((change[0] + start, *change[1:]))
    return joined


def _append_metre(metre: list[Any], more: list[Any], start: float) -> list[Any]:
    """Do the same with metres, where each entry starts a bar and so is seldom superfluous."""
    joined = [entry for entry in metre if entry[0] < start + more[0][0]]
    onset, numerator, denominator = more[0]
    if joined and joined[-1][1:] == (numerator, denominator):
        bars = (start + onset - joined[-1][0]) / (4 * numerator / denominator)
        if abs(bars - round(bars)) < 1e-9:  # a bar starts there anyway
            more = more[1:]
    return joined + [(entry[0] + start, *entry[1:]) for entry in more]
