"""What every data set of the course has in common: three splits, a card, labelled scores."""

from __future__ import annotations

import csv
import difflib
import importlib.util
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

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
            raise KeyError(f"no split {split!r}: {self.name} has {', '.join(SPLITS)}, and .all")
        return getattr(self, split)

    def __iter__(self) -> NoReturn:
        """Refuse: a loop has to say which split it means."""
        raise TypeError(f"loop over a split of {self.name}, such as .train, or over .all of them")

    def piece(self, source: str) -> Score:
        """Find a score by its source label, whole (``bach/bwv66.6``) or its end (``bwv66.6``).

        Capitals and spaces don't matter.

        Raises
        ------
        KeyError
            If there is no such piece, or if the end fits several.
        """
        wanted = _plain(source)
        scores = {_plain(score.meta["source"]): score for score in self.all}
        found = [name for name in scores if name == wanted]
        found = found or [name for name in scores if name.endswith(f"/{wanted}")]
        if len(found) == 1:
            return scores[found[0]]
        ends = {name.rpartition("/")[2]: name for name in scores}
        near = difflib.get_close_matches(wanted.rpartition("/")[2], ends, n=3) or list(ends)[:1]
        examples = ", ".join(scores[ends[name]].meta["source"] for name in near)
        which = f"{len(found)} pieces" if found else "no piece"
        raise KeyError(f"{which} {source!r} in {self.name}; there is, for example, {examples}")

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self[split]):,} {split}" for split in SPLITS)
        return f"Dataset({self.name!r}: {counts}; .describe() shows the card)"

    def describe(self, *, full: bool = False) -> None:
        """Show the card: what this is, from where, on which terms, and what is wrong with it.

        Parameters
        ----------
        full : bool
            Also show the labels, how the splits were made, and how to rebuild the data.
        """
        text = card(self.name) if full else _excerpt(card(self.name))
        # Only a notebook renders Markdown; asking IPython isn't worth importing it.
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        if shell is not None and hasattr(shell, "kernel"):
            from IPython.display import Markdown, display

            # Smaller headings: the card is a part of the notebook's section.
            display(Markdown(re.sub(r"^#", "####", text, flags=re.M)))
        else:
            print(text)


def _plain(source: str) -> str:
    return source.lower().replace(" ", "")


def _excerpt(text: str) -> str:
    """Cut a card down to its introduction, its table and its flaws, without links."""
    introduction, *sections = re.split(r"^(?=## )", text, flags=re.M)
    flaws = "".join(section for section in sections if section.startswith("## Known flaws"))
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", introduction + flaws)


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
