"""Chorales: what helps the model of chapter 06, one change at a time, on JSB's validation split."""

from __future__ import annotations

import time

import torch

from mlmusic import seed_everything, weights
from mlmusic.metrics.chorales import nats_per_note
from mlmusic.models.transformer import ChoraleModel, Windows, note_loss
from mlmusic.recipes.transformer_chorale import pieces
from mlmusic.trainer import Trainer

FULL = {"low": 33, "high": 84, "width": 96, "layers": 3, "heads": 3, "dropout": 0.2, "blank": 0.1}
FULL |= {"context": 128}
STEPS, NOTES = 600, 2048
"""How many batches, and how many steps of music in each; after 200 one would see who learns fast,
not who ends well. About 90 CPU seconds for each of the eleven trainings."""

CHANGES = {
    "looks back 16 steps (one bar) instead of 128": {"context": 16},
    "looks back 32 steps": {"context": 32},
    "looks back 64 steps": {"context": 64},
    "looks back 256 steps": {"context": 256},
    "doesn't see for how long notes are held": {"ages": False},
    "doesn't see how notes were reached, nor the chord's gaps": {"moves": False},
    "relative logits to the voice's last note alone": {"relative": "own"},
    "no relative logits": {"relative": "none"},
    "dropout 0.1, nothing blanked": {"dropout": 0.1, "blank": 0.0},
}
"""What is different from the full model: the same number of batches, notes, and seed."""


def run() -> list[dict]:
    """Train the full model with two seeds and each variant with one."""
    torch.set_num_threads(1)
    try:
        train, valid = pieces("train"), pieces("valid")
    except FileNotFoundError as error:
        return [{"row": "chorales: ablation", "note": f"skipped: {str(error).split('.')[0]}"}]
    (full, seconds), (again, _) = (_trained({}, train, valid, seed) for seed in (0, 1))
    rows = [_row("the same with another seed", full, again, seconds)]
    for what, change in CHANGES.items():
        found, seconds = _trained(change, train, valid, 0)
        rows.append(_row(what, full, found, seconds))
    return [*rows, _deaf(valid)]


def _deaf(valid: list) -> dict:
    """The shipped committee with and without what was heard before in the piece."""
    committee, began = weights.load("transformer/chorale"), time.process_time()
    full = nats_per_note(committee, valid)
    committee.listens = False
    found = nats_per_note(committee, valid)
    return {
        "row": "chorales: the shipped committee doesn't listen for passages heard before",
        "ours": f"{full:.4f}",
        "peer": f"{found:.4f}",
        "ratio": found / full,
        "note": f"nats per note, valid; {time.process_time() - began:.0f} CPU s for both; its trust"
        " in echoes was fitted on these pieces: 21 numbers",
    }


def _trained(change: dict, train: list, valid: list, seed: int) -> tuple[float, float]:
    """Nats per note on the validation split, and the CPU seconds of training."""
    began = time.process_time()
    seed_everything(seed)
    model = ChoraleModel(**FULL | change)
    windows = Windows(model, train, size=NOTES // model.context, seed=seed)
    model = Trainer(
        model,
        windows.batch,
        note_loss,
        steps=STEPS,
        lr=2e-3,
        average=0.99,
        seed=seed,
        progress=False,
    ).run()
    return nats_per_note(model, valid), time.process_time() - began


def _row(what: str, full: float, found: float, seconds: float) -> dict:
    return {
        "row": f"chorales: {what}",
        "ours": f"{full:.4f}",
        "peer": f"{found:.4f}",
        "ratio": found / full,
        "note": f"nats per note, valid; {STEPS} batches, {seconds:.0f} CPU s with scoring; the"
        " full model is on the left",
    }


if __name__ == "__main__":
    for row in run():
        print(row, flush=True)
