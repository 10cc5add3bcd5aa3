import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlmusic
from mlmusic import Score
from mlmusic.score import NOTE_DTYPE
from tests.score.strategies import melodies

TUNE = Score(
    [(0, 1, 67), (1, 2, 72), (3, 1, 71), (4, 3, 72), (0, 4, 48, 60, 1), (4, 3, 36, 60, 1)],
    metre=[(1, 3, 4)],
    key=[(0, -1, "major"), (4, 2, "minor")],
    tempo=[(0, 60), (4, 120)],
    programs={1: 32},
    title="a tune",
    lyrics={0: [(0, "la-"), (1, "la")]},
)


def test_notes_are_sorted_typed_and_frozen():
    assert TUNE.notes.dtype == NOTE_DTYPE
    assert TUNE.notes["onset"].tolist() == [0, 0, 1, 3, 4, 4]
    assert TUNE.notes["voice"].tolist() == [0, 1, 0, 0, 0, 1]
    with pytest.raises(ValueError, match="read-only"):
        TUNE.notes["pitch"][0] = 3


def test_notes_of_one_onset_and_voice_are_sorted_by_pitch():
    assert Score([(0, 1, 64), (0, 1, 60)]).notes["pitch"].tolist() == [60, 64]


def test_the_order_of_input_never_matters():
    notes = [(0, 1, 60, 80), (0, 2, 60, 80), (0, 1, 60, 70), (0, 1, 60, 80, 1)]
    assert Score(notes) == Score(notes[::-1])


def test_making_a_score_leaves_the_callers_array_alone():
    notes = np.array([(1, 1, 60, 80, 0), (0, 1, 62, 80, 0)], NOTE_DTYPE)
    score = Score(notes)
    assert notes["onset"].tolist() == [1, 0] and notes.flags.writeable
    assert score.notes["onset"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ([(0, 1, 140)], r"pitch 140 is outside MIDI's 0–127 \(note 0, onset 0\)"),
        ([(0, 1, 60), (3, 1, -1)], r"pitch -1 is outside MIDI's 0–127 \(note 1, onset 3\)"),
        ([(0, 1, 60.5)], "pitch 60.5 isn't a whole number 0–127"),
        ([(0, 1, "C4")], "pitch 'C4' isn't a whole number 0–127"),
        ([(0, 1, 60, 0)], "velocity 0"),
        ([(0, 1, 60, 300)], "velocity 300"),
        ([(0, 1, 60, 80, 256)], "voice 256"),
        ([(0, 0, 60)], "duration 0.0 isn't positive"),
        ([(0, -1, 60)], r"duration -1.0 isn't positive \(note 0"),
        ([(-1, 1, 60)], "onset -1.0 is negative"),
        ([(0, float("nan"), 60)], "duration nan"),
        ([(float("inf"), 1, 60)], "onset inf"),
        ([(1e12, 1, 60)], "lies beyond 100,000 quarters"),
        (np.zeros(1, [("onset", "f8"), ("pitch", "i2")]), "notes have the fields"),
        ([("x", 1, 60)], "onset 'x' isn't a number"),
        ([(0, 1)], r"note 0 must be \(onset, duration, pitch"),
        ([3], "note 0 must be"),
        (3, "notes must be an array or a list of tuples, not int"),
        ("C4", "notes must be an array or a list of tuples, not str"),
        (np.zeros((2, 2), NOTE_DTYPE), "one-dimensional"),
    ],
)
def test_impossible_notes_are_named(notes, message):
    with pytest.raises(ValueError, match=message):
        Score(notes)


def test_impossible_arrays_are_named():
    notes = np.array([(0, 1, 60, 80, 0), (2.5, 1, 128, 80, 0)], NOTE_DTYPE)
    with pytest.raises(ValueError, match=r"pitch 128 .*\(note 1, onset 2.5\)"):
        Score(notes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tempo": [(0, 0)]}, "tempo 0.0 isn't a positive"),
        ({"tempo": [(0, float("nan"))]}, "tempo nan"),
        ({"tempo": []}, "first tempo must stand at onset 0"),
        ({"tempo": [(1, 90)]}, "first tempo must stand at onset 0"),
        ({"tempo": [(0, 90), (0, 91)]}, "increasing onsets"),
        ({"metre": []}, "at least one metre"),
        ({"metre": [(0, 0, 4)]}, "metre 0/4"),
        ({"metre": [(0, 4, 3)]}, "metre 4/3"),
        ({"metre": [(-1, 4, 4)]}, "increasing onsets"),
        ({"key": [(0, 8, "major")]}, "at most 7 accidentals"),
        ({"programs": {0: 129}}, "program 129"),
        ({"programs": {0: 40.9}}, "programs must be a dict such as"),
        ({"metre": [(0, 3.7, 4)]}, "metre must be a list such as"),
        ({"lyrics": {0: [(float("nan"), "la")]}}, "an onset finite"),
        ({"lyrics": ["la"]}, "lyrics must be a dict such as"),
        ({"title": 5}, "title must be text"),
        ({"programs": {0: "flute"}}, "programs must be a dict such as"),
        ({"programs": 73}, "programs must be a dict such as"),
        ({"tempo": 90}, r"tempo must be a list such as \[\(0, 96\)\].*, not 90"),
        ({"metre": "4/4"}, "metre must be a list such as .*, not '4/4'"),
        ({"key": "A major"}, "key must be a list such as"),
    ],
)
def test_impossible_fields_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        Score([(0, 1, 60)], **fields)


def test_repr_counts():
    assert repr(TUNE) == "Score('a tune', 6 notes, 2 voices, 3 bars)"
    assert repr(Score([])) == "Score(0 notes, 0 voices, 0 bars)"


def test_equality_ignores_labels_only():
    again = Score(TUNE.notes, TUNE.tempo, TUNE.metre, TUNE.key, TUNE.programs, "a tune")
    again.lyrics = TUNE.lyrics
    again.meta = {"book": "x"}
    assert again == TUNE
    assert TUNE != TUNE.transpose(12)
    assert TUNE != Score(TUNE.notes)
    assert TUNE != "a tune"


def test_bar_lines_with_pickup_and_last_bar_filled():
    assert TUNE.has_pickup
    assert TUNE.bar_lines.tolist() == [0, 1, 4, 7]
    assert Score([(0, 5, 60)]).bar_lines.tolist() == [0, 4, 8]
    assert Score([]).bar_lines.tolist() == [0]


def test_bar_lines_restart_where_the_metre_is_stated_again():
    score = Score([(0, 9, 60)], metre=[(0, 4, 4), (2, 4, 4), (6, 3, 8)])
    assert score.bar_lines.tolist() == [0, 2, 6, 7.5, 9]


def test_a_metre_that_begins_after_the_end_makes_one_pickup_bar():
    assert Score([(0, 1, 60)], metre=[(2, 4, 4)]).bar_lines.tolist() == [0, 2]


def test_bars_are_counted_as_musicians_count():
    first = TUNE.bars(1, 1)
    assert first.notes["pitch"].tolist() == [72, 48, 71]
    assert first.notes["duration"].tolist() == [2, 3, 1]  # the bass was held in from the pickup
    assert first.metre == [(0, 3, 4)] and not first.has_pickup
    assert first.key == [(0, -1, "major")]
    assert first.lyrics == {0: [(0, "la")]}
    assert TUNE.bars(0, 0).notes["pitch"].tolist() == [67, 48]
    assert TUNE.bars(2, 2).tempo == [(0, 120)]
    assert TUNE.bars(0, 2) == TUNE


def test_a_note_that_ends_at_a_bar_line_but_for_rounding_is_not_in_the_next_bar():
    late = 3 + 7e-15
    score = Score([(0, late, 60), (late, 3, 62)], metre=[(0, 3, 4)])
    assert score.bars(1, 1).notes["pitch"].tolist() == [60]
    assert score.bars(2, 2).notes["pitch"].tolist() == [62]


@pytest.mark.parametrize("span", [(0, 9), (3, 3), (2, 1), (-1, 0)])
def test_bars_that_do_not_exist(span):
    with pytest.raises(ValueError, match="this score has bars 0–2"):
        TUNE.bars(*span)


def test_seconds_follow_the_tempo_map():
    assert TUNE.seconds([0, 2, 4, 6]).tolist() == [0, 2, 4, 5]
    assert TUNE.seconds(4) == 4


@given(melodies(), st.integers(-12, 12))
def test_transposing_shifts_every_pitch_and_back(score, semitones):
    pitches = score.notes["pitch"]
    if len(score) and not 0 <= pitches.min() + semitones <= pitches.max() + semitones <= 127:
        with pytest.raises(ValueError, match="outside MIDI's 0–127"):
            score.transpose(semitones)
        return
    moved = score.transpose(semitones)
    assert (moved.notes["pitch"] - pitches == semitones).all()
    assert moved.transpose(-semitones) == score


@pytest.mark.parametrize(
    ("fifths", "semitones", "expected"),
    [(0, 2, 2), (0, -2, -2), (0, 1, -5), (2, 12, 2), (-1, 7, 0), (7, 12, 7), (0, 6, 6)],
)
def test_transposing_moves_the_key_signature(fifths, semitones, expected):
    score = Score([(0, 1, 60)], key=[(0, fifths, "major")])
    assert score.transpose(semitones).key == [(0, expected, "major")]


def test_drums_stay_when_the_rest_is_transposed():
    score = Score([(0, 1, 36, 80, 1), (0, 1, 60)], programs={1: 128}).transpose(5)
    assert score.notes["pitch"].tolist() == [65, 36]


def test_select_keeps_one_voice_with_all_that_belongs_to_it():
    bass = TUNE.select(1)
    assert bass.voices == [1] and bass.programs == {1: 32} and bass.lyrics == {}
    assert TUNE.select([0, 1]) == TUNE


def test_voices_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"no voice 9: this score has voices \[0, 1\]"):
        TUNE.select(9)
    with pytest.raises(ValueError, match="no voice 'soprano'"):
        TUNE.select("soprano")


@pytest.mark.parametrize("semitones", [1.5, None, float("inf"), "2"])
def test_half_semitones_are_refused(semitones):
    with pytest.raises(ValueError, match="whole semitones, not"):
        TUNE.transpose(semitones)


def test_every_name_that_the_package_offers_exists():
    assert all(getattr(mlmusic, name) is not None for name in dir(mlmusic))


def test_numpy_numbers_count_as_numbers():
    assert TUNE.transpose(np.int8(20)) == TUNE.transpose(20)
    assert TUNE.select(TUNE.notes["voice"][0]) == TUNE.select(0)
    with pytest.raises(ValueError, match="whole numbers, not 1.5"):
        TUNE.bars(1, 1.5)


def test_structured_arrays_are_read_by_field():
    other = np.array([(0.0, 60, 1.0)], [("onset", "f8"), ("pitch", "i4"), ("duration", "f4")])
    assert Score(other) == Score([(0, 1, 60)])


def test_joined_scores_keep_their_instruments():
    piano, violin = Score([(0, 4, 60)]), Score([(0, 4, 62)], programs={0: 40})
    assert (piano + violin).programs == {}
    assert (violin + piano).programs == {0: 40}
    assert Score([(0, 1, 60)], programs={0: 0}) == Score([(0, 1, 60)])


def test_a_score_begins_at_the_bar_line_where_the_one_before_it_ends():
    score = Score([(0, 1, 60), (4, 1, 62)])
    assert score.bars(1, 1) + score.bars(2, 2) == score
    melody = TUNE.select(0)  # no note of it lies across a cut
    assert melody.bars(0, 0) + melody.bars(1, 2) == melody
    assert melody.bars(0, 1) + melody.bars(2, 2) == melody
    # The last bar lacks what the pickup brings.
    verse = Score([(0, 1, 67), (1, 2, 72)], metre=[(1, 3, 4)])
    assert (verse + verse).notes["onset"].tolist() == [0, 1, 3, 4]
    short = Score([(0, 6, 60), (6, 2, 62)], metre=[(0, 4, 4), (6, 4, 4)])
    assert (short.bars(1, 2) + short.bars(3, 3)).bar_lines.tolist() == [0, 4, 6, 10]


def test_concatenation_shifts_everything():
    both = TUNE + TUNE
    assert len(both) == 2 * len(TUNE)
    assert both.duration == 14
    assert both.metre == [(1, 3, 4), (8, 3, 4)]
    assert both.tempo == [(0, 60), (4, 120), (7, 60), (11, 120)]
    assert both.key == [(0, -1, "major"), (4, 2, "minor"), (7, -1, "major"), (11, 2, "minor")]
    assert both.lyrics == {0: [(0, "la-"), (1, "la"), (7, "la-"), (8, "la")]}
    assert TUNE.lyrics == {0: [(0, "la-"), (1, "la")]}


@given(melodies(), melodies())
def test_concatenation_keeps_both_whole(a, b):
    both = a + b
    assert len(both) == len(a) + len(b)
    assert (both.notes[both.notes["onset"] < a.bar_lines[-1]] == a.notes).all()
    assert np.allclose(np.sort(both.notes["onset"])[len(a) :] - a.bar_lines[-1], b.notes["onset"])


def test_nothing_to_concatenate():
    with pytest.raises(ValueError, match="nothing to concatenate"):
        Score.concatenate([])
    with pytest.raises(TypeError):
        TUNE + 3
