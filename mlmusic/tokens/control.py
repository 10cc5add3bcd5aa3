"""Control tokens: say in front of the music what it shall be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlmusic.score import Score
from mlmusic.tokens.base import NONE, Vocabulary

ANY = "any"
"""What stands for a control that isn't given."""


class ControlVocabulary(Vocabulary):
    """Another vocabulary, and before its START one token for each control.

    A model that was trained with some controls hidden (see `hide`) can be asked for music with a
    key, a metre or a type, or without. Ids of the other vocabulary stay what they are.

    Parameters
    ----------
    music : Vocabulary
    **controls : sequence of str
        Names of controls and the values that each can have, for example
        ``metre=("4/4", "6/8")``. ``"any"`` is added to each.

    Attributes
    ----------
    music : Vocabulary
    controls : dict of str to tuple of str
    lead : int
        How many tokens stand before the music: the controls and START.

    Raises
    ------
    ValueError
        If there is no control, or a value comes twice.

    Examples
    --------
    >>> vocabulary = ControlVocabulary(GridVocabulary(), mode=("major", "minor"))
    >>> vocabulary.text(vocabulary.prefix(mode="minor"))
    'mode=minor START'
    """

    def __init__(self, music: Vocabulary, **controls: Sequence[str]):
        if not controls:
            raise ValueError("name at least one control, such as metre=('4/4', '6/8')")
        self.music = music
        self.controls: dict[str, tuple[str, ...]] = {}
        for name, values in controls.items():
            self.controls[name] = (ANY, *values)
            if len(set(self.controls[name])) <= len(values):
                raise ValueError(f"{name} has a value twice, or one named {ANY!r}: {values}")
        self.rest, self.hold = music.rest, music.hold
        added = [f"{name}={value}" for name, row in self.controls.items() for value in row]
        self.names = (*music.names, *added)
        self.pitches = np.append(music.pitches, np.full(len(added), NONE, music.pitches.dtype))
        self.lead = len(self.controls) + 1

    def prefix(self, **wanted: str) -> list[int]:
        """Return the control tokens and START; controls that aren't given are ``"any"``.

        Raises
        ------
        ValueError
            If there is no such control or value.
        """
        for name in wanted:
            if name not in self.controls:
                raise ValueError(f"no control {name!r}: there are {', '.join(self.controls)}")
        tokens, first = [], self.music.size
        for name, values in self.controls.items():
            value = wanted.get(name, ANY)
            if value not in values:
                raise ValueError(f"{name} can't be {value!r}: choose from {', '.join(values)}")
            tokens.append(first + values.index(value))
            first += len(values)
        return [*tokens, self.start]

    def encode(self, score: Score, **wanted: str) -> np.ndarray:
        """Write a score as tokens, with its controls in front and END behind.

        Raises
        ------
        ValueError
            As `prefix` and the other vocabulary do.
        """
        return np.concatenate([self.prefix(**wanted), self.music.encode(score)[1:]])

    def decode(self, tokens: Sequence[int] | np.ndarray, **options: object) -> Score:
        """Read a score from tokens, whatever controls stand in front.

        Raises
        ------
        ValueError
            If (without ``repair=True``) a control stands elsewhere, or as the other vocabulary
            does.
        """
        tokens = self._checked(tokens)
        controls = tokens >= self.music.size
        if options.get("repair"):
            return self.music.decode(tokens[~controls], **options)
        front = int(np.argmin(controls)) if not controls.all() else len(tokens)
        if controls[front:].any():
            i = front + int(np.argmax(controls[front:]))
            raise ValueError(f"{self.names[tokens[i]]} at position {i} isn't in front of the music")
        return self.music.decode(tokens[front:], **options)

    def hide(self, tokens: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
        """Replace some controls of a sequence by ``"any"``, each with a probability."""
        tokens = np.array(tokens)
        first = self.music.size
        for place, values in enumerate(self.controls.values()):
            if rng.random() < share:
                tokens[place] = first
            first += len(values)
        return tokens
