"""Reading ABC: all tunes of four books against music21's parser, CPU time in one run."""

import time

from mlmusic.datasets import melodies
from mlmusic.datasets.base import corpus_folder
from mlmusic.readers import abc

BOOKS = ("ryansMammoth", "oneills1850", "airdsAirs", "essenFolksong")
EVERY = 50  # music21 needs ten minutes for all tunes: it gets every fiftieth, and so do we


def run() -> list[dict]:
    """Measure both; the ratio is that of the same tunes."""
    texts = [
        tune.text
        for book in BOOKS
        for path in sorted((corpus_folder() / book).glob("*.abc"))
        for tune in abc.split_book(path.read_text(encoding="utf-8"))[1]
    ]
    whole = _seconds(_ours, texts)
    ours, peer = _seconds(_ours, texts[::EVERY]), _seconds(_theirs, texts[::EVERY])
    return [
        {
            "row": f"ABC: read {len(texts):,} tunes of four books, against music21",
            "ours": f"{whole:.1f} s",
            "peer": f"{peer / ours * whole:.0f} s",
            "ratio": peer / ours,
            "note": f"music21's time is extrapolated from every {EVERY}th tune; it carries no "
            "accidental through the bar and drops notes, see datasets/tunes/README.md",
        }
    ]


def _ours(texts: list[str]) -> None:
    for text in texts:
        try:
            abc.parse(text)
        except ValueError:
            abc.parse(melodies.mend(text))


def _theirs(texts: list[str]) -> None:
    from music21 import abcFormat

    for text in texts:
        handler = abcFormat.ABCHandler()
        handler.process(text)
        abcFormat.translate.abcToStreamScore(handler)


def _seconds(read, texts: list[str]) -> float:
    read(texts[:1])  # imports and caches don't count
    started = time.process_time()
    read(texts)
    return time.process_time() - started


if __name__ == "__main__":
    for row in run():
        print(row)
