"""``refine``: mark bars of some voices, have them written anew, hear before and after, undo."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import ipywidgets
import numpy as np
from IPython.display import display
from numpy.typing import ArrayLike

from mlmusic.audio import synthesize
from mlmusic.describe import CHOIR, differences
from mlmusic.models.transformer.pieces import symbols
from mlmusic.partwriting import Remark, remarks
from mlmusic.player import Player, play
from mlmusic.score import Score

MOST = 8
"""Largest number of bars, with a pickup: beyond, the boxes don't fit."""

RATE = 11_025
"""Samples per second of what is heard: more of them take longer than an answer should."""

_CLOSE = 1e-6  # quarter notes: sums of rounded floats differ by less

HEARD = ["onset", "duration", "pitch", "voice"]
"""Columns of notes that must differ for a refinement to count as a change."""

Fill = Callable[[Score, np.ndarray, float, int], Score]


def marked_steps(score: Score, marked: ArrayLike, steps_per_quarter: int = 4) -> np.ndarray:
    """Tell which steps of which voices lie in marked bars.

    Parameters
    ----------
    score : Score
    marked : (4, bars) bool
        Soprano to bass; a pickup counts as a bar here.
    steps_per_quarter : int
        4 gives sixteenths.

    Returns
    -------
    (4, steps) bool
        As long as the score.

    Raises
    ------
    ValueError
        If there are other voices or bars.
    """
    marked, lines = np.asarray(marked, bool), score.bar_lines
    if marked.shape != (len(CHOIR), len(lines) - 1):
        raise ValueError(
            f"marks are (4 voices, {len(lines) - 1} bars) for this score, not {marked.shape}"
        )
    steps = int(np.rint(score.duration * steps_per_quarter))
    onsets = np.arange(steps) / steps_per_quarter
    bars = np.searchsorted(lines, onsets + 1e-9, side="right") - 1
    return np.ascontiguousarray(marked[:, bars])


class Refiner(ipywidgets.VBox):
    """A box for each bar of each voice, a strength, *Refine*, *Undo*, and remarks; see `refine`.

    Every box is a checkbox with its voice and bar beside it as its label, which is also its name
    for screen readers; Tab reaches it, and the space bar marks it. What happened is announced as
    text, and the remarks on part writing are listed before and after.

    Attributes
    ----------
    score : Score
        As it is now.
    boxes : list of list of ipywidgets.Checkbox
        By voice, then bar.
    strength : ipywidgets.FloatSlider
    refine_button, undo_button : ipywidgets.Button
    """

    def __init__(self, score: Score, fill: Fill, *, strength: float = 1.0, seed: int = 0):
        if not len(score) or max(score.voices) >= len(CHOIR):
            raise ValueError(f"refining needs notes in voices 0–3, not in {score.voices}")
        self.bars = len(score.bar_lines) - 1
        if self.bars > MOST:
            raise ValueError(
                f"{self.bars} bars are more than the {MOST} whose boxes fit: take score.bars(1, 8)"
            )
        if not 0 <= strength <= 1:
            raise ValueError(f"strength lies in 0–1, not {strength!r}")
        self._fill, self._seed, self.handle = fill, seed, None
        self._first = 0 if score.has_pickup else 1
        self._past: list[tuple[Score, list[Remark], np.ndarray]] = []
        self._add(score)
        self.boxes = [
            [self._box(f"{name} {bar + self._first}") for bar in range(self.bars)] for name in CHOIR
        ]
        grid = ipywidgets.GridBox(
            [box for line in self.boxes for box in line],
            layout=ipywidgets.Layout(
                grid_template_columns=f"repeat({self.bars}, 105px)", grid_gap="0px"
            ),
        )
        self.strength = ipywidgets.FloatSlider(
            value=strength, min=0, max=1, step=0.05, description="strength"
        )
        self.refine_button = ipywidgets.Button(description="Refine")
        self.undo_button = ipywidgets.Button(description="Undo", disabled=True)
        self.refine_button.on_click(lambda _: self.refine())
        self.undo_button.on_click(lambda _: self.undo())
        self.said, self.listed = ipywidgets.HTML(), ipywidgets.HTML()
        buttons = ipywidgets.HBox([self.refine_button, self.undo_button, self.strength])
        super().__init__([grid, buttons, self.said, self.listed])
        self._show("Mark bars, then press Refine.")

    @property
    def score(self) -> Score:
        """The score as it is now."""
        return self._past[-1][0]

    def marked(self) -> np.ndarray:
        """Return which boxes are marked: (4, bars) bool."""
        return np.array([[box.value for box in line] for line in self.boxes])

    def mark(self, voices: ArrayLike, bars: ArrayLike) -> None:
        """Mark bars, as musicians count them, of some voices, and nothing else.

        Raises
        ------
        ValueError
            If there is no such voice or bar.
        """
        wanted = np.zeros((len(CHOIR), self.bars), bool)
        for voice in np.ravel(voices).tolist():
            for bar in np.ravel(bars).tolist():
                if voice not in range(len(CHOIR)) or bar - self._first not in range(self.bars):
                    raise ValueError(
                        f"there is no voice {voice} with a bar {bar}: voices are 0–3, bars"
                        f" {self._first}–{self._first + self.bars - 1}"
                    )
                wanted[voice, bar - self._first] = True
        for line, values in zip(self.boxes, wanted.tolist(), strict=True):
            for box, value in zip(line, values, strict=True):
                box.value = value

    def player(self) -> Player:
        """Return the player: before and after, or the score alone if nothing was changed yet."""
        names = ("now",) if len(self._past) == 1 else ("before", "after")
        scores, _, waves = zip(*self._past[-2:], strict=True)
        player = play(dict(zip(names, scores, strict=True)), rate=RATE)
        player._sounds = list(waves)  # one of the two was synthesised when it was new
        return player

    def refine(self) -> None:
        """Write the marked bars anew, as a click on *Refine* does; what fails is told as text."""
        marked = self.marked()
        if not marked.any():
            self._show("Nothing is marked: choose a bar of a voice first.")
            return
        before = self.score
        self._show("Working…")
        self.refine_button.disabled = True  # a second click would wait, and then refine again
        try:
            after = self._fill(before, marked, self.strength.value, self._seed)
            _check_kept(before, after, marked)
            self._seed += 1  # pressed again, it's another try
            if before.notes[HEARD].tolist() == after.notes[HEARD].tolist():
                self._show("The same notes came back: press Refine again, or raise the strength.")
                return
            self._add(after)
        except Exception as error:  # the fill may be anyone's: a button shows no traceback
            kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
            self._show(f"Nothing was changed: {kind}{str(error).removesuffix('.')}.")
            return
        finally:
            self.refine_button.disabled = False
        was, now = (len(found) for _, found, _ in self._past[-2:])
        text = differences(before, after, "before")
        self._show(f"Refined. {text} Remarks: {was} before, {now} after.", update=True)

    def undo(self) -> None:
        """Take the last refinement back, as a click on *Undo* does."""
        if len(self._past) > 1:
            self._past.pop()
            self._show(f"Undone. Remarks: {len(self._past[-1][1])}.", update=True)

    def _add(self, score: Score) -> None:
        self._past.append((score, remarks(score), synthesize(score, RATE)))

    def _box(self, name: str) -> ipywidgets.Checkbox:
        return ipywidgets.Checkbox(
            description=name, indent=False, layout=ipywidgets.Layout(width="100px", margin="0px")
        )

    def _show(self, text: str, update: bool = False) -> None:
        self.undo_button.disabled = len(self._past) == 1
        self.said.value = f'<div role="status" aria-live="polite">{escape(text)}</div>'
        if update or not self.listed.value:
            self.listed.value = self._lists()
            if self.handle is not None:
                self.handle.update(self.player())

    def _lists(self) -> str:
        """Write the remarks before and after; what wasn't there before is called new."""
        now = self._past[-1][1]
        if len(self._past) == 1:
            return _list("Remarks", now)
        was = self._past[-2][1]
        old = {remark.sentence for remark in was}
        fresh = [remark.sentence not in old for remark in now]
        return _list("Remarks before", was) + _list("Remarks after", now, fresh)


def refine(score: Score, fill: Fill, *, strength: float = 1.0, seed: int = 0) -> Refiner:
    """Show a score and boxes to mark its bars, to have them written anew.

    Parameters
    ----------
    score : Score
        Voices 0 to 3, at most `MOST` bars.
    fill : function (score, marked, strength, seed) -> Score
        Writes the marked bars, a (4, bars) bool array, anew; ``strength`` from 0 (nothing) to 1
        (everything). `marked_steps` turns marks into steps. What isn't marked must stay: notes that
        lie wholly in unmarked bars as they are, of others what sounds there; otherwise the answer
        is refused.
    strength : float
        Where the slider stands at first.
    seed : int
        Of the first try; each further one gets the next.

    Returns
    -------
    Refiner
        The boxes, as the last line of a cell; the player is shown above them.

    Raises
    ------
    ValueError
        If the score isn't for four voices, is too long, or the strength isn't within 0–1.
    """
    refiner = Refiner(score, fill, strength=strength, seed=seed)
    refiner.handle = display(refiner.player(), display_id=True)
    return refiner


def _check_kept(before: Score, after: Score, marked: np.ndarray) -> None:
    """Refuse what isn't a score for these bars, or changes where nothing was marked."""
    if not isinstance(after, Score):
        raise ValueError(f"the answer isn't a Score but of type {type(after).__name__}")
    if not len(after) or max(after.voices) >= len(CHOIR):
        raise ValueError(f"the answer needs notes in voices 0–3, not in {after.voices}")
    for name in ("metre", "tempo", "key"):
        if getattr(after, name) != getattr(before, name):
            raise ValueError(f"the {name} would have changed")
    lines = before.bar_lines
    if len(after.bar_lines) != len(lines) or after.duration > before.duration + _CLOSE:
        raise ValueError("the length would have changed")
    old, new = before.notes.tolist(), after.notes.tolist()
    lost = [note for note in set(old) - set(new) if not _reaches(note, lines, marked, -_CLOSE)]
    # A note across a border may be cut there, so that a new one begins or ends at a marked bar.
    added = [note for note in set(new) - set(old) if not _reaches(note, lines, marked, _CLOSE)]
    kept = ~marked_steps(before, marked)
    steps = kept.shape[1]
    differ = kept & (_sounding(before, steps) != _sounding(after, steps))
    if lost or added or differ.any():
        raise ValueError("what wasn't marked would have changed")


def _reaches(note: tuple, lines: np.ndarray, marked: np.ndarray, slack: float) -> bool:
    """Whether a note, longer by some slack at both ends, sounds in a marked bar of its voice."""
    onset, duration, *_, voice = note
    first = np.searchsorted(lines, onset - slack, side="right") - 1
    last = np.searchsorted(lines, onset + duration + slack)
    return bool(marked[voice, max(first, 0) : last].any())


def _sounding(score: Score, steps: int) -> np.ndarray:
    """Return what sounds at each sixteenth, 0 in silence, for so many: (4, steps)."""
    found = symbols(score, low=0, high=127).numpy().T[:, :steps]
    return np.pad(found, ((0, 0), (0, steps - found.shape[1])))


def _list(title: str, found: list[Remark], fresh: list[bool] | None = None) -> str:
    if not found:
        return f"<p>{title}: none.</p>"
    fresh = fresh or [False] * len(found)
    lines = [
        f"<li>{'<b>New:</b> ' if new else ''}{escape(remark.sentence)}</li>"
        for remark, new in zip(found, fresh, strict=True)
    ]
    return f"<p>{title}: {len(found)}</p><ul>{''.join(lines)}</ul>"
