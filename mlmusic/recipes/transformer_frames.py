"""Chorales in frames of a quarter note, for the older figure of the literature."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from mlmusic import datasets
from mlmusic.metrics.chorales import frame_nll
from mlmusic.models.transformer.frames import HIGH, LOW, frame_symbols
from mlmusic.recipes.transformer_chorale import budget, committee

DATA = (
    "the train split of datasets.jsb_frames(), as published: 229 chorales; the temperature of the"
    " votes and the trust in echoes are fitted on its validation split"
)
LICENCE = (
    "MIT; trained on chorales that are in the public domain, from a repository that states no"
    " licence: see datasets/jsb/README.md"
)

MEMBERS = (({}, {}), ({}, {}))
MODEL = {
    "low": LOW,
    "high": HIGH,
    "width": 128,
    "layers": 3,
    "heads": 4,
    "dropout": 0.35,
    "blank": 0.1,
    "context": 64,
    "bar": 4,
}
WINDOWS = {"size": 16, "reach": 6}
TRAINING = {
    "steps": 500,
    "lr": 1.5e-3,
    "warmup": 100,
    "decay": 0.5,
    "weight_decay": 0.3,
    "average": 0.995,
}
BITS = 8


def pieces(split: str) -> list[Tensor]:
    """Return the frames of a split as symbols."""
    return [frame_symbols(piece) for piece in datasets.jsb_frames()[split]]


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
    """Train the members, one after the other; with ``steps`` or ``minutes`` so long each."""
    return committee(
        MEMBERS,
        MODEL,
        pieces("train"),
        pieces("valid"),
        windows=WINDOWS,
        training=TRAINING | budget(steps, minutes),
        seed=seed,
        progress=progress,
        device=device,
        checkpoint=checkpoint,
        log=log,
    )


def evaluate(model: nn.Module) -> dict[str, float]:
    """Score it on held-out chorales."""
    return {
        f"nats per frame, JSB, {split}": frame_nll(model, pieces(split))
        for split in ("valid", "test")
    }


def memorisation(model: nn.Module) -> str:
    """Say what it writes."""
    return "measures, writes nothing: its frames have no rhythm and no voices"
