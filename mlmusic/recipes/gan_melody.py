"""A GAN on two-bar windows of fiddle tunes: chapter 04's networks, wider and trained for longer."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mlmusic import datasets, seed_everything
from mlmusic.metrics.features import coverage, mean_overlap, share_in, uniqueness
from mlmusic.models.gan import MelodyCritic, MelodyGenerator, train_gan
from mlmusic.windows import Windows, faults, to_roll, windows, without

DATA = (
    "the train split of datasets.tunes(): 13,528 different two-bar windows of tunes in 4/4 and 2/2"
)
LICENCE = (
    "MIT; trained on tunes of the 18th and 19th century as music21's corpus has them, whose"
    " transcriptions have terms of their own: see datasets/tunes/README.md"
)

BARS, STEPS_PER_BAR = 2, 16
STEPS = 2000
SAMPLES = 1000
"""So many windows are forged, and compared with as many real ones."""


def cut(split: str) -> Windows:
    """Cut the windows of a split; of valid and test those that aren't in train, too."""
    tunes = datasets.tunes()
    found = windows(tunes[split], BARS, STEPS_PER_BAR)
    return found if split == "train" else without(found, cut("train"))


def train(seed: int = 0, progress: bool = True) -> nn.Module:
    """Train the model; about two CPU minutes."""
    rolls = torch.from_numpy(to_roll(cut("train").symbols))
    seed_everything(seed)
    generator, critic = MelodyGenerator(channels=64), MelodyCritic(channels=64)
    train_gan(
        generator,
        critic,
        rolls,
        steps=STEPS,
        penalty="r1",
        weight=0.2,
        decay=0.5,
        average=0.99,
        seed=seed,
        progress=progress,
    )
    return generator


def evaluate(model: nn.Module) -> dict[str, float]:
    """Compare forgeries with held-out windows."""
    training = cut("train")
    made = model.sample(SAMPLES, seed=0)
    found = {}
    for split in ("valid", "test"):
        real = cut(split).symbols
        found[f"mean overlap area, {split}"] = mean_overlap(real, made, STEPS_PER_BAR)
        found[f"coverage, {split}"] = coverage(real[:SAMPLES], made)
    bars = made.reshape(-1, STEPS_PER_BAR)
    found["share of bars in training"] = share_in(bars, training.bars)
    found["uniqueness"] = uniqueness(made)
    wrong = faults(model.sample(SAMPLES, seed=0, mend=False), STEPS_PER_BAR)
    found["faults per window before mending"] = sum(wrong.values()) / SAMPLES
    return found


def memorisation(model: nn.Module) -> str:
    """Compare how many of its bars, and of human bars, stand in the training tunes."""
    training, test = cut("train"), cut("test")
    made = model.sample(SAMPLES, seed=0)
    own = share_in(made.reshape(-1, STEPS_PER_BAR), training.bars)
    human = share_in(test.bars, training.bars)
    whole = int(np.rint(SAMPLES * share_in(made, training.symbols)))
    return (
        f"bars that stand note for note in a training tune: {own:.3f} of {2 * SAMPLES:,} forged"
        f" ones, {human:.3f} of the test split's; whole windows of two bars: {whole} of"
        f" {SAMPLES:,} forged ones"
    )
