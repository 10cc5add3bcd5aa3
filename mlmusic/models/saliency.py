"""What a network looks at: saliency by gradient and by occlusion, for any classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["gradient_saliency", "occlusion_saliency"]


def gradient_saliency(model: nn.Module, x: Tensor, target: int) -> Tensor:
    """Gradient times input: how much each input cell adds to a class's logit, to first order.

    K. Simonyan et al., "Deep inside convolutional networks", ICLR workshop, 2014; times the input
    by A. Shrikumar et al., "Not just a black box", 2016.

    Parameters
    ----------
    model : nn.Module
        Judged in eval mode, and left as it was.
    x : Tensor, (channels, ...)
        One example, without the batch axis.
    target : int
        The class.

    Returns
    -------
    Tensor
        Shaped like x; positive where the cell speaks for the class.
    """
    _check_example(x)
    was_training = model.training
    model.eval()
    try:
        x = x.detach().clone().requires_grad_()
        logits = model(x[None])
        _check_target(logits, target)
        (slope,) = torch.autograd.grad(logits[0, target], x)
    finally:
        model.train(was_training)
    return (slope * x).detach()


def occlusion_saliency(
    model: nn.Module,
    x: Tensor,
    target: int,
    size: int | tuple[int, ...],
    *,
    step: int | tuple[int, ...] = 1,
    fill: float = 0.0,
    batch: int = 256,
) -> Tensor:
    """Cover a patch, ask again, and note how far the class's logit falls.

    M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV, 2014.

    Parameters
    ----------
    model : nn.Module
        Judged in eval mode, and left as it was.
    x : Tensor, (channels, steps) or (channels, height, width)
        One example, without the batch axis. All channels are covered.
    target : int
        The class.
    size, step : int or tuple of int
        Of the patch along each axis after the channels, and how far it moves.
    fill : float
        What covers it.
    batch : int
        How many covered copies are judged at once.

    Returns
    -------
    Tensor
        (steps,) or (height, width): the mean, over the patches that cover a cell, of the logit's
        fall; 0 where none does.

    Raises
    ------
    ValueError
        If the patch is larger than x, or there is no such class.
    """
    _check_example(x)
    shape = x.shape[1:]
    size, step = ((n,) * len(shape) if isinstance(n, int) else tuple(n) for n in (size, step))
    if len(size) != len(shape) or len(step) != len(shape) or min(*size, *step) < 1:
        raise ValueError(f"size and step must be {len(shape)} numbers from 1 on for {tuple(shape)}")
    if any(s > n for s, n in zip(size, shape, strict=True)):
        raise ValueError(f"a patch of {size} is larger than the example, {tuple(shape)}")
    starts = torch.cartesian_prod(
        *(torch.arange(0, n - s + 1, k) for n, s, k in zip(shape, size, step, strict=True))
    ).reshape(-1, len(shape))
    patches = [
        tuple(slice(int(a), int(a) + s) for a, s in zip(at, size, strict=True)) for at in starts
    ]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            whole = model(x[None])
            _check_target(whole, target)
            falls = []
            for first in range(0, len(patches), batch):
                some = patches[first : first + batch]
                covered = x.expand(len(some), *x.shape).clone()
                for copy, patch in zip(covered, some, strict=True):
                    copy[(slice(None), *patch)] = fill
                falls.append(whole[0, target] - model(covered)[:, target])
    finally:
        model.train(was_training)
    total, count = x.new_zeros(shape), x.new_zeros(shape)
    for patch, fall in zip(patches, torch.cat(falls), strict=True):
        total[patch] += fall
        count[patch] += 1
    return total / count.clamp(min=1)


def _check_example(x: Tensor) -> None:
    if x.ndim < 2 or not x.is_floating_point():
        raise ValueError(
            f"x must be one example of floats, (channels, ...), not {x.dtype} of {tuple(x.shape)}"
        )


def _check_target(logits: Tensor, target: int) -> None:
    if not 0 <= target < logits.shape[-1]:
        raise ValueError(f"target is {target}; the model has classes 0 to {logits.shape[-1] - 1}")
