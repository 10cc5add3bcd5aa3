"""How release, grade and export say what is wrong: in one line that tells what to do."""

from __future__ import annotations

import argparse
import difflib
import errno
import os
import shlex
from pathlib import Path
from typing import NoReturn

_REASONS = {
    errno.ENOENT: "there is no file or folder {}: check the name",
    errno.EEXIST: "{} is a file where a folder is needed: choose another name",
    errno.ENOTDIR: "{} lies in a file, which isn't a folder: choose another name",
    errno.EISDIR: "{} is a folder where a file is needed: choose another name",
    errno.EACCES: "you may not read or write {}: change its permissions or choose another place",
    errno.EROFS: "the disk of {} can't be written to: choose another place",
    errno.ENOSPC: "the disk of {} is full: make room, then run the same command again",
    errno.ENAMETOOLONG: "the name {} is too long: choose a shorter one",
}
_REASONS[errno.EPERM] = _REASONS[errno.EACCES]
_REASONS[errno.EDQUOT] = _REASONS[errno.ENOSPC]
_UNKNOWN = "unrecognized arguments: "  # argparse's


class Parser(argparse.ArgumentParser):
    """Reads options, and says what is wrong with them in one line instead of the usage's seven."""

    def error(self, message: str) -> NoReturn:
        """End with exit status 2."""
        if message.startswith(_UNKNOWN):
            first = message.removeprefix(_UNKNOWN).split(" ")[0]
            message = f"{first!r} is one argument too many"
            if first.startswith("-"):
                known = [name for action in self._actions for name in action.option_strings]
                near = difflib.get_close_matches(first.split("=")[0], known, n=1)
                message = f"there is no option {first}{f', is it {near[0]}?' if near else ''}"
        self.exit(2, f"{self.prog}: {message} (options: {self.prog} --help)\n")


def typed(path: str | Path) -> str:
    """Return a path as it is typed in a shell: in quotes if it has blanks."""
    return shlex.quote(str(path))


def in_words(error: BaseException) -> str:
    """Return an error as one line; what the system says about a file in words for people."""
    name = getattr(error, "filename", None)
    if not isinstance(error, OSError) or name is None:
        return " ".join(str(error).split())
    name = os.fspath(name) if isinstance(name, os.PathLike) else name
    name = os.fsdecode(name) if isinstance(name, (str, bytes)) else str(name)
    if error.errno in _REASONS:
        return _REASONS[error.errno].format(name)
    return f"{name}: {(error.strerror or str(error)).lower()}"


def check_folder(folder: str | Path, option: str) -> None:
    """Raise ValueError unless a folder is there, or can be made, and files can be put into it.

    Parameters
    ----------
    folder : path
        The folder.
    option : str
        The option that chooses it, for the message.
    """
    folder = Path(folder)
    there = next(filter(os.path.lexists, (folder, *folder.parents)), folder)
    if not there.is_dir():
        raise ValueError(f"{there} is a file where a folder is needed: choose another {option}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"you may not write into the folder {there}: choose another {option}")
