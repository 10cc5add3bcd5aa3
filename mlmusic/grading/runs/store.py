"""The folder of the grades, OUT: the memory of a batch.

``results/`` holds one result for each row of grades.csv; ``attempts/`` holds those that don't count
now, of other attempts or of submissions that weren't named again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from mlmusic.grading import files
from mlmusic.grading.runs import formats


class Store:
    """The results of a batch, on disk.

    Parameters
    ----------
    out : Path
        The folder of the grades.
    names : iterable of str
        The submissions of this run.

    Attributes
    ----------
    scores : dict of str to float
        Of the submissions whose result is there.
    """

    def __init__(self, out: Path, names: Iterable[str]) -> None:
        self.out = out
        self.scores: dict[str, float] = {}
        self._paths: dict[str, Path] = {}
        self._names = formats.safe_names(names)

    def load(self, is_good: Callable[[str, Mapping[str, Any]], bool]) -> None:
        """Find the results of earlier runs that are still good.

        Parameters
        ----------
        is_good : callable
            Takes a submission's name and its result.
        """
        for folder in ("results", "attempts"):
            for path in sorted((self.out / folder).glob("*.json")):
                result = self._read(path)
                name = result.get("submission", "")
                if name in self._names and name not in self.scores and is_good(name, result):
                    self.scores[name], self._paths[name] = result["score"], path

    def save(self, result: dict[str, Any], *, counts: bool) -> None:
        """Write a result; `counts` says whether it is already known to count.

        Raises
        ------
        OSError
            If it can't be written. What was there before still is.
        """
        name = result["submission"]
        path = self._path(name, counts)
        self._page(path).unlink(missing_ok=True)  # it tells of the result before
        files.write(path, formats.to_bytes(result))
        self.scores[name], self._paths[name] = result["score"], path

    def settle(self, counting: Iterable[str]) -> None:
        """Put the results of some submissions into ``results/``, and all others out of it."""
        counting = set(counting)
        for name, path in self._paths.items():
            self._paths[name] = self._move(path, self._path(name, name in counting))
        now = set(self._paths.values())
        for path in sorted((self.out / "results").glob("*.json")):
            if path not in now:
                self._move(path, self.out / "attempts" / path.name)

    def _path(self, name: str, counts: bool) -> Path:
        folder = self.out / ("results" if counts else "attempts")
        folder.mkdir(exist_ok=True)
        return folder / f"{self._names[name]}.json"

    def _move(self, path: Path, target: Path) -> Path:
        if path != target:
            target.parent.mkdir(exist_ok=True)
            os.replace(path, target)
            self._page(path).unlink(missing_ok=True)
        return target

    def _page(self, path: Path) -> Path:
        """Return where the feedback of a result is."""
        return self.out / "feedback" / f"{path.stem}.html"

    def _read(self, path: Path) -> dict[str, Any]:
        """Return a result; nothing if it isn't one, so that it is graded again."""
        result = read_json(path)
        good = result.get("format") == formats.FORMAT and isinstance(result.get("flags"), list)
        return result if good and isinstance(result.get("provenance"), dict) else {}


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one if there is none."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other runs out of a folder, until this one ends in whatever way.

    Raises
    ------
    RuntimeError
        If another run is at it.
    """
    with open(out / ".lock", "ab") as file:
        if not _lock(file):
            raise RuntimeError(
                f"another run is grading into {out}: wait until it ends, or choose another -o"
            )
        yield


def _lock(file: IO[bytes]) -> bool:
    """Lock a file for this process; the system frees it when the process ends."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a network's file system without locks: nothing can be known there
        return True
    return True
