"""``rate``: a blind listening test with answers in a file, and what they add up to.

In an A/B test two clips stand side by side, in an order drawn by lot, and a question is asked:
which one did a person write? In an A/B/X test a third clip, X, is one of the two: which? Whoever
hears no difference is right half of the time, so the share of right answers is shown with its
interval.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import ipywidgets
import numpy as np
from IPython.display import display

from mlmusic.player import Player, play
from mlmusic.score import Score

COLUMNS = ("question", "pair", "shown", "answer", "right")
"""Of the file: what was asked, number of the pair, which of the two was A (or X), the answer as
one of the pair (1 or 2), and whether it was right (1 or 0)."""


class Share(NamedTuple):
    """Right answers, and the range in which their share would likely fall with many more.

    Attributes
    ----------
    right, answers : int
    share, low, high : float
        From 0 to 1; NaN without answers.
    """

    right: int
    answers: int
    share: float
    low: float
    high: float

    def __str__(self) -> str:
        if not self.answers:
            return "no answers yet"
        return (
            f"{self.right} of {self.answers} right: {self.share:.0%}"
            f" ({self.low:.0%} to {self.high:.0%}; guessing gives 50%)"
        )


def wilson(right: int, answers: int, *, level: float = 0.95) -> Share:
    """Return a share with its interval after Wilson (1927), which holds for few answers, too.

    Parameters
    ----------
    right, answers : int
        So many of so many.
    level : float
        How sure the interval is, between 0 and 1.

    Raises
    ------
    ValueError
        If a number is impossible.
    """
    if not 0 <= right <= answers or not 0 < level < 1:
        raise ValueError(f"{right} of {answers} answers at level {level} is impossible")
    if answers == 0:
        return Share(0, 0, math.nan, math.nan, math.nan)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = right / answers
    middle = (share + z**2 / (2 * answers)) / (1 + z**2 / answers)
    half = z * math.sqrt(share * (1 - share) / answers + (z / (2 * answers)) ** 2)
    half /= 1 + z**2 / answers
    # Exact at the ends, where rounding could pass 0 or 1.
    low = 0.0 if right == 0 else middle - half
    return Share(right, answers, share, low, 1.0 if right == answers else middle + half)


def summary(file: str | Path, question: str | None = None, *, level: float = 0.95) -> Share:
    """Add up the answers in a file.

    Parameters
    ----------
    file : str or Path
        What `rate` wrote.
    question : str, optional
        Only the answers to this one.
    level : float
        Of the interval.

    Returns
    -------
    Share
        ``str()`` of it is a sentence. A file that isn't there yet has no answers.

    Raises
    ------
    ValueError
        If the file isn't one of answers.
    """
    path, found = Path(file), []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as lines:
            table = csv.DictReader(lines)
            if tuple(table.fieldnames or ()) != COLUMNS:
                raise ValueError(
                    f"{path} holds no answers: its columns aren't {', '.join(COLUMNS)}"
                )
            for row in table:
                if row["right"] not in ("0", "1"):
                    raise ValueError(f"{path}, line {table.line_num}: right must be 0 or 1")
                if question in (None, row["question"]):
                    found.append(int(row["right"]))
    return wilson(sum(found), len(found), level=level)


class Rating(ipywidgets.VBox):
    """The buttons of a listening test; see `rate`, which also shows the clips.

    Every button has its answer's name on it, is reached with Tab and pressed with Enter or the
    space bar; what happens is announced as text. An answer counts at once. After the last one,
    the right answers are listed.

    Attributes
    ----------
    buttons : dict of str to ipywidgets.Button
        By what stands on them.
    done : int
        How many questions have been answered.
    answers : list of dict
        Those of this test, as they are in the file.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Score, Score]],
        *,
        question: str,
        file: str | Path,
        abx: bool = False,
        seed: int = 0,
    ):
        self.pairs = [_checked(pair, i) for i, pair in enumerate(pairs)]
        if not self.pairs:
            raise ValueError("there is nothing to rate: give at least one pair of scores")
        if not question.strip():
            raise ValueError("a listening test needs a question")
        summary(file)  # a file of something else is refused now, not after the first answer
        self.question, self.file, self.abx = question.strip(), Path(file), abx
        rng = np.random.default_rng(seed)
        self._order = rng.permutation(len(self.pairs)).tolist()
        # Which of the two is A; in A/B/X, which of the two X is. Each in half of the pairs, or
        # whoever always gives the same answer could be right more often than a guesser.
        sides = (np.arange(len(self.pairs)) + rng.integers(2)) % 2
        self._shown = (1 + rng.permutation(sides)).tolist()
        self.answers: list[dict[str, Any]] = []
        self.handle: Any = None
        self.asked, self.said = ipywidgets.HTML(), ipywidgets.HTML()
        # In words, for the player's buttons, which only play, have the letters on them.
        names = ("X is A", "X is B") if abx else ("My answer: A", "My answer: B")
        self.buttons = {name: self._button(name, i) for i, name in enumerate(names)}
        super().__init__([self.asked, ipywidgets.HBox(list(self.buttons.values())), self.said])
        self._say()

    @property
    def done(self) -> int:
        """Count the questions that have been answered."""
        return len(self.answers)

    def clips(self) -> dict[str, Score]:
        """Return what stands behind the letters, without titles that would tell."""
        at = min(self.done, len(self._order) - 1)
        first, second = self.pairs[self._order[at]]
        shown = self._shown[at]
        if self.abx:
            return {"A": first, "B": second, "X": (first, second)[shown - 1]}
        return {"A": first, "B": second} if shown == 1 else {"A": second, "B": first}

    def player(self) -> Player:
        """Return the player of the present clips, with its text twin."""
        at = min(self.done + 1, len(self._order))
        return play(self.clips(), rate=16_000, title=f"pair {at} of {len(self._order)}")

    def answer(self, letter: str) -> None:
        """Answer ``"A"`` or ``"B"``, as a click does: the answer is written, the next pair shown.

        Raises
        ------
        ValueError
            If it is another letter, or all questions have been answered.
        """
        if letter not in ("A", "B"):
            raise ValueError(f"the answer is 'A' or 'B', not {letter!r}")
        if self.done == len(self._order):
            raise ValueError("all questions have been answered")
        shown = self._shown[self.done]
        # As one of the pair; in an A/B test A may be the second one.
        chosen = 1 + "AB".index(letter)
        if not self.abx and shown == 2:
            chosen = 3 - chosen
        right = chosen == (shown if self.abx else 1)
        row = dict(
            zip(
                COLUMNS,
                (self.question, self._order[self.done], shown, chosen, int(right)),
                strict=True,
            )
        )
        _append(self.file, row)
        self.answers.append(row)
        if self.handle is not None and self.done < len(self._order):
            self.handle.update(self.player())
        self._say()

    def share(self) -> Share:
        """Return the share of right answers in this test."""
        return wilson(sum(row["right"] for row in self.answers), self.done)

    def _button(self, name: str, number: int) -> ipywidgets.Button:
        letter = "AB"[number]
        button = ipywidgets.Button(description=name, tooltip=f"answer: {name}")
        button.on_click(lambda _: self._clicked(letter))
        return button

    def _clicked(self, letter: str) -> None:
        try:
            self.answer(letter)
        except OSError as error:
            self._say(f"the answer couldn't be written: {error}")

    def _say(self, problem: str = "") -> None:
        count = len(self._order)
        self.asked.value = f"<p>{escape(self.question)}</p>"
        if self.done == count:
            for button in self.buttons.values():
                button.disabled = True
            text = f"Done. {self.share()}."
        else:
            text = f"Pair {self.done + 1} of {count}: listen, then answer."
        text = escape(problem or text) + (self._truth() if self.done == count else "")
        self.said.value = f'<div role="status" aria-live="polite">{text}</div>'

    def _truth(self) -> str:
        """List the pairs, in the order in which they were heard, with the right answers."""
        lines = []
        for number, row in enumerate(self.answers, 1):
            truth = row["shown"]  # the letter's number: in A/B the first of a pair is right
            given = truth if row["right"] else 3 - truth
            lines.append(f"<li>Pair {number}: {'AB'[truth - 1]}; you said {'AB'[given - 1]}</li>")
        again = f"To start again, delete {escape(str(self.file))} and run the cell again."
        return f"<p>The right answers:</p><ul>{''.join(lines)}</ul><p>{again}</p>"


def rate(
    pairs: Sequence[tuple[Score, Score]],
    *,
    question: str = "Which one did a person write?",
    file: str | Path = "answers.csv",
    abx: bool = False,
    seed: int = 0,
) -> Rating:
    """Show pairs of scores, one pair after the other, in blind order, and write the answers down.

    Parameters
    ----------
    pairs : sequence of (Score, Score)
        In an A/B test the first of each pair is the right answer to the question. Titles aren't
        shown; tempo and instrument are, so they should be alike.
    question : str
        For A/B/X, something like ``"Is X the same as A or B?"``.
    file : str or Path
        A CSV file (see `COLUMNS`), which stays on this machine; answers are added to it, also
        if the same pairs are rated again: delete it to start again. Nothing else is recorded:
        neither names nor times.
    abx : bool
        Show a third clip, X, that is one of the two.
    seed : int
        Of the order: that of the pairs, and which is A. Each of the two is A equally often, or,
        if their number is odd, once more than the other.

    Returns
    -------
    Rating
        The buttons, as the last line of a cell; the clips are shown above them. `summary` adds the
        answers up.

    Raises
    ------
    ValueError
        If there are no pairs or no question, or the file holds something else.
    TypeError
        If a pair isn't two scores.

    Examples
    --------
    >>> rate([(human, forged)], file="forgeries.csv")                          # doctest: +SKIP
    >>> print(summary("forgeries.csv"))                                        # doctest: +SKIP
    7 of 10 right: 70% (40% to 89%; guessing gives 50%)
    """
    rating = Rating(pairs, question=question, file=file, abx=abx, seed=seed)
    rating.handle = display(rating.player(), display_id=True)
    return rating


def _checked(pair: Any, number: int) -> tuple[Score, Score]:
    if not (
        isinstance(pair, (tuple, list))
        and len(pair) == 2
        and all(isinstance(score, Score) for score in pair)
    ):
        raise TypeError(f"pair {number} must be two scores, not {type(pair).__name__}")
    first, second = (replace(score, title="", lyrics={}, meta={}) for score in pair)
    return first, second


def _append(path: Path, row: dict[str, Any]) -> None:
    new = not path.exists() or path.stat().st_size == 0
    with path.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)
