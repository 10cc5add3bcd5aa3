"""What a chorale's notes cost once their chord is given: how a score can be bought.

A chord token is computed from the very notes that it stands in front of. By the chain rule

    -log p(notes)  =  -log p(chord)  -  log p(notes | chord),

and whoever reports the last part alone has moved a share of the cost to where nobody counts. Here
all three come from one model without another parameter: ``p(chord)`` is the sum over all chords of
four notes that have that token, and ``p(notes | chord) = p(notes) / p(chord)``.

Chord tokens in front of the notes: Peracha, *Improving polyphonic music models with feature-rich
encoding* (TonicNet), 2020, whose figure is that of the notes given the chord.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mlmusic.models.transformer.chorale import ORDER, ChoraleModel

QUALITIES = {
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "diminished": (0, 3, 6),
    "augmented": (0, 4, 8),
}
SETS = np.arange(4096)
"""All sets of pitch classes: bit c is set where class c sounds. As a token it is the finest."""


class ChordNats(NamedTuple):
    """Costs of each step of a piece in nats, (steps,) each.

    Attributes
    ----------
    joint : float array
        Of the four notes.
    chord : float array
        Of their chord token.
    given : float array
        Of the notes given the chord: the difference.
    missed : float array
        By how much ``chord`` may be too high, and ``given`` too low, as very unlikely chords of
        notes were left out.
    """

    joint: np.ndarray
    chord: np.ndarray
    given: np.ndarray
    missed: np.ndarray


@cache
def triads() -> np.ndarray:
    """Return the token of each set of pitch classes, as TonicNet has them: shape (4096,).

    Returns
    -------
    int array
        12 · quality + root for a major, minor, diminished or augmented triad, with or without the
        seventh above its root; 48 for any other chord, 49 for silence. An augmented triad has
        three roots, the lowest counts.
    """
    tokens = np.full(4096, 48)
    tokens[0] = 49
    for quality, steps in reversed(list(enumerate(QUALITIES.values()))):
        for root in reversed(range(12)):
            for more in ((11,), (10,), ()):
                tokens[_set((step + root) % 12 for step in (*steps, *more))] = 12 * quality + root
    tokens.setflags(write=False)
    return tokens


def chord_nats(
    model: ChoraleModel,
    pieces: Sequence[Tensor],
    tokens: np.ndarray = SETS,
    *,
    least: float = 1e-6,
) -> list[ChordNats]:
    """Split what each step costs into what its chord costs and what the notes cost then.

    Parameters
    ----------
    model : ChoraleModel or Committee
        In eval mode meanwhile.
    pieces : sequence of (steps, 4) int64
        Symbols; of a longer piece than the model's context only its beginning is read.
    tokens : (4096,) int array
        The chord token of each set of pitch classes: `SETS` or `triads()`.
    least : float
        Voices that together are less likely than this aren't followed further. 0 is exact, and
        takes long.

    Returns
    -------
    list of ChordNats
        One a piece.

    Raises
    ------
    ValueError
        If there is no piece, one has another shape, or the tokens aren't 4096 whole numbers.
    """
    tokens = np.asarray(tokens)
    if tokens.shape != (4096,) or tokens.dtype.kind not in "iu":
        raise ValueError("tokens must be 4096 whole numbers, one for each set of pitch classes")
    if not 0 <= least < 1:
        raise ValueError(f"least must be a probability below 1, not {least!r}")
    if not len(pieces):
        raise ValueError("there is no piece")
    for i, piece in enumerate(pieces):
        if piece.ndim != 2 or piece.shape[1] != 4 or piece.dtype != torch.int64 or not len(piece):
            raise ValueError(f"piece {i} must be int64 of shape (steps, 4) with a step")
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            return [_piece(model, piece[: model.context], tokens, least) for piece in pieces]
    finally:
        model.train(training)


def per_note(found: Sequence[ChordNats]) -> dict[str, float]:
    """Return nats per note of all steps together: joint, chord, given and missed."""
    rows = {
        name: np.concatenate([getattr(one, name) for one in found]) for name in found[0]._fields
    }
    return {name: float(row.mean() / 4) for name, row in rows.items()}


def chord_sets(notes: Tensor, low: int) -> np.ndarray:
    """Return the set of pitch classes of each step: symbols (…, 4) to numbers of `SETS` (…)."""
    return np.bitwise_or.reduce(_bits(low, int(notes.max()) + 1)[notes.numpy()], axis=-1)


def _piece(model: ChoraleModel, piece: Tensor, tokens: np.ndarray, least: float) -> ChordNats:
    """Follow, voice by voice, all that may still become the chord of the step."""
    seen = model.past(piece[None])
    summary = model.look_back(seen)[0][0]
    steps, bits = len(piece), _bits(model.low, model.symbols)
    wanted = tokens[chord_sets(piece, model.low)]
    step = np.arange(steps)  # of each start of a chord that is followed
    notes = torch.zeros(steps, 4, dtype=torch.int64)
    log_p, sounds = np.zeros(steps), np.zeros(steps, int)
    true = np.ones(steps, bool)  # what the piece has is always followed
    dropped = np.zeros(steps)
    for left, v in zip((3, 2, 1, 0), ORDER, strict=True):
        previous = seen.previous[0][step]
        logits = model.voice(v, summary, previous, notes)
        then = log_p[:, None] + logits.double().log_softmax(-1).numpy()
        within = sounds[:, None] | bits
        can = _reachable(tokens, wanted, left)[_rank(wanted)[step][:, None], within]
        same = true[:, None] & (np.arange(model.symbols) == piece[step, v].numpy()[:, None])
        kept = can & ((then >= np.log(max(least, 1e-300))) | same)
        np.add.at(dropped, step, np.where(can & ~kept, np.exp(then), 0).sum(axis=1))
        row, symbol = np.nonzero(kept)
        at = torch.from_numpy(row)
        notes, summary, previous = notes[at].clone(), summary[at], previous[at]
        notes[:, v] = torch.from_numpy(symbol)
        step, log_p, sounds, true = (
            step[row],
            then[row, symbol],
            within[row, symbol],
            same[row, symbol],
        )
        if left:
            summary = model.tell(v, summary, previous, notes)
    total = np.zeros(steps)
    np.add.at(total, step, np.exp(log_p))
    joint, chord = np.zeros(steps), -np.log(total)
    joint[step[true]] = -log_p[true]
    return ChordNats(joint, chord, joint - chord, np.log1p(dropped / total))


def _bits(low: int, symbols: int) -> np.ndarray:
    """Return the set of pitch classes that each symbol adds."""
    return np.append(0, 1 << (low + np.arange(symbols - 1)) % 12)


def _rank(wanted: np.ndarray) -> np.ndarray:
    return np.unique(wanted, return_inverse=True)[1]


def _reachable(tokens: np.ndarray, wanted: np.ndarray, left: int) -> np.ndarray:
    """Tell from which sets each wanted token can be reached: (tokens that occur, 4096) bool.

    With at most ``left`` more pitch classes.
    """
    found = np.array([tokens == token for token in np.unique(wanted)])
    for _ in range(left):
        more = found.copy()
        for bit in 1 << np.arange(12):
            without = SETS[SETS & bit == 0]
            more[:, without] |= found[:, without | bit]
        found = more
    return found


def _set(classes: Iterable[int]) -> int:
    return sum(1 << step for step in set(classes))
