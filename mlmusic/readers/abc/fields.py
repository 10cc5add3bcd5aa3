"""ABC information fields: K: (key), M: (metre), L: (unit length), Q: (tempo), and the text fields.

Each function takes the field's value, without its letter, and raises ValueError with one line that
says what is wrong. Section numbers are those of the ABC 2.1 standard (abcnotation.com/wiki).
"""

import html
import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

SHARPS = "FCGDAEB"  # the order in which sharps enter a signature; flats enter in reverse
_TONICS = {"C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5, "F": -1}  # fifths of the major key
_MODES = {
    "maj": (0, "major"),
    "ion": (0, "major"),
    "min": (-3, "minor"),
    "aeo": (-3, "minor"),
    "mix": (-1, "mixolydian"),
    "dor": (-2, "dorian"),
    "phr": (-4, "phrygian"),
    "lyd": (1, "lydian"),
    "loc": (-5, "locrian"),
}
_KEY = re.compile(
    r"([A-G])([#b]?)\s*((?:maj|ion|min|aeo|mix|dor|phr|lyd|loc|exp)[a-z]*|m(?![a-z]))?\s*",
    re.IGNORECASE,
)
_CLEF = re.compile(r"(?:treble|alto|tenor|bass|perc|none|[GFC])\d?(?:[+-]8)?$")
ACCIDENTALS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
_ACCIDENTAL = re.compile(r"(\^\^?|__?|=)([A-Ga-g])")


class Key(NamedTuple):
    """A key signature."""

    fifths: int  # sharps minus flats, -7 to 7
    mode: str  # "major", "minor", "dorian", … or "" where the field gives none
    alter: dict[str, int]  # step letter -> semitones by which the signature alters it
    shift: int  # semitones by which the notes sound above the written ones


def signature(fifths: int) -> dict[str, int]:
    """Return the alteration in semitones of each of the seven steps under `fifths` sharps."""
    alter = dict.fromkeys(SHARPS, 0)
    for step in SHARPS[:fifths] if fifths >= 0 else SHARPS[fifths:]:
        alter[step] = 1 if fifths > 0 else -1
    return alter


def parse_key(value: str) -> Key:
    """Read a K: field (section 3.1.14).

    Parameters
    ----------
    value : str
        ``G``, ``Em``, ``D mixolydian``, ``Bb dor``, ``D =c ^g``, ``D exp _b ^f``, ``none``,
        ``HP``, ``Hp``; a clef, ``transpose=`` and ``octave=`` may follow. The bagpipe keys sound
        F sharp and C sharp, whether the signature is printed (``Hp``) or not (``HP``).

    Raises
    ------
    ValueError
        For an unknown tonic, mode or word, or a key that needs double sharps or flats.
    """
    fifths, mode, rest = 0, "", value.strip()
    bare = False  # the accidentals that follow are the whole signature
    if rest[:2] in ("HP", "Hp"):
        fifths, mode, rest = 2, "mixolydian", rest[2:]
    elif rest[:4].lower() == "none" or not rest:
        bare, rest = True, rest[4:]
    elif (match := _KEY.match(rest)) and match[1].isupper():
        tonic, sign, name = match.groups()
        rest = rest[match.end() :]
        name = (name or "maj").lower()[:3]
        bare = name == "exp"
        if not bare:
            shift, mode = _MODES["min" if name == "m" else name]
            fifths = _TONICS[tonic] + {"#": 7, "b": -7}.get(sign, 0) + shift
        if abs(fifths) > 7:
            raise ValueError(f"key {value!r} needs double sharps or flats in its signature")
    elif not _CLEF.match(rest.split()[0]) and "=" not in rest.split()[0]:
        raise ValueError(
            f"unknown key {value!r}: write the tonic as A–G with # or b, then the mode"
        )
    alter = signature(fifths)
    altered, transposition = False, 0
    for word in re.findall(r"[\^_=]+\s*[A-Ga-g](?=[\s\^_=]|$)|\S+", rest):
        word = re.sub(r"\s", "", word)
        if accidental := _ACCIDENTAL.fullmatch(word):
            alter[accidental[2].upper()] = ACCIDENTALS[accidental[1]]
            altered = True
        elif shift_by := re.fullmatch(r"(transpose|octave)=([+-]?\d{1,2})", word):
            transposition += int(shift_by[2]) * (12 if shift_by[1] == "octave" else 1)
        elif not _CLEF.match(word) and not re.match(r"[a-z]+=", word):
            raise ValueError(f"key {value!r}: can't read {word!r}")
    if altered:  # name the signature that looks the same; else count its sharps and flats
        total = sum(alter.values()) if bare else fifths
        same = [n for n in range(-7, 8) if signature(n) == alter]
        fifths = same[0] if same else max(-7, min(7, total))
    return Key(fifths, mode, alter, transposition)


def parse_metre(value: str) -> tuple[int, int] | None:
    """Read an M: field (section 3.1.6): ``6/8``, ``C``, ``C|``, ``(2+3)/8``; None if free metre."""
    text = value.strip()
    if text in ("", "none"):
        return None
    if text in ("C", "C|"):
        return (4, 4) if text == "C" else (2, 2)
    match = re.fullmatch(r"\(?\s*(\d{1,3}(?:\s*\+\s*\d{1,3}){0,15})\s*\)?\s*/\s*(\d{1,3})", text)
    if match:
        beats, unit = sum(map(int, match[1].split("+"))), int(match[2])
        if 0 < beats <= 255 and unit in (1, 2, 4, 8, 16, 32, 64, 128):
            return beats, unit
    raise ValueError(f"unknown metre {value!r}: write it as 6/8, C, C| or none")


def parse_length(value: str) -> Fraction:
    """Read an L: field (section 3.1.7), or a note length such as ``1/8``: whole notes."""
    match = re.fullmatch(r"\s*(\d{1,3})\s*(?:/\s*(\d{1,3}))?\s*", value)
    if not match or not int(match[1]) or not int(match[2] or 1):
        raise ValueError(f"unknown note length {value!r}: write it as 1/8")
    return Fraction(int(match[1]), int(match[2] or 1))


def default_length(metre: tuple[int, int] | None) -> Fraction:
    """Return the unit length without an L: field: 1/16 if the metre is under 3/4, else 1/8."""
    return Fraction(1, 16) if metre and Fraction(*metre) < Fraction(3, 4) else Fraction(1, 8)


def parse_tempo(value: str, unit: Fraction) -> float | None:
    """Read a Q: field (section 3.1.8 and, for the outdated forms, 10.1).

    Parameters
    ----------
    value : str
        ``1/4=120``, ``"Allegro" 1/4=120``, ``1/4 3/8=40``, ``"Andante"``; outdated: ``120``
        (unit lengths per minute), ``C=120``, ``C3=40``.
    unit : Fraction
        The unit note length in whole notes.

    Returns
    -------
    float or None
        Quarter notes per minute; None if the field gives words only.
    """
    text = re.sub(r'"[^"]*"', "", value).strip()
    if not text:
        return None
    beats, _, rate = text.rpartition("=")
    if not re.fullmatch(r"\s*\d{1,4}(?:\.\d{1,4})?\s*", rate) or float(rate) <= 0:
        raise ValueError(f"unknown tempo {value!r}: write it as 1/4=120")
    beats = beats.strip()
    if not beats:
        length = unit
    elif beats[0] == "C":
        length = unit * (parse_length(beats[1:]) if beats[1:].strip() else 1)
    else:
        length = sum(map(parse_length, beats.split()), Fraction(0))
    return float(length * 4 * Fraction(rate.strip()))


_COMBINING = {
    "`": "\u0300",
    "'": "\u0301",
    "^": "\u0302",
    "~": "\u0303",
    '"': "\u0308",
    "r": "\u030a",
    "v": "\u030c",
    "c": "\u0327",
}
_LIGATURES = {"AE": "Æ", "ae": "æ", "OE": "Œ", "oe": "œ", "ss": "ß", "/O": "Ø", "/o": "ø"}


def decode_text(value: str) -> str:
    r"""Return a text string (section 8.2) in Unicode: ``\'e`` and ``&eacute;`` become é."""
    if "\\" in value:
        value = re.sub(r"\\(AE|ae|OE|oe|ss|/O|/o)", lambda m: _LIGATURES[m[1]], value)
        value = re.sub(
            r"\\([`'^~\"rvc])([A-Za-z])",
            lambda m: unicodedata.normalize("NFC", m[2] + _COMBINING[m[1]]),
            value,
        )
        value = re.sub(r"\\([%&\\])", r"\1", value)
    return html.unescape(value).strip() if "&" in value else value.strip()
