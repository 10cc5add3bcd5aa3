"""Small assignments and submissions, made from a few lines each."""

import json
import re
from typing import Any

from mlmusic.grading.source.assignment import Assignment


def notebook(*cells: tuple, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make a notebook from cells: a kind, a text, and what is special about it.

    Kinds: "code", "markdown", "raw", and nbgrader's "answer", "test", "manual", "task".
    """
    made = []
    for number, (kind, source, *rest) in enumerate(cells):
        special = {"grade_id": f"{kind}-{number}", "points": 1} | (rest[0] if rest else {})
        code = special.pop("code", kind in ("code", "answer", "test"))
        cell: dict[str, Any] = {
            "cell_type": "code" if code else kind if kind == "raw" else "markdown",
            "id": f"id-{number}",
            "metadata": {},
            "source": source,
        }
        if code:
            cell |= {"outputs": special.pop("outputs", []), "execution_count": None}
        if kind in ("answer", "test", "manual", "task"):
            marks = {
                "schema_version": 3,
                "grade_id": special["grade_id"],
                "grade": kind in ("test", "manual"),
                "solution": kind in ("answer", "manual"),
                "task": kind == "task",
                "locked": kind in ("test", "task"),
            }
            if kind != "answer":
                marks["points"] = special["points"]
            cell["metadata"]["nbgrader"] = marks
        made.append(cell)
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata or {}, "cells": made}


def cells(text: str) -> list[tuple]:
    """Read cells from a text in which each begins with a line ``# %% kind name points``."""
    made: list[tuple] = []
    for part in re.split(r"^# %% ", text.strip(), flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        kind, *words = head.split()
        special: dict[str, Any] = {}
        if words:
            special["grade_id"] = words[0]
        if len(words) > 1:
            special["points"] = float(words[1])
        made.append((kind, body.strip("\n"), special))
    return made


def packed(content: dict[str, Any]) -> bytes:
    """Return a notebook as the bytes of its file."""
    return json.dumps(content).encode()


def source(*cells: tuple, **options: Any) -> bytes:
    """Return the bytes of a source notebook."""
    return packed(notebook(*cells, **options))


def exercise(data: bytes) -> dict[str, Any]:
    """Return what students are given of a source."""
    content = json.loads(data)
    for cell, own in zip(content["cells"], Assignment.from_bytes(data, "x").program, strict=True):
        cell["source"] = own.released
    return content


def answered(data: bytes, **answers: str) -> bytes:
    """Return a submission: the exercise with some of its answer cells replaced.

    The cells are named by grade_id; code for no such cell is put at the end.
    """
    content = exercise(data)
    for cell in content["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if name in answers:
            cell["source"] = answers.pop(name)
    for text in answers.values():
        content["cells"].append(notebook(("code", text))["cells"][0])
    return packed(content)


def solution(body: str) -> str:
    """Put code between nbgrader's markers."""
    return f"### BEGIN SOLUTION\n{body}\n### END SOLUTION"


def outcomes(result: dict[str, Any]) -> dict[str, str]:
    """Return what came of each test, by its id."""
    return {test["id"]: test["outcome"] for task in result["tasks"] for test in task["tests"]}


def messages(result: dict[str, Any]) -> dict[str, str]:
    """Return what was said about each test, by its id."""
    return {test["id"]: test["message"] for task in result["tasks"] for test in task["tests"]}


def kinds(result: dict[str, Any]) -> list[str]:
    """Return the kinds of the flags."""
    return [flag["kind"] for flag in result["flags"]]
