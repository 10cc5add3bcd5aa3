"""What is known about trained weights: the JSON file beside them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from textwrap import wrap
from typing import Any

_COLUMNS = 100  # of a notebook's output


@dataclass(frozen=True, repr=False)
class Card:
    """How weights were made, and how well they do.

    Attributes
    ----------
    data : str
        What they were trained on.
    command : str
        What makes them again, such as ``"mlmusic train rnn/gru --seed 0"``.
    seed : int
    cpu_seconds : float
        What training cost, all threads added up.
    scores : dict of str to float
        Held-out scores by name, with the unit in it: what `mlmusic evaluate` computes again.
    memorisation : str
        How much of the training data the model gives back.
    licence : str
        On which terms the weights may be used, and those of the data.
    name : str
        Such as ``"rnn/gru"``; this and all below is filled in by `mlmusic.weights.save`.
    model : str
        Name of the model's class, one of `mlmusic.weights.MODELS`.
    config : dict
        Keyword arguments that build the model.
    parameters : int
        How many numbers were trained.
    made_with : str
        Versions and number of threads: other ones give slightly different weights.
    sha256 : str
        Of the weights' file, in hexadecimal.
    """

    data: str
    command: str
    seed: int
    cpu_seconds: float
    scores: dict[str, float]
    memorisation: str
    licence: str
    name: str = ""
    model: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    parameters: int = 0
    made_with: str = ""
    sha256: str = ""

    def __post_init__(self):
        for part in fields(self):
            value, kind = getattr(self, part.name), str(part.type).partition("[")[0]
            kinds = {"str": str, "int": int, "float": (int, float), "dict": dict}[kind]
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise ValueError(f"a card's {part.name} must be of type {kind}, not {value!r}")
        for name, value in self.scores.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"the score {name!r} must be a number, not {value!r}")
            if not math.isfinite(value):
                raise ValueError(f"the score {name!r} must be finite, not {value}")

    def __str__(self) -> str:
        """Tell a reader what matters, in lines that fit a notebook; `repr` tells all."""
        width = max(map(len, self.scores), default=0) + 2
        rows = {
            "data": [self.data],
            "command": [self.command],
            "cost": [f"{self.cpu_seconds:.0f} CPU seconds"],
            "scores": [f"{name:<{width}}{value:.4f}" for name, value in self.scores.items()],
            "memorisation": [self.memorisation],
            "licence": [self.licence],
        }
        indent = " " * 16
        lines = [f"{self.name}: {self.model}, {self.parameters:,} parameters"]
        for row, texts in rows.items():
            label = f"  {row}".ljust(len(indent))
            for text in texts:
                lines += wrap(text, _COLUMNS, initial_indent=label, subsequent_indent=indent)
                label = indent
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Spell all of it, a line each."""
        rows = {
            "model": f"{self.model}, {self.parameters:,} parameters",
            "config": ", ".join(f"{name}={value!r}" for name, value in self.config.items()),
            "data": self.data,
            "command": self.command,
            "cost": f"{self.cpu_seconds:.0f} CPU seconds ({self.made_with})",
            **{name: f"{value:.4f}" for name, value in self.scores.items()},
            "memorisation": self.memorisation,
            "licence": self.licence,
            "sha256": self.sha256,
        }
        width = max(map(len, rows)) + 2
        return "\n".join([self.name, *(f"  {row:<{width}}{rows[row]}" for row in rows)])

    @classmethod
    def read(cls, path: Path) -> Card:
        """Read a card.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If the file isn't a card; the message says what is wrong.
        """
        if not path.is_file():
            raise FileNotFoundError(f"the weights have no card: there is no file {path}")
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:  # neither UTF-8 nor JSON
            raise ValueError(f"the card {path} is damaged: {error}") from None
        if not isinstance(entries, dict):
            raise ValueError(f"the card {path} is damaged: it holds no names and values")
        known = {part.name for part in fields(cls)}
        wrong = [f"it has no {name}" for name in sorted(known - entries.keys())]
        wrong += [f"{name!r} is unknown" for name in sorted(entries.keys() - known)]
        if wrong:
            raise ValueError(f"the card {path} is damaged: {wrong[0]}")
        try:
            return cls(**entries)
        except ValueError as error:
            raise ValueError(f"the card {path} is damaged: {error}") from None

    def write(self, path: Path) -> None:
        """Write the card as JSON: the same bytes on every system."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)
        path.write_bytes(text.encode() + b"\n")
