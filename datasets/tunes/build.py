"""Write splits.csv of tunes and of folksongs, bit by bit as they are, and print the checksums.

Both at once, because a melody that occurs in both sets is one group and goes to one split.

    python datasets/tunes/build.py
"""

import csv
from pathlib import Path

from mlmusic.datasets import cache, melodies
from mlmusic.datasets.folksongs import FOLDER
from mlmusic.datasets.folksongs import build as build_folksongs
from mlmusic.datasets.tunes import BOOKS
from mlmusic.datasets.tunes import build as build_tunes

DATASETS = Path(__file__).resolve().parents[1]


def tables() -> dict[str, list[tuple[str, int, str]]]:
    """Return (source, group, split) of every tune and song, by data set."""
    books = {"tunes": list(BOOKS), "folksongs": [FOLDER]}
    scores = {
        name: [score for folder in folders for score in melodies.read_books(folder)]
        for name, folders in books.items()
    }
    rows = iter(melodies.splits([score for part in scores.values() for score in part]))
    return {name: [next(rows) for _ in part] for name, part in scores.items()}


def main() -> None:
    """Write both tables, print both checksums."""
    for name, rows in tables().items():
        with (DATASETS / name / "splits.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("source", "group", "split"))
            writer.writerows(rows)
    for name, build in (("tunes", build_tunes), ("folksongs", build_folksongs)):
        print(name, cache.checksum(cache.pack(build())))


if __name__ == "__main__":
    main()
