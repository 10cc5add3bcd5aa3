"""What a grading run writes: a file a result, ``grades.csv`` and ``flags.csv``."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from mlmusic.grading.overrides import Totals
from mlmusic.grading.runs.collect import Flag

FORMAT = 1
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how spreadsheets tell one
_COLUMNS = ("submission", "student", "score", "points")
# Windows has these for its devices, whatever comes after a dot.
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|$)", re.I)
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]')
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff]")
_LONGEST = 120  # bytes: ``.json`` and what other programs add must fit into 255


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """Return a file name for each submission that is safe on every operating system.

    A name that is safe stays as it is. One that had to be changed, or that a file system can't
    tell from another (upper and lower case, composed letters), ends in a part of its hash.

    Parameters
    ----------
    names : iterable of str
        The submissions' names, which are unique.

    Returns
    -------
    dict of str to str
        From each name to the file's name, without an ending.
    """
    names = list(names)
    same = Counter(_folded(name) for name in names)
    safe: dict[str, str] = {}
    for name in names:
        plain = unicodedata.normalize("NFC", _UNSAFE.sub("_", name))
        short = plain.encode()[:_LONGEST].decode(errors="ignore").strip(" .") or "_"
        if _DEVICE.match(short):
            short = f"_{short}"
        if short != unicodedata.normalize("NFC", name) or same[_folded(name)] > 1:
            short += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
        safe[name] = short
    return safe


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def to_bytes(content: Any) -> bytes:
    """Return JSON whose bytes depend on nothing but the content."""
    return (json.dumps(content, sort_keys=True, indent=1) + "\n").encode()


def slim(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result without what the students wrote and plotted, which is most of it."""
    tasks = [{**task, "answer": "", "outputs": []} for task in result["tasks"]]
    return {**result, "tasks": tasks}


def grades_csv(rows: Sequence[tuple[str, str, Totals]], tasks: Sequence[str]) -> bytes:
    """Return the content of grades.csv.

    Parameters
    ----------
    rows : sequence of (submission, student, totals)
        In the order of the file.
    tasks : sequence of str
        The tasks' ids. A task that waits for grading by hand has an empty cell.
    """
    headings = [f"task {name}" if name in _COLUMNS else name for name in tasks]
    table = [[*_COLUMNS, *headings]]
    for submission, student, totals in rows:
        scores = (number(totals.tasks.get(name)) for name in tasks)
        table.append([submission, student, number(totals.score), number(totals.points), *scores])
    return _csv(table)


def flags_csv(flags: Sequence[Flag]) -> bytes:
    """Return the content of flags.csv; what a spreadsheet took for a formula gets an apostrophe."""
    table: list[Sequence[str]] = [("submission", "student", "flag", "detail")]
    for flag in flags:
        detail = " ".join(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", flag.detail).split())
        table.append((*flag[:3], f"'{detail}" if detail.startswith(FORMULA) else detail))
    return _csv(table)


def number(value: float | None) -> str:
    """Write points as a short, exact decimal; "" for none."""
    if value is None:
        return ""
    text = f"{round(value, 6):.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _csv(table: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    plain, quoted = (
        csv.writer(text, lineterminator="\n", quoting=quoting)
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    )
    for row in table:
        # Older versions of csv leave a carriage return, which ends a row, without quotes.
        (quoted if any("\r" in cell for cell in row) else plain).writerow(row)
    return text.getvalue().encode()
