"""n-grams: smoothing by hand, proper probabilities, two ways to the same numbers."""

import numpy as np
import pytest
import torch

from mlmusic.models.ngram import NGram


def corpus(seed=0, vocabulary=7, pieces=12):
    rng = np.random.default_rng(seed)
    return [
        np.concatenate([[1], rng.integers(3, vocabulary, rng.integers(1, 30)), [2]])
        for _ in range(pieces)
    ]


def test_bigram_by_hand():
    """START a b a b END with a=3, b=4 and six tokens, worked out on paper."""
    model = NGram(1, 6).fit([[1, 3, 4, 3, 4, 2]])
    # Bigrams: START a once, a b twice, b a once, b END once: discount 3 / (3 + 2) = 0.6.
    # Unigrams count what they follow, not how often: a follows START and b, b follows a, END
    # follows b: counts 2, 1, 1, discount 2 / (2 + 2) = 0.5 of a total of 4, for three kinds.
    unigram = np.full(6, 0.5 * 3 / 4 / 6) + np.array([0, 0, 0.5, 1.5, 0.5, 0]) / 4
    after_a = 0.6 / 2 * unigram + np.array([0, 0, 0, 0, 1.4, 0]) / 2
    after_b = 0.6 * 2 / 2 * unigram + np.array([0, 0, 0.4, 0.4, 0, 0]) / 2
    np.testing.assert_allclose(model.probabilities([5]), unigram)  # c never occurred
    np.testing.assert_allclose(model.probabilities([3]), after_a)
    np.testing.assert_allclose(model.probabilities([3, 4]), after_b)
    np.testing.assert_allclose(model.nats([3, 4]), -np.log(after_a[4]))


@pytest.mark.parametrize("order", range(6))
def test_probabilities_are_proper(order):
    """Above 0, adding up to 1, in contexts seen and unseen, short and long."""
    pieces = corpus()
    model = NGram(order, 7).fit(pieces)
    for context in ([], [1], pieces[0][:3], pieces[1], [2, 2, 2, 2, 2, 2], [6, 1, 6, 1, 6, 1]):
        found = model.probabilities(context)
        assert found.shape == (7,) and (found > 0).all()
        assert found.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_nats_are_minus_log_probabilities(order):
    model, unseen = NGram(order, 7).fit(corpus()), corpus(seed=1)[0]
    expected = [-np.log(model.probabilities(unseen[:i])[unseen[i]]) for i in range(1, len(unseen))]
    np.testing.assert_allclose(model.nats(unseen), expected)


def test_longer_contexts_learn_longer_patterns():
    """In a a b a a b … one note back leaves a doubt that two notes back don't."""
    piece = [1, *[3, 3, 4] * 40, 2]
    nats = [NGram(order, 6).fit([piece]).nats(piece).mean() for order in (0, 1, 2)]
    assert nats[0] > nats[1] + 0.1 and nats[1] > nats[2] + 0.3


def test_called_like_a_network():
    """The state carries the context: in parts or in one go, the logits are the same."""
    pieces = corpus()
    model = NGram(2, 7).fit(pieces)
    tokens = torch.from_numpy(pieces[0][None, :8])
    whole, state = model(tokens)
    assert whole.shape == (1, 8, 7) and state.tolist() == tokens[:, -2:].tolist()
    np.testing.assert_allclose(whole[0, 5].exp(), model.probabilities(pieces[0][:6]), rtol=1e-5)
    first, state = model(tokens[:, :3])
    second, _ = model(tokens[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


def test_bad_input():
    for order, vocabulary in ((-1, 7), (1, 0), (9, 1000)):
        with pytest.raises(ValueError, match="is impossible"):
            NGram(order, vocabulary)
    with pytest.raises(ValueError, match="nothing to count"):
        NGram(1, 7).fit([[1], []])
    with pytest.raises(ValueError, match="ids from 0 to 6"):
        NGram(1, 7).fit([[1, 7]])
    with pytest.raises(ValueError, match="hasn't counted"):
        NGram(1, 7).nats([1, 2])
    with pytest.raises(ValueError, match=r"tokens must be \(batch, time\)"):
        NGram(1, 7).fit([[1, 2]])(torch.tensor([1, 2]))
