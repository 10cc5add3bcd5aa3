"""Nats per note, by hand and for both kinds of model."""

import numpy as np
import pytest
import torch

from mlmusic import Score
from mlmusic.metrics.likelihood import nats_by_context, nats_per_note, notes_in, token_nats
from mlmusic.models.ngram import NGram
from mlmusic.models.rnn import MelodyModel
from mlmusic.tokens import MelodyVocabulary

VOCABULARY = MelodyVocabulary()


def uniform(tokens, state=None):
    return torch.zeros(*tokens.shape, VOCABULARY.size), state


def test_by_hand():
    """A model that knows nothing needs log(size) for each token, bar lines and all."""
    score = Score([(0, 1, 60), (1, 4, 62)])  # the second note is tied across the bar line
    tokens = VOCABULARY.encode(score)
    assert VOCABULARY.text(tokens) == "START 4/4 C4:1 D4:3 BAR HOLD:1 END"
    assert notes_in([tokens], VOCABULARY).tolist() == [2]
    expected = 6 * np.log(VOCABULARY.size) / 2
    assert nats_per_note(uniform, [tokens], VOCABULARY) == pytest.approx(expected)


def test_batches_dont_matter():
    """Padding leaves no trace, and the order is the caller's."""
    torch.manual_seed(0)
    model = MelodyModel(30, embedding=8, hidden=8)
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, 30, length) for length in (9, 2, 30, 5, 17)]
    together = token_nats(model, rows, batch=4)
    assert model.training
    for row, nats in zip(rows, together, strict=True):
        assert nats.shape == (len(row) - 1,)
        np.testing.assert_allclose(nats, token_nats(model, [row])[0], atol=1e-5)
        logits = model.eval()(torch.from_numpy(row[None]))[0][0].log_softmax(-1).detach()
        assert nats[-1] == pytest.approx(-float(logits[-2, row[-1]]), abs=1e-5)
        model.train()


def test_ngrams_by_either_way():
    rng = np.random.default_rng(1)
    rows = [rng.integers(1, 9, 20) for _ in range(5)]
    model = NGram(2, 9).fit(rows)
    slow = token_nats(lambda tokens, state=None: model(tokens, state), rows)
    for a, b in zip(token_nats(model, rows), slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_context():
    """A bigram needs one token and gains nothing from more; a network uses what it is given."""
    rng = np.random.default_rng(2)
    rows = [rng.integers(1, 9, 40) for _ in range(6)]
    found = nats_by_context(NGram(1, 9).fit(rows), rows, [1, 4, 16], targets=50)
    assert list(found) == [1, 4, 16] and found[1] == pytest.approx(found[16])
    torch.manual_seed(0)
    model = MelodyModel(9, embedding=4, hidden=4).eval()
    all_targets = nats_by_context(model, rows, [3], targets=10_000)[3]
    logits = (
        torch.cat(
            [
                model(torch.from_numpy(row[None, i : i + 3]))[0][:, -1]
                for row in rows
                for i in range(37)
            ]
        )
        .log_softmax(-1)
        .detach()
    )
    targets = torch.tensor([row[i + 3] for row in rows for i in range(37)])
    assert all_targets == pytest.approx(-float(logits[range(len(targets)), targets].mean()))


def test_bad_input():
    for rows in ([], [[1]], [[[1, 2]]]):
        with pytest.raises(ValueError, match="at least two tokens"):
            token_nats(uniform, rows)
    with pytest.raises(ValueError, match="without notes"):
        nats_per_note(uniform, [[VOCABULARY.start, VOCABULARY.end]], VOCABULARY)
    with pytest.raises(ValueError, match="at least 1"):
        nats_by_context(uniform, [[1, 2, 3]], [0])
    with pytest.raises(ValueError, match="no sequence is longer than 9"):
        nats_by_context(uniform, [[1, 2, 3]], [9])
