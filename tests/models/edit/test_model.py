"""The masked model: what it sees, what it doesn't, and what it is trained on."""

import numpy as np
import pytest
import torch

from mlmusic.models.edit import UNKNOWN, Gaps, MaskedChorale, both_losses, gap_loss, phases
from mlmusic.models.edit.around import after, before, spaces
from mlmusic.models.edit.masks import KINDS, UNITS, hidden, region
from mlmusic.models.transformer.chorale import ORDER
from mlmusic.score import Score


def grids(model, count=2, time=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, model.symbols, (count, 4, time), generator=generator)


def test_shape_and_cells(model):
    grid = grids(model)
    cells = torch.zeros(grid.shape, dtype=torch.bool)
    cells[0, 1, 3:7] = cells[1, 3, 0] = True
    grid[cells] = model.mask
    whole = model(grid)
    assert whole.shape == (2, 4, 20, model.symbols)
    torch.testing.assert_close(model(grid, cells=cells), whole[cells])
    assert model(grid, cells=torch.zeros_like(cells)).shape == (0, model.symbols)


def test_every_known_cell_matters_and_the_hidden_one_does_not(model):
    grid = grids(model, 1)
    hole = (0, 2, 9)
    masked = grid.clone()
    masked[hole] = model.mask
    before = model(masked)[hole]
    for place in ((0, 2, 2), (0, 2, 17), (0, 0, 9), (0, 3, 0), (0, 1, 19)):  # both ways, all voices
        other = masked.clone()
        other[place] = (other[place] + 1) % model.symbols
        assert not torch.allclose(model(other)[hole], before, atol=1e-5), place
    # What is hidden has left no trace: the grid is all that the model is given.
    grid[hole] = model.mask
    torch.testing.assert_close(model(grid)[hole], before, rtol=0, atol=0)


def test_writing_sees_what_came_before_and_what_is_known(model):
    grid = grids(model, 1)
    hidden = torch.zeros(grid.shape, dtype=torch.bool)
    hidden[..., 6:12] = hidden[:, 1, 15] = True
    hidden[:, 2, 6:12] = False  # the tenor is known
    any_order, in_time = model.both(grid, hidden)
    seen = torch.where(hidden, model.mask, grid)
    torch.testing.assert_close(any_order, model(seen, cells=hidden))
    for voice, step in ((0, 8), (3, 8), (1, 8), (2, 9), (0, 18)):
        other = grid.clone()
        other[0, voice, step] = (other[0, voice, step] + 1) % model.symbols
        differs = torch.zeros(grid.shape, dtype=torch.bool)
        differs[hidden] = (model.both(other, hidden)[1] - in_time).abs().amax(-1) > 1e-5
        place = 4 * np.arange(20) + np.array([[ORDER.index(v)] for v in range(4)])
        later = torch.from_numpy(place > place[voice, step])[None]
        if hidden[0, voice, step]:  # only what comes after it
            assert not (differs & ~later).any() and (differs & later).any(), (voice, step)
        else:  # all that is hidden
            assert differs[hidden].all(), (voice, step)


def test_a_head_sees_which_notes_of_its_step_are_new(model):
    x = torch.randn(1, 16, generator=torch.Generator().manual_seed(0))
    notes, near = torch.tensor([[30, 20, model.mask, 5]]), torch.tensor([[20, 20]])

    def said(*last):
        return model.voice(1, x, notes, torch.tensor([last]), near)

    old = said(30, 20, 10, 5)
    for voice, plays in ((0, True), (3, True), (1, False), (2, False)):  # own, and an unknown one
        other = [30, 20, 10, 5]
        other[voice] = 7
        new = said(*other)
        assert ((new - old).abs().max() > 1e-3) == plays, voice
        other[voice] = 8  # which note it was before says nothing more
        torch.testing.assert_close(said(*other), new, rtol=0, atol=0)


def test_what_is_known_around():
    mask, pitches = 11, 10
    grid = torch.tensor(
        [[[5, mask, 6, 6, 7, 7], [mask] * 6, [1, 1, 1, 1, 1, 1], [2, 0, 3, 4, mask, mask]]]
    )
    left, right = before(grid, pitches), after(grid, pitches)
    assert left.note[0, 0].tolist() == [0, 5, 5, 6, 6, 7]
    assert left.away[0, 0].tolist() == [33, 1, 2, 1, 1, 1]
    assert left.age[0, 0].tolist() == [0, 1, 1, 1, 2, 1]
    assert left.move[0, 0].tolist() == [10, 10, 10, 10, 10, 11]  # from 6 to 7, known
    assert right.note[0, 0].tolist() == [6, 6, 6, 7, 7, 0]
    assert right.age[0, 0].tolist() == [2, 2, 1, 2, 1, 0]
    assert right.move[0, 0].tolist() == [9, 9, 9, 10, 10, 10]  # 6 lies below what follows
    assert left.note[0, 1].tolist() == [0] * 6 and left.away[0, 1].tolist() == [33] * 6
    assert left.age[0, 2].tolist() == [0, 1, 2, 3, 4, 5]
    assert left.note[0, 3].tolist() == [0, 2, 2, 3, 4, 4]
    assert left.away[0, 3].tolist() == [33, 1, 2, 1, 1, 2]
    apart = spaces(grid, pitches)[0]
    assert apart[0].tolist() == [21] * 6  # the alto is unknown
    assert apart[2].tolist() == [9, 21, 8, 7, 21, 21] and apart[3].tolist()[0] == 7


def test_phases():
    notes = [(0, 12, 60)]
    plain = phases(Score(notes, metre=[(0.0, 4, 4)]), 20)
    assert plain.tolist() == [*range(16), *range(4)]
    pickup = phases(Score(notes, metre=[(1.0, 4, 4)]), 8)
    assert pickup.tolist() == [12, 13, 14, 15, 0, 1, 2, 3]
    three = phases(Score(notes, metre=[(1.0, 3, 4)]), 8)
    assert three.tolist() == [24, 25, 26, 27, 16, 17, 18, 19]
    changing = phases(Score(notes, metre=[(0.0, 4, 4), (1.0, 6, 8), (2.0, 3, 4)]), 10)
    assert changing.tolist() == [0, 1, 2, 3, *[UNKNOWN] * 4, 16, 17]


def test_bad_input(model):
    grid = grids(model)
    for bad in (grid[0], grid[:, :3], grid.float(), grid[..., :0]):
        with pytest.raises(ValueError, match=r"int64 of shape \(batch, 4, time\)"):
            model(bad)
    for phase in (torch.zeros(3, dtype=torch.int64), torch.zeros(20), grid, torch.tensor(0)):
        for ask in (model, lambda *given: model.both(given[0], given[0] > 3, given[1])):
            with pytest.raises(ValueError, match=r"int64 of shape \(20,\) or \(2, 20\)"):
                ask(grid, phase)
    place = torch.arange(20)
    model(grid, place.expand(2, -1)), model(grid, place + 9)  # up to 28
    for shift in (10, -1, 99):
        with pytest.raises(ValueError, match="phases must be 0–28, not"):
            model(grid, place + shift)
    for symbol in (-1, model.outside + 1):
        wrong = grid.clone()
        wrong[1, 2, 3] = symbol
        with pytest.raises(ValueError, match=f"symbols must be 0–{model.outside}, not .*{symbol}"):
            model(wrong)
    with pytest.raises(ValueError, match="low to high"):
        MaskedChorale(low=60, high=50)
    with pytest.raises(ValueError, match="layers must be 1"):
        MaskedChorale(layers=0)
    with pytest.raises(ValueError, match="voices 0–3, not in \\[\\]"):
        model.grid(Score([]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", UNITS)
def test_what_is_hidden(kind, unit):
    rng = np.random.default_rng(0)
    grid = np.repeat(rng.integers(1, 40, (4, 10)), 4, axis=1)
    for _ in range(30):
        there = region(grid, rng, kind)
        found = hidden(grid, rng, there, unit)
        assert found.any() and not (found & ~there).any()
        if kind == "voices":
            assert 1 <= there.all(1).sum() <= 3 and (there.all(1) == there.any(1)).all()
        if kind == "everything" and unit == "notes":  # whole ones
            same = grid[:, 1:] == grid[:, :-1]
            assert (found[:, 1:] == found[:, :-1])[same].all()


def test_any_number_of_cells_is_as_likely():
    rng = np.random.default_rng(1)
    grid = np.ones((4, 1), int)
    there = np.ones((4, 1), bool)
    counts = np.bincount([hidden(grid, rng, there, "cells").sum() for _ in range(4000)])
    assert counts[0] == 0
    assert np.abs(counts[1:] / 4000 - 0.25).max() < 0.03  # four deviations


def test_gaps(model, chorale):
    gaps = Gaps(model, [chorale, chorale], size=4, reach=2, unknown=0.5)
    grids, masks, phase = gaps.batch(3)
    again = Gaps(model, [chorale, chorale], size=4, reach=2, unknown=0.5).batch(3)
    for one, other in zip((grids, masks, phase), again, strict=True):
        assert torch.equal(one, other)
    assert grids.shape == (4, 4, model.context) and masks.flatten(1).any(1).all()
    assert not (masks & (grids == model.outside)).any()
    assert phase.max() <= UNKNOWN
    one, two = (
        torch.nn.functional.cross_entropy(logits, grids[masks], reduction="none")
        for logits in model.both(grids, masks, phase)
    )
    each = torch.zeros(grids.shape).masked_scatter(masks, one)
    any_order = sum(each[i][masks[i]].mean() for i in range(4))
    loss, count = gap_loss(model, (grids, masks, phase))
    torch.testing.assert_close(loss, any_order)
    assert count == 4
    loss, count = both_losses(model, (grids, masks, phase))
    torch.testing.assert_close(loss, 0.3 * any_order + 0.7 * 4 * two.mean())
    assert count == 4


def test_gaps_tell_the_phases_or_hide_them(model):
    """Pieces whose soprano tells the step: its symbol is one more than the step, modulo 48."""
    pieces = [
        Score([(t / 4, 0.25, 36 + t % 48) for t in range(steps)], metre=[(0.0, *metre)])
        for steps, metre in ((130, (4, 4)), (100, (4, 4)), (90, (3, 4)), (30, (3, 4)))
    ]
    true = Gaps(model, pieces, size=40, transposed=False, unknown=0.0)
    half = Gaps(model, pieces, size=40, transposed=False, unknown=0.5)
    told = kinds = 0
    for step in range(10):
        grids, masks, phase = true.batch(step)
        known = grids[:, 0] < model.mask
        place = grids[:, 0] - 1
        three = phase[:, :1] >= 16
        assert torch.equal(phase[known], torch.where(three, 16 + place % 12, place % 16)[known])
        kinds += int(three.sum())
        again, same, hidden = half.batch(step)
        assert torch.equal(again, grids) and torch.equal(same, masks)
        unknown = (hidden == UNKNOWN).all(1)
        assert torch.equal(hidden[~unknown], phase[~unknown])
        told += int((~unknown).sum())
    assert 100 < kinds < 170  # 120 of 350 steps, of 400 windows
    assert 160 < told < 240  # half of 400, and four deviations


def test_it_learns(chorale):
    torch.manual_seed(0)
    model = MaskedChorale(width=32, layers=1, heads=2, dropout=0.0, context=32)
    gaps = Gaps(model, [chorale], size=4, transposed=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for step in range(40):
        loss, count = both_losses(model, gaps.batch(step))
        optimizer.zero_grad()
        (loss / count).backward()
        optimizer.step()
        losses.append(loss.item() / int(count))
    assert np.mean(losses[:3]) > 3 > 1.5 > np.mean(losses[-5:])


def test_weights_come_back(model, chorale, tmp_path):
    from mlmusic import weights

    card = weights.Card(
        data="none", command="none", seed=0, cpu_seconds=0.0, scores={}, memorisation="", licence=""
    )
    weights.save(model, "edit/tiny", card, path=tmp_path / "tiny.safetensors")
    again = weights.load(tmp_path / "tiny.safetensors")
    grid, phase = model.grid(chorale)
    torch.testing.assert_close(again(grid[None], phase), model(grid[None], phase))
