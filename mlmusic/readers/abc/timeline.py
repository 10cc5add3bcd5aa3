"""Events of one ABC voice -> notes, bar lines, metre, key, tempo and lyrics on a time line."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from mlmusic.readers.abc.body import TICKS, Mark, Voice

Ticks = int | Fraction
Metre = tuple[int, int] | None


class Timeline(NamedTuple):
    """One voice in playing order. Times are quarter notes."""

    onset: list[float]
    duration: list[float]
    pitch: list[int]
    tempo: list[tuple[float, float]]
    metre: list[tuple[float, int, int]]
    key: list[tuple[float, int, str]]
    lyrics: list[tuple[float, str]]
    graces: list[tuple[float, int]]


def lay_out(voice: Voice, expand_repeats: bool = False) -> Timeline:
    """Put a voice's events on the time line, ties joined."""
    lengths, pitches, ties = voice.lengths, voice.pitches, voice.ties
    before = [0, *accumulate(lengths)]  # time of each event as written, in ticks
    onset: list[Ticks] = []
    duration: list[Ticks] = []
    pitch: list[int] = []
    metre, key, tempo, lyrics, graces = [], [], [], [], []
    lines: set[Ticks] = set()
    time: Ticks = 0
    held: dict[int, int] = {}  # pitch -> its place in `onset`, where it ties on
    end = 0  # of the range before
    for first, last in playing_order(voice, expand_repeats):
        shift = time - before[first]
        held, end = held if first == end else {}, last
        for i in range(first, last):
            sounding = pitches[i]
            if sounding is None:
                held = {}
                continue
            if held or i in ties or not isinstance(sounding, int):
                places = {}
                for p in (sounding,) if isinstance(sounding, int) else sounding:
                    if p in held:  # a `-` between different pitches joins nothing
                        places[p] = held[p]
                        duration[held[p]] += lengths[i]
                    else:
                        places[p] = len(onset)
                        onset.append(before[i] + shift)
                        duration.append(lengths[i])
                        pitch.append(p)
                held = {p: places[p] for p in ties.get(i, ())}
            else:
                onset.append(before[i] + shift)
                duration.append(lengths[i])
                pitch.append(sounding)
        for source, target in ((voice.metres, metre), (voice.keys, key), (voice.tempi, tempo)):
            target += _in_force(source, first, last, before, shift)
        span = range(first, last)
        lines |= {before[m.index] + shift for m in voice.marks if first <= m.index <= last}
        lyrics += [(float((before[i] + shift) / TICKS), s) for i, s in voice.syllables if i in span]
        graces += [(float((before[i] + shift) / TICKS), p) for i, p in voice.graces if i in span]
        time += before[last] - before[first]
    return Timeline(
        _quarters(onset),
        _quarters(duration),
        pitch,
        [(float(t / TICKS), bpm) for t, bpm in _changes(tempo)],
        _bars(lines, _changes(metre), time),
        [(float(t / TICKS), k.fifths, k.mode) for t, k in _changes(key)],
        lyrics,
        graces,
    )


def _quarters(times: list[Ticks]) -> list[float]:
    return [float(t / TICKS) for t in times]


def _in_force(source: list, first: int, last: int, before: list[Ticks], shift: Ticks) -> list:
    """Return the values in force in a range of events, each with the time from which it holds."""
    out: list[tuple[Ticks, Any]] = []
    for i, value in source:
        if i < last or i == first:
            if i <= first:
                out.clear()
            out.append((before[max(i, first)] + shift, value))
    return out


def _changes(values: list[tuple[Ticks, Any]]) -> list[tuple[Ticks, Any]]:
    """Drop the values that repeat the one before; of several at one time keep the last."""
    latest = list(dict(values).items())
    return [v for i, v in enumerate(latest) if not i or v[1] != latest[i - 1][1]]


def playing_order(voice: Voice, expand_repeats: bool) -> list[tuple[int, int]]:
    """Return the ranges of events to play one after the other (sections 4.8–4.10).

    As written, that is one range, all endings in turn. With repeats, a section is played twice, or
    as often as its highest ending asks for, each time with the ending of that number only.
    """
    marks = voice.marks
    if not expand_repeats:
        return [(0, len(voice.lengths))]
    order: list[tuple[int, int]] = []
    start, start_mark, here, k = 0, 0, 0, 0  # events and marks
    turn, turns, playing = 1, _turns(marks), True
    while k < len(marks):  # at most `turns` times through each section, so this ends
        mark = marks[k]
        k += 1
        if playing and mark.index > here:
            order.append((here, mark.index))
        here = mark.index
        if playing and mark.end and turn < max(turns, mark.end + 1):
            turn, here, k = turn + 1, start, start_mark
            continue
        if mark.start or (mark.end and max(mark.endings, default=1) == 1):
            start, start_mark, turn, playing = here, k, 1, True
            turns = _turns(marks[k - 1 :])
        if mark.endings:
            playing = turn in mark.endings
        elif mark.stops:
            playing = True
    if playing and here < len(voice.lengths):
        order.append((here, len(voice.lengths)))
    return order


def _turns(marks: list[Mark]) -> int:
    """Return how often the section that starts at the first mark is played if it's repeated."""
    turns = 2
    for k, mark in enumerate(marks):
        if k and (mark.start or (mark.end and max(mark.endings, default=1) == 1)):
            break
        turns = max(turns, *mark.endings, 0)
    return turns


def _bars(
    lines: Iterable[Ticks], metres: list[tuple[Ticks, Metre]], end: Ticks
) -> list[tuple[float, int, int]]:
    """Return the metre, restated wherever the written bar lines leave the regular grid.

    Two short bars that together make a whole one are one bar (a repeat sign in mid-bar). In free
    metre each bar is stated with its own length.
    """
    out: list[tuple[Ticks, int, int]] = []
    spans = [*metres, (end, None)]
    for (start, metre), (stop, _) in pairwise(spans):
        inside = sorted(t for t in lines if start < t < stop)
        if metre is None:
            for a, b in zip([start, *inside], [*inside, stop], strict=True):
                whole = Fraction(b - a, 4 * TICKS) if b > a else Fraction(1)
                unit = max(4, whole.denominator)
                if unit & (unit - 1) == 0 and unit <= 128 and whole * unit <= 255:
                    out.append((a, int(whole * unit), unit))
            continue
        bar = Fraction(4 * TICKS * metre[0], metre[1])
        bar = bar.numerator if bar.denominator == 1 else bar
        known = {*inside, stop}
        at, k, pickup = start, 0, start == 0
        if not pickup:
            out.append((start, *metre))
        while at < stop:
            due = at + bar
            while k < len(inside) and inside[k] <= at:
                k += 1
            early = k < len(inside) and inside[k] < due and due not in known
            if pickup and not early:
                out.append((at, *metre))
            at = inside[k] if early else due
            if early:
                out.append((at, *metre))
            pickup = False
        if start == stop == 0:
            out.append((0, *metre))
    return [(float(t / TICKS), *m) for t, *m in out]
