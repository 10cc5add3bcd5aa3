import numpy as np
import pytest
from hypothesis import given

from mlmusic import Score
from mlmusic.score import HOLD, REST
from tests.score.strategies import melodies, sixteenths


def test_a_grid_by_hand():
    score = Score([(0, 0.5, 60), (0.75, 0.25, 62), (0, 1, 48, 80, 2)])
    assert score.to_grid().tolist() == [
        [60, HOLD, REST, 62],
        [REST] * 4,
        [48, HOLD, HOLD, HOLD],
    ]


def test_repeated_notes_differ_from_held_ones():
    assert Score([(0, 0.25, 60), (0.25, 0.25, 60)]).to_grid().tolist() == [[60, 60]]
    assert len(Score.from_grid([[60, 60]])) == 2
    assert len(Score.from_grid([[60, HOLD]])) == 1


@given(melodies(sixteenths))
def test_grid_round_trip(score):
    again = Score.from_grid(score.to_grid())
    for name in ("onset", "duration", "pitch", "voice"):
        assert (again.notes[name] == score.notes[name]).all()


@given(melodies(sixteenths))
def test_piano_roll_round_trip_keeps_velocity_too(score):
    assert (Score.from_pianoroll(score.to_pianoroll()).notes == score.notes).all()


def test_a_chord_fits_a_piano_roll_but_not_a_grid():
    score = Score([(0, 1, 60), (0, 1, 64)])
    assert Score.from_pianoroll(score.to_pianoroll()) == score
    with pytest.raises(ValueError, match=r"two notes of voice 0 overlap \(note 1, onset 0.0 of"):
        score.to_grid()


def test_off_the_grid_is_named_or_rounded_on_request():
    score = Score([(0, 1, 60), (1, 1 / 3, 62)])
    with pytest.raises(ValueError, match=r"note 1, onset 1.0, duration 0.333333, lies off"):
        score.to_grid()
    assert score.to_grid(quantize=True).tolist() == [[60, HOLD, HOLD, HOLD, 62]]
    assert score.to_grid(12).shape == (1, 16)


def test_a_note_too_short_for_any_step_is_off_the_grid():
    with pytest.raises(ValueError, match="lies off the grid"):
        Score([(0, 1e-9, 60)]).to_grid()


def test_quantising_never_loses_a_note():
    assert Score([(0.05, 0.01, 60)]).to_grid(quantize=True).tolist() == [[60]]


def test_quantising_keeps_the_longer_of_two_notes_on_one_step():
    turn = Score([(0, 0.75, 60), (0.75, 0.125, 62), (0.875, 0.125, 60), (1, 1, 64)])
    assert turn.to_grid(2, quantize=True).tolist() == [[60, HOLD, 64, HOLD]]
    short = Score([(0, 0.9, 60), (0.9, 0.1, 61), (1, 1, 62)])
    assert short.to_grid(1, quantize=True).tolist() == [[60, 62]]


def test_one_pitch_twice_at_once_is_named():
    with pytest.raises(ValueError, match=r"pitch 60 of voice 0 is struck while it still sounds"):
        Score([(0, 2, 60), (1, 1, 60)]).to_pianoroll()


def test_plain_piano_rolls_are_read():
    roll = np.zeros((128, 4), np.uint8)
    roll[60, :2] = 90
    roll[64, 1:] = 70
    notes = Score.from_pianoroll(roll).notes
    assert notes.tolist() == [(0, 0.5, 60, 90, 0), (0.25, 0.75, 64, 70, 0)]
    assert len(Score.from_pianoroll(roll > 0)) == 2


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ([[HOLD, 60]], r"cell -1 holds nothing \(voice 0, step 0\)"),
        ([[60, REST, HOLD]], r"cell -1 holds nothing \(voice 0, step 2\)"),
        ([[60], [128]], r"cell 128 isn't a pitch, HOLD or REST \(voice 1, step 0\)"),
        ([[-3]], "cell -3 isn't a pitch"),
        ([[60.0]], "integer array"),
        ([[[60]]], "integer array"),
    ],
)
def test_bad_grids(grid, message):
    with pytest.raises(ValueError, match=message):
        Score.from_grid(grid)


@pytest.mark.parametrize(
    ("roll", "message"),
    [
        (np.zeros((127, 3), int), "shape"),
        (np.zeros((128, 3)), "integer array"),
        (np.full((128, 3), 200), "velocities lie in 0–127"),
        (np.stack([np.zeros((128, 1), int), np.ones((128, 1), int)]), "an onset without sound"),
    ],
)
def test_bad_rolls(roll, message):
    with pytest.raises(ValueError, match=message):
        Score.from_pianoroll(roll)


@pytest.mark.parametrize("steps", [0, -4, 2.5, 10_000])
def test_bad_steps_per_quarter(steps):
    with pytest.raises(ValueError, match="steps_per_quarter"):
        Score([(0, 1, 60)]).to_grid(steps)


def test_an_empty_score_and_an_endless_one():
    assert Score([]).to_grid().shape == (1, 0)
    assert len(Score.from_grid(np.empty((2, 0), int))) == 0
    with pytest.raises(ValueError, match="too long for a grid"):
        Score([(99_000, 1, 60)]).to_grid(960)
    with pytest.raises(ValueError, match="at most 256 voices"):
        Score.from_grid(np.full((300, 4), 60))
