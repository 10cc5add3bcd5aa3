"""n-grams: predict the next token from the last few by counting, smoothed after Kneser and Ney."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

PAD = 0  # the id that stands before a sequence's first token, in all our vocabularies

DISCOUNTS = (0.1, 0.9)
"""Smallest and largest: in a few tunes hardly anything, or everything, may occur just once."""


class NGram:
    """A Markov chain of some order with interpolated Kneser–Ney smoothing.

    The longest context has counts of how often each token followed it. A discount is taken from
    every count, and what that frees is shared out by the distribution of the next shorter
    context, down to all tokens alike: so everything has a probability above 0, and they add up
    to 1. A shorter context doesn't count how often a token followed it but after how many
    different longer ones (Kneser and Ney, *Improved backing-off for m-gram language modeling*,
    1995; Chen and Goodman, *An empirical study of smoothing techniques*, 1999, equation 4.2, with
    the discount ``n1 / (n1 + 2 n2)`` of each length, kept within `DISCOUNTS`).

    Called like a network, ``model(tokens, state)`` returns logits and a state, so that
    `mlmusic.sampling.generate` and `mlmusic.metrics.likelihood` take both.

    Parameters
    ----------
    order : int
        How many tokens back it looks: 0 is the unigram.
    vocabulary : int
        How many tokens there are; ``vocabulary ** (order + 1)`` must be below 2**63.

    Raises
    ------
    ValueError
        If a number is impossible.
    """

    def __init__(self, order: int, vocabulary: int):
        if order < 0 or vocabulary < 1 or vocabulary ** (order + 1) >= 2**63:
            raise ValueError(
                f"order {order} with {vocabulary} tokens is impossible: the order is at least 0,"
                " and vocabulary ** (order + 1) must be below 2**63"
            )
        self.order, self.vocabulary = order, vocabulary
        # For each length of context 0 … order: sorted numbers of the n-grams seen, their counts.
        self._grams: list[np.ndarray] = []
        self._counts: list[np.ndarray] = []
        self._sums: list[np.ndarray] = []  # of all counts before each
        self._discounts: list[float] = []

    def fit(self, sequences: Sequence[Sequence[int] | np.ndarray]) -> NGram:
        """Count the n-grams of token sequences, and return the model.

        Raises
        ------
        ValueError
            If there is nothing to count, or a token isn't in the vocabulary.
        """
        if sum(max(len(sequence) - 1, 0) for sequence in sequences) == 0:
            raise ValueError("nothing to count: every sequence needs at least two tokens")
        windows = np.concatenate([self._windows(sequence) for sequence in sequences])
        self._grams, self._counts, self._sums, self._discounts = [], [], [], []
        numbers = self._numbers(windows)
        for length in range(self.order, -1, -1):
            # A shorter context counts the distinct n-grams that end in it, not their occurrences.
            numbers, counts = np.unique(numbers, return_counts=True)
            ones, twos = (counts == 1).sum(), (counts == 2).sum()
            self._grams.insert(0, numbers)
            self._counts.insert(0, counts)
            self._sums.insert(0, np.concatenate([[0], np.cumsum(counts)]))
            estimate = ones / (ones + 2 * twos) if ones else 0.5
            self._discounts.insert(0, float(np.clip(estimate, *DISCOUNTS)))
            numbers = numbers % self.vocabulary**length  # without its first token
        return self

    def probabilities(self, context: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the probability of every next token after some tokens, shape (vocabulary,).

        Only the last ``order`` of them count.
        """
        self._check_fitted()
        context = self._padded(context)[-self.order :] if self.order else np.zeros(0, np.int64)
        found = np.full(self.vocabulary, 1 / self.vocabulary)
        for length in range(self.order + 1):
            start = self._number(context[self.order - length :]) * self.vocabulary
            grams, counts = self._grams[length], self._counts[length]
            first, last = np.searchsorted(grams, [start, start + self.vocabulary])
            if first == last:
                break  # never seen, so no longer context was either
            total, discount = counts[first:last].sum(), self._discounts[length]
            found = found * (discount * (last - first) / total)
            found[grams[first:last] - start] += (counts[first:last] - discount) / total
        return found

    def nats(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return ``-log p`` of each token but the first, given those before: shape (tokens - 1,).

        The same as reading them off `probabilities` one by one, in a fraction of the time.
        """
        self._check_fitted()
        windows = self._windows(tokens)  # (tokens - 1, order + 1)
        found = np.full(len(windows), 1 / self.vocabulary)
        for length in range(self.order + 1):
            numbers = self._numbers(windows[:, self.order - length :])
            start = numbers - numbers % self.vocabulary
            grams, counts = self._grams[length], self._counts[length]
            first, last = np.searchsorted(grams, [start, start + self.vocabulary])
            sums = self._sums[length]
            seen, total = last > first, np.maximum(sums[last] - sums[first], 1)
            at = np.minimum(np.searchsorted(grams, numbers), len(grams) - 1)
            discount = self._discounts[length]
            own = np.where(grams[at] == numbers, counts[at] - discount, 0) / total
            found = np.where(seen, own + found * discount * (last - first) / total, found)
        return -np.log(found)

    def __call__(self, tokens: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return log-probabilities (batch, time, vocabulary) and the last ``order`` tokens."""
        if tokens.ndim != 2 or tokens.shape[1] == 0:
            raise ValueError(f"tokens must be (batch, time), not {tuple(tokens.shape)}")
        past = tokens.new_full((len(tokens), self.order), PAD) if state is None else state
        whole = torch.cat([past, tokens], dim=1).numpy()
        logits = np.log(
            [
                [self.probabilities(row[: self.order + t + 1]) for t in range(tokens.shape[1])]
                for row in whole
            ]
        )
        end = torch.from_numpy(whole[:, whole.shape[1] - self.order :])
        return torch.from_numpy(logits).float(), end

    def _check_fitted(self) -> None:
        if not self._grams:
            raise ValueError("this model hasn't counted anything yet: call fit(sequences) first")

    def _padded(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        tokens = np.asarray(tokens, dtype=np.int64)
        if tokens.ndim != 1 or (tokens < 0).any() or (tokens >= self.vocabulary).any():
            raise ValueError(f"tokens must be one row of ids from 0 to {self.vocabulary - 1}")
        return np.concatenate([np.full(self.order, PAD), tokens])

    def _windows(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """Each token but the first with the ``order`` before it, (tokens - 1, order + 1)."""
        padded = self._padded(tokens)
        if len(padded) < self.order + 2:
            return np.zeros((0, self.order + 1), np.int64)
        return np.lib.stride_tricks.sliding_window_view(padded, self.order + 1)[1:]

    def _numbers(self, windows: np.ndarray) -> np.ndarray:
        """Read each row as a number whose digits are its tokens."""
        digits = windows.shape[1]
        return windows @ (self.vocabulary ** np.arange(digits - 1, -1, -1, dtype=np.int64))

    def _number(self, tokens: np.ndarray) -> int:
        return int(self._numbers(tokens[None])[0]) if len(tokens) else 0
