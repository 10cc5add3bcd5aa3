"""The recipe of rnn/gru: what it is trained on, and that the shipped model is worth its weights."""

import numpy as np
import pytest
import torch

from mlmusic import datasets, weights
from mlmusic.metrics.likelihood import nats_per_note
from mlmusic.models.ngram import NGram
from mlmusic.recipes import rnn_gru


@pytest.fixture(scope="module")
def tunes():
    return datasets.tunes()


def test_its_data(tunes):
    train = rnn_gru.encoded(tunes.train)
    assert len(train) == 3243 and "3,243" in rnn_gru.DATA
    assert rnn_gru.VOCABULARY.size == weights.load("rnn/gru").config["vocabulary"]
    some = [score for score in tunes.valid if len(rnn_gru.encoded([score]))][:20]
    for score, tokens in zip(some, rnn_gru.encoded(some), strict=True):
        decoded = rnn_gru.VOCABULARY.decode(tokens)
        for part in ("onset", "duration", "pitch"):
            np.testing.assert_allclose(decoded.notes[part], score.notes[part])


def test_the_shipped_model_beats_counting(tunes):
    model = weights.load("rnn/gru")
    valid = rnn_gru.encoded(tunes.valid[:80])
    counting = NGram(5, rnn_gru.VOCABULARY.size).fit(rnn_gru.encoded(tunes.train))
    best = nats_per_note(counting, valid, rnn_gru.VOCABULARY)
    assert nats_per_note(model, valid, rnn_gru.VOCABULARY) < best - 0.3


def test_training_is_seeded(tunes, monkeypatch):
    """Two trainings on a few tunes agree, another seed's doesn't; the weights move."""
    few = datasets.base.Dataset("tunes", train=tunes.train[:30])
    monkeypatch.setattr(rnn_gru, "EPOCHS", 1)
    monkeypatch.setattr(rnn_gru.datasets, "tunes", lambda: few)
    first, again, other = (rnn_gru.train(seed, progress=False) for seed in (1, 1, 2))
    assert first.config == weights.load("rnn/gru").config
    for name, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
    assert not torch.equal(first.scores.weight, other.scores.weight)
