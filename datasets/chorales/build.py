"""Rebuild splits.csv, the table of melody groups and splits, and print the cache's checksum.

    MLMUSIC_DATA=/folder/with/the/jsb/files python datasets/chorales/build.py

Reads the chorales from the installed music21 and the published JSB split from
Jsb16thSeparated.json, and writes the same table bit by bit every time.
"""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mlmusic.datasets import cache
from mlmusic.datasets.base import corpus_folder
from mlmusic.datasets.chorales import read, read_one
from mlmusic.datasets.jsb import jsb
from mlmusic.readers import musicxml
from mlmusic.score import Score

TABLE = Path(__file__).with_name("splits.csv")

# All pairs were looked at: above these shares lie settings of one melody (one piece, with all
# four voices), below them stock phrases. Both are far apart, but for a few pieces in between
# that share half a melody; those are kept together, too.
SAME_MELODY_BEATS = 0.3
SAME_MELODY_INTERVALS = 0.4
SAME_PIECE = 0.3

Fragments = set[bytes]


def sampled(score: Score, start: float = 0.0) -> np.ndarray:
    """Return the pitches that sound on each quarter note, shape (4, quarters); -1 in silence."""
    times = np.arange(start, score.duration)
    pitches = np.full((4, len(times)), -1)
    for voice, row in enumerate(pitches):
        notes = score.notes[score.notes["voice"] == voice]
        if not len(notes):
            continue
        last = np.searchsorted(notes["onset"], times, side="right") - 1
        sounding = (last >= 0) & (times < (notes["onset"] + notes["duration"])[last])
        row[sounding] = notes["pitch"][last[sounding]]
    return pitches


def fragments(pitches: np.ndarray, length: int) -> Fragments:
    """Collect all stretches of so many columns without silence, relative to their first pitch."""
    windows = (pitches[:, i : i + length] for i in range(pitches.shape[1] - length + 1))
    return {(window - window[0, 0]).tobytes() for window in windows if (window >= 0).all()}


def shared(a: Fragments, b: Fragments) -> float:
    """Return the share of the smaller set that is in the other one."""
    return len(a & b) / max(1, min(len(a), len(b)))


def content(score: Score) -> Fragments:
    """Collect four quarters in four voices at a time: alike only if a piece is the same."""
    return fragments(sampled(score), 4)


def shifted_content(score: Score) -> Fragments:
    """Collect the same from every sixteenth on, for a piece whose bars may be cut otherwise."""
    return set().union(*(fragments(sampled(score, shift / 4), 4) for shift in range(4)))


def soprano_steps(score: Score) -> np.ndarray:
    """Return the soprano's pitches without immediate repetitions: no rhythm in it."""
    pitches = score.notes["pitch"][score.notes["voice"] == 0].astype(int)
    return pitches[np.append(True, np.diff(pitches) != 0)]


def melody_groups(scores: list[Score]) -> list[int]:
    """Give every melody a number, the same for all its settings, in any key.

    Two sopranos are one melody if their first 15 notes agree, if they share 30 % of their
    stretches of eight beats (passing notes don't count), or 40 % of their stretches of nine
    steps (rhythm doesn't count). Groups join whatever any pair joins.
    """
    first = [
        tuple(np.diff(score.notes["pitch"][score.notes["voice"] == 0].astype(int))[:14])
        for score in scores
    ]
    beats = [fragments(sampled(score)[:1], 8) for score in scores]
    steps = [fragments(soprano_steps(score)[None], 9) for score in scores]
    group = list(range(len(scores)))
    for i, j in itertools.combinations(range(len(scores)), 2):
        if group[i] != group[j] and (
            first[i] == first[j]
            or shared(beats[i], beats[j]) >= SAME_MELODY_BEATS
            or shared(steps[i], steps[j]) >= SAME_MELODY_INTERVALS
        ):
            old, new = max(group[i], group[j]), min(group[i], group[j])
            group = [new if g == old else g for g in group]
    numbers = {g: number for number, g in enumerate(dict.fromkeys(group))}
    return [numbers[g] for g in group]


def published_sides(scores: list[Score]) -> list[str]:
    """Say where the published JSB split has each score: the test set wins, then valid."""
    published = jsb()
    theirs = [
        (split, shifted_content(score), len(content(score)))
        for split in ("test", "valid", "train")
        for score in published[split]
    ]
    sides = []
    for score in scores:
        ours = content(score)
        matches = (
            split
            for split, fragments_, size in theirs
            if len(ours & fragments_) >= SAME_PIECE * max(1, min(len(ours), size))
        )
        sides.append(next(matches, "train"))
    return sides


def splits(groups: Iterable[int], sides: Iterable[str]) -> list[str]:
    """Give each melody group one split: test if the JSB split tests on any of it, then valid.

    So a group that stands on several sides there is held out here. Between valid and test, test
    wins, because choosing a model on what it will be tested on is the worse fault.
    """
    groups = list(groups)
    by_group = defaultdict(set)
    for group, side in zip(groups, sides, strict=True):
        by_group[group].add(side)
    return [
        next(split for split in ("test", "valid", "train") if split in by_group[group])
        for group in groups
    ]


def four_part_sources(corpus: Path) -> list[str]:
    """List the Bach files with one soprano, alto, tenor and bass and nothing else."""
    sources = []
    for path in sorted((corpus / "bach").iterdir()):
        if path.suffix in (".mxl", ".xml"):
            parts = musicxml.read(path).meta["parts"]
            if parts == ["Soprano", "Alto", "Tenor", "Bass"]:
                sources.append(f"bach/{path.stem}")
    return sources


def table() -> list[dict[str, str]]:
    """Make the rows of splits.csv."""
    corpus = corpus_folder()
    sources = four_part_sources(corpus)
    scores = [read_one(corpus, source) for source in sources]
    groups, sides = melody_groups(scores), published_sides(scores)
    return [
        {"source": source, "group": str(group), "split": split, "jsb": side}
        for source, group, split, side in zip(
            sources, groups, splits(groups, sides), sides, strict=True
        )
    ]


def main() -> None:
    """Write the table and print the checksum that chorales.py must state."""
    rows = table()
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"SHA256 = {cache.checksum(cache.pack(read(rows)))!r}")


if __name__ == "__main__":
    main()
