"""Saliency where the answer is known: linear models, and a net that looks at one place only."""

import pytest
import torch
from torch import nn

from mlmusic.models.saliency import gradient_saliency, occlusion_saliency


class Linear(nn.Module):
    """Logits that are weighted sums, so that every cell's share is known."""

    def __init__(self, shape):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(3, *shape, generator=generator))
        self.dropout = nn.Dropout(0.9)

    def forward(self, x):
        return (self.dropout(x)[:, None] * self.weight).flatten(2).sum(dim=2)


def test_gradient_times_input_of_a_linear_model_is_its_share():
    model, x = Linear((4, 6)), torch.rand(4, 6)
    share = gradient_saliency(model, x, 1)
    torch.testing.assert_close(share, (model.weight[1] * x).detach())
    torch.testing.assert_close(share.sum(), model.eval()(x[None])[0, 1].detach())
    assert not share.requires_grad and x.grad is None and model.weight.grad is None


@pytest.mark.parametrize("shape", [(2, 6), (2, 5, 4)])
def test_occlusion_of_single_cells_of_a_linear_model_is_their_share(shape):
    model, x = Linear(shape), torch.rand(shape)
    fall = occlusion_saliency(model, x, 2, 1)
    torch.testing.assert_close(fall, (model.weight[2] * x).sum(dim=0).detach())


def test_occlusion_averages_over_the_patches_that_cover_a_cell():
    model = Linear((1, 4))
    x = torch.ones(1, 4)
    a, b, c, d = model.weight[0, 0].tolist()
    pairs = [a + b, b + c, c + d]
    expected = [pairs[0], (pairs[0] + pairs[1]) / 2, (pairs[1] + pairs[2]) / 2, pairs[2]]
    for batch in (1, 2, 256):
        found = occlusion_saliency(model, x, 0, 2, batch=batch)
        torch.testing.assert_close(found, torch.tensor(expected))


def test_occlusion_in_steps_covers_each_cell_once():
    model, x = Linear((1, 4, 6)), torch.rand(1, 4, 6)
    fall = occlusion_saliency(model, x, 0, (2, 3), step=(2, 3))
    blocks = (model.weight[0, 0] * x[0]).detach().reshape(2, 2, 2, 3).sum(dim=(1, 3))
    torch.testing.assert_close(fall, blocks.repeat_interleave(2, 0).repeat_interleave(3, 1))


def test_occlusion_with_another_fill():
    model, x = Linear((1, 3)), torch.full((1, 3), 5.0)
    assert occlusion_saliency(model, x, 0, 1, fill=5.0).abs().max() == 0


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training):
    model, x = Linear((1, 3)).train(training), torch.rand(1, 3)
    first = gradient_saliency(model, x, 0), occlusion_saliency(model, x, 0, 1)
    second = gradient_saliency(model, x, 0), occlusion_saliency(model, x, 0, 1)
    assert model.training is training
    for a, b in zip(first, second, strict=True):  # no dropout: the same again
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: gradient_saliency(m, x, 3), "classes 0 to 2"),
        (lambda m, x: gradient_saliency(m, x.long(), 0), "floats"),
        (lambda m, x: gradient_saliency(m, x[0], 0), "floats"),
        (lambda m, x: occlusion_saliency(m, x, -1, 1), "classes 0 to 2"),
        (lambda m, x: occlusion_saliency(m, x, 0, 9), "larger than the example"),
        (lambda m, x: occlusion_saliency(m, x, 0, (1, 1)), "must be 1 numbers"),
        (lambda m, x: occlusion_saliency(m, x, 0, 0), "must be 1 numbers"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(Linear((2, 6)), torch.rand(2, 6))
