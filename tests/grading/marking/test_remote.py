"""Stand-ins for a student's functions and objects: values come back, judgements don't."""

import asyncio
import copy
import datetime
import enum
import inspect
import io
import random
import sys
import threading
import time
import types
from dataclasses import dataclass

import numpy as np
import pytest

from mlmusic.grading.limits import Limits
from mlmusic.grading.marking.errors import Lost, Raised, error_class
from mlmusic.grading.marking.process import Student, root_of
from mlmusic.grading.marking.remote import is_stand_in
from mlmusic.grading.sandbox import Sandbox, SandboxUnavailable

CODE = """
import numpy as np, json, sys, os, time
from dataclasses import dataclass

def double(x): return x * 2
def call(f, *args): return f(*args)
def nothing(): pass
def shout(): print("HELLO")
def draw(rng): return rng.random()
def day(date): return date.isoformat()
def kind(x, dtype): return str(np.asarray(x, dtype=dtype).dtype)
def empty_out(xs): xs.clear()
def squares(n):
    for i in range(n): yield i * i
async def later(x): return x + 1
async def steps(n):
    for i in range(n): yield i
def hang():
    while True: pass
def die(): os._exit(3)
def first(xs): return next(iter(xs))
def transposed(note): return Note(note.pitch + 1)
def same(x): return x

class TooHigh(ValueError): pass
class FarTooHigh(TooHigh): pass
def fail(kind): raise kind
def too_high(): raise FarTooHigh("much")
def broken_json(): json.loads("{")
def stop(): raise StopIteration
def leave(): sys.exit(1)
def wrong(): assert False, "mine"

class Pair:
    total = 0
    def __init__(self, a, b): self.a, self.b = a, b
    def swap(self): return Pair(self.b, self.a)
    def __eq__(self, other): return True
    def __lt__(self, other): return True
    def __bool__(self): return True
    def __float__(self): return 440.0
    def __array__(self, *args, **kwargs): return np.array(440.0)
    def __len__(self): return 2
    def __getitem__(self, i): return (self.a, self.b)[i]
    def __setitem__(self, i, x): self.a = x
    def __contains__(self, x): return True
    def __add__(self, other): return Pair(self.a + other.a, self.b + other.b)
    def __rmul__(self, k): return Pair(self.a * k, self.b * k)
    def __repr__(self): return f"Pair({self.a}, {self.b})"
    def __enter__(self): return self
    def __exit__(self, *_): self.a = "left"

@dataclass
class Note:
    pitch: int

value = [1, 2]
"""


@pytest.fixture(scope="module")
def sandbox():
    try:
        with Sandbox("auto", cells=[CODE], limits=Limits(call=1)) as made:
            yield made
    except SandboxUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def student(sandbox):
    sandbox.start()
    return Student(sandbox, Limits(call=1), time.monotonic() + 60)


@dataclass
class Note:
    pitch: int


def test_values_come_back(student):
    double = student.fetch("double")
    assert double(3) == 6 and double("a") == "aa"
    assert (double(np.array([1.0, 2.0])) == [2.0, 4.0]).all()
    assert student.fetch("value") == [1, 2]
    assert student.fetch("nothing")() is None
    assert student.fetch("call")(double, 4) == 8  # a stand-in goes back as the object


def test_a_docstring_is_the_students_own(student):
    assert student.fetch("nothing").__doc__ is None
    assert student.fetch("Pair").__doc__ is None
    assert student.fetch("Pair")(1, 2).__doc__ is None
    assert student.fetch("Note").__doc__ == "Note(pitch: int)"


def test_a_function_is_asked_for_once(student):
    asked = []
    ask = student.ask
    student.ask = lambda label, op, **fields: asked.append((label, op)) or ask(label, op, **fields)
    for _ in range(2):
        assert student.fetch("double", settled=True)(3) == 6
        assert student.fetch("value", settled=True) == [1, 2]  # may change: asked for every time
    gets = [label for label, op in asked if op == "get"]
    assert gets == ["double", "value", "value"]
    student.sandbox.start()
    student.renewed()  # another process, another function
    assert student.fetch("double", settled=True)(3) == 6
    assert [op for label, op in asked if label == "double"] == ["get", "get"]


def test_what_is_missing(student):
    with pytest.raises(Lost, match="^nowhere is not defined$") as caught:
        student.fetch("nowhere")
    assert caught.value.kind == "missing"
    assert not isinstance(caught.value, Exception)  # `except Exception` can't hide it
    with pytest.raises(Lost):  # and from then on this test gets nothing more
        student.fetch("double")
    student.lost = None
    assert student.fetch("double")(1) == 2


REFUSED = [
    lambda p: p == p,
    lambda p: p != 3,
    lambda p: p < 3,
    lambda p: 3 >= p,
    lambda p: bool(p),
    lambda p: not p,
    lambda p: float(p),
    lambda p: int(p),
    lambda p: hash(p),
    lambda p: 3 in p,
    lambda p: p in [1, 2],
    lambda p: [p] == [3],
    lambda p: np.asarray(p),
    lambda p: np.allclose(p, 440.0),
    lambda p: np.array([440.0]) == p,
    lambda p: np.isclose(440.0, p),
    lambda p: sum([p]) == 0 or p == 0,
    lambda p: max(p, 3),
    lambda p: copy.deepcopy(p),
    lambda p: {p: 1},
]


@pytest.mark.parametrize("use", REFUSED, ids=range(len(REFUSED)))
def test_a_students_object_is_never_the_judge(student, use):
    pair = student.fetch("Pair")(1, 2)

    def permit(label, operator):
        raise TypeError("only plain values")

    student.permit = permit
    with pytest.raises(TypeError, match="only (compare )?plain values"):
        use(pair)


def test_a_students_object_can_be_asked(student):
    Pair = student.fetch("Pair")
    pair = Pair(1, 2)
    assert (pair.a, pair.swap().a, len(pair), pair[1], list(pair)) == (1, 2, 2, 2, [1, 2])
    assert str(pair) == repr(pair) == f"{pair}" == "Pair(1, 2)"
    pair.b = 5
    pair[0] = 4
    assert (pair.a, pair.b, Pair.total) == (4, 5, 0)
    assert "swap" in dir(pair) and hasattr(pair, "swap") and not hasattr(pair, "nothing")
    assert isinstance(pair, Pair) and not isinstance(3, Pair)
    assert isinstance(Pair, type) and callable(Pair) and not callable(pair)
    assert issubclass(student.fetch("FarTooHigh"), ValueError)
    assert Pair.__name__ == "Pair" and student.fetch("double").__name__ == "double"
    with pair as inside:
        assert inside.b == 5
    assert pair.a == "left"
    with pytest.raises(TypeError, match="can't extend a student's class"):

        class Triple(Pair):
            pass


def test_operators_go_through_once_they_are_permitted(student):
    Pair = student.fetch("Pair")
    asked = []
    student.permit = lambda label, operator: asked.append((label, operator))
    assert repr(3 * (Pair(1, 2) + Pair(3, 4))) == "Pair(12, 18)"
    assert asked == [("Pair()", "add"), ("Pair()", "rmul")]


def test_functions_look_like_functions(student):
    double = student.fetch("double")
    assert isinstance(double, types.FunctionType) and callable(double)
    assert list(inspect.signature(double).parameters) == ["x"]


def test_generators_and_coroutines(student):
    squares = student.fetch("squares")
    assert list(squares(4)) == [0, 1, 4, 9]
    some = squares(2)
    assert isinstance(some, types.GeneratorType)
    assert [next(some), next(some)] == [0, 1]
    with pytest.raises(StopIteration):
        next(some)
    later = student.fetch("later")
    assert asyncio.run(later(1)) == 2

    async def several():
        found = [item async for item in student.fetch("steps")(3)]
        return found, await asyncio.gather(later(1), later(2))

    assert asyncio.run(several()) == ([0, 1, 2], [2, 3])


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("too_high", ValueError, "much"),
        ("wrong", AssertionError, "mine"),
    ],
)
def test_errors_are_of_the_same_builtin_kind(student, name, kind, message):
    with pytest.raises(kind, match=message) as caught:
        student.fetch(name)()
    assert isinstance(caught.value, Raised)
    assert caught.value.line is not None
    assert f"your code raised {caught.value.name} (line " in caught.value.told()


@pytest.mark.parametrize(
    "kind",
    [KeyError, TypeError, ZeroDivisionError, NotImplementedError, IndexError, OSError],
)
def test_builtin_errors(student, kind):
    with pytest.raises(kind) as caught:
        student.fetch("fail")(kind)
    assert isinstance(caught.value, Raised)


def test_errors_of_the_students_own_classes(student):
    TooHigh = student.fetch("TooHigh")
    with pytest.raises(TooHigh, match="^much$"):
        student.fetch("too_high")()
    with pytest.raises(ValueError):  # nothing was fetched before it was raised
        student.fetch("too_high")()
    assert issubclass(TooHigh, ValueError) and TooHigh.__name__ == "TooHigh"


def test_errors_of_libraries(student):
    import json

    with pytest.raises(json.JSONDecodeError):
        student.fetch("broken_json")()


def test_errors_that_would_end_a_loop_or_the_process(student):
    for name in ("stop", "leave"):
        function = student.fetch(name)
        with pytest.raises(Exception) as caught:
            all(map(lambda _, f=function: f(), [1, 2]))
        assert isinstance(caught.value, Raised)
        assert not isinstance(caught.value, (StopIteration, SystemExit))


def test_unknown_names_of_errors_are_exceptions():
    assert issubclass(error_class(("Strange", "Exception")), Exception)
    assert not issubclass(error_class(("StopIteration",)), StopIteration)
    assert issubclass(error_class(("UnicodeDecodeError",)), UnicodeError)
    assert error_class(("A", "ValueError")) is error_class(("A", "ValueError"))
    assert issubclass(error_class(("B", "A", "ValueError")), error_class(("A", "ValueError")))


def test_a_tests_functions_are_called_back(student):
    call = student.fetch("call")
    assert call(lambda x: x + 1, 2) == 3
    assert call(len, "abc") == 3 and call(np.sqrt, 4.0) == 2.0 and call(str.upper, "a") == "A"
    with pytest.raises(ZeroDivisionError):
        call(lambda: 1 / 0)
    double = student.fetch("double")
    with pytest.raises(RuntimeError, match="can't call that code again"):
        call(lambda: double(2))


def test_a_tests_objects_are_built_anew(student):
    draw = student.fetch("draw")
    for make in (np.random.default_rng, random.Random):
        rng = make(3)
        assert draw(rng) == make(3).random()
        assert draw(rng) != make(3).random()  # it was used
    assert student.fetch("day")(datetime.date(2024, 2, 29)) == "2024-02-29"
    kind = student.fetch("kind")
    assert kind([1], np.float32) == kind([1], np.dtype("f4")) == kind([1], "f4") == "float32"
    assert kind([1], float) == "float64"
    assert student.fetch("first")(iter([7, 8])) == 7
    with pytest.raises(TypeError, match="can't be handed to the student's code"):
        student.fetch("same")(threading.Lock())


def test_objects_of_the_instructors_classes_cross_by_value(student, monkeypatch):
    Shade = enum.Enum("Shade", "DARK")
    monkeypatch.setattr(Note, "__module__", "__main__")
    student.trusted = {"Note": Note, "Shade": Shade}.get
    assert student.fetch("transposed")(Note(60)) == Note(61)
    assert student.fetch("same")([Note(1), {"a": Note(2)}]) == [Note(1), {"a": Note(2)}]
    student.trusted = lambda name: None
    assert is_stand_in(student.fetch("transposed")(Note(60)))


def test_what_is_printed_is_seen_by_who_captures_it(student, capsys, monkeypatch):
    student.stdout = sys.stdout
    student.fetch("shout")()
    assert capsys.readouterr().out == ""
    captured = io.StringIO()
    monkeypatch.setattr(sys, "stdout", captured)
    student.fetch("shout")()
    assert captured.getvalue() == "HELLO\n"


def test_arguments_as_they_are_afterwards(student):
    seen = []
    student.arguments_after = lambda name, args, after: seen.append((name, args, after))
    numbers = [1, 2]
    student.fetch("empty_out")(numbers)
    assert seen == [("empty_out", ([1, 2],), [[]])]
    assert numbers == [1, 2]  # whether to change them is another's decision


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("hang", "timeout", r"^hang\(\) took more than 1 s$"),
        ("die", "died", r"^die\(\) ended its process: .*3"),
    ],
)
def test_functions_that_never_answer(student, name, kind, message):
    pair = student.fetch("Pair")(1, 2)
    for _ in range(2):
        function = student.fetch(name)
        with pytest.raises(Lost, match=message) as caught:
            function()
        assert caught.value.kind == kind
        assert not student.alive
        student.sandbox.start()
        student.renewed()
        student.lost = None
    with pytest.raises(Lost, match=f"{name} did this 2 times and isn't called again") as caught:
        student.fetch(name)
    assert caught.value.kind == kind
    student.lost = None
    with pytest.raises(Lost, match=r"Pair\(\) was lost when its process ended"):
        pair.swap()
    student.lost = None
    assert student.fetch("double")(2) == 4


def test_no_time_left(student):
    student.deadline = time.monotonic() - 1
    with pytest.raises(Lost, match="the time for the whole notebook is used up") as caught:
        student.fetch("double")
    assert caught.value.kind == "timeout"


def test_labels():
    assert [root_of(x) for x in ("Net().forward", "f", "xs[]", "f()")] == ["Net", "f", "xs", "f"]
