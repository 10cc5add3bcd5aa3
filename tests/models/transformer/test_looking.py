"""Where a chorale model looks, what it would miss, and whether these agree."""

import numpy as np
import pytest
import torch
from torch import nn

from mlmusic.models.transformer import ChoraleModel
from mlmusic.models.transformer.looking import (
    compare,
    influence,
    looked_at,
    rank_correlation,
    sensitivity,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    built = ChoraleModel(low=60, high=71, width=16, layers=2, heads=2, context=32)
    for parameter in built.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.4)
    return built


def piece(steps=20, seed=1):
    return torch.randint(0, 13, (steps, 4), generator=torch.Generator().manual_seed(seed))


def test_attention_is_that_of_the_model(model):
    notes = piece()
    weights = model.weights(notes[None])[:, 0]  # (layers, heads, steps, steps)
    found = looked_at(model, notes, 12, layer=1, head=0)
    assert found.shape == (12,)
    assert found == pytest.approx(weights[1, 0, 12, 1:13].numpy(), abs=1e-6)
    mean = looked_at(model, notes, 12)
    assert mean == pytest.approx(weights.mean((0, 1))[12, 1:13].numpy(), abs=1e-6)
    assert mean.sum() == pytest.approx(1 - float(weights.mean((0, 1))[12, 0]), abs=1e-6)
    assert model.training


def test_what_comes_later_is_not_looked_at(model):
    notes = piece()
    other = notes.clone()
    other[12:] = 0
    assert np.array_equal(looked_at(model, notes, 12), looked_at(model, other, 12))


def test_influence_is_the_divergence_of_the_predictions(model):
    notes, step, hidden = piece(), 9, 4
    found = influence(model, notes, step)
    assert found.shape == (step - 1,)
    assert (found >= -1e-9).all()
    model.eval()
    seen = model.past(notes[: step + 1])
    blank = [part.clone() for part in seen]
    blank[0][hidden + 1], blank[1][hidden + 1], blank[2][hidden + 1] = 13, 0, 12
    with torch.no_grad():
        p, q = (
            model(notes[None, : step + 1], type(seen)(*(part[None] for part in parts)))
            .double()
            .log_softmax(-1)[0, step]
            for parts in (seen, blank)
        )
    assert found[hidden] == pytest.approx(float((p.exp() * (p - q)).sum()), abs=1e-5)


def test_a_step_that_cannot_be_seen_is_not_missed(model):
    """With attention to itself alone, nothing before counts."""
    for block in model.trunk.blocks:
        nn.init.zeros_(block.attention.mix.weight)
    assert influence(model, piece(), 9) == pytest.approx(np.zeros(8), abs=1e-9)
    assert sensitivity(model, piece(), 9) == pytest.approx(np.zeros(8), abs=1e-9)


def test_sensitivity_is_the_slope(model):
    """Gradient times input, against a finite difference: all of one step's input a bit larger."""
    notes, step, at = piece(), 9, 5
    model = model.double().eval()
    found = sensitivity(model, notes, step)
    assert found.shape == (step - 1,)
    x = model.embedded(model.past(notes[None, : step + 1])).detach()

    def score(scale):
        scaled = x.clone()
        scaled[0, at + 1] *= scale
        summary = model.trunk(model.norm(scaled))[0][0, step]
        previous, total = notes[step - 1], 0.0
        for v in (0, 3, 1, 2):
            total += model.voice(v, summary, previous, notes[step]).log_softmax(-1)[notes[step, v]]
            summary = model.tell(v, summary, previous, notes[step])
        return float(total)

    slope = (score(1 + 1e-5) - score(1 - 1e-5)) / 2e-5
    assert found[at] == pytest.approx(abs(slope), rel=1e-4)


def test_rank_correlation():
    assert rank_correlation([1, 5, 9], [0, 0.1, 100]) == pytest.approx(1)
    assert rank_correlation([1, 5, 9], [3, 2, 1]) == pytest.approx(-1)
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    assert rank_correlation([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(np.sqrt(0.9))


def test_comparison(model):
    rows = [piece(30), piece(40, seed=2)]
    found = compare(model, rows, count=5, back=12, seed=3)
    assert set(found) == {
        *("most looked at", "at random", "most missed", "same step"),
        *("ranks, attention", "ranks, gradient"),
    }
    assert found["most missed"] >= max(found["most looked at"], found["at random"]) >= 0
    assert 0 <= found["same step"] <= 1
    assert all(abs(found[name]) <= 1 for name in ("ranks, attention", "ranks, gradient"))
    assert compare(model, rows, count=5, back=12, seed=3) == found
    assert compare(model, rows, count=5, back=12, layer=0, head=1, seed=3) != found


def test_bad_input(model):
    for step in (0, 20):
        with pytest.raises(ValueError, match="step must be 1 to 19"):
            looked_at(model, piece(), step)
    with pytest.raises(ValueError, match="step must be 2 to 19"):
        influence(model, piece(), 1)
    with pytest.raises(ValueError, match="notes must be"):
        looked_at(model, piece()[:, :3], 3)
    with pytest.raises(ValueError, match="no piece"):
        compare(model, [piece()], back=20)
    with pytest.raises(ValueError, match="1 step or more"):
        compare(model, [piece()], count=0)
    with pytest.raises(ValueError, match="no order"):
        rank_correlation([1, 1], [1, 2])
    with pytest.raises(ValueError, match="one length"):
        rank_correlation([1, 2], [1, 2, 3])
