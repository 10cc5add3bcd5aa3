"""Files that are whole or not there, and folders that are named after students."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)  # Windows won't have these


def write(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OSError
        If it can't be written; an older file of that name is still there then.
    """
    path = Path(path)
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_bytes(data)
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def folder_names(students: Iterable[str]) -> dict[str, str]:
    """Return a folder's name for each student, which any file system takes and nobody shares.

    An id comes from the name of a file that a student chose: it may be ``../..`` or ``NUL``.

    Parameters
    ----------
    students : iterable of str
        Their ids.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for student in sorted(set(students)):
        plain = unicodedata.normalize("NFC", student)
        name = "".join(c if c.isalnum() or c in "-_.@ " else "_" for c in plain)[:100].strip(". ")
        if not name or _RESERVED.fullmatch(name):
            name = f"_{name}"
        unique, number = name, 2
        while unique.casefold() in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique.casefold())
        names[student] = unique
    return names
