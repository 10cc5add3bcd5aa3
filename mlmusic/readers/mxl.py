"""Open MusicXML files, plain or compressed, and trust none of them."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile
import zlib
from pathlib import Path

MAX_BYTES = 64 * 2**20
"""Larger documents, unpacked, are refused: a zip of some kilobytes may hold gigabytes."""


def root(path: Path) -> ET.Element:
    """Return the root element of the score in a file.

    Raises
    ------
    ValueError
        If it isn't XML or a compressed score, is damaged, too large, or defines entities.
    """
    return _parse(document(path))


def document(path: Path) -> bytes:
    """Return the score's XML, unpacked if it comes in a zip (``.mxl``).

    Raises
    ------
    ValueError
        If it's damaged, not MusicXML or too large.
    """
    with path.open("rb") as file:
        data = _limited(file.read(MAX_BYTES + 1))
    if not data.startswith(b"PK"):
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            container = _parse(_member(archive, "META-INF/container.xml"))
            names = [file.get("full-path") for file in container.iter("rootfile")]
            if not names or not names[0]:
                raise ValueError("META-INF/container.xml doesn't say which file is the score")
            return _member(archive, names[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"the zip file is damaged ({error})") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted; exotic compression
        raise ValueError(f"the zip file can't be unpacked ({error})") from None


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as file:
            # Never more than this, whatever size the directory claims.
            return _limited(file.read(MAX_BYTES + 1))
    except KeyError:
        raise ValueError(f"the zip file has no {name}, so it isn't compressed MusicXML") from None


def _limited(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise ValueError(f"it's larger than {MAX_BYTES // 2**20} MB")
    return data


def _parse(data: bytes) -> ET.Element:
    # Without entity definitions no text can grow; NULs are what UTF-16 puts between letters.
    if b"<!ENTITY" in data.replace(b"\0", b""):
        raise ValueError("it defines XML entities, which MusicXML doesn't need: refused")
    try:
        return ET.fromstring(data)
    except (ET.ParseError, LookupError) as error:  # LookupError: an unknown encoding
        raise ValueError(f"it isn't well-formed XML ({error})") from None
