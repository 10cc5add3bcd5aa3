"""A trunk that reads all that is known, both ways, and writes what is hidden from left to right.

Two streams share their weights. *Reading*, a position sees all positions. *Writing*, a position
sees all that is read, and of what is written itself and what came before: so all hidden steps can
be trained in one pass, as in a decoder, and written one by one with a cache. Sources: Yang et al.,
*XLNet*, NeurIPS 2019 (two streams of attention with shared weights, section 2.3); Du et al., *GLM*,
2022 (both ways in the context, causal in the gap); Raffel et al., *T5*, 2020.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mlmusic.models.transformer.attention import Block, Trunk

Memory = list[tuple[Tensor, Tensor]]
"""Keys and values of each block: (batch, heads, positions, head_dim) each."""


def _attended(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention in PyTorch's fast version: (batch, time, width)."""
    dtype = q.dtype
    if q.device.type == "cpu":  # in bfloat16 it would be slower there
        q, k, v = q.float(), k.float(), v.float()
    with torch.autocast(q.device.type, enabled=False):
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return y.to(dtype).transpose(1, 2).flatten(2)


def _added(block: Block, x: Tensor, found: Tensor) -> Tensor:
    """Add what a block's attention found, and what its network makes of it."""
    x = x + block.dropout(block.attention.mix(found))
    return x + block.dropout(block.mlp(block.norm2(x)))


class Streams(Trunk):
    """Blocks on top of each other, for one stream or both.

    Parameters
    ----------
    width, layers, heads : int
    dropout : float
    """

    def read(self, x: Tensor) -> tuple[Tensor, Memory]:
        """Read: (batch, time, width) to the same shape, and what writing may look at."""
        turns, memory = self.turns(0, x.shape[1], x.device), []
        for block in self.blocks:
            q, k, v = block.attention.split(block.norm1(x), turns)
            memory.append((k, v))
            x = _added(block, x, _attended(q, k, v))
        return self.norm(x), memory

    def both(self, x: Tensor, y: Tensor, written: Tensor) -> tuple[Tensor, Tensor]:
        """Read ``x`` and write ``y``, all at once: (batch, time, width) each.

        Parameters
        ----------
        x, y : (batch, time, width)
        written : (batch, time) bool
            Which steps are written; the others' outputs in ``y`` mean nothing.
        """
        batch, time, _ = x.shape
        turns = self.turns(0, time, x.device)
        causal = torch.ones(time, time, dtype=torch.bool, device=x.device).tril()
        causal = causal & written[:, None, None]  # (batch, 1, time, time)
        mask = torch.cat([torch.ones_like(causal), causal], -1)
        x = torch.cat([x, y])
        for block in self.blocks:
            q, k, v = block.attention.split(block.norm1(x), turns)
            keys, values = (torch.cat(part.split(batch), 2) for part in (k, v))
            found = _attended(q[:batch], k[:batch], v[:batch])
            told = _attended(q[batch:], keys, values, mask)
            x = _added(block, x, torch.cat([found, told]))
        return self.norm(x).split(batch)

    def write(self, y: Tensor, step: int, memory: Memory) -> tuple[Tensor, Memory]:
        """Write one step: (batch, 1, width) to the same shape, and the memory with it."""
        turns, grown = self.turns(step, step + 1, y.device), []
        for block, (keys, values) in zip(self.blocks, memory, strict=True):
            q, k, v = block.attention.split(block.norm1(y), turns)
            keys, values = torch.cat([keys, k], 2), torch.cat([values, v], 2)
            grown.append((keys, values))
            y = _added(block, y, _attended(q, keys, values))
        return self.norm(y), grown
