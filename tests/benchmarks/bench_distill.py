"""Distillation: a small GRU taught by chapter 06's transformer, against the same GRU alone."""

from __future__ import annotations

import time

import numpy as np
import torch

from mlmusic import datasets, seed_everything, weights
from mlmusic.metrics.likelihood import nats_per_note
from mlmusic.models.distill import taught_by
from mlmusic.models.rnn import MelodyModel, count_parameters
from mlmusic.recipes.rnn_gru import VOCABULARY, encoded
from mlmusic.recipes.transformer_tunes import VOCABULARY as CONTROLLED
from mlmusic.sampling import generate, generate_batch
from mlmusic.streams import cosine_adam, padded

PREFIX = CONTROLLED.prefix()[:-1]  # all controls "any"; START comes with the tune
STUDENT = {"kind": "gru", "embedding": 48, "hidden": 96, "dropout": 0.1}
STEPS, SIZE, SEEDS, FEW = 160, 8, (0, 1), 200
"""Batches, and tunes in each; about two CPU minutes in all."""


def run() -> list[dict]:
    """Train students with and without the teacher: the same tunes, batches and seeds."""
    torch.set_num_threads(1)
    teacher = weights.load("transformer/tunes")
    tunes = datasets.tunes()
    train, valid = encoded(tunes.train), encoded(tunes.valid)[::4]
    few = [train[i] for i in np.random.default_rng(0).permutation(len(train))[:FEW]]
    began = time.process_time()
    prompts = [CONTROLLED.prefix()] * 2 * FEW
    made = generate_batch(teacher, prompts, 250, stop=VOCABULARY.end, seed=0)
    more = [np.array(row[len(PREFIX) :]) for row in made]
    seconds = time.process_time() - began
    rows = []
    for what, data, other in (
        (f"all {len(train)} tunes", train, train),
        (f"{FEW} tunes", few, few),
    ):
        rows.append(_row(what, data, other, teacher, valid, 0.5))
    rows.append(
        _row(f"{FEW} tunes and {len(more)} that the teacher wrote", few, few + more, None, valid, 0)
    )
    rows[-1]["note"] += f", {seconds:.0f} CPU s to write them"
    return [*rows, _speed(teacher)]


def _row(what: str, data: list, other: list, teacher, valid: list, weight: float) -> dict:
    alone, first = zip(*(_trained(data, None, 0, valid, seed) for seed in SEEDS), strict=True)
    taught, second = zip(
        *(_trained(other, teacher, weight, valid, seed) for seed in SEEDS), strict=True
    )
    spread = max(np.ptp(alone), np.ptp(taught))
    return {
        "row": f"distillation: {what}, against the same student alone",
        "ours": f"{np.mean(taught):.3f}",
        "peer": f"{np.mean(alone):.3f}",
        "ratio": float(np.mean(alone) / np.mean(taught)),
        "note": f"nats per note, valid; {STEPS} batches of {SIZE}, mean of {len(SEEDS)} seeds that"
        f" differ by up to {spread:.3f}; {np.mean(second):.0f} CPU s against {np.mean(first):.0f}",
    }


def _trained(data, teacher, weight: float, valid: list, seed: int) -> tuple[float, float]:
    """Nats per note on held-out tunes, and the CPU seconds of training."""
    began = time.process_time()
    seed_everything(seed)
    student = MelodyModel(VOCABULARY.size, **STUDENT)
    rng = np.random.default_rng(seed)
    loss = taught_by(teacher or torch.nn.Identity(), prefix=PREFIX, weight=weight)
    optimizer = cosine_adam(0.01, STEPS)(student.parameters())
    batches: list = []
    for _ in range(STEPS):
        if not batches:
            drawn = [data[i] for i in rng.permutation(len(data))[: 40 * SIZE]]
            batches = padded(drawn, SIZE)
            rng.shuffle(batches)
        optimizer.zero_grad()
        loss(student, batches.pop()).backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
    seconds = time.process_time() - began
    return nats_per_note(student.eval(), valid, VOCABULARY), seconds


def _speed(teacher) -> dict:
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
