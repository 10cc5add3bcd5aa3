"""Sampling: turn a model's scores for the next token into music, and keep to some rules.

Everything here works for any model whose ``model(tokens, state)`` takes (batch, time) int64 and
returns logits (batch, time, vocabulary) and a state: n-grams, recurrent networks, transformers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mlmusic.tokens import MelodyVocabulary, Vocabulary

Allowed = Callable[[list[int]], np.ndarray] | np.ndarray
"""Which tokens may come next: a bool mask (vocabulary,), or a function of all tokens so far."""

MAJOR = (0, 2, 4, 5, 7, 9, 11)
"""Semitones of the major scale above its first note."""


def distribution(
    logits: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    nucleus: float | None = None,
    allowed: np.ndarray | Tensor | None = None,
) -> Tensor:
    """Turn logits into the probabilities that are drawn from.

    In this order: what isn't allowed gets none; the temperature divides the logits; only the
    ``top_k`` most likely are kept; of these, only the fewest whose sum reaches ``nucleus`` of the
    whole (Holtzman et al., *The curious case of neural text degeneration*, 2020); what remains is
    scaled to 1.

    Parameters
    ----------
    logits : (vocabulary,) float tensor
        Scores, or log-probabilities.
    temperature : float
        Below 1 the likely becomes likelier; at 0 the likeliest takes all (of equals, the first).
    top_k : int, optional
        At least 1. Equals of the last one kept are kept as well.
    nucleus : float, optional
        Above 0, at most 1.
    allowed : (vocabulary,) bool, optional

    Returns
    -------
    (vocabulary,) float64 tensor
        Adds up to 1.

    Raises
    ------
    ValueError
        If a number is impossible, a logit that is allowed is NaN, or nothing is allowed.
    """
    if logits.ndim != 1:
        raise ValueError(f"logits must be one row of numbers, not of shape {tuple(logits.shape)}")
    if not temperature >= 0:
        raise ValueError(f"temperature must be 0 or more, not {temperature!r}")
    if top_k is not None and not top_k >= 1:
        raise ValueError(f"top_k must be at least 1, not {top_k!r}")
    if nucleus is not None and not 0 < nucleus <= 1:
        raise ValueError(f"nucleus must be above 0 and at most 1, not {nucleus!r}")
    logits = logits.double()
    if allowed is not None:
        allowed = torch.as_tensor(allowed)
        if allowed.dtype != torch.bool or allowed.shape != logits.shape:
            raise ValueError(f"allowed must be {len(logits)} times True or False")
        logits = logits.masked_fill(~allowed, -torch.inf)
    highest = float(logits.max())  # NaN if one of them is
    if math.isnan(highest):
        raise ValueError("logits must be one row of numbers, not NaN")
    if highest == -math.inf:
        raise ValueError("no token is allowed here: loosen the constraints")
    if temperature == 0:
        return nn.functional.one_hot(logits.argmax(), len(logits)).double()
    if temperature != 1:
        logits = logits / temperature
    if top_k is not None and top_k < len(logits):
        logits = logits.masked_fill(logits < logits.topk(top_k).values[-1], -torch.inf)
    found = logits.softmax(dim=0)
    if nucleus is not None:
        ranked, order = found.sort(descending=True, stable=True)
        before = ranked.cumsum(dim=0) - ranked  # of all that are likelier
        found[order[before >= nucleus]] = 0  # the likeliest always stays: nothing is before it
        found = found / found.sum()
    return found


def generate(
    model: Callable[[Tensor, Any], tuple[Tensor, Any]],
    prompt: Sequence[int] | np.ndarray,
    steps: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    nucleus: float | None = None,
    repetition: int | None = None,
    allowed: Allowed | None = None,
    stop: int | None = None,
    seed: int,
) -> list[int]:
    """Let a model continue a sequence, one token at a time.

    Parameters
    ----------
    model : nn.Module or function (tokens, state) -> (logits, state)
        A module is switched to eval mode meanwhile.
    prompt : sequence of int
        At least one token.
    steps : int
        How many tokens to add.
    temperature, top_k, nucleus
        As in `distribution`.
    repetition : int, optional
        The guard: no run of so many tokens occurs twice. Where every allowed token would break
        it, it is lifted.
    allowed : (vocabulary,) bool array, or function (tokens) -> such an array, optional
        Which tokens may come next; see `in_key`, `in_range`, `full_bars` and `every`.
    stop : int, optional
        End early after this token, such as ``vocabulary.end``.
    seed : int
        The same call with the same seed gives the same tokens.

    Returns
    -------
    list of int
        The prompt and what was added.

    Raises
    ------
    ValueError
        If the prompt is empty, a number is impossible, nothing is allowed, or the model has a
        ``context`` that is too short for prompt and steps.
    """
    tokens = [int(token) for token in prompt]
    _check(model, len(tokens), steps)
    if repetition is not None and repetition < 1:
        raise ValueError("repetition must be 1 or more")
    generator = torch.Generator().manual_seed(seed)
    training = getattr(model, "training", False)
    if training:
        model.eval()
    try:
        with torch.inference_mode():
            new, state = torch.tensor([tokens]), None
            for _ in range(steps):
                logits, state = model(new, state)
                scores = logits[0, -1]
                mask = _mask(tokens, scores.shape[0], repetition, allowed)
                found = distribution(
                    scores, temperature=temperature, top_k=top_k, nucleus=nucleus, allowed=mask
                )
                drawn = _drawn(found, generator)
                tokens.append(int(drawn))
                if tokens[-1] == stop:
                    break
                new = drawn[None]
    finally:
        if training:
            model.train()
    return tokens


def generate_batch(
    model: Callable[[Tensor, Any], tuple[Tensor, Any]],
    prompts: Sequence[Sequence[int]] | np.ndarray,
    steps: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    nucleus: float | None = None,
    allowed: np.ndarray | None = None,
    stop: int | None = None,
    seed: int,
) -> list[list[int]]:
    """Let a model continue several sequences at once, in not much more time than one.

    Row i is drawn with the seed ``seed + i``, as `generate` would draw it alone.

    Parameters
    ----------
    model, steps, temperature, top_k, nucleus
        As in `generate`.
    prompts : sequence of int sequences
        All of the same length.
    allowed : (vocabulary,) bool array, optional
        Which tokens may come next, anywhere.
    stop : int, optional
        A row ends after this token; the others go on.

    Returns
    -------
    list of lists of int
        The prompts and what was added.

    Raises
    ------
    ValueError
        As `generate` does, or if there is no prompt or they differ in length.
    """
    rows = [[int(token) for token in prompt] for prompt in prompts]
    if not rows or len({len(row) for row in rows}) > 1:
        raise ValueError("a batch needs prompts of one length, at least one")
    _check(model, len(rows[0]), steps)
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(rows))]
    training = getattr(model, "training", False)
    if training:
        model.eval()
    try:
        with torch.inference_mode():
            new, state = torch.tensor(rows), None
            going = [True] * len(rows)
            for _ in range(steps):
                logits, state = model(new, state)
                for i, row in enumerate(rows):
                    found = distribution(
                        logits[i, -1],
                        temperature=temperature,
                        top_k=top_k,
                        nucleus=nucleus,
                        allowed=allowed,
                    )
                    token = int(_drawn(found, generators[i]))
                    if going[i]:
                        row.append(token)
                        going[i] = token != stop
                if not any(going):
                    break
                new = torch.tensor([row[-1:] for row in rows])
    finally:
        if training:
            model.train()
    return rows


def _drawn(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one token: (1,). The same as `torch.multinomial`, without its checks.

    Each token waits for a random time, the shorter the likelier it is; the first one wins.
    """
    times = torch.empty_like(probabilities).exponential_(generator=generator)
    return (probabilities / times).argmax(dim=0, keepdim=True)


def _check(model: object, prompt: int, steps: int) -> None:
    """Refuse an empty prompt, and what a model with a context can't take in."""
    if not prompt:
        raise ValueError("the prompt needs a token to start from, such as vocabulary.start")
    if steps < 0:
        raise ValueError("steps must be 0 or more")
    context = getattr(model, "context", None)
    if isinstance(context, int) and prompt + steps - 1 > context:  # the last isn't read again
        raise ValueError(
            f"a prompt of {prompt} tokens and {steps} new ones are more than the {context} that"
            " this model can look at: shorten the prompt, or ask for fewer steps"
        )


def _mask(
    tokens: list[int], size: int, repetition: int | None, allowed: Allowed | None
) -> np.ndarray | None:
    if allowed is None and repetition is None:
        return None
    mask = np.ones(size, bool)
    if allowed is not None:
        mask = np.array(allowed(tokens) if callable(allowed) else allowed, dtype=bool)
    if repetition is not None and len(tokens) >= repetition:
        guarded = mask.copy()
        guarded[_completions(tokens, repetition)] = False
        mask = guarded if guarded.any() else mask
    return mask


def _completions(tokens: list[int], length: int) -> list[int]:
    """Tokens that would complete a run of this length that has occurred already."""
    last = tokens[len(tokens) - length + 1 :]
    starts = range(len(tokens) - length + 1)
    return [tokens[i + length - 1] for i in starts if tokens[i : i + length - 1] == last]


# Constraints ----------------------------------------------------------------------------------


def in_key(vocabulary: Vocabulary, fifths: int, steps: Sequence[int] = MAJOR) -> np.ndarray:
    """Allow only the notes of a scale; bar lines, rests and holds are always allowed.

    Parameters
    ----------
    vocabulary : Vocabulary
    fifths : int
        Sharps (positive) or flats (negative) of the key signature: 1 is G major, and E minor.
    steps : sequence of int
        Semitones of the scale above C, in the key without sharps or flats.

    Returns
    -------
    (vocabulary,) bool array
    """
    classes = [(step + 7 * fifths) % 12 for step in steps]
    return (vocabulary.pitches < 0) | np.isin(vocabulary.pitches % 12, classes)


def in_range(vocabulary: Vocabulary, low: int, high: int) -> np.ndarray:
    """Allow only pitches from ``low`` to ``high``, both included, and all that has no pitch.

    Raises
    ------
    ValueError
        If the vocabulary has no such pitch.
    """
    pitches = vocabulary.pitches
    inside = (pitches >= low) & (pitches <= high)
    if not inside.any():
        raise ValueError(f"the vocabulary has no pitch from {low} to {high}")
    return inside | (pitches < 0)


def full_bars(vocabulary: MelodyVocabulary, beats: float) -> Callable[[list[int]], np.ndarray]:
    """Allow only what fits into the bar, a bar line only when it is full, and END only then.

    Parameters
    ----------
    vocabulary : MelodyVocabulary
    beats : float
        Length of a bar in quarter notes: 4 in 4/4, 3 in 6/8. A metre in the prompt opens the
        first bar; no other metre is allowed.

    Returns
    -------
    function (tokens) -> (vocabulary,) bool array
    """
    lengths = np.rint(vocabulary.durations * vocabulary.ticks_per_quarter).astype(int)
    values = np.unique(lengths[lengths > 0]).tolist()
    bar = round(beats * vocabulary.ticks_per_quarter)
    opens = np.arange(vocabulary.size) < vocabulary.rest  # START, END, BAR and the metres
    opens &= ~np.isin(np.arange(vocabulary.size), (vocabulary.pad, vocabulary.end))

    # What is left of a bar must be one that note values can fill: a 32nd may leave too little.
    fillable = np.zeros(bar + 1, bool)
    fillable[0] = True
    for left in range(1, bar + 1):
        fillable[left] = any(fillable[left - value] for value in values if value <= left)

    def allowed(tokens: list[int]) -> np.ndarray:
        row = np.asarray(tokens)
        last = int(np.flatnonzero(opens[row])[-1]) + 1 if opens[row].any() else 0
        left = max(0, bar - int(lengths[row[last:]].sum()))
        mask = (lengths > 0) & (lengths <= left)
        mask[mask] = fillable[left - lengths[mask]]
        if left == 0:
            mask[[vocabulary.bar, vocabulary.end]] = True
        return mask

    return allowed


def every(*constraints: Allowed) -> Callable[[list[int]], np.ndarray]:
    """Allow only what all of these allow."""

    def allowed(tokens: list[int]) -> np.ndarray:
        masks = [each(tokens) if callable(each) else each for each in constraints]
        return np.logical_and.reduce(masks)

    return allowed
