"""Build scores once, load them in milliseconds ever after.

A cache file is an ``.npz`` without pickles. All notes of a data set lie in one array, cut at
``offsets``; everything else is a table of distinct values with one index per score, because most
pieces share their tempo and metre, and JSON is slow. The file's name carries the sha256 that the
package expects, so that a release which reads the sources better never meets an older cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mlmusic import _gc
from mlmusic.score import NOTE_DTYPE, Score

# Little-endian everywhere, so that the checksum means the same on every machine.
_LAYOUT = {
    "notes": NOTE_DTYPE.newbyteorder("<"),
    "offsets": np.dtype("<i8"),  # (scores + 1,)
    "index": np.dtype("<i4"),  # (columns, scores); -1: this score has no such label
    "lyric_lines": np.dtype("<i8"),  # (lines, 3): score, voice, number of syllables
    "lyric_onsets": np.dtype("<f8"),
    "tables": np.dtype("u1"),  # JSON in UTF-8
}
_FIELDS = ("tempo", "metre", "key", "programs", "title")


def folder() -> Path:
    """Return where caches live: ``MLMUSIC_CACHE``, or the system's place for them."""
    chosen = os.environ.get("MLMUSIC_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("mlmusic", appauthor=False)


def load(
    name: str,
    build: Callable[[], Iterable[Score]],
    *,
    sha256: str,
    total: int | None = None,
) -> list[Score]:
    """Load scores from the cache, or build them (with a progress bar) and keep them there.

    Safe when two processes build at once (each writes its own file, the last one stays), when
    the disk is full or the folder can't be written (the scores are returned all the same), and
    when a build is killed (a cache file appears whole or not at all).

    Parameters
    ----------
    name : str
        Which data set; the stem of the file's name.
    build : callable
        Makes the scores, in a fixed order.
    sha256 : str
        The checksum of the canonical arrays, as `checksum` computes it. Other content is used,
        with a warning.
    total : int, optional
        How many scores there will be, for the progress bar.

    Returns
    -------
    list of Score
        The same, to the last bit, whether built or loaded. Their note arrays are read-only
        views into one array.
    """
    path = folder() / f"{name}-{sha256[:16]}.npz"
    arrays, found = _read(path)
    if arrays is None:
        arrays = pack(_with_progress(build(), name, total))
        found = checksum(arrays)
        _write(path, arrays, found)
    if found != sha256:
        warnings.warn(
            f"{name}: the content differs from the one that the course was written with "
            f"(sha256 {found[:12]}… instead of {sha256[:12]}…), so results will differ too. "
            f"Install music21 9.9 or 10.5 unchanged, and delete {path}",
            stacklevel=3,
        )
    with _gc.paused():
        return unpack(arrays)


def checksum(arrays: dict[str, np.ndarray]) -> str:
    """Return the sha256 of packed scores: every array's shape and bytes, in the layout's order."""
    digest = hashlib.sha256()
    for name, dtype in _LAYOUT.items():
        array = np.ascontiguousarray(arrays[name], dtype=dtype)
        digest.update(f"{name}{array.shape}".encode())
        digest.update(array.data if array.dtype.names is None else array.view("u1").data)
    return digest.hexdigest()


# To arrays and back -------------------------------------------------------------------------


def pack(scores: Iterable[Score]) -> dict[str, np.ndarray]:
    """Turn scores into the arrays of a cache file.

    Labels in ``meta`` must be what JSON can hold (text, numbers, lists …).
    """
    scores = list(scores)
    columns: dict[str, list[Any]] = {name: [] for name in _FIELDS}
    labels = dict.fromkeys(label for score in scores for label in score.meta)
    columns.update({f"meta.{label}": [] for label in labels})
    lines, onsets, syllables = [], [], []
    for i, score in enumerate(scores):
        for name in _FIELDS:
            value = getattr(score, name)
            columns[name].append([*value.items()] if isinstance(value, dict) else value)
        for label in labels:
            columns[f"meta.{label}"].append(score.meta.get(label))
        for voice, line in score.lyrics.items():
            lines.append((i, voice, len(line)))
            onsets += [onset for onset, _ in line]
            syllables += [text for _, text in line]

    tables, index = {}, np.zeros((len(columns), len(scores)), _LAYOUT["index"])
    for row, (name, values) in zip(index, columns.items(), strict=True):
        table: dict[str, int] = {}
        row[:] = [
            -1 if value is None else table.setdefault(_to_json(value), len(table))
            for value in values
        ]
        tables[name] = [json.loads(text) for text in table]

    return {
        "notes": np.concatenate(
            [np.zeros(0, _LAYOUT["notes"]), *(score.notes for score in scores)],
            dtype=_LAYOUT["notes"],
        ),
        "offsets": np.cumsum([0] + [len(score.notes) for score in scores], dtype="<i8"),
        "index": index,
        "lyric_lines": np.array(lines, _LAYOUT["lyric_lines"]).reshape(-1, 3),
        "lyric_onsets": np.array(onsets, _LAYOUT["lyric_onsets"]),
        "tables": np.frombuffer(
            _to_json({"columns": tables, "syllables": syllables}).encode(), np.uint8
        ),
    }


def unpack(arrays: dict[str, np.ndarray]) -> list[Score]:
    """Turn the arrays of a cache file into scores again."""
    notes = arrays["notes"].astype(NOTE_DTYPE, copy=False)
    notes.setflags(write=False)
    tables = json.loads(arrays["tables"].tobytes())
    columns = {}
    for (name, table), row in zip(tables["columns"].items(), arrays["index"].tolist(), strict=True):
        if name in ("tempo", "metre", "key"):
            table = [[tuple(entry) for entry in value] for value in table]
        columns[name] = [None if i < 0 else table[i] for i in row]

    labels = [name.removeprefix("meta.") for name in columns if name.startswith("meta.")]
    label_rows = _rows([columns[f"meta.{label}"] for label in labels], len(arrays["offsets"]) - 1)
    field_rows = _rows([columns[name] for name in _FIELDS], len(arrays["offsets"]) - 1)
    offsets = arrays["offsets"].tolist()
    scores = []
    for start, stop, fields, values in zip(
        offsets, offsets[1:], field_rows, label_rows, strict=False
    ):
        tempo, metre, key, programs, title = fields
        scores.append(
            Score.trusted(
                notes[start:stop],
                # Copies, here and below, so that changing one score changes no other.
                tempo=tempo.copy(),
                metre=metre.copy(),
                key=key.copy(),
                programs=dict(programs),
                title=title,
                meta={
                    label: value.copy() if type(value) in (list, dict) else value
                    for label, value in zip(labels, values, strict=True)
                    if value is not None
                },
            )
        )

    syllables = zip(arrays["lyric_onsets"].tolist(), tables["syllables"], strict=True)
    pairs, start = list(syllables), 0
    for i, voice, count in arrays["lyric_lines"].tolist():
        scores[i].lyrics[voice] = pairs[start : start + count]
        start += count
    return scores


def _rows(columns: list[list[Any]], count: int) -> Iterable[tuple[Any, ...]]:
    return zip(*columns, strict=True) if columns else [()] * count


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


# To disk and back ---------------------------------------------------------------------------


def _read(path: Path) -> tuple[dict[str, np.ndarray] | None, str]:
    """Read a cache file and its checksum; None where there is none that can be trusted."""
    if not path.exists():
        return None, ""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _LAYOUT}
            arrays["notes"] = arrays["notes"].view(_LAYOUT["notes"])
            found = checksum(arrays)
            intact = found == file["sha256"].tobytes().decode()
    except Exception:  # there is no end to what a damaged file makes zipfile and numpy raise
        intact = False
    if not intact:
        print(f"{path} is damaged: building it again", file=sys.stderr)
        return None, ""
    return arrays, found


def _write(path: Path, arrays: dict[str, np.ndarray], digest: str) -> None:
    """Write a cache file whole or not at all; a failure costs time at the next use, no more."""
    part = path.with_name(f"{path.stem}-{os.getpid()}-{time.time_ns()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        # numpy reads plain bytes several times faster than records.
        plain = {**arrays, "notes": arrays["notes"].view("u1")}
        with part.open("xb") as file:
            np.savez(file, sha256=np.frombuffer(digest.encode(), np.uint8), **plain)
        os.replace(part, path)
    except OSError as error:
        print(f"can't cache {path.name} in {path.parent}: {error}", file=sys.stderr)
    finally:
        part.unlink(missing_ok=True)


def _remove_abandoned(path: Path) -> None:
    """Remove what killed builds left, unless it's so young that another process may be at it."""
    for part in path.parent.glob(f"{path.stem}*.part"):
        if time.time() - part.stat().st_mtime > 3600:
            part.unlink(missing_ok=True)


def _with_progress(scores: Iterable[Score], name: str, total: int | None) -> Iterable[Score]:
    from tqdm.auto import tqdm

    return tqdm(scores, desc=f"Reading {name}, once", total=total, unit="piece")
