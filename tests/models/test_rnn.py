"""The recurrent cells against PyTorch's, the convolution against a loop, the melody model."""

import pytest
import torch
from torch import nn

from mlmusic.models.rnn import (
    KINDS,
    CausalConv,
    DilatedConv,
    GRUCell,
    LSTMCell,
    MelodyModel,
    RNNCell,
    count_parameters,
    detach,
    unroll,
)


@pytest.mark.parametrize(
    "ours, theirs", [(RNNCell, nn.RNN), (LSTMCell, nn.LSTM), (GRUCell, nn.GRU)]
)
def test_cells_equal_torchs_layers(ours, theirs):
    """The same weights give the same outputs, last state and gradients."""
    torch.manual_seed(1)
    layer, cell = theirs(5, 7, batch_first=True), ours(5, 7)
    weights = {name.removesuffix("_l0"): value for name, value in layer.state_dict().items()}
    cell.load_state_dict(weights)
    x = torch.randn(3, 11, 5)
    expected, last = layer(x)
    found, state = unroll(cell, x)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    for a, b in zip(
        state if isinstance(state, tuple) else [state],
        last if isinstance(last, tuple) else [last],
        strict=True,
    ):
        torch.testing.assert_close(a, b[0], atol=1e-5, rtol=0)
    expected.square().sum().backward()
    found.square().sum().backward()
    torch.testing.assert_close(cell.weight_hh.grad, layer.weight_hh_l0.grad, atol=1e-4, rtol=1e-4)


def test_a_cell_goes_on_where_it_stopped():
    torch.manual_seed(2)
    cell, x = LSTMCell(4, 6), torch.randn(2, 9, 4)
    whole, _ = unroll(cell, x)
    first, state = unroll(cell, x[:, :4])
    second, _ = unroll(cell, x[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    with pytest.raises(ValueError, match=r"\(batch, time, inputs\)"):
        unroll(cell, x[0])


def test_causal_convolution_by_hand():
    """Kernel 2, dilation 2: each output is a weighted sum of this input and the one two before."""
    conv = CausalConv(1, 1, dilation=2)
    with torch.no_grad():
        conv.conv.weight.copy_(torch.tensor([[[10.0, 1.0]]]))
        conv.conv.bias.zero_()
    found, past = conv(torch.tensor([[[1.0], [2], [3], [4]]]))
    assert found.flatten().tolist() == [1, 2, 13, 24]
    assert past.flatten().tolist() == [3, 4]
    assert conv(torch.tensor([[[5.0]]]), past)[0].flatten().tolist() == [35]


def test_causal_convolution_equals_torchs():
    torch.manual_seed(2)
    conv, x = CausalConv(3, 5, kernel=3, dilation=2), torch.randn(2, 9, 3)
    expected = conv.conv(torch.nn.functional.pad(x.transpose(1, 2), (4, 0))).transpose(1, 2)
    torch.testing.assert_close(conv(x)[0], expected)


def test_the_stack_reaches_as_far_as_it_says():
    torch.manual_seed(3)
    stack = DilatedConv(4, 3)
    x = torch.randn(1, 20, 4, requires_grad=True)
    stack(x)[0][0, 15].sum().backward()
    heard = x.grad[0].abs().sum(dim=1).nonzero().flatten().tolist()
    assert stack.reach == 8 and heard == list(range(8, 16))


@pytest.mark.parametrize("kind", KINDS)
def test_melody_model(kind):
    """Logits never depend on later tokens, and a call goes on where the last one stopped."""
    torch.manual_seed(4)
    model = MelodyModel(30, kind=kind, embedding=8, hidden=12, layers=2).eval()
    tokens = torch.randint(30, (3, 10))
    logits, _ = model(tokens)
    assert logits.shape == (3, 10, 30)
    other = tokens.clone()
    other[:, 6:] = (other[:, 6:] + 1) % 30
    changed = (model(other)[0] - logits).abs().amax(dim=(0, 2)) > 1e-6
    assert changed.tolist() == [False] * 6 + [True] * 4
    first, state = model(tokens[:, :3])
    second, state = model(tokens[:, 3:4], detach(state))
    third, _ = model(tokens[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second, third], dim=1), logits)


def test_config_rebuilds_the_architecture():
    model = MelodyModel(30, kind="lstm", embedding=8, hidden=12, layers=2, dropout=0.3)
    twin = MelodyModel(**model.config)
    twin.load_state_dict(model.state_dict())
    assert (
        count_parameters(twin)
        == count_parameters(model)
        == sum(value.numel() for value in model.state_dict().values())
    )


def test_detached_states_carry_no_gradient():
    for kind in KINDS:
        _, state = MelodyModel(9, kind=kind, embedding=4, hidden=4)(torch.tensor([[1, 2]]))
        cut = detach(state)
        parts = [cut] if isinstance(cut, torch.Tensor) else cut
        assert len(parts) and not any(part.requires_grad for part in parts)
    assert detach(None) is None


def test_bad_input():
    with pytest.raises(ValueError, match="kind must be one of rnn, lstm, gru, conv"):
        MelodyModel(9, kind="GRU")
    with pytest.raises(ValueError, match="hidden must be a positive whole number"):
        MelodyModel(9, hidden=0)
    model = MelodyModel(9, embedding=4, hidden=4)
    for tokens in (torch.zeros(3, dtype=int), torch.zeros(1, 0, dtype=int), torch.zeros(1, 2)):
        with pytest.raises(ValueError, match="tokens must be int64 of shape"):
            model(tokens)
