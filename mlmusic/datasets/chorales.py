"""Bach's four-part chorales, from music21's corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlmusic.datasets import cache
from mlmusic.datasets.base import Dataset, corpus_folder, read_splits
from mlmusic.readers import musicxml
from mlmusic.score import Score

# Of the scores as read, with their labels: changes with the reader and the table of splits.
# `python datasets/chorales/build.py` prints it.
SHA256 = "b7307f47decd84a015c87a0f3ef6fbcdf8f2776ee08af139d4e83bb1f0dfd5bb"

# Most files give no tempo; where one is given it is usually this.
TEMPO = 96.0

_MAJOR = "C G D A E B F# C# Cb Gb Db Ab Eb Bb F".split()  # by fifths: 0 … 7, -7 … -1


def chorales(split: str = "melody") -> Dataset:
    """Load the 365 four-part chorales: soprano is voice 0, alto 1, tenor 2, bass 3.

    Labels in ``meta``: ``source`` (``bach/bwv66.6``), ``bwv``, ``key`` (``F# minor``), ``mode``,
    ``metre`` (``4/4``), ``parts`` (names of the voices), ``fermatas`` (onsets in the soprano,
    where phrases end), ``group`` (same number: same melody), ``split``, ``jsb`` (where the
    published JSB split has this piece; ``train`` if nowhere), and ``verses`` where the soprano
    has more text than ``lyrics`` holds.

    Parameters
    ----------
    split : {"melody", "jsb"}
        ``"melody"``: no melody stands in two splits, and nothing that the published JSB chorales
        test on or validate on is trained on. ``"jsb"``: by the second rule alone, which leaves
        more to train on, but lets a melody return in the test set in another setting, as the
        published split does.

    Returns
    -------
    Dataset
        Cached after the first use.

    Raises
    ------
    ValueError
        If there is no such split.
    """
    if split not in ("melody", "jsb"):
        raise ValueError(f"there is no split {split!r} of the chorales: choose 'melody' or 'jsb'")
    table = read_splits("chorales")
    scores = cache.load("chorales", lambda: read(table), sha256=SHA256, total=len(table))
    return Dataset.from_scores("chorales", scores, "split" if split == "melody" else "jsb")


def read(table: list[dict[str, str]]) -> Iterator[Score]:
    """Read the chorales of a table (source, group, split, jsb) and label them."""
    for row in table:
        score = read_one(corpus_folder(), row["source"])
        score.meta.update(group=int(row["group"]), split=row["split"], jsb=row["jsb"])
        yield score


def read_one(corpus: Path, source: str) -> Score:
    """Read one chorale, with the labels that its file holds.

    Raises
    ------
    FileNotFoundError
        If the corpus doesn't hold it.
    """
    found = [
        path for path in map((corpus / source).with_name, _file_names(source)) if path.exists()
    ]
    if not found:
        raise FileNotFoundError(f"{corpus} has no {source}: reinstall music21 9.9 or 10.5")
    score = musicxml.read(found[0], tempo=TEMPO)
    bwv = source.removeprefix("bach/bwv")
    fifths, mode = score.key[0][1:]
    _, numerator, denominator = score.metre[0]
    incipit = _incipit(score)
    score.title = f"{incipit} (BWV {bwv})" if incipit else f"BWV {bwv}"
    score.meta = {
        "source": source,
        "bwv": bwv,
        "key": f"{_tonic(fifths, mode)} {mode}".strip(),
        "mode": mode,
        "metre": f"{numerator}/{denominator}",
        **score.meta,
    }
    return score


def _file_names(source: str) -> tuple[str, str]:
    stem = source.rpartition("/")[2]
    return f"{stem}.mxl", f"{stem}.xml"


def _tonic(fifths: int, mode: str) -> str:
    """Name the keynote of a major or minor key signature; "" for an unknown mode."""
    if mode not in ("major", "minor"):
        return ""
    return _MAJOR[fifths + 3 if mode == "minor" else fifths]


def _incipit(score: Score) -> str:
    """Return the text of the first phrase, by which chorales are known: up to its fermata."""
    line = score.lyrics.get(0, [])
    end = next(iter(score.meta["fermatas"]), 0.0)
    text = "".join(
        syllable[:-1] if syllable.endswith("-") else syllable + " "
        for onset, syllable in line
        if onset <= end
    )
    return text.strip(" ,.;:!?")
