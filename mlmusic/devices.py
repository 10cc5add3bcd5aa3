"""Where to compute: the CPU or a GPU, in which numbers, and whether memory is enough."""

from __future__ import annotations

import os

import torch


def checked_device(name: str) -> torch.device:
    """Return a device to train on: with ``"auto"`` this process's GPU, or the CPU.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    if name == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ValueError(f"there is no device {name!r} here: auto takes what there is") from None
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether the hardware multiplies matrices of bfloat16: NVIDIA from Ampere on, AMX."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)  # from torch 2.5 on
    return device.type == "cpu" and amx is not None and amx()


def out_of_memory(error: RuntimeError) -> bool:
    """Tell whether PyTorch means that memory isn't enough: on the CPU it has no type for that."""
    words = str(error)
    return isinstance(error, torch.cuda.OutOfMemoryError) or "can't allocate memory" in words
