"""An answer that only pretends gains nothing, whatever the tests look like."""

import pytest

from mlmusic.grading.limits import Limits
from mlmusic.grading.marking.worker import Worker
from mlmusic.grading.sandbox import SandboxUnavailable
from tests.grading.marking import made
from tests.grading.marking.made import messages

# Tests as instructors write them: none of them looks at shapes or types first.
SOURCE = made.source(
    *made.cells("""
# %% code
import numpy as np

# %% answer double
def double(x):
    ### BEGIN SOLUTION
    return np.asarray(x) * 2.0
    ### END SOLUTION

# %% test allclose
x = np.random.default_rng().normal(size=5)
assert np.allclose(double(x), 2 * x)

# %% test difference
assert abs(double(220) - 440) < 1e-6
assert not abs(double(220) - 440) > 1e-6

# %% test ratio
assert np.isclose(double(3) / double(1), 3)

# %% test elements
x = np.ones(4)
assert (double(x) == 2).all()
assert all(y == 2 for y in double(x))

# %% test largest
x = np.random.default_rng().normal(size=5)
assert np.abs(double(x) - 2 * x).max() < 1e-9

# %% answer reverse
def reverse(xs):
    ### BEGIN SOLUTION
    return xs[::-1]
    ### END SOLUTION

# %% test equal
assert reverse([1, 2]) == [2, 1]

# %% test zip
for a, b in zip(reverse([3, 4]), [4, 3]):
    assert a == b

# %% test all
assert all(x in (1, 2) for x in reverse([1, 2]))
assert (np.array(reverse([1, 1])) == 1).all()

# %% test member
assert reverse([3]) in ([3], [4])

# %% test loop
for x in reverse([5, 6]):
    assert x in (5, 6)

# %% answer check
def check(x):
    ### BEGIN SOLUTION
    if x < 0:
        raise ValueError(x)
    return x
    ### END SOLUTION

# %% test any-error
try:
    check(-1)
except Exception as error:
    assert type(error).__name__ == "ValueError"
else:
    raise AssertionError("no error")
assert check(1) == 1

# %% test mapped
assert all(map(lambda x: check(x) == x, [1, 2, 3]))

# %% test counted
assert sum(check(x) != x for x in range(3)) == 0
""")
)
EQUAL = """
class Equal(list):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __gt__ = __le__ = __ge__ = __contains__ = __lt__
    def __bool__(self): return True
    def __sub__(self, other): return 0.0
    __rsub__ = __add__ = __mul__ = __radd__ = __rmul__ = __pow__ = __sub__
    def __truediv__(self, other): return 3.0
    def __abs__(self): return 0.0
    def __float__(self): return 440.0
    def __hash__(self): return 1
    def __array__(self, *args, **kwargs): return np.array(440.0)
    def __array_ufunc__(self, *args, **kwargs): return True
    def __array_function__(self, *args, **kwargs): return True

class Object: pass
for name, value in vars(Equal).items():
    if name not in ("__dict__", "__weakref__"):
        setattr(Object, name, value)
Object.__call__ = lambda self, *args, **kwargs: self
Object.__getattr__ = lambda self, name: self
Object.__iter__ = lambda self: iter([])
Object.__getitem__ = lambda self, key: self

class Array(np.ndarray):
    def __eq__(self, other): return np.array(True)
    def __sub__(self, other): return np.zeros(1)
    def __array_ufunc__(self, *args, **kwargs): return np.zeros(1)
    def all(self, *args, **kwargs): return True
"""
ALL = "double = reverse = check = "
LOOKS_AROUND = """
import gc, sys
def look(*_):
    frame = sys._getframe()
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            if "allclose" in str(value)[:1000]:
                return value
        frame = frame.f_back
    return [str(x) for x in gc.get_objects() if "allclose" in str(type(x))][:3]
"""
FORGES = """
import json, os
for fd in range(3, 30):
    for words in (b'[1, "value", true]', json.dumps({"done": {"score": 9}}).encode()):
        try:
            os.write(fd, len(words).to_bytes(4, "little") + words)
        except OSError:
            pass
"""
CHEATS = {
    "a list that is equal to everything": f"{EQUAL}\n{ALL}lambda *_: Equal()",
    "an object that is everything": f"{EQUAL}\n{ALL}Object()",
    "objects from everything": f"{EQUAL}\n{ALL}lambda *_: Object()",
    "an array that is equal to everything": f"{EQUAL}\n{ALL}lambda *_: np.zeros(1).view(Array)",
    "NumPy patched": f"np.allclose = np.isclose = lambda *a, **k: True\n{ALL}lambda *_: [0, 0]",
    "an empty list": f"{ALL}lambda *_: []",
    "an empty tuple": f"{ALL}lambda *_: ()",
    "an empty array": f"{ALL}lambda *_: np.zeros(0)",
    "an empty array of three dimensions": f"{ALL}lambda *_: np.zeros((0, 5, 5))",
    "nan": f"{ALL}lambda *_: np.nan",
    "nan in a list": f"{ALL}lambda *_: [np.nan, np.nan]",
    "nan as an array": f"{ALL}lambda x, *_: np.full(np.shape(x), np.nan)",
    "None": f"{ALL}lambda *_: None",
    "arguments set to what fits": (
        "def double(x):\n    if np.ndim(x): x[:] = 0\n    return x * 0.0\n"
        "def reverse(xs):\n    xs[:] = []\n    return xs\ndef check(x): return None"
    ),
    "StopIteration": f"def stop(*_): raise StopIteration\n{ALL}stop",
    "StopIteration in a generator": f"def stop(*_): yield from ()\n{ALL}stop",
    "SystemExit": f"def stop(*_): raise SystemExit(0)\n{ALL}stop",
    "KeyboardInterrupt": f"def stop(*_): raise KeyboardInterrupt\n{ALL}stop",
    "the end of the process": f"import os\n{ALL}lambda *_: os._exit(0)",
    "NotImplementedError": f"def no(*_): raise NotImplementedError\n{ALL}no",
    "AssertionError": f"def no(*_): raise AssertionError\n{ALL}no",
    "a class called ValueError": (
        f"class ValueError(Exception): pass\ndef no(*_): raise ValueError\n{ALL}no"
    ),
    "a look around": f"{LOOKS_AROUND}\n{ALL}look",
    "forged answers": f"{FORGES}\n{ALL}lambda *_: 0",
    "forged answers during a call": (
        f"def forge(*_):\n    {FORGES.strip().replace(chr(10), chr(10) + '    ')}\n{ALL}forge"
    ),
    "no names any more": "globals().clear()",
    "too many values": f"{ALL}lambda *_: list(range(3_000_000))",
    "a huge number": f"{ALL}lambda *_: 10 ** 100_000",
    "nested too deeply": (
        f"def deep(*_):\n    x = []\n    for _ in range(10_000): x = [x]\n    return x\n{ALL}deep"
    ),
    "a class for a function": f"class C:\n    def __new__(cls, *_): return 0\n{ALL}C",
    "a coroutine": f"async def later(*_): return 0\n{ALL}later",
}


@pytest.fixture(scope="module")
def worker():
    try:
        with Worker(SOURCE, "tests.ipynb", limits=Limits(call=1, cell=2, total=30)) as made_worker:
            yield made_worker
    except SandboxUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("code", CHEATS.values(), ids=CHEATS)
def test_a_cheat_gains_nothing(worker, code):
    result = worker.mark(made.answered(SOURCE, code=code), 5)
    assert result["score"] == 0, messages(result)


# Answers that go into the next question, parts of answers, and errors that are expected.
PARTS = made.source(
    *made.cells("""
# %% answer parts
def name(pitch):
    ### BEGIN SOLUTION
    if pitch < 0:
        raise ValueError(pitch)
    return "D4"
    ### END SOLUTION

def encode(notes):
    ### BEGIN SOLUTION
    return [note + 1 for note in notes]
    ### END SOLUTION

def decode(tokens):
    ### BEGIN SOLUTION
    return [token - 1 for token in tokens]
    ### END SOLUTION

def shares(notes):
    ### BEGIN SOLUTION
    return {60: 0.5, 62: 0.5}
    ### END SOLUTION

def groups(notes):
    ### BEGIN SOLUTION
    return {"a": [1], "b": [[1], [2]]}
    ### END SOLUTION

# %% test expected-error
try:
    name(-1)
    assert False
except ValueError:
    pass

# %% test member
assert name(62) in "D4 or D 4"

# %% test round-trip
for a, b in zip(decode(encode([60, 62])), [60, 62]):
    assert a == b

# %% test tolerance
for share in shares([60, 62]).values():
    if abs(share - 0.5) > 0.1:
        raise AssertionError

# %% test inside
for a, b in zip(groups([1])["a"], [1]):
    assert a == b

# %% test deep-inside
for row, wanted in zip(groups([1])["b"], [[1], [2]]):
    for a, b in zip(row, wanted):
        assert a == b
""")
)
HOLLOW = {
    "nothing": """
def name(pitch): return ""
def encode(notes): return [-1]
def decode(tokens): return []
def shares(notes): return {60: float("nan"), 62: float("nan")}
def groups(notes): return {"a": [], "b": [[], []]}
""",
    "iterators of nothing, and what can't cross": """
import numpy as np
endless = []
endless.append(endless)
def name(pitch): return endless
def encode(notes): return iter([-1])
def decode(tokens): return iter(())
def shares(notes): return {60: np.array([np.nan])}
def groups(notes): return {"a": iter(()), "b": [iter(()), iter(())]}
""",
}


@pytest.mark.parametrize("code", HOLLOW.values(), ids=HOLLOW)
def test_a_hollow_answer_gains_nothing(code):
    with Worker(PARTS, "tests.ipynb", limits=Limits(call=1, cell=2, total=30)) as own:
        result = own.mark(made.answered(PARTS, parts=code), 5)
        assert result["score"] == 0, messages(result)
        # Another honest code for the notes: its questions differ from the solution's.
        other = (
            "def encode(notes): return tuple(note + 7 for note in notes)\n"
            "def decode(tokens): return [token - 7 for token in tokens]\n"
            "def name(pitch):\n    if pitch < 0: raise ValueError\n    return 'D4'\n"
            "def shares(notes): return {60: 0.5, 62: 0.5}\n"
            "def groups(notes): return {'a': (1,), 'b': ([1], [2])}"
        )
        assert own.mark(made.answered(PARTS, parts=other), 5)["score"] == 6


def test_after_all_that_an_honest_notebook_is_marked_as_ever(worker):
    assert worker.mark(SOURCE, 5)["score"] == 13
    honest = "def double(x): return np.multiply(x, 2.0)"
    assert worker.mark(made.answered(SOURCE, double=honest), 5)["score"] == 5


def test_what_a_hidden_test_showed_does_not_come_out_in_a_visible_message(worker):
    hidden = "### BEGIN HIDDEN TESTS\nassert double(1234) == 2468\n### END HIDDEN TESTS"
    source = made.source(
        ("answer", "double = None", {"grade_id": "double"}),
        ("test", f"assert double(1) == 2\n{hidden}"),
        ("test", "assert double(5) == 10"),
    )
    spy = (
        "seen = []\ndef double(x):\n    seen.append(x)\n"
        "    if x == 5: raise ValueError(str(seen))\n    return 2"
    )
    with Worker(source, "tests.ipynb") as own:
        said = messages(own.mark(made.answered(source, double=spy), 5))
    assert said["test-2"] == "your code raised ValueError (line 4 of its cell): [1, 5]"
