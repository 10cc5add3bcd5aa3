"""What every data set of the course has in common: three splits, a card, labelled scores."""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mlmusic.score import Score

SPLITS = ("train", "valid", "test")


@dataclass(eq=False, repr=False)
class Dataset:
    """Scores in three splits, with the card that says where they come from.

    Attributes
    ----------
    name : str
        The function's name in `mlmusic.datasets`, and the folder's in datasets/.
    train, valid, test : list of Score
        The splits: by piece and by melody group, so that no tune stands in two of them.
        Each score's ``meta`` holds its labels.

    Examples
    --------
    >>> from mlmusic import datasets
    >>> chorales = datasets.chorales()
    >>> chorales.train[0].meta["source"]
    'bach/bwv1.6'
    """

    name: str
    train: list[Score] = field(default_factory=list)
    valid: list[Score] = field(default_factory=list)
    test: list[Score] = field(default_factory=list)

    @classmethod
    def from_scores(cls, name: str, scores: Iterable[Score], label: str = "split") -> Dataset:
        """Sort scores into splits by a label in their ``meta``, keeping their order."""
        splits: dict[str, list[Score]] = {split: [] for split in SPLITS}
        for score in scores:
            splits[score.meta[label]].append(score)
        return cls(name, **splits)

    @property
    def all(self) -> list[Score]:
        """Every score: train, then valid, then test."""
        return [*self.train, *self.valid, *self.test]

    def __len__(self) -> int:
        """Count the scores of all splits."""
        return len(self.train) + len(self.valid) + len(self.test)

    def __getitem__(self, split: str) -> list[Score]:
        """Return a split by its name, for loops over splits."""
        if split not in SPLITS:
            raise KeyError(f"no split {split!r}: {self.name} has {', '.join(SPLITS)}")
        return getattr(self, split)

    def piece(self, source: str) -> Score:
        """Find a score by its source label, whole (``bach/bwv66.6``) or the end (``bwv66.6``).

        Raises
        ------
        KeyError
            If there is no such piece, or if the end fits several.
        """
        scores = self.all
        found = [score for score in scores if score.meta["source"] == source]
        if not found:
            found = [score for score in scores if score.meta["source"].endswith(f"/{source}")]
        if len(found) != 1:
            which = "no piece" if not found else f"{len(found)} pieces"
            example = f" (one is {scores[0].meta['source']!r})" if scores else ""
            raise KeyError(f"{which} {source!r} in {self.name}{example}")
        return found[0]

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self[split]):,} {split}" for split in SPLITS)
        return f"Dataset({self.name!r}: {counts}; .describe() shows the card)"

    def describe(self) -> None:
        """Show the card: what this is, from where, on which terms, how it was split."""
        text = card(self.name)
        # Only a notebook renders Markdown; asking IPython isn't worth importing it.
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        if shell is not None and hasattr(shell, "kernel"):
            from IPython.display import Markdown, display

            # Smaller headings: the card is a part of the notebook's section.
            display(Markdown(re.sub(r"^#", "####", text, flags=re.M)))
        else:
            print(text)


def shipped(*parts: str) -> Path:
    """Path of a file in datasets/, in an installed wheel or in the repository.

    Raises
    ------
    FileNotFoundError
        If the installation is incomplete.
    """
    package = Path(__file__).resolve().parents[1]
    for root in (package / "_data", package.parent / "datasets"):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(
        f"datasets/{'/'.join(parts)} is missing from this installation of mlmusic: reinstall it"
    )


def card(name: str) -> str:
    """Return a data set's card, as Markdown."""
    return shipped(name, "README.md").read_text(encoding="utf-8")


def read_splits(name: str) -> list[dict[str, str]]:
    """Read ``datasets/<name>/splits.csv``, one dict a piece, with source, group and split."""
    with shipped(name, "splits.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def corpus_folder() -> Path:
    """Find the corpus in music21's installation, without the seconds that importing it takes.

    Raises
    ------
    ModuleNotFoundError
        If music21 isn't installed.
    """
    spec = importlib.util.find_spec("music21")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "the course's music comes with music21, which isn't installed: pip install music21"
        )
    return Path(spec.origin).parent / "corpus"
