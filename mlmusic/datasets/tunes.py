"""Fiddle tunes: Ryan's Mammoth Collection, O'Neill's Music of Ireland, Aird's Selection of Airs."""

from __future__ import annotations

from collections.abc import Iterator

from mlmusic.datasets import base, cache, melodies
from mlmusic.score import Score

# Of the scores as read, with their labels: the same for the corpora of music21 9.9 and 10.5.
# `python datasets/tunes/build.py` prints it.
SHA256 = "6f42fd9c2fbaf23843af5061019648168a481c3438bd263a483aa8c809e80d0c"
COUNT = 4248
BOOKS = {"ryansMammoth": "Ryan's", "oneills1850": "O'Neill's", "airdsAirs": "Aird's"}
PROGRAM = 40  # General MIDI: violin

# R: fields, as the transcribers wrote them, to tune types, and beats a minute for listening where
# the source has no Q: field. The tempi are our choice, not data. Other R: fields give no type.
_TYPES = {
    "reel": ("reel", 104),
    "jig": ("jig", 112),
    "double jig": ("jig", 112),
    "slip jig": ("slip jig", 112),
    "slipjig": ("slip jig", 112),
    "slide": ("slide", 120),
    "hornpipe": ("hornpipe", 80),
    "clog": ("clog", 76),
    "strathspey": ("strathspey", 70),
    "highland fling": ("fling", 76),
    "fling": ("fling", 76),
    "walkaround": ("walkaround", 96),
    "march": ("march", 96),
    "gavotte": ("gavotte", 72),
    "waltz": ("waltz", 126),
    "air": ("air", 50),
}
_UNTYPED = (None, 88)


def tunes() -> base.Dataset:
    """Return 4,248 dance tunes and airs from three books, in train, valid and test.

    Returns
    -------
    Dataset
        As written, repeats not expanded, on a violin (program 40). ``title``, ``metre`` and
        ``key`` are the source's. Each score's ``meta`` holds ``source`` (file and number in it),
        ``book`` ("Ryan's", "O'Neill's" or "Aird's"), ``type`` ("reel", "jig", "hornpipe", …, only
        where the source names one), ``group`` (number of the melody group) and ``split``.
        ``describe()`` shows the card.

    Raises
    ------
    FileNotFoundError
        If music21 was installed without its corpus.

    Examples
    --------
    >>> from mlmusic import datasets
    >>> reels = [score for score in datasets.tunes().train if score.meta.get("type") == "reel"]
    """
    scores = cache.load("tunes", build, sha256=SHA256, total=COUNT)
    return base.Dataset.from_scores("tunes", scores)


def build() -> Iterator[Score]:
    """Read the three books from the installed corpus, one score after the other."""
    splits = {row["source"]: row for row in base.read_splits("tunes")}
    for folder, book in BOOKS.items():
        for score in melodies.read_books(folder):
            kind, beats = _TYPES.get(score.meta.get("rhythm", "").lower(), _UNTYPED)
            source = score.meta["source"]
            group, split = int(splits[source]["group"]), splits[source]["split"]
            score.tempo = melodies.tempo(score, beats)
            score.programs = dict.fromkeys(score.voices, PROGRAM)
            score.meta = {"source": source, "book": book, "group": group, "split": split}
            if kind:
                score.meta["type"] = kind
            yield score
