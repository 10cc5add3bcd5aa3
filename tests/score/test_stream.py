import pytest
from hypothesis import given, settings
from music21 import chord, converter, meter, note, stream

from mlmusic import Score
from tests.score.strategies import melodies
from tests.score.test_core import TUNE


def test_round_trip_keeps_everything():
    assert Score.from_music21(TUNE.to_music21()) == TUNE


@settings(max_examples=25)
@given(melodies())
def test_round_trip_of_notes_is_exact(score):
    again = Score.from_music21(score.to_music21())
    # A stream has no voice numbers: silent voices close up.
    assert len(again.voices) == len(score.voices)
    for ours, theirs in zip(score.voices, again.voices, strict=True):
        before, after = score.select(ours).notes, again.select(theirs).notes
        for name in ("onset", "duration", "pitch", "velocity"):
            assert (before[name] == after[name]).all()


def test_ties_are_joined_and_chords_are_spread():
    part = converter.parse("tinynotation: 4/4 c4 d2 e4~ e2 f2")
    assert [n[:3] for n in Score.from_music21(part).notes.tolist()] == [
        (0, 1, 60),
        (1, 2, 62),
        (3, 3, 64),
        (6, 2, 65),
    ]
    part = stream.Part([chord.Chord(["C4", "E4"]), note.Rest(), note.Note("G4")])
    assert Score.from_music21(part).notes["pitch"].tolist() == [60, 64, 67]


def test_a_short_first_measure_is_a_pickup():
    part = stream.Part()
    first = stream.Measure(number=0)
    first.append([meter.TimeSignature("3/4"), note.Note("G4")])
    second = stream.Measure([note.Note("C5", quarterLength=3)], number=1)
    part.append([first, second])
    assert Score.from_music21(part).metre == [(1, 3, 4)]


def test_quarter_tones_and_other_types_are_refused():
    tone = note.Note("C4")
    tone.pitch.microtone = 50
    with pytest.raises(ValueError, match="between MIDI's semitones"):
        Score.from_music21(stream.Part([tone]))
    with pytest.raises(ValueError, match="not a music21 stream: str"):
        Score.from_music21("C4")
