"""The committee: a mean of probabilities, in several keys, as exact as one model."""

import numpy as np
import pytest
import torch

from mlmusic.metrics.chorales import note_nats
from mlmusic.models.transformer.committee import Committee, calibrated
from mlmusic.models.transformer.writing import write
from tests.models.transformer.test_chorale import model, piece

CONFIG = {"low": 40, "high": 80}


def committee(shifts=(0,), **options):
    members = [model(seed, **CONFIG | options).double() for seed in (1, 2)]
    return members, Committee.of(members, shifts).double()


def inside(steps=20):
    """Notes that stay within the range in every key."""
    return torch.where(piece(steps, 30) > 0, piece(steps, 30) + 5, 0)


def test_probabilities_are_the_members_mean():
    members, both = committee()
    (found,) = note_nats(both, [inside()])
    means = np.mean([np.exp(-note_nats(member, [inside()])[0]) for member in members], axis=0)
    np.testing.assert_allclose(np.exp(-found), means, atol=1e-12)
    assert found.sum() < max(note_nats(member, [inside()])[0].sum() for member in members)


def test_votes_in_other_keys_are_those_on_the_transposed_piece():
    members, both = committee(shifts=(0, 3))
    up = torch.where(inside() > 0, inside() + 3, 0)
    votes = [np.exp(-note_nats(m, [notes])[0]) for m in members for notes in (inside(), up)]
    (found,) = note_nats(both, [inside()])
    # A little more than the mean: what the votes give to pitches out of range is shared out.
    assert (np.exp(-found) >= np.mean(votes, axis=0) - 1e-12).all()
    np.testing.assert_allclose(np.exp(-found), np.mean(votes, axis=0), rtol=0.4)


@pytest.mark.parametrize("shifts", [(0,), (-1, 0, 1), (0, 2, -3)])
def test_the_probabilities_of_a_step_add_up_to_one(shifts):
    members = [model(seed, low=60, high=62) for seed in (1, 2)]
    both = Committee.of(members, shifts).double()
    steps = torch.cartesian_prod(*[torch.arange(4)] * 4)
    pieces = [torch.cat([piece(3, pitches=3), step[None]]) for step in steps]
    nats = np.stack(note_nats(both, pieces))
    assert np.exp(-nats[:, 3].sum(1)).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_it_writes_with_and_without_a_cache(seed):
    _, both = committee(shifts=(-1, 0, 1))
    options = {"prompt": inside(5), "count": 2, "seed": seed}
    found = write(both, 16, **options)
    assert torch.equal(found, write(both, 16, cache=False, **options))
    assert (found[:, :5] == inside(5)).all()


def test_its_config_builds_it_again():
    _, both = committee(shifts=(0, 1))
    again = Committee(**both.config).double().eval()
    again.load_state_dict(both.state_dict())
    assert torch.equal(again(inside()[None]), both(inside()[None]))


def test_members_of_different_widths():
    members = [model(1), model(2, width=24, layers=1)]
    both = Committee.of(members).double()
    (found,) = note_nats(both, [inside()])
    means = np.mean([np.exp(-note_nats(m.double(), [inside()])[0]) for m in members], axis=0)
    np.testing.assert_allclose(np.exp(-found), means, atol=1e-9)
    assert write(both, 6, seed=0).shape == (1, 6, 4)


def test_temperature():
    members, both = committee()
    hot = Committee.of(members, temperature=2.0).double()
    with torch.no_grad():
        logits = both(inside()[None]) / 2
        torch.testing.assert_close(hot(inside()[None]), logits.log_softmax(-1))
    for wanted, found in ((1.12, 1.1), (0.87, 0.85), (1.01, 1.0), (1.3, 1.3)):
        best = calibrated(both, lambda now, wanted=wanted: abs(now.temperature - wanted))
        assert best.config["temperature"] == found
    with pytest.raises(ValueError, match="temperature must be above 0"):
        Committee(members=[{}], temperature=0)


@pytest.mark.parametrize(
    ("members", "shifts"), [([], (0,)), ([{"low": 40}, {"low": 41}], (0,)), ([{}], (1,))]
)
def test_impossible_committees(members, shifts):
    with pytest.raises(ValueError, match="a committee needs members of one range and bar"):
        Committee(members=members, shifts=shifts)
