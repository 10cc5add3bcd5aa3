"""Transformers: attention written out, a model over tokens, and one over chorales.

============  ================================================================================
module        holds
============  ================================================================================
`attention`   attention in ten lines, rotary positions, the key–value cache, blocks
`decoder`     `Transformer`: each next token from all before it
`pieces`      chorales as tables of symbols, and what is known at each step
`heads`       a head for each voice, pitches scored by their distance from known ones
`chorale`     `ChoraleModel`: one position a sixteenth, an exact chain rule inside the step
`committee`   several of them that vote, each in several keys, and listen for echoes
`echo`        what followed when the last passage was heard before in the piece
`frames`      chorales as frames of a quarter note
`windows`     windows of chorales to train on
`writing`     chorales written by a model
`looking`     where a chorale model looks, and what it would miss
============  ================================================================================
"""

from mlmusic.models.transformer.attention import (
    Block,
    Cache,
    SelfAttention,
    attention,
    causal_mask,
    rotary,
    rotate,
)
from mlmusic.models.transformer.chorale import ORDER, ChoraleModel
from mlmusic.models.transformer.committee import Committee
from mlmusic.models.transformer.decoder import Transformer
from mlmusic.models.transformer.echo import echoes
from mlmusic.models.transformer.pieces import Past, past, symbols, to_score
from mlmusic.models.transformer.windows import Windows, note_loss
from mlmusic.models.transformer.writing import RANGES, write

__all__ = [
    "ORDER",
    "RANGES",
    "Block",
    "Cache",
    "ChoraleModel",
    "Committee",
    "Past",
    "SelfAttention",
    "Transformer",
    "Windows",
    "attention",
    "causal_mask",
    "echoes",
    "note_loss",
    "past",
    "rotary",
    "rotate",
    "symbols",
    "to_score",
    "write",
]
