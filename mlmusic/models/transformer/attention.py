"""Attention written out, rotary positions, the block of a transformer, and its cache.

Sources: Vaswani et al., *Attention is all you need*, 2017 (attention, section 3.2); Su et al.,
*RoFormer*, 2021 (rotary positions, equation 34); Xiong et al., *On layer normalization in the
transformer architecture*, 2020 (the norm comes first).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Let each query take the mean of the values, weighted by how well their keys fit.

    ``softmax(q kᵀ / √d) v``: equation 1 of Vaswani et al.

    Parameters
    ----------
    q : (…, queries, d)
    k : (…, keys, d)
    v : (…, keys, values)
    mask : bool, broadcastable to (…, queries, keys), optional
        True where a query may look; each query must be allowed to look somewhere.

    Returns
    -------
    values : (…, queries, values)
    weights : (…, queries, keys)
        Each row adds up to 1.

    Raises
    ------
    ValueError
        If the shapes don't fit.
    """
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(
            "queries and keys must be equally long, and each key needs a value: not"
            f" {tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)}"
        )
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (…, queries, keys)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


def causal_mask(queries: int, keys: int | None = None) -> Tensor:
    """Allow each query to look at itself and what came before it.

    The queries are the last ones of the keys, as they are with a cache.

    Returns
    -------
    (queries, keys) bool
        True where a query may look.
    """
    keys = queries if keys is None else keys
    return torch.ones(queries, keys, dtype=torch.bool).tril(diagonal=keys - queries)


def rotary(positions: Tensor, head_dim: int, base: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of the angles by which queries and keys are turned.

    Pair i of a head's numbers turns by ``base**(-2 i / head_dim)`` at each step, so that the
    product of a query and a key depends on how far they are apart, not on where they are.

    Parameters
    ----------
    positions : (time,)
    head_dim : int
        Even.

    Returns
    -------
    cos, sin : (time, head_dim / 2) each
    """
    turns = base ** (-torch.arange(0, head_dim, 2, device=positions.device) / head_dim)
    angles = positions[:, None] * turns
    return angles.cos(), angles.sin()


Turns = tuple[Tensor, Tensor]
"""What `rotary` returns."""


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn (…, time, head_dim): number i and number i + head_dim / 2 are a pair."""
    a, b = x.chunk(2, dim=-1)
    # a cos - b sin, and a sin + b cos
    return torch.cat([torch.addcmul(a * cos, b, sin, value=-1), torch.addcmul(a * sin, b, cos)], -1)


class Cache:
    """Keys and values of all steps so far, so that a new step needn't compute them again.

    `append` gives back a new cache and leaves the old one as it was; both share their memory as
    long as only the newest grows.

    Attributes
    ----------
    length : int
        How many steps it holds.
    """

    def __init__(self, room: int = 64):
        self.length, self._room = 0, room
        self._memory: Tensor | None = None  # keys and values: (2, batch, heads, room, head_dim)
        self._used = [0]  # how much of the memory is taken, by whichever cache shares it

    def append(self, keys: Tensor, values: Tensor) -> tuple[Cache, Tensor, Tensor]:
        """Add steps: (batch, heads, steps, head_dim) each; return the cache and all steps."""
        return self.append_pair(torch.stack([keys, values]))

    def append_pair(self, pair: Tensor) -> tuple[Cache, Tensor, Tensor]:
        """Add keys and values in one tensor: (2, batch, heads, steps, head_dim)."""
        first, last = self.length, self.length + pair.shape[3]
        grown = Cache(self._room)
        grown.length, grown._memory, grown._used = last, self._memory, self._used
        if self._memory is None or last > self._room or self._used[0] != first:
            # Full, or another cache goes on from here in the same memory: move out.
            grown._room, grown._used = max(self._room, 2 * last), [last]
            grown._memory = pair.new_zeros((*pair.shape[:3], grown._room, pair.shape[4]))
            if first:
                grown._memory[:, :, :, :first] = self._memory[:, :, :, :first]
        grown._memory.narrow(3, first, last - first).copy_(pair)
        grown._used[0] = last
        both = grown._memory.narrow(3, 0, last)
        return grown, both[0], both[1]


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal `attention` in PyTorch's fast version, which doesn't keep the weights."""
    steps, keys = q.shape[2], k.shape[2]
    mask = None  # one step may look at everything before it
    if 1 < steps < keys:
        mask = causal_mask(steps, keys).to(q.device)
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:  # four times as slow as in float32
        with torch.autocast("cpu", enabled=False):
            return functional.scaled_dot_product_attention(
                q.float(), k.float(), v.float(), attn_mask=mask, is_causal=steps == keys
            )
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=steps == keys)


class Dropout(nn.Module):
    """Hide a share of the numbers in training, and make up for it with the others' size.

    What `torch.nn.Dropout` does, in a sixth of its time on a CPU: one random number of 64 bits
    decides for eight cells, so the share is a multiple of 1/256.

    Parameters
    ----------
    share : float
        0 to below 1.
    """

    def __init__(self, share: float):
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {share!r}")
        self.share = share
        self.kept = max(1, round(256 * (1 - share)))  # of 256

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same shape."""
        if not self.training or self.kept == 256:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
        drawn = words.random_(-(2**63), None).view(torch.uint8)[: x.numel()].view(x.shape)
        return x * (drawn < self.kept).to(x.dtype).mul_(256 / self.kept)


class SelfAttention(nn.Module):
    """Heads of attention side by side, each over a part of the width.

    Parameters
    ----------
    width : int
        Numbers a position, a multiple of ``heads``.
    heads : int
    rotary : bool
        Turn queries and keys by their position; otherwise order is unknown.
    """

    def __init__(self, width: int, heads: int, *, rotary: bool = True):
        super().__init__()
        if heads < 1 or width % heads or (rotary and width // heads % 2):
            even = "an even multiple" if rotary else "a multiple"
            raise ValueError(f"width must be {even} of heads, not {width} for {heads}")
        self.heads, self.rotary = heads, rotary
        self.project = nn.Linear(width, 3 * width)  # queries, keys, values of all heads
        self.mix = nn.Linear(width, width)

    def split(self, x: Tensor, turns: Turns | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Map (batch, time, width) to queries, keys, values: (batch, heads, time, head_dim).

        ``turns`` are the angles of `rotary`; by default those from position 0 on.
        """
        batch, time, width = x.shape
        shape = (batch, time, 3, self.heads, width // self.heads)
        parts = self.project(x).view(shape).permute(2, 0, 3, 1, 4)
        if not self.rotary:
            return parts[0], parts[1], parts[2]
        if turns is None:
            turns = rotary(torch.arange(time, device=x.device), shape[-1])
        q, k = rotate(parts[:2], *(part.to(parts.dtype) for part in turns)).unbind()
        return q, k, parts[2]

    def forward(
        self, x: Tensor, cache: Cache | None = None, turns: Turns | None = None
    ) -> tuple[Tensor, Cache | None]:
        """Map (batch, time, width) to the same shape; with a cache, go on from there."""
        q, k, v = self.split(x, turns)
        if cache is not None:
            cache, k, v = cache.append(k, v)
        y = _attention(q, k, v)
        return self.mix(y.transpose(1, 2).flatten(2)), cache

    def step(self, x: Tensor, cache: Cache, turn: Turns) -> tuple[Tensor, Cache]:
        """Do what `forward` does for one step, (batch, width), with the angles of `Trunk.turn`."""
        parts = functional.linear(x, self.project.weight, self.project.bias)
        parts = parts.view(len(x), 3, self.heads, 1, -1).transpose(0, 1)
        other = parts.roll(parts.shape[-1] // 2, -1)
        parts = torch.addcmul(parts * turn[0], other, turn[1])  # as `rotate` does
        cache, k, v = cache.append_pair(parts[1:])
        y = functional.scaled_dot_product_attention(parts[0], k, v)
        return functional.linear(y.view(x.shape), self.mix.weight, self.mix.bias), cache

    def weights(self, x: Tensor) -> Tensor:
        """Return who looks where: (batch, heads, time, time)."""
        q, k, v = self.split(x)
        return attention(q, k, v, causal_mask(x.shape[1]).to(x.device))[1]


class Block(nn.Module):
    """One layer: look around, then think; each adds its finding to what was there.

    ``x + attention(norm(x))``, then ``x + mlp(norm(x))``.

    Parameters
    ----------
    width, heads : int
    dropout : float
        Share of each finding's numbers that training hides.
    rotary : bool
        As in `SelfAttention`.
    """

    def __init__(self, width: int, heads: int, *, dropout: float = 0.1, rotary: bool = True):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, rotary=rotary)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = Dropout(dropout)

    def forward(
        self, x: Tensor, cache: Cache | None = None, turns: Turns | None = None
    ) -> tuple[Tensor, Cache | None]:
        """Map (batch, time, width) to the same shape; with a cache, go on from there."""
        found, cache = self.attention(self.norm1(x), cache, turns)
        x = x + self.dropout(found)
        return x + self.dropout(self.mlp(self.norm2(x))), cache

    def step(self, x: Tensor, cache: Cache, turn: Turns) -> tuple[Tensor, Cache]:
        """Do what `forward` does in eval mode for one step, (batch, width).

        A single step is little arithmetic, so that it counts what it takes to call a layer: here
        none is called, what they compute is.
        """
        found, cache = self.attention.step(_normed(x, self.norm1), cache, turn)
        x = x + found
        first, _, last = self.mlp
        y = functional.linear(_normed(x, self.norm2), first.weight, first.bias)
        y = y * torch.special.ndtr(y)  # GELU by its definition: for so few numbers it's faster
        return x + functional.linear(y, last.weight, last.bias), cache


def _normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    return functional.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def start(module: nn.Module) -> None:
    """Start weights as GPT-2 does: normal with deviation 0.02, biases 0; pass it to `apply`."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class Trunk(nn.Module):
    """Blocks on top of each other, and a last norm.

    Parameters
    ----------
    width, layers, heads : int
    dropout : float
    """

    def __init__(self, width: int, layers: int, heads: int, *, dropout: float = 0.1):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, dropout=dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head_dim = width // heads
        self._turns = rotary(torch.arange(0), self.head_dim)  # grows with what is asked for
        self._turn = (torch.empty(0), torch.empty(0))

    def turns(self, first: int, last: int, device: torch.device) -> Turns:
        """Return the angles of some positions, the same for all blocks."""
        if last > len(self._turns[0]) or self._turns[0].device != device:
            with torch.inference_mode(False):  # training may use them later
                self._turns = rotary(torch.arange(2 * last, device=device), self.head_dim)
        return self._turns[0][first:last], self._turns[1][first:last]

    def turn(self, place: int, x: Tensor) -> Turns:
        """Return the angles of one position for `SelfAttention.step`: (3, 1, 1, 1, head_dim) each.

        Numbers that are a pair have the same cosine and opposite sines. Queries and keys are
        turned; values aren't, which is cosine 1 and sine 0.
        """
        cos, sin = self._turn
        if place >= len(cos) or cos.device != x.device or cos.dtype != x.dtype:
            with torch.inference_mode(False):
                cos, sin = (part.to(x.dtype) for part in self.turns(0, 2 * place + 64, x.device))
                cos, sin = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)
                cos = torch.stack([cos, cos, torch.ones_like(cos)], 1)[:, :, None, None, None]
                sin = torch.stack([sin, sin, torch.zeros_like(sin)], 1)[:, :, None, None, None]
            self._turn = cos, sin
        return cos[place], sin[place]

    def forward(
        self, x: Tensor, caches: list[Cache] | None = None
    ) -> tuple[Tensor, list[Cache] | None]:
        """Map (batch, time, width) to the same shape; with a cache a block, go on from there."""
        grown = []
        if caches is not None and x.shape[1] == 1 and not self.training:
            turn, x = self.turn(caches[0].length, x), x[:, 0]
            for block, cache in zip(self.blocks, caches, strict=True):
                x, cache = block.step(x, cache, turn)
                grown.append(cache)
            return _normed(x, self.norm)[:, None], grown
        first = 0 if caches is None else caches[0].length
        turns = self.turns(first, first + x.shape[1], x.device)
        for i, block in enumerate(self.blocks):
            x, cache = block(x, None if caches is None else caches[i], turns)
            grown.append(cache)
        return self.norm(x), None if caches is None else grown

    def caches(self) -> list[Cache]:
        """Return empty caches, one a block."""
        return [Cache() for _ in self.blocks]

    def weights(self, x: Tensor) -> list[Tensor]:
        """Return who looks where in each block: (batch, heads, time, time) each."""
        found = []
        for block in self.blocks:
            found.append(block.attention.weights(block.norm1(x)))
            x, _ = block(x)
        return found
