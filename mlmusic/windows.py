"""Windows of a few bars, all of one length, cut from tunes: what a GAN or a VAE reads and writes.

A window is a row of *symbols*, one for each sixteenth: a note that begins (its pitch), `HOLD` while
it sounds on, `REST` in silence. That is one voice of `Score.to_grid`, counted from 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from mlmusic.models.ngram import NGram
from mlmusic.score import Score
from mlmusic.score import notes as codes

HOLD, REST, FIRST = 0, 1, 2
LOWEST, HIGHEST = 55, 88  # a fiddle's G3 to the E6 that a fourth finger reaches
SYMBOLS = FIRST + HIGHEST - LOWEST + 1
"""How many there are: `HOLD`, `REST`, and a note that begins for each pitch."""

METRES = {8: {(2, 4)}, 12: {(6, 8)}, 16: {(4, 4), (2, 2)}, 18: {(9, 8)}}
"""Which metres' bars have so many sixteenths. 3/4 has 12, too, but not 6/8's two beats."""

STEPS_PER_QUARTER = 4


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one length, and where they come from.

    Attributes
    ----------
    symbols : int64 array, shape (n, steps)
        `HOLD`, `REST`, or ``FIRST + pitch - LOWEST`` where a note begins.
    tune : int64 array, shape (n,)
        Number of the tune that each was cut from.
    kinds : array of str, shape (n,)
        That tune's dance type, ``""`` where the source names none.
    steps_per_bar : int
    dropped : dict of str to int
        How many windows were left out, by reason.
    """

    symbols: np.ndarray
    tune: np.ndarray
    kinds: np.ndarray
    steps_per_bar: int
    dropped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.symbols)

    def __getitem__(self, rows: slice | np.ndarray) -> Windows:
        """Choose windows by a slice, numbers or a mask."""
        return replace(
            self, symbols=self.symbols[rows], tune=self.tune[rows], kinds=self.kinds[rows]
        )

    @property
    def bars(self) -> np.ndarray:
        """All bars, one a row, shape (n × bars, steps_per_bar)."""
        return self.symbols.reshape(-1, self.steps_per_bar)


def windows(tunes: Iterable[Score], bars: int, steps_per_bar: int, *, hop: int = 1) -> Windows:
    """Cut windows of a few full bars from tunes, each different from the others.

    A window begins at a bar line with a note or a rest: one that begins while a note from before
    still sounds is left out, since nobody would see that note begin. A note that sounds beyond the
    window's end is cut there.

    Parameters
    ----------
    tunes : iterable of Score
        One voice each; notes outside `LOWEST` to `HIGHEST`, off the grid of sixteenths, or that
        begin while another one sounds, cost the windows they stand in.
    bars : int
        How long a window is.
    steps_per_bar : int
        One of `METRES`: 16 takes 4/4 and 2/2, 12 takes 6/8.
    hop : int
        Bars from the beginning of one window to the next one's.

    Raises
    ------
    ValueError
        If a number is impossible.
    """
    if bars < 1 or hop < 1:
        raise ValueError(f"bars and hop must be at least 1, not {bars} and {hop}")
    _check_steps_per_bar(steps_per_bar)
    length = bars * steps_per_bar
    rows, numbers, kinds, dropped = [], [], [], Counter()
    seen: set[bytes] = set()
    for number, tune in enumerate(tunes):
        starts, fits = _bars(tune, steps_per_bar)
        grid, faults = _grid(tune)
        for first in range(0, len(starts) - bars + 1, hop):
            here = slice(starts[first], starts[first] + length)
            row = grid[here]
            reason = ""
            if not fits[first : first + bars].all():
                reason = "other metre, or a bar that isn't full"
            else:
                reason = next((name for name, at in faults.items() if at[here].any()), "")
            if not reason and (row == REST).all():
                reason = "silent"
            if not reason and row[0] == HOLD:
                reason = "begins in a held note"
            if not reason and row.tobytes() in seen:
                reason = "stands here already"
            if reason:
                dropped[reason] += 1
                continue
            seen.add(row.tobytes())
            rows.append(row)
            numbers.append(number)
            kinds.append(tune.meta.get("type", ""))
    symbols = np.array(rows, np.int64).reshape(-1, length)
    return Windows(
        symbols, np.array(numbers, np.int64), np.array(kinds, str), steps_per_bar, dict(dropped)
    )


def without(found: Windows, others: Windows | ArrayLike) -> Windows:
    """Leave out the windows that stand among others, and count them.

    Raises
    ------
    ValueError
        If the others have another length.
    """
    others = others.symbols if isinstance(others, Windows) else np.asarray(others)
    if others.ndim != 2 or others.shape[1] != found.symbols.shape[1]:
        raise ValueError(
            f"windows of {found.symbols.shape[1]} steps can't stand among others of shape"
            f" {others.shape}"
        )
    known = {row.tobytes() for row in others.astype(np.int64)}
    new = np.array([row.tobytes() not in known for row in found.symbols], bool)
    dropped = {**found.dropped, "stands in another split": int((~new).sum())}
    return replace(found[new], dropped=dropped)


def transpose(symbols: ArrayLike, semitones: ArrayLike) -> np.ndarray:
    """Shift every note of windows; holds and rests stay.

    Parameters
    ----------
    symbols : int array, shape (n, steps) or (steps,)
    semitones : int, or int array of shape (n,)
        One shift for all, or one for each window.

    Raises
    ------
    ValueError
        If a note would leave the range.
    """
    symbols, semitones = checked(symbols), np.asarray(semitones)
    shift = semitones[:, None] if semitones.ndim else semitones
    moved = np.where(symbols >= FIRST, symbols + shift, symbols)
    left = (symbols >= FIRST) & ((moved < FIRST) | (moved >= SYMBOLS))
    if left.any():
        raise ValueError(f"a note would leave the range of MIDI pitches {LOWEST}–{HIGHEST}")
    return moved


def transposable(symbols: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each window can be shifted down (≤ 0) and up, both of shape (n,)."""
    symbols = checked(symbols)
    notes = symbols >= FIRST
    lowest = np.where(notes, symbols, SYMBOLS).min(axis=-1)
    highest = np.where(notes, symbols, 0).max(axis=-1)
    empty = ~notes.any(axis=-1)
    return np.where(empty, 0, FIRST - lowest), np.where(empty, 0, SYMBOLS - 1 - highest)


def to_roll(symbols: ArrayLike) -> np.ndarray:
    """Write windows as rolls: a 1 in the row of each step's symbol, 0 elsewhere.

    Parameters
    ----------
    symbols : int array, shape (n, steps)

    Returns
    -------
    float32 array, shape (n, SYMBOLS, steps)
        Row `HOLD`, row `REST`, then the pitches upwards.
    """
    return np.eye(SYMBOLS, dtype=np.float32)[checked(symbols)].swapaxes(-1, -2)


def from_roll(roll: ArrayLike) -> np.ndarray:
    """Read the strongest symbol of each step, the inverse of `to_roll`.

    Nothing is mended: see `faults` and `repair`.

    Parameters
    ----------
    roll : array, shape (n, SYMBOLS, steps)
        Ones and zeros, probabilities or logits.

    Raises
    ------
    ValueError
        If the shape is another one, or a number isn't finite.
    """
    roll = np.asarray(roll)
    if roll.ndim < 2 or roll.shape[-2] != SYMBOLS or not np.isfinite(roll).all():
        raise ValueError(
            f"a roll is a finite array of shape (n, {SYMBOLS}, steps), not {roll.shape}"
        )
    return roll.argmax(axis=-2).astype(np.int64)


def to_score(
    symbols: ArrayLike, steps_per_bar: int, *, tempo: float = 104.0, title: str = ""
) -> Score:
    """Write a window, or several one after the other, as a Score on a violin.

    Parameters
    ----------
    symbols : int array, shape (steps,) or (n, steps)
        Without a hold that holds nothing: see `repair`.
    steps_per_bar : int
        16 is written in 4/4, 12 in 6/8.
    tempo : float
        Quarter notes a minute.
    title : str

    Raises
    ------
    ValueError
        If a symbol isn't one, or a hold holds nothing.
    """
    _check_steps_per_bar(steps_per_bar)
    symbols = np.atleast_2d(checked(symbols))
    if _loose(symbols).any():
        window, step = np.argwhere(_loose(symbols))[0]
        raise ValueError(
            f"window {window} holds nothing at step {step}: repair(symbols) makes it a rest"
        )
    row = symbols.ravel()
    grid = np.where(
        row == HOLD, codes.HOLD, np.where(row == REST, codes.REST, row + LOWEST - FIRST)
    )
    numerator, denominator = max(METRES[steps_per_bar])
    return Score.from_grid(
        grid[None],
        STEPS_PER_QUARTER,
        tempo=[(0.0, tempo)],
        metre=[(0.0, numerator, denominator)],
        programs={0: 40},
        title=title,
    )


def faults(symbols: ArrayLike, steps_per_bar: int) -> dict[str, int]:
    """Count what no tune has.

    Parameters
    ----------
    symbols : int array, shape (n, steps)
        Anything that a model wrote.
    steps_per_bar : int

    Returns
    -------
    dict of str to int
        ``"outside the range"``: steps whose symbol isn't one; ``"holds nothing"``: holds at the
        window's beginning or after a rest; ``"empty bars"``: bars in which nothing sounds.
    """
    symbols = np.atleast_2d(np.asarray(symbols))
    _check_steps_per_bar(steps_per_bar)
    if symbols.dtype.kind not in "iu" or symbols.ndim != 2 or symbols.shape[1] % steps_per_bar:
        raise ValueError(
            f"windows are whole numbers, (n, bars × {steps_per_bar}), not {symbols.dtype}"
            f" {symbols.shape}"
        )
    outside = (symbols < 0) | (symbols >= SYMBOLS)
    known = np.where(outside, REST, symbols)
    silent = (repair(known) == REST).reshape(-1, steps_per_bar).all(axis=1)
    return {
        "outside the range": int(outside.sum()),
        "holds nothing": int(_loose(known).sum()),
        "empty bars": int(silent.sum()),
    }


def repair(symbols: ArrayLike) -> np.ndarray:
    """Turn every hold that holds nothing into a rest; all else stays."""
    symbols = checked(symbols)
    return np.where(_loose(symbols), REST, symbols)


def markov(training: Windows | ArrayLike, n: int, *, order: int = 1, seed: int = 0) -> np.ndarray:
    """Write windows by counting which symbol follows which: the baseline of chapters 04 and 05.

    Parameters
    ----------
    training : Windows, or int array of shape (windows, steps)
    n : int
        How many to write.
    order : int
        How many symbols the `NGram` looks back.
    seed : int

    Returns
    -------
    int64 array, shape (n, steps)
        As drawn, so holds may hold nothing.

    Raises
    ------
    ValueError
        If there is nothing to count, or n is negative.
    """
    rows = checked(training.symbols if isinstance(training, Windows) else training)
    if n < 0:
        raise ValueError(f"n must be 0 or more, not {n}")
    # Token 0 stands before the first symbol, so that windows begin as windows do.
    tokens = np.pad(rows + 1, ((0, 0), (1, 0)))
    model = NGram(order, SYMBOLS + 1).fit(tokens)
    written = np.zeros((n, order + rows.shape[1]), np.int64)
    rng = np.random.default_rng(seed)
    tables: dict[bytes, np.ndarray] = {}
    for step in range(order, written.shape[1]):
        draws = rng.random(n)
        for row, draw in zip(written, draws, strict=True):
            context = row[step - order : step]
            if (key := context.tobytes()) not in tables:
                chances = model.probabilities(context)
                chances[0] = 0  # a window doesn't begin anew
                tables[key] = np.cumsum(chances / chances.sum())
            row[step] = min(np.searchsorted(tables[key], draw, side="right"), SYMBOLS)
    return written[:, order:] - 1


def checked(symbols: ArrayLike) -> np.ndarray:
    """Return symbols as int64, or say which one isn't a symbol.

    Raises
    ------
    ValueError
        If they aren't whole numbers from 0 to ``SYMBOLS - 1``.
    """
    symbols = np.asarray(symbols)
    if symbols.ndim == 0 or symbols.dtype.kind not in "iu":
        raise ValueError(
            f"symbols are an array of whole numbers, not {symbols.dtype} {symbols.shape}"
        )
    if symbols.size and not (symbols.min() >= 0 and symbols.max() < SYMBOLS):
        wrong = symbols[(symbols < 0) | (symbols >= SYMBOLS)][0]
        raise ValueError(f"{wrong} isn't a symbol: they are 0 to {SYMBOLS - 1}")
    return symbols.astype(np.int64)


def _loose(symbols: np.ndarray) -> np.ndarray:
    """Where a hold stands with only holds and rests between it and the last silence."""
    steps = np.arange(symbols.shape[-1])
    # The last step up to each that isn't a hold: is it a note?
    last = np.maximum.accumulate(np.where(symbols != HOLD, steps, -1), axis=-1)
    spoken = np.take_along_axis(symbols, np.maximum(last, 0), axis=-1)
    return (symbols == HOLD) & ((last < 0) | (spoken == REST))


def _bars(tune: Score, steps_per_bar: int) -> tuple[np.ndarray, np.ndarray]:
    """First step of every bar, and whether it is a full one of the wanted metre."""
    lines = tune.bar_lines
    starts, lengths = lines[:-1] * STEPS_PER_QUARTER, np.diff(lines) * STEPS_PER_QUARTER
    changes = np.array([onset for onset, *_ in tune.metre])
    metres = [tuple(entry[1:]) in METRES[steps_per_bar] for entry in tune.metre]
    at = np.searchsorted(changes, lines[:-1] + 1e-9, side="right") - 1
    right = np.array([i >= 0 and metres[i] for i in at], bool)
    whole = (np.abs(starts - np.rint(starts)) < 1e-6) & (np.abs(lengths - steps_per_bar) < 1e-6)
    return np.rint(starts).astype(int), right & whole


def _grid(tune: Score) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Write a tune as symbols, and mark the steps they aren't true for, by reason."""
    notes = tune.notes
    exact = np.stack([notes["onset"], notes["onset"] + notes["duration"]]) * STEPS_PER_QUARTER
    starts, stops = np.rint(exact).astype(int)
    # Up to the last bar line, even if the last note ends before it.
    grid = np.full(int(np.ceil(tune.bar_lines[-1] * STEPS_PER_QUARTER)) + 1, REST, np.int64)
    at = {
        reason: np.zeros(len(grid), bool)
        for reason in ("off the grid", "two notes at once", "outside the range")
    }
    off = (np.abs(exact - [starts, stops]) > 1e-6).any(axis=0) | (starts == stops)
    ends = np.maximum.accumulate(np.append(-np.inf, exact[1]))[:-1]  # of all notes before
    chord = exact[0] < ends - 1e-6
    outside = (notes["pitch"] < LOWEST) | (notes["pitch"] > HIGHEST)
    for i, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        wide = slice(int(np.floor(exact[0, i] + 1e-6)), int(np.ceil(exact[1, i] - 1e-6)))
        for reason, wrong in zip(at, (off, chord, outside), strict=True):
            at[reason][wide] |= wrong[i]
        if not (off[i] or chord[i] or outside[i]):
            grid[start] = FIRST + int(notes["pitch"][i]) - LOWEST
            grid[start + 1 : stop] = HOLD
    return grid, at


def _check_steps_per_bar(steps_per_bar: int) -> None:
    if steps_per_bar not in METRES:
        raise ValueError(f"steps_per_bar must be one of {sorted(METRES)}, not {steps_per_bar!r}")
