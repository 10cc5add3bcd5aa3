"""A source is graded before it is released: its solution, its stub, and answers without thought."""

import contextlib
import copy
import sys
import types
from typing import ClassVar

import nbformat
import pytest

from mlmusic.grading.releasing import proof
from tests.grading.sources import answer, by_hand, check, notebook, text


def exercise(source, stubs):
    """The exercise of a source, whose answer cells become these stubs, one after the other."""
    released = copy.deepcopy(source)
    answers = [cell for cell in released.cells if cell.metadata.nbgrader.solution]
    for cell, stub in zip(answers, stubs, strict=True):
        cell.source = stub
    return released


STUB = "raise NotImplementedError()"


def test_the_solution_is_the_exercise_with_its_answers():
    source = notebook(
        answer("answer-1", "def f(x):\n    return x"),
        check("check-1", "assert f(1) == 1", hidden="assert f(2) == 2"),
        by_hand("why"),
    )
    released = exercise(source, [f"def f(x):\n    {STUB}", "YOUR ANSWER HERE"])
    released.cells[1].source = "assert f(1) == 1"
    solved = proof.solution(source, released)
    assert [cell.source for cell in solved.cells] == [
        source.cells[0].source,
        "assert f(1) == 1",
        source.cells[2].source,
    ]
    assert STUB in released.cells[0].source  # left as it was


def cheap(solution, stub, kind):
    source = notebook(answer("answer-1", solution))
    return proof.cheap(source, exercise(source, [stub]), kind).cells[0].source


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("None", "None"),
        ("[]", "[]"),
        ("an empty array", "__import__('numpy').zeros(0)"),
        ("NaN", "float('nan')"),
        ("0", "0"),
        ("True", "True"),
        (proof.FIRST_ARGUMENT, "pitch"),
    ],
)
def test_a_cheap_answer_keeps_the_signature(kind, value):
    stub = f'def f(pitch, k=1):\n    """Shift."""\n    notes = 3\n    {STUB}'
    assert cheap("def f(pitch, k=1):\n    return pitch + k", stub, kind) == (
        f"def f(pitch, k=1):\n    return {value}"
    )


@pytest.mark.parametrize(
    ("solution", "stub", "kind", "result"),
    [
        (  # what is given stays
            "import x\nC = 60\ndef up(p):\n    return p\ndef f(p):\n    return up(p)",
            f"import x\nC = 60\ndef up(p):\n    return p\ndef f(p):\n    {STUB}",
            "0",
            "import x\nC = 60\n\ndef up(p):\n    return p\n\ndef f(p):\n    return 0",
        ),
        (  # a whole cell that students write
            "import y\ndef g(p):\n    return p\nscale = [1]",
            STUB,
            "[]",
            "def g(*args, **kwargs):\n    return []\nscale = []",
        ),
        (
            "def g(p):\n    return p\nscale = [1]",
            STUB,
            proof.FIRST_ARGUMENT,
            "def g(*args, **kwargs):\n    return next(iter(args), None)\nscale = None",
        ),
        (
            "class M(B):\n    def __init__(self):\n        self.a = 1\n"
            "    def go(self, x):\n        return x\n    def size(self):\n        return 3",
            f"class M(B):\n    def __init__(self):\n        {STUB}\n"
            f"    def go(self, x):\n        {STUB}\n    def size(self):\n        return 3",
            proof.FIRST_ARGUMENT,
            "class M(B):\n\n    def __init__(self):\n        pass\n\n    def go(self, x):\n"
            "        return x\n\n    def size(self):\n        return 3",
        ),
        (
            "async def f():\n    return 3",
            f"async def f(*, k):\n    {STUB}",
            proof.FIRST_ARGUMENT,
            "async def f(*, k):\n    return next(iter(()), None)",
        ),
        (
            "def f(*notes):\n    return 3",
            f"def f(*notes):\n    {STUB}",
            proof.FIRST_ARGUMENT,
            "def f(*notes):\n    return next(iter(notes), None)",
        ),
    ],
)
def test_only_what_students_write_is_answered_cheaply(solution, stub, kind, result):
    assert cheap(solution, stub, kind) == result


# Grading, by a stand-in for the worker: everything runs here, without a sandbox ------------


class InProcess:
    """Marks as a worker does, as far as these tests need it."""

    calls: ClassVar[list] = []

    def __init__(self, source, name, sandbox="auto"):
        self.source = nbformat.v4.reads(source.decode())
        self.calls.append((name, sandbox))

    def mark(self, data, seed):
        names = {"SEED": seed}
        for cell in nbformat.v4.reads(data.decode()).cells:
            if cell.cell_type == "code" and not cell.metadata.get("nbgrader", {}).get("grade"):
                with contextlib.suppress(Exception):
                    exec(cell.source, names)
        tests = []
        for cell in self.source.cells:
            marks = cell.metadata.get("nbgrader", {})
            if not marks.get("grade") or marks.solution:
                continue
            test = {"id": marks.grade_id, "points": marks.points, "score": 0, "message": ""}
            try:
                exec(cell.source, dict(names))
                test |= {"score": marks.points, "outcome": "passed"}
            except AssertionError as error:
                test |= {"outcome": "failed", "message": str(error)}
            except Exception as error:
                test |= {"outcome": "error", "message": repr(error)}
            tests.append(test)
        return {"tasks": [{"id": "a", "tests": tests}], "flags": []}

    def close(self):
        self.calls.append("closed")


@pytest.fixture
def in_process(monkeypatch):
    worker = types.ModuleType("mlmusic.grading.marking.worker")
    worker.Worker = InProcess
    monkeypatch.setitem(sys.modules, worker.__name__, worker)
    InProcess.calls.clear()
    return InProcess.calls


def proved(*cells, stub):
    source = notebook(*cells)
    data = nbformat.v4.writes(source).encode()
    return proof.prove(data, "ps1.ipynb", exercise(source, stub), sandbox="none")


UP = "def up(pitch):\n    return pitch + 12"
UP_STUB = [f"def up(pitch):\n    {STUB}"]
STRONG = check("check-1", "assert up(60) == 72 and up(1) == 13", points=2)


def test_a_sound_source_is_proved(in_process):
    found = proved(answer("answer-1", UP), STRONG, stub=UP_STUB)
    assert found == proof.Proof([], [])
    assert in_process == [("ps1.ipynb", "none"), "closed"]


def test_a_solution_that_fails_its_own_test_is_named(in_process):
    broken = check("check-2", 'assert up(60) == 71, "an octave has 12 semitones,\\nnot 11"')
    crashed = check("check-3", "assert up(None)")
    found = proved(answer("answer-1", UP), STRONG, broken, crashed, stub=UP_STUB)
    assert found.weak == []
    assert found.faults == [
        "cell 3 'check-2' isn't passed by the solution (failed: an octave has 12 semitones, "
        "not 11): mend one of them",
        "cell 4 'check-3' isn't passed by the solution (error: "
        "TypeError(\"unsupported operand type(s) for +: 'NoneType' and 'int'\")): "
        "mend one of them",
    ]
    assert in_process[-1] == "closed"


def test_a_solution_must_pass_whatever_is_drawn(in_process):
    unlucky = check("check-2", "assert up(SEED) != 15, 'three is unlucky'")
    found = proved(answer("answer-1", UP), STRONG, unlucky, stub=UP_STUB)
    assert found.faults == [
        "cell 3 'check-2' isn't passed by the solution (failed: three is unlucky): mend one of them"
    ]


def test_points_for_an_empty_exercise_are_refused(in_process):
    gift = check("check-2", "assert callable(up)", points=0.5)
    found = proved(answer("answer-1", UP), STRONG, gift, stub=UP_STUB)
    assert found.faults == [
        "cell 3 'check-2' gives 0.5 points to an exercise that nobody has answered: "
        "test something that the stub doesn't do"
    ]


def test_weak_tests_are_named_with_what_passes_them(in_process):
    weak = check("check-2", "assert up(60) is not None")
    empty = check("check-3", "import numpy as np\nassert np.allclose(up(60), 72)")
    found = proved(answer("answer-1", UP), STRONG, weak, empty, stub=UP_STUB)
    assert found.faults == []
    assert found.weak == [
        "cell 3 'check-2' is weak: it gives points to an answer that only returns [] or an empty "
        "array or NaN or 0 or True or its first argument",
        "cell 4 'check-3' is weak: it gives points to an answer that only returns [] "
        "or an empty array",
    ]


def test_answers_that_nothing_grades_are_named(in_process):
    marks = {"grade_id": "worth", "schema_version": 3, "grade": False, "locked": True}
    task = text("What your tune is worth.")
    task.metadata["nbgrader"] = marks | {"solution": False, "task": True, "points": 2}
    cells = [answer("answer-1", UP), STRONG, answer("answer-2", "tune = [1]")]
    stubs = [*UP_STUB, STUB]
    found = proved(*cells, stub=stubs)
    assert (found.faults, len(found.weak)) == ([], 1)
    assert "cell 3 'answer-2' is graded by nothing: no test mentions tune" in found.weak[0]
    assert proved(*cells, task, stub=stubs).weak == []


def test_a_solution_that_cannot_be_graded_at_all_says_why():
    result = {"tasks": [], "flags": [{"kind": "unreadable", "detail": "no notebook"}]}
    assert proof._lost(result, {}) == ["the solution can't be graded: no notebook"]
