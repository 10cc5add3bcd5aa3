"""A class to grade without a sandbox: a worker that believes what a notebook says about itself."""

import functools
import json
import os
import sys
import threading
import time
from unittest import mock

from mlmusic.grading import grade
from mlmusic.grading.runs import batch

TASKS = [("scale", 2.0), ("chord", 3.0)]
POINTS = 7.0  # with the listening question


def cell(source, kind="code", **marks):
    """Return a cell, as nbformat 4 has it."""
    metadata = {"nbgrader": {"schema_version": 3, **marks}} if marks else {}
    more = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "metadata": metadata, "source": source, **more}


def source(**grading):
    """Return the bytes of the source notebook."""
    cells = []
    for name, points in TASKS:
        cells += [
            cell(
                f"def {name}():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION",
                solution=True,
                grade=False,
                grade_id=name,
            ),
            cell(
                f"assert {name}() == 1",
                solution=False,
                grade=True,
                grade_id=f"test-{name}",
                points=points,
            ),
        ]
    listening = {"solution": True, "grade": True, "grade_id": "listening", "points": 2}
    cells.append(cell("What do you hear?", "markdown", **listening))
    notebook = {"nbformat": 4, "nbformat_minor": 4, "cells": cells}
    return json.dumps(notebook | {"metadata": {"mlmusic": {"grading": grading}}}).encode()


def notebook(right=("scale", "chord"), **wishes):
    """Return a submission: the tasks that it gets right, and what else the worker should do."""
    metadata = {"right": list(right), **wishes}
    return json.dumps(
        {"nbformat": 4, "nbformat_minor": 4, "cells": [], "metadata": metadata}
    ).encode()


class FakeWorker:
    """Marks what it is told to; writes a line into $MARKS for every notebook that it marks."""

    kind = "fake"
    alive = 0

    def __init__(self, recipe):
        self.recipe = recipe
        self.thread = None
        FakeWorker.alive += 1

    def mark(self, data, seed):
        assert self.thread in (None, threading.get_ident()), "a worker belongs to one thread"
        self.thread = threading.get_ident()
        content = json.loads(data) if data[:1] == b"{" else {"metadata": {}}
        wishes = content["metadata"]
        solves = content.get("cells") and wishes.get("solved", True)
        right = [name for name, _ in TASKS] if solves else wishes.get("right", [])
        if path := os.environ.get("MARKS"):
            with open(path, "a") as file:
                file.write(f"{wishes.get('name', 'a notebook')} {seed}\n")
        time.sleep(wishes.get("sleep", 0))
        if wishes.get("crash"):
            raise BrokenPipeError("the worker is gone")
        return result(right, wishes.get("flags", []), wishes.get("outcomes", {}))

    def close(self):
        FakeWorker.alive -= 1


def result(right, flags=(), outcomes=()):
    """Return a result with full points for some tasks, and outcomes and messages of tests."""
    tasks = []
    for name, points in TASKS:
        passed = name in right
        test = {
            "id": f"test-{name}",
            "points": points,
            "score": points if passed else 0.0,
            "hidden": False,
            "outcome": "passed" if passed else "failed",
            "message": "" if passed else f"{name}() must give 1",
        }
        if test["id"] in outcomes:
            test["outcome"], test["message"] = outcomes[test["id"]]
        tasks.append(
            {"id": name, "title": name, "manual": False, "score": test["score"], "points": points}
            | {"answer": "1", "outputs": [], "tests": [test]}
        )
    answered = "not answered" not in [flag["kind"] for flag in flags]
    tasks.append(
        {"id": "listening", "title": "listening", "manual": True, "points": 2.0}
        | {"score": None if answered else 0.0, "answer": "a flute" if answered else ""}
        | {"outputs": [], "tests": []}
    )
    score = sum(task["score"] or 0 for task in tasks)
    return {"score": score, "points": POINTS, "tasks": tasks, "flags": list(flags)}


def main(argv):
    """Run ``mlmusic grade`` with fake workers."""
    faked = functools.partial(batch.grade, start=FakeWorker)
    with mock.patch.object(batch, "grade", faked):
        return grade.main([str(part) for part in argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
