"""A source is graded before it is released: its solution, its stub, and answers without thought."""

import copy

import pytest

from mlmusic.grading import proof
from tests.grading.sources import answer, by_hand, check, notebook


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
