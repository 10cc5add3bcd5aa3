"""The recipe of vae/dances: its windows, and that the shipped model keeps what its card says."""

import pytest
import torch

from mlmusic import datasets, weights
from mlmusic.metrics.features import mean_overlap
from mlmusic.metrics.reconstruction import recovered
from mlmusic.recipes import vae_dances
from mlmusic.windows import faults, markov, repair


@pytest.fixture(scope="module")
def valid():
    return vae_dances.split("valid")


@pytest.fixture(scope="module")
def model():
    return weights.load("vae/dances")


def test_held_out_windows_stand_nowhere_in_training(valid):
    known = {row.tobytes() for row in vae_dances.split("train").symbols}
    assert not any(row.tobytes() in known for row in valid.symbols)
    assert valid.symbols.shape[1] == 32


def test_the_shipped_model_copies_held_out_windows(model, valid):
    with torch.no_grad():
        written = model.write(model.encode(torch.from_numpy(valid.symbols))[0]).numpy()
    found = recovered(valid.symbols, written)
    scores = weights.card("vae/dances").scores
    assert found.token == pytest.approx(scores["per token, decoding freely, valid"], abs=1e-3)
    assert found.onset == pytest.approx(scores["per onset, decoding freely, valid"], abs=1e-3)
    assert found.token >= 0.95
    assert found.exact >= 0.5


def test_its_samples_are_more_like_tunes_than_a_markov_chains(model, valid):
    drawn = repair(model.sample(500, seed=3).numpy())
    counted = repair(markov(vae_dances.split("train"), 500, seed=3))
    ours, theirs = (mean_overlap(valid.symbols, made, 16, most=500) for made in (drawn, counted))
    assert ours > theirs + 0.1
    found = faults(drawn, 16)
    assert found["outside the range"] == found["holds nothing"] == 0


def test_training_is_seeded(monkeypatch):
    """Two trainings on a few tunes agree, another seed's doesn't; the weights move."""
    few = datasets.base.Dataset("tunes", train=datasets.tunes().train[:60])
    monkeypatch.setattr(vae_dances, "EPOCHS", 1)
    monkeypatch.setattr(vae_dances.datasets, "tunes", lambda: few)
    first, again, other = (vae_dances.train(seed, progress=False) for seed in (1, 1, 2))
    assert first.config == weights.card("vae/dances").config
    for name, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
    assert not torch.equal(first.lift.weight, other.lift.weight)
