"""Convolution against PyTorch's, receptive fields against gradients, the nets' promises."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlmusic.models.cnn import (
    CONNECTIONS,
    MelodyCNN,
    SpectrogramCNN,
    TokenCNN,
    conv1d,
    conv2d,
    parameters,
    receptive_field,
    width_for,
)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"padding": 3},
        {"dilation": 2},
        {"stride": 3, "padding": 2, "dilation": 2},
    ],
)
def test_conv1d_equals_torch(options, bias):
    x, weight = random(2, 3, 17), random(4, 3, 5, seed=1)
    b = random(4, seed=2) if bias else None
    torch.testing.assert_close(
        conv1d(x, weight, b, **options), F.conv1d(x, weight, b, **options), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": (2, 1)}, {"padding": (0, 2)}, {"dilation": (3, 1), "padding": 1, "stride": 2}],
)
def test_conv2d_equals_torch(options):
    x, weight, bias = random(2, 3, 11, 9), random(5, 3, 3, 2, seed=1), random(5, seed=2)
    torch.testing.assert_close(
        conv2d(x, weight, bias, **options), F.conv2d(x, weight, bias, **options), rtol=0, atol=1e-12
    )


def test_gradients_of_conv1d_equal_torch():
    weight = random(4, 3, 5, seed=1).requires_grad_()
    (mine,) = torch.autograd.grad(conv1d(random(2, 3, 9), weight).square().sum(), weight)
    (theirs,) = torch.autograd.grad(F.conv1d(random(2, 3, 9), weight).square().sum(), weight)
    torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(
    ("x", "weight", "options", "message"),
    [
        (random(3, 9), random(4, 3, 5), {}, "3 axes"),
        (random(2, 3, 9), random(4, 2, 5), {}, "second axes are the channels"),
        (random(2, 3, 4), random(4, 3, 5), {}, "larger than its padded input"),
        (random(2, 3, 9), random(4, 3, 5), {"stride": 0}, "at least 1"),
        (random(2, 3, 9), random(4, 3, 5), {"padding": -1}, "at least 0"),
    ],
)
def test_conv_bad_input(x, weight, options, message):
    with pytest.raises(ValueError, match=message):
        conv1d(x, weight, **options)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], (1, 1)),
        ([(5,)], (5, 1)),
        ([(3,), (2, 2), (3,)], (8, 2)),
        ([(3, 1, 1), (3, 1, 2), (3, 1, 4)], (15, 1)),
        ([(5, 2), (3, 1), (2, 2), (3, 1)], (19, 4)),
    ],
)
def test_receptive_field(layers, expected):
    assert receptive_field(layers) == expected


def test_receptive_field_is_where_gradients_come_from():
    layers = [(5, 2, 1), (3, 1, 2), (2, 2, 1), (3, 1, 1)]
    net = nn.Sequential(*(nn.Conv1d(1, 1, k, stride=s, dilation=d) for k, s, d in layers))
    for layer in net:
        nn.init.ones_(layer.weight)
    x = torch.zeros(1, 1, 101, requires_grad=True)
    y = net(x)
    seen = [torch.autograd.grad(y[0, 0, t], x, retain_graph=True)[0][0, 0] for t in (3, 4)]
    first, last = (int(each.nonzero()[0]) for each in seen), int(seen[0].nonzero()[-1])
    here, there = first
    assert (last - here + 1, there - here) == receptive_field(layers)


@pytest.mark.parametrize("layers", [[()], [(3, 1, 1, 1)], [(0,)], [(3, 0)]])
def test_receptive_field_bad_input(layers):
    with pytest.raises(ValueError, match="from 1 on"):
        receptive_field(layers)


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_melody_cnn(connection):
    net = MelodyCNN(7, 3, width=8, connection=connection).eval()
    assert net.receptive_field == 33
    x = random(2, 7, 64).float()
    assert net(x).shape == (2, 3)
    channels = 32 if connection == "dense" else 8
    assert net.features(x).shape == (2, channels, 64)
    # One place of the last layer sees 33 steps, 16 to either side, and no further.
    moved = x.clone()
    moved[:, :, 40] += 1
    changed = (net.features(moved) - net.features(x)).abs().amax(dim=(0, 1)) > 0
    assert not changed[:24].any() and not changed[57:].any() and changed[40]


def test_what_a_layer_is_connected_to():
    x = random(1, 5, 20).float()
    nets = {c: MelodyCNN(5, 2, width=4, dilations=(2,), connection=c).eval() for c in CONNECTIONS}
    for net in nets.values():
        net.first.load_state_dict(nets["plain"].first.state_dict())
        net.layers.load_state_dict(nets["plain"].layers.state_dict())
    first, plain = nets["plain"].first(x), nets["plain"].features(x)
    torch.testing.assert_close(nets["residual"].features(x), first + plain)
    torch.testing.assert_close(nets["dense"].features(x), torch.cat([first, plain], dim=1))


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_width_for_comes_near_the_budget(connection):
    width = width_for(connection, 20_000, 32, 3, kernel=3)
    near = parameters(MelodyCNN(32, 3, width=width, kernel=3, connection=connection))
    assert abs(near - 20_000) < 1_500
    for other in (width - 1, width + 1):
        size = parameters(MelodyCNN(32, 3, width=other, kernel=3, connection=connection))
        assert abs(size - 20_000) >= abs(near - 20_000)


def test_parameters_counts_what_is_trained():
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    net[1].requires_grad_(False)
    assert parameters(net) == 8


def test_melody_cnn_bad_input():
    with pytest.raises(ValueError, match="connection is 'skip'"):
        MelodyCNN(7, 3, connection="skip")
    with pytest.raises(ValueError, match="7 channels, steps"):
        MelodyCNN(7, 3)(torch.zeros(2, 6, 64))
    with pytest.raises(ValueError, match="even width 1"):
        width_for("plain", 10, 32, 3)


def test_token_cnn_ignores_padding():
    torch.manual_seed(0)
    net = TokenCNN(20, 3).eval()
    row = torch.randint(1, 20, (1, 9))
    longer = F.pad(row, (0, 6))
    torch.testing.assert_close(net(longer), net(row))
    other = torch.randint(1, 20, (1, 15))
    both = net(torch.cat([longer, other]))
    torch.testing.assert_close(both, torch.cat([net(row), net(other)]))


def test_token_cnn_reads_every_token():
    torch.manual_seed(0)
    net = TokenCNN(20, 3).eval()
    row = torch.randint(1, 19, (1, 9))
    for place in range(9):
        changed = row.clone()
        changed[0, place] += 1
        assert not torch.equal(net(changed), net(row))


def test_token_cnn_is_what_its_parts_give_by_hand():
    torch.manual_seed(0)
    net = TokenCNN(20, 3, embedding=4, channels=5, hidden=6, kernel=3).eval()
    row = torch.tensor([[3, 1, 4, 1, 5]])
    x = net.embed.weight[row].transpose(1, 2)
    x = conv1d(x, net.conv.weight, net.conv.bias, padding=1).clamp(min=0)
    states, _ = net.lstm(x.transpose(1, 2))
    torch.testing.assert_close(net(row), net.out(states[:, -1]))


def test_token_cnn_bad_input():
    with pytest.raises(ValueError, match="it must be odd"):
        TokenCNN(20, 3, kernel=4)
    with pytest.raises(ValueError, match="at least one in each row"):
        TokenCNN(20, 3)(torch.tensor([[1, 2], [0, 0]]))
    with pytest.raises(ValueError, match="at least one in each row"):
        TokenCNN(20, 3)(torch.tensor([1, 2]))


def test_spectrogram_cnn():
    net = SpectrogramCNN(15).eval()
    assert net(torch.zeros(2, 1, 64, 38)).shape == (2, 15)
    assert net(torch.zeros(1, 1, 16, 16)).shape == (1, 15)
    for shape in [(2, 64, 38), (2, 2, 64, 38), (2, 1, 64, 15)]:
        with pytest.raises(ValueError, match="16 bands and frames"):
            net(torch.zeros(shape))


def test_each_net_learns_a_rule():
    """Rising against falling: one step of a ramp in a melody, a corner that lights up in sound."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(64) % 2
    melodies = torch.rand(64, 4, 32, generator=generator)
    melodies[labels == 1, 2, 10:14] += 2
    tokens = torch.randint(1, 9, (64, 12), generator=generator)
    tokens[labels == 1, 5] = 9
    sounds = torch.rand(64, 1, 16, 16, generator=generator)
    sounds[labels == 1, :, :8, :8] += 1
    torch.manual_seed(0)
    for net, x in [
        (MelodyCNN(4, 2, width=8), melodies),
        (TokenCNN(10, 2), tokens),
        (SpectrogramCNN(2, width=4), sounds),
    ]:
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(60):
            optimizer.zero_grad()
            F.cross_entropy(net(x), labels).backward()
            optimizer.step()
        right = (net.eval()(x).argmax(dim=1) == labels).float().mean().item()
        assert right > 0.95, type(net).__name__
