"""The notebook that nbgrader's formgrader and feedback show, made from one student's results.

It has the student's answers and what each test said. Hidden tests are named, never shown, for
nbgrader puts all of it into the students' feedback. Whatever could run in a grader's browser, as
HTML and links of a student's can, is left out or made plain.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_SCHEMA = 3  # of nbgrader's metadata
_IMAGES = ("image/png", "image/jpeg")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def autograded(
    result: Mapping[str, Any], types: Mapping[str, str], answers: Collection[str]
) -> dict[str, Any]:
    """Return a notebook for formgrader and nbgrader's feedback, as the content of its file.

    Parameters
    ----------
    result : dict
        One student's, with what was given by hand.
    types : dict of str to str
        For each graded cell ``"code"`` or ``"markdown"``.
    answers : collection of str
        The cells that the gradebook has a comment for.
    """
    cells: list[dict[str, Any]] = []
    for task in result["tasks"]:
        tests = {test["id"] for test in task["tests"]}
        cells.append(_markdown(f"## {_plain(task['title'] or task['id'])}"))
        if task["id"] not in tests:
            answer = task["answer"] or ""
            points = task["points"] if task["manual"] else None
            mark = _mark(task["id"], task["id"] in answers, points)
            if types.get(task["id"], "code") == "markdown":
                cells.append(_markdown(_plain(answer), mark))
                cells += [_code("", {}, [out]) for out in _outputs(task)]
            else:
                cells.append(_code(answer, mark, _outputs(task)))
        for test in task["tests"]:
            said = test["outcome"] if test["hidden"] else f"{test['outcome']}\n{test['message']}"
            output = {"output_type": "stream", "name": "stdout", "text": said.strip() + "\n"}
            title = f"# {test['id']}{' (hidden)' if test['hidden'] else ''}"
            cells.append(_code(title, _mark(test["id"], points=test["points"]), [output]))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return {
        "cells": cells,
        "metadata": {"kernelspec": KERNEL, "mlmusic": {"from": "results"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _mark(item: str, solution: bool = False, points: float | None = None) -> dict[str, Any]:
    graded = points is not None
    if not (graded or solution):
        return {}
    mark = {
        "grade_id": item,
        "grade": graded,
        "solution": solution,
        "locked": not solution,
        "task": False,
        "schema_version": _SCHEMA,
    }
    return mark | ({"points": points} if graded else {})


def _markdown(source: str, mark: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata = {"nbgrader": mark} if mark else {}
    return {"cell_type": "markdown", "metadata": metadata, "source": source}


def _code(source: str, mark: dict[str, Any], outputs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"nbgrader": mark} if mark else {},
        "outputs": outputs,
        "source": source,
    }


def _outputs(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a task's pictures and texts; HTML and SVG could run in the grader's browser."""
    return [
        {"output_type": "display_data", "metadata": {}, "data": {out["mime"]: out["data"]}}
        for out in task["outputs"]
        if out["mime"] in (*_IMAGES, "text/plain")
    ]


def _plain(text: str) -> str:
    """Return Markdown that shows a text as it was typed: no HTML, no links, no headings."""
    lines = (_PUNCTUATION.sub(r"\\\1", line.strip()) for line in text.splitlines())
    return "  \n".join(lines)  # two blanks: a line break
