"""Scores from and to files, by the ending of the name. Imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlmusic.score import Score

READABLE = (".mid", ".midi", ".musicxml", ".mxl", ".xml", ".abc")
WRITABLE = (".html", ".wav", ".mp3", ".mid")


def read(path: Path, number: int = 1) -> Score:
    """Read a score from a file of any of the formats in `READABLE`.

    Parameters
    ----------
    path : Path
    number : int
        Which tune of an ABC book, from 1.

    Raises
    ------
    ValueError
        If the ending is unknown, the file is damaged, or has no such tune or no notes.
    FileNotFoundError
        If there is no such file.
    """
    suffix = path.suffix.lower()
    if suffix not in READABLE:
        raise ValueError(f"can't read {path.name}: the formats are {', '.join(READABLE)}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if suffix in (".mid", ".midi"):
        from mlmusic.score import Score

        score = Score.from_midi(path)
    elif suffix == ".abc":
        from mlmusic.readers import abc

        tunes = abc.read_book(path)
        if not 1 <= number <= len(tunes):
            raise ValueError(f"{path.name} has {len(tunes)} tunes: there is no number {number}")
        score = tunes[number - 1]
    else:
        from mlmusic.readers import musicxml

        score = musicxml.read(path)
    if not len(score):
        raise ValueError(f"{path} has no notes")
    return score


def writable(path: Path) -> Path:
    """Return a path to write to.

    Raises
    ------
    ValueError
        If its ending isn't one of `WRITABLE`.
    """
    if path.suffix.lower() not in WRITABLE:
        raise ValueError(f"can't write {path.name}: name a file ending in {', '.join(WRITABLE)}")
    return path


def write(score: Score, path: Path, title: str) -> None:
    """Write a score as a page, as sound, or as MIDI.

    Parameters
    ----------
    score : Score
    path : Path
        With one of the endings in `WRITABLE`.
    title : str
        Heads the page of a score that has none.

    Raises
    ------
    ValueError
        If the ending is unknown.
    OSError
        If the file can't be written.
    """
    suffix = writable(path).suffix.lower()
    if suffix == ".mid":
        path.write_bytes(score.midi_bytes())
    elif suffix == ".html":
        from html import escape

        from mlmusic.player import play

        name = score.title or title
        path.write_text(
            f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{escape(name)}</title>'
            f"<h1>{escape(name)}</h1>\n{play(score, title=name)._repr_html_()}\n</html>\n",
            encoding="utf-8",
        )
    else:
        from mlmusic.audio import SAMPLE_RATE, encode, synthesize

        path.write_bytes(encode(synthesize(score), SAMPLE_RATE, format=suffix[1:]))
