"""What `tunes` and `folksongs` share: the corpus's ABC books, and groups of the same melody."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from mlmusic.datasets import base
from mlmusic.readers import abc
from mlmusic.score import Score

# Slips of the transcribers: pattern, replacement, what is wrong. They are applied, in this order,
# only to a tune that can't be read as it stands; the first four to its header, the rest below K:.
_MENDS = [
    (r"^K: *([A-G])n *$", r"K:\1m", "'n' for the 'm' of a minor key"),
    (r"^K: *([AE])s *$", r"K:\1b", "a German key name"),
    (r"^K: *H *$", "K:B", "a German key name"),
    (r"^(M: *)(?:FREI)?(\d+/\d+)\]? *$", r"\1\2", "a word or a bracket beside the metre"),
    (r"=\n", "", "a line folded by a mail program (quoted-printable)"),
    (r"=20(?=\n|$)", "", "a space at the end of a line, as mail programs wrote it"),
    (r"=3D", "=", "an equals sign, as mail programs wrote it"),
    (r"=(?=[<>])", "", "an equals sign between two notes"),
    (r"^[:|]*:(?=[^|:\n]*[A-Ga-gz])(?!\|)", "|:", "a repeat sign without its bar line"),
    (r':("[^"]*")\[\|\]\|\]', r":|\1", "a repeat sign cut in two"),
    (r":\]", ":|", "a repeat sign without its bar line"),
    (r'\|\[(?=")', "|", "a bracket that nothing closes"),
    (r"\|\}", "|", "a brace that nothing opens"),
    (r"\+((?:[\^_=]*[A-Ga-g][,']*[\d/]*){2,})\+", r"[\1]", "a chord between plus signs (ABC 1.6)"),
    (r" \+ ", " ", "a stray plus sign"),
    (r"(\[[^]|:]*[A-Ga-g][\d/]*)z[\d/]*(?=\])", r"\1", "a rest inside a chord"),
    (r"(?<= ),(?=[A-G])", "", "an octave mark before its note"),
    (r"\^(?=\d)", "(", "the bracket of a tuplet mistyped"),
    (r"^1(?= .*:\|2)", "[1", "a first ending without its bracket"),
    (r"(?:^|(?<=[|\s]))\d+(?=[\s=^_A-Ga-gz]|$)(?<!\|\d)", "", "a length whose note is missing"),
]
_HEADER_MENDS = 4
_MENDS = [(re.compile(pattern, re.MULTILINE), new) for pattern, new, _ in _MENDS]
_BROKEN_OFF = re.compile(r"\n[ \t]*\n(?=[^\n%:]*\|)")  # an empty line with more music after it
_FIELD = re.compile(r"[A-Za-z]:|%|\s*$")


def read_books(book: str) -> Iterator[Score]:
    """Read a folder of the corpus, such as ``oneills1850``, file by file in alphabetical order.

    Yields
    ------
    Score
        As written, repeats not expanded. ``meta["source"]`` is the file and the tune's number
        in it (``oneills1850/0001-0050#1``).
    """
    paths = sorted((base.corpus_folder() / book).glob("*.abc"), key=lambda path: path.name)
    if not paths:
        raise FileNotFoundError(f"music21's corpus has no {book}: reinstall music21")
    for path in paths:
        header, tunes = abc.split_book(path.read_text(encoding="utf-8"))
        for tune in tunes:
            text = _BROKEN_OFF.sub("\n", tune.text)
            try:
                score = abc.parse(text, header=header, first_line=tune.line)
            except ValueError:
                score = abc.parse(mend(text), header=header, first_line=tune.line)
            score.meta.pop("graces", None)
            score.meta["source"] = f"{book}/{path.stem}#{tune.number}"
            yield score


def tempo(score: Score, beats_per_minute: float) -> list[tuple[float, float]]:
    """Return a tempo for listening: the source's if it has one, else beats in the score's metre.

    A beat is three eighths in 3/8, 6/8, 9/8 and 12/8, a half note in 4/4 and 2/2, else the metre's
    unit.
    """
    field = score.meta.get("tempo", "")
    if "=" in field:
        return score.tempo
    if field.isdigit():  # the outdated form counts unit lengths, which O'Neill's can't mean
        beats_per_minute = float(field)
    _, beats, unit = score.metre[0]
    if unit == 8 and beats % 3 == 0:
        quarters = 1.5
    elif (beats, unit) == (4, 4):
        quarters = 2.0
    else:
        quarters = 4 / unit
    return [(0.0, beats_per_minute * quarters)]


def mend(text: str) -> str:
    """Mend the slips that make a tune of the corpus unreadable; the cards list them."""
    head, key, body = re.split(r"^(K:.*)$", text, maxsplit=1, flags=re.MULTILINE)
    head = "".join(f"{line}\n" for line in head.split("\n")[:-1] if _FIELD.match(line)) + key
    for pattern, new in _MENDS[:_HEADER_MENDS]:
        head = pattern.sub(new, head)
    for pattern, new in _MENDS[_HEADER_MENDS:]:
        body = pattern.sub(new, body)
    return head + body


# Melody groups ------------------------------------------------------------------------------

RUN = 16  # steps of melody that two tunes must share to be one group


def steps(score: Score) -> list[tuple[int, int]]:
    """Return a melody as steps that no transposition and no change of note values alters.

    Returns
    -------
    list of (interval, ratio)
        The interval to the next note in semitones, and how much longer the next note lasts (from
        onset to onset) than this one, in twelfths of an octave of 2: 12 is twice as long. Of a
        chord the highest note counts.
    """
    notes = score.notes
    if len(notes) < 2:
        return []
    notes = notes[np.append(notes["onset"][1:] != notes["onset"][:-1], True)]
    intervals = np.diff(notes["pitch"].astype(int))
    lasting = np.append(np.diff(notes["onset"]), notes["duration"][-1])
    ratios = np.rint(12 * np.log2(lasting[1:] / lasting[:-1])).astype(int)
    return list(zip(intervals.tolist(), ratios.tolist(), strict=True))


def group(melodies: Sequence[list[tuple[int, int]]]) -> list[int]:
    """Find groups of the same melody, up to transposition and note values.

    Two tunes are in one group if they share `RUN` steps in a row (four different ones at least,
    so that a trill or a scale doesn't count), or have the same intervals from beginning to end,
    or if a chain of such tunes links them.

    Returns
    -------
    list of int
        For each melody the index of the first one of its group.
    """
    parent = list(range(len(melodies)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[Hashable, int] = {}
    for i, melody in enumerate(melodies):
        # The last ratio depends on how a transcriber wrote the final note: leave it out.
        runs = (tuple(melody[k : k + RUN]) for k in range(len(melody) - RUN))
        keys = [run for run in runs if len(set(run)) >= 4]
        keys.append(tuple(interval for interval, _ in melody))
        for key in keys:
            a, b = root(i), root(first.setdefault(key, i))
            parent[max(a, b)] = min(a, b)
    return [root(i) for i in range(len(melodies))]


def split_of(source: str) -> str:
    """Return the split of a group by its first source: 80 % train, 10 % valid, 10 % test."""
    tenth = int(hashlib.sha256(source.encode()).hexdigest(), 16) % 10
    return {8: "valid", 9: "test"}.get(tenth, "train")


def splits(scores: Sequence[Score]) -> list[tuple[str, int, str]]:
    """Return (source, group, split) for each score, groups numbered from 0 in the scores' order."""
    sources = [score.meta["source"] for score in scores]
    numbers: dict[int, int] = {}
    rows = []
    for source, first in zip(sources, group([steps(score) for score in scores]), strict=True):
        number = numbers.setdefault(first, len(numbers))
        rows.append((source, number, split_of(sources[first])))
    return rows
