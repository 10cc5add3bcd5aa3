"""A GRU on fiddle tunes: chapter 03's model, larger and trained for longer."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch import nn

from mlmusic import datasets, fit, seed_everything
from mlmusic.metrics.copying import Copies
from mlmusic.metrics.likelihood import nats_per_note
from mlmusic.models.rnn import MelodyModel
from mlmusic.sampling import generate
from mlmusic.score import Score
from mlmusic.streams import Streams, carried_loss, cosine_adam
from mlmusic.tokens import MelodyVocabulary

DATA = "the train split of datasets.tunes(): 3,243 of 3,353 tunes, those without chords"
LICENCE = (
    "MIT; trained on tunes of the 18th and 19th century as music21's corpus has them, whose"
    " transcriptions have terms of their own: see datasets/tunes/README.md"
)

VOCABULARY = MelodyVocabulary(
    low=55,  # a fiddle's lowest string
    high=88,
    durations="1/8 1/6 1/4 1/3 3/8 1/2 3/4 1 3/2 2 3".split(),
    metres="2/4 3/4 4/4 2/2 3/8 6/8 9/8 12/8 6/4 3/2".split(),
)
"""Chapter 03's tokens: what fiddle tunes need of `MelodyVocabulary`'s."""

EPOCHS = 7


def encoded(scores: Iterable[Score]) -> list[np.ndarray]:
    """Write tunes as tokens, and leave out those that the vocabulary can't spell."""
    rows = []
    for score in scores:
        try:
            rows.append(VOCABULARY.encode(score))
        except ValueError:  # a chord, most often
            continue
    return rows


def train(seed: int = 0, progress: bool = True) -> nn.Module:
    """Train the model; about four CPU minutes."""
    tunes = datasets.tunes()
    streams = Streams(encoded(tunes.train), lanes=16, steps=32, forget=0.05, seed=seed)
    seed_everything(seed)
    model = MelodyModel(
        VOCABULARY.size, kind="gru", embedding=64, hidden=320, layers=1, dropout=0.4
    )
    fit(
        model,
        streams,
        loss=carried_loss(),
        epochs=EPOCHS,
        optimizer=cosine_adam(0.005, EPOCHS * len(streams)),
        clip=1.0,
        seed=seed,
        progress=progress,
    )
    return model


def evaluate(model: nn.Module) -> dict[str, float]:
    """Score it on held-out tunes."""
    tunes = datasets.tunes()
    return {
        "nats per note, valid": nats_per_note(model, encoded(tunes.valid), VOCABULARY),
        "nats per note, test": nats_per_note(model, encoded(tunes.test), VOCABULARY),
    }


def memorisation(model: nn.Module) -> str:
    """Compare the longest runs that its tunes and human tunes share with the training tunes."""
    tunes = datasets.tunes()
    copies = Copies(tunes.train)
    written = [
        VOCABULARY.decode(
            generate(model, [VOCABULARY.start], 300, stop=VOCABULARY.end, seed=seed), repair=True
        )
        for seed in range(40)
    ]
    own = [copies.longest(score).notes for score in written]
    human = [copies.longest(score).notes for score in tunes.test]
    return (
        "longest run of notes that stands in a training tune, up to transposition: of"
        f" {len(own)} tunes from nothing at temperature 1, median {np.median(own):.0f}, most"
        f" {max(own)}; of the test split's human tunes, median {np.median(human):.0f}, most"
        f" {max(human)}"
    )
