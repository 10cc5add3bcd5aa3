"""What a student's processes use: files, memory, threads, as /proc and the folders tell."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator

MOST_FILES = 5_000
_TOO_MUCH = 1 << 62

_DELETED = re.compile(r" (\d+) +(/\S.*) \(deleted\)$")


# Files ----------------------------------------------------------------------------------------


def files(folder: str) -> tuple[int, int]:
    """Return the bytes and the number of files in a folder.

    What can't be looked into (too deep for a path, or closed) counts as too much. Nothing is
    changed to look deeper: whoever owns the folder may be at work in it, and put a link there.
    """
    size = count = 0
    folders = [folder]
    while folders and count <= MOST_FILES:
        path = folders.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    count += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
        except (FileNotFoundError, NotADirectoryError):
            continue  # gone, or something else by now
        except OSError:
            return _TOO_MUCH, count
    return size, count


def unlinked(pid: int, folder: str, largest: int) -> int:
    """Return the bytes of files that a process has removed but still holds, open or mapped.

    A mapped one counts as the largest that a file may be.
    """
    held: dict[int, int] = {}
    with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", errors="replace") as lines:
        for line in lines:
            found = _DELETED.search(line.rstrip("\n"))
            if found and found[2].startswith(folder):
                held[int(found[1])] = largest
    with contextlib.suppress(OSError):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                about = os.stat(f"/proc/{pid}/fd/{entry}")
                if stat.S_ISREG(about.st_mode) and about.st_nlink == 0:
                    held[about.st_ino] = about.st_blocks * 512
    return sum(held.values())


def wipe(folder: str) -> None:
    """Empty a folder, however deep it is and whatever its permissions are.

    Nobody else may be at work in it. Folders are lifted to the top one level at a time, so that
    neither recursion nor the length of a path can overflow; links are removed, not followed.

    Raises
    ------
    OSError
        If something can't be removed.
    """
    number = 0
    while names := os.listdir(folder):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isdir(path):
                os.unlink(path)
                continue
            os.chmod(path, 0o700)
            with os.scandir(path) as entries:
                inner = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
            for entry_path, is_folder in inner:
                if not is_folder:
                    os.unlink(entry_path)
                    continue
                os.chmod(entry_path, 0o700)  # its entry ".." is about to change
                target = os.path.join(folder, f"lifted-{number}")
                while os.path.lexists(target):
                    number += 1
                    target = os.path.join(folder, f"lifted-{number}")
                os.rename(entry_path, target)
            os.rmdir(path)


def snapshot(folder: str) -> dict[str, bytes | None]:
    """Read all files of a folder: contents by relative path, None for a folder; links are left."""
    found: dict[str, bytes | None] = {}
    for path, folders, names in os.walk(folder):
        for name in folders:
            full = os.path.join(path, name)
            if not os.path.islink(full):
                found[os.path.relpath(full, folder)] = None
        for name in names:
            full = os.path.join(path, name)
            if stat.S_ISREG(os.lstat(full).st_mode):
                with open(full, "rb") as file:
                    found[os.path.relpath(full, folder)] = file.read()
    return found


def restore(folder: str, files: dict[str, bytes | None]) -> None:
    """Write the files of a snapshot into an empty folder."""
    for name, content in files.items():  # a folder stands before what is in it
        path = os.path.join(folder, name)
        if content is None:
            os.mkdir(path)
        else:
            with open(path, "wb") as file:
                file.write(content)


# Processes ------------------------------------------------------------------------------------


def everybody() -> list[int]:
    """List all processes but the first one and this one: in a PID namespace, the student's."""
    pids: set[int] = set()
    with contextlib.suppress(OSError):
        pids = {int(name) for name in os.listdir("/proc") if name.isdigit()}
    return sorted(pids - {1, os.getpid()})


def children(parent: int) -> list[int]:
    """List the processes whose parent a process is."""
    return [pid for pid in everybody() if f"PPid:\t{parent}\n" in _status(pid)]


def _status(pid: int | str) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", errors="replace") as file:
        return file.read()
    return ""


def threads(pids: Iterable[int]) -> int:
    """Count the threads of processes."""
    return sum(_numbers(_status(pid), "Threads") for pid in pids)


def memory(pids: Iterable[int | str], *, shared_once: bool = False) -> int:
    """Return the bytes of memory that processes fill, files aside.

    Parameters
    ----------
    pids : iterable of int
    shared_once : bool
        Share the memory that several processes have in common out among them: exact, but slower.
        Processes that don't show it are counted as if nothing were shared.
    """
    total = 0
    for pid in pids:
        if shared_once:
            with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
                total += _numbers(file.read(), "Pss_Anon", "Pss_Shmem") << 10
                continue  # else it is counted below
        total += _numbers(_status(pid), "RssAnon", "RssShmem") << 10
    return total


def _numbers(text: str, *names: str) -> int:
    """Add up some entries of a file in /proc that has a name, a colon and a number a line."""
    return sum(_named(text, names))


def _named(text: str, names: tuple[str, ...]) -> Iterator[int]:
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in names:
            yield int(rest.split()[0])
