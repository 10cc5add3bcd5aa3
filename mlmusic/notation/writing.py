"""Score → MEI, the notation that verovio engraves.

Written here rather than through music21, whose export of a chorale takes seconds. What engraving
needs and a Score doesn't hold is worked out in this order: times snap to a grid that notation can
write, a voice becomes a line of chords and rests, those are cut at bar lines and strong beats into
tied note values, and pitches get their spelling and accidentals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

import numpy as np

from mlmusic.describe import CHOIR, DRUMS, short_names, spell, voice_names
from mlmusic.score import Score

TICKS = 48  # per quarter note: a sixty-fourth is 3, a triplet eighth is 16
NAMES = {3: "64", 6: "32", 12: "16", 24: "8", 48: "4", 96: "2", 192: "1", 384: "breve"}
VALUES = {n: (name, 0) for n, name in NAMES.items()}
VALUES |= {n * 3 // 2: (name, 1) for n, name in NAMES.items() if n >= 6}

# Where the common drums of General MIDI stand on a five-line staff (0 is the lowest line).
DRUM_PLACES = {35: 1, 36: 1, 38: 5, 40: 5, 37: 5, 41: 2, 43: 2, 45: 4, 47: 6, 48: 6, 50: 7}


@dataclass
class _Piece:
    """A chord or rest of one written value, in ticks from the start of the score."""

    start: int
    end: int
    notes: list[tuple[int, bool, bool]]  # pitch, tied from the left, tied to the right
    triplet: int = -1  # the tick at which its triplet starts
    signs: list[str] = field(default_factory=list)  # MEI attributes of each note's pitch


@dataclass
class _Bar:
    start: int
    end: int
    number: int
    metre: tuple[int, int]
    key: tuple[int, str]
    full: int  # what a whole bar would last

    @property
    def origin(self) -> int:
        """Where beat 1 would be: a pickup counts back from the bar line that it leads to."""
        return self.end - self.full if self.number == 0 else self.start


def mei(score: Score) -> str:
    """Write a score as MEI 5, with beams, ties, tuplets, accidentals and lyrics spelled out."""
    staves = _staves(score)
    bars = list(_bars(score))
    lines = [[(voice, _pieces(part, bars)) for part, voice in parts] for _, parts, _ in staves]
    first = bars[0]
    definitions = "".join(
        f'<staffDef n="{n}" lines="5" {clef}>'
        + (f"<label>{escape(label)}</label>" if label else "")
        + "</staffDef>"
        for n, (clef, _, label) in enumerate(staves, 1)
    )
    symbol = ' symbol="bracket" bar.thru="true"' if len(staves) > 1 else ""
    body, metre, key = [], first.metre, first.key[0]
    for i, bar in enumerate(bars):
        changes = f' key.sig="{_signature(bar.key[0])}"' if bar.key[0] != key else ""
        if bar.metre != metre:
            changes += ' meter.count="{}" meter.unit="{}"'.format(*bar.metre)
        if changes:
            body.append(f"<scoreDef{changes}/>")
        metre, key = bar.metre, bar.key[0]
        content = "".join(
            _staff(score, bar, [(voice, pieces[i]) for voice, pieces in layers], place)
            for place, layers in enumerate(lines, 1)
        )
        right = ' right="end"' if i == len(bars) - 1 else ""
        short = ' metcon="false"' if bar.end - bar.start != bar.full else ""
        body.append(
            f'<measure xml:id="m{bar.start}-{bar.end}" n="{bar.number}"{short}{right}>'
            f"{content}</measure>"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><mei xmlns="http://www.music-encoding.org/ns/mei"'
        ' meiversion="5.0"><meiHead><fileDesc><titleStmt><title/></titleStmt><pubStmt/></fileDesc>'
        f'</meiHead><music><body><mdiv><score><scoreDef key.sig="{_signature(first.key[0])}"'
        f' meter.count="{first.metre[0]}" meter.unit="{first.metre[1]}">'
        f"<staffGrp{symbol}>{definitions}</staffGrp></scoreDef>"
        f"<section>{''.join(body)}</section></score></mdiv></body></music></mei>"
    )


def _signature(fifths: int) -> str:
    return f"{abs(fifths)}{'s' if fifths > 0 else 'f'}" if fifths else "0"


def _staves(score: Score) -> list[tuple[str, list, str]]:
    """Lay out the staves: for each a clef, its parts as (notes, voice), and a label."""
    treble, bass = 'clef.shape="G" clef.line="2"', 'clef.shape="F" clef.line="4"'
    notes = score.notes
    parts = [(notes[notes["voice"] == voice], voice) for voice in score.voices]
    names = voice_names(score)
    if tuple(names.values()) == CHOIR:
        return [(treble, parts[:2], ""), (bass, parts[2:], "")]
    labels = short_names(score) if len(parts) > 1 else dict.fromkeys(score.voices, "")
    staves = []
    for part, voice in parts:
        pitch = part["pitch"]
        if score.programs.get(voice, 0) == DRUMS:
            staves.append(('clef.shape="perc"', [(part, voice)], labels[voice]))
        elif int(pitch.max()) - int(pitch.min()) > 30 and len(parts) == 1:
            upper, lower = part[pitch >= 60], part[pitch < 60]  # a keyboard's two staves
            staves += [(treble, [(upper, voice)], ""), (bass, [(lower, voice)], "")]
        else:
            clef = treble if np.mean(pitch) >= 58 else bass
            staves.append((clef, [(part, voice)], labels[voice]))
    return staves


def _bars(score: Score) -> Iterator[_Bar]:
    lines = score.bar_lines
    for i, (start, end) in enumerate(pairwise(lines)):
        metres = [m for m in score.metre if m[0] <= start + 1e-6] or score.metre[:1]
        keys = [k for k in score.key if k[0] < end - 1e-6 and (i == 0 or k[0] <= start + 1e-6)]
        _, numerator, denominator = metres[-1]
        yield _Bar(
            start=round(start * TICKS),
            end=round(end * TICKS),
            number=i if score.has_pickup else i + 1,
            metre=(numerator, denominator),
            key=keys[-1][1:] if keys else (0, ""),
            full=4 * TICKS * numerator // denominator,
        )


def _pieces(part: np.ndarray, bars: list[_Bar]) -> list[list[_Piece]]:
    """Turn one part into written chords and rests, a list for each bar."""
    onsets = np.rint(part["onset"] * TICKS).astype(int)
    ends = np.rint((part["onset"] + part["duration"]) * TICKS).astype(int)
    edges = np.array([bar.start for bar in bars])
    origins = np.array([bar.origin for bar in bars])

    def beat(time: int, length: int) -> int:
        """Return the start of the beat, or part of one, that holds a time."""
        bar = max(int(np.searchsorted(edges, time, side="right")) - 1, 0)
        return time - (time - int(origins[bar])) % length

    # Where points lie on thirds but not on sixty-fourths, a beat is a triplet; else half of one.
    triplets: dict[int, int] = {}
    for length in (TICKS, TICKS // 2):
        inside: dict[int, list[int]] = {}
        for time in (*onsets.tolist(), *ends.tolist()):
            if beat(time, TICKS) not in triplets:
                inside.setdefault(beat(time, length), []).append(time - beat(time, length))
        for start, offsets in inside.items():
            thirds = any(t % 3 for t in offsets) and not any(t % (length // 6) for t in offsets)
            if thirds and length // 2 not in offsets and start >= 0:
                triplets[start] = length

    def triplet(time: int) -> int:
        """Return the start of the triplet that holds a time, or -1."""
        for length in (TICKS, TICKS // 2):
            if triplets.get(start := beat(time, length)) == length:
                return start
        return -1

    def snap(times: np.ndarray) -> np.ndarray:
        snapped = []
        for time in times.tolist():
            start = beat(time, TICKS)
            offset = time - start
            exact = offset % 3 == 0 or triplet(time) >= 0
            snapped.append(time if exact else start + (offset + 3) // 6 * 6)
        return np.array(snapped, dtype=int)

    onsets, ends = snap(onsets), snap(ends)
    smallest = [triplets[t] // 6 if (t := triplet(time)) >= 0 else 6 for time in onsets.tolist()]
    ends = np.where(ends > onsets, ends, onsets + np.array(smallest, dtype=int))
    cuts = {*onsets.tolist(), *ends.tolist(), *edges.tolist(), bars[-1].end}
    for start, length in triplets.items():
        cuts |= {start, start + length}
    cuts = sorted(cut for cut in cuts if cut <= bars[-1].end)

    written: list[list[_Piece]] = [[] for _ in bars]
    order = np.argsort(onsets, kind="stable")
    sounding: list[int] = []
    coming = 0
    for start, end in pairwise(cuts):
        sounding = [i for i in sounding if ends[i] > start]
        while coming < len(order) and onsets[order[coming]] <= start:
            sounding.append(order[coming])
            coming += 1
        b = int(np.searchsorted(edges, start, side="right")) - 1
        third = triplet(start)
        pairs = _split(start, end, bars[b], bool(sounding), third >= 0)
        for left, right in pairs:
            chord = {int(part["pitch"][i]): (bool(onsets[i] < left), bool(ends[i] > right))
                     for i in sounding}  # fmt: skip
            notes = [(pitch, *ties) for pitch, ties in sorted(chord.items())]
            written[b].append(_Piece(left, right, notes, third))
    return written


def _split(start: int, end: int, bar: _Bar, sounds: bool, triplet: bool) -> list[tuple[int, int]]:
    """Cut a span that lies in one bar into note values that show the beats."""
    length = end - start
    if triplet:
        last = 8 if length == 40 else 4
        return (
            [(start, end)]
            if length * 3 // 2 in VALUES
            else [(start, end - last), (end - last, end)]
        )
    if not sounds and length == bar.end - bar.start:
        return [(start, end)]
    count, unit = bar.metre
    beat = 4 * TICKS // unit
    compound = count % 3 == 0 and count > 3 and unit >= 8
    a, b = start - bar.origin, end - bar.origin
    if compound:
        beat *= 3
        crosses = a // beat != (b - 1) // beat
        fits = not crosses or (a % beat == 0 and b % beat == 0)
    else:
        value = length if length in NAMES else max(1, length * 2 // 3)
        fits = a % value == 0 if not sounds else (2 * a) % value == 0
        fits = fits and (sounds or length in NAMES)
    if length in VALUES and fits:
        return [(start, end)]
    # Split at the strongest position inside: half bar, beat, then ever smaller.
    levels = [beat * 2] if not compound and count % 4 == 0 else []
    step = beat
    while step >= 3:
        levels.append(step)
        step = step // 3 if compound and step == beat else step // 2
    for level in [*levels, 3, 1]:
        point = (a // level + 1) * level
        if point < b:
            middle = point + bar.origin
            return _split(start, middle, bar, sounds, False) + _split(
                middle, end, bar, sounds, False
            )
    return [(start, end)]


def _staff(score: Score, bar: _Bar, layers: list[tuple[int, list[_Piece]]], place: int) -> str:
    """Write one bar of one staff; its voices share the accidentals."""
    drums = score.programs.get(layers[0][0], 0) == DRUMS
    state: dict[tuple[str, int], int] = {}
    for piece in sorted((p for _, pieces in layers for p in pieces), key=lambda p: p.start):
        piece.signs = [_sign(note, bar.key, state, drums) for note in piece.notes]
    return f'<staff n="{place}">' + "".join(
        f'<layer n="{n}">{_layer(score, bar, voice, pieces, f"{place}-{n}")}</layer>'
        for n, (voice, pieces) in enumerate(layers, 1)
    ) + "</staff>"  # fmt: skip


def _sign(note: tuple[int, bool, bool], key: tuple[int, str], state: dict, drums: bool) -> str:
    """Write a note's pitch, with an accidental if the signature or the bar so far needs one."""
    pitch, tied, _ = note
    if drums:
        head = "" if pitch in DRUM_PLACES else ' head.shape="x"'
        return f'loc="{DRUM_PLACES.get(pitch, 9)}"{head}'
    letter, alter, octave = spell(pitch, *key)
    rank, fifths = "FCGDAEB".index(letter), key[0]
    usual = int(rank < fifths) - int(6 - rank < -fifths)
    line = (letter, octave)
    sign = {-2: "ff", -1: "f", 0: "n", 1: "s", 2: "x"}[alter]
    if state.get(line, usual) == alter or tied:
        return f'pname="{letter.lower()}" oct="{octave}" accid.ges="{sign}"'
    state[line] = alter
    return f'pname="{letter.lower()}" oct="{octave}" accid="{sign}"'


def _layer(score: Score, bar: _Bar, voice: int, pieces: list[_Piece], place: str) -> str:
    """Write one voice's bar: beams and triplets around its chords and rests."""
    if len(pieces) == 1 and not pieces[0].notes:
        return "<mRest/>"
    syllables = _syllables(score, voice)
    fermatas = {round(float(onset) * TICKS) for onset in score.meta.get("fermatas", ())}
    groups: list[tuple[tuple[int, int], list[_Piece]]] = []
    for piece in pieces:
        name = (piece.triplet, -1)
        if piece.triplet < 0:
            short = _written(piece) < TICKS
            name = (-1, _beam(piece, pieces, bar) if short else piece.start)
        if groups and groups[-1][0] == name:
            groups[-1][1].append(piece)
        else:
            groups.append((name, [piece]))
    written = []
    for (triplet, _), members in groups:
        texts = []
        for piece in members:
            struck = bool(piece.notes) and not all(left for _, left, _ in piece.notes)
            verse = syllables.get(piece.start, "") if struck else ""
            above = place == "1-1" and struck and piece.start in fermatas
            texts.append(_event(piece, verse, ' fermata="above"' if above else "", place))
        # A beam may span rests, but begins and ends with short notes.
        short = [i for i, p in enumerate(members) if p.notes and _written(p) < TICKS]
        if len(short) > 1 and all(_written(p) < TICKS for p in members[short[0] : short[-1] + 1]):
            texts[short[0]] = "<beam>" + texts[short[0]]
            texts[short[-1]] += "</beam>"
        text = "".join(texts)
        written.append(f'<tuplet num="3" numbase="2">{text}</tuplet>' if triplet >= 0 else text)
    return "".join(written)


def _written(piece: _Piece) -> int:
    """Return the written value in ticks: in a triplet, two thirds of it sound."""
    length = piece.end - piece.start
    return length * 3 // 2 if piece.triplet >= 0 else length


def _beam(piece: _Piece, pieces: list[_Piece], bar: _Bar) -> int:
    """Name the beam group of a short note by its first tick: a beat, or half a bar of eighths."""
    count, unit = bar.metre
    at = piece.start - bar.origin
    group = 4 * TICKS // unit * (3 if count % 3 == 0 else 2) if unit >= 8 else TICKS
    if count == unit:
        half = at // (2 * TICKS)
        near = [p for p in pieces if (p.start - bar.origin) // (2 * TICKS) == half]
        if all(_written(p) >= TICKS // 2 and p.triplet < 0 for p in near):
            group = 2 * TICKS
    return at // group * group + bar.origin


def _event(piece: _Piece, verse: str, fermata: str, place: str) -> str:
    """Write one chord, note or rest, whose id tells its tick."""
    length = _written(piece)
    name, dots = VALUES[min(VALUES, key=lambda value: abs(value - length))]
    value = f'dur="{name}"' + (f' dots="{dots}"' if dots else "")
    if not piece.notes:
        return f"<rest {value}/>"
    ties = {(False, True): ' tie="i"', (True, True): ' tie="m"', (True, False): ' tie="t"'}
    notes = [
        sign + ties.get((left, right), "")
        for (_, left, right), sign in zip(piece.notes, piece.signs, strict=True)
    ]
    head = f'xml:id="t{piece.start}-{place}" {value}{fermata}'
    if len(notes) == 1:
        return f"<note {head} {notes[0]}>{verse}</note>"
    return f"<chord {head}>{verse}{''.join(f'<note {note}/>' for note in notes)}</chord>"


def _syllables(score: Score, voice: int) -> dict[int, str]:
    """Write each syllable of a voice as a verse, by the tick of its note."""
    verses, inside = {}, False
    for onset, text in score.lyrics.get(voice, []):
        goes_on = text.endswith("-")
        place = {(False, True): "i", (True, True): "m", (True, False): "t"}.get((inside, goes_on))
        kind = (f' wordpos="{place}"' if place else "") + (' con="d"' if goes_on else "")
        syllable = escape(text.removesuffix("-"))
        verses[round(onset * TICKS)] = f'<verse n="1"><syl{kind}>{syllable}</syl></verse>'
        inside = goes_on
    return verses
