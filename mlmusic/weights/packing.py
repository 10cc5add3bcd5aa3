"""Weights in fewer bits, so that larger models fit into the same file."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ":scale"
"""What is added to a weight's name for the scales of its rows."""


def pack(tensors: Mapping[str, Tensor], bits: int) -> dict[str, Tensor]:
    """Round weights to fewer bits.

    With 16 bits all are half-precision numbers. With 8, each row of a matrix is whole numbers from
    -127 to 127 times a scale of its own, and what isn't a matrix has 16 bits.

    Parameters
    ----------
    tensors : dict of name to tensor
    bits : {32, 16, 8}

    Returns
    -------
    dict
        With scales beside the weights for 8 bits. Whole numbers stay what they are.

    Raises
    ------
    ValueError
        If there is no such number of bits.
    """
    if bits not in (32, 16, 8):
        raise ValueError(f"weights are kept in 32, 16 or 8 bits, not {bits!r}")
    packed = {}
    for name, value in tensors.items():
        if not value.is_floating_point() or bits == 32:
            packed[name] = value
        elif bits == 16 or value.ndim < 2:
            packed[name] = value.half()
        else:
            largest = value.abs().amax(dim=-1, keepdim=True)  # (…, rows, 1)
            scale = (largest / 127).clamp(min=1e-7).half()  # half precision's smallest is 6e-8
            whole = (value / scale.to(value.dtype)).round().clamp(-127, 127)
            packed[name], packed[name + SCALE] = whole.to(torch.int8), scale
    return packed


def unpack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give packed weights back, rounded: float32 where there were scales or 16 bits."""
    found = {}
    for name, value in tensors.items():
        if name.endswith(SCALE):
            continue
        scale = tensors.get(name + SCALE)
        if scale is not None:
            value = value.float() * scale.float()
        elif value.dtype == torch.float16:
            value = value.float()
        found[name] = value
    return found
