"""Find the files in folders and zips, and read them, without unpacking anything.

Members of a zip are read where they are, so names such as ``../../x`` harm nobody. What is read is
bounded, so a zip bomb costs little. Links that lead out of a folder aren't followed.
"""

from __future__ import annotations

import calendar
import contextlib
import glob
import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlmusic.grading.runs import schemes

MAX_FILE = 200_000_000  # bytes of one file: the most that a zip bomb can cost
MAX_TOTAL = 20_000_000_000  # bytes of all the notebooks of one zip
MAX_MEMBERS = 100_000
_ZIPS = 2  # a class's zip, and in it the zip that a student handed in

_JUNK = re.compile(r"\.|~\$|(__MACOSX|__pycache__|Thumbs\.db|desktop\.ini|timestamp\.txt)$", re.I)
_HIDDEN = re.compile(r"\.(?!_)")  # ._ada.ipynb is what macOS keeps beside ada.ipynb
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, KeyError)


class Unreadable(Exception):
    """What was handed in can't be read; the message says why, for the instructor."""


@dataclass(frozen=True)
class Entry:
    """One file that was found, and how to read it.

    Parameters
    ----------
    parts : tuple of str
        Its folders and its name, those that the instructor named included. A zip counts as a
        folder.
    given : int
        How many of the folders the instructor named.
    time : float
        When it was last changed, in seconds.
    read : callable
        Returns its bytes, or raises `Unreadable`.
    fault : str
        Why it can't be what it seems to be: for a zip that can't be opened.
    hidden : bool
        Whether it is a notebook whose name begins with a dot: somebody ought to know, since file
        managers show none.
    """

    parts: tuple[str, ...]
    given: int
    time: float
    read: Callable[[], bytes] = field(compare=False)
    fault: str = ""
    hidden: bool = False

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.parts[-1]


def _text(name: str) -> str:
    """Return a file's name with U+FFFD for the bytes that aren't text."""
    return os.fsencode(name).decode("utf-8", "replace")


def expanded(paths: Sequence[str | Path]) -> Iterator[Path]:
    """Expand patterns, which Windows leaves to the program."""
    for path in map(Path, paths):
        matches = [] if path.exists() else sorted(glob.glob(str(path)))
        yield from map(Path, matches or [path])


def find(path: Path, avoid: set[str], refuse: Callable[[str], None]) -> Iterator[Entry]:
    """Find what is in a folder or a zip that the instructor named, or the file itself.

    Parameters
    ----------
    path : Path
        The folder, the zip or the file.
    avoid : set of str
        Real paths of files and folders to leave alone, unless `path` names one.
    refuse : callable
        Takes one line about each folder that couldn't be looked into.

    Returns
    -------
    iterator of Entry

    Raises
    ------
    FileNotFoundError, PermissionError, ValueError
        If `path` itself is missing, can't be opened, or is a zip that can't be read.
    """
    real = os.path.realpath(path)
    parts = tuple(map(_text, Path(real).parts))
    try:
        status = os.stat(real)
        if stat.S_ISDIR(status.st_mode):
            os.listdir(real)  # a folder that can't be opened is a fault; one below it, a flag
        elif stat.S_ISREG(status.st_mode):
            open(real, "rb").close()
        else:
            raise ValueError(f"{path} is neither a folder nor a file")
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no folder, notebook or zip {path}") from None
    except PermissionError as error:
        raise PermissionError(f"{path} {_reason(error)}") from None
    if stat.S_ISDIR(status.st_mode):
        for entry in _folder(real, parts, avoid, refuse):
            yield from _unpacked(entry, _ZIPS)
        return
    file = Entry(parts, len(parts) - 1, status.st_mtime, _File(real))
    for entry in _unpacked(file, _ZIPS):
        if entry.fault and entry.parts == parts:
            raise ValueError(f"{path}: {entry.fault}")
        yield replace(entry, given=min(len(parts), len(entry.parts) - 1))


def _folder(
    root: str, parts: tuple[str, ...], avoid: set[str], refuse: Callable[[str], None]
) -> Iterator[Entry]:
    """Find the files below a folder, and follow no link out of it."""

    def refused(error: OSError) -> None:
        where = _text(os.path.relpath(error.filename or root, root))
        refuse(f"the folder {where} {_reason(error)}")

    for folder, folders, files in os.walk(root, onerror=refused):
        below = tuple(map(_text, Path(os.path.relpath(folder, root)).parts))
        kept = []
        for name in sorted(folders):
            path = os.path.join(folder, name)
            if _JUNK.match(name) or os.path.realpath(path) in avoid:
                continue
            if os.path.islink(path):
                where = "/".join((*below, _text(name)))
                refuse(f"the link {where} isn't followed")
                continue
            kept.append(name)
        folders[:] = kept
        for name in files:
            path = os.path.join(folder, name)
            real = os.path.realpath(path)
            where = (*parts, *below, _text(name))
            hidden = _is_hidden(where[-1])
            if (_JUNK.match(name) and not hidden) or real in avoid:
                continue
            if os.path.islink(path) and not Path(real).is_relative_to(root):
                yield _broken(where, len(parts), "a link out of the folder, which isn't followed")
                continue
            try:
                status = os.stat(path)
            except OSError as error:
                yield _broken(where, len(parts), _reason(error))
                continue
            if stat.S_ISREG(status.st_mode):
                found = Entry(where, len(parts), status.st_mtime, _File(path))
                yield _passed_over(found) if hidden else found
            else:
                yield _broken(where, len(parts), "not a file but a pipe, a socket or a device")


@dataclass(frozen=True)
class _File:
    """Reads a file on disk."""

    path: str

    def __call__(self) -> bytes:
        try:
            with open(self.path, "rb") as file:
                return _bounded(file)
        except OSError as error:
            raise Unreadable(_reason(error)) from None

    def archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)


@dataclass(frozen=True)
class _Member:
    """Reads a file in a zip, which may be in a zip itself."""

    zip: _File | _Member
    index: int

    def __call__(self) -> bytes:
        try:
            with self.zip.archive() as archive:
                member = archive.infolist()[self.index]
                if member.flag_bits & 0x1:
                    raise Unreadable("encrypted with a password")
                with archive.open(member) as file:
                    return _bounded(file)
        except OSError as error:
            raise Unreadable(_reason(error)) from None
        except (*_DAMAGED, IndexError):
            raise Unreadable("damaged in the zip") from None

    def archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(self()))


@dataclass(frozen=True)
class _Nothing:
    """Says why a file isn't read."""

    fault: str

    def __call__(self) -> bytes:
        raise Unreadable(self.fault)


def _is_hidden(name: str) -> bool:
    return bool(_HIDDEN.match(name)) and schemes.is_notebook(name)


def _passed_over(entry: Entry) -> Entry:
    return replace(entry, hidden=True, fault="a hidden file, not graded: rename it if it should be")


def _broken(parts: tuple[str, ...], given: int, fault: str, time: float = 0.0) -> Entry:
    return Entry(parts, given, time, _Nothing(fault), fault)


def _bounded(file: io.BufferedIOBase | zipfile.ZipExtFile) -> bytes:
    data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise Unreadable(f"larger than {MAX_FILE // 1_000_000} MB")
    return data


def _reason(error: OSError) -> str:
    return f"can't be read: {(error.strerror or type(error).__name__).lower()}"


def _unpacked(entry: Entry, levels: int) -> Iterator[Entry]:
    """Return what is in a zip instead of the zip, and any other file as it is."""
    if entry.fault or not levels or not entry.name.lower().endswith(".zip"):
        yield entry
        return
    try:
        with entry.read.archive() as archive:
            members = archive.infolist()
    except Unreadable as error:
        yield _broken(entry.parts, entry.given, str(error), entry.time)
        return
    except (*_DAMAGED, OSError):
        yield _broken(entry.parts, entry.given, "not a zip, or a damaged one", entry.time)
        return
    if len(members) > MAX_MEMBERS:
        fault = f"a zip of more than {MAX_MEMBERS:,} files"
        yield _broken(entry.parts, entry.given, fault, entry.time)
        return
    total, empty = 0, True
    for index, member in enumerate(members):
        names = _member_names(member)
        if member.is_dir() or not names or any(map(_JUNK.match, names[:-1])):
            continue
        hidden = _is_hidden(names[-1])
        if _JUNK.match(names[-1]) and not hidden:
            continue
        empty = False
        parts, time = (*entry.parts, *names), _member_time(member)
        if schemes.is_notebook(names[-1]):
            total += member.file_size
        if total > MAX_TOTAL:
            fault = f"in a zip that unpacks to more than {MAX_TOTAL // 10**9} GB"
            yield _broken(parts, entry.given, fault, time)
        elif stat.S_ISLNK(member.external_attr >> 16):
            yield _broken(parts, entry.given, "a link, which isn't followed", time)
        else:
            found = Entry(parts, entry.given, time, _Member(entry.read, index))
            if hidden:
                yield _passed_over(found)
                continue
            yield from _unpacked(found, levels - 1)
    if empty:
        yield _broken(entry.parts, entry.given, "an empty zip", entry.time)


def _member_names(member: zipfile.ZipInfo) -> list[str]:
    """Return a member's folders and name, without anything that leads out of the zip."""
    name = member.filename
    if not member.flag_bits & 0x800:  # not marked as UTF-8; macOS writes UTF-8 all the same
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    names = name.replace("\\", "/").split("/")
    return [part for part in names if part not in ("", ".", "..") and not part.endswith(":")]


def _member_time(member: zipfile.ZipInfo) -> float:
    try:
        return float(calendar.timegm((*member.date_time, 0, 0, 0)))
    except ValueError:  # month 0
        return 0.0
