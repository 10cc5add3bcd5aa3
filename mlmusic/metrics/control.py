"""Does music have what was asked for? Judged by its notes, never by the control tokens.

A judge errs on real tunes, too, so a hit rate means something only between two others: that of
music for which nothing was asked, and that of real tunes with what their source says of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from mlmusic.metrics.keys import find_key, key_name
from mlmusic.score import Score

Labels = dict[str, str]
"""What is known of a tune: key, metre, type and length, each only where it is known."""


def bars(score: Score) -> int:
    """Count the bars of a tune: how long it lasts in bars of its first metre, rounded.

    A pickup and the short bar that makes up for it are one bar together, and so are the two
    halves of a bar that a repeat cuts.

    Raises
    ------
    ValueError
        If there is no note.
    """
    if not len(score):
        raise ValueError("a score without notes has no bars")
    _, numerator, denominator = score.metre[0]
    return round(score.duration * denominator / (4 * numerator))


def kept_metre(score: Score, share: float = 0.75) -> str | None:
    """Return the metre that the music keeps, or None if it keeps none.

    Parameters
    ----------
    score : Score
        As `MelodyVocabulary` reads it from tokens: there a bar that is too short or too long
        begins a new count.
    share : float
        How much of the time must stand in full bars of that metre.
    """
    lines = score.bar_lines
    full: Counter[str] = Counter()
    for first, last in pairwise(lines):
        ruling = [entry for entry in score.metre if entry[0] <= first + 1e-9]
        if ruling:
            _, numerator, denominator = ruling[-1]
            if abs(last - first - 4 * numerator / denominator) < 1e-6:
                full[f"{numerator}/{denominator}"] += last - first
    name, time = full.most_common(1)[0] if full else ("", 0.0)
    return name if time > 0 and time >= share * score.duration else None


def stated(score: Score) -> Labels:
    """Say what the source says of a tune: its signature, metre, type, and its length in bars.

    Returns
    -------
    dict
        ``key`` only if it's major or minor all the way, ``type`` only where the source names one.
    """
    found = {"metre": "{1}/{2}".format(*score.metre[0]), "length": str(bars(score))}
    modes = {entry[1:] for entry in score.key}
    if len(modes) == 1 and (key := next(iter(modes)))[1] in ("major", "minor"):
        found["key"] = key_name(*key)
    if "type" in score.meta:
        found["type"] = score.meta["type"]
    return found


class Judge:
    """Hear what a tune is: key by `find_key`, length by `bars`, metre by `kept_metre`, and type.

    The type is told from the rhythm of each bar by naive Bayes: how often does each type have
    bars of this rhythm? Source: Domingos and Pazzani, *On the optimality of the simple Bayesian
    classifier under zero-one loss*, 1997.

    Parameters
    ----------
    tunes : sequence of Score
        With types in ``score.meta["type"]``; those without aren't used.
    types : sequence of str, optional
        Which types to tell apart; by default all that at least 20 tunes have.

    Raises
    ------
    ValueError
        If there is no tune of one of the types.
    """

    def __init__(self, tunes: Iterable[Score], types: Sequence[str] | None = None):
        of_type: dict[str, list[Score]] = defaultdict(list)
        for tune in tunes:
            if "type" in tune.meta and len(tune):
                of_type[tune.meta["type"]].append(tune)
        if types is None:
            types = [name for name, members in of_type.items() if len(members) >= 20]
        self.types = sorted(types)
        for name in self.types or ["(at least 20 of a type)"]:
            if not of_type.get(name):
                raise ValueError(f"there is no tune of the type {name} to learn from")
        counts = {
            name: Counter(word for tune in of_type[name] for word in rhythms(tune))
            for name in self.types
        }
        self._words = {word: i for i, word in enumerate(sorted(set().union(*counts.values())))}
        seen = np.array([[counts[name][word] for word in self._words] for name in self.types])
        seen = np.c_[seen, np.zeros(len(seen))] + 0.1  # a column for what was never seen
        self._log_p = np.log(seen / seen.sum(axis=1, keepdims=True))

    def type_of(self, score: Score) -> str:
        """Tell a tune's type by the rhythm of its bars, all types equally likely beforehand."""
        words = [self._words.get(word, len(self._words)) for word in rhythms(score)]
        return self.types[int(self._log_p[:, words].sum(axis=1).argmax())]

    def __call__(self, score: Score) -> Labels:
        """Say what a tune is by its notes; without any notes nothing."""
        if not len(score):
            return {}
        found = {"key": find_key(score), "type": self.type_of(score), "length": str(bars(score))}
        metre = kept_metre(score)
        return found | ({"metre": metre} if metre else {})


def rhythms(score: Score) -> list[str]:
    """Spell the rhythm of each bar: its length, and where in it notes begin, in quarter notes."""
    lines, onsets = score.bar_lines, score.notes["onset"]
    cuts = np.searchsorted(onsets, lines - 1e-6)
    words = []
    for i in range(len(lines) - 1):
        begins = np.unique(np.rint(24 * (onsets[cuts[i] : cuts[i + 1]] - lines[i])).astype(int))
        words.append(f"{round(24 * (lines[i + 1] - lines[i]))}:{','.join(map(str, begins))}")
    return words


def hit_rate(
    heard: Sequence[Mapping[str, str]], wanted: Sequence[Mapping[str, str]] | Mapping[str, str]
) -> dict[str, float]:
    """Return for each control the share of tunes that have what was asked of them.

    Parameters
    ----------
    heard : sequence of dict
        What a `Judge` says of each tune.
    wanted : sequence of dict, or dict
        What was asked of each tune, or of all. Controls that weren't asked of a tune aren't
        counted there.

    Returns
    -------
    dict of str to float
        Only controls that were asked of at least one tune.

    Raises
    ------
    ValueError
        If there are no tunes, or not as many wishes.

    Examples
    --------
    >>> hit_rate([{"metre": "6/8"}, {"metre": "4/4"}], {"metre": "6/8"})
    {'metre': 0.5}
    """
    rows = [wanted] * len(heard) if isinstance(wanted, Mapping) else list(wanted)
    if not len(heard) or len(rows) != len(heard):
        raise ValueError(f"{len(rows)} wishes for {len(heard)} tunes: there must be one for each")
    hits: dict[str, list[bool]] = defaultdict(list)
    for found, asked in zip(heard, rows, strict=True):
        for name, value in asked.items():
            hits[name].append(found.get(name) == value)
    return {name: float(np.mean(row)) for name, row in hits.items()}
