"""What models of four voices share: what is seen, added up, and a head for each voice."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlmusic.models.transformer.attention import Dropout


def added_up(table: nn.Embedding, rows: Tensor, blank: Dropout) -> Tensor:
    """Add up rows of a table: (…, rows) to (…, width); training hides some of them."""
    weight, shown = table.weight, None
    if blank.training:
        shown = blank(weight.new_ones(rows.shape)).flatten(0, -2)
    x = nn.functional.embedding_bag(
        rows.flatten(0, -2), weight, mode="sum", per_sample_weights=shown
    )
    return x.unflatten(0, rows.shape[:-1])


def thinkers(width: int, dropout: float) -> nn.ModuleList:
    """Build a small network for each voice, (…, width) to (…, width)."""
    return nn.ModuleList(
        nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.LayerNorm(width),
        )
        for _ in range(4)
    )


def by_distance(scores: Tensor, reference: Tensor, pitches: int) -> Tensor:
    """Score symbols by how far they are from notes that are known.

    Parameters
    ----------
    scores : (…, references, 2 * pitches - 1)
        Of each distance, from ``1 - pitches`` semitones on.
    reference : (…, references) int64
        Symbols: what isn't a pitch, 1 to ``pitches``, plays no part.
    pitches : int

    Returns
    -------
    (…, 1 + pitches)
        Added up over the references; silence gets 0.
    """
    symbols = torch.arange(1, pitches + 1, device=scores.device)
    sounds = (reference > 0) & (reference <= pitches)
    far = symbols - reference.clamp(1, pitches)[..., None] + pitches - 1
    scores = scores.gather(-1, far) * sounds[..., None]  # (…, references, pitches)
    return nn.functional.pad(scores.sum(-2), (1, 0))
