"""ABC tune body: music code -> events, one list a voice.

An event is one note, chord or rest with its exact length in ticks. Everything else that the body
says (bar lines, repeats, metres, keys, tempi, grace notes, syllables) is kept with the index of the
event before which it stands, so that `timeline` can play the events in written or repeated order.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from mlmusic.readers.abc.fields import (
    ACCIDENTALS,
    Key,
    decode_text,
    default_length,
    parse_key,
    parse_length,
    parse_metre,
    parse_tempo,
)

# A quarter note in ticks: a multiple of every length that music uses (1/4096 of a quarter,
# tuplets of 3, 5, 7, 9, 11, 13), so that lengths are integers; others become Fractions of a tick.
TICKS = 2**12 * 3**3 * 5 * 7 * 11 * 13

# Ordered by how often each occurs. Decorations (4.14), slurs, beams, annotations and chord symbols
# change no note; `$`, lone `!` and `\` only break lines; `# * ; ? @` are reserved (8.1).
_TOKEN = re.compile(
    r"""
    (?P<note>(?:\^\^?|__?|=)?[A-Ga-g][,']*[\d/]*)
  | (?P<skip>(?: [\s`)~.H-Wh-wy$\\\#*;?@] | \((?!\d) | "[^"]*" | \+[A-Za-z.()<>]+\+
        | !(?: [^!|\s\[\]{}]*! | (?=[^!|]*[H-Wh-wy])[^!|\[\]{}]*! )? )+)
  | (?P<bar>(?:[|:\]]|\[(?=[|\]]))+(?:\d[\d,-]*)?)
  | (?P<broken><+|>+)
  | (?P<tuplet>\(\d(?::\d?){0,2})
  | (?P<rest>[zx][\d/]*)
  | (?P<tie>-)
  | (?P<grace>\{[^{}]*\}-?)
  | (?P<ending>\[\s*\d[\d,-]*)
  | (?P<field>\[[A-Za-z]:[^\]]*\])
  | (?P<chord>\[[^\[\]|]*\][\d/]*)
  | (?P<bars>[ZX]\d*)
  | (?P<bad>.)
    """,
    re.VERBOSE,
)
_IN_CHORD = re.compile(
    r"""((?:\^\^?|__?|=)?[A-Ga-g][,']*[\d/]*)(-?)|(?:"[^"]*"|![^!]*!|[\s().~H-Wh-w])+|(.)"""
)
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class Note(NamedTuple):
    """One written note."""

    step: str  # C … B
    natural: int  # MIDI pitch without any accidental
    accidental: int | None  # semitones of the written accidental; None if none is written
    length: tuple[int, int]  # numerator and denominator, in unit note lengths


def length_factor(text: str) -> tuple[int, int]:
    """Read the length after a note (section 4.3): ``3`` is (3, 1), ``/`` is (1, 2)."""
    match = re.fullmatch(r"(\d{0,4})(/{0,9})(\d{0,4})", text)
    if not match:
        raise ValueError(f"unknown note length {text!r}")
    top, slashes, bottom = match.groups()
    numerator = int(top) if top else 1
    if bottom and len(slashes) != 1:
        raise ValueError(f"unknown note length {text!r}")
    denominator = int(bottom) if bottom else 2 ** len(slashes)
    if not numerator or not denominator:
        raise ValueError(f"note length {text!r} is zero")
    return numerator, denominator


@lru_cache(maxsize=4096)
def read_note(token: str) -> Note:
    """Read one note (sections 4.1–4.3), such as ``^f'3/2``."""
    match = re.fullmatch(r"([\^_=]*)([A-Ga-g])([,']*)([\d/]*)", token)
    accidental, letter, marks, length = match.groups()
    octave = (5 if letter.islower() else 4) + marks.count("'") - marks.count(",")
    natural = 12 * (octave + 1) + _SEMITONES[letter.upper()]
    if not 0 <= natural <= 127:
        raise ValueError(f"the note {token!r} is outside MIDI's pitches 0–127")
    return Note(letter.upper(), natural, ACCIDENTALS.get(accidental), length_factor(length))


@lru_cache(maxsize=256)
def ending_numbers(text: str) -> frozenset[int]:
    """Read the numbers of a variant ending (section 4.10): ``1``, ``1,3``, ``1-3``."""
    numbers = set()
    for part in text.strip("[ ,-").split(","):
        first, _, last = part.partition("-")
        last = last or first
        if not (first.isdigit() and last.isdigit() and 0 < int(first[:3]) <= int(last[:3]) <= 99):
            raise ValueError(f"unknown ending {text!r}")
        numbers.update(range(int(first), int(last) + 1))
    return frozenset(numbers)


class Mark(NamedTuple):
    """A bar line, with what it says about repeats."""

    index: int  # of the event that follows
    end: int = 0  # how often the section that ends here is to be played again
    start: bool = False  # a repeated section starts here
    endings: frozenset[int] = frozenset()
    stops: bool = False  # a double or thick line or a repeat sign: a variant ending stops here


@lru_cache(maxsize=1024)
def read_bar(token: str) -> Mark:
    """Read a bar line and the ending's numbers after it (sections 4.8–4.10) as a Mark at 0."""
    lines, numbers = re.fullmatch(r"(.*?)(\d[\d,-]*)?", token).groups()
    lines = lines.replace("[|]", "")  # an invisible bar line
    if set(lines) == {":"} and len(lines) > 1:
        lines = lines[1:] + "|:"  # `::` is short for `:|:`
    if token and "|" not in token and "|" not in lines:
        raise ValueError(f"stray {token!r}")
    return Mark(
        0,
        len(lines) - len(lines.lstrip(":")),
        lines.endswith(":"),
        ending_numbers(numbers) if numbers else frozenset(),
        any(sign in lines for sign in ("||", "[|", "|]", ":")),
    )


class Voice:
    """The events of one voice, and the state that carries from one to the next."""

    def __init__(self, key: Key, metre: tuple[int, int] | None, unit: Fraction, shift: int = 0):
        self.lengths: list[int | Fraction] = []  # in ticks
        self.pitches: list[int | tuple[int, ...] | None] = []  # None is a rest
        self.ties: dict[int, frozenset[int]] = {}  # event -> those of its pitches that tie onwards
        self.marks: list[Mark] = []
        self.metres: list[tuple[int, tuple[int, int] | None]] = [(0, metre)]
        self.keys: list[tuple[int, Key]] = [(0, key)]
        self.tempi: list[tuple[int, float]] = []
        self.graces: list[tuple[int, int]] = []  # (event, pitch)
        self.syllables: list[tuple[int, str]] = []
        self.lines: list[int] = [0]  # the event with which each line of music starts
        self.unit = unit  # in whole notes
        self.shift = shift  # semitones that the V: field asks for
        self.altered: dict[str | int, int] = {}  # accidentals so far in this bar
        self.last: dict[int, int] = {}  # written natural -> pitch, of the last event
        self.tied: dict[int, int] | None = None  # the part of `last` that ties onwards
        self.tuplet = (1, 1, 0)  # factor's numerator and denominator, events left
        self.broken: Fraction | None = None  # factor for the next event

    def sound(self, note: Note, propagate: str) -> int:
        """Return a written note's MIDI pitch: its accidental, else the bar's, else the key's."""
        step, natural, alter, _ = note
        where = step if propagate == "pitch" else natural
        if alter is not None:
            if propagate != "not":
                self.altered[where] = alter
        elif self.tied and natural in self.tied:
            return self.tied[natural]  # a tied note keeps its accidental across the bar line, too
        else:
            key = self.keys[-1][1]
            alter = self.altered.get(where, key.alter[step])
        pitch = natural + alter + self.keys[-1][1].shift + self.shift
        if not 0 <= pitch <= 127:
            raise ValueError(f"pitch {pitch} is outside MIDI's 0–127")
        return pitch

    def add(self, length: tuple[int, int], pitch: int | tuple[int, ...] | None) -> None:
        """Append an event of `length` unit note lengths, scaled by tuplet and broken rhythm."""
        numerator, denominator = length
        if self.tuplet[2]:
            above, below, left = self.tuplet
            numerator, denominator = numerator * above, denominator * below
            self.tuplet = (above, below, left - 1)
        ticks = divide(
            4 * TICKS * numerator * self.unit.numerator, denominator * self.unit.denominator
        )
        if self.broken is not None:
            ticks, self.broken = scale(ticks, self.broken), None
        self.lengths.append(ticks)
        self.pitches.append(pitch)
        self.tied = None

    def mark(self, mark: Mark) -> None:
        """Add a bar line before the next event; signs at the same place add up."""
        here = len(self.lengths)
        if self.marks and self.marks[-1].index == here:
            old = self.marks.pop()
            mark = Mark(
                here,
                max(old.end, mark.end),
                old.start or mark.start,
                old.endings | mark.endings,
                old.stops or mark.stops,
            )
        self.marks.append(mark._replace(index=here))


def divide(ticks: int | Fraction, by: int) -> int | Fraction:
    """Divide exactly: an integer where it comes out even."""
    quotient, rest = divmod(ticks, by)
    return Fraction(ticks) / by if rest else quotient


def scale(ticks: int | Fraction, by: Fraction) -> int | Fraction:
    """Multiply exactly: an integer where it comes out even."""
    return divide(ticks * by.numerator, by.denominator)


class Body:
    """Reads a tune's fields and lines of music into its voices.

    Parameters
    ----------
    propagate : {"pitch", "octave", "not"}
        How far an accidental reaches (section 11.3): to the end of the bar in all octaves, in its
        own octave, or only to its own note.
    """

    def __init__(self, propagate: str):
        self.propagate = propagate
        self.metre: tuple[int, int] | None = None
        self.unit: Fraction | None = None
        self.key: Key | None = None
        self.tempo = ""
        self.shifts: dict[str, int] = {}  # semitones by which a voice sounds above what is written
        self.voices: dict[str, Voice] = {}
        self.voice: Voice | None = None

    def field(self, letter: str, value: str) -> None:
        """Apply a field that bears on the notes, in the header, the body or inline."""
        voice = self.voice
        if letter == "V":
            self._change_voice(value)
        elif letter == "L":
            self.unit = parse_length(value)
            if voice:
                voice.unit = self.unit
        elif letter == "M":
            metre = parse_metre(value)
            if voice:
                voice.metres.append((len(voice.lengths), metre))
            else:
                self.metre = metre
        elif letter == "K":
            key = parse_key(value)
            if voice:
                voice.keys.append((len(voice.lengths), key))
                voice.altered.clear()
            else:
                self.key = key
        elif letter == "Q":
            if not voice:
                self.tempo = value  # L: may still follow
            elif tempo := parse_tempo(value, voice.unit):
                voice.tempi.append((len(voice.lengths), tempo))
        elif letter == "I" and value.split()[:1] == ["propagate-accidentals"]:
            self.propagate = value.split()[-1]
            if self.propagate not in ("pitch", "octave", "not"):
                raise ValueError(f"unknown accidental directive {value!r}: pitch, octave or not")
        elif letter == "m":
            raise ValueError("macros (m:) aren't supported: write the notes out")

    def _change_voice(self, value: str) -> None:
        """Go on in another voice (section 7); above the K: field only note how it transposes."""
        name, _, properties = value.strip().partition(" ")
        for what, n in re.findall(r"(transpose|octave)=([+-]?\d{1,2})\b", properties):
            shift = int(n) * (12 if what == "octave" else 1)
            self.shifts[name] = self.shifts.get(name, 0) + shift
        if self.key is None:
            return
        if name not in self.voices:
            if len(self.voices) == 256:
                raise ValueError("more than 256 voices")
            self.voices[name] = self._new_voice(self.shifts.get(name, 0))
        self.voice = self.voices[name]

    def _new_voice(self, shift: int = 0) -> Voice:
        unit = self.unit or default_length(self.metre)
        voice = Voice(self.key, self.metre, unit, shift)
        if tempo := parse_tempo(self.tempo, unit):
            voice.tempi.append((0, tempo))
        return voice

    def music(self, line: str) -> None:
        """Read one line of music code."""
        if self.voice is None:
            self.voice = self.voices[""] = self._new_voice()
        voice, propagate = self.voice, self.propagate
        voice.lines.append(len(voice.lengths))
        for match in _TOKEN.finditer(line):
            kind = match.lastgroup
            if kind == "note":
                note = read_note(match[0])
                pitch = voice.sound(note, propagate)
                voice.add(note.length, pitch)
                voice.last = {note.natural: pitch}
            elif kind == "bar":
                voice.mark(read_bar(match[0]))
                voice.altered.clear()
            elif kind == "field":
                self.field(match[0][1], match[0][3:-1])
                voice = self.voice
            elif kind == "bad":
                raise ValueError(f"can't read {match[0]!r} in {_around(line, match.start())!r}")
            elif kind != "skip":
                getattr(self, "_" + kind)(voice, match[0])

    def _rest(self, voice: Voice, token: str) -> None:
        voice.add(length_factor(token[1:]), None)
        voice.last = {}

    def _bars(self, voice: Voice, token: str) -> None:
        """Rests of whole bars (section 4.5)."""
        metre = Fraction(*(voice.metres[-1][1] or (4, 4)))
        length = metre / voice.unit
        count = int(token[1:5] or 1)
        for bar in range(count):
            if bar:
                voice.mark(Mark(0))
            voice.add((length.numerator, length.denominator), None)
        voice.last = {}

    def _chord(self, voice: Voice, token: str) -> None:
        """Sound notes together (section 4.17); the first one's length is the chord's."""
        inside, _, factor = token[1:].rpartition("]")
        numerator, denominator = length_factor(factor)
        pitches, sounding, tied, length = set(), {}, {}, None
        for match in _IN_CHORD.finditer(inside):
            if match[3]:
                raise ValueError(f"can't read {match[3]!r} in the chord {token!r}")
            if not match[1]:
                continue
            note = read_note(match[1])
            length = length or note.length
            sounding[note.natural] = voice.sound(note, self.propagate)
            pitches.add(sounding[note.natural])
            if match[2]:
                tied[note.natural] = sounding[note.natural]
        if length is None:
            raise ValueError(f"the chord {token!r} has no notes")
        voice.add((length[0] * numerator, length[1] * denominator), tuple(sorted(pitches)))
        voice.last = sounding
        if tied:
            voice.tied, voice.ties[len(voice.lengths) - 1] = tied, frozenset(tied.values())

    def _tie(self, voice: Voice, _: str) -> None:
        """Tie the last event to the next; `timeline` drops it where the pitches differ (4.11)."""
        if voice.last:
            voice.tied = voice.last
            voice.ties[len(voice.lengths) - 1] = frozenset(voice.last.values())

    def _broken(self, voice: Voice, token: str) -> None:
        """Dot the event before, shorten the one after, or the reverse (section 4.4)."""
        if not voice.lengths or len(token) > 8:
            raise ValueError(f"broken rhythm {token!r} has no note before it")
        short = Fraction(1, 2 ** len(token))
        before, after = (2 - short, short) if token[0] == ">" else (short, 2 - short)
        voice.lengths[-1] = scale(voice.lengths[-1], before)
        voice.broken = after

    def _tuplet(self, voice: Voice, token: str) -> None:
        """`(p:q:r`: p notes in the time of q, for the next r notes (section 4.13)."""
        p, q, r = (int(n) if n else 0 for n in (token[1:] + "::").split(":")[:3])
        if p < 2 and not q:
            raise ValueError(f"unknown tuplet {token!r}")
        compound = voice.metres[-1][1] in ((6, 8), (9, 8), (12, 8))
        default = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(p, 3 if compound else 2)
        voice.tuplet = (q or default, p, r or p)

    def _ending(self, voice: Voice, token: str) -> None:
        voice.mark(Mark(0, endings=ending_numbers(token)))

    def _grace(self, voice: Voice, token: str) -> None:
        """Keep grace notes (4.12), which take no time; their accidentals reach as others do.

        A `-` after them slurs them to the next note: it's no tie of the note before.
        """
        for match in _IN_CHORD.finditer(token.strip("{/}-")):
            if match[1]:
                pitch = voice.sound(read_note(match[1]), self.propagate)
                voice.graces.append((len(voice.lengths), pitch))

    def words(self, value: str) -> None:
        """Align a w: line's syllables with the notes of the line of music before it (5.1)."""
        voice = self.voice
        if voice is None:
            raise ValueError("lyrics (w:) before any music")
        first = voice.lines[-1]
        notes = [i for i in range(first, len(voice.lengths)) if voice.pitches[i] is not None]
        bars = [mark.index for mark in voice.marks]
        position = 0
        if voice.syllables and voice.syllables[-1][0] >= first:
            return  # a second verse: only the first is kept
        for match in re.finditer(r"\||\*|_|((?:[^\s|*_\\-]|\\-|\\)+)(-?)|-", value):
            if match[0] == "|":
                after = [b for b in bars if position and b > notes[min(position, len(notes)) - 1]]
                while after and position < len(notes) and notes[position] < after[0]:
                    position += 1
                continue
            if position == len(notes):
                return  # more syllables than notes: the rest has nothing to stand under
            if match[1]:
                text = match[1].replace("~", " ").replace("\\-", "-")
                voice.syllables.append((notes[position], decode_text(text) + match[2]))
            position += 1


def _around(line: str, at: int) -> str:
    return line[max(0, at - 12) : at + 13].strip()
