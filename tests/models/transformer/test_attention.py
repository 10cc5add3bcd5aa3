"""Attention: equal to PyTorch's, causal, blind to absolute positions, and cached."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from mlmusic.models.transformer.attention import (
    Block,
    Cache,
    Dropout,
    SelfAttention,
    Trunk,
    attention,
    causal_mask,
    rotary,
    rotate,
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_a_case_that_one_can_check_on_paper():
    """Two keys: the query fits the first by ln 3 more, so that it gets three quarters."""
    q = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    k = torch.tensor([[2 * torch.log(torch.tensor(3.0)), 0, 0, 0], [0, 5, 0, 0]])
    v = torch.tensor([[4.0, 0.0], [0.0, 8.0]])
    values, weights = attention(q, k, v)
    torch.testing.assert_close(weights, torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(values, torch.tensor([[3.0, 2.0]]))


@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_pytorch(masked):
    q, k, v = torch.randn(3, 2, 4, 9, 8).unbind()
    mask = causal_mask(9) if masked else None
    values, weights = attention(q, k, v, mask)
    peer = functional.scaled_dot_product_attention(q, k, v, is_causal=masked)
    torch.testing.assert_close(values, peer, atol=1e-5, rtol=0)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 9))
    if masked:
        assert (weights.triu(1) == 0).all()


def test_the_mask_of_the_last_queries():
    assert causal_mask(2, 4).tolist() == [[True, True, True, False], [True] * 4]
    assert torch.equal(causal_mask(3), torch.ones(3, 3).tril().bool())


@pytest.mark.parametrize(
    ("k", "v"), [((5, 3), (5, 4)), ((5, 4), (6, 4))], ids=["another length", "a value too many"]
)
def test_shapes_that_do_not_fit(k, v):
    with pytest.raises(ValueError, match="queries and keys must be equally long"):
        attention(torch.zeros(2, 4), torch.zeros(k), torch.zeros(v))


def test_rotation_keeps_lengths_and_knows_only_distances():
    q, k = torch.randn(2, 16, dtype=torch.float64)
    products = []
    for first in (0, 3, 70):
        cos, sin = rotary(torch.tensor([first, first + 5]), 16)
        turned_q = rotate(q[None], cos[1:], sin[1:])
        turned_k = rotate(k[None], cos[:1], sin[:1])
        torch.testing.assert_close(turned_q.norm(), q.norm())
        products.append((turned_q * turned_k).sum())
    torch.testing.assert_close(torch.stack(products), products[0].expand(3), atol=1e-5, rtol=0)
    cos, sin = rotary(torch.tensor([0, 6]), 16)
    assert (
        rotate(q[None], cos[1:], sin[1:]) * rotate(k[None], cos[:1], sin[:1])
    ).sum() != products[0]


def test_a_block_equals_pytorch_s_layer():
    block = Block(24, 3, dropout=0.0, rotary=False)
    peer = nn.TransformerEncoderLayer(
        24, 3, 96, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    pairs = {
        "norm1": block.norm1,
        "norm2": block.norm2,
        "linear1": block.mlp[0],
        "linear2": block.mlp[2],
        "self_attn.out_proj": block.attention.mix,
    }
    state = {f"{name}.{k}": v for name, part in pairs.items() for k, v in part.state_dict().items()}
    state["self_attn.in_proj_weight"] = block.attention.project.weight
    state["self_attn.in_proj_bias"] = block.attention.project.bias
    for value in state.values():
        nn.init.normal_(value, std=0.3)
    peer.load_state_dict(state)
    x = torch.randn(2, 11, 24)
    expected = peer(x, src_mask=~causal_mask(11))
    torch.testing.assert_close(block(x)[0], expected, atol=1e-5, rtol=0)


def test_later_steps_never_change_earlier_ones():
    trunk = Trunk(24, 2, 2, dropout=0.0)
    x = torch.randn(1, 10, 24)
    other = x.clone()
    other[:, 6:] += 1
    before, after = trunk(x)[0], trunk(other)[0]
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


@pytest.mark.parametrize("parts", [[1] * 12, [5, 1, 1, 5], [4, 8], [12]])
def test_the_cache_changes_nothing(parts):
    trunk = Trunk(24, 2, 2, dropout=0.0).double()
    x = torch.randn(3, 12, 24, dtype=torch.float64)
    caches, found = trunk.caches(), []
    for part in x.split(parts, dim=1):
        y, caches = trunk(part, caches)
        found.append(y)
    assert [cache.length for cache in caches] == [12, 12]
    torch.testing.assert_close(torch.cat(found, 1), trunk(x)[0], atol=1e-12, rtol=0)


def test_single_steps_in_bfloat16_and_outside_of_inference_mode():
    """Single steps go a way of their own: it's as near."""
    trunk, x = Trunk(24, 2, 2, dropout=0.0).eval(), torch.randn(2, 5, 24)

    def stepwise():
        caches, found = trunk.caches(), []
        for part in x.split(1, dim=1):
            y, caches = trunk(part, caches)
            found.append(y)
        return torch.cat(found, 1)

    with torch.inference_mode():
        torch.testing.assert_close(stepwise(), trunk(x)[0], atol=1e-5, rtol=0)
        with torch.autocast("cpu", torch.bfloat16):
            near = stepwise()
        torch.testing.assert_close(near.float(), trunk(x)[0], atol=5e-2, rtol=0)
    # What was computed in inference mode isn't used where gradients are recorded.
    torch.testing.assert_close(stepwise(), trunk(x)[0], atol=1e-5, rtol=0)


def test_two_continuations_of_one_cache_do_not_disturb_each_other():
    steps = torch.arange(200.0).view(1, 1, 200, 1)
    start, _, _ = Cache().append(steps[:, :, :3], -steps[:, :, :3])
    left, keys, _ = start.append(steps[:, :, 10:12], -steps[:, :, 10:12])
    right, other, _ = start.append(steps[:, :, 20:120], -steps[:, :, 20:120])
    assert keys.flatten().tolist() == [0, 1, 2, 10, 11]
    assert other.flatten().tolist() == [0, 1, 2, *range(20, 120)]
    _, keys, values = left.append(steps[:, :, 12:13], -steps[:, :, 12:13])
    assert keys.flatten().tolist() == [0, 1, 2, 10, 11, 12]
    assert torch.equal(values, -keys)
    assert (start.length, left.length, right.length) == (3, 5, 103)


def test_weights_are_those_that_the_layer_uses():
    layer = SelfAttention(16, 2)
    x = torch.randn(1, 7, 16)
    _, _, values = layer.split(x)
    mixed = layer.mix((layer.weights(x) @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(mixed, layer(x)[0], atol=1e-5, rtol=0)


def test_bfloat16_is_near():
    layer = SelfAttention(16, 2)
    x = torch.randn(2, 7, 16)
    with torch.autocast("cpu", torch.bfloat16):
        near = layer(x)[0]
    torch.testing.assert_close(near.float(), layer(x)[0], atol=2e-2, rtol=0)


@pytest.mark.parametrize(("width", "heads"), [(10, 3), (6, 2), (8, 0)])
def test_impossible_widths(width, heads):
    with pytest.raises(ValueError, match="width must be an even multiple of heads"):
        SelfAttention(width, heads)
    if heads == 2:
        SelfAttention(width, heads, rotary=False)


def test_dropout_hides_its_share_and_keeps_the_mean():
    layer = Dropout(0.25)
    x = torch.ones(1000, 333)
    dropped = layer(x)
    assert (dropped == 0).float().mean() == pytest.approx(0.25, abs=0.005)
    assert dropped.mean() == pytest.approx(1, abs=0.01)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    rows = (dropped == 0).float()
    assert torch.corrcoef(torch.stack([rows[:, 0], rows[:, 1]]))[0, 1].abs() < 0.15
    assert torch.equal(layer.eval()(x), x)
    torch.manual_seed(5)
    first = layer.train()(x)
    torch.manual_seed(5)
    assert torch.equal(layer(x), first)


@pytest.mark.parametrize("share", [-0.1, 1, float("nan")])
def test_impossible_dropout(share):
    with pytest.raises(ValueError, match="dropout must be at least 0 and below 1"):
        Dropout(share)
