"""What the masked model can be asked for: scores in, scores out, and all else stays as it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from mlmusic.models.edit.filling import fill, gibbs
from mlmusic.models.edit.model import MaskedChorale
from mlmusic.models.edit.scores import rewritten
from mlmusic.models.edit.spans import check_seed
from mlmusic.models.transformer.writing import RANGES, sung
from mlmusic.score import HOLD, REST, Score

_SHARED = ("temperature", "ranges", "rests", "context")
_OPTIONS = {fill: ("order", "steps", *_SHARED), gibbs: ("most", "least", *_SHARED)}

Bars = int | tuple[int, int] | None
"""One bar, the first and the last of several, or all: counted from 1, the pickup is 0."""


def rewrite(
    model: MaskedChorale,
    score: Score,
    free: np.ndarray | Tensor,
    *,
    allowed: Tensor | None = None,
    sweeps: int | None = None,
    seed: int,
    **options: object,
) -> Score:
    """Write what is free in a score anew: what all tasks have in common.

    What sounds in fixed cells goes on sounding, and notes that lie wholly in them stay as they are
    to the last detail; see `mlmusic.models.edit.scores.rewritten` for those across a border.

    Parameters
    ----------
    model : MaskedChorale
    score : Score
        Voices 0 to 3, soprano to bass.
    free : (4, steps) bool
        Which sixteenths of which voices; see `opened`. If none is, the score comes back.
    allowed : (4, steps, symbols) bool, optional
        What may stand in each.
    sweeps : int, optional
        So many sweeps of `gibbs` instead of `fill`.
    seed : int
    **options
        Of `fill` (order, steps), or with ``sweeps`` of `gibbs` (most, least), and of both
        (temperature, ranges, rests, context).

    Raises
    ------
    ValueError
        If the score is empty, has other voices or a pitch that the model doesn't know, ``free`` has
        another shape, or an option is impossible.
    """
    grid, phase = model.grid(score)
    free = torch.as_tensor(free)
    new = _drawn(model, grid, free, sweeps, options, phase=phase, allowed=allowed, seed=seed)
    if not free.any():
        return score
    return rewritten(score, grid.numpy(), new.numpy(), free.numpy(), model.low)


def _drawn(
    model: MaskedChorale,
    grid: Tensor,
    free: Tensor,
    sweeps: int | None,
    options: dict[str, object],
    **given: object,
) -> Tensor:
    """Draw free symbols with `fill`, or so many sweeps of `gibbs`; complain about options."""
    way = fill if sweeps is None else gibbs
    for name in options:
        if name not in _OPTIONS[way]:
            raise ValueError(
                f"there is no option {name!r} {'without' if sweeps is None else 'with'} sweeps:"
                f" choose from {', '.join(_OPTIONS[way])}"
            )
    if sweeps is not None:
        given["sweeps"] = sweeps
    return way(model, grid, free, **given, **options)


def opened(score: Score, bars: Bars = None, voices: Iterable[int] = range(4)) -> np.ndarray:
    """Mark the cells of some bars and voices: (4, steps) bool, true there.

    Raises
    ------
    ValueError
        If the score is empty, or has no such bar or voice.
    """
    if not len(score):
        raise ValueError("the score has no notes: there is nothing to edit")
    steps = score.to_grid(4, quantize=True).shape[1]
    free = np.zeros((4, steps), bool)
    first, last = _steps(score, bars)
    voices = [voices] if isinstance(voices, (int, np.integer)) else list(voices)
    for voice in voices:
        if voice not in (0, 1, 2, 3):
            raise ValueError(f"there is no voice {voice!r}: 0 is the soprano, 3 the bass")
        free[voice, first:last] = True
    return free


def _steps(score: Score, bars: Bars) -> tuple[int, int]:
    """First step of some bars, and the first one after them."""
    lines = np.rint(4 * score.bar_lines).astype(int)
    lowest = 0 if score.has_pickup else 1
    highest = lowest + len(lines) - 2
    if bars is None:
        bars = (lowest, highest)
    try:
        first, last = (bars, bars) if isinstance(bars, (int, np.integer)) else bars
        known = lowest <= first <= last <= highest
    except (TypeError, ValueError):
        raise ValueError(f"bars are one number, or the first and the last, not {bars!r}") from None
    if not known or int(first) != first or int(last) != last:
        raise ValueError(f"bars {first}–{last} don't exist: this score has {lowest}–{highest}")
    return int(lines[int(first) - lowest]), int(lines[int(last) - lowest + 1])


def fill_bars(
    model: MaskedChorale,
    score: Score,
    bars: Bars,
    voices: Iterable[int] = range(4),
    *,
    seed: int,
    **options: object,
) -> Score:
    """Write some bars of some voices anew.

    Parameters
    ----------
    model : MaskedChorale
    score : Score
        Voices 0 to 3.
    bars : int, (first, last) or None
        Counted from 1, the pickup is 0; None: all of them.
    voices : iterable of int
    seed : int
    **options
        Of `rewrite`.

    Raises
    ------
    ValueError
        As `rewrite` and `opened` do.
    """
    return rewrite(model, score, opened(score, bars, voices), seed=seed, **options)


def harmonise(model: MaskedChorale, melody: Score, *, seed: int, **options: object) -> Score:
    """Write alto, tenor and bass to a melody, which stays as it is.

    A melody that doesn't lie in the soprano's range is thought of as higher or lower: by octaves
    if that is enough, otherwise by as few semitones as it takes. The result is where it was. The
    other voices sing through the melody's rests, unless ``rests`` allows all voices to pause.

    Parameters
    ----------
    model : MaskedChorale
    melody : Score
        One voice, one note at a time.
    seed : int
    **options
        Of `rewrite`.

    Returns
    -------
    Score
        The melody is voice 0.

    Raises
    ------
    ValueError
        If there is no note, more than one voice, the melody spans more than the model knows or
        lies so low or high that other voices might leave MIDI's range, or an option is impossible.
    """
    if len(melody.voices) != 1:
        raise ValueError(f"a melody has one voice, not {melody.voices}: select() one of them")
    own = melody.voices[0]
    notes = melody.notes.copy()
    notes["voice"] = 0
    programs = {0: melody.programs[own]} if own in melody.programs else {}
    lyrics = {0: melody.lyrics[own]} if own in melody.lyrics else {}
    tune = replace(melody, notes=notes, programs=programs, lyrics=lyrics)
    ranges = options.get("ranges", RANGES)
    others = sung(model, ranges)[1:, 1:].any(0).nonzero()[:, 0] + model.low
    shift = _shift(model, notes["pitch"], (ranges or RANGES)[0])
    lowest, highest = int(others.min()) - shift, int(others.max()) - shift
    if lowest < 0 or highest > 127:
        raise ValueError(
            f"the melody, at MIDI pitches {notes['pitch'].min()}–{notes['pitch'].max()}, lies too"
            f" {'low' if lowest < 0 else 'high'}: the other voices may sing {lowest}–{highest}"
            " there, beyond MIDI's 0–127; transpose() it first"
        )
    free = opened(tune, None, (1, 2, 3))
    return rewrite(model, tune.transpose(shift), free, seed=seed, **options).transpose(-shift)


def _shift(model: MaskedChorale, pitches: np.ndarray, wanted: tuple[int, int]) -> int:
    """By how many semitones a melody fits a range, or sticks out least: octaves if possible."""
    bottom, top = int(pitches.min()), int(pitches.max())
    known = range(model.low - bottom, model.low + model.pitches - top)
    if not known:
        raise ValueError(
            f"the melody spans {top - bottom} semitones: this model knows {model.pitches} pitches"
        )

    def cost(shift: int) -> tuple[int, bool, int]:
        out = max(0, wanted[0] - bottom - shift), max(0, top + shift - wanted[1])
        return max(out), shift % 12 != 0, abs(shift)

    return min(known, key=cost)


def rerhythm(
    model: MaskedChorale,
    score: Score,
    bars: Bars = None,
    voices: Iterable[int] = range(4),
    *,
    span: float = 2.0,
    seed: int,
    **options: object,
) -> Score:
    """Give some bars of some voices another rhythm, of the same pitches.

    In each span of time (two quarter notes, counted from the first bar on) a voice sings only
    pitches that it sang there, in any order and of any length; it needn't sing all of them. It may
    be silent there only if it was. A pitch that it goes on with is one note: see `rewritten`.

    Raises
    ------
    ValueError
        As `fill_bars` does, or if the span isn't whole sixteenths, or there are ``ranges`` or
        ``rests``: what was sung says both.
    """
    for name in ("ranges", "rests"):
        if name in options:
            raise ValueError(f"rerhythm takes no {name}: a voice keeps its own pitches and rests")
    steps = round(4 * span) if isinstance(span, Real) and np.isfinite(span) else 0
    if steps < 1 or abs(steps - 4 * span) > 1e-6:
        raise ValueError(f"a span is a number of whole sixteenths (0.25, 0.5 …), not {span!r}")
    free = opened(score, bars, voices)
    grid, _ = model.grid(score)
    offset = _steps(score, bars)[0] % steps
    number = (torch.arange(grid.shape[1]) - offset).div(steps, rounding_mode="floor")
    sings = torch.nn.functional.one_hot(grid, model.symbols)  # (4, steps, symbols)
    allowed = torch.zeros(sings.shape, dtype=torch.bool)
    for span_number in number.unique():
        here = number == span_number
        allowed[:, here] = sings[:, here].any(1)[:, None]
    # What it sang is right, be it silence or beyond the usual range.
    return rewrite(
        model, score, free, allowed=allowed, seed=seed, ranges=None, rests=True, **options
    )


def revoice(
    model: MaskedChorale,
    score: Score,
    bars: Bars = None,
    voices: Iterable[int] = (1, 2),
    *,
    sweeps: int | None = None,
    seed: int,
    **options: object,
) -> Score:
    """Give some voices other notes of the same chords.

    At each sixteenth the same pitch classes sound as before, in another distribution; the other
    voices stay, and who is silent stays silent. One voice after the other is drawn, from the
    chord's notes, or from the missing ones where no more voices are left than notes are missing.

    Raises
    ------
    ValueError
        As `fill_bars` does.
    """
    check_seed(seed)
    free = torch.from_numpy(opened(score, bars, voices))
    grid, phase = model.grid(score)
    free &= grid > 0
    symbols = torch.arange(model.symbols)
    classes = (symbols[1:, None] % 12 == torch.arange(12)).long()  # of pitches, up to a shift
    classes = torch.cat([classes.new_zeros(1, 12), classes])  # silence has none
    chord = classes[grid].any(0)  # (steps, 12)
    new = torch.where(free, model.mask, grid)
    left = free.sum(0)  # (steps,) voices that are still to be drawn
    for v in range(4):
        cells = torch.zeros_like(free)
        cells[v] = free[v]
        if not cells.any():
            continue
        heard = torch.where(new == model.mask, 0, new)
        missing = chord & ~classes[heard].any(0)
        wanted = torch.where((missing.sum(1) >= left)[:, None], missing, chord)
        may = (wanted.long() @ classes.T) > 0  # (steps, symbols)
        may = may.expand(4, -1, -1)
        new = _drawn(model, new, cells, sweeps, options, phase=phase, allowed=may, seed=seed + v)
        left = left - cells[v].long()
    return rewritten(score, grid.numpy(), new.numpy(), free.numpy(), model.low)


def vary(
    model: MaskedChorale,
    score: Score,
    strength: float,
    bars: Bars = None,
    voices: Iterable[int] = range(4),
    *,
    seed: int,
    **options: object,
) -> Score:
    """Write a share of the notes anew, the more the further away.

    Parameters
    ----------
    strength : float
        Share of the notes of these bars and voices that are opened, from 0 (the score comes back)
        to 1 (all of them). A note across a border is opened inside; where a voice is silent, it
        stays so, which `fill_bars` doesn't heed.
    seed : int
        Also draws which notes.

    Raises
    ------
    ValueError
        As `fill_bars` does, or if the strength isn't from 0 to 1.
    """
    check_seed(seed)
    if not isinstance(strength, Real) or not 0 <= strength <= 1:
        raise ValueError(f"strength must be from 0 to 1, not {strength!r}")
    there = opened(score, bars, voices)
    grid = score.to_grid(4, quantize=True)
    codes = np.full(there.shape, REST)
    codes[: len(grid)] = grid
    # Every cell but a hold begins something: a note, or a step of silence.
    number = np.cumsum(codes != HOLD, axis=1) + 2 * there.shape[1] * np.arange(4)[:, None]
    names = np.unique(number[there & (codes != REST)])
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(names)[: round(strength * len(names))]
    return rewrite(model, score, there & np.isin(number, drawn), seed=seed, **options)
