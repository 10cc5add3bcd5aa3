"""Editing four voices: a masked model, gaps filled in several orders, and tasks on scores.

============  ================================================================================
module        holds
============  ================================================================================
`model`       `MaskedChorale`: scores all that is hidden, given all that isn't
`around`      what is known before and after each cell
`streams`     the model's trunk: it reads both ways, and writes from left to right
`masks`       what training hides
`filling`     `fill` step by step in several orders, and `gibbs` again and again
`spans`       the windows in which that happens, and what may be drawn
`likelihood`  `nll`: the mean over orders, in chapter 06's unit
`scores`      from grids back to scores, and what stays as it was
`tasks`       fill bars, harmonise, other rhythms, other voicings, variations
============  ================================================================================
"""

from mlmusic.models.edit.filling import ORDERS, fill, gibbs, schedule
from mlmusic.models.edit.likelihood import Nats, nll
from mlmusic.models.edit.masks import Gaps, both_losses, gap_loss
from mlmusic.models.edit.model import UNKNOWN, MaskedChorale, phases
from mlmusic.models.edit.scores import rewritten
from mlmusic.models.edit.tasks import (
    fill_bars,
    harmonise,
    opened,
    rerhythm,
    revoice,
    rewrite,
    vary,
)

__all__ = [
    "ORDERS",
    "UNKNOWN",
    "Gaps",
    "MaskedChorale",
    "Nats",
    "both_losses",
    "fill",
    "fill_bars",
    "gap_loss",
    "gibbs",
    "harmonise",
    "nll",
    "opened",
    "phases",
    "rerhythm",
    "revoice",
    "rewrite",
    "rewritten",
    "schedule",
    "vary",
]
