"""Distillation: a small model learns from a large one's odds, not from the notes alone.

Where the tune goes on to D, the teacher also says that G would have done and C♯ wouldn't: each
token teaches more. Source: Hinton, Vinyals and Dean, *Distilling the knowledge in a neural
network*, 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mlmusic.streams import Batch

Model = Callable[[Tensor], tuple[Tensor, Any]]


def distillation(
    logits: Tensor,
    teacher: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    weight: float = 0.5,
    pad: int = 0,
) -> Tensor:
    """Mix the loss of the true tokens with that of the teacher's odds.

    ``(1 - weight) · CE(targets) + weight · T² · CE(softmax(teacher / T), softmax(logits / T))``,
    the mean over all tokens that aren't filler. T² keeps the gradient's size at any temperature.

    Parameters
    ----------
    logits, teacher : (batch, time, vocabulary)
        The student's scores, and the teacher's.
    targets : (batch, time) int64
        The true next tokens.
    temperature : float
        Above 1 the teacher's unlikely tokens count for more.
    weight : float
        0 is training without a teacher, 1 with the teacher alone.
    pad : int
        Targets that don't count.

    Returns
    -------
    scalar tensor
        In nats per token.

    Raises
    ------
    ValueError
        If the shapes don't fit, temperature isn't above 0, or weight isn't from 0 to 1.
    """
    if logits.shape != teacher.shape or logits.shape[:-1] != targets.shape:
        raise ValueError(
            f"student {tuple(logits.shape)}, teacher {tuple(teacher.shape)} and targets"
            f" {tuple(targets.shape)} don't fit together"
        )
    if not temperature > 0 or not 0 <= weight <= 1:
        raise ValueError("temperature must be above 0, and weight from 0 to 1")
    counted = targets != pad
    hard = nn.functional.cross_entropy(logits[counted], targets[counted])
    odds = (teacher[counted] / temperature).softmax(-1)
    soft = nn.functional.cross_entropy(logits[counted] / temperature, odds)
    return (1 - weight) * hard + weight * temperature**2 * soft


def odds_of(teacher: Model, tokens: Tensor, vocabulary: int, prefix: Sequence[int] = ()) -> Tensor:
    """Return a teacher's scores of a student's tokens: (batch, time, vocabulary), no gradient.

    Parameters
    ----------
    teacher : function (tokens) -> (logits, state)
    tokens : (batch, time) int64
        Each row from its beginning.
    vocabulary : int
        How many tokens the student knows; the teacher's first ones must be the same.
    prefix : sequence of int
        What the teacher reads before: control tokens that the student doesn't know.
    """
    front = torch.tensor([list(prefix)] * len(tokens), dtype=torch.int64)
    with torch.no_grad():
        logits, _ = teacher(torch.cat([front, tokens], 1))
    return logits[:, len(prefix) :, :vocabulary]


def taught_by(
    teacher: nn.Module,
    *,
    prefix: Sequence[int] = (),
    temperature: float = 1.0,
    weight: float = 0.5,
    pad: int = 0,
) -> Callable[[nn.Module, Batch], Tensor]:
    """Return a loss for `mlmusic.fit` that trains a student with a teacher beside it.

    Parameters
    ----------
    teacher : nn.Module
        Switched to eval mode; it isn't trained.
    prefix, temperature, weight, pad
        As in `odds_of` and `distillation`.

    Returns
    -------
    function (student, batch) -> loss
        Batches are whole sequences, as `mlmusic.streams.padded` makes them, with the prefix not
        longer than the teacher's context. In eval mode it is the
        loss of the true tokens alone, so that students with and without a teacher can be compared.
    """
    teacher.eval()

    def loss(student: nn.Module, batch: Batch) -> Tensor:
        tokens, targets = batch[:2]
        logits, _ = student(tokens)
        if not student.training or weight == 0:
            return nn.functional.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), ignore_index=pad
            )
        scores = odds_of(teacher, tokens, logits.shape[-1], prefix)
        return distillation(
            logits, scores, targets, temperature=temperature, weight=weight, pad=pad
        )

    return loss
