"""The recipe of gan/melody: what it is trained on, and that the shipped model beats counting."""

import numpy as np
import pytest
import torch

from mlmusic import datasets, weights
from mlmusic.metrics.features import coverage, mean_overlap, share_in, uniqueness
from mlmusic.recipes import gan_melody
from mlmusic.windows import faults, markov


@pytest.fixture(scope="module")
def training():
    return gan_melody.cut("train")


@pytest.fixture(scope="module")
def made():
    return weights.load("gan/melody").sample(gan_melody.SAMPLES, seed=0)


def test_its_data(training):
    assert len(training) == 13_528 and "13,528" in gan_melody.DATA
    valid = gan_melody.cut("valid")
    assert share_in(valid.symbols, training.symbols) == 0


def test_the_shipped_model_beats_counting(training, made):
    real = gan_melody.cut("valid").symbols
    counted = markov(training, gan_melody.SAMPLES, seed=0)
    assert mean_overlap(real, made, 16) > mean_overlap(real, counted, 16) + 0.1
    assert coverage(real[:500], made[:500]) > coverage(real[:500], counted[:500]) + 0.1


def test_it_neither_copies_nor_collapses(training, made):
    human = share_in(gan_melody.cut("test").bars, training.bars)
    assert share_in(made.reshape(-1, 16), training.bars) < human + 0.05
    assert uniqueness(made) > 0.99
    found = faults(made, 16)
    assert found["outside the range"] == found["holds nothing"] == 0


def test_the_cards_score_comes_back(made):
    scores = weights.card("gan/melody").scores
    real = gan_melody.cut("test").symbols
    assert mean_overlap(real, made, 16) == pytest.approx(
        scores["mean overlap area, test"], abs=1e-3
    )


def test_training_is_seeded(monkeypatch):
    """Two trainings on a few tunes agree, another seed's doesn't."""
    few = datasets.base.Dataset("tunes", train=datasets.tunes().train[:30])
    monkeypatch.setattr(gan_melody, "STEPS", 2)
    monkeypatch.setattr(gan_melody.datasets, "tunes", lambda: few)
    first, again, other = (gan_melody.train(seed, progress=False) for seed in (1, 1, 2))
    assert first.config == weights.load("gan/melody").config
    for name, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
    assert not torch.equal(first.coarse.weight, other.coarse.weight)
    np.testing.assert_array_equal(first.sample(4, seed=0), again.sample(4, seed=0))
