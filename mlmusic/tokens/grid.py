"""Equal steps of time, for one voice or for several in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlmusic.score import HOLD, REST, Score
from mlmusic.tokens.base import (
    NONE,
    Vocabulary,
    checked_range,
    last_change,
    pitch_name,
    refuse,
    refuse_range,
)


class GridVocabulary(Vocabulary):
    """Equal steps of time: in each step, each voice in turn starts a pitch, holds or rests.

    `decode` gives back onset, duration, pitch and voice of every note, up to the last one's end.
    Velocity, tempo, metre and everything else are lost: pass them to `decode` as fields.

    Parameters
    ----------
    voices : int
        How many voices take turns; voice ``v`` of the score is the v-th.
    low, high : int
        Lowest and highest MIDI pitch.
    steps_per_quarter : int
        4 gives sixteenth notes; 12 or 24 also hold triplets.
    lossless : bool
        Write a held note as HOLD. Otherwise its pitch is repeated at every step, as in the
        published JSB chorales: a note that is struck again can't be told from a held one, and
        `decode` joins them.

    Examples
    --------
    >>> vocabulary = GridVocabulary()
    >>> tokens = vocabulary.encode(Score([(0, 0.5, 60), (0.75, 0.25, 62)]))
    >>> vocabulary.text(tokens)
    'START C4 HOLD REST D4 END'
    """

    rest, hold = 3, 4
    bottom = 5
    """Id of the lowest pitch: transposing by a semitone adds 1."""

    def __init__(
        self,
        voices: int = 1,
        *,
        low: int = 36,
        high: int = 96,
        steps_per_quarter: int = 4,
        lossless: bool = True,
    ):
        if not 1 <= voices <= 256:
            raise ValueError(f"a grid has 1–256 voices, not {voices}")
        self.voices = voices
        self.low, self.high = checked_range(low, high)
        self.steps_per_quarter = steps_per_quarter
        self.lossless = lossless
        pitches = range(low, high + 1)
        self.names = ("PAD", "START", "END", "REST", "HOLD", *map(pitch_name, pitches))
        self.pitches = np.array([NONE, NONE, NONE, REST, HOLD, *pitches], np.int16)

    def encode(self, score: Score, *, ends: bool = True, steps: int | None = None) -> np.ndarray:
        """Write a score as tokens.

        Parameters
        ----------
        score : Score
            One note at a time in each voice, on the grid.
        ends : bool
            Put START in front and END behind.
        steps : int, optional
            Fill up with rests to this many steps, so that all windows have one length.

        Returns
        -------
        int64 array, shape (steps * voices [+ 2],)
            The voices of step 0, then those of step 1, …

        Raises
        ------
        ValueError
            If a note is off the grid, overlaps another of its voice, lies outside ``low`` to
            ``high`` or after ``steps``, or is of a voice too many; the message names it.
        """
        notes = score.notes
        refuse_range(notes, self.low, self.high)
        refuse(
            notes,
            notes["voice"] >= self.voices,
            lambda note: (
                f"is of voice {note['voice']}, this vocabulary has voices "
                f"0–{self.voices - 1}: select() or renumber them"
            ),
        )
        grid = score.to_grid(self.steps_per_quarter)
        length = grid.shape[1] if steps is None else steps
        late = (notes["onset"] + notes["duration"]) * self.steps_per_quarter > length + 1e-6
        refuse(notes, late, lambda note: f"ends after {length} steps")
        whole = np.full((self.voices, length), REST, np.int64)
        whole[: len(grid), : grid.shape[1]] = grid
        if not self.lossless:
            whole = np.take_along_axis(whole, last_change(whole), axis=1)
        tokens = np.where(whole >= 0, whole - self.low + self.bottom, self.rest)
        tokens[whole == HOLD] = self.hold
        return self._wrapped(tokens.T.ravel(), ends)

    def decode(
        self, tokens: Sequence[int] | np.ndarray, *, repair: bool = False, **fields: Any
    ) -> Score:
        """Read a score from tokens.

        Parameters
        ----------
        tokens : sequence of int
            With or without START, END and padding.
        repair : bool
            Mend what an unfinished model writes: a HOLD with nothing to hold becomes a rest, a
            last step that misses voices is left out, all after the first END is ignored.
        **fields
            Tempo, metre, key, title … of the score.

        Raises
        ------
        ValueError
            If (without ``repair``) a HOLD holds nothing, the last step misses a voice, or a
            token stands where it can't; the message gives the position.
        """
        body, first = self._body(tokens, repair)
        missing = -len(body) % self.voices
        if missing and not repair:
            raise ValueError(
                f"{len(body)} tokens don't make whole steps of {self.voices} voices:"
                f" {missing} missing at the end"
            )
        body = body[: len(body) // self.voices * self.voices]
        grid = self.pitches[body].reshape(-1, self.voices).T  # (voices, steps)
        if not self.lossless:
            again = np.zeros(grid.shape, bool)
            again[:, 1:] = (grid[:, 1:] == grid[:, :-1]) & (grid[:, 1:] >= 0)
            grid = np.where(again, HOLD, grid)
        idle = (grid == HOLD) & (np.take_along_axis(grid, last_change(grid), axis=1) < 0)
        if idle.any() and not repair:
            step, voice = np.argwhere(idle.T)[0]
            raise ValueError(
                f"HOLD at position {first + step * self.voices + voice} (voice {voice},"
                f" step {step}) has no note to hold"
            )
        return Score.from_grid(np.where(idle, REST, grid), self.steps_per_quarter, **fields)


class SATBVocabulary(GridVocabulary):
    """Four voices in sixteenths, interleaved: the S, A, T, B of step 0, of step 1 and so on.

    A `GridVocabulary` with four voices and the range of the chorales. Eight steps a quarter note
    also hold their few thirty-seconds.
    """

    def __init__(
        self,
        *,
        low: int = 36,
        high: int = 81,
        steps_per_quarter: int = 4,
        lossless: bool = True,
    ):
        super().__init__(
            4, low=low, high=high, steps_per_quarter=steps_per_quarter, lossless=lossless
        )
