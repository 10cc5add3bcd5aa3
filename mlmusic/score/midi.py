"""Standard MIDI Files: bytes to Score and back.

mido (which pretty_midi stands on) splits the file into messages. Notes are paired here, in
ticks, because a tick divided by the file's resolution is an exact number of quarter notes,
while seconds, pretty_midi's unit, are rounded twice.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict, deque
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mido
import numpy as np

from mlmusic.score.core import Score
from mlmusic.score.notes import MAX_QUARTERS, NOTE_DTYPE, name_note

if TYPE_CHECKING:
    import pretty_midi

MAX_BYTES = 1_500_000
"""The largest file that is read: some 200,000 notes, ten times the longest piano sonata."""

MAX_RESOLUTION = 32_767
"""Ticks a quarter note that the header's 15 bits can hold."""

DRUM_CHANNEL = 9  # the tenth, as General MIDI counts
VOICE_NAME = re.compile(r"voice (\d+)")

# mido's key names for each number of fifths
_MAJOR_KEYS = "Cb Gb Db Ab Eb Bb F C G D A E B F# C#".split()
_MINOR_KEYS = "Abm Ebm Bbm Fm Cm Gm Dm Am Em Bm F#m C#m G#m D#m A#m".split()
_KEYS = {name: (i - 7, "major") for i, name in enumerate(_MAJOR_KEYS)}
_KEYS |= {name: (i - 7, "minor") for i, name in enumerate(_MINOR_KEYS)}


def read(source: str | Path | bytes | pretty_midi.PrettyMIDI) -> Score:
    """Read a Standard MIDI File of format 0 or 1.

    Every combination of track, channel and program becomes a voice, in the order of first
    notes, unless all tracks are called ``voice N`` as `write` calls them. Odd but legal input
    is read like this:

    - overlapping notes of one pitch: the first note-off ends the note that began first;
    - a note without note-off ends where its track ends;
    - a note of no length lasts one tick;
    - a bar that the next metre cuts short at the start of the piece is a pickup.

    Parameters
    ----------
    source : path, bytes or PrettyMIDI
        What to read.

    Returns
    -------
    Score
        Onsets and durations are exact; tempo is rounded to 0.01 bpm, since MIDI stores whole
        microseconds a quarter note.

    Raises
    ------
    ValueError
        If this isn't a MIDI file, is cut short or corrupt, has SMPTE time, is of format 2 with
        several tracks, or is too large. The message says which.
    FileNotFoundError
        If the path doesn't exist.
    """
    data, name = _bytes_of(source)
    _check_header(data, name)
    midi = _parse(data, name)
    if midi.type == 2 and len(midi.tracks) > 1:
        raise ValueError(f"{name} is MIDI format 2: its tracks are separate pieces, not voices")
    try:
        return _to_score(midi, name)
    except (ArithmeticError, LookupError, TypeError) as error:
        raise ValueError(f"{name} is a corrupt MIDI file: {error}") from None


def _bytes_of(source: Any) -> tuple[bytes, str]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), "this"
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(
                f"{path.name} has {path.stat().st_size:,} bytes; the most is {MAX_BYTES:,}"
            )
        return path.read_bytes(), path.name
    if hasattr(source, "instruments") and hasattr(source, "write"):  # PrettyMIDI
        buffer = io.BytesIO()
        source.write(buffer)
        return buffer.getvalue(), "this PrettyMIDI object"
    raise ValueError(f"can't read MIDI from {type(source).__name__}: give a path or bytes")


def _check_header(data: bytes, name: str) -> None:
    """Refuse what the parser would choke on, before it tries."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"{name} has {len(data):,} bytes; the most is {MAX_BYTES:,}")
    if data[:4] != b"MThd":
        raise ValueError(f"{name} isn't a MIDI file: it doesn't begin with MThd")
    if len(data) < 14:
        raise ValueError(f"{name} is a MIDI file cut short: its header is incomplete")
    division = int.from_bytes(data[12:14], "big")
    if division == 0:
        raise ValueError(f"{name} is a corrupt MIDI file: 0 ticks a quarter note")
    if division & 0x8000:
        raise ValueError(
            f"{name} counts time in SMPTE frames, not quarter notes; export it with a tempo"
        )
    # A variable-length number has at most four bytes. The parser would build an endless one.
    if re.search(rb"[\x80-\xff]{4097}", data):
        raise ValueError(f"{name} is a corrupt MIDI file: thousands of bytes with the high bit set")


def _parse(data: bytes, name: str, charset: str = "utf-8") -> mido.MidiFile:
    try:
        return mido.MidiFile(file=io.BytesIO(data), charset=charset)
    except UnicodeDecodeError:  # older files: any byte is a Latin-1 character
        return _parse(data, name, "latin1")
    except EOFError:
        raise ValueError(f"{name} is a MIDI file cut short: it ends inside a track") from None
    except Exception as error:  # a corrupt byte may surface as any exception inside mido
        detail = str(error) or type(error).__name__
        raise ValueError(f"{name} is a corrupt MIDI file: {detail}") from None


def _to_score(midi: mido.MidiFile, name: str) -> Score:
    rows: list[tuple[int, int, int, int, tuple]] = []  # start, stop, pitch, velocity, voice key
    changes: dict[str, dict[int, Any]] = {"tempo": {}, "metre": {}, "key": {}}
    lyrics: dict[int, list[tuple[int, str]]] = defaultdict(list)  # by track
    names: dict[int, str] = {}
    title = ""
    limit = MAX_QUARTERS * midi.ticks_per_beat
    for index, track in enumerate(midi.tracks):
        tick, program = 0, [0] * 16
        sounding: dict[tuple[int, int], deque] = defaultdict(deque)
        for message in track:
            tick += message.time
            if tick > limit:
                raise ValueError(f"{name} lasts over {MAX_QUARTERS:,} quarter notes: corrupt?")
            kind = message.type
            if kind == "note_on" and message.velocity > 0:
                at = (message.channel, message.note)
                sounding[at].append((tick, message.velocity, program[message.channel]))
            elif kind in ("note_on", "note_off"):
                at = (message.channel, message.note)
                if sounding[at]:
                    rows.append(_row(index, at, sounding[at].popleft(), tick))
            elif kind == "program_change":
                program[message.channel] = message.program
            elif kind == "set_tempo":
                changes["tempo"][tick] = (_bpm(message.tempo, name),)
            elif kind == "time_signature":
                changes["metre"][tick] = (message.numerator, message.denominator)
            elif kind == "key_signature" and message.key in _KEYS:
                changes["key"][tick] = _KEYS[message.key]
            elif kind == "lyrics":
                lyrics[index].append((tick, message.text))
            elif kind == "track_name":
                names[index] = message.name
                title = title or (message.name if index == 0 else "")
        for at, pending in sounding.items():
            rows.extend(_row(index, at, note, tick) for note in pending)
    rows.sort(key=lambda row: row[:4])
    voices = _number_voices([row[4] for row in rows], names, name)
    notes = np.zeros(len(rows), NOTE_DTYPE)
    per_quarter = midi.ticks_per_beat
    for i, (start, stop, pitch, velocity, key) in enumerate(rows):
        onset, duration = start / per_quarter, (stop - start) / per_quarter
        notes[i] = (onset, duration, pitch, velocity, voices[key])
    if VOICE_NAME.fullmatch(title):
        title = ""
    of_track = {key[0]: voice for key, voice in reversed(voices.items())}
    return Score(
        notes,
        tempo=_in_quarters(changes["tempo"], per_quarter, (120.0,)),
        metre=_mend_pickup(_in_quarters(changes["metre"], per_quarter, (4, 4))),
        key=_in_quarters(changes["key"], per_quarter),
        programs={
            voice: 128 if key[1] == DRUM_CHANNEL else key[2]
            for key, voice in voices.items()
            if key[1] == DRUM_CHANNEL or key[2]
        },
        title=title,
        lyrics={
            of_track[track]: [(t / per_quarter, text) for t, text in line]
            for track, line in sorted(lyrics.items())
            if track in of_track
        },
    )


def _row(track: int, at: tuple[int, int], note: tuple[int, int, int], stop: int) -> tuple:
    start, velocity, program = note
    return start, max(stop, start + 1), at[1], velocity, (track, at[0], program)


def _bpm(microseconds: int, name: str) -> float:
    if microseconds <= 0:
        raise ValueError(f"{name} has a tempo of 0 microseconds a quarter note")
    return max(round(6e7 / microseconds, 2), 0.01)


def _number_voices(keys: list[tuple], names: dict[int, str], name: str) -> dict[tuple, int]:
    found = list(dict.fromkeys(keys))
    if len(found) > 256:
        raise ValueError(f"{name} has {len(found)} voices; the most is 256")
    named = [VOICE_NAME.fullmatch(names.get(track, "")) for track, _, _ in found]
    if all(named):
        numbers = [int(match[1]) for match in named if match]
        if len(set(numbers)) == len(numbers) and max(numbers, default=0) <= 255:
            return dict(zip(found, numbers, strict=True))
    # Order of tracks, then channels: scores put the highest voice first.
    return {key: voice for voice, key in enumerate(sorted(found))}


def _in_quarters(changes: dict[int, tuple], per_quarter: int, first: tuple = ()) -> list[Any]:
    """Sort changes by time; put the default in front where nothing stands at 0."""
    entries = [(tick / per_quarter, *value) for tick, value in sorted(changes.items())]
    if first and not (entries and entries[0][0] == 0):
        entries.insert(0, (0.0, *first))
    kept: list[Any] = []
    for entry in entries:
        if len(first) == 2 or not kept or kept[-1][1:] != entry[1:]:
            kept.append(entry)
    return kept


def _mend_pickup(metre: list[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
    """Read a first bar that the second metre cuts short, or that is shorter, as a pickup."""
    if len(metre) > 1 and metre[1][0] < 4 * metre[1][1] / metre[1][2]:
        return metre[1:]
    return metre


def write(score: Score, *, quantize: bool = False) -> bytes:
    """Write a Standard MIDI File of format 1: a track for tempo, metre and key, one a voice.

    Parameters
    ----------
    score : Score
        At most 15 voices besides the drums, since MIDI has 16 channels.
    quantize : bool
        Round times that no resolution can hold to 1/10080 of a quarter note.

    Returns
    -------
    bytes
        The same for the same score. `read` gives back every onset, duration, pitch, velocity
        and voice; modes other than major and minor come back as the major or minor key with
        the same signature; and a first bar that the next metre cuts short comes back as a pickup.

    Raises
    ------
    ValueError
        If a note's time fits no MIDI resolution, a pitch sounds twice at once in a voice, or
        there are too many voices; the message names the note.
    """
    per_quarter = _resolution(score, quantize)

    def ticks(quarters: float | np.ndarray) -> Any:
        return np.rint(np.asarray(quarters) * per_quarter).astype(np.int64)

    head = [(0, 0, mido.MetaMessage("track_name", name=score.title))] if score.title else []
    for onset, bpm in score.tempo:
        tempo = max(round(6e7 / bpm), 1)
        if tempo > 0xFFFFFF:  # three bytes
            raise ValueError(f"MIDI's slowest tempo is 3.58 quarters a minute, not {bpm}")
        head.append((int(ticks(onset)), 1, mido.MetaMessage("set_tempo", tempo=tempo)))
    for onset, numerator, denominator in score.metre:
        message = mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)
        head.append((int(ticks(onset)), 2, message))
    for onset, fifths, mode in score.key:
        names = _MINOR_KEYS if mode == "minor" else _MAJOR_KEYS
        message = mido.MetaMessage("key_signature", key=names[fifths + 7])
        head.append((int(ticks(onset)), 3, message))
    tracks = [head]
    for voice, channel in _channels(score).items():
        notes = score.notes[score.notes["voice"] == voice]
        program = score.programs.get(voice, 0)
        track: list[tuple[int, int, Any]] = [
            (0, 0, mido.MetaMessage("track_name", name=f"voice {voice}"))
        ]
        if program < 128:
            track.append((0, 1, mido.Message("program_change", channel=channel, program=program)))
        for onset, text in score.lyrics.get(voice, []):
            track.append((int(ticks(onset)), 2, mido.MetaMessage("lyrics", text=text)))
        starts = ticks(notes["onset"])
        stops = np.maximum(ticks(notes["onset"] + notes["duration"]), starts + 1)
        last: dict[int, int] = {}
        for i, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
            pitch, velocity = int(notes["pitch"][i]), int(notes["velocity"][i])
            if last.get(pitch, 0) > start:
                raise ValueError(
                    f"pitch {pitch} of voice {voice} is struck while it still sounds"
                    f" ({name_note(notes, i)} of that voice): MIDI can't hold that"
                )
            last[pitch] = stop
            on = mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)
            off = mido.Message("note_off", channel=channel, note=pitch, velocity=0)
            track += [(start, 4, on), (stop, 3, off)]  # at one tick, offs come before ons
        tracks.append(track)
    midi = mido.MidiFile(type=1, ticks_per_beat=per_quarter, charset="utf-8")
    for track in tracks:
        now, messages = 0, mido.MidiTrack()
        for tick, _, message in sorted(track, key=lambda event: event[:2]):
            messages.append(message.copy(time=tick - now))
            now = tick
        midi.tracks.append(messages)
    buffer = io.BytesIO()
    midi.save(file=buffer)
    return buffer.getvalue()


def _channels(score: Score) -> dict[int, int]:
    melodic = [voice for voice in score.voices if score.programs.get(voice, 0) < 128]
    free = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    if len(melodic) > len(free):
        raise ValueError(f"MIDI has 15 melodic channels; this score has {len(melodic)} voices")
    channels = dict(zip(melodic, free, strict=False))
    return {voice: channels.get(voice, DRUM_CHANNEL) for voice in score.voices}


def _resolution(score: Score, quantize: bool) -> int:
    """Find the fewest ticks a quarter note that hold every time: a multiple of 480 if possible."""
    if quantize:
        return 10_080  # divisible by 2 to 10, 12, 14, 15, 16, 18, 20, 21, 24 and 32
    times = np.concatenate([score.notes["onset"], score.notes["onset"] + score.notes["duration"]])
    fractions, where = np.unique(times % 1, return_index=True)
    common = 1
    for part, i in zip(fractions, where, strict=True):
        nearest = Fraction(float(part)).limit_denominator(960)
        common = lcm(common, nearest.denominator)
        if abs(nearest - Fraction(float(part))) > 1e-9 or common > MAX_RESOLUTION:
            raise ValueError(
                f"{name_note(score.notes, int(i) % len(score))}, fits no MIDI resolution together"
                " with the notes before it; pass quantize=True to round it"
            )
    common_480 = lcm(common, 480)
    resolution = common_480 if common_480 <= MAX_RESOLUTION else common * max(1, 480 // common)
    short = np.rint(score.notes["duration"] * resolution) < 1
    if short.any():
        raise ValueError(
            f"{name_note(score.notes, int(np.argmax(short)))}, is shorter than a tick;"
            " pass quantize=True to round it"
        )
    return resolution
