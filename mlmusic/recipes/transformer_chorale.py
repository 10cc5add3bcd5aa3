"""Chorales in sixteenths: chapter 06's model, trained for longer, several of them, that listen.

What several models expect is averaged. Where a passage was heard before in the same piece, what
followed then takes a share: chorales repeat their phrases, and over a whole piece no context of
these models reaches. Both are exact likelihoods of the notes, given nothing but those before.

It is trained on what others train on, so that its score on JSB's test split can stand beside
theirs. It may also be scored on the course's own ``datasets.chorales(split="jsb")``, with a grain
of salt: 2 of its 74 test pieces and 4 of its 67 validation pieces stand in JSB's train split, too,
since the published split has two of its pieces on both sides.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from mlmusic import datasets, seed_everything
from mlmusic.metrics.chorales import frame_nll, nats_per_note, note_nats
from mlmusic.models.transformer.chorale import ChoraleModel
from mlmusic.models.transformer.committee import Committee, attuned, calibrated
from mlmusic.models.transformer.frames import frame_symbols, frames_of
from mlmusic.models.transformer.pieces import symbols
from mlmusic.models.transformer.windows import Windows, note_loss
from mlmusic.models.transformer.writing import write
from mlmusic.trainer import Trainer
from mlmusic.weights.packing import pack, unpack

DATA = (
    "the train split of datasets.jsb(), as published: 229 chorales; the temperature of the votes"
    " and the trust in echoes are fitted on its validation split. Of the course's chorales in the"
    ' split "jsb", 2 of 74 test and 4 of 67 validation pieces stand in the train split, too'
)
LICENCE = (
    "MIT; trained on chorales that are in the public domain, from a repository that states no"
    " licence: see datasets/jsb/README.md"
)

SMALL = {"width": 96, "layers": 3, "heads": 3, "dropout": 0.25}
LARGE = {"width": 160, "layers": 4, "heads": 5, "dropout": 0.3}
MEMBERS = (
    (SMALL, {"steps": 900, "lr": 2e-3, "weight_decay": 0.3}),
    (SMALL, {"steps": 900, "lr": 2e-3, "weight_decay": 0.3}),
    (LARGE, {"steps": 700, "lr": 1.5e-3, "weight_decay": 0.1}),
    (LARGE, {"steps": 700, "lr": 1.5e-3, "weight_decay": 0.1}),
    (LARGE, {"steps": 700, "lr": 1.5e-3, "weight_decay": 0.1}),
)
"""What the members differ in, apart from their seeds."""

MODEL = {"low": 33, "high": 84, "blank": 0.1, "context": 128}
WINDOWS = {"size": 16, "reach": 6}
TRAINING = {"warmup": 100, "decay": 0.5, "average": 0.995}
BITS = 8


def pieces(split: str, data: str = "jsb") -> list[Tensor]:
    """Return the chorales of a split as symbols.

    Parameters
    ----------
    split : {"train", "valid", "test"}
    data : {"jsb", "chorales"}
        The published files, or the course's chorales in the split that keeps JSB's test and
        validation pieces apart, ``datasets.chorales(split="jsb")``.

    Raises
    ------
    FileNotFoundError
        If JSB's file isn't there.
    ValueError
        If there are no such data.
    """
    sets = {"jsb": datasets.jsb, "chorales": lambda: datasets.chorales(split="jsb")}
    if data not in sets:
        raise ValueError(f"there are no data {data!r}: choose from {', '.join(sets)}")
    return [symbols(score, low=MODEL["low"], high=MODEL["high"]) for score in sets[data]()[split]]


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


def committee(
    members: Sequence[tuple[dict, dict]],
    model: dict,
    train: Sequence[Tensor],
    valid: Sequence[Tensor],
    *,
    windows: dict,
    training: dict,
    seed: int,
    checkpoint: str | Path | None,
    log: str | Path | None,
    **options: object,
) -> Committee:
    """Train models with seeds of their own; fit their temperature and trust in echoes on ``valid``.

    Fitted as they will be kept, in `BITS`. A quarter of ``valid`` is watched in the log.
    """
    found = []
    for number, (own, way) in enumerate(members):
        seed_everything(seed + number)
        member = ChoraleModel(**model | own)
        found.append(
            Trainer(
                member,
                Windows(member, train, seed=seed + number, **windows).batch,
                note_loss,
                valid=lambda now: nats_per_note(now, valid[::4]),
                seed=seed + number,
                checkpoint=_numbered(checkpoint, number),
                log=_numbered(log, number),
                **way | training,
                **options,
            ).run()
        )
    began = time.process_time()
    whole = voting(found, valid)
    whole.cpu_seconds = sum(member.cpu_seconds for member in found)
    whole.cpu_seconds += time.process_time() - began
    return whole


def voting(members: Sequence[ChoraleModel], valid: Sequence[Tensor]) -> Committee:
    """Round trained models' weights, and fit on ``valid`` how they vote and listen."""
    for member in members:
        member.load_state_dict(unpack(pack(member.state_dict(), BITS)))
    votes = calibrated(Committee.of(members), lambda now: nats_per_note(now, valid))
    whole = Committee.of(members, temperature=votes.temperature, listens=True)
    return attuned(whole, valid, note_nats)


def budget(steps: int | None, minutes: float | None) -> dict:
    """Return what replaces the recipe's own number of steps."""
    if steps is None and minutes is None:
        return {}
    return {"steps": steps, "minutes": minutes}


def _numbered(path: str | Path | None, number: int) -> Path | None:
    """Give each member a file of its own: ``it.csv`` is ``it.0.csv`` for the first."""
    return None if path is None else Path(path).with_suffix(f".{number}{Path(path).suffix}")


def evaluate(model: nn.Module) -> dict[str, float]:
    """Score it on held-out chorales.

    The course's own with the few that JSB has on both sides, see above.
    """
    found = {}
    for data, name in (("jsb", "JSB"), ("chorales", "course's chorales")):
        for split in ("valid", "test"):
            score = nats_per_note(model, pieces(split, data))
            found[f"nats per note, {name}, {split}"] = score
    return found


def evaluate_on(model: nn.Module, data: str, split: str) -> dict[str, object]:
    """Score it on one split, and the checkpoint ``transformer/frames`` on its quarter notes.

    Returns
    -------
    dict
        data, split, nats_per_note (sixteenths, all four voices of each), frame_nll (nats a
        quarter-note frame), n (how many pieces).
    """
    from mlmusic import weights

    held_out = pieces(split, data)
    if data == "jsb":
        frames = datasets.jsb_frames()[split]
    else:
        frames = [frames_of(score) for score in datasets.chorales(split="jsb")[split]]
    quarters = [frame_symbols(piece) for piece in frames]
    return {
        "data": data,
        "split": split,
        "nats_per_note": nats_per_note(model, held_out),
        "frame_nll": frame_nll(weights.load("transformer/frames"), quarters),
        "n": len(held_out),
    }


def memorisation(model: nn.Module) -> str:
    """Compare the longest passages that its chorales and Bach's share with training ones."""
    train = pieces("train")
    steps = min(128, model.context)
    written = write(model, steps, count=40, seed=0)
    own = [longest_copy(piece, train) for piece in written]
    human = [longest_copy(piece[:steps], train) for piece in pieces("test")]
    return (
        "longest passage of all four voices that stands in a training chorale, up to"
        f" transposition, in sixteenths: of {len(own)} chorales of {steps} from nothing at"
        f" temperature 1, median {np.median(own):.0f}, most {max(own)}; of the first {steps} of the"
        f" test split's {len(human)}, median {np.median(human):.0f}, most {max(human)}"
    )


def longest_copy(piece: Tensor, train: Sequence[Tensor]) -> int:
    """Count the steps of the longest passage of a piece that stands in a training piece.

    Up to transposition: compared are each step's distances from the soprano of the step before.
    A passage in which nothing moves is no passage.
    """
    mine = _moves(piece)
    best = 0
    for other in train:
        theirs = _moves(other)
        equal = (mine[:, None] == theirs[None]).all(-1)  # (steps, steps)
        run = np.zeros(len(theirs) + 1, int)
        for i in range(len(mine)):
            run[1:] = np.where(equal[i], run[:-1] + 1, 0)
            longest = int(run.max())
            if longest > best and (mine[i - longest + 1 : i + 1, 0] != 0).any():
                best = longest
    return best


def _moves(piece: Tensor) -> np.ndarray:
    """How the soprano moves to each step but the first, and how far the others are below it."""
    notes = piece.numpy()
    steps = np.column_stack([np.diff(notes[:, 0]), notes[1:, :1] - notes[1:, 1:]])
    silent = notes[1:] == 0
    return np.column_stack([np.where(silent[:, :1], 99, steps), silent])
