"""What was asked where a person grades: the question, how to mark it, and what there is to see.

A batch keeps it in ``run.json``, so that the page for grading by hand has it beside the answers.
"""

from __future__ import annotations

import re
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from mlmusic.grading.source.assignment import heading
from mlmusic.grading.source.cells import CODE_STUB, TEXT_STUB

if TYPE_CHECKING:
    from mlmusic.grading.source.assignment import Assignment
    from mlmusic.grading.source.cells import SourceCell

_STUBS = {TEXT_STUB, *CODE_STUB.split("\n")}
_REGION = r"^[^\n]*BEGIN {0}[^\n]*\n(.*?)^[^\n]*END {0}"
_SOUNDS = re.compile(r"\b(?:play|Audio|Player)\(")
_DRAWS = re.compile(r"\b(?:plt|ax|axes|fig|figure)\.|\b\w*(?:plot|imshow|draw|display|show)\w*\(")


def questions(assignment: Assignment) -> dict[str, dict[str, Any]]:
    """Return what was asked in each item that is graded by hand.

    Parameters
    ----------
    assignment : Assignment
        The source.

    Returns
    -------
    dict of str to dict
        By the item's id: ``question`` and ``scheme``, lists of ``{"kind", "text"}`` (the kind is
        "markdown" or "code"), ``is_answer`` (whether the scheme is only the source's own answer),
        and ``shows``, what the code there shows: "picture", "picture or sound" or "".
    """
    found = {}
    for place, cell in enumerate(assignment.program):
        if cell.role not in ("manual", "task"):
            continue
        question = _question(assignment.program, place)
        scheme, is_answer = _scheme(cell)
        found[cell.id] = {
            "question": question,
            "scheme": scheme,
            "is_answer": is_answer,
            "shows": _shows(cell, question),
        }
    return found


def _shows(cell: SourceCell, question: list[dict[str, str]]) -> str:
    """Say what a notebook in which everything was run shows at an item, as far as one can tell."""
    if cell.role == "task":  # it is answered in cells of the student's own
        return ""
    code = cell.source
    if cell.kind != "code":
        code = "\n".join(part["text"] for part in question if part["kind"] == "code")
    if _SOUNDS.search(code):
        return "picture or sound"
    return "picture" if _DRAWS.search(code) else ""


def _question(program: tuple[SourceCell, ...], place: int) -> list[dict[str, str]]:
    """Return what students read from the nearest heading down to an item, and the item's own text.

    Without a heading it is what stands between the item and the graded cell above it.
    """
    cell = program[place]
    lines = [line for line in cell.released.split("\n") if line.strip() not in _STUBS]
    own = _part(cell, "\n".join(lines))
    parts = [own]
    if heading(own["text"]) and cell.kind != "code":
        return _without_title(parts)
    since = None  # how many parts there were at the nearest graded cell
    for other in reversed(program[:place]):
        if other.role not in ("text", "public"):
            since = len(parts) if since is None else since
            continue
        parts.insert(0, _part(other, other.released))
        if other.role == "text" and heading(other.released):
            return _without_title(parts)
    near = parts[-since:] if since else []
    return _without_title(near if any(part["text"] for part in near) else parts)


def _part(cell: SourceCell, text: str) -> dict[str, str]:
    return {"kind": "code" if cell.kind == "code" else "markdown", "text": text.strip()}


def _without_title(parts: list[dict[str, str]]) -> list[dict[str, str]]:
    """Leave out the heading that everything begins with: pages have it above."""
    if parts[0]["kind"] == "markdown":
        text = re.sub(r"\A#{1,6}[ \t]+.*\n*", "", parts[0]["text"])
        parts = [{**parts[0], "text": text}, *parts[1:]]
    return [part for part in parts if part["text"]]


def _scheme(cell: SourceCell) -> tuple[list[dict[str, str]], bool]:
    """Return the mark scheme of an item, or else the source's answer, and whether it is that."""
    schemes = _regions(cell.source, "MARK SCHEME")
    if schemes:
        return [{"kind": "markdown", "text": text} for text in schemes], False
    if cell.role == "task" or cell.source == cell.released:
        return [], False
    answers = _regions(cell.source, "SOLUTION") or [cell.source]
    return [_part(cell, text) for text in answers if text.strip()], True


def _regions(source: str, marker: str) -> list[str]:
    found = re.findall(_REGION.format(marker), source, re.M | re.S)
    return [text for text in (dedent(each).strip() for each in found) if text]
