"""Reader of ABC, the text notation of folk tunes, by the ABC 2.1 standard (December 2011).

=========  ==========================================================================
module     what it holds
=========  ==========================================================================
fields     K:, M:, L:, Q: and text fields -> values
body       music code -> events: notes, chords, rests, bar lines, with exact lengths
timeline   events -> notes on a time line, ties joined, repeats expanded on request
=========  ==========================================================================

Source: http://abcnotation.com/wiki/abc:standard:v2.1; section numbers in the modules are its own.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlmusic.readers.abc.body import Body
from mlmusic.readers.abc.fields import decode_text
from mlmusic.readers.abc.timeline import Timeline, lay_out
from mlmusic.score import NOTE_DTYPE, Score

__all__ = ["Tune", "parse", "read_book", "split_book"]

_TEXT_FIELDS = {
    "A": "area",
    "B": "book",
    "C": "composer",
    "D": "discography",
    "F": "file",
    "G": "group",
    "H": "history",
    "N": "notes",
    "O": "origin",
    "R": "rhythm",
    "S": "source",
    "Z": "transcription",
}
_NEWLINE = re.compile(r"\r?\n|\r")  # str.splitlines() would cut at control characters, too
_FIELD = re.compile(r"([A-Za-z]):(.*)")
_MUSIC = re.compile(r"[A-Ga-gxz]:[|:\]]")  # in the body: a note before a repeat sign, not a field
_HEADER = re.compile(r"[A-Za-z]:|%|\s*$")
_COMMENT = re.compile(r"(?<!\\)%.*")
_VELOCITY = 80


class Tune(NamedTuple):
    """One tune's text, as it stands in a book."""

    number: str  # the X: field
    line: int  # of the X: field, counted from 1
    text: str


def parse(
    text: str,
    *,
    expand_repeats: bool = False,
    propagate: str | None = None,
    header: str = "",
    first_line: int = 1,
) -> Score:
    r"""Read one tune.

    Parameters
    ----------
    text : str
        The tune from its header on. It ends at the first empty line.
    expand_repeats : bool
        False (the default) gives the music as written: each repeated section once and every
        ending in turn, so that no bar counts twice. True gives it as played.
    propagate : {"pitch", "octave", "not"}, optional
        How far an accidental reaches (section 11.3): to the end of the bar in all octaves, only in
        its own octave, or only to its own note. Default: the file's directive, else "pitch", the
        standard's default.
    header : str
        The book's file header: fields and directives that apply to all its tunes.
    first_line : int
        The number of the text's first line, for error messages.

    Returns
    -------
    Score
        One voice for each V: field. Grace notes take no time: they are in ``meta["graces"]`` as
        (onset, pitch). Text fields are in ``meta`` under their names (``rhythm``, ``origin``,
        ``book``, …), several titles in ``meta["titles"]``, the first M: and Q: field in
        ``meta["metre"]`` and ``meta["tempo"]``.
        The metre is restated where a bar is irregular; in free metre (``M:none``) each bar is
        stated with its own length. Of several verses, the first is in ``lyrics``.

    Raises
    ------
    ValueError
        With the line's number, for text that isn't ABC, and for what this reader leaves out: voice
        overlay (``&``), macros (``m:``), microtones.

    Examples
    --------
    >>> parse("X:1\nT:Scale\nL:1/4\nK:D\nDEF|").notes["pitch"].tolist()
    [62, 64, 66]
    """
    body = Body(propagate or "pitch")
    fields: dict[str, list[str]] = {}
    started = skipping = False  # past the first K: field; inside %%begintext … %%endtext
    number = first_line
    try:
        for number, line in _numbered(header, text, first_line):  # noqa: B007 (named below)
            if line.startswith("%"):
                if line.startswith(("%%begin", "%%end")):
                    skipping = line.startswith("%%begin")
                elif line.startswith("%%propagate-accidentals") and not propagate:
                    body.field("I", line[2:])
                continue
            if skipping:
                continue
            line = _COMMENT.sub("", line) if "%" in line else line
            match = _FIELD.match(line)
            if match and not (started and _MUSIC.match(line)):
                letter, value = match[1], match[2].strip()
                fields.setdefault(letter, []).append(value)
                started = started or letter == "K"
                if letter == "w":
                    body.words(value)
                elif letter in "KLMQVm" or (letter == "I" and not propagate):
                    body.field(letter, value)
            elif started:
                body.music(line)
            else:
                raise ValueError(f"{line.strip()[:40]!r} stands above the K: field")
        if not started:
            raise ValueError("the tune has no K: field: write for example K:C above the notes")
        return _score(body, fields, expand_repeats)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None


def _numbered(header: str, text: str, first_line: int) -> Iterator[tuple[int, str]]:
    """Yield each line with its number, to the first empty line; join `+:` to the line before."""
    lines = [(n, line) for n, line in enumerate(_NEWLINE.split(header), 1) if line.strip()]
    for n, line in enumerate(_NEWLINE.split(text), first_line):
        if line.strip():
            lines.append((n, line))
        elif lines and lines[-1][0] >= first_line:
            break
    for k, (n, line) in enumerate(lines):
        if line.startswith("+:"):
            continue
        while k + 1 < len(lines) and lines[k + 1][1].startswith("+:"):
            k += 1
            line += " " + lines[k][1][2:].strip()
        yield n, line


def _score(body: Body, fields: dict[str, list[str]], expand_repeats: bool) -> Score:
    voices = [lay_out(voice, expand_repeats) for voice in body.voices.values() if voice.lengths]
    notes = np.empty(sum(len(voice.pitch) for voice in voices), NOTE_DTYPE)
    notes["velocity"] = _VELOCITY
    end = 0
    for index, voice in enumerate(voices):
        part = notes[end : end + len(voice.pitch)]
        part["onset"], part["duration"], part["pitch"] = voice.onset, voice.duration, voice.pitch
        part["voice"] = index
        end += len(part)
    if len(voices) > 1:
        notes = notes[np.lexsort((notes["pitch"], notes["voice"], notes["onset"]))]
    notes.flags.writeable = False
    titles = [decode_text(title) for title in fields.get("T", [])]
    meta: dict[str, Any] = {"number": fields["X"][0]} if fields.get("X") else {}
    for letter, name in _TEXT_FIELDS.items():
        if fields.get(letter):
            meta[name] = "\n".join(map(decode_text, fields[letter]))
    for letter, name in (("M", "metre"), ("Q", "tempo")):
        if fields.get(letter):
            meta[name] = fields[letter][0]
    if titles[1:]:
        meta["titles"] = titles
    if any(voice.graces for voice in voices):
        meta["graces"] = [grace for voice in voices for grace in voice.graces]
    first = voices[0] if voices else Timeline(*([] for _ in Timeline._fields))
    return Score.trusted(
        notes,
        tempo=_from_start(first.tempo),
        metre=first.metre,
        key=first.key,
        title=titles[0] if titles else "",
        lyrics={i: voice.lyrics for i, voice in enumerate(voices) if voice.lyrics},
        meta=meta,
    )


def _from_start(tempo: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Hold the first tempo from the start on, where a Q: field comes only later."""
    return [(0.0, tempo[0][1]), *tempo[1:]] if tempo else []


def split_book(text: str) -> tuple[str, list[Tune]]:
    """Split a file into its file header and its tunes (section 2.2).

    Returns
    -------
    header : str
        The fields before the first tune that apply to all (section 2.2.2); "" if there are none.
    tunes : list of Tune
        In the file's order. Free text between tunes is left out when they're parsed.
    """
    parts = re.split(r"^(?=X:)", text, flags=re.MULTILINE)
    above = parts[0].lstrip("\ufeff")
    block = above.split("\n\n")[0]
    header = block if all(_HEADER.match(line) for line in block.split("\n")) else ""
    line = 1 + above.count("\n")
    tunes = []
    for part in parts[1:]:
        number = part[2 : part.find("\n")] if "\n" in part else part[2:]
        tunes.append(Tune(number.partition("%")[0].strip(), line, part))
        line += part.count("\n")
    return header, tunes


def read_book(
    path: str | Path, *, expand_repeats: bool = False, propagate: str | None = None
) -> list[Score]:
    """Read every tune of an ABC file; see `parse` for the options.

    The file is UTF-8, or else Latin-1.

    Raises
    ------
    ValueError
        With the path and the line's number, for a tune that can't be read; if there is no tune.
    """
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    header, tunes = split_book(text.replace("\r\n", "\n").replace("\r", "\n"))
    if not tunes:
        raise ValueError(f"{path}: no tune (an X: field at the start of a line) in this file")
    options = {"expand_repeats": expand_repeats, "propagate": propagate, "header": header}
    try:
        return [parse(tune.text, first_line=tune.line, **options) for tune in tunes]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
