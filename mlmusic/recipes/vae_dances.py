"""A variational autoencoder of two bars in common time: chapter 05's, trained for longer."""

from __future__ import annotations

import torch
from torch import nn

from mlmusic import datasets, fit, seed_everything
from mlmusic.metrics.features import mean_overlap, share_in, uniqueness
from mlmusic.metrics.reconstruction import always_hold, recovered
from mlmusic.models.vae import MelodyVAE, Shifted, elbo_loss, kl_normal
from mlmusic.streams import cosine_adam
from mlmusic.styles import doubled
from mlmusic.windows import Windows, markov, repair, windows, without

DATA = (
    "the train split of datasets.tunes(): two-bar windows of its tunes in 4/4, 2/2 and 2/4 (those"
    " written as 2/2), in sixteenths, each shifted by at most two semitones"
)
LICENCE = (
    "MIT; trained on tunes of the 18th and 19th century as music21's corpus has them, whose"
    " transcriptions have terms of their own: see datasets/tunes/README.md"
)

EPOCHS = 20
BETA = 0.5
"""Set by hand, not searched for: it weighs copies against samples, and with it both are good."""

SAMPLES = 1000


def split(name: str, bars: int = 2) -> Windows:
    """Return the windows of a split; those of valid and test that training has are left out."""
    tunes = datasets.tunes()
    found = windows([doubled(tune) for tune in tunes[name]], bars, steps_per_bar=16)
    return found if name == "train" else without(found, split("train", bars))


def train(seed: int = 0, progress: bool = True) -> nn.Module:
    """Train the model; about six CPU minutes."""
    return trained(2, 192, seed, progress)


def trained(bars: int, channels: int, seed: int, progress: bool) -> nn.Module:
    """Train a model of so many bars."""
    batches = Shifted(split("train", bars).symbols, size=64, most=2, seed=seed)
    steps = EPOCHS * len(batches)
    seed_everything(seed)
    model = MelodyVAE(steps=16 * bars, channels=channels)
    fit(
        model,
        batches,
        loss=elbo_loss(beta=BETA, warmup=steps // 4),
        epochs=EPOCHS,
        optimizer=cosine_adam(0.002, steps),
        clip=1.0,
        seed=seed,
        progress=progress,
    )
    return model


@torch.no_grad()
def evaluate(model: nn.Module) -> dict[str, float]:
    """Score copies of held-out windows, and windows drawn from the prior."""
    bars = model.config["steps"] // 16
    learned, scores = split("train", bars), {}
    for name in ("valid", "test"):
        held = split(name, bars)
        mean, log_variance = model.encode(torch.from_numpy(held.symbols))
        found = recovered(held.symbols, model.write(mean).numpy())
        drawn = model.sample(SAMPLES, seed=0).numpy()
        counted = markov(learned, SAMPLES, seed=0)
        scores |= {
            f"per token, decoding freely, {name}": found.token,
            f"per onset, decoding freely, {name}": found.onset,
            f"windows exact, {name}": found.exact,
            f"per token, always hold, {name}": recovered(
                held.symbols, always_hold(held.symbols)
            ).token,
            f"KL in nats a window, {name}": float(kl_normal(mean, log_variance).sum(1).mean()),
            f"mean overlap area of the prior's samples, {name}": mean_overlap(
                held.symbols, repair(drawn), 16
            ),
            f"mean overlap area of a first-order Markov chain, {name}": mean_overlap(
                held.symbols, repair(counted), 16
            ),
        }
    return scores


def memorisation(model: nn.Module) -> str:
    """Count bars of the prior's samples that stand in the training tunes, beside human ones."""
    bars = model.config["steps"] // 16
    learned, held = split("train", bars), split("test", bars)
    drawn = repair(model.sample(SAMPLES, seed=0).numpy())
    own = share_in(drawn.reshape(-1, 16), learned.bars)
    human = share_in(held.bars, learned.bars)
    return (
        f"of {SAMPLES} windows drawn from the prior, {uniqueness(drawn):.1%} are different,"
        f" {share_in(drawn, learned.symbols):.1%} stand in the training tunes; of their bars"
        f" {own:.1%} do, of the test split's human bars {human:.1%}"
    )
