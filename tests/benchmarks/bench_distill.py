"""Distillation: a small GRU taught by chapter 06's transformer, against the same GRU alone."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn

from mlmusic import datasets, seed_everything, weights
from mlmusic.metrics.likelihood import nats_per_note
from mlmusic.models.distill import taught_by
from mlmusic.models.rnn import MelodyModel, count_parameters
from mlmusic.recipes.rnn_gru import VOCABULARY, encoded
from mlmusic.recipes.transformer_tunes import VOCABULARY as CONTROLLED
from mlmusic.sampling import generate, generate_batch
from mlmusic.streams import Batch, cosine_adam, padded

PREFIX = CONTROLLED.prefix()[:-1]  # all controls "any"; START comes with the tune
STUDENT = {"kind": "gru", "embedding": 48, "hidden": 96, "dropout": 0.1}
STEPS, SIZE, SEEDS, FEW = 600, 8, (0, 1), 200
"""Batches, and tunes in each; about seven CPU minutes in all."""


def run() -> list[dict]:
    """Train students with and without the teacher: the same tunes, batches and seeds."""
    torch.set_num_threads(1)
    teacher = weights.load("transformer/tunes")
    tunes = datasets.tunes()
    train = [row[:400] for row in encoded(tunes.train)]  # the teacher's context is short
    valid = encoded(tunes.valid)[::4]
    few = [train[i] for i in np.random.default_rng(0).permutation(len(train))[:FEW]]
    began = time.process_time()
    prompts = [CONTROLLED.prefix()] * 2 * FEW
    made = generate_batch(teacher, prompts, 250, stop=VOCABULARY.end, seed=0)
    more = [np.array(row[len(PREFIX) :]) for row in made]
    seconds = time.process_time() - began
    alone = {len(data): _students(data, None, 0, valid) for data in (train, few)}
    whole, part = f"all {len(train)} tunes", f"{FEW} tunes"
    rows = [
        _row(whole, alone[len(train)], _students(train, teacher, 0.5, valid)),
        _row(part, alone[FEW], _students(few, teacher, 0.5, valid)),
        _row(
            f"{part}, and {len(more)} that the teacher wrote",
            alone[FEW],
            _students(few + more, None, 0, valid),
        ),
    ]
    rows[-1]["note"] += f", and {seconds:.0f} to write them"
    return [*rows, _speed(teacher)]


Students = list[tuple[float, float]]
"""Nats per note on held-out tunes, and CPU seconds of training, one a seed."""


def _students(data: list, teacher: nn.Module | None, weight: float, valid: list) -> Students:
    return [_trained(data, teacher, weight, valid, seed) for seed in SEEDS]


def _row(what: str, alone: Students, taught: Students) -> dict:
    (theirs, before), (ours, now) = np.array(alone).T, np.array(taught).T
    spread = max(np.ptp(ours), np.ptp(theirs))
    return {
        "row": f"distillation: {what}, against the same student alone",
        "ours": f"{ours.mean():.3f}",
        "peer": f"{theirs.mean():.3f}",
        "ratio": float(theirs.mean() / ours.mean()),
        "note": f"nats per note, valid; {STEPS} batches of {SIZE}, mean of {len(SEEDS)} seeds that"
        f" differ by up to {spread:.3f}; {now.mean():.0f} CPU s against {before.mean():.0f}",
    }


def _trained(
    data: list, teacher: nn.Module | None, weight: float, valid: list, seed: int
) -> tuple[float, float]:
    """Nats per note on held-out tunes, and the CPU seconds of training."""
    began = time.process_time()
    seed_everything(seed)
    student = MelodyModel(VOCABULARY.size, **STUDENT)
    rng = np.random.default_rng(seed)
    loss = taught_by(teacher or nn.Identity(), prefix=PREFIX, weight=weight)
    optimizer = cosine_adam(0.01, STEPS)(student.parameters())
    batches: list[Batch] = []
    for _ in range(STEPS):
        if not batches:
            drawn = [data[i] for i in rng.permutation(len(data))[: 40 * SIZE]]
            batches = padded(drawn, SIZE)
            rng.shuffle(batches)
        optimizer.zero_grad()
        loss(student, batches.pop()).backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
    seconds = time.process_time() - began
    return nats_per_note(student.eval(), valid, VOCABULARY), seconds


def _speed(teacher: nn.Module) -> dict:
    student = MelodyModel(VOCABULARY.size, **STUDENT).eval()
    times = []
    for model, prompt in ((student, [VOCABULARY.start]), (teacher, CONTROLLED.prefix())):
        generate(model, prompt, 16, seed=0)
        began = time.process_time()
        generate(model, prompt, 512 - len(prompt), seed=0)
        times.append(time.process_time() - began)
    small, large = count_parameters(student), count_parameters(teacher)
    return {
        "row": "distillation: write 512 tokens with the student, against the teacher",
        "ours": f"{times[0]:.2f} s",
        "peer": f"{times[1]:.2f} s",
        "ratio": times[1] / times[0],
        "note": f"CPU time, one thread, the teacher with its cache; {small:,} parameters against"
        f" {large:,}",
    }


if __name__ == "__main__":
    for row in run():
        print(row, flush=True)
