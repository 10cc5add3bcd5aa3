"""Folk songs: the Essen Folksong Collection, mostly German and Chinese, with region and genre."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlmusic.datasets import base, cache, melodies
from mlmusic.score import Score

# Of the scores as read, with their labels: the same for the corpora of music21 9.9 and 10.5.
# `python datasets/tunes/build.py` prints it.
SHA256 = "3b647048c6a1d36783ee19ff156af33b34cc29d3db47df719ec4f92d994a4234"
COUNT = 8514
FOLDER = "essenFolksong"
PROGRAM = 73  # General MIDI: flute, since a melody is heard best on a wind instrument
_BEATS = 96  # a minute, for listening: our choice, the source has no tempo

# Word stems in the R: field (German). A song with stems of both kinds has no mood.
_LAMENT = re.compile("klage|leid|tod|abschied|mord|trenn|weh")
_MERRY = re.compile("scherz|lustig|tanz|kinder|fest|freud")
_CONTINENT = re.compile(r"(?:(?:\w*europa|asien|nord - amerika|amerika)\??\s*(?:,\s*|$))+", re.I)


def folksongs() -> base.Dataset:
    """Return the 8,514 songs of the Essen collection, in train, valid and test.

    Returns
    -------
    Dataset
        Melodies without words, as written, on a flute (program 73). ``key`` gives the signature
        only, its mode is "": the source's K: field doesn't tell major from minor. Each score's
        ``meta`` holds ``source`` (file and number in it), ``collection``, ``region`` (in German),
        ``genre`` (the source's words, in German or Chinese), ``mood`` ("lament" or "merry", where
        the genre says so), ``group`` (number of the melody group) and ``split``. ``describe()``
        shows the card.

    Raises
    ------
    FileNotFoundError
        If music21 was installed without its corpus.
    """
    scores = cache.load("folksongs", build, sha256=SHA256, total=COUNT)
    return base.Dataset.from_scores("folksongs", scores)


def build() -> Iterator[Score]:
    """Read the collection from the installed corpus, one score after the other."""
    splits = {row["source"]: row for row in base.read_splits("folksongs")}
    for score in melodies.read_books(FOLDER):
        source = score.meta["source"]
        group, split = int(splits[source]["group"]), splits[source]["split"]
        genre = score.meta.get("rhythm", "").rstrip("]").replace("\n", " ")
        meta = {
            "source": source,
            "collection": re.match(r"\D+?(?=\d|#|[de]#|$)", source.split("/")[1])[0],
            "region": region(score.meta.get("origin", "")),
            "genre": genre,
            "mood": mood(genre),
            "group": group,
            "split": split,
        }
        score.tempo = melodies.tempo(score, _BEATS)
        score.key = [(onset, fifths, "") for onset, fifths, _ in score.key]
        score.programs = dict.fromkeys(score.voices, PROGRAM)
        score.meta = {name: value for name, value in meta.items() if value not in (None, "")}
        yield score


def region(origin: str) -> str:
    """Return the country or region that an O: field names first, below its continent.

    Examples
    --------
    >>> region("Europa, Mitteleuropa, Deutschland, Schwaben")
    'Deutschland'
    """
    rest = _CONTINENT.sub("", origin, count=1)
    return re.split(r"[,;/\n]", rest)[0].strip(" ?]")


def mood(genre: str) -> str | None:
    """Return "lament" or "merry" if the genre's words are of one of these kinds only."""
    words = genre.lower()
    lament, merry = bool(_LAMENT.search(words)), bool(_MERRY.search(words))
    return None if lament == merry else "lament" if lament else "merry"
