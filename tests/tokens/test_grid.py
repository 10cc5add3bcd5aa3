"""Grids of steps: exact round trips, the JSB way of writing, and every refusal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmusic import Score
from mlmusic.tokens import NONE, GridVocabulary, SATBVocabulary

CHORD = Score([(0, 1, 72, 80, 0), (0, 2, 67, 80, 1), (0.25, 0.75, 60, 80, 2), (0, 1, 48, 80, 3)])


@st.composite
def lines(draw, voices=1, low=36, high=81, steps_per_quarter=4):
    """Any score that a grid can hold: per voice, notes and rests of whole steps."""
    notes = []
    for voice in range(voices):
        at = 0
        for pitch, steps in draw(
            st.lists(st.tuples(st.none() | st.integers(low, high), st.integers(1, 9)), max_size=12)
        ):
            if pitch is not None:
                notes.append((at / steps_per_quarter, steps / steps_per_quarter, pitch, 80, voice))
            at += steps
    return Score(notes)


@given(lines(voices=4), st.booleans())
def test_four_voices_round_trip(score, ends):
    vocabulary = SATBVocabulary()
    tokens = vocabulary.encode(score, ends=ends)
    assert tokens.dtype == np.int64
    assert len(tokens) == 4 * round(score.duration * 4) + 2 * ends
    assert vocabulary.decode(tokens) == score


@given(lines(steps_per_quarter=12))
def test_melody_of_triplets_round_trips(score):
    vocabulary = GridVocabulary(steps_per_quarter=12)
    assert vocabulary.decode(vocabulary.encode(score)) == score


@given(lines(voices=2), st.integers(-10, 10))
def test_transposing_shifts_pitch_tokens_and_nothing_else(score, semitones):
    vocabulary = GridVocabulary(2, low=20, high=100)
    tokens = vocabulary.encode(score)
    shifted = np.where(tokens >= vocabulary.bottom, tokens + semitones, tokens)
    np.testing.assert_array_equal(vocabulary.encode(score.transpose(semitones)), shifted)


@given(lines(voices=2))
def test_repeated_pitches_keep_what_sounds(score):
    """Without HOLD every step says what sounds; only repeated notes are joined."""
    vocabulary = GridVocabulary(2, lossless=False)
    tokens = vocabulary.encode(score)
    assert vocabulary.hold not in tokens
    back = vocabulary.decode(tokens)
    np.testing.assert_array_equal(vocabulary.encode(back), tokens)
    np.testing.assert_array_equal(
        back.to_pianoroll()[:, 0].max(0, initial=0), score.to_pianoroll()[:, 0].max(0, initial=0)
    )


@given(st.lists(st.integers(0, 50), max_size=40))
def test_any_tokens_decode_or_are_refused_in_one_line(tokens):
    vocabulary = SATBVocabulary()
    mended = vocabulary.decode(tokens, repair=True)
    assert vocabulary.decode(vocabulary.encode(mended)) == mended
    try:
        strict = vocabulary.decode(tokens)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert strict == mended


def test_voices_take_turns():
    tokens = SATBVocabulary().encode(CHORD)
    names = SATBVocabulary().text(tokens).split()
    assert names[:9] == ["START", "C5", "G4", "REST", "C3", "HOLD", "HOLD", "C4", "HOLD"]
    assert names[-5:] == ["REST", "HOLD", "REST", "REST", "END"]


def test_fields_and_steps():
    vocabulary = GridVocabulary()
    tokens = vocabulary.encode(Score([(0, 1, 60)]), ends=False, steps=32)
    assert tokens.shape == (32,)
    assert (tokens[4:] == vocabulary.rest).all()
    score = vocabulary.decode(tokens, metre=[(0, 6, 8)], title="Jig")
    assert (score.metre, score.title, score.duration) == ([(0.0, 6, 8)], "Jig", 1.0)


def test_names_and_pitches_agree():
    vocabulary = GridVocabulary(low=59, high=61)
    assert vocabulary.names == ("PAD", "START", "END", "REST", "HOLD", "B3", "C4", "C♯4")
    assert vocabulary.size == 8
    assert vocabulary.pitches.tolist() == [NONE, NONE, NONE, -2, -1, 59, 60, 61]


def test_empty_score():
    vocabulary = SATBVocabulary()
    assert vocabulary.encode(Score([])).tolist() == [vocabulary.start, vocabulary.end]
    assert vocabulary.decode([]) == Score([])


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ([(0, 1, 60), (1, 1, 90)], "note 1 at onset 1: F♯6 is outside this vocabulary's C2–A5"),
        ([(0, 1, 60), (0.1, 1, 62, 80, 1)], "note 1, onset 0.1, .*off the grid"),
        ([(0, 2, 60), (1, 1, 62)], "two notes of voice 0 overlap .note 1, onset 1.0"),
        (
            [(0, 1, 60, 80, 4)],
            "note 0 at onset 0: C4 is of voice 4, this vocabulary has voices 0–3",
        ),
        ([(0, 9, 60)], "note 0 at onset 0: C4 ends after 32 steps"),
    ],
)
def test_encode_names_the_note_it_cannot_hold(notes, message):
    with pytest.raises(ValueError, match=message):
        SATBVocabulary().encode(Score(notes), steps=32)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([4], "HOLD at position 0 .voice 0, step 0. has no note to hold"),
        ([1, 30, 3, 4, 2], "HOLD at position 3 .voice 0, step 2. has no note"),
        ([30, 99], "token 99 at position 1 is unknown: ids are 0–65"),
        ([-1], "token -1 at position 0 is unknown"),
        ([30, 2, 30], "token C♯4 at position 2 follows the end"),
        ([30, 1, 30], "START at position 1 isn't the first"),
        ([0.5], "one row of integers, not float64"),
        ([[30]], "one row of integers, not int64 of shape .1, 1."),
    ],
)
def test_decode_refuses(tokens, message):
    with pytest.raises(ValueError, match=message):
        GridVocabulary().decode(tokens)


def test_decode_refuses_a_broken_step():
    with pytest.raises(ValueError, match="5 tokens don't make whole steps of 4 voices: 3 missing"):
        SATBVocabulary().decode([1, 30, 30, 30, 30, 30, 2])
    assert len(SATBVocabulary().decode([1, 30, 30, 30, 30, 30, 2], repair=True)) == 4


@pytest.mark.parametrize("wrong", [{"low": 60, "high": 50}, {"high": 128}, {"voices": 0}])
def test_impossible_vocabularies(wrong):
    with pytest.raises(ValueError, match=r"pitches must run|1–256 voices"):
        GridVocabulary(**wrong)
