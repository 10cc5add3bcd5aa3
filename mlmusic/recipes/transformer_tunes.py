"""A transformer on fiddle tunes that can be asked for key, metre, type and length.

It reads chapter 03's tokens with control tokens in front, each hidden from it now and then, so
that any of them may be asked for, and none. Some tunes are transposed, and then their
key is always said: without a wish it still writes in the keys that fiddlers play in.

It is trained for ten CPU minutes, the recipe ``rnn/gru`` for four, on the same tokens: the cards
say what each reaches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mlmusic import datasets, seed_everything
from mlmusic.metrics.control import Judge, Labels, hit_rate, stated
from mlmusic.metrics.copying import Copies
from mlmusic.metrics.keys import KEYS, key_name
from mlmusic.metrics.likelihood import notes_in, token_nats
from mlmusic.models.transformer.decoder import Transformer
from mlmusic.recipes.rnn_gru import VOCABULARY as MUSIC
from mlmusic.recipes.transformer_chorale import budget
from mlmusic.sampling import generate_batch
from mlmusic.score import Score
from mlmusic.streams import transposable, transpose
from mlmusic.tokens import ControlVocabulary
from mlmusic.trainer import Trainer

DATA = "the train split of datasets.tunes(): 3,243 of 3,353 tunes, those without chords"
LICENCE = (
    "MIT; trained on tunes of the 18th and 19th century as music21's corpus has them, whose"
    " transcriptions have terms of their own: see datasets/tunes/README.md"
)

VOCABULARY = ControlVocabulary(
    MUSIC,
    key=[key_name(fifths, mode) for mode in ("major", "minor") for fifths in range(-3, 5)],
    metre="2/4 3/4 4/4 2/2 6/8 9/8".split(),
    type=["reel", "jig", "hornpipe", "slip jig", "strathspey", "air"],
    length="8 12 16 24 32".split(),
)
"""Chapter 03's tokens, and controls in front; length is in bars."""

MODEL = {"width": 128, "layers": 3, "heads": 4, "dropout": 0.15, "context": 512}
TRAINING = {"steps": 3200, "lr": 2e-3, "warmup": 150, "decay": 0.8, "average": 0.995}
TRAINING |= {"weight_decay": 0.1, "every": 300}
TUNES = 16
"""How many make a batch; they are of like length."""

FREE = 0.3
"""Share of tunes that are read without any control."""

HIDDEN = 0.3
"""Share of each control that is hidden from the others."""

MOVED = 0.25
"""Share of tunes that are transposed."""

BITS = 16
ASKED = {
    "key": ("G major", "D major", "A major", "A minor", "E minor", "Bb major"),
    "metre": VOCABULARY.controls["metre"][1:],
    "type": ("reel", "jig", "hornpipe", "slip jig"),
    "length": VOCABULARY.controls["length"][1:],
}
"""What `hit_rates` asks for, one after the other."""


def labels(score: Score) -> Labels:
    """Return what the source says of a tune, as far as there is a control token for it."""
    return {
        name: value for name, value in stated(score).items() if value in VOCABULARY.controls[name]
    }


def encoded(scores: Sequence[Score]) -> list[np.ndarray]:
    """Write tunes as tokens with all their controls; leave out those that can't be spelled."""
    rows = []
    for score in scores:
        try:
            rows.append(VOCABULARY.encode(score, **labels(score)))
        except ValueError:  # a chord, most often
            continue
    return rows


def freed(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Hide all controls."""
    rng = np.random.default_rng(0)
    return [VOCABULARY.hide(row, 1.0, rng) for row in rows]


class Batches:
    """Tunes of like length, drawn anew for each step, some of them transposed.

    `batch` gives the same for the same step. Filled up with PAD, which `tune_loss` doesn't count.
    """

    def __init__(self, rows: Sequence[np.ndarray], *, context: int, seed: int = 0):
        self.rows = sorted((row[: context + 1] for row in rows), key=len)
        self.seed = seed
        first = 1 + MUSIC.size  # of the key tokens, after "any"
        self.keys = [int(row[0]) - first for row in self.rows]  # -1 if not known
        names = VOCABULARY.controls["key"][1:]
        self.moved = np.array(
            [
                [first + names.index(name) if name in names else -1 for name in map(_up(s), names)]
                for s in range(12)
            ]
        )

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Tensor:
        """Draw the tunes of a step: (tunes, tokens) int64."""
        rng = np.random.default_rng((self.seed, step))
        first = int(rng.integers(-TUNES // 2, len(self.rows) - TUNES // 2))
        some = np.clip(np.arange(first, first + TUNES), 0, len(self.rows) - 1)
        part = some[rank * TUNES // world : (rank + 1) * TUNES // world]
        rows = [torch.from_numpy(self._drawn(i, rng)) for i in part]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=MUSIC.pad)

    def _drawn(self, i: int, rng: np.random.Generator) -> np.ndarray:
        row, key = self.rows[i], self.keys[i]
        if key < 0 or rng.random() >= MOVED:
            return VOCABULARY.hide(row, 1.0 if rng.random() < FREE else HIDDEN, rng)
        lead = VOCABULARY.lead
        shifts = [s for s in transposable(row[lead:], MUSIC, 7) if self.moved[s % 12][key] >= 0]
        shift = int(rng.choice(shifts))
        moved = VOCABULARY.hide(row, HIDDEN, rng)
        moved[0] = self.moved[shift % 12][key]
        moved[lead:] = transpose(row[lead:], shift, MUSIC)
        return moved


def _up(semitones: int):
    """Return a function that transposes the name of a key."""

    def moved(name: str) -> str:
        at = KEYS.index(name)
        return KEYS[at - at % 12 + (at + semitones) % 12]

    return moved


def tune_loss(model: nn.Module, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of ``-log p`` over all tokens after START, and how many there are."""
    logits, _ = model(tokens[:, :-1])
    logits, targets = logits[:, VOCABULARY.lead - 1 :], tokens[:, VOCABULARY.lead :]
    loss = nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=MUSIC.pad, reduction="sum"
    )
    return loss, (targets != MUSIC.pad).sum()


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
    """Train the model; about ten CPU minutes."""
    tunes = datasets.tunes()
    valid = encoded(tunes.valid)[::8]
    seed_everything(seed)
    model = Transformer(VOCABULARY.size, **MODEL, lead=VOCABULARY.lead)
    return Trainer(
        model,
        Batches(encoded(tunes.train), context=model.context, seed=seed).batch,
        tune_loss,
        valid=lambda now: nats_per_note(now, freed(valid)),
        seed=seed,
        progress=progress,
        device=device,
        checkpoint=checkpoint,
        log=log,
        **TRAINING | budget(steps, minutes),
    ).run()


def nats_per_note(model: nn.Module, rows: Sequence[np.ndarray]) -> float:
    """Return the negative log-likelihood of what follows START over the number of notes.

    The same tokens count as in chapter 03: of the controls none does, END does.
    """
    found = token_nats(model, rows)
    notes = notes_in([row[VOCABULARY.lead :] for row in rows], VOCABULARY).sum()
    return float(sum(nats[VOCABULARY.lead - 1 :].sum() for nats in found) / notes)


def evaluate(model: nn.Module) -> dict[str, float]:
    """Score it on held-out tunes, without controls and with all that the source says."""
    tunes, found = datasets.tunes(), {}
    for split in ("valid", "test"):
        rows = encoded(tunes[split])
        found[f"nats per note, {split}"] = nats_per_note(model, freed(rows))
        found[f"nats per note, {split}, all controls given"] = nats_per_note(model, rows)
    return found


def written(
    model: nn.Module, wishes: Sequence[Mapping[str, str]], *, seed: int = 0, **options: object
) -> list[Score]:
    """Let it write a tune for each wish.

    Parameters
    ----------
    wishes : sequence of dict
        Controls and values, such as ``{"key": "D major", "metre": "6/8"}``; those left out are
        left to the model.
    **options
        As in `mlmusic.sampling.generate_batch`: temperature, nucleus …

    Returns
    -------
    list of Score
        With the metre that the tokens say. A tune that doesn't end within 400 tokens is cut off.

    Raises
    ------
    ValueError
        If there is no such control or value.
    """
    prompts = [VOCABULARY.prefix(**wish) for wish in wishes]
    rows = generate_batch(model, prompts, 400, stop=MUSIC.end, seed=seed, **options)
    return [VOCABULARY.decode(row, repair=True) for row in rows]


def hit_rates(
    model: nn.Module, judge: Judge, *, each: int = 20, seed: int = 0, **options: object
) -> dict[str, dict[str, float]]:
    """Ask for one control at a time, and judge by the notes what comes.

    Parameters
    ----------
    judge : Judge
        Made from the train split.
    each : int
        How many tunes for each value in `ASKED`, and as many as for the largest control without
        any wish.
    seed : int
    **options
        As in `written`.

    Returns
    -------
    dict of str to dict
        For each control: ``asked`` (share that has it), ``not asked`` (share of tunes for which
        nothing was asked that have it by chance), ``real`` (share of the test split's tunes of
        which the source says a value of `ASKED`, and the judge the same).
    """
    most = each * max(map(len, ASKED.values()))
    free = [judge(score) for score in written(model, [{}] * most, seed=seed, **options)]
    real = [(judge(score), stated(score)) for score in datasets.tunes().test if len(score)]
    found = {}
    for number, (name, values) in enumerate(ASKED.items(), 1):
        wishes = [{name: value} for value in values for _ in range(each)]
        made = written(model, wishes, seed=seed + 1000 * number, **options)
        heard = [judge(score) for score in made]
        chance = [hit_rate(free, {name: value})[name] for value in values]
        known = [(h, {name: s[name]}) for h, s in real if s.get(name) in values]
        found[name] = {
            "asked": hit_rate(heard, wishes)[name],
            "not asked": float(np.mean(chance)),
            "real": hit_rate(*zip(*known, strict=True))[name],
        }
    return found


def memorisation(model: nn.Module) -> str:
    """Compare the longest runs that its tunes and human tunes share with the training tunes."""
    tunes = datasets.tunes()
    copies = Copies(tunes.train)
    own = [copies.longest(score).notes for score in written(model, [{}] * 40)]
    human = [copies.longest(score).notes for score in tunes.test]
    return (
        "longest run of notes that stands in a training tune, up to transposition: of"
        f" {len(own)} tunes from nothing at temperature 1, median {np.median(own):.0f}, most"
        f" {max(own)}; of the test split's human tunes, median {np.median(human):.0f}, most"
        f" {max(human)}"
    )
