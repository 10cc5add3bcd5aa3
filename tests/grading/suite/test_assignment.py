"""The suite's own assignment: its solution is right, and the stubs earn nothing."""

import contextlib
import json

import pytest

from . import assignment
from .building import answer, dump, empty, get, right


def run(sources: list[str], tests: list[str]) -> list[bool]:
    """Run code in one namespace, as a notebook does, and say which tests pass."""
    names: dict = {"__name__": "notebook"}
    for source in sources:
        with contextlib.suppress(NotImplementedError):
            exec(compile(source, "cell", "exec"), names)
    passed = []
    for test in tests:
        try:
            exec(compile(test, "test", "exec"), names)
            passed.append(True)
        except Exception:
            passed.append(False)
    return passed


@pytest.mark.parametrize("task", assignment.TASKS)
def test_right_answer_passes_and_stub_fails(task):
    before = [assignment.SETUP, assignment.MELODY]
    tests = list(assignment.TESTS[task])
    assert run([*before, assignment.right_answer(task)], tests) == [True, True]
    stub = get(empty(), task)["source"]
    assert "raise NotImplementedError" in stub
    assert run([*before, stub], tests) == [False, False]


def test_points_add_up():
    marks = [cell["metadata"].get("nbgrader", {}) for cell in assignment.source()["cells"]]
    assert sum(mark.get("points", 0) for mark in marks) == assignment.POINTS
    assert set(assignment.FULL) == {*assignment.TASKS, assignment.MANUAL}


def test_exercise_holds_no_secret():
    text = dump(empty()).decode()
    source = assignment.source_bytes().decode()
    for secret in assignment.SECRETS:
        assert secret in source
        assert secret not in text


def test_changing_an_exercise_leaves_the_next_one_alone():
    changed = empty()
    answer(changed, "scale", "scale = 7")
    assert get(empty(), "scale")["source"] != "scale = 7"
    assert json.loads(dump(right()))["cells"]
