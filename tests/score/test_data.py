"""Round trips over the course's music: what a representation can hold, it gives back exactly."""

import numpy as np
import pytest

from mlmusic import Score, datasets

OFF_GRID = 3  # chorales that hold the corpus's ten notes off the grid of sixteenths


def same(score, again, *names):
    return len(score) == len(again) and all(
        np.array_equal(score.notes[name], again.notes[name]) for name in names
    )


TIMES = ("onset", "duration", "pitch", "voice")


@pytest.mark.parametrize("name", ["chorales", "tunes", "folksongs"])
def test_every_note_survives_midi(name):
    for score in getattr(datasets, name)().all:
        again = Score.from_midi(score.midi_bytes())
        assert same(score, again, *TIMES, "velocity"), score.meta["source"]


def test_everything_of_a_chorale_survives_midi_but_an_unknown_mode():
    for score in datasets.chorales().all:
        again = Score.from_midi(score.midi_bytes())
        if score.key[0][2]:
            assert again == score, score.meta["source"]


def test_chorales_survive_grid_and_piano_roll_unless_a_note_lies_off_it():
    refused = 0
    for score in datasets.chorales().all:
        try:
            grid = score.to_grid()
        except ValueError as error:
            assert "lies off the grid" in str(error)
            refused += 1
            assert same(score, Score.from_pianoroll(score.to_pianoroll(8), 8), *TIMES)
            continue
        assert same(score, Score.from_grid(grid), *TIMES), score.meta["source"]
        assert same(score, Score.from_pianoroll(score.to_pianoroll()), *TIMES, "velocity")
    assert refused == OFF_GRID


@pytest.mark.parametrize("name", ["chorales", "tunes", "folksongs"])
def test_a_sample_survives_music21(name):
    for score in getattr(datasets, name)().all[::97]:
        again = Score.from_music21(score.to_music21())
        assert same(score, again, *TIMES, "velocity"), score.meta["source"]
        assert again.metre == score.metre and again.tempo == score.tempo
        assert again.lyrics == score.lyrics and again.title == score.title


def test_bars_put_together_are_the_piece():
    for score in datasets.chorales().all[::10]:
        first, last = (
            0 if score.has_pickup else 1,
            len(score.bar_lines) - 2 + (not score.has_pickup),
        )
        assert same(score.bars(first, last), score, *TIMES), score.meta["source"]
        assert score.bars(first, last).metre == score.metre
