"""Chorales written by a model, many at once, and how surprised it is by others'."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlmusic.models.transformer.chorale import ORDER, ChoraleModel
from mlmusic.models.transformer.echo import Memory
from mlmusic.models.transformer.pieces import following

RANGES = ((60, 81), (52, 74), (46, 69), (36, 66))
"""MIDI ranges of soprano, alto, tenor, bass in the 229 chorales of JSB's train split."""


def write(
    model: ChoraleModel,
    steps: int,
    *,
    prompt: Tensor | None = None,
    count: int = 1,
    temperature: float = 1.0,
    nucleus: float | None = None,
    ranges: Sequence[tuple[int, int]] | None = RANGES,
    rests: bool = True,
    fixed: Tensor | None = None,
    cache: bool = True,
    seed: int,
) -> Tensor:
    """Let a model write or continue chorales.

    Parameters
    ----------
    model : ChoraleModel or Committee
        Switched to eval mode meanwhile.
    steps : int
        How many to add: 16 make a bar of 4/4.
    prompt : (steps, 4) or (count, steps, 4) int64, optional
        Symbols to continue.
    count : int
        How many chorales.
    temperature : float
        Below 1 the likely becomes likelier; at 0 the likeliest takes all.
    nucleus : float, optional
        Draw only from the likeliest symbols that together reach this probability.
    ranges : four pairs of MIDI pitches, optional
        What each voice may sing; None: whatever the model knows.
    rests : bool
        Whether a voice may fall silent.
    fixed : (steps, 4) int64, optional
        Symbols that are given in the new steps, and -1 where the model writes. What comes before a
        given note isn't made to lead there.
    cache : bool
        Keep keys and values instead of computing them again at each step: the same notes, sooner.
    seed : int

    Returns
    -------
    (count, steps of the prompt and new ones, 4) int64

    Raises
    ------
    ValueError
        If a number or shape is impossible, the prompt is empty or has unknown symbols, or it
        would be longer with the new steps than the model's context.
    """
    notes = _prompt(model, prompt, count)
    first = notes.shape[1]
    if steps < 0 or count < 1 or not temperature >= 0:
        raise ValueError("steps and temperature must be 0 or more, and count 1 or more")
    if nucleus is not None and not 0 < nucleus <= 1:
        raise ValueError(f"nucleus must be above 0 and at most 1, not {nucleus!r}")
    if first + steps > model.context:
        raise ValueError(
            f"{first} steps of a prompt and {steps} new ones are more than the"
            f" {model.context} that this model looks back"
        )
    if fixed is not None and tuple(fixed.shape) != (steps, 4):
        raise ValueError(f"fixed must be of shape ({steps}, 4), not {tuple(fixed.shape)}")
    allowed = sung(model, ranges, rests)
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    notes, allowed = notes.to(device), allowed.to(device)
    notes = torch.cat([notes, notes.new_zeros(count, steps, 4)], 1)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            caches, memory = None, None
            if cache:
                caches = model.caches()
                memory = Memory.of(notes[:, :first], model.bar // 4) if model.listens else None
            known = model.past(notes[:, : first + 1])
            for t in range(first, first + steps):
                if not cache:
                    known = model.past(notes[:, : t + 1])
                summary, caches = model.look_back(known, caches)
                known = known.window(known.phase.shape[-1] - 1, None)
                now, before = summary[:, -1], known.previous[:, -1]
                for v in ORDER:
                    if fixed is not None and fixed[t - first, v] >= 0:
                        notes[:, t, v] = fixed[t - first, v]
                    else:
                        logits = model.voice(v, now, before, notes[:, t])
                        logits = logits.masked_fill(~allowed[v], -torch.inf)
                        notes[:, t, v] = _drawn(logits, temperature, nucleus, generator)
                    now = model.tell(v, now, before, notes[:, t])
                known = following(known, notes[:, t : t + 1], model.pitches, model.bar, memory)
    finally:
        model.train(training)
    return notes.cpu()


def _prompt(model: ChoraleModel, prompt: Tensor | None, count: int) -> Tensor:
    if prompt is None:
        return torch.zeros(count, 0, 4, dtype=torch.int64)
    prompt = torch.as_tensor(prompt)
    if prompt.ndim == 2:
        prompt = prompt.expand(count, -1, -1)
    if prompt.ndim != 3 or prompt.shape[2] != 4 or prompt.dtype != torch.int64:
        raise ValueError(
            f"a prompt is int64 of shape (steps, 4), not {prompt.dtype} of {tuple(prompt.shape)}"
        )
    if len(prompt) != count:
        raise ValueError(f"there are {len(prompt)} prompts, but count is {count}")
    if not prompt.shape[1]:
        raise ValueError("the prompt is empty: leave it out to begin from nothing")
    if not 0 <= int(prompt.min()) <= int(prompt.max()) <= model.pitches:
        raise ValueError(f"the prompt's symbols must be 0–{model.pitches}")
    return prompt


def sung(
    model: ChoraleModel, ranges: Sequence[tuple[int, int]] | None = RANGES, rests: bool = False
) -> Tensor:
    """Tell what each voice may sing: (4, symbols) bool.

    Raises
    ------
    ValueError
        If there aren't four ranges, or in one of them there is no pitch that the model knows.
    """
    found = torch.ones(4, model.symbols, dtype=torch.bool)
    if ranges is not None:
        if len(ranges) != 4:
            raise ValueError(f"there are four voices, not {len(ranges)} ranges")
        pitches = torch.arange(model.low, model.low + model.pitches)
        for v, (lowest, highest) in enumerate(ranges):
            found[v, 1:] = (pitches >= lowest) & (pitches <= highest)
        if not found[:, 1:].any(1).all():
            raise ValueError(f"in a range of {ranges} this model knows no pitch")
    found[:, 0] = rests
    return found


def _drawn(
    logits: Tensor, temperature: float, nucleus: float | None, generator: torch.Generator
) -> Tensor:
    """Draw a symbol for each row: (count, symbols) to (count,)."""
    if temperature == 0:
        return logits.argmax(-1)
    found = (logits.double() / temperature).softmax(-1)
    if nucleus is not None:
        ranked, order = found.sort(dim=-1, descending=True, stable=True)
        late = ranked.cumsum(-1) - ranked >= nucleus  # the likeliest never is
        found = found.masked_fill(torch.zeros_like(late).scatter(-1, order, late), 0)
    return torch.multinomial(found, 1, generator=generator)[:, 0]
