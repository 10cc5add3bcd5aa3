"""The transformer over tokens: causal, cached, cyclic, with controls in front."""

import numpy as np
import pytest
import torch
from torch import nn

from mlmusic import Score, fit
from mlmusic.metrics.likelihood import token_nats
from mlmusic.models.transformer.decoder import Transformer
from mlmusic.sampling import generate, generate_batch
from mlmusic.tokens import ControlVocabulary, GridVocabulary, SATBVocabulary


def model(seed=0, **options):
    """Its weights are large, so that its logits differ much."""
    torch.manual_seed(seed)
    options = {"width": 16, "layers": 2, "heads": 2, "context": 80} | options
    built = Transformer(11, **options)
    for parameter in built.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.4)
    return built.eval()


def tokens(*shape):
    return torch.randint(0, 11, shape, generator=torch.Generator().manual_seed(1))


def test_later_tokens_never_change_earlier_logits():
    built, row = model(cycles=(4, 12)), tokens(1, 20)
    other = row.clone()
    other[0, 12:] = (other[0, 12:] + 1) % 11
    before, after = built(row)[0], built(other)[0]
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12:], after[:, 12:])


def test_the_cache_gives_the_same_logits():
    built, rows = model(cycles=(4,)), tokens(2, 60)
    whole = built(rows)[0]
    state, parts = None, []
    for token in rows.split(1, dim=1):
        logits, state = built(token, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", range(20))
def test_the_cache_gives_the_same_tokens(seed):
    """In float64, against a model that reads everything again for each token."""
    built = model(seed, cycles=(4, 12)).double()
    read = []

    def slowly(new, state):
        read.append(new)
        return built(torch.cat(read, 1))[0], "read"

    options = {"temperature": 1.1, "nucleus": 0.98, "seed": seed}
    assert generate(built, [1, 3], 60, **options) == generate(slowly, [1, 3], 60, **options)


def test_a_batch_writes_what_each_would_write_alone():
    built = model().double()
    prompts = tokens(5, 4).tolist()
    found = generate_batch(built, prompts, 30, temperature=0.9, top_k=8, seed=3)
    assert found == [
        generate(built, prompt, 30, temperature=0.9, top_k=8, seed=3 + i)
        for i, prompt in enumerate(prompts)
    ]
    assert len({tuple(row) for row in found}) == 5
    stopped = generate_batch(built, prompts, 30, stop=2, seed=3)
    for row, free in zip(stopped, generate_batch(built, prompts, 30, seed=3), strict=True):
        end = free.index(2, 4) + 1 if 2 in free[4:] else len(free)
        assert row == free[:end]
    assert min(map(len, stopped)) < 34
    mask = np.arange(11) == 5
    assert generate_batch(built, prompts, 3, allowed=mask, seed=0)[0][4:] == [5, 5, 5]


def test_training_goes_on_after_writing():
    built = model()
    generate(built, [1], 20, seed=0)
    logits, _ = built.train()(tokens(1, 5))
    logits.sum().backward()
    assert built.embed.weight.grad.abs().sum() > 0


def test_temperature_0_takes_the_likeliest():
    built, row = model(), [1, 4]
    for _ in range(10):
        row.append(int(built(torch.tensor([row]))[0][0, -1].argmax()))
    for seed in (1, 2):
        assert generate(built, [1, 4], 10, temperature=0, seed=seed) == row


def test_cycles_begin_after_the_lead():
    """With no other weights the logits repeat with the cycle, whose first place is token `lead`."""
    built = model(cycles=(3,), lead=2)
    nn.init.zeros_(built.embed.weight)
    for block in built.trunk.blocks:  # neither looks around nor thinks
        nn.init.zeros_(block.attention.mix.weight)
        nn.init.zeros_(block.mlp[2].weight)
    logits = built(tokens(1, 12))[0][0]
    torch.testing.assert_close(logits[1], logits[4])
    torch.testing.assert_close(logits[2:5], logits[5:8])
    assert not torch.allclose(logits[1], logits[2])
    expected = built.scores(built.trunk(built.cycles[0].weight[None, :1])[0])[0, 0]
    torch.testing.assert_close(logits[1], expected)  # predicts token 2, the first of the music


def test_attention_weights():
    built, row = model(), tokens(1, 9)
    weights = built.train().weights(row)
    assert built.training
    assert weights.shape == (2, 1, 2, 9, 9)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 1, 2, 9))
    assert (weights.triu(1) == 0).all()


def test_it_learns_what_stands_far_back():
    """The last token is the first one: a model that looks back 12 tokens must find it."""
    rows = torch.cat([tokens(256, 12), tokens(256, 12)[:, :1]], 1)

    def loss(built, batch):
        (row,) = batch
        logits, state = built(row[:, :-1])
        assert state is None  # training keeps no cache
        return nn.functional.cross_entropy(logits[:, -1], row[:, -1])

    built = Transformer(11, width=32, layers=2, heads=2, dropout=0.0)
    fit(built, [(rows,)], loss=loss, epochs=60, lr=0.01, progress=False)
    fresh = torch.randint(0, 11, (100, 12), generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        right = built.eval()(fresh)[0][:, -1].argmax(-1) == fresh[:, 0]
    assert right.float().mean() > 0.95


def test_likelihood_adds_up_to_one():
    """The probabilities of all continuations by two tokens."""
    built = model().double()
    pairs = torch.cartesian_prod(torch.arange(11), torch.arange(11))
    rows = torch.cat([torch.tensor([[1, 7]]).expand(121, 2), pairs], 1)
    nats = np.stack(token_nats(built, list(rows.numpy())))
    assert np.exp(-nats[:, 1:].sum(1)).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (torch.zeros(3, dtype=torch.int64), "int64 of shape"),
        (torch.zeros(2, 0, dtype=torch.int64), "with a step"),
        (torch.zeros(2, 3), "int64 of shape"),
        (torch.zeros(1, 81, dtype=torch.int64), "81 tokens are more than the 80"),
    ],
)
def test_tokens_that_cannot_be_read(rows, message):
    with pytest.raises(ValueError, match=message):
        model()(rows)


def test_generation_is_refused_before_it_begins():
    built = model()
    with pytest.raises(ValueError, match="a prompt of 79 tokens and 3 new ones are more than the"):
        generate(built, [1] * 79, 3, seed=0)
    assert len(generate(built, [1] * 79, 2, seed=0)) == 81
    with pytest.raises(ValueError, match="the prompt needs a token"):
        generate(built, [], 3, seed=0)
    with pytest.raises(ValueError, match="the prompt needs a token"):
        generate_batch(built, [[], []], 3, seed=0)
    with pytest.raises(ValueError, match="prompts of one length"):
        generate_batch(built, [[1], [1, 2]], 3, seed=0)
    with pytest.raises(ValueError, match="prompts of one length, at least one"):
        generate_batch(built, [], 3, seed=0)
    with pytest.raises(ValueError, match="steps must be 0 or more"):
        generate_batch(built, [[1]], -1, seed=0)


@pytest.mark.parametrize(
    "options",
    [{"layers": 0}, {"context": 0}, {"lead": 0}, {"cycles": (4, 0)}, {"heads": 3}, {"width": 6}],
)
def test_impossible_models(options):
    with pytest.raises(ValueError, match="must be"):
        model(**options)


# Control tokens -------------------------------------------------------------------------------


@pytest.fixture
def vocabulary():
    return ControlVocabulary(SATBVocabulary(), mode=("major", "minor"), metre=("4/4", "3/4", "3/2"))


SCORE = Score([(0, 1, 60, 80, v) for v in range(4)])


def test_controls_stand_in_front(vocabulary):
    found = vocabulary.encode(SCORE, metre="3/4")
    assert vocabulary.text(found).startswith("mode=any metre=3/4 START C4 C4 C4 C4 HOLD")
    assert vocabulary.lead == 3
    assert found[: vocabulary.lead].tolist() == vocabulary.prefix(metre="3/4")
    assert vocabulary.decode(found) == vocabulary.music.decode(vocabulary.music.encode(SCORE))
    assert vocabulary.decode(vocabulary.music.encode(SCORE)) == vocabulary.decode(found)
    assert (vocabulary.pitches[: vocabulary.music.size] == vocabulary.music.pitches).all()
    assert (vocabulary.pitches[vocabulary.music.size :] == -3).all()
    assert vocabulary.size == len(set(vocabulary.names)) == vocabulary.music.size + 7


def test_hiding_controls(vocabulary):
    found = vocabulary.encode(SCORE, mode="minor", metre="3/4")
    rng = np.random.default_rng(0)
    hidden = [vocabulary.hide(found, 0.3, rng) for _ in range(400)]
    for place, name in enumerate(("mode=any", "metre=any")):
        share = np.mean([vocabulary.names[row[place]] == name for row in hidden])
        assert share == pytest.approx(0.3, abs=0.07)
    assert all((row[2:] == found[2:]).all() for row in hidden)
    assert vocabulary.names[found[0]] == "mode=minor"


def test_a_model_learns_to_obey():
    """Tokens 5 to 7 after one control, 8 to 10 after the other."""
    vocabulary = ControlVocabulary(GridVocabulary(low=60, high=65), way=("low", "high"))
    rng = np.random.default_rng(0)
    rows = []
    for i in range(128):
        body = rng.integers(5, 8, 10) + 3 * (i % 2)
        rows.append([*vocabulary.prefix(way=("low", "high")[i % 2]), *body])
    rows = torch.tensor(rows)

    def loss(built, batch):
        logits, _ = built(batch[:, :-1])
        return nn.functional.cross_entropy(logits[:, 1:].flatten(0, 1), batch[:, 2:].flatten())

    built = Transformer(vocabulary.size, width=16, layers=1, heads=1, lead=vocabulary.lead)
    fit(built, [rows], loss=loss, epochs=60, lr=0.02, progress=False)
    for way, lowest in (("low", 60), ("high", 63)):
        found = generate_batch(built, [vocabulary.prefix(way=way)] * 8, 10, seed=0)
        pitches = vocabulary.pitches[np.array(found)[:, vocabulary.lead :]]
        assert ((pitches >= lowest) & (pitches < lowest + 3)).all()


def test_controls_that_do_not_exist(vocabulary):
    with pytest.raises(ValueError, match="no control 'key': there are mode, metre"):
        vocabulary.prefix(key="G major")
    with pytest.raises(ValueError, match="metre can't be '7/8': choose from any, 4/4, 3/4, 3/2"):
        vocabulary.encode(SCORE, metre="7/8")
    with pytest.raises(ValueError, match="name at least one control"):
        ControlVocabulary(SATBVocabulary())
    with pytest.raises(ValueError, match="mode has a value twice"):
        ControlVocabulary(SATBVocabulary(), mode=("major", "major"))
    found = vocabulary.encode(SCORE, mode="major")
    found[5] = found[0]
    with pytest.raises(ValueError, match="mode=major at position 5 isn't in front of the music"):
        vocabulary.decode(found)
