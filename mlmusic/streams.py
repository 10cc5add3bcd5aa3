"""Token sequences as parallel streams, for truncated backpropagation through time.

A tune is too long to be trained on in one piece, and cut pieces would forget what came before. So
tunes follow one another on a few *lanes*; each batch takes the next few steps of all lanes, and the
model's state is carried from batch to batch while the gradient stops at its edge (Williams and
Peng, *An efficient gradient-based algorithm for on-line training of recurrent network
trajectories*, 1990). Where a tune begins, the state begins anew, as it does when the model writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mlmusic.models.rnn import MelodyModel, State, detach
from mlmusic.tokens import Vocabulary

Batch = tuple[Tensor, Tensor, Tensor]
"""Tokens (lanes, steps), the next token of each (the same shape), and the lanes that start anew."""


def transpose(tokens: np.ndarray, semitones: int, vocabulary: Vocabulary) -> np.ndarray:
    """Shift every note of a token sequence; all else stays.

    Parameters
    ----------
    tokens : int array, shape (time,)
    semitones : int
    vocabulary : Vocabulary
        Its pitches must be consecutive, each with the same number of tokens, as ours are.

    Raises
    ------
    ValueError
        If a note would leave the vocabulary.
    """
    tokens = np.asarray(tokens)
    pitches = vocabulary.pitches[tokens]
    played = pitches >= 0
    known = vocabulary.pitches[vocabulary.pitches >= 0]
    moved = pitches[played] + semitones
    if len(moved) and not known.min() <= moved.min() <= moved.max() <= known.max():
        raise ValueError(
            f"{semitones} semitones take a note out of the vocabulary's {known.min()}–{known.max()}"
        )
    width = int((vocabulary.pitches == known.min()).sum())  # tokens of one pitch
    return tokens + played * (semitones * width)


def transposable(tokens: np.ndarray, vocabulary: Vocabulary, most: int) -> list[int]:
    """List by how many semitones, up or down at most ``most``, a sequence can be shifted."""
    pitches = vocabulary.pitches[np.asarray(tokens)]
    pitches, known = pitches[pitches >= 0], vocabulary.pitches[vocabulary.pitches >= 0]
    if not len(pitches):
        return [0]
    lowest = max(-most, int(known.min()) - int(pitches.min()))
    return list(range(lowest, min(most, int(known.max()) - int(pitches.max())) + 1))


class Streams:
    """All sequences, one after the other on parallel lanes, cut into batches.

    A sequence is filled up with ``pad`` to whole batches, so that each one begins with a batch.
    Lanes are filled evenly; the shuffled order is new in every epoch.

    Parameters
    ----------
    sequences : sequence of int arrays
        Each from START to END, at least two tokens.
    lanes : int
        How many streams run side by side.
    steps : int
        How many tokens a batch takes of each: how far back the gradient goes.
    forget : float
        How likely a lane is to start anew although its tune goes on: so a model learns to begin in
        the middle of a tune, too.
    transposed : tuple of (Vocabulary, int), optional
        Shift every sequence in every epoch by a number of semitones drawn anew, at most so many
        up or down, as far as the vocabulary goes.
    pad : int
        Filler, which `carried_loss` doesn't count.
    seed : int
        Of order, forgetting and shifts. Going through again draws new ones: for the same training
        twice, make the object twice.

    Raises
    ------
    ValueError
        If a number is impossible, or a sequence too short.
    """

    def __init__(
        self,
        sequences: Sequence[np.ndarray],
        *,
        lanes: int = 16,
        steps: int = 32,
        forget: float = 0.0,
        transposed: tuple[Vocabulary, int] | None = None,
        pad: int = 0,
        seed: int = 0,
    ):
        if lanes < 1 or steps < 1 or not 0 <= forget <= 1:
            raise ValueError("lanes and steps must be positive, forget a probability")
        if not len(sequences) or min(map(len, sequences)) < 2:
            raise ValueError("streams need sequences of at least two tokens each")
        self.sequences, self.lanes, self.steps = list(sequences), lanes, steps
        self.forget, self.transposed, self.pad = forget, transposed, pad
        chunks = sum(-(-(len(sequence) - 1) // steps) for sequence in sequences)
        self.batches = max(1, chunks // lanes)
        self._rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return self.batches

    def __iter__(self) -> Iterator[Batch]:
        """Go through all lanes once."""
        shape = (self.lanes, self.batches * self.steps)
        inputs, targets = np.full(shape, self.pad), np.full(shape, self.pad)
        fresh = self._rng.random((self.lanes, self.batches)) < self.forget
        ends = np.zeros(self.lanes, int)  # how far each lane is filled
        for i in self._rng.permutation(len(self.sequences)):
            tokens, lane = self._shifted(self.sequences[i]), int(ends.argmin())
            first = ends[lane]
            if first >= shape[1]:
                break  # every lane is full: what is left out this time comes another time
            stop = min(first + len(tokens) - 1, shape[1])
            inputs[lane, first:stop] = tokens[: stop - first]
            targets[lane, first:stop] = tokens[1 : stop - first + 1]
            fresh[lane, first // self.steps] = True
            ends[lane] = -(-stop // self.steps) * self.steps
        for number in range(self.batches):
            part = slice(number * self.steps, (number + 1) * self.steps)
            yield (
                torch.from_numpy(inputs[:, part]),
                torch.from_numpy(targets[:, part]),
                torch.from_numpy(fresh[:, number]),
            )

    def _shifted(self, tokens: np.ndarray) -> np.ndarray:
        if self.transposed is None:
            return tokens
        vocabulary, most = self.transposed
        return transpose(
            tokens, int(self._rng.choice(transposable(tokens, vocabulary, most))), vocabulary
        )


def padded(sequences: Sequence[np.ndarray], size: int = 64, pad: int = 0) -> list[Batch]:
    """Batches of whole sequences for validation, those of like length together.

    Returns
    -------
    list of Batch
        Shorter sequences are filled up with ``pad``, which no loss here counts.
    """
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    batches = []
    for first in range(0, len(order), size):
        rows = [torch.as_tensor(sequences[i]) for i in order[first : first + size]]
        x = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
        batches.append((x[:, :-1], x[:, 1:], torch.ones(len(x), dtype=torch.bool)))
    return batches


def carried_loss(pad: int = 0) -> Callable[[MelodyModel, Batch], Tensor]:
    """Return a loss for `mlmusic.fit`: mean nats per token, the state carried between batches.

    Use a new one for every training; batches whose lanes all start anew need no state.
    """
    state: State = None

    def loss(model: MelodyModel, batch: Batch) -> Tensor:
        nonlocal state
        tokens, targets, fresh = batch
        before = None if fresh.all() else model.forget(state, fresh)
        logits, after = model(tokens, before)
        state = detach(after)
        return nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=pad
        )

    return loss


def cosine_adam(
    lr: float, steps: int, *, warmup: int = 20
) -> Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]:
    """Return an optimizer for `mlmusic.fit`: Adam, its learning rate up quickly, then down slowly.

    Parameters
    ----------
    lr : float
        The highest learning rate, reached after ``warmup`` steps; from there half a cosine leads
        down to a twentieth of it at step ``steps`` (Loshchilov and Hutter, *SGDR*, 2017).
    steps, warmup : int
        Optimizer steps.

    Raises
    ------
    ValueError
        If a number isn't positive.
    """
    if not (lr > 0 and steps > 0 and warmup > 0):
        raise ValueError("lr, steps and warmup must be positive")

    def factor(step: int) -> float:
        down = 0.5 * (1 + math.cos(math.pi * min(step / steps, 1)))
        return min(1, (step + 1) / warmup) * (0.05 + 0.95 * down)

    def make(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        optimizer = torch.optim.Adam(parameters, lr=lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        # fit() knows nothing of schedules: the optimizer moves its own on after every step.
        optimizer.register_step_post_hook(lambda *_: schedule.step())
        return optimizer

    return make
