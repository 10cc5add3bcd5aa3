"""What all vocabularies share: ids, names, the tokens that aren't music, and checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlmusic.score import HOLD

NONE = -3
"""What `Vocabulary.pitches` holds for tokens that neither sound nor rest."""


SHARPS = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
FLATS = ("C", "D♭", "D", "E♭", "E", "F", "G♭", "G", "A♭", "A", "B♭", "B")


def pitch_name(pitch: int, *, flats: bool = False) -> str:
    """Name a MIDI pitch: 60 is ``"C4"``, 70 is ``"A♯4"``, or ``"B♭4"`` with ``flats``."""
    octave, step = divmod(int(pitch), 12)
    return f"{(FLATS if flats else SHARPS)[step]}{octave - 1}"


class Vocabulary:
    """What every vocabulary has: ids, names, and the three tokens that aren't music.

    Attributes
    ----------
    pad, start, end : int
        Ids 0, 1, 2: filler after the end of a sequence, its first and its last token.
    rest, hold : int
        Ids of silence and of "the note sounds on" (in `MelodyVocabulary` the shortest ones).
    names : tuple of str
        What each id means: ``names[id]``.
    pitches : int array, shape (size,)
        The MIDI pitch that a token starts; ``HOLD`` (-1), ``REST`` (-2), or ``NONE`` (-3).
    """

    pad, start, end = 0, 1, 2
    rest: int
    hold: int
    names: tuple[str, ...]
    pitches: np.ndarray

    @property
    def size(self) -> int:
        """How many tokens there are; ids run from 0 to ``size - 1``."""
        return len(self.names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size} tokens: {', '.join(self.names[:5])} …)"

    def prefix(self) -> list[int]:
        """Return what stands before the music: START."""
        return [self.start]

    def text(self, tokens: Sequence[int] | np.ndarray) -> str:
        """Spell a sequence of ids in names, for reading."""
        return " ".join(self.names[token] for token in self._checked(tokens))

    def _checked(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        tokens = np.asarray(tokens)
        if tokens.size == 0:
            tokens = tokens.astype(np.int64)
        if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
            raise ValueError(
                f"tokens must be one row of integers, not {tokens.dtype} of shape {tokens.shape}"
            )
        unknown = (tokens < 0) | (tokens >= self.size)
        if unknown.any():
            i = int(np.argmax(unknown))
            raise ValueError(
                f"token {tokens[i]} at position {i} is unknown: ids are 0–{self.size - 1}"
            )
        return tokens.astype(np.int64)

    def _body(self, tokens: Sequence[int] | np.ndarray, repair: bool) -> tuple[np.ndarray, int]:
        """Take off START, END and padding; also return the first remaining position."""
        tokens = self._checked(tokens)
        first = int(len(tokens) > 0 and tokens[0] == self.start)
        ends = np.flatnonzero((tokens == self.end) | (tokens == self.pad))
        body = tokens[first : ends[0] if len(ends) else len(tokens)]
        if repair:
            return body[body != self.start], first
        after = tokens[first + len(body) + 1 :]
        if (after != self.pad).any():
            i = int(np.argmax(after != self.pad)) + first + len(body) + 1
            raise ValueError(
                f"token {self.names[tokens[i]]} at position {i} follows the end of the sequence"
            )
        if (body == self.start).any():
            i = int(np.argmax(body == self.start)) + first
            raise ValueError(f"START at position {i} isn't the first token")
        return body, first

    def _wrapped(self, body: np.ndarray, ends: bool) -> np.ndarray:
        return np.concatenate([[self.start], body, [self.end]]) if ends else body.astype(np.int64)


def refuse(notes: np.ndarray, bad: np.ndarray, fault: Callable[[np.void], str]) -> None:
    """Raise a ValueError that names the first bad note."""
    if bad.any():
        i = int(np.argmax(bad))
        note = notes[i]
        raise ValueError(
            f"note {i} at onset {note['onset']:.6g}: {pitch_name(note['pitch'])} {fault(note)}"
        )


def refuse_range(notes: np.ndarray, low: int, high: int) -> None:
    """Raise a ValueError that names the first note outside a range of pitches."""
    refuse(
        notes,
        (notes["pitch"] < low) | (notes["pitch"] > high),
        lambda note: f"is outside this vocabulary's {pitch_name(low)}–{pitch_name(high)}",
    )


def last_change(events: np.ndarray) -> np.ndarray:
    """For each place in the last axis, the index of the latest that isn't HOLD (or 0)."""
    places = np.broadcast_to(np.arange(events.shape[-1]), events.shape)
    return np.maximum.accumulate(np.where(events != HOLD, places, 0), axis=-1)


def checked_range(low: int, high: int) -> tuple[int, int]:
    """Return the limits of a vocabulary, or say what is wrong with them."""
    if not 0 <= low <= high <= 127:
        raise ValueError(f"pitches must run from low to high within 0–127, not {low}–{high}")
    return low, high
