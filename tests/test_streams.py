"""Streams for truncated backpropagation: nothing is lost, states are carried, gradients are cut."""

import numpy as np
import pytest
import torch

from mlmusic import Score, fit
from mlmusic.models.rnn import KINDS, MelodyModel
from mlmusic.streams import Streams, carried_loss, cosine_adam, padded, transposable, transpose
from mlmusic.tokens import MelodyVocabulary

VOCABULARY = MelodyVocabulary()


def rows(count=9, seed=0):
    rng = np.random.default_rng(seed)
    return [np.array([1, *rng.integers(4, 20, rng.integers(5, 30)), 2]) for _ in range(count)]


def test_lanes_hold_the_tunes_one_after_the_other():
    pieces = rows(20)
    streams = Streams(pieces, lanes=2, steps=8, seed=1)
    batches = list(streams)
    assert len(batches) == len(streams) and batches[0][2].tolist() == [True, True]
    found = []
    for lane in range(2):
        for x, y, fresh in batches:
            if fresh[lane]:
                found.append([int(x[lane, 0])])  # a tune begins only here, with START
                assert found[-1] == [1]
            assert (x[lane] == 1).sum() == (1 if fresh[lane] else 0)
            found[-1] += [token for token in y[lane].tolist() if token]
            filled = int((y[lane] > 0).sum())
            assert torch.equal(x[lane, 1:filled], y[lane, : filled - 1])
    whole = [tune for tune in found if tune[-1] == 2]
    assert {tuple(tune) for tune in whole} <= {tuple(piece.tolist()) for piece in pieces}
    assert len(whole) >= len(pieces) - 4  # what filled no batch of both lanes is left out
    assert not torch.equal(next(iter(streams))[0], batches[0][0])  # drawn anew
    again = Streams(pieces, lanes=2, steps=8, seed=1)
    assert all(torch.equal(a[1], b[1]) for a, b in zip(again, batches, strict=True))


def test_forgetting():
    streams = Streams(rows(40), lanes=2, steps=4, forget=0.5)
    fresh = [(bool(f), int(x[0])) for xs, _, fs in streams for x, f in zip(xs, fs, strict=True)]
    assert all(forgets for forgets, first in fresh if first == 1)
    middle = [forgets for forgets, first in fresh if first not in (0, 1)]
    assert 0.3 < np.mean(middle) < 0.7


def test_transposing_tokens_is_transposing_scores():
    score = Score([(0, 1, 60), (1, 2.5, 67), (4, 1, 64)], title="x")
    tokens = VOCABULARY.encode(score)
    for semitones in (-5, 0, 7):
        moved = VOCABULARY.encode(score.transpose(semitones))
        assert transpose(tokens, semitones, VOCABULARY).tolist() == moved.tolist()
    assert transposable(tokens, VOCABULARY, 5) == list(range(-5, 6))
    assert transposable(tokens, VOCABULARY, 40) == list(range(48 - 60, 95 - 67 + 1))
    assert transposable(tokens[:1], VOCABULARY, 5) == [0]
    with pytest.raises(ValueError, match="out of the vocabulary's 48–95"):
        transpose(tokens, 30, VOCABULARY)


def test_shifted_epochs_keep_the_intervals():
    tokens = VOCABULARY.encode(Score([(i, 1, 60 + i) for i in range(4)]))
    streams = Streams([tokens], lanes=1, steps=len(tokens) - 1, transposed=(VOCABULARY, 5), seed=0)
    firsts = set()
    for _ in range(20):
        ((_, targets, _),) = streams
        pitches = VOCABULARY.pitches[targets[0, 1:5].numpy()]
        assert np.diff(pitches).tolist() == [1, 1, 1]
        firsts.add(int(pitches[0]))
    assert len(firsts) > 5 and firsts <= set(range(55, 66))


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_carried_and_cut(kind):
    torch.manual_seed(0)
    model = MelodyModel(20, kind=kind, embedding=4, hidden=4, layers=3, dropout=0)
    loss, x = carried_loss(), torch.randint(1, 20, (2, 12))
    loss(model, (x[:, :6], x[:, 1:7], torch.tensor([True, True])))
    carried = loss(model, (x[:, 6:11], x[:, 7:], torch.tensor([False, True])))
    first, second = model(x[:1, :11])[0][:, 6:], model(x[1:, 6:11])[0]  # the second forgot
    logits = torch.cat([first, second]).flatten(0, 1)
    expected = torch.nn.functional.cross_entropy(logits, x[:, 7:].flatten())
    torch.testing.assert_close(carried, expected)
    model.zero_grad()
    carried.backward()
    seen, then = set(x[:, 6:11].flatten().tolist()), set(x[:, :6].flatten().tolist())
    cut = sorted(then - seen)
    assert cut and not model.embed.weight.grad[cut].any()


def test_padding_doesnt_count():
    torch.manual_seed(0)
    model, pieces = MelodyModel(20, embedding=4, hidden=4).eval(), rows(5)
    ((x, y, fresh),) = padded(pieces)
    assert fresh.all() and len(x) == 5 and (y == 0).any()
    total = sum(
        carried_loss()(model, (torch.tensor(p[None, :-1]), torch.tensor(p[None, 1:]), fresh[:1]))
        * (len(p) - 1)
        for p in pieces
    )
    expected = total / sum(len(p) - 1 for p in pieces)
    torch.testing.assert_close(carried_loss()(model, (x, y, fresh)), expected)


def test_training_with_it():
    """A pattern of period three is learned, and the learning rate goes up and down."""
    pieces = [np.array([1, *[3, 4, 5] * 10, 2])] * 20
    model = MelodyModel(6, embedding=8, hidden=16)
    streams = Streams(pieces, lanes=4, steps=16)
    rates = []

    def make(parameters):
        optimizer = cosine_adam(0.02, 4 * len(streams), warmup=5)(parameters)
        optimizer.register_step_pre_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
        return optimizer

    history = fit(
        model, streams, loss=carried_loss(), epochs=4, optimizer=make, clip=1, progress=False
    )
    assert history.train[-1] < 0.3 < history.train[0]
    assert rates[0] == pytest.approx(0.004) and max(rates) > 0.018 and rates[-1] < 0.0015


def test_bad_input():
    for pieces in ([], [[1, 2], [1]]):
        with pytest.raises(ValueError, match="at least two tokens"):
            Streams(pieces)
    for wrong in ({"lanes": 0}, {"steps": 0}, {"forget": 2}):
        with pytest.raises(ValueError, match="lanes and steps must be positive, forget"):
            Streams(rows(), **wrong)
    for arguments in ((0, 5), (0.1, 0)):
        with pytest.raises(ValueError, match="must be positive"):
            cosine_adam(*arguments)
