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
from mlmusic.score import HOLD, Score


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


@pytest.mark.parametrize("seed", range(8))
def test_how_hidden_notes_were_repeated_plays_no_part(seed):
    """One grid, articulated in two ways inside the gap: the same notes are written there."""
    rng = np.random.default_rng(seed)
    grid = np.repeat(rng.integers(23, 27, (4, 12)), 4, axis=1)
    free = np.zeros(grid.shape, bool)
    for voice in range(4):
        first, last = np.sort(rng.choice(np.arange(1, 47), 2, replace=False))
        free[voice, first:last] = True
    after = np.where(free, np.repeat(rng.integers(23, 27, (4, 24)), 2, axis=1), grid)
    onsets = rng.random(grid.shape) < 0.5
    onsets[:, 1:] |= grid[:, 1:] != grid[:, :-1]
    onsets[:, 0] = True
    deep = free & np.roll(free, 1, axis=1)  # not at the border itself
    again = np.where(deep, rng.random(grid.shape) < 0.5, onsets)
    again[:, 1:] |= grid[:, 1:] != grid[:, :-1]
    assert (again != onsets).any()

    def score(struck):
        notes = []
        for voice in range(4):
            starts = np.flatnonzero(struck[voice])
            for start, stop in zip(starts, [*starts[1:], 48], strict=True):
                loud = 90 if free[voice, start:stop].any() else 50 + voice
                pitch = int(grid[voice, start]) + 35
                notes.append((start / 4, (stop - start) / 4, pitch, loud, voice))
        return Score(notes)

    one, two = score(onsets), score(again)
    for written in (after, grid):
        found = rewritten(one, grid, written, free, 36)
        assert found.notes.tolist() == rewritten(two, grid, written, free, 36).notes.tolist()
        # Notes wholly outside are the same to the last detail.
        assert {row for row in rows(one) if row[3] != 90} <= rows(found)
        # Inside, a note begins where the pitch is another one, and nowhere else.
        codes = found.to_grid(4)
        new = written[:, 1:] != written[:, :-1]
        assert ((codes[:, 1:] != HOLD) == new)[deep[:, 1:]].all()


def test_at_the_borders_of_a_gap_that_comes_back():
    score = Score([(0, 2, 60), (2, 1, 60), (3, 1, 60)])
    grid = np.zeros((4, 16), int)
    grid[0] = 25

    def found(*places):
        free = np.zeros((4, 16), bool)
        free[0, [*places]] = True
        notes = rewritten(score, grid, grid, free, 36).notes
        return [(n["onset"], n["duration"]) for n in notes]

    whole = [(0, 2), (2, 1), (3, 1)]
    assert found(4) == found(4, 6) == whole  # inside a long note, which is held
    assert found(8) == found(7) == whole  # at a strike, before or after it
    assert found(*range(6, 10)) == [(0, 3), (3, 1)]  # in the gap nothing says that it was struck
    assert found(*range(8, 12)) == whole  # the fixed parts end and begin where they did
    assert found(*range(16)) == [(0, 4)]
    free = np.zeros((4, 16), bool)
    with pytest.raises(ValueError, match="new symbols in cells that aren't free"):
        rewritten(score, grid, grid + 1, free, 36)


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
    # Half of the fixed notes are the bass, at 73.
    assert {n["velocity"] for n in found.notes[found.notes["pitch"] == 75]} == {73}


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


@pytest.mark.parametrize("pitches, where", [((2, 9), "low"), ((110, 127), "high")])
def test_a_melody_at_the_end_of_midi(model, pitches, where):
    melody = Score([(i, 1, pitch) for i, pitch in enumerate(pitches)])
    ranges = [(60, 81)] + [(36, 84)] * 3  # with the usual ones, no voice is above the soprano
    with pytest.raises(ValueError, match=f"the melody, .*, lies too {where}: .* transpose"):
        harmonise(model, melody, ranges=ranges, seed=0)
    back = melody.transpose(60 if where == "low" else -60)
    assert harmonise(model, back, ranges=ranges, seed=0).select(0) == back


def test_the_other_voices_sing_through_a_melodys_rests(model):
    melody = Score([(0, 1, 72), (3, 1, 74)])
    found = sounding(harmonise(model, melody, seed=0), model)
    assert not found[0, 4:12].any() and (found[1:] > 0).all()


def test_options(model, chorale):
    """Those that a task doesn't know are refused in words, whatever it does with them."""
    tasks = [
        lambda **options: fill_bars(model, chorale, 1, **options),
        lambda **options: rerhythm(model, chorale, 1, **options),
        lambda **options: revoice(model, chorale, 1, **options),
        lambda **options: vary(model, chorale, 0.5, 1, **options),
        lambda **options: harmonise(model, chorale.select(0), **options),
    ]
    for task in tasks:
        assert task(seed=0, sweeps=None) == task(seed=np.int64(0))
        task(seed=0, sweeps=1, most=0.5)
        with pytest.raises(ValueError, match="no option 'temprature' without sweeps: .*order"):
            task(seed=0, temprature=1)
        for name in ("order", "steps"):
            with pytest.raises(ValueError, match=f"no option '{name}' with sweeps: .*least"):
                task(seed=0, sweeps=2, **{name: None})
        with pytest.raises(ValueError, match="no option 'phase'"):
            task(seed=0, phase=None)
        for seed in (None, -1, 1.5, "one", 2**64):
            with pytest.raises(ValueError, match="seed must be a whole number"):
                task(seed=seed)
        for temperature in ("hot", None, -1):
            with pytest.raises(ValueError, match="temperature must be a number"):
                task(seed=0, temperature=temperature)
    for options in ({"ranges": None}, {"rests": False}):
        with pytest.raises(ValueError, match=f"rerhythm takes no {next(iter(options))}"):
            rerhythm(model, chorale, 1, seed=0, **options)


def test_rerhythm(model, chorale):
    before = sounding(chorale, model)
    found = rerhythm(model, chorale, (1, 4), (0, 2, 3), seed=1)
    after = sounding(found, model)
    assert (before != after).any() and (before[1] == after[1]).all()
    for v in (0, 2, 3):
        for start in range(4, 68, 8):
            assert set(after[v, start : start + 8]) <= set(before[v, start : start + 8])
    assert (sounding(rerhythm(model, chorale, span=0.25, seed=0), model) == before).all()
    for span in (0, 0.3, -1, float("nan"), "long"):
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
    # Who is silent stays silent, also at the very end.
    alone = chorale.select(0)
    assert [vary(model, alone, share, seed=0).voices for share in (0.5, 0.99, 1)] == [[0]] * 3
    rests = sounding(chorale, model) == 0
    assert rests.any() and (rests == (sounding(vary(model, chorale, 1, seed=0), model) == 0)).all()
    for strength in (-0.1, 1.1, float("nan"), "much"):
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
