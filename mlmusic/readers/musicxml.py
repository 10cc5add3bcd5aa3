"""MusicXML -> Score: partwise files, plain (``.xml``, ``.musicxml``) or compressed (``.mxl``).

What the page says, as it's written: repeats aren't unfolded, ornaments aren't played, grace and
cue notes are left out, ties join. Positions are whole ticks until the very end, so that an onset
is the float nearest to the true fraction (triplets too). Format: W3C, MusicXML 4.0.
"""

from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from mlmusic import _gc
from mlmusic.readers import mxl
from mlmusic.score import NOTE_DTYPE, Score

_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_QUARTERS = {
    "breve": 8.0, "whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5, "16th": 0.25,
}  # fmt: skip


def read(path: str | Path, *, tempo: float = 120.0) -> Score:
    """Read a MusicXML file.

    Every voice of every part becomes a voice of the score, numbered from 0 in the order of the
    page: for a chorale, soprano 0, alto 1, tenor 2, bass 3. Transposing instruments are written
    as they sound.

    Parameters
    ----------
    path : path
        A ``.mxl``, ``.musicxml`` or ``.xml`` file.
    tempo : float
        Quarter notes per minute where the file says nothing.

    Returns
    -------
    Score
        With metre, key, title, tempo, programs and lyrics where the file has them. Metre and key
        are the first part's. Of several lines of text ``lyrics`` holds the first, and the next
        where it pauses (the second half of a song whose first half is repeated). In ``meta``:
        ``parts``, the part's name for each voice; ``fermatas``, the onsets under a fermata in
        the first part that has any; ``verses``, the rest of the text as ``[line, voice, onset,
        syllable]``.

    Raises
    ------
    ValueError
        If the file isn't MusicXML, is damaged or too large, or says something impossible. The
        message begins with the path.
    """
    path = Path(path)
    try:
        with _gc.paused():
            return _score(mxl.root(path), tempo)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path}: {error}") from None


# From elements to ticks -----------------------------------------------------------------------


def _partwise(root: ET.Element) -> list[ET.Element]:
    if root.tag == "score-timewise":
        raise ValueError("a score-timewise file: save it as score-partwise, as most programs do")
    if root.tag != "score-partwise":
        raise ValueError(f"its root element is <{root.tag[:40]}>, not <score-partwise>")
    parts = root.findall("part")
    if not parts:
        raise ValueError("the score has no <part>")
    return parts


def _ticks_per_quarter(root: ET.Element) -> int:
    """Find the coarsest grid on which every duration of every part is a whole number."""
    ticks = math.lcm(*(max(_whole(d.text, "divisions"), 1) for d in root.iter("divisions")))
    if ticks > 2**31:
        raise ValueError("the parts' divisions have no reasonable common multiple")
    return ticks


def _whole(text: str | None, what: str) -> int:
    try:
        number = float(text or "")
        if number.is_integer():
            return int(number)
    except ValueError:
        pass
    raise ValueError(f"{what} {text!r} isn't a whole number")


class _Part:
    """One part's content, with positions in ticks.

    ``lengths`` (in ticks, one a measure) are given if other parts have longer measures.
    """

    def __init__(
        self, number: int, part: ET.Element, ticks: int, lengths: list[int] | None = None
    ) -> None:
        self.number = number
        self.ticks = ticks
        self.id = part.get("id", "")
        self.notes: list[list] = []  # [onset, end, pitch, voice], voice as the file names it
        self.voices: dict[str, None] = {}  # in order of appearance
        self.lyrics: list[tuple[str, str, int, str]] = []  # (line, voice, onset, syllable)
        self.fermatas: list[int] = []
        self.metres: dict[int, tuple[int, int]] = {}
        self.keys: dict[int, tuple[int, str]] = {}
        self.tempos: dict[int, float] = {}
        self.lengths: list[int] = []
        self._ticks_per_division = ticks
        self._semitones = 0  # from written to sounding pitch
        self._ties: dict[tuple[int, str], list] = {}
        start = 0
        for i, measure in enumerate(part.findall("measure")):
            try:
                self._read_measure(measure, start)
            except ValueError as error:
                where = f"part {self.id}, measure {measure.get('number', i + 1)}"
                raise ValueError(f"{where}: {error}") from None
            if lengths is not None:
                self.lengths[-1] = lengths[i]
            start += self.lengths[-1]
        self.end = start

    def _read_measure(self, measure: ET.Element, start: int) -> None:
        now = previous = furthest = start
        for element in measure:
            tag = element.tag
            if tag == "note":
                fields = {child.tag: child for child in element}
                if "duration" not in fields:
                    continue  # a grace note
                duration = self._duration(fields["duration"])
                onset = previous if "chord" in fields else now
                self._read_note(element, fields, onset, duration)
                if "chord" not in fields:
                    previous, now = now, now + duration
                    furthest = max(furthest, now)
            elif tag == "backup":
                now -= self._duration(element.find("duration"))
                if now < start:
                    raise ValueError("a <backup> leads out of the measure")
            elif tag == "forward":
                now += self._duration(element.find("duration"))
                furthest = max(furthest, now)
            elif tag == "attributes":
                self._read_attributes(element, now)
            elif tag in ("direction", "sound"):
                self._read_tempo(element, now)
        self.lengths.append(furthest - start)

    def _duration(self, element: ET.Element | None) -> int:
        divisions = _whole(None if element is None else element.text, "duration")
        if divisions < 0:
            raise ValueError(f"duration {divisions} is negative")
        return divisions * self._ticks_per_division

    def _read_note(
        self, note: ET.Element, fields: dict[str, ET.Element], onset: int, duration: int
    ) -> None:
        voice = (fields["voice"].text or "1") if "voice" in fields else "1"
        if "notations" in fields and fields["notations"].find("fermata") is not None:
            self.fermatas.append(onset)
        if "lyric" in fields:
            self.lyrics += [
                (lyric.get("number", "1"), voice, onset, _syllable(lyric))
                for lyric in note.findall("lyric")
                if lyric.find("text") is not None
            ]
        if "pitch" not in fields or "cue" in fields or duration == 0:
            return  # a rest, unpitched percussion, or not to be played
        pitch = _midi_pitch(fields["pitch"]) + self._semitones
        if not 0 <= pitch <= 127:
            raise ValueError(f"pitch {pitch} is outside MIDI's 0–127")
        self.voices.setdefault(voice)
        ties = {tie.get("type") for tie in note.findall("tie")} if "tie" in fields else ()
        tied = self._ties.pop((pitch, voice), None)
        if tied is not None and "stop" in ties and tied[1] == onset:
            tied[1] += duration
            sounding = tied
        else:
            sounding = [onset, onset + duration, pitch, voice]
            self.notes.append(sounding)
        if "start" in ties:
            self._ties[pitch, voice] = sounding

    def _read_attributes(self, attributes: ET.Element, now: int) -> None:
        divisions = attributes.findtext("divisions")
        if divisions is not None:
            divisions = _whole(divisions, "divisions")
            if divisions < 1:
                raise ValueError(f"divisions {divisions} isn't positive")
            self._ticks_per_division = self.ticks // divisions
        transpose = attributes.find("transpose")
        if transpose is not None:
            octaves = _whole(transpose.findtext("octave-change", "0"), "octave-change")
            chromatic = _whole(transpose.findtext("chromatic", "0"), "chromatic transposition")
            self._semitones = 12 * octaves + chromatic
        key = attributes.find("key")
        if key is not None and key.find("fifths") is not None:
            fifths = _whole(key.findtext("fifths"), "fifths")
            if self._semitones % 12:
                fifths = (fifths + 7 * self._semitones + 5) % 12 - 5
            mode = key.findtext("mode", "").strip()
            self.keys[now] = (fifths, "" if mode == "none" else mode)
        time = attributes.find("time")
        if time is not None and time.find("beats") is not None:
            self.metres[now] = _time_signature(time)

    def _read_tempo(self, element: ET.Element, now: int) -> None:
        sound = element if element.tag == "sound" else element.find("sound")
        if sound is not None and sound.get("tempo"):
            try:
                self.tempos[now] = float(sound.get("tempo", ""))
            except ValueError:
                raise ValueError(f"tempo {sound.get('tempo')!r} isn't a number") from None
            return
        mark = element.find("direction-type/metronome")
        per_minute = "" if mark is None else mark.findtext("per-minute", "")
        if mark is not None and per_minute.strip().replace(".", "", 1).isdigit():
            dots = len(mark.findall("beat-unit-dot"))
            quarters = _QUARTERS.get(mark.findtext("beat-unit", ""), 1.0) * (2 - 0.5**dots)
            self.tempos[now] = float(per_minute) * quarters


def _midi_pitch(pitch: ET.Element) -> int:
    step = pitch.findtext("step", "")
    if step not in _SEMITONES:
        raise ValueError(f"{step!r} isn't a step (C, D, E, F, G, A, B)")
    octave = _whole(pitch.findtext("octave"), "octave")
    return 12 * (octave + 1) + _SEMITONES[step] + _whole(pitch.findtext("alter", "0"), "alter")


def _syllable(lyric: ET.Element) -> str:
    """Join the texts of a lyric (several where words are elided); "-" says: the word goes on."""
    text = "".join(child.text or "" for child in lyric if child.tag in ("text", "elision"))
    return text + "-" if lyric.findtext("syllabic") in ("begin", "middle") else text


def _time_signature(time: ET.Element) -> tuple[int, int]:
    """Read 3/4, but also 3+2/8 and 2/4 + 3/8, as one numerator over one denominator."""
    denominators = [_whole(unit.text, "beat type") for unit in time.findall("beat-type")]
    numerators = [
        sum(_whole(beat, "number of beats") for beat in (beats.text or "").split("+"))
        for beats in time.findall("beats")
    ]
    if len(numerators) != len(denominators) or min(numerators + denominators) < 1:
        raise ValueError("a time signature needs a beat type for every number of beats")
    common = math.lcm(*denominators)
    return sum(n * common // d for n, d in zip(numerators, denominators, strict=True)), common


# From ticks to a Score ------------------------------------------------------------------------


def _score(root: ET.Element, default_tempo: float) -> Score:
    elements = _partwise(root)
    ticks = _ticks_per_quarter(root)
    parts = [_Part(i, element, ticks) for i, element in enumerate(elements)]
    if len({tuple(part.lengths) for part in parts}) > 1:
        # A part with a bar that isn't filled must not run ahead of the others.
        if len({len(part.lengths) for part in parts}) > 1:
            raise ValueError("the parts differ in their number of measures")
        lengths = [max(column) for column in zip(*(part.lengths for part in parts), strict=True)]
        parts = [_Part(i, element, ticks, lengths) for i, element in enumerate(elements)]

    named = [(part, voice) for part in parts for voice in part.voices or ["1"]]
    if len(named) > 256:
        raise ValueError(f"{len(named)} voices: a Score holds at most 256")
    numbers = {(part.number, voice): number for number, (part, voice) in enumerate(named)}
    rows = [
        (onset / ticks, (end - onset) / ticks, pitch, 80, numbers[part.number, voice])
        for part in parts
        for onset, end, pitch, voice in part.notes
    ]
    lyrics, verses = _lyrics(parts, numbers)
    tempos = {now: bpm for part in reversed(parts) for now, bpm in part.tempos.items()}
    tempos.setdefault(0, default_tempo)
    programs = _programs(root)
    names = {p.get("id"): p.findtext("part-name", "").strip() for p in root.iter("score-part")}
    keys = next((part.keys for part in parts if part.keys), {})
    fermatas = next((part.fermatas for part in parts if part.fermatas), [])
    titles = (root.findtext("movement-title"), root.findtext("work/work-title"))
    meta = {
        "parts": [names.get(part.id, "") for part, _ in named],
        "fermatas": [now / ticks for now in sorted(set(fermatas))],
    }
    if verses:
        meta["verses"] = [[line, v, now / ticks, text] for line, v, now, text in verses]
    return Score(
        np.array(rows, NOTE_DTYPE),
        tempo=[(now / ticks, bpm) for now, bpm in sorted(tempos.items())],
        metre=[(now / ticks, *signature) for now, signature in _metre(parts[0])],
        key=[(now / ticks, *signature) for now, signature in sorted(keys.items())],
        programs={
            number: programs[part.id]
            for number, (part, _) in enumerate(named)
            if programs.get(part.id)
        },
        title=next((" ".join(title.split()) for title in titles if title), ""),
        lyrics={v: [(now / ticks, text) for now, text in line] for v, line in lyrics.items()},
        meta=meta,
    )


def _metre(part: _Part) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield (tick, time signature) wherever bars must be counted anew.

    Two measures that fill one bar together (split by a repeat sign, say) count as one; any other
    short bar has the metre stated again behind it.
    """
    starts = list(itertools.accumulate(part.lengths, initial=0))
    bar_lines, stated, signature = set(starts), False, (4, 4)
    due = Fraction(0)  # where the metre in force expects the next bar line
    for start, stop in itertools.pairwise(starts):
        changed = part.metres.get(start, signature) != signature
        signature = part.metres.get(start, signature)
        bar = Fraction(4 * part.ticks * signature[0], signature[1])
        if not stated and start == 0 and 0 < stop < bar and stop != part.end:
            due = Fraction(stop)  # a pickup: the first metre stands behind it
            continue
        if due < start:  # an overlong measure counts as several bars
            due += bar * math.ceil((start - due) / bar)
        if due > start and due in bar_lines and not changed and stated:
            continue  # the second half of a bar
        if due != start or changed or not stated:
            yield start, signature
            stated, due = True, Fraction(start)
        due += bar
    if not stated:
        yield 0, signature


def _lyrics(
    parts: list[_Part], numbers: dict[tuple[int, str], int]
) -> tuple[dict[int, list[tuple[int, str]]], list[tuple[str, int, int, str]]]:
    """Choose one line of text a voice: the first, and the next ones outside its span."""
    chosen: dict[int, list[tuple[int, str]]] = {}
    rest = []
    for part in parts:
        spans: list[tuple[int, int]] = []
        first_voice = next(iter(part.voices), "1")
        for line in sorted({entry[0] for entry in part.lyrics}, key=lambda n: (len(n), n)):
            entries = [entry for entry in part.lyrics if entry[0] == line]
            for _, voice, now, text in entries:
                number = numbers.get((part.number, voice), numbers[part.number, first_voice])
                if any(first <= now <= last for first, last in spans):
                    rest.append((line, number, now, text))
                else:
                    chosen.setdefault(number, []).append((now, text))
            onsets = [entry[2] for entry in entries]
            spans.append((min(onsets), max(onsets)))
    return {number: sorted(chosen[number]) for number in sorted(chosen)}, rest


def _programs(root: ET.Element) -> dict[str, int]:
    """General MIDI program of each part that names one; channel 10 is the drums'."""
    programs = {}
    for part in root.iter("score-part"):
        instrument = part.find("midi-instrument")
        if instrument is None:
            continue
        if instrument.findtext("midi-channel", "").strip() == "10":
            programs[part.get("id", "")] = 128
        elif instrument.find("midi-program") is not None:
            number = _whole(instrument.findtext("midi-program"), "MIDI program")
            programs[part.get("id", "")] = number - 1  # the format counts from 1
    return programs
