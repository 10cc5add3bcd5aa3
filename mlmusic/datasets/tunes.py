"""Fiddle tunes: Ryan's Mammoth Collection, O'Neill's Music of Ireland, Aird's Selection of Airs."""

from __future__ import annotations

from collections.abc import Iterator

from mlmusic.datasets import base, cache, melodies
from mlmusic.score import Score

# Of the canonical arrays: the same for the corpora of music21 9.9 and 10.5.
SHA256 = "cde30e4967f69781cbf612ea8b0b8695eed14ddb2766879b760d905be0033208"
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
    splits = base.read_splits("tunes")
    for folder, book in BOOKS.items():
        for score in melodies.read_books(folder):
            kind, beats = _TYPES.get(score.meta.get("rhythm", "").lower(), _UNTYPED)
            source = score.meta["source"]
            group, split = splits[source]
            score.tempo = melodies.tempo(score, beats)
            score.programs = dict.fromkeys(score.voices, PROGRAM)
            score.meta = {"source": source, "book": book, "group": group, "split": split}
            if kind:
                score.meta["type"] = kind
            yield score
