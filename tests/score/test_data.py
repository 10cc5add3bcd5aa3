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


@pytest.mark.parametrize("name", ["tunes", "folksongs"])
def test_melodies_survive_a_fine_grid_or_say_why_not(name):
    scores, refused = getattr(datasets, name)().all, 0
    for score in scores:
        try:
            again = Score.from_grid(score.to_grid(24), 24)
        except ValueError as error:
            assert "lies off the grid" in str(error) or "overlap" in str(error)
            refused += 1
            continue
        assert same(score, again, *TIMES), score.meta["source"]
    assert refused < 0.04 * len(scores)


@pytest.mark.parametrize("name", ["chorales", "tunes", "folksongs"])
def test_bars_put_together_are_the_piece(name):
    """Cut in two anywhere and joined, unless a whole bar of silence lay at the cut."""
    for score in getattr(datasets, name)().all[::10]:
        lowest = 0 if score.has_pickup else 1
        highest = lowest + len(score.bar_lines) - 2
        for cut in range(lowest, highest, 3):
            left, right = score.bars(lowest, cut), score.bars(cut + 1, highest)
            if left.bar_lines[-1] == score.bar_lines[cut - lowest + 1]:
                joined = left + right
                assert joined.duration == score.duration
                assert np.allclose(joined.bar_lines, score.bar_lines), score.meta["source"]
