"""The result of a submission: what is written to results/ and shown on pages."""

from __future__ import annotations

from typing import Any

from mlmusic.grading.marking.answers import Submission
from mlmusic.grading.source.assignment import Assignment


def blank_result(assignment: Assignment) -> dict[str, Any]:
    """Return the result of a submission of which nothing is known."""
    return {
        "score": 0.0,
        "points": assignment.points,
        "tasks": [
            {
                "id": task.id,
                "title": task.title,
                "manual": task.manual,
                "score": 0.0,
                "points": task.points,
                "answer": "",
                "outputs": [],
                "tests": [
                    {
                        "id": test.id,
                        "points": test.points,
                        "score": 0.0,
                        "hidden": test.hidden,
                        "outcome": "not run",
                        "message": "",
                    }
                    for test in task.tests
                ],
            }
            for task in assignment.tasks
        ],
        "flags": [],
    }


def add_up(result: dict[str, Any]) -> None:
    """Compute the scores of the tasks and of the whole from those of the tests."""
    for task in result["tasks"]:
        if not task["manual"]:
            task["score"] = sum(test["score"] for test in task["tests"])
    result["score"] = sum(task["score"] or 0.0 for task in result["tasks"])


def fill_in(result: dict[str, Any], submission: Submission) -> None:
    """Add what the student wrote, and what is odd about it."""
    result["flags"] += submission.flags
    for task in result["tasks"]:
        task["answer"] = submission.answers[task["id"]]
        task["outputs"] = submission.outputs[task["id"]]
        if not task["manual"]:
            continue
        if task["id"] in submission.lost:
            task["score"] = None
            detail = f"{task['id']}: its cell is gone; it waits for points by hand"
            result["flags"].append({"kind": "not found", "detail": detail})
        elif task["answer"]:
            task["score"] = None  # waits for a person
        else:
            result["flags"].append({"kind": "not answered", "detail": task["id"]})
