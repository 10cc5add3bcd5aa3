"""A keyboard on the screen: notes are clicked, chosen with the Tab and Enter keys, or typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets
import traitlets

from mlmusic.score import Score
from mlmusic.tokens.base import pitch_name

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NOTE = re.compile(r"([A-Ga-g])([#♯b♭]?)(-?\d)?")


def read_pitches(text: str, octave: int = 4) -> list[int]:
    """Read notes as one types them: ``"D4 F# A Bb5"``, apart by spaces or commas.

    Parameters
    ----------
    text : str
        Letters in either case, sharps as ``#`` or ``♯``, flats as ``b`` or ``♭``, octaves as
        numbers (C4 is middle C).
    octave : int
        Of the notes before the first number; after that, that of the note before.

    Returns
    -------
    list of int
        MIDI pitches.

    Raises
    ------
    ValueError
        If a word is no note, or outside MIDI's range.
    """
    pitches = []
    for word in re.split(r"[\s,]+", text.strip()):
        if not word:
            continue
        match = _NOTE.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r} isn't a note: type notes like D4 F# A Bb5")
        letter, accidental, number = match.groups()
        octave = octave if number is None else int(number)
        sharp = {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(accidental, 0)
        pitch = 12 * (octave + 1) + STEPS[letter.upper()] + sharp
        if not 0 <= pitch <= 127:
            raise ValueError(f"{word!r} is outside MIDI's range, C-1 to G9")
        pitches.append(pitch)
    return pitches


class Keyboard(ipywidgets.VBox):
    """Keys to click, a line to type notes into, and what has been played so far.

    Every key is a button with its note's name on it: reached with Tab, pressed with Enter or the
    space bar, read out by screen readers; the line of text does the same with letters. What has
    been played is announced as text. After ``count`` notes the next one begins anew.

    Parameters
    ----------
    pitches : sequence of int
        What has been played already.
    low, high : int
        Lowest and highest key; both are white keys.
    count : int
        How many notes a phrase has.

    Attributes
    ----------
    pitches : tuple of int
        MIDI pitches played so far, at most ``count``. Watch it with
        ``keyboard.observe(function, names="pitches")``; set it to play by program.
    buttons : dict of int to ipywidgets.Button
        The keys, by pitch.

    Raises
    ------
    ValueError
        If the range isn't one between white keys, or a pitch is outside MIDI's.

    Examples
    --------
    >>> keyboard = Keyboard([62, 64, 66, 69])
    >>> keyboard.score().notes["pitch"].tolist()
    [62, 64, 66, 69]
    """

    pitches = traitlets.Tuple()

    def __init__(
        self, pitches: Sequence[int] = (), *, low: int = 60, high: int = 83, count: int = 4
    ):
        whites = [pitch for pitch in range(low, high + 1) if pitch % 12 in STEPS.values()]
        if not whites or (whites[0], whites[-1]) != (low, high) or not 0 <= low <= high <= 127:
            raise ValueError(f"a keyboard goes from one white key up to another, not {low}–{high}")
        if count < 1:
            raise ValueError("count must be at least 1")
        self.low, self.high, self.count = low, high, count
        self.buttons = {pitch: self._key(pitch, whites) for pitch in range(low, high + 1)}
        grid = ipywidgets.GridBox(
            list(self.buttons.values()),
            layout=ipywidgets.Layout(
                grid_template_columns=f"repeat({2 * len(whites)}, 21px)", grid_gap="3px 0px"
            ),
        )
        self.line = ipywidgets.Text(
            placeholder="D4 F#4 A4 D5", description="or type:", continuous_update=False
        )
        self.again = ipywidgets.Button(description="start again", tooltip="forget these notes")
        self.said = ipywidgets.HTML()
        super().__init__([grid, ipywidgets.HBox([self.line, self.again]), self.said])
        self.line.observe(self._typed, names="value")
        self.again.on_click(lambda _: self._set(()))
        self.observe(lambda _: self._say(), names="pitches")
        self._say()
        self.pitches = tuple(pitches)

    @traitlets.validate("pitches")
    def _checked(self, proposal: dict[str, Any]) -> tuple[int, ...]:
        found = tuple(int(pitch) for pitch in proposal["value"])
        if any(not 0 <= pitch <= 127 for pitch in found):
            raise ValueError(f"pitches must be within 0–127, not {list(found)}")
        return found[: self.count]

    def press(self, pitch: int) -> None:
        """Play a note, as a click on its key does."""
        played = self.pitches if len(self.pitches) < self.count else ()
        self._set((*played, pitch))

    def score(self, duration: float = 1.0) -> Score:
        """Return what has been played as a Score of equally long notes, in quarter notes."""
        return Score(
            [(i * duration, duration, pitch) for i, pitch in enumerate(self.pitches)],
            title="your notes",
        )

    def _key(self, pitch: int, whites: list[int]) -> ipywidgets.Button:
        white = pitch % 12 in STEPS.values()
        # A white key is two columns wide; a black one lies across the line between two of them.
        column = 2 * sum(each < pitch for each in whites) + (1 if white else 0)
        row = 2 if white else 1
        key = ipywidgets.Button(
            description=pitch_name(pitch),
            tooltip=f"play {pitch_name(pitch)}",
            layout=ipywidgets.Layout(
                grid_area=f"{row} / {column} / {row + 1} / {column + 2}",
                width="40px",
                height="72px" if white else "56px",
                padding="0px",
                margin="0px",
                border="1px solid #555555",
            ),
        )
        key.style.button_color = "#FFFFFF" if white else "#BBBBBB"
        key.on_click(lambda _: self.press(pitch))
        return key

    def _typed(self, change: dict[str, Any]) -> None:
        if not change["new"].strip():
            return
        try:
            self._set(tuple(read_pitches(change["new"])))
        except ValueError as error:
            self._say(str(error))

    def _set(self, pitches: tuple[int, ...]) -> None:
        self.pitches = pitches

    def _say(self, problem: str = "") -> None:
        names = " ".join(map(pitch_name, self.pitches)) or "nothing yet"
        text = problem or f"{len(self.pitches)} of {self.count} notes: {names}"
        self.said.value = f'<div role="status" aria-live="polite">{escape(text)}</div>'
