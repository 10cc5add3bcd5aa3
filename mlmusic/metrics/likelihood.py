"""How surprised a model is by music it has never seen: nats per note.

A model's negative log-likelihood of a tune is the sum of ``-log p`` over all its tokens but the
first, each given those before it: bar lines, ties, rests and END included, because they are part
of the tune. Divided by the number of *notes* it can be compared between vocabularies that spell
the same tune with more or fewer tokens. A nat is 1.44 bits; ``exp(nats)`` is the perplexity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlmusic.tokens import Vocabulary

Model = Callable[..., tuple[Tensor, Any]]


def token_nats(
    model: Model, sequences: Sequence[Sequence[int] | np.ndarray], *, batch: int = 64
) -> list[np.ndarray]:
    """Return ``-log p`` of every token but the first, given all before it in its sequence.

    Parameters
    ----------
    model : MelodyModel, NGram, or any ``model(tokens, state) -> (logits, state)``
        A method ``model.nats(sequence)`` is used where there is one. Networks are in eval mode
        meanwhile.
    sequences : sequence of int sequences
        Each at least two tokens.
    batch : int
        Sequences at a time, those of like length together.

    Returns
    -------
    list of float arrays
        One for each sequence, shape (tokens - 1,), in nats.

    Raises
    ------
    ValueError
        If there is no sequence, or one is too short.
    """
    rows = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
    if not rows or any(row.ndim != 1 or len(row) < 2 for row in rows):
        raise ValueError("likelihood needs sequences of at least two tokens each")
    if hasattr(model, "nats"):
        return [model.nats(row) for row in rows]
    found: list[np.ndarray] = [np.zeros(0)] * len(rows)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    with _evaluating(model):
        for first in range(0, len(order), batch):
            some = order[first : first + batch]
            tokens = torch.zeros(len(some), len(rows[some[-1]]), dtype=torch.int64)
            for place, i in enumerate(some):
                tokens[place, : len(rows[i])] = torch.from_numpy(rows[i])
            nats = _nats(model(tokens[:, :-1])[0], tokens[:, 1:])
            for place, i in enumerate(some):  # what follows a sequence's end doesn't count
                found[i] = nats[place, : len(rows[i]) - 1]
    return found


def notes_in(sequences: Sequence[Sequence[int] | np.ndarray], vocabulary: Vocabulary) -> np.ndarray:
    """Count the notes of each sequence; ties, rests and bar lines aren't notes."""
    return np.array([(vocabulary.pitches[np.asarray(row)] >= 0).sum() for row in sequences])


def nats_per_note(
    model: Model, sequences: Sequence[Sequence[int] | np.ndarray], vocabulary: Vocabulary
) -> float:
    """Return the negative log-likelihood of all sequences over the number of their notes.

    Raises
    ------
    ValueError
        If there is no note.
    """
    notes = notes_in(sequences, vocabulary).sum()
    if notes == 0:
        raise ValueError("nats per note of music without notes can't be told")
    return float(sum(nats.sum() for nats in token_nats(model, sequences)) / notes)


def nats_by_context(
    model: Model,
    sequences: Sequence[Sequence[int] | np.ndarray],
    contexts: Sequence[int],
    *,
    targets: int = 2000,
    seed: int = 0,
) -> dict[int, float]:
    """Return how surprising tokens are when only the last few tokens may be seen.

    The same target tokens are predicted with every length of context, so that the numbers can be
    compared: tokens that have at least as many before them as the longest context.

    Parameters
    ----------
    model, sequences
        As in `token_nats`.
    contexts : sequence of int
        How many tokens may be seen, at least 1.
    targets : int
        How many tokens are predicted: drawn from all that qualify, or all if there are fewer.
    seed : int
        Of that draw.

    Returns
    -------
    dict of int to float
        Mean nats per *token* for each length of context.

    Raises
    ------
    ValueError
        If a context is below 1, or no sequence is longer than the longest.
    """
    longest = max(contexts, default=0)
    if longest < 1 or min(contexts) < 1 or targets < 1:
        raise ValueError("contexts are lengths of at least 1, and targets at least 1")
    rows = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
    windows = [
        np.lib.stride_tricks.sliding_window_view(row, longest + 1)
        for row in rows
        if len(row) > longest
    ]
    if not windows:
        raise ValueError(f"no sequence is longer than {longest} tokens: ask for shorter contexts")
    whole = np.concatenate(windows)
    drawn = np.random.default_rng(seed).permutation(len(whole))[:targets]
    tokens = torch.from_numpy(whole[drawn])
    means = {}
    if hasattr(model, "nats"):
        for context in contexts:
            parts = whole[drawn][:, -context - 1 :]
            means[context] = float(np.mean([model.nats(part)[-1] for part in parts]))
        return means
    with _evaluating(model):
        for context in contexts:
            total = 0.0
            for part in tokens[:, -context - 1 :].split(256):
                logits, _ = model(part[:, :-1])
                total += _nats(logits[:, -1:], part[:, -1:]).sum()
            means[context] = float(total / len(tokens))
    return means


def _nats(logits: Tensor, targets: Tensor) -> np.ndarray:
    """``-log p`` of the targets, (batch, time)."""
    picked = logits.gather(2, targets.unsqueeze(2)).squeeze(2)
    return (logits.logsumexp(dim=2) - picked).numpy().astype(float)


class _evaluating:
    """Eval mode and no gradients for a while; n-grams have no such mode."""

    def __init__(self, model: Model):
        self.model, self.training = model, getattr(model, "training", False)
        self.no_grad = torch.no_grad()

    def __enter__(self) -> None:
        if self.training:
            self.model.eval()
        self.no_grad.__enter__()

    def __exit__(self, *error: object) -> None:
        self.no_grad.__exit__(*error)
        if self.training:
            self.model.train()
