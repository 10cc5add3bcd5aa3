"""A conditional variational autoencoder: from a melody's outline to a reel, jig or hornpipe."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlmusic import datasets, fit, seed_everything
from mlmusic.metrics.features import share_in
from mlmusic.metrics.reconstruction import recovered
from mlmusic.models.cnn import MelodyCNN
from mlmusic.models.vae import MelodyVAE, Shifted, kl_normal, reconstruction, reparameterise
from mlmusic.score import Score
from mlmusic.streams import cosine_adam
from mlmusic.styles import (
    KINDS,
    by_model,
    by_rule,
    dance_roll,
    dance_score,
    dances,
    dotted,
    kept,
    kind_numbers,
    outline,
)
from mlmusic.windows import Windows, without

DATA = (
    "the train split of datasets.tunes(): two-bar windows of reels, jigs and hornpipes, of the"
    " last only those with dotted pairs, each shifted by at most two semitones"
)
LICENCE = (
    "MIT; trained on tunes of the 18th and 19th century as music21's corpus has them, whose"
    " transcriptions have terms of their own: see datasets/tunes/README.md"
)

EPOCHS = 6
BETA = 0.2
DOTTED = 0.25
"""A hornpipe's window counts as one if so many of its quarters are dotted: most are printed even,
as reels are, and were swung by players who knew."""

TIMES = 4
"""So often a hornpipe's window stands in an epoch: there are few."""


def split(name: str) -> Windows:
    """Return the windows of a split; those of valid and test that training has are left out."""
    found = dances(datasets.tunes()[name])
    found = found[(found.kinds != "hornpipe") | (dotted(found.symbols) >= DOTTED)]
    return found if name == "train" else without(found, split("train"))


def outlines(found: Windows) -> np.ndarray:
    """Return each window's outline."""
    rows = np.zeros_like(found.symbols)
    for kind in KINDS:
        rows[found.kinds == kind] = outline(found.symbols[found.kinds == kind], kind)
    return rows


def train(seed: int = 0, progress: bool = True) -> nn.Module:
    """Train the model; about two CPU minutes."""
    learned = split("train")
    often = np.repeat(np.arange(len(learned)), np.where(learned.kinds == "hornpipe", TIMES, 1))
    learned = learned[often]
    both = np.concatenate([learned.symbols, outlines(learned)], axis=1)  # shifted together
    batches = Shifted(both, kind_numbers(learned.kinds), size=64, most=2, seed=seed)
    steps, seen = EPOCHS * len(batches), 0

    def loss(model: MelodyVAE, batch: tuple[Tensor, Tensor]) -> Tensor:
        nonlocal seen
        (x, sketch), kind = batch[0].chunk(2, dim=1), batch[1]
        mean, log_variance = model.encode(sketch)
        z = reparameterise(mean, log_variance)
        beta, seen = BETA * min(1.0, 4 * seen / steps), seen + 1
        missed = reconstruction(model.decode(z, kind), x).mean()
        return missed + beta * kl_normal(mean, log_variance).sum(dim=1).mean()

    seed_everything(seed)
    model = MelodyVAE(steps=32, kinds=len(KINDS))
    fit(
        model,
        batches,
        loss=loss,
        epochs=EPOCHS,
        optimizer=cosine_adam(0.002, steps),
        clip=1.0,
        seed=seed,
        progress=progress,
    )
    return model


@cache
def judge(seed: int = 0, epochs: int = 12, window: int = 64) -> MelodyCNN:
    """Train chapter 02's dance classifier on the train split; ten CPU seconds."""
    tunes = [tune for tune in datasets.tunes().train if tune.meta.get("type") in KINDS]
    kinds = kind_numbers([tune.meta["type"] for tune in tunes])
    rolls = [dance_roll(tune) for tune in tunes]
    rolls = [np.pad(roll, ((0, 0), (0, max(0, window - roll.shape[1])))) for roll in rolls]
    rng, count = np.random.default_rng(seed), len(rolls) // 32

    def batches():
        for some in np.array_split(rng.permutation(len(rolls)), count):
            starts = [rng.integers(rolls[i].shape[1] - window + 1) for i in some]
            cut = [rolls[i][:, s : s + window] for i, s in zip(some, starts, strict=True)]
            yield torch.from_numpy(np.stack(cut)), torch.from_numpy(kinds[some])

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1], label_smoothing=0.05)

    seed_everything(seed)
    model = MelodyCNN(32, len(KINDS))
    optimizer = cosine_adam(0.008, epochs * count)
    fit(model, batches, loss=loss, epochs=epochs, optimizer=optimizer, seed=seed, progress=False)
    return model.eval()


@torch.no_grad()
def heard_as(score: Score, model: MelodyCNN) -> str:
    """Return which dance a classifier takes a melody for; ``""`` if it has hardly a note."""
    if len(score) < 2:
        return ""
    return KINDS[int(model(torch.from_numpy(dance_roll(score))[None]).argmax())]


def excerpts(name: str, bars: int = 8) -> list[tuple[str, np.ndarray]]:
    """Return the first full bars of each dance of a split, as (kind, rows of two bars)."""
    found = []
    for kind in KINDS:
        tunes = [tune for tune in datasets.tunes()[name] if tune.meta.get("type") == kind]
        cut = dances(tunes, bars)
        for number in np.unique(cut.tune):
            row = cut.symbols[cut.tune == number][0]
            if kind != "hornpipe" or dotted(row[None])[0] >= DOTTED:
                found.append((kind, row.reshape(-1, 32)))
    return found


def transfers(how, found: list[tuple[str, np.ndarray]], classifier: MelodyCNN) -> list[dict]:
    """Turn every excerpt into the other two dances, and judge each result.

    Parameters
    ----------
    how : function (rows, source, target) -> rows
    found
        From `excerpts`.
    classifier
        From `judge`.

    Returns
    -------
    list of dict
        ``source``, ``target``, ``hit`` (is it heard as the target?) and ``kept`` (share of the
        melody).
    """
    rows = []
    for source, symbols in found:
        before = dance_score(symbols, source)
        for target in KINDS:
            if target != source:
                after = dance_score(how(symbols, source, target), target)
                share = kept(before.notes["pitch"], after.notes["pitch"])
                hit = heard_as(after, classifier) == target
                rows.append({"source": source, "target": target, "hit": hit, "kept": share})
    return rows


def evaluate(model: nn.Module) -> dict[str, float]:
    """Score dances written from their own outline, and transfers of reels and jigs."""
    scores, classifier = {}, judge()
    for name in ("valid", "test"):
        held = split(name)
        with torch.no_grad():
            mean, _ = model.encode(torch.from_numpy(outlines(held)))
        own = model.write(mean, torch.from_numpy(kind_numbers(held.kinds)))
        back = recovered(held.symbols, own.numpy())
        found = [each for each in excerpts(name) if each[0] != "hornpipe"]  # there are too few
        scores |= {f"own dance, per onset, {name}": back.onset}
        for how, rows in (
            ("model", transfers(lambda *given: by_model(model, *given), found, classifier)),
            ("rule", transfers(by_rule, found, classifier)),
        ):
            scores[f"heard as the target, by {how}, {name}"] = float(
                np.mean([r["hit"] for r in rows])
            )
            scores[f"melody kept, by {how}, {name}"] = float(np.mean([r["kept"] for r in rows]))
    return scores


def memorisation(model: nn.Module) -> str:
    """Count the transfers' bars that stand in the training tunes of the target dance."""
    learned, shares = split("train"), []
    for kind in ("reel", "jig"):
        target = "jig" if kind == "reel" else "reel"
        rows = np.concatenate([symbols for source, symbols in excerpts("test") if source == kind])
        known = learned[learned.kinds == target].bars
        shares.append(share_in(by_model(model, rows, kind, target).reshape(-1, 16), known))
    held = split("test")
    human = share_in(held.bars, learned.bars)
    return (
        f"of the bars of test reels turned into jigs {shares[0]:.1%}, of jigs turned into reels"
        f" {shares[1]:.1%} stand in a training tune; of the test split's human bars {human:.1%}"
    )
