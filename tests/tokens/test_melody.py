"""Melodies as one token a note: exact round trips, ties, bar lines, and every refusal."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmusic import Score
from mlmusic.tokens import MelodyVocabulary

VOCABULARY = MelodyVocabulary()
METRES = st.sampled_from([(4, 4), (3, 4), (6, 8), (2, 4), (12, 8)])


@st.composite
def melodies(draw):
    """Any melody of sixteenths and triplets, with pickup, metre changes and irregular bars."""
    at, notes = Fraction(0), []
    lengths = st.integers(1, 100).map(lambda n: Fraction(n, 12)) | st.integers(1, 60).map(
        lambda n: Fraction(n, 8)
    )
    for pitch, length in draw(
        st.lists(st.tuples(st.none() | st.integers(48, 95), lengths), max_size=20)
    ):
        if pitch is not None and _reachable(length):
            notes.append((float(at), float(length), pitch))
        at += length if _reachable(length) else 1
    metre, line = [], Fraction(draw(st.sampled_from([0, 0, 1, 3])), 2)
    for numerator, denominator in draw(st.lists(METRES, min_size=1, max_size=4)):
        metre.append((float(line), numerator, denominator))
        line += Fraction(draw(st.integers(1, 30)), 2)
    score = Score(notes, metre=metre)
    return Score(notes, metre=[m for m in metre if m[0] < score.duration] or [(0.0, 4, 4)])


def _reachable(length):
    return length * 24 == int(length * 24)


def _holds(score):
    """Whether all stretches between bar lines and notes are sums of note values."""
    cuts = np.concatenate(
        [score.bar_lines[:-1], score.notes["onset"], score.notes["onset"] + score.notes["duration"]]
    )
    lengths = np.rint(np.diff(np.unique(np.rint(cuts * 24))))
    return not (lengths == 1).any()


@given(melodies())
def test_round_trip(score):
    if not _holds(score):
        with pytest.raises(ValueError, match="no note values add up to"):
            VOCABULARY.encode(score)
        return
    tokens = VOCABULARY.encode(score)
    back = VOCABULARY.decode(tokens)
    np.testing.assert_array_equal(back.notes, score.notes)
    np.testing.assert_array_equal(back.bar_lines, score.bar_lines)
    np.testing.assert_array_equal(VOCABULARY.encode(back), tokens)
    assert VOCABULARY.durations[tokens].sum() == pytest.approx(score.duration)


@given(st.lists(st.integers(0, VOCABULARY.size - 1), max_size=30))
def test_any_tokens_decode_or_are_refused_in_one_line(tokens):
    mended = VOCABULARY.decode(tokens, repair=True)
    try:
        strict = VOCABULARY.decode(tokens)
    except ValueError as error:
        assert "\n" not in str(error)
        assert "position" in str(error)
    else:
        assert strict == mended


def spell(notes, **fields):
    return VOCABULARY.text(VOCABULARY.encode(Score(notes, **fields), ends=False))


def test_notes_are_tied_over_bar_lines_and_where_no_note_value_fits():
    assert spell([(0, 5, 60)]) == "4/4 C4:4 BAR HOLD:1"
    assert spell([(0, 1.25, 60)]) == "4/4 C4:1 HOLD:1/4"
    assert spell([(3, 2, 60)]) == "4/4 REST:3 C4:1 BAR HOLD:1"
    assert spell([(0, 1 / 3, 60), (1 / 3, 2 / 3, 62)]) == "4/4 C4:1/3 D4:2/3"


def test_pickup_metre_changes_and_irregular_bars():
    metre = [(1, 3, 4), (4, 2, 4), (5, 2, 4)]
    text = spell([(0, 1, 60), (1, 3, 62), (4, 1, 64), (5, 3, 65)], metre=metre)
    assert text == "C4:1 3/4 D4:3 2/4 E4:1 2/4 F4:2 BAR HOLD:1"


def test_a_bar_line_before_its_time_makes_an_irregular_bar():
    ids = [VOCABULARY.names.index(name) for name in "3/4 C4:2 BAR D4:3 BAR E4:3".split()]
    score = VOCABULARY.decode(ids)
    assert score.metre == [(0.0, 3, 4), (2.0, 3, 4)]
    assert score.bar_lines.tolist() == [0, 2, 5, 8]


def test_thirds_add_up_exactly():
    notes = [(i / 3, 1 / 3, 60 + i) for i in range(12)]
    assert VOCABULARY.decode(VOCABULARY.encode(Score(notes))) == Score(notes)


def test_voice_and_velocity_are_not_kept_but_fields_can_be_given():
    score = Score([(0, 1, 60, 100, 3)], title="Air", key=[(0, 1, "major")])
    tokens = VOCABULARY.encode(score)
    assert VOCABULARY.decode(tokens, title="Air").notes[["velocity", "voice"]].item() == (80, 0)
    assert VOCABULARY.decode(tokens, title="Air", metre=[(0, 2, 2)]).metre == [(0.0, 2, 2)]


def test_lookup_tables_split_a_token_into_pitch_and_duration():
    small = MelodyVocabulary(low=60, high=61, durations=("1/2", 1), metres=("4/4",))
    assert small.names == (
        *("PAD", "START", "END", "BAR", "4/4", "REST:1/2", "REST:1", "HOLD:1/2", "HOLD:1"),
        *("C4:1/2", "C4:1", "C♯4:1/2", "C♯4:1"),
    )
    assert small.pitches.tolist() == [-3, -3, -3, -3, -3, -2, -2, -1, -1, 60, 60, 61, 61]
    assert small.durations.tolist() == [0] * 5 + [0.5, 1] * 4
    assert (small.names[small.rest], small.names[small.hold]) == ("REST:1/2", "HOLD:1/2")


def test_empty_score():
    assert VOCABULARY.encode(Score([])).tolist() == [VOCABULARY.start, VOCABULARY.end]
    assert VOCABULARY.decode([]) == Score([])


@pytest.mark.parametrize(
    ("notes", "fields", "message"),
    [
        ([(0, 1, 60), (1, 1, 30)], {}, "note 1 at onset 1: F♯1 is outside this .* C3–B6"),
        ([(0, 2, 60), (1, 1, 62)], {}, "note 1 at onset 1: D4 starts while the note before it"),
        ([(0, 0.3, 60)], {}, "note 0 at onset 0: C4 with duration 0.3 lies between ticks of 1/24"),
        ([(0, 1e-9, 60)], {}, "note 0 at onset 0: C4 with duration 1e-09 lies between ticks"),
        ([(0, 1 / 24, 60)], {}, "note 0 at onset 0: no note values add up to 1/24"),
        ([(0, 1, 60), (25 / 24, 1, 60)], {}, "the rest at onset 1: no note values add up to 1/24"),
        ([(0, 1, 60), (0, 1, 60, 80, 1)], {}, r"a melody has one voice, .* voices \[0, 1\]"),
        ([(0, 9, 60)], {"metre": [(0, 13, 4)]}, "metre 13/4 at onset 0 isn't one of"),
        ([(0, 9, 60)], {"metre": [(0.01, 4, 4)]}, "bar line at onset 0.01 lies between ticks"),
    ],
)
def test_encode_names_what_it_cannot_hold(notes, fields, message):
    with pytest.raises(ValueError, match=message):
        VOCABULARY.encode(Score(notes, **fields))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("HOLD:1", "HOLD:1 at position 0 has no note to hold"),
        ("START 4/4 C4:1 REST:1 BAR HOLD:1", "HOLD:1 at position 5 has no note to hold"),
        ("4/4 C4:4 BAR BAR", "BAR at position 3 follows an empty bar"),
        ("C4:4 END C4:4", "token C4:4 at position 2 follows the end"),
    ],
)
def test_decode_refuses_unless_asked_to_repair(names, message):
    tokens = [VOCABULARY.names.index(name) for name in names.split()]
    with pytest.raises(ValueError, match=message):
        VOCABULARY.decode(tokens)
    assert len(VOCABULARY.decode(tokens, repair=True)) == names.count("C4:") - ("END" in names)


@pytest.mark.parametrize("durations", [[], [0], [-1, 1]])
def test_impossible_durations(durations):
    with pytest.raises(ValueError, match="durations must be positive, and at least one"):
        MelodyVocabulary(durations=durations)


def test_impossible_metres():
    with pytest.raises(ValueError, match="a metre is written like '6/8', not 'jig'"):
        MelodyVocabulary(metres=["jig"])


def test_durations_that_no_tick_holds_are_refused():
    with pytest.raises(ValueError, match="write them like '1/3'"):
        MelodyVocabulary(durations=[0.1, "1/3"])
