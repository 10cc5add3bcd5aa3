"""Order-agnostic likelihoods: equal to the mean over all orders, where these can be counted."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch

from mlmusic.models.edit import MaskedChorale, nll
from mlmusic.models.edit.likelihood import gap, parts


@pytest.fixture(scope="module")
def small():
    """Silence and one pitch: sixteen grids of a step, and 24 orders of its cells."""
    torch.manual_seed(1)
    found = MaskedChorale(low=60, high=60, width=8, layers=1, heads=2, dropout=0.0, context=4)
    for parameter in found.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.0)
    return found.eval()


def chain(model, grid, order):
    """Nats of a grid, cell after cell in an order."""
    seen, nats = torch.full_like(grid, model.mask), 0.0
    for voice, step in order:
        with torch.no_grad():
            log_p = model(seen[None])[0, voice, step].double().log_softmax(-1)
        nats -= float(log_p[grid[voice, step]])
        seen[voice, step] = grid[voice, step]
    return nats


def everything():
    return [torch.tensor(row)[:, None] for row in itertools.product((0, 1), repeat=4)]


def test_every_order_adds_up_to_one(small):
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        cells = [(v, 0) for v in order]
        total = sum(math.exp(-chain(small, grid, cells)) for grid in everything())
        assert total == pytest.approx(1, abs=1e-9)


def test_it_is_the_mean_over_all_orders(small):
    orders = [[(v, 0) for v in order] for order in itertools.permutations(range(4))]
    for grid in everything()[3::5]:
        each = np.array([chain(small, grid, order) for order in orders])
        assert each.std() > 0.05  # the orders differ, so that this says something
        found = nll(small, [grid], samples=2000)
        assert found.per_note == pytest.approx(each.mean() / 4, abs=4 * found.error + 1e-6)
        assert found.error < 0.045
        # Jensen: at least that of the mixture of all orders.
        assert each.mean() >= -math.log(np.exp(-each).mean())


def test_in_chapter_06_s_order(small):
    grids = [torch.tensor(cells).view(4, 2) for cells in itertools.product((0, 1), repeat=8)]
    each = [nll(small, [grid], order="time") for grid in grids]
    assert sum(math.exp(-8 * nats.per_note) for nats in each) == pytest.approx(1, abs=1e-6)
    assert all(nats.error == 0 for nats in each)
    # All pieces at once: the mean.
    whole = nll(small, grids, order="time", batch=100)
    assert whole.per_note == pytest.approx(np.mean([nats.per_note for nats in each]), abs=1e-6)


def test_phases_and_lengths_count(model, chorale):
    grid, phase = model.grid(chorale)
    both = nll(model, [grid, grid[:, :20]], [phase, phase[:20]], samples=3)
    assert both == nll(model, [grid, grid[:, :20]], [phase, phase[:20]], samples=3)
    assert both.per_note != nll(model, [grid, grid[:, :20]], samples=3).per_note
    assert math.isnan(nll(model, [grid], samples=1).error)


@pytest.mark.parametrize("order", ["random", "time"])
def test_what_else_is_in_the_batch_plays_no_part(model, chorale, order):
    grid, phase = model.grid(chorale)
    lengths = (68, 20, 40, 20, 7)
    pieces, phases = ([x[..., :n] for n in lengths] for x in (grid, phase))
    one, all_ = (nll(model, pieces, phases, order=order, batch=n) for n in (1, 16))
    assert one.per_note == pytest.approx(all_.per_note, rel=1e-6)
    if order == "time":
        pairs = zip(pieces, phases, strict=True)
        each = [nll(model, [piece], [at], order=order) for piece, at in pairs]
        mean = np.average([nats.per_note for nats in each], weights=lengths)
        assert all_.per_note == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("samples", [3, 4, 8])
def test_its_error_is_how_far_other_seeds_are_away(model, chorale, samples):
    grid, phase = model.grid(chorale)
    found = [nll(model, [grid] * 3, [phase] * 3, samples=samples, seed=s) for s in range(40)]
    spread = np.std([nats.per_note for nats in found], ddof=1)
    stated = np.sqrt(np.mean([nats.error**2 for nats in found]))
    assert 0.6 < stated / spread < 1.6  # of 40 seeds, the spread has a deviation of a ninth


def test_scores_that_are_not_finite(small):
    broken = copy.deepcopy(small)
    torch.nn.init.constant_(broken.trunk.norm.weight, float("nan"))
    broken.train()
    for order in ("random", "time"):
        with pytest.raises(FloatingPointError, match="aren't finite"):
            nll(broken, [torch.zeros(4, 3, dtype=torch.int64)], order=order)
    assert broken.training


def test_each_step_has_its_own_phase(model, chorale):
    grid, phase = model.grid(chorale)
    grid, phase = grid[:, :40], phase[:40]
    hidden = torch.ones(1, 4, 40, dtype=torch.bool)
    with torch.no_grad():
        log_p = model.both(grid[None], hidden, phase)[1].log_softmax(-1)
    wanted = -log_p.gather(-1, grid[None][hidden][:, None]).mean()
    assert nll(model, [grid], [phase], order="time").per_note == pytest.approx(float(wanted))
    # Only the phases differ, also from one piece to the next.
    late = (phase + 3) % 16
    for order in ("random", "time"):
        one, two, both = (
            nll(model, [grid] * len(places), places, order=order, samples=1).per_note
            for places in ([phase], [late], [phase, late])
        )
        assert abs(one - two) > 1e-3
        if order == "time":
            assert both == pytest.approx((one + two) / 2)


def test_parts():
    assert parts(10, 16) == [(0, 0, 10)]
    assert parts(40, 16) == [(0, 0, 16), (8, 16, 24), (16, 24, 32), (24, 32, 40)]
    rng = np.random.default_rng(0)
    hidden = gap(3, 1, 2, rng)
    assert hidden.shape == (4, 3) and hidden.sum() == 6 and not hidden[:, 0].any()


def test_bad_input(small):
    grid = torch.zeros(4, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match="a piece, and samples"):
        nll(small, [])
    with pytest.raises(ValueError, match="a piece, and samples"):
        nll(small, [grid], samples=0)
    with pytest.raises(ValueError, match="no likelihood in the order 'back'"):
        nll(small, [grid], order="back")
    with pytest.raises(ValueError, match="piece 1 has symbols outside 0–1"):
        nll(small, [grid, grid + 2])
    with pytest.raises(ValueError, match="piece 0 must be int64"):
        nll(small, [grid.T])
    for phase in (grid[0, :2], grid[:1], torch.zeros(4, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"phases of piece 1 must be of shape \(3,\)"):
            nll(small, [grid, grid], [grid[0], phase])
    with pytest.raises(ValueError, match="phases must be 0–28, not 99–99"):
        nll(small, [grid], [grid[0] + 99])
    with pytest.raises(ValueError, match="phases are int64"):
        nll(small, [grid], [grid[0].float()])
    with pytest.raises(ValueError, match="2 pieces, but phases of 1"):
        nll(small, [grid, grid], [grid[0]])
