"""Submissions get the points that they deserve: every way of testing, and honest oddities."""

import json
import time

import pytest

from mlmusic.grading.limits import Limits
from mlmusic.grading.marking.answers import Finder
from mlmusic.grading.marking.mark import mark, sandbox_options
from mlmusic.grading.marking.worker import Worker
from mlmusic.grading.sandbox import Sandbox, SandboxUnavailable
from mlmusic.grading.source.assignment import Assignment
from mlmusic.grading.source.notebook import read_notebook
from tests.grading.marking import made
from tests.grading.marking.made import kinds, messages, outcomes


def worker_for(data, **options):
    try:
        return Worker(data, "small.ipynb", **options)
    except SandboxUnavailable as error:
        pytest.skip(str(error))


# Every way of testing ---------------------------------------------------------------------------

WAYS = made.source(
    *made.cells('''
# %% code
import math
from dataclasses import dataclass

import numpy as np

class BadPitch(ValueError):
    def __init__(self, pitch, why):
        super().__init__(f"{pitch} is too {why}")

@dataclass
class Note:
    pitch: int
    name: str

# %% markdown
## A function

# %% answer add
def add(a, b):
    """The sum."""
    ### BEGIN SOLUTION
    return a + b
    ### END SOLUTION

# %% test test-add
assert add(1, 2) == 3
### BEGIN HIDDEN TESTS
assert add(5, 5) == 10
### END HIDDEN TESTS

# %% markdown
## The same variable twice

# %% answer five
### BEGIN SOLUTION
x = 5
### END SOLUTION

# %% test test-five
assert x == 5 and "x" in globals() and "unknown" not in globals()

# %% answer seven
### BEGIN SOLUTION
x = 7
### END SOLUTION

# %% test test-seven
assert x == 7

# %% markdown
## Classes

# %% answer stack
class Stack:
    ### BEGIN SOLUTION
    def __init__(self):
        self.items = []

    def push(self, x):
        self.items.append(x)

    def pop(self):
        return self.items.pop()

    def __len__(self):
        return len(self.items)
    ### END SOLUTION

# %% test test-stack
s = Stack()
s.push(1)
s.push(2)
assert len(s) == 2 and s.pop() == 2 and s.items == [1]
assert isinstance(s, Stack)
try:
    Stack().pop()
    assert False, "no error"
except IndexError:
    pass

# %% answer vector
### BEGIN SOLUTION
class Vector:
    def __init__(self, x):
        self.x = x

    def __add__(self, other):
        return Vector(self.x + other.x)

    def __mul__(self, k):
        return Vector(self.x * k)
### END SOLUTION

# %% test test-vector
assert ((Vector(1) + Vector(2)) * 3).x == 9

# %% markdown
## Arguments

# %% answer sort
def sort_in_place(xs):
    ### BEGIN SOLUTION
    xs.sort()
    ### END SOLUTION

# %% test test-sort
numbers = [3, 1, 2]
sort_in_place(numbers)
assert numbers == [1, 2, 3]
array = np.array([3, 1])
sort_in_place(array)
assert array.tolist() == [1, 3]

# %% markdown
## Errors

# %% answer mean
def mean(xs):
    ### BEGIN SOLUTION
    if not xs:
        raise ValueError("empty list")
    return sum(xs) / len(xs)
    ### END SOLUTION

# %% test test-mean
import pytest
with pytest.raises(ValueError, match="empty"):
    mean([])
assert mean([1, 2]) == 1.5
np.testing.assert_allclose(mean([1, 2, 4]), 7 / 3)

# %% answer check
### BEGIN SOLUTION
class TooLow(ValueError):
    pass

def check(x):
    if x < 0:
        raise TooLow("low")
    if x > 127:
        raise BadPitch(x, "high")
    return x
### END SOLUTION

# %% test test-check
try:
    check(-1)
    assert False
except TooLow as error:
    assert "low" in str(error)
try:
    check(200)
    assert False
except BadPitch:
    pass
assert check(60) == 60

# %% markdown
## Other kinds of functions

# %% answer hello
def hello(name):
    ### BEGIN SOLUTION
    print("Hello", name)
    ### END SOLUTION

# %% test test-hello
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()) as out:
    hello("Ann")
assert out.getvalue() == "Hello Ann\\n"

# %% answer fetch
import asyncio

async def fetch(n):
    ### BEGIN SOLUTION
    await asyncio.sleep(0)
    return n * 2
    ### END SOLUTION

# %% test test-fetch
assert await fetch(4) == 8
assert await asyncio.gather(fetch(1), fetch(2)) == [2, 4]

# %% answer squares
def squares(n):
    ### BEGIN SOLUTION
    yield from (i * i for i in range(n))
    ### END SOLUTION

# %% test test-squares
assert [*squares(3)] == [0, 1, 4]

# %% answer apply
def apply(f, xs):
    ### BEGIN SOLUTION
    return [f(x) for x in xs]
    ### END SOLUTION

# %% test test-apply
def plus(x):
    return x + 1

assert apply(plus, [1]) == [2]
assert apply(math.sqrt, [4]) == [2]

# %% answer three
def three():
    ### BEGIN SOLUTION
    return 3
    ### END SOLUTION

# %% test test-three
import inspect
assert plus(three()) == 4, "with another test's helper"
assert "for" not in inspect.getsource(three)
assert not inspect.signature(three).parameters and three.__name__ == "three"

# %% answer bump
### BEGIN SOLUTION
count = 0

def bump():
    global count
    count += 1
### END SOLUTION

# %% test test-bump
bump()
assert count == 1

# %% answer roll
def roll(rng):
    ### BEGIN SOLUTION
    return int(rng.integers(1, 7))
    ### END SOLUTION

# %% test test-roll
for seed in range(3):
    assert roll(np.random.default_rng(seed)) == np.random.default_rng(seed).integers(1, 7)

# %% answer up
def up(note):
    ### BEGIN SOLUTION
    return Note(note.pitch + 1, note.name)
    ### END SOLUTION

# %% test test-up
assert up(Note(60, "c")) == Note(61, "c")
assert isinstance(up(Note(1, "")), Note)

# %% answer evens
def evens(xs):
    ### BEGIN SOLUTION
    return [x for x in xs if x % 2 == 0]
    ### END SOLUTION

# %% test test-evens
assert evens([1]) == []
assert all(x == 2 for x in evens([1, 2]))
for x in evens([3]):
    assert x == 2

# %% answer json
### BEGIN SOLUTION
import json as js
### END SOLUTION

# %% test test-json
assert js.dumps([1]) == "[1]"

# %% markdown
## What the instructor makes of the answers

# %% code
total = sum(add(i, 1) for i in range(3))
history = [total]

# %% code
history.append(add(0, 1))

# %% test test-instructors
assert total == 6 and history == [6, 1]

# %% manual why 2
### BEGIN SOLUTION
Because.
### END SOLUTION
''')
)


@pytest.fixture(scope="module")
def ways():
    with worker_for(WAYS, limits=Limits(call=2)) as worker:
        yield worker


def failed(result):
    """What was said about the tests that didn't pass."""
    return {name: words for name, words in messages(result).items() if words}


def test_the_solution_gets_every_point_however_tests_are_written(ways):
    result = ways.mark(WAYS, 1)
    assert failed(result) == {}
    assert set(outcomes(result).values()) == {"passed"}
    assert (result["score"], result["points"]) == (19, 21)
    assert result["tasks"][-1]["score"] is None  # waits for a person
    assert result["flags"] == []


def test_the_exercise_gets_none(ways):
    result = ways.mark(made.packed(made.exercise(WAYS)), 1)
    assert set(outcomes(result).values()) == {"missing"}
    assert result["score"] == 0
    assert result["tasks"][-1]["score"] == 0
    assert result["flags"] == [{"kind": "not answered", "detail": "why"}]


def test_metadata_is_not_needed(ways):
    content = json.loads(WAYS)
    for cell in content["cells"]:
        cell["metadata"] = {}
        del cell["id"]
    assert failed(ways.mark(made.packed(content), 1)) == {}


def test_nothing_but_the_answers_is_needed(ways):
    answers = [
        cell["source"]
        for cell in json.loads(WAYS)["cells"]
        if cell["metadata"].get("nbgrader", {}).get("solution") and cell["cell_type"] == "code"
    ]
    notebook = made.notebook(("code", "\n\n".join(answers)))
    result = ways.mark(made.packed(notebook), 1)
    assert list(failed(result)) == ["test-five"]  # x = 7 came after x = 5


def test_the_same_bytes_again(ways):
    submission = made.answered(WAYS, stack="class Stack: pass", vector="Vector = object()")
    first, second = (json.dumps(ways.mark(submission, 4)) for _ in range(2))
    assert first == second
    assert "0x" not in first


# Honest, but odd --------------------------------------------------------------------------------

SMALL = made.source(
    *made.cells("""
# %% code
import numpy as np

# %% markdown
## Task 1: frequency

# %% answer frequency
def frequency(pitch):
    ### BEGIN SOLUTION
    return 440 * 2 ** ((np.asarray(pitch) - 69) / 12)
    ### END SOLUTION

# %% test test-frequency 2
assert np.isclose(frequency(69), 440), "A is 440 Hz"
### BEGIN HIDDEN TESTS
p = np.random.default_rng().integers(0, 128, 5)
assert np.allclose(frequency(p), 440 * 2 ** ((p - 69) / 12))
### END HIDDEN TESTS

# %% answer reverse
def reverse(xs):
    ### BEGIN SOLUTION
    return xs[::-1]
    ### END SOLUTION

# %% test test-reverse
assert reverse([1, 2]) == [2, 1]

# %% test test-argument
xs = [1, 2, 3]
assert [3, 2, 1] == reverse(xs)
assert xs == [1, 2, 3], "leave the argument as it is"
""")
)
FREQUENCY = "def frequency(pitch):\n    return 440 * 2 ** ((np.asarray(pitch) - 69) / 12)"
REVERSE = "def reverse(xs):\n    return xs[::-1]"


@pytest.fixture(scope="module")
def small():
    with worker_for(SMALL, limits=Limits(call=1, cell=2, total=30)) as worker:
        yield worker


def test_each_answer_for_itself(small):
    assert small.mark(made.answered(SMALL, frequency=FREQUENCY), 1)["score"] == 2
    assert small.mark(made.answered(SMALL, reverse=REVERSE), 1)["score"] == 2
    assert small.mark(made.answered(SMALL, frequency=FREQUENCY, reverse=REVERSE), 1)["score"] == 4


def test_a_result_has_all_that_is_reported(small):
    wrong = "def reverse(xs):\n    return xs"
    result = small.mark(made.answered(SMALL, frequency=FREQUENCY, reverse=wrong), 1)
    task = result["tasks"][0]
    assert (task["id"], task["title"], task["score"]) == ("frequency", "Task 1: frequency", 2.0)
    assert task["answer"] == FREQUENCY and task["manual"] is False and task["outputs"] == []
    assert task["tests"] == [
        {
            "id": "test-frequency",
            "points": 2.0,
            "score": 2.0,
            "hidden": True,
            "outcome": "passed",
            "message": "",
        }
    ]
    said = "not true: reverse([1, 2]) == [2, 1] (reverse() gave [1, 2])"
    assert messages(result)["test-reverse"] == said


def test_a_visible_failure_of_a_test_with_a_hidden_part_may_be_shown(small):
    def test_of(answer):
        (test,) = small.mark(made.answered(SMALL, frequency=answer), 1)["tasks"][0]["tests"]
        return test["outcome"], test["hidden"], test["message"]

    assert test_of("def frequency(p):\n    return 1") == ("failed", False, "A is 440 Hz")
    assert test_of("def frequency(p):\n    return 440.0")[:2] == ("failed", True)


def test_hidden_numbers_depend_on_the_seed_only(small):
    tell = "def frequency(p):\n    if np.ndim(p): raise ValueError(str(p))\n    return 440.0"
    submission = made.answered(SMALL, frequency=tell)
    seen = [messages(small.mark(submission, seed))["test-frequency"] for seed in (1, 1, 2)]
    assert seen[0] == seen[1] != seen[2]
    assert seen[0].startswith("your code raised ValueError (line 2 of its cell): [")


ODD = {
    "cells with errors": ["1 / 0", FREQUENCY, "undefined()", REVERSE],
    "an error above the definition": [f"print(nothing)\n{FREQUENCY}", "x = 1 +\n", REVERSE],
    "magics": [f"%%time\n{FREQUENCY}", f"%matplotlib inline\n!pip install x\n{REVERSE}"],
    "input": [f"name = input('who?')\n{FREQUENCY}", REVERSE],
    "much printing": [FREQUENCY.replace("return", "print('x' * 10**6); return"), REVERSE],
    "an endless loop": [FREQUENCY, "while True: pass\n", REVERSE],
    "an endless loop in the same cell": [f"{FREQUENCY}\nwhile True: pass", REVERSE],
    "the process ended": [FREQUENCY, "import os\nos._exit(0)", REVERSE],
    "much memory": [FREQUENCY, "x = bytearray(10**11)", REVERSE],
    "an old draft above": ["def reverse(xs): return None", FREQUENCY, REVERSE],
    "a stub below": [
        FREQUENCY,
        REVERSE,
        "def reverse(xs):\n    # YOUR CODE HERE\n    raise NotImplementedError()",
    ],
    "a test in the same cell": [f"{FREQUENCY}\nassert reverse([1, 2]) == [2, 1]\n{REVERSE}"],
    "an assertion of their own": [FREQUENCY, f"assert frequency(1) == 0\n{REVERSE}"],
    "a lambda": ["frequency = lambda p: 440 * 2 ** ((np.asarray(p) - 69) / 12)", REVERSE],
    "an object that is called": [
        "class F:\n    def __call__(self, p): return 440 * 2 ** ((np.asarray(p) - 69) / 12)",
        "frequency = F()",
        REVERSE,
    ],
    "a subclass of list": [FREQUENCY, "class L(list): pass\ndef reverse(xs): return L(xs[::-1])"],
    "recursion": [FREQUENCY, "def reverse(xs): return xs and reverse(xs[1:]) + xs[:1]"],
    "names in other scripts": [f"名前 = 1\n{FREQUENCY}", f"def café(): pass\n{REVERSE}"],
}


@pytest.mark.parametrize("cells", ODD.values(), ids=ODD)
def test_odd_notebooks_get_what_they_deserve(small, cells):
    notebook = made.notebook(("code", "import numpy as np"), *(("code", cell) for cell in cells))
    result = small.mark(made.packed(notebook), 3)
    assert failed(result) == {}
    assert result["score"] == 4


def test_what_is_odd_is_flagged(small):
    code = {"loop": "while True: pass", "end": "import os; os._exit(1)", "odd": "!ls\nx = 1/0"}
    result = small.mark(made.answered(SMALL, frequency=FREQUENCY, **code), 1)
    assert result["score"] == 2
    assert result["flags"] == [
        {"kind": "timeout", "detail": "cell 8 ran for more than 2 s"},
        {"kind": "died", "detail": "cell 9 ended its process: it ended itself (exit status 1)"},
        {"kind": "cell error", "detail": "cell 10: ZeroDivisionError: division by zero"},
        {"kind": "ignored command", "detail": "cell 10: !ls"},
    ]


def test_a_function_that_hangs_or_dies_costs_its_own_points_only(small):
    hang = "def frequency(p):\n    while True: pass"
    result = small.mark(made.answered(SMALL, frequency=hang, reverse=REVERSE), 1)
    assert result["score"] == 2
    assert messages(result)["test-frequency"] == "frequency() took more than 1 s"
    die = "def reverse(xs):\n    import os\n    os._exit(0)"
    result = small.mark(made.answered(SMALL, frequency=FREQUENCY, reverse=die), 1)
    assert result["score"] == 2
    assert outcomes(result)["test-argument"] == "died"


def test_a_draft_below_the_tests_does_no_harm_and_no_good(small):
    draft = "def reverse(xs):\n    return None"
    assert small.mark(made.answered(SMALL, reverse=REVERSE, draft=draft), 1)["score"] == 2
    assert small.mark(made.answered(SMALL, reverse=draft, last=REVERSE), 1)["score"] == 2
    # What passes the visible test is what the hidden one gets: nobody has two tries.
    visible = "def frequency(p):\n    return 440.0"
    hidden = FREQUENCY.replace("440", "0 if np.ndim(pitch) == 0 else 440")
    for first, last in ((visible, hidden), (hidden, visible)):
        result = small.mark(made.answered(SMALL, frequency=first, last=last), 1)
        assert result["score"] == 0


def test_a_changed_argument_fails_only_the_test_that_forbids_it(small):
    change = "def reverse(xs):\n    xs.reverse()\n    return list(xs)"
    result = small.mark(made.answered(SMALL, reverse=change), 1)
    assert failed(result) == {
        "test-frequency": "frequency is not defined",
        "test-argument": "leave the argument as it is",
    }


@pytest.mark.parametrize("data", [b"", b"not json", b'{"cells": [', b'{"cells":' * 50_000])
def test_what_is_no_notebook_gets_nothing_and_a_flag(small, data):
    result = small.mark(data, 1)
    assert (result["score"], result["points"], kinds(result)) == (0, 4, ["unreadable"])
    assert set(outcomes(result).values()) == {"not run"}


LONG = {
    "20 megabytes": "x = 1\n" * (20_000_000 // 6),
    "one line of 20 megabytes": f"x = [{'1, ' * (20_000_000 // 3)}]",
    "commands": "%time x\n" * 50_000,
    "a command that IPython gives up": "x?\n" * 3_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_cell_that_takes_too_long_to_read_costs_nothing_but_itself(small, text):
    content = json.loads(made.answered(SMALL, reverse=REVERSE, frequency=text + FREQUENCY))
    number = next(n for n, c in enumerate(content["cells"], 1) if c["source"].startswith(text))
    begin = time.process_time()
    submission = Finder(Assignment.from_bytes(SMALL, "small.ipynb")).find(
        read_notebook(made.packed(content))
    )
    assert time.process_time() - begin < 5  # a tenth of that; they used to take 20 and more
    assert [flag["kind"] for flag in submission.flags] == ["too long"]
    result = small.mark(made.packed(content), 1)
    (flag,) = result["flags"]
    assert flag["kind"] == "too long"
    assert flag["detail"].startswith(f"cell {number} has ")
    assert set(failed(result).values()) == {"frequency is not defined"}
    assert result["score"] == 2


def test_an_empty_notebook_is_the_wrong_one(small):
    assert kinds(small.mark(made.packed(made.notebook()), 1)) == ["wrong notebook"]


def test_only_definitions_run_where_the_source_says_so():
    content = json.loads(SMALL)
    content["metadata"] = {"mlmusic": {"grading": {"run": "defs", "cell": 1}}}
    data = made.packed(content)
    slow = {"train": "import time\ntime.sleep(9)\nresult = 3", "reverse": REVERSE}
    with worker_for(data) as worker:
        result = worker.mark(made.answered(data, **slow), 1)
    assert (result["score"], result["flags"]) == (2, [])


# Torch, and instructors' cells that train -------------------------------------------------------

TRAINING = made.source(
    *made.cells("""
# %% code
import torch
from torch import nn

torch.manual_seed(0)
X = torch.randn(16, 2)
Y = X.sum(1, keepdim=True)

# %% answer net
class Net(nn.Module):
    ### BEGIN SOLUTION
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x)
    ### END SOLUTION

# %% test test-net
net = Net()
assert isinstance(net, nn.Module) and issubclass(Net, nn.Module)
assert net(X).shape == (16, 1)
assert sum(p.numel() for p in net.parameters()) == 3
net.eval()
with torch.no_grad():
    assert torch.allclose(net(X[:4]), net(X)[:4])

# %% code
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
losses = []
for _ in range(50):
    loss = ((model(X) - Y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# %% test test-training
assert losses[-1] < 0.5 * losses[0]
assert model(X).shape == (16, 1)

# %% answer count
def count(model):
    ### BEGIN SOLUTION
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
    ### END SOLUTION

# %% test test-count
assert count(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))) == 13
""")
)


def test_models_and_training():
    pytest.importorskip("torch")
    with worker_for(TRAINING) as worker:
        result = worker.mark(TRAINING, 1)
        assert failed(result) == {}
        assert result["score"] == 3
        net = "class Net:\n    def __call__(self, x): return x\n    def parameters(self): return []"
        result = worker.mark(made.answered(TRAINING, net=net), 1)
        assert result["score"] == 0
        assert outcomes(result)["test-net"] == "failed"


# In this process --------------------------------------------------------------------------------


def test_mark_without_a_worker():
    assignment = Assignment.from_bytes(SMALL, "small")
    try:
        sandbox = Sandbox("auto", **sandbox_options(assignment))
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    with sandbox:
        assert mark(assignment, SMALL, sandbox, 3)["score"] == 4
        change = "def reverse(xs):\n    xs.clear()\n    return xs"
        assert mark(assignment, made.answered(SMALL, reverse=change), sandbox, 3)["score"] == 0
