"""music21's streams to Score and back."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmusic.score.core import Score
from mlmusic.score.notes import DEFAULT_VELOCITY, NOTE_DTYPE

if TYPE_CHECKING:
    import music21

DRUMS = 128


def read(stream: music21.stream.Stream) -> Score:
    """Convert a music21 stream.

    Each part becomes a voice, ties are joined, grace notes are left out, chords are notes of
    one onset. Pitches are those that sound, so transposing instruments are read at concert
    pitch.

    Parameters
    ----------
    stream : music21 Stream
        A Score, an Opus with one score, a Part or any stream with notes.

    Returns
    -------
    Score

    Raises
    ------
    ValueError
        If this isn't a music21 stream, or a note has no place in a Score (a quarter tone).
    """
    from music21 import chord, instrument, meter, note, tempo
    from music21 import key as keys
    from music21.stream import Part, Stream

    if not isinstance(stream, Stream):
        raise ValueError(f"not a music21 stream: {type(stream).__name__}")
    parts = list(stream[Part]) or [stream]
    if any(part.atSoundingPitch is False for part in (stream, *parts)):
        parts = list((sounding := stream.toSoundingPitch())[Part]) or [sounding]
    rows: list[tuple] = []
    tempi: dict[float, Any] = {}
    metres: dict[float, Any] = {}
    signatures: dict[float, Any] = {}
    programs: dict[int, int] = {}
    lyrics: dict[int, list[tuple[float, str]]] = {}
    for voice, part in enumerate(parts):
        for element in part.stripTies(matchByPitch=True).flatten():
            onset = float(element.offset)
            if isinstance(element, (note.Note, note.Unpitched, chord.ChordBase)):
                if element.duration.isGrace or element.quarterLength == 0:
                    continue
                members = element.notes if isinstance(element, chord.ChordBase) else [element]
                for member in members:
                    velocity = member.volume.velocity or DEFAULT_VELOCITY
                    rows.append(
                        (onset, element.quarterLength, _midi_pitch(member), velocity, voice)
                    )
                if element.lyrics:
                    hyphen = "-" if element.lyrics[0].syllabic in ("begin", "middle") else ""
                    text = (element.lyrics[0].text or "") + hyphen
                    lyrics.setdefault(voice, []).append((onset, text))
            elif isinstance(element, meter.TimeSignature):
                metres.setdefault(onset, (element.numerator, element.denominator))
            elif isinstance(element, keys.KeySignature):
                signatures.setdefault(onset, (element.sharps, getattr(element, "mode", "") or ""))
            elif isinstance(element, tempo.MetronomeMark):
                bpm = element.getQuarterBPM()
                if bpm:
                    tempi.setdefault(onset, (round(float(bpm), 9),))  # music21 computes it
            elif isinstance(element, instrument.Instrument):
                unpitched = isinstance(element, instrument.UnpitchedPercussion)
                program = DRUMS if unpitched else element.midiProgram
                if program:
                    programs.setdefault(voice, program)
    metre = [(onset, *value) for onset, value in sorted(metres.items())] or [(0.0, 4, 4)]
    pickup = _pickup_length(parts[0])
    if pickup and metre[0][0] == 0:
        metre[0] = (pickup, *metre[0][1:])
    tempi.setdefault(0.0, (120.0,))
    return Score(
        _to_array(rows),
        tempo=[(onset, *value) for onset, value in sorted(tempi.items())],
        metre=metre,
        key=[(onset, *value) for onset, value in sorted(signatures.items())],
        programs=programs,
        title=_title(stream.metadata),
        lyrics=lyrics,
    )


def _title(metadata: Any) -> str:
    if metadata is None:
        return ""
    # bestTitle would turn "Reel, The" round.
    return str(metadata["title"][0]) if metadata["title"] else metadata.bestTitle or ""


def _to_array(rows: list[tuple]) -> np.ndarray:
    notes = np.zeros(len(rows), NOTE_DTYPE)
    for i, (onset, duration, pitch, velocity, voice) in enumerate(rows):
        notes[i] = (onset, float(duration), pitch, max(1, min(velocity, 127)), voice)
    return notes


def _midi_pitch(member: Any) -> int:
    if not hasattr(member, "pitch"):  # Unpitched: drawn where its drum stands on the staff
        return int(member.displayPitch().midi)
    if member.pitch.ps != int(member.pitch.ps):
        raise ValueError(f"{member.pitch} lies between MIDI's semitones")
    return int(member.pitch.ps)


def _pickup_length(part: Any) -> float:
    """How long a first measure is that is shorter than its metre, in quarter notes; else 0."""
    measures = part.getElementsByClass("Measure")
    if not measures:
        return float(part.editorial.get("pickup", 0.0))
    first = measures[0]
    length, full = first.highestTime, first.barDuration.quarterLength
    return float(length) if 0 < length < full and len(measures) > 1 else 0.0


def write(score: Score) -> music21.stream.Score:
    """Convert to a music21 Score with one part a voice, notes at their offsets, no measures.

    music21 makes measures, ties and beams when it shows or writes the result.

    Parameters
    ----------
    score : Score
        Anything.

    Returns
    -------
    music21.stream.Score
        `read` gives an equal Score back, but for programs of unknown instruments, modes that
        music21 has no name for, and syllables that no note begins with.
    """
    from music21 import duration, instrument, metadata, meter, note, stream, tempo
    from music21 import key as keys

    whole = stream.Score()
    whole.insert(0, metadata.Metadata(title=score.title or None))
    for place, voice in enumerate(score.voices or [0]):
        part = stream.Part(id=f"voice {voice}")
        program = score.programs.get(voice, 0)
        if program == DRUMS:
            part.insert(0, instrument.UnpitchedPercussion())
        elif program:
            part.insert(0, instrument.instrumentFromMidiProgram(program))
        if place == 0:
            for onset, bpm in score.tempo:
                part.insert(_exact(onset), tempo.MetronomeMark(number=bpm, referent=1.0))
            for onset, numerator, denominator in score.metre:
                part.insert(_exact(onset), meter.TimeSignature(f"{numerator}/{denominator}"))
            for onset, fifths, mode in score.key:
                signature = keys.KeySignature(fifths)
                part.insert(_exact(onset), signature.asKey(mode) if mode else signature)
        syllables = dict(score.lyrics.get(voice, []))
        continued = False
        for row in score.notes[score.notes["voice"] == voice]:
            member = note.Note()
            member.pitch.midi = int(row["pitch"])
            member.duration = duration.Duration(_exact(row["duration"]))
            member.volume.velocity = int(row["velocity"])
            text = syllables.pop(float(row["onset"]), None)
            if text is not None:
                goes_on = text.endswith("-")
                kind = {(0, 1): "begin", (1, 1): "middle", (1, 0): "end", (0, 0): "single"}
                lyric = note.Lyric(
                    text=text.removesuffix("-"), syllabic=kind[continued, goes_on], applyRaw=True
                )
                member.lyrics.append(lyric)
                continued = goes_on
            part.insert(_exact(row["onset"]), member)
        whole.insert(0, part)
    return whole


def _exact(quarters: float) -> float | Fraction:
    """Give music21 thirds as fractions: it compares offsets exactly."""
    fraction = Fraction(float(quarters)).limit_denominator(65_535)
    return float(quarters) if fraction == Fraction(float(quarters)) else fraction
