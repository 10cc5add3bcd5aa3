"""Tasks on scores: what is asked for is rewritten, and all else stays to the last detail."""

import numpy as np
import pytest
import torch

from mlmusic.models.edit import (
    fill_bars,
    harmonise,
    opened,
    rerhythm,
    revoice,
    rewrite,
    rewritten,
    vary,
)
from mlmusic.score import Score


def rows(score):
    return {tuple(note) for note in score.notes.tolist()}


def outside(score, first, last, voices=(0, 1, 2, 3)):
    """Notes that don't sound between two onsets in some voices."""
    return {
        row
        for row in rows(score)
        if row[4] not in voices or row[0] >= last or row[0] + row[1] <= first
    }


def sounding(score, model):
    return model.grid(score)[0].numpy()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("voices", [(0, 1, 2, 3), (1, 2), (0,)])
def test_fill_bars_keeps_everything_else(model, chorale, seed, voices):
    found = fill_bars(model, chorale, (2, 3), voices, seed=seed)
    assert outside(chorale, 5, 13, voices) <= rows(found)
    free = opened(chorale, (2, 3), voices)
    assert free[list(voices), 20:52].all() and free.sum() == 32 * len(voices)
    assert (sounding(found, model) == sounding(chorale, model))[~free].all()
    found.to_grid(4)  # on the grid, no overlaps, nothing held that hasn't begun
    for name in ("metre", "tempo", "key", "programs", "title", "meta"):
        assert getattr(found, name) == getattr(chorale, name)


def test_borders(chorale):
    """A voice that is fixed at 60 around a gap, which is filled in several ways."""
    low = 36
    score = Score([(0, 3, 60), (3, 1, 60)])  # the gap is inside the first note: steps 4 to 8
    before = np.full((4, 16), 0)
    before[0] = 25
    free = np.zeros((4, 16), bool)
    free[0, 4:8] = True

    def filled(*symbols):
        after = before.copy()
        after[0, 4:8] = symbols
        notes = rewritten(score, before, after, free, low).notes
        return [(n["onset"], n["duration"], n["pitch"]) for n in notes]

    assert filled(25, 25, 25, 25) == [(0, 3, 60), (3, 1, 60)]  # as it was
    assert filled(27, 27, 27, 27) == [(0, 1, 60), (1, 1, 62), (2, 1, 60), (3, 1, 60)]
    assert filled(25, 25, 27, 27) == [(0, 1.5, 60), (1.5, 0.5, 62), (2, 1, 60), (3, 1, 60)]
    assert filled(27, 27, 25, 25) == [(0, 1, 60), (1, 0.5, 62), (1.5, 1.5, 60), (3, 1, 60)]
    assert filled(0, 0, 0, 0) == [(0, 1, 60), (2, 1, 60), (3, 1, 60)]


def test_a_fixed_note_is_never_longer_or_shorter():
    """Also where the gap goes on with its pitch: there it's struck again."""
    score = Score([(0, 1, 60), (1, 1, 64), (2, 1, 60), (3, 1, 60)])
    before = np.zeros((4, 16), int)
    before[0] = np.repeat([25, 29, 25, 25], 4)
    free = np.zeros((4, 16), bool)
    free[0, 4:8] = True
    after = before.copy()
    after[0, 4:8] = 25
    found = rewritten(score, before, after, free, 36)
    assert [(n["onset"], n["duration"]) for n in found.notes] == [(0, 1), (1, 1), (2, 1), (3, 1)]


def test_notes_off_the_grid_stay():
    score = Score([(0, 0.875, 60), (0.875, 0.125, 62), (1, 1, 64), (2, 2, 60)])
    before = np.zeros((4, 16), int)
    before[0] = [25] * 3 + [27] + [29] * 4 + [25] * 8
    free = np.zeros((4, 16), bool)
    free[0, 4:8] = True
    after = before.copy()
    after[0, 4:8] = 30
    found = rewritten(score, before, after, free, 36)
    assert rows(score) - {(1, 1, 64, 80, 0)} <= rows(found)
    assert [n["pitch"] for n in found.notes] == [60, 62, 65, 60]


def test_lyrics_and_velocity(model, chorale):
    free = opened(chorale, (1, 2), 0)
    new = np.where(free, 40, sounding(chorale, model))
    found = rewritten(chorale, sounding(chorale, model), new, free, model.low)
    assert found.lyrics == {0: [(0.0, "Lo-"), (1.0, "be"), (9.0, "Herrn")]}  # 3.0 begins no more
    assert {n["velocity"] for n in found.notes[found.notes["pitch"] == 75]} == {72}


def test_nothing_and_everything(model, chorale):
    assert rewrite(model, chorale, np.zeros((4, 68), bool), seed=0) == chorale
    assert fill_bars(model, chorale, (1, 2), (), seed=0) == chorale
    piece = fill_bars(model, chorale, None, seed=0)
    assert piece.duration == chorale.duration and piece.voices == [0, 1, 2, 3]
    assert fill_bars(model, chorale, None, seed=0) == piece
    again = fill_bars(model, chorale, 0, seed=0, sweeps=3)  # the pickup, by Gibbs sampling
    assert outside(chorale, 0, 1) <= rows(again)


def test_opened(chorale):
    assert opened(chorale).all()
    assert opened(chorale, 0, 3).nonzero()[1].tolist() == [0, 1, 2, 3]
    assert opened(chorale, (4, 4)).any(0).nonzero()[0].tolist() == [*range(52, 68)]
    for bars in (5, -1, (3, 2), (0, 9)):
        with pytest.raises(ValueError, match=r"bars .* don't exist: this score has 0–4"):
            opened(chorale, bars)
    for bars in ("all", (1, 2, 3), (1.5, 2), 1.5):
        with pytest.raises(ValueError, match="bars"):
            opened(chorale, bars)
    for voice in (4, -1, "bass"):
        with pytest.raises(ValueError, match="there is no voice"):
            opened(chorale, 1, [voice])
    with pytest.raises(ValueError, match="no notes"):
        opened(Score([]))


@pytest.mark.parametrize("shift", [0, 2, -12, -19, 24])
def test_harmonise(model, chorale, shift):
    melody = chorale.select(0).transpose(shift)
    found = harmonise(model, melody, seed=4)
    assert found.select(0).notes.tolist() == melody.notes.tolist()
    assert found.voices == [0, 1, 2, 3]
    assert found.key == melody.key and found.lyrics == melody.lyrics
    assert found == harmonise(model, melody, seed=4)
    if shift == 24:  # by octaves: the same notes, elsewhere
        plain = harmonise(model, chorale.select(0), seed=4).transpose(shift)
        assert rows(found) == rows(plain)


def test_harmonise_any_one_voice(model):
    tune = Score([(0, 1, 60, 90, 7), (1, 1.5, 62, 90, 7), (3, 1, 64, 90, 7)], programs={7: 40})
    found = harmonise(model, tune, seed=0, order="time", steps=4)
    mine = found.select(0)
    assert mine.notes[["onset", "duration", "pitch", "velocity"]].tolist() == [
        (0, 1, 60, 90),
        (1, 1.5, 62, 90),
        (3, 1, 64, 90),
    ]
    assert found.programs == {0: 40}
    # Wider than a soprano's range: kept all the same.
    wide = Score([(0, 1, 50), (1, 1, 80)])
    assert harmonise(model, wide, seed=0).select(0) == wide
    with pytest.raises(ValueError, match="spans 60 semitones"):
        harmonise(model, Score([(0, 1, 30), (1, 1, 90)]), seed=0)
    with pytest.raises(ValueError, match="a melody has one voice"):
        harmonise(model, Score([(0, 1, 60), (0, 1, 64, 80, 1)]), seed=0)
    with pytest.raises(ValueError, match="a melody has one voice"):
        harmonise(model, Score([]), seed=0)


def test_rerhythm(model, chorale):
    before = sounding(chorale, model)
    found = rerhythm(model, chorale, (1, 4), (0, 2, 3), seed=1)
    after = sounding(found, model)
    assert (before != after).any() and (before[1] == after[1]).all()
    for v in (0, 2, 3):
        for start in range(4, 68, 8):
            assert set(after[v, start : start + 8]) <= set(before[v, start : start + 8])
    assert (sounding(rerhythm(model, chorale, span=0.25, seed=0), model) == before).all()
    for span in (0, 0.3, -1, float("nan")):
        with pytest.raises(ValueError, match="a span is a number of whole sixteenths"):
            rerhythm(model, chorale, span=span, seed=0)


@pytest.mark.parametrize("voices", [(1, 2), (0, 1, 2, 3), (3,)])
def test_revoice(model, chorale, voices):
    before = sounding(chorale, model)
    after = sounding(revoice(model, chorale, (1, 3), voices, seed=2), model)
    fixed = [v for v in range(4) if v not in voices]
    assert (before[fixed] == after[fixed]).all() and (before[:, 52:] == after[:, 52:]).all()
    if len(voices) > 1:
        assert (before != after).any()
    for t in range(68):
        chord = [{int(s) % 12 for s in grid[:, t] if s} for grid in (before, after)]
        assert chord[0] == chord[1], t
    assert ((before == 0) == (after == 0)).all()


def test_vary(model, chorale):
    assert vary(model, chorale, 0, seed=0) == chorale
    assert vary(model, chorale, 1, (2, 3), seed=0) == fill_bars(model, chorale, (2, 3), seed=0)
    changed = []
    for strength in (0.2, 0.5, 0.9):
        found = vary(model, chorale, strength, (2, 3), seed=0)
        assert outside(chorale, 5, 13) <= rows(found)
        changed.append(len(rows(chorale) - rows(found)))
    assert 0 < changed[0] < changed[1] < changed[2]
    one = vary(model, chorale, 0.5, (2, 3), (1,), seed=0)
    assert rows(one) >= {row for row in rows(chorale) if row[4] != 1}
    for strength in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="strength must be from 0 to 1"):
            vary(model, chorale, strength, seed=0)


def test_bad_scores(model, chorale):
    for task in (fill_bars, rerhythm, revoice):
        with pytest.raises(ValueError, match="no notes"):
            task(model, Score([]), None, seed=0)
    with pytest.raises(ValueError, match="no notes"):
        vary(model, Score([]), 0.5, seed=0)
    with pytest.raises(ValueError, match="free is bool of shape"):
        rewrite(model, chorale, np.zeros((4, 3), bool), seed=0)
    five = Score([(0, 1, 60, 80, voice) for voice in range(5)])
    with pytest.raises(ValueError, match="voices 0–3"):
        fill_bars(model, five, 1, 0, seed=0)
    with pytest.raises(ValueError, match="E7"):
        fill_bars(model, Score([(0, 4, 100)]), 1, 1, seed=0)
    with pytest.raises(ValueError, match="temperature"):
        fill_bars(model, chorale, 1, temperature=-1, seed=0)
    assert torch.is_tensor(model.grid(chorale)[0])
