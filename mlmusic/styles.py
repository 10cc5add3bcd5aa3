"""Reels, jigs and hornpipes on one grid, and transfers between them: by rule and by model.

In all three a bar has two beats. A reel's or a hornpipe's beat is a half note, eight sixteenths in
four pairs; a jig's is a dotted quarter, six sixteenths in three pairs. So that one model can read
and write all of them, a jig's beat is *spread* to eight steps: the last two hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike

from mlmusic.datasets.melodies import steps
from mlmusic.metrics.features import sounding
from mlmusic.models.vae import MelodyVAE
from mlmusic.score import Score
from mlmusic.windows import FIRST, HOLD, LOWEST, REST, Windows, checked, repair, to_score, windows

KINDS = ("reel", "jig", "hornpipe")
STEPS_PER_BAR = {"reel": 16, "jig": 12, "hornpipe": 16}

LENGTHS = (-15, -9, -3, 4, 10, 16)
"""Edges between the seven changes of length that `dance_roll` tells apart, in twelfths of 2."""


# One grid for all -------------------------------------------------------------------------------


def doubled(tune: Score) -> Score:
    """Write a tune in 2/4 as one in 2/2, with notes of twice the length; others come back as is.

    Printers wrote reels and hornpipes in either way; players make no difference.
    """
    if {entry[1:] for entry in tune.metre} != {(2, 4)}:
        return tune
    notes = tune.notes.copy()
    notes["onset"] *= 2
    notes["duration"] *= 2
    return Score(
        notes,
        tempo=[(2 * onset, 2 * bpm) for onset, bpm in tune.tempo],
        metre=[(2 * onset, 2, 2) for onset, *_ in tune.metre],
        key=[(2 * onset, fifths, mode) for onset, fifths, mode in tune.key],
        programs=tune.programs,
        title=tune.title,
        meta=tune.meta,
    )


def spread(symbols: ArrayLike) -> np.ndarray:
    """Give each beat of a jig eight steps instead of six, (n, 6 × beats) to (n, 8 × beats)."""
    beats = _beats(symbols, 6)
    held = np.full((*beats.shape[:-1], 2), HOLD)
    return np.concatenate([beats, held], axis=-1).reshape(len(beats), 8 * beats.shape[1])


def gather(symbols: ArrayLike) -> np.ndarray:
    """Take each beat's first six steps of eight, the inverse of `spread`."""
    beats = _beats(symbols, 8)
    return beats[..., :6].reshape(len(beats), 6 * beats.shape[1])


def dances(tunes: Iterable[Score], bars: int = 2, *, hop: int = 1) -> Windows:
    """Cut windows from reels, jigs and hornpipes, all of them with 16 steps a bar.

    Parameters
    ----------
    tunes : iterable of Score
        Others are passed over. Reels and hornpipes in 2/4 are `doubled`, jigs `spread`.
    bars, hop : int
        As in `mlmusic.windows.windows`.

    Returns
    -------
    Windows
        Reels, then jigs, then hornpipes. Their ``tune`` numbers count all tunes.

    Raises
    ------
    ValueError
        If there is no window.
    """
    tunes = list(tunes)
    parts = []
    for kind in KINDS:
        of_kind = np.array([i for i, t in enumerate(tunes) if t.meta.get("type") == kind], int)
        found = windows((doubled(tunes[i]) for i in of_kind), bars, STEPS_PER_BAR[kind], hop=hop)
        symbols = spread(found.symbols) if kind == "jig" else found.symbols
        parts.append(replace(found, symbols=symbols, tune=of_kind[found.tune], steps_per_bar=16))
    if not sum(map(len, parts)):
        raise ValueError("there is no window: are reels, jigs or hornpipes among the tunes?")
    dropped = {reason: 0 for part in parts for reason in part.dropped}
    for part in parts:
        for reason, count in part.dropped.items():
            dropped[reason] += count
    return Windows(
        np.concatenate([part.symbols for part in parts]),
        np.concatenate([part.tune for part in parts]),
        np.concatenate([part.kinds for part in parts]),
        16,
        dropped,
    )


def kind_numbers(kinds: ArrayLike) -> np.ndarray:
    """Return each dance type's number in `KINDS`.

    Raises
    ------
    ValueError
        If one isn't among them.
    """
    kinds = np.asarray(kinds, str)
    unknown = sorted(set(kinds.tolist()) - set(KINDS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is none of the kinds {', '.join(KINDS)}")
    return np.array([KINDS.index(kind) for kind in kinds.tolist()], np.int64)


# Transfer by rule -------------------------------------------------------------------------------


def by_rule(symbols: ArrayLike, source: str, target: str) -> np.ndarray:
    """Turn windows of one dance into another by a rule of thumb: the baseline of style transfer.

    A reel's beat of four eighths *a b c d* becomes a jig's *a b c*; a jig's *a b c* becomes a
    reel's *a b* and a quarter *c*. Where two even eighths fill a quarter, a hornpipe plays them
    long and short, three to one. Everything goes by way of the reel.

    Parameters
    ----------
    symbols : int array, shape (n, 16 × bars)
        As `dances` has them: jigs are spread.
    source, target : str
        Of `KINDS`.

    Returns
    -------
    int64 array of the same shape
        Jigs are spread.

    Raises
    ------
    ValueError
        If a kind isn't known, or the windows aren't whole beats.
    """
    kind_numbers([source, target])
    beats = _beats(symbols, 8)
    if source == target:
        return beats.reshape(len(beats), 8 * beats.shape[1])
    if source == "jig":
        beats = _to_four(beats)
    elif source == "hornpipe":
        beats = _move(beats, 3, 2)
    if target == "jig":
        beats = _to_three(beats)
    elif target == "hornpipe":
        beats = _move(beats, 2, 3)
    return beats.reshape(len(beats), 8 * beats.shape[1])


def _eighths(beats: np.ndarray) -> np.ndarray:
    """Return what begins first in each eighth, or `HOLD`: (n, beats, 4)."""
    first, second = beats[..., ::2], beats[..., 1::2]
    return np.where(first != HOLD, first, second)


def _to_three(beats: np.ndarray) -> np.ndarray:
    found = np.full_like(beats, HOLD)
    eighths = _eighths(beats)
    found[..., 0:6:2] = eighths[..., :3]
    # A quarter and its second one: the second isn't lost but comes last.
    late = (found[..., 4] == HOLD) & (found[..., 2] == HOLD)
    found[..., 4] = np.where(late, eighths[..., 3], found[..., 4])
    return found


def _to_four(beats: np.ndarray) -> np.ndarray:
    found = np.full_like(beats, HOLD)
    found[..., 0:6:2] = _eighths(beats)[..., :3]
    return found


def _move(beats: np.ndarray, old: int, new: int) -> np.ndarray:
    """In quarters with onsets at steps 0 and ``old`` only, move the second one to ``new``."""
    quarters = beats.reshape(*beats.shape[:-1], 2, 4).copy()
    others = [step for step in (1, 2, 3) if step != old]
    pair = (quarters[..., 0] != HOLD) & (quarters[..., old] != HOLD)
    pair &= (quarters[..., others] == HOLD).all(axis=-1)
    quarters[..., new] = np.where(pair, quarters[..., old], quarters[..., new])
    quarters[..., old] = np.where(pair, HOLD, quarters[..., old])
    return quarters.reshape(beats.shape)


# Transfer by model ------------------------------------------------------------------------------


def outline(symbols: ArrayLike, kind: str) -> np.ndarray:
    """Take the dance out of windows: what sounds at the first three eighths of each beat.

    Where notes begin, how long they last and a reel's fourth eighth are gone; what is left looks
    alike for all three dances. Dotted pairs are made even first.

    Parameters
    ----------
    symbols : int array, shape (n, 16 × bars)
        As `dances` has them: jigs are spread.
    kind : str
        Of `KINDS`.

    Returns
    -------
    int64 array of the same shape
        A symbol at steps 0, 2 and 4 of each beat's eight, `HOLD` at the others.
    """
    symbols = by_rule(symbols, kind, "reel") if kind == "hornpipe" else checked(symbols)
    sounds = sounding(symbols)
    beats = _beats(np.where(sounds < 0, REST, sounds - LOWEST + FIRST), 8)
    found = np.full_like(beats, HOLD)
    found[..., 0:6:2] = beats[..., 0:6:2]
    return found.reshape(symbols.shape)


@torch.no_grad()
def by_model(model: MelodyVAE, symbols: ArrayLike, source: str, target: str) -> np.ndarray:
    """Turn windows of one dance into another: outline, latent numbers, the other dance's decoder.

    Parameters
    ----------
    model : MelodyVAE
        With the `KINDS` as its kinds, trained to write dances from their `outline`.
    symbols, source, target
        As in `by_rule`.

    Returns
    -------
    int64 array of the same shape
        Jigs are spread; holds that would hold nothing are rests.
    """
    mean, _ = model.encode(torch.from_numpy(outline(symbols, source)))
    kind = torch.full((len(mean),), int(kind_numbers([target])[0]))
    return repair(model.write(mean, kind).numpy())


def dance_score(symbols: ArrayLike, kind: str, *, tempo: float = 180.0, title: str = "") -> Score:
    """Write windows of a dance, one after the other, as a Score; jigs in 6/8."""
    symbols = checked(symbols)
    rows = gather(symbols) if kind == "jig" else symbols
    return to_score(repair(rows), STEPS_PER_BAR[kind], tempo=tempo, title=title)


def dotted(symbols: ArrayLike) -> np.ndarray:
    """Return the share of each window's quarters that are a long and a short note, three to one."""
    begins = checked(symbols) != HOLD
    quarters = begins.reshape(len(begins), -1, 4)
    return (quarters == [True, False, False, True]).all(axis=2).mean(axis=1)


# Judging a transfer -----------------------------------------------------------------------------


def kept(before: ArrayLike, after: ArrayLike) -> float:
    """Return the share of a melody's notes that a transfer keeps, in their order.

    The longest common subsequence of both rows of pitches, over the number of notes before: notes
    may be left out or put in, but not change places.

    Parameters
    ----------
    before, after : int array, shape (notes,) and (others,)
        Pitches, such as ``score.notes["pitch"]``.

    Raises
    ------
    ValueError
        If there was no note before.
    """
    before, after = np.asarray(before), np.asarray(after)
    if before.ndim != 1 or after.ndim != 1 or not len(before):
        raise ValueError("kept() compares two rows of pitches, the first not empty")
    longest = np.zeros(len(after) + 1, int)
    for pitch in before:
        longer = np.where(after == pitch, longest[:-1] + 1, longest[1:])
        longest[1:] = np.maximum.accumulate(np.maximum(longer, longest[1:]))
    return float(longest[-1] / len(before))


def dance_roll(score: Score) -> np.ndarray:
    """Write a melody as chapter 02's dance classifier reads it, the metre hidden.

    Returns
    -------
    float32 array, shape (32, notes - 1)
        In each column one of 25 rows for the interval to the next note (-12 to 12 semitones) and
        one of seven for how much longer that one lasts are 1.

    Raises
    ------
    ValueError
        If the melody has fewer than two notes.
    """
    found = steps(score)
    if not found:
        raise ValueError("a melody of fewer than two notes has no steps")
    intervals, ratios = np.array(found).T
    roll = np.zeros((32, len(intervals)), np.float32)
    roll[np.clip(intervals, -12, 12) + 12, np.arange(len(intervals))] = 1
    roll[25 + np.searchsorted(LENGTHS, ratios), np.arange(len(intervals))] = 1
    return roll


def _beats(symbols: ArrayLike, length: int) -> np.ndarray:
    """Cut windows into beats, (n, beats, length)."""
    symbols = checked(symbols)
    if symbols.ndim != 2 or symbols.shape[1] % length:
        raise ValueError(f"windows must be (n, beats × {length}), not {symbols.shape}")
    return symbols.reshape(len(symbols), symbols.shape[1] // length, length)
