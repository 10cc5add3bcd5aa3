"""How much of what a model writes stands in its training tunes already.

A *run* is a passage of notes that two melodies share note for note, up to transposition and to how
fast it is written: the same intervals, the same ratios of one note's length to the next one's. The
longest run that a melody shares with any training tune is its copied passage. Composers of dance
tunes share runs, too, so the number means something only beside the same number of human tunes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlmusic.datasets.melodies import steps
from mlmusic.score import Score


@dataclass(frozen=True)
class Run:
    """The longest passage that a melody shares with a training tune.

    Attributes
    ----------
    notes : int
        How many notes in a row; 0 if there is nothing to compare.
    start : int
        Number of its first note in the melody, counted from 0 (a chord counts as one note).
    tune : int
        Which training tune has it; -1 if none.
    tune_start : int
        Number of its first note there.
    """

    notes: int
    start: int = 0
    tune: int = -1
    tune_start: int = 0


class Copies:
    """An index of training tunes in which the longest shared runs are found quickly.

    It is a suffix array (Manber and Myers, 1993): the places where a passage can begin, in the
    alphabetical order of what follows, so that the passages most alike are neighbours.

    Parameters
    ----------
    tunes : sequence of Score
        The training tunes, one voice each (of a chord the highest note counts).

    Raises
    ------
    ValueError
        If there is none.
    """

    def __init__(self, tunes: Sequence[Score]):
        if not len(tunes):
            raise ValueError("there are no training tunes to copy from")
        # Every kind of step is a character; "\0" ends a tune, and no melody has it.
        self._letters: dict[tuple[int, int], str] = {}
        lines = []
        for tune in tunes:
            letters = [
                self._letters.setdefault(step, _letter(len(self._letters))) for step in steps(tune)
            ]
            lines.append("".join(letters) + "\0")
        self._text = "".join(lines)
        self._starts = np.cumsum([0] + [len(line) for line in lines])
        self._order = _suffix_array(self._text).tolist()

    def longest(self, melody: Score, *, leave_out: int | None = None) -> Run:
        """Find the longest run that a melody shares with a training tune.

        Parameters
        ----------
        melody : Score
            One voice.
        leave_out : int, optional
            Number of a training tune that doesn't count: for a training tune, its own.

        Returns
        -------
        Run
            Of equally long ones, the first in the melody.
        """
        query = "".join(self._letters.get(step, "\1") for step in steps(melody))
        best = Run(0)
        for start in range(len(query)):
            rest = query[start:]
            if len(rest) + 1 <= best.notes:
                break  # what is left is too short to be longer
            length, place = self._nearest(rest, leave_out)
            if length and length + 1 > best.notes:
                tune = self._tune(place)
                best = Run(length + 1, start, tune, place - int(self._starts[tune]))
        return best

    def _nearest(self, rest: str, leave_out: int | None) -> tuple[int, int]:
        """Length and place of the longest beginning of `rest` that stands in the text."""
        text, order = self._text, self._order
        at = bisect_left(order, rest, key=lambda place: text[place : place + len(rest)])
        best = (0, 0)
        for step, place in ((-1, at - 1), (1, at)):
            # The neighbours in the alphabet share most; one to be left out is passed over.
            while 0 <= place < len(order):
                shared = _shared(text, order[place], rest)
                if shared <= best[0]:
                    break
                if leave_out is None or self._tune(order[place]) != leave_out:
                    best = (shared, order[place])
                    break
                place += step
        return best

    def _tune(self, place: int) -> int:
        return int(np.searchsorted(self._starts, place, side="right")) - 1


def _letter(number: int) -> str:
    # From "\2" on, around the code points that stand for halves of others.
    code = number + 2
    return chr(code if code < 0xD800 else code + 0x800)


def _shared(text: str, place: int, rest: str) -> int:
    length = 0
    while length < len(rest) and text[place + length] == rest[length]:
        length += 1
    return length


def _suffix_array(text: str) -> np.ndarray:
    """Order all places of a text by what follows: by one character, then two, four and so on."""
    rank = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64)
    reach = 1
    while True:
        after = np.append(rank[reach:], np.full(min(reach, len(rank)), -1))
        key = rank * (rank.max() + 2) + after + 1
        _, rank = np.unique(key, return_inverse=True)
        if rank.max() == len(rank) - 1 or reach >= len(rank):
            return np.argsort(rank, kind="stable")
        reach *= 2
