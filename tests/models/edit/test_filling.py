"""Gaps filled: what is fixed stays, the rest keeps its range, one seed does the same."""

import itertools

import numpy as np
import pytest
import torch

from mlmusic.models.edit import ORDERS, MaskedChorale, fill, gibbs, schedule
from mlmusic.models.edit.spans import windows
from mlmusic.models.transformer.writing import RANGES, sung

WAYS = [(fill, {"order": order}) for order in ORDERS] + [(gibbs, {"sweeps": 4})]


@pytest.fixture
def grid(model):
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, model.symbols, (4, 30), generator=generator)


def gap(time=30, first=8, last=14, voices=(0, 1, 2, 3)):
    free = torch.zeros(4, time, dtype=torch.bool)
    free[list(voices), first:last] = True
    return free


@pytest.mark.parametrize("way, options", WAYS)
def test_fixed_symbols_never_change(model, grid, way, options):
    rng = np.random.default_rng(2)
    for seed in range(5):
        free = torch.from_numpy(rng.random((4, 30)) < rng.random())
        before = grid.clone()
        found = way(model, grid, free, seed=seed, **options)
        assert torch.equal(grid, before)  # the argument, too
        assert torch.equal(found[~free], grid[~free])
        low, high = np.array(RANGES).T - model.low + 1
        voice = free.nonzero()[:, 0].numpy()
        assert (found[free].numpy() >= low[voice]).all()
        assert (found[free].numpy() <= high[voice]).all()


@pytest.mark.parametrize("way, options", WAYS)
def test_deterministic(model, grid, way, options):
    one, again, other = (way(model, grid, gap(), seed=seed, **options) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    # What stands in free cells plays no part.
    spoilt = torch.where(gap(), model.mask, grid)
    assert torch.equal(way(model, spoilt, gap(), seed=1, **options), one)


@pytest.mark.parametrize("way, options", WAYS)
def test_the_arrays_strides_play_no_part(model, grid, way, options):
    turned = gap().T.contiguous().T, grid.T.contiguous().T
    assert not turned[0].is_contiguous()
    found = way(model, turned[1], turned[0], seed=1, **options)
    assert torch.equal(found, way(model, grid, gap(), seed=1, **options))


@pytest.mark.parametrize("way, options", WAYS)
def test_nothing_free_everything_free_and_temperature_0(model, grid, way, options):
    assert torch.equal(way(model, grid, torch.zeros_like(gap()), seed=0, **options), grid)
    piece = way(model, grid, torch.ones_like(gap()), seed=0, **options)
    assert piece.shape == grid.shape and (piece > 0).all()
    if way is fill and options["order"] != "random":  # then the seed still draws the order
        cold = [fill(model, grid, gap(), temperature=0, seed=s, **options) for s in (0, 1)]
        assert torch.equal(*cold)


def test_at_once_at_temperature_0_is_the_likeliest(model, grid):
    found = fill(
        model, grid, gap(), order="at once", temperature=0, ranges=None, rests=True, seed=0
    )
    logits = model(torch.where(gap(), model.mask, grid)[None])[0]
    assert torch.equal(found[gap()], logits.argmax(-1)[gap()])


@pytest.mark.parametrize("order, steps", [("random", 24), ("random", 5), ("cosine", 4)])
def test_each_pass_asks_for_all_that_is_hidden(asked, grid, order, steps):
    model, passes = asked
    fill(model, grid, gap(), order=order, steps=steps, seed=0)
    left = [int(cells.sum()) for _, _, cells, _ in passes]
    assert left == [24] * len(schedule(order, 24, steps))  # the known ones are asked for as well
    known = [24 - int((grid == model.mask).sum()) for grid, *_ in passes]
    assert known == [0, *np.cumsum(schedule(order, 24, steps))[:-1]]
    for (one, *_), (two, *_) in itertools.pairwise(passes):  # what is drawn stays
        assert torch.equal(one[one < model.mask], two[one < model.mask])


@pytest.mark.parametrize("order, steps", [("certain", None), ("cosine", 5)])
def test_the_surest_come_first(asked, grid, order, steps):
    model, passes = asked
    fill(model, grid, gap(), order=order, steps=steps, ranges=None, rests=True, seed=0)
    assert len(passes) == len(schedule(order, 24, steps))
    for (seen, _, cells, logits), (then, *_) in itertools.pairwise(passes):
        hidden, later = seen[cells] == model.mask, then[cells] == model.mask
        surest = logits.softmax(-1).max(-1).values
        assert surest[hidden & ~later].min() >= surest[hidden & later].max()
        assert surest.std() > 0.01  # so that this says something


def test_random_takes_no_notice_of_how_sure_the_model_is(asked, grid):
    model, passes = asked
    places = []
    for seed in range(30):
        fill(model, grid, gap(), order="random", steps=2, seed=seed)
        (*_, cells, logits), (then, *_) = passes[-2:]
        surest = logits.log_softmax(-1).max(-1).values.argsort().argsort()
        places.append(surest[then[cells] < model.mask].double().mean())
    # The mean rank of 12 of 24 cells is 11.5 with deviation 1.44, that of 30 such means 0.26.
    assert abs(float(np.mean(places)) - 11.5) < 1.1


def test_gibbs_hides_ever_fewer_cells(asked, grid):
    model, passes = asked
    free = gap(first=0, last=30)
    found = gibbs(model, grid, free, sweeps=40, most=0.8, least=0.1, seed=0)
    assert len(passes) == 41  # the first is the one that hides everything
    assert passes[0].cells.all()
    for seen, _, cells, _ in passes:
        assert torch.equal(seen == model.mask, cells)
    for one, two in itertools.pairwise(passes):  # what isn't drawn anew stays
        same = ~one.cells & ~two.cells
        assert torch.equal(one.grid[same], two.grid[same])
    assert torch.equal(found[~passes[-1].cells[0]], passes[-1].grid[~passes[-1].cells])
    shares = np.array([float(cells.float().mean()) for _, _, cells, _ in passes[1:]])
    wanted = np.maximum(0.1, 0.8 - 0.7 * np.arange(40) / 30)
    # Of 120 cells the share has a deviation of at most 0.046, the mean of ten 0.014.
    assert np.abs(shares - wanted).max() < 0.18
    assert np.abs((shares - wanted).reshape(4, 10).mean(1)).max() < 0.06
    # Each sweep draws its own cells.
    assert not torch.equal(passes[35].cells, passes[36].cells)
    passes.clear()
    gibbs(model, grid, gap(voices=(1,)), sweeps=3, most=1.0, least=1.0, seed=0)
    assert [int(cells.sum()) for _, _, cells, _ in passes] == [6] * 4
    passes.clear()
    gibbs(model, grid, gap(), sweeps=0, seed=0)
    assert len(passes) == 1


def test_time_is_what_the_likelihood_says(model, grid):
    """With a cache, each cell is the likeliest for the scores of one pass over all."""
    for voices in ((1, 3), (0, 1, 2, 3)):
        free = gap(voices=voices)
        found = fill(model, grid, free, order="time", temperature=0, seed=0)
        with torch.no_grad():
            logits = model.both(found[None], free[None])[1]
        may = sung(model)[free.nonzero()[:, 0]]
        assert torch.equal(logits.masked_fill(~may, -torch.inf).argmax(-1), found[free])


@pytest.mark.parametrize("order", ["random", "time"])
def test_draws_follow_the_model(model, grid, order):
    free = gap(first=10, last=11, voices=(1,))
    options = {"rests": True, "temperature": 1.5, "order": order}
    many = fill(model, grid.expand(3000, -1, -1), free, seed=3, **options)
    assert many.shape == (3000, 4, 30)
    logits = model.both(grid[None], free[None])[order == "time"][0]
    wanted = (logits.masked_fill(~sung(model, rests=True)[1], -torch.inf) / 1.5).softmax(-1)
    share = torch.bincount(many[:, 1, 10], minlength=model.symbols) / 3000
    assert (share - wanted).abs().max() < 0.04


def test_only_what_is_allowed(model, grid):
    allowed = torch.zeros(4, 30, model.symbols, dtype=torch.bool)
    allowed[..., 25] = allowed[..., 30] = True
    found = fill(model, grid, gap(voices=(1, 2)), allowed=allowed, seed=0)
    assert set(found[gap(voices=(1, 2))].tolist()) <= {25, 30}
    with pytest.raises(ValueError, match="nothing is allowed in voice 0 at step 8"):
        fill(model, grid, gap(), allowed=torch.zeros_like(allowed), seed=0)
    silent = torch.zeros_like(allowed)
    silent[..., 0] = True
    with pytest.raises(ValueError, match="nothing is allowed"):
        fill(model, grid, gap(), allowed=silent, seed=0)
    assert not fill(model, grid, gap(), allowed=silent, rests=True, seed=0)[gap()].any()


def test_a_hidden_cell_that_is_not_free_stays_hidden(model, grid):
    hidden = torch.where(gap(voices=(2,)), model.mask, grid)
    found = fill(model, hidden, gap(voices=(0,)), seed=0)
    assert (found[2, 8:14] == model.mask).all() and (found[0] < model.mask).all()


def test_longer_than_the_context(model):
    generator = torch.Generator().manual_seed(6)
    grid = torch.randint(0, model.symbols, (4, 150), generator=generator)
    free = gap(150, 20, 140, (1, 2, 3))
    for way in (fill, gibbs):
        found = way(model, grid, free, seed=0)
        assert torch.equal(found[~free], grid[~free]) and (found < model.mask).all()
    # What is further away than the context plays no part.
    near = gap(150, 100, 108)
    for first, options in ((80, {}), (95, {"context": 18})):
        other = grid.clone()
        other[:, :first] = 1
        one, two = (fill(model, g, near, seed=0, **options) for g in (grid, other))
        assert torch.equal(one[near], two[near])


def test_windows(model):
    assert windows(torch.zeros(4, 9, dtype=torch.bool), 6) == []
    assert windows(gap(30, 8, 14), 48) == [(8, 14, 0, 30)]
    assert windows(gap(100, 0, 100), 40) == [
        *((0, 20, 0, 40), (20, 40, 10, 50), (40, 60, 30, 70), (60, 80, 50, 90)),
        (80, 100, 60, 100),
    ]
    both = gap(200, 10, 14) | gap(200, 150, 155)
    assert windows(both, 40) == [(10, 30, 0, 40), (150, 155, 132, 172)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("cells", [1, 2, 7, 128])
@pytest.mark.parametrize("steps", [None, 1, 5, 300])
def test_schedule(order, cells, steps):
    counts = schedule(order, cells, steps)
    assert sum(counts) == cells and min(counts) >= 1
    assert len(counts) <= (steps or cells)
    if order == "cosine" and cells == 128 and steps == 5:
        assert counts == sorted(counts)


def test_bad_input(model, grid):
    free = gap()
    with pytest.raises(ValueError, match="no order 'best'"):
        fill(model, grid, free, order="best", seed=0)
    for steps in (0, -1, 1.5, "3"):
        with pytest.raises(ValueError, match="steps must be a whole number"):
            fill(model, grid, free, steps=steps, seed=0)
    for temperature in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="temperature must be a number of 0 or more"):
            fill(model, grid, free, temperature=temperature, seed=0)
    for bad in (grid[:3], grid.float(), grid[:, :0]):
        with pytest.raises(ValueError, match=r"a grid is int64 of shape \(4, time\)"):
            fill(model, bad, free, seed=0)
    for bad in (free[:3], free.long(), free[:, :5]):
        with pytest.raises(ValueError, match=r"free is bool of shape \(4, 30\)"):
            fill(model, grid, bad, seed=0)
    with pytest.raises(ValueError, match=r"symbols must be 0–49, or 50 for hidden ones"):
        fill(model, grid + 40, free, seed=0)
    with pytest.raises(ValueError, match="phase must be of shape"):
        fill(model, grid, free, phase=torch.zeros(3, dtype=torch.int64), seed=0)
    place = torch.arange(30)
    for way in (fill, gibbs):
        for phase in (place, place - 5):
            with pytest.raises(ValueError, match="phases must be 0–28, not"):
                way(model, grid, free, phase=phase, seed=0)
        with pytest.raises(ValueError, match="phases are int64"):
            way(model, grid, free, phase=torch.zeros(30), seed=0)
    with pytest.raises(ValueError, match="four voices, not 2 ranges"):
        fill(model, grid, free, ranges=[(60, 70)] * 2, seed=0)
    with pytest.raises(ValueError, match="knows no pitch"):
        fill(model, grid, free, ranges=[(1, 2)] * 4, seed=0)
    with pytest.raises(ValueError, match="a context has 2 steps or more, not 1"):
        fill(model, grid, free, context=1, seed=0)
    with pytest.raises(ValueError, match="allowed is bool of shape"):
        fill(model, grid, free, allowed=free, seed=0)
    for options in ({"sweeps": -1}, {"sweeps": 1.5}, {"most": 0.1, "least": 0.2}, {"most": 2}):
        with pytest.raises(ValueError, match="gibbs needs 0 sweeps or more"):
            gibbs(model, grid, free, seed=0, **options)


def test_weights_that_are_not_finite(grid):
    torch.manual_seed(0)
    broken = MaskedChorale(low=36, high=84, width=8, layers=1, heads=2, context=48)
    torch.nn.init.constant_(broken.trunk.norm.weight, float("nan"))
    broken.train()
    with pytest.raises(FloatingPointError, match="aren't finite"):
        fill(broken, grid, gap(), seed=0)
    assert broken.training  # as it was
