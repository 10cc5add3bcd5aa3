"""Four voices with gaps: chapter 08's model, trained for longer.

It is trained on the course's own chorales, whose metre is known, in the split that keeps JSB's test
and validation pieces apart: ``datasets.chorales(split="jsb")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mlmusic import datasets, seed_everything
from mlmusic.models.edit.filling import fill
from mlmusic.models.edit.likelihood import nll
from mlmusic.models.edit.masks import Gaps, both_losses
from mlmusic.models.edit.model import MaskedChorale
from mlmusic.recipes.transformer_chorale import budget, longest_copy
from mlmusic.score import Score
from mlmusic.trainer import Trainer

DATA = 'the train split of datasets.chorales(split="jsb"): 224 chorales from music21\'s corpus'
LICENCE = "MIT; trained on chorales that are in the public domain"

MODEL = {"low": 33, "high": 84, "width": 96, "layers": 3, "heads": 4, "dropout": 0.2}
GAPS = {"size": 16, "reach": 6}
TRAINING = {
    "steps": 4000,
    "lr": 3e-3,
    "warmup": 100,
    "decay": 0.5,
    "weight_decay": 0.3,
    "average": 0.995,
    "every": 300,
}
SAMPLES = 4
BITS = 8


def scores(split: str) -> Sequence[Score]:
    """Return the chorales of a split."""
    return datasets.chorales(split="jsb")[split]


def train(
    seed: int = 0,
    progress: bool = True,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    device: str = "auto",
    checkpoint: str | Path | None = None,
    log: str | Path | None = None,
) -> nn.Module:
    """Train it; a few validation pieces are watched in the log, in chapter 06's order."""
    seed_everything(seed)
    model = MaskedChorale(**MODEL)
    return Trainer(
        model,
        Gaps(model, scores("train"), seed=seed, **GAPS).batch,
        both_losses,
        valid=lambda now: nll(now, *grids(now, scores("valid")[::4]), order="time").per_note,
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        log=log,
        progress=progress,
        **TRAINING | budget(steps, minutes),
    ).run()


def grids(model: MaskedChorale, pieces: Sequence[Score]) -> tuple[list[Tensor], list[Tensor]]:
    """Return pieces as grids, and their phases."""
    found = [model.grid(piece) for piece in pieces]
    return [grid for grid, _ in found], [phase for _, phase in found]


def evaluate(model: nn.Module) -> dict[str, float]:
    """Score it on held-out chorales, in chapter 06's unit; orders are drawn from a fixed seed."""
    found = {}
    for split in ("valid", "test"):
        pieces, phases = grids(model, scores(split))
        for order, name in (("random", "any order"), ("time", "chapter 06's order")):
            score = nll(model, pieces, phases, order=order, samples=SAMPLES)
            found[f"nats per note in {name}, course's chorales, {split}"] = score.per_note
    return found


def memorisation(model: nn.Module) -> str:
    """Compare the longest passages that its chorales and Bach's share with training ones."""
    train = [piece.T for piece in grids(model, scores("train"))[0]]
    test = [piece.T for piece in grids(model, scores("test"))[0]]
    steps, count = min(128, 2 * model.context), 20
    nothing = torch.zeros(count, 4, steps, dtype=torch.int64)
    free = torch.ones(4, steps, dtype=torch.bool)
    written = fill(model, nothing, free, order="time", seed=0).transpose(1, 2)
    own = [longest_copy(piece, train) for piece in written]
    human = [longest_copy(piece[:steps], train) for piece in test]
    return (
        "longest passage of all four voices that stands in a training chorale, up to"
        f" transposition, in sixteenths: of {count} chorales of {steps} from nothing from left to"
        f" right, median {np.median(own):.0f}, most {max(own)}; of the first {steps} of the test"
        f" split's {len(human)}, median {np.median(human):.0f}, most {max(human)}"
    )
