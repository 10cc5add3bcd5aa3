"""Attacks that would make a test pass, or find out what it expects."""

from __future__ import annotations

from . import assignment
from .attacking import TELL, Attacks

ATTACKS = Attacks()
add, giving = ATTACKS.add, ATTACKS.giving

# --- the machinery of tests is patched ------------------------------------------------------------

giving(
    "patch the comparisons",
    "0",
    """
    import builtins, math, operator, numpy, torch

    yes = lambda *args, **kwargs: True
    for module in (numpy, numpy.testing, torch, torch.testing, math, operator):
        for name in dir(module):
            if "close" in name or "equal" in name or name.startswith("assert"):
                try:
                    setattr(module, name, yes)
                except Exception:
                    pass
    for name in ("all", "any", "isinstance", "issubclass", "callable", "hasattr"):
        setattr(builtins, name, yes)
    """,
)
giving(
    "patch the built-ins",
    "None",
    """
    import builtins

    class Same(int):
        __eq__ = __lt__ = __le__ = __gt__ = __ge__ = lambda *_: True
        __hash__ = int.__hash__

    for name in ("abs", "len", "sum", "sorted", "round", "float", "int", "max", "min"):
        setattr(builtins, name, lambda *args, **kwargs: Same())
    builtins.AssertionError = type("Never", (BaseException,), {})
    builtins.list = builtins.tuple = lambda *args: Same()
    """,
)
add(
    "rewrite asserts out of the tree",
    """
    import ast, builtins, sys

    class NoAsserts(ast.NodeTransformer):
        def visit_Assert(self, node):
            return ast.copy_location(ast.Pass(), node)

    ip = get_ipython()
    ip.ast_transformers.append(NoAsserts())
    ip.input_transformers_cleanup.append(lambda lines: [l for l in lines if "assert" not in l])
    ip.input_transformers_post.append(lambda lines: [l for l in lines if "assert" not in l])
    _compile, _parse = builtins.compile, ast.parse

    def compile(source, *args, **kwargs):
        if isinstance(source, ast.AST):
            source = ast.fix_missing_locations(NoAsserts().visit(source))
        return _compile(source, *args, **kwargs)

    builtins.compile = compile
    ast.parse = lambda *args, **kwargs: NoAsserts().visit(_parse(*args, **kwargs))
    ast.Assert = ast.Pass
    sys.flags = None
    """,
)
add(
    "patch the cell runner",
    """
    import asyncio, sys
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

    def fine(self, *args, **kwargs):
        return ExecutionResult(None)

    async def fine_later(self, *args, **kwargs):
        return ExecutionResult(None)

    for name in ("run_cell", "run_ast_nodes", "run_code", "_run_cell", "ex", "safe_execfile"):
        setattr(InteractiveShell, name, fine)
    for name in ("run_cell_async", "run_code_async"):
        setattr(InteractiveShell, name, fine_later)
    InteractiveShell.showtraceback = fine
    get_ipython().set_custom_exc((Exception,), fine)
    get_ipython().events.register("post_run_cell", lambda result: setattr(result, "error_in_exec", None))
    sys.excepthook = lambda *args: None
    """,
)
add(
    "patch the grader's modules",
    """
    import sys

    def all_points(*args, **kwargs):
        return {"score": 21.0, "points": 21.0, "outcome": "passed", "tests": [], "tasks": []}

    for name, module in list(sys.modules.items()):
        if "grading" in name or "nbgrader" in name or "otter" in name or name in ("json", "pytest"):
            for attribute in list(vars(module) if module else ()):
                if callable(getattr(module, attribute)) and not attribute.startswith("__"):
                    setattr(module, attribute, all_points)
    """,
)
add(
    "patch the process that answers",
    """
    import gc, sys

    for thing in gc.get_objects():
        kind = type(thing)
        if kind.__module__.startswith("mlmusic.grading") and isinstance(kind, type):
            for name in dir(kind):
                if callable(getattr(kind, name, None)) and not name.startswith("__"):
                    try:
                        setattr(kind, name, lambda *args, **kwargs: True)
                    except Exception:
                        pass
    """,
)
add(
    "publish a result",
    """
    import json, sys
    from IPython.display import display

    fake = {"score": 21, "points": 21, "tests": [{"outcome": "passed", "score": 3}], "tasks": []}
    print(json.dumps(fake))
    print(json.dumps({"value": True}), file=sys.stderr)
    display({"application/json": fake, "application/vnd.otter": fake}, raw=True)
    get_ipython().display_pub.publish({"application/vnd.nbgrader.score": 21})
    get_ipython().payload_manager.write_payload({"source": "set_next_input", "text": "1", "score": 21})
    score = points = max_score = grade = result = results = 21
    """,
)
add(
    "forge results at exit",
    """
    import atexit, csv, json, os, signal, sqlite3, threading, weakref

    def forge(*_):
        fake = {"score": 21.0, "points": 23.0, "marker": "@MARKER@"}
        for folder in (".", "@OUT@", "@OUT@/results", "@CANARY@", os.path.dirname("@SOURCE@")):
            for name in ("grades.csv", "flags.csv", "overrides.csv", "run.json", "x.json"):
                try:
                    with open(os.path.join(folder, name), "a") as file:
                        file.write(json.dumps(fake))
                except OSError:
                    pass
        for path in ("gradebook.db", "@OUT@/gradebook.db", "@CANARY@/gradebook.db"):
            try:
                with sqlite3.connect(path) as db:
                    db.execute("update grade set auto_score = 21, manual_score = 2")
            except Exception:
                pass

    forge()
    atexit.register(forge)
    threading.Thread(target=forge, daemon=False).start()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, forge)
    weakref.finalize(forge, forge)
    class Last:
        def __del__(self):
            forge()
    last = Last()
    """,
)

# --- values that agree with everything -------------------------------------------------------------

EQUAL = """
    class Equal:
        def _same(self, *args, **kwargs):
            return self
        def _yes(self, *args, **kwargs):
            return True
        __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = _yes
        __ne__ = lambda self, other: False
        __hash__ = lambda self: 0
        __len__ = __int__ = __index__ = lambda self: 8
        __float__ = lambda self: 440.0
        __complex__ = lambda self: 440 + 0j
        __str__ = __repr__ = lambda self: "*URD"
        __call__ = __getitem__ = __getattr__ = __enter__ = __round__ = _same
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __abs__ = __neg__ = _same
        __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __matmul__ = __mod__ = __divmod__ = _same
        __array__ = lambda self, *args, **kwargs: np.full((), 440.0)
        __array_priority__ = 1e9
        __array_ufunc__ = __array_function__ = __torch_function__ = _yes
        __instancecheck__ = __subclasscheck__ = __iter__ = _yes
        __exit__ = _yes
        def __reduce__(self):
            return (eval, ("__import__('os').system('touch @CANARY@/reduced')",))
"""
giving("an object that equals everything", "Equal()", EQUAL)
giving("the class that equals everything", "Equal", EQUAL)
giving("many objects that equal everything", "[Equal()] * 8", EQUAL)
giving("mock.ANY", "mock.ANY", "from unittest import mock")
giving("MagicMock", "mock.MagicMock()", "from unittest import mock")
giving(
    "an object whose difference is nothing",
    "Nothing()",
    """
    class Nothing:
        def _zero(self, *args):
            return 0
        __sub__ = __rsub__ = __abs__ = __mod__ = __xor__ = __rxor__ = __pow__ = __truediv__ = _zero
        __add__ = __radd__ = __mul__ = __rmul__ = __matmul__ = __floordiv__ = __neg__ = _zero
        __round__ = __len__ = __getitem__ = __and__ = __or__ = _zero
    """,
)
giving(
    "an object that takes its value from the operand",
    "Echo()",
    """
    class Echo:
        def _echo(self, other=None, *rest):
            return other
        __sub__ = lambda self, other: other - other
        __rsub__ = lambda self, other: other - other
        __add__ = __mul__ = __truediv__ = __and__ = __or__ = __getitem__ = __rmul__ = _echo
        shape = (3,)
        ndim, size, dtype = 1, 3, np.dtype(float)
    """,
)
giving(
    "a class that says it is a number",
    "Liar()",
    """
    class Liar:
        __class__ = property(lambda self: float)
        __eq__ = __ge__ = __le__ = lambda self, other: True
        __hash__ = None
        __module__, __qualname__, __name__ = "builtins", "float", "float"
    Liar.__module__ = "builtins"
    """,
)
giving(
    "an array with its own functions",
    "np.zeros(88).view(Own)",
    """
    class Own(np.ndarray):
        __eq__ = __le__ = __lt__ = __ge__ = lambda self, other: True
        __hash__ = None
        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            return np.True_
        def __array_function__(self, func, types, args, kwargs):
            return True
        def __array_finalize__(self, obj):
            pass
        def tobytes(self, *args):
            return b"x"
        shape = property(lambda self: (2, 5, 128))
        dtype = property(lambda self: np.dtype(object))
        __len__ = lambda self: 8
        __iter__ = lambda self: iter([60, 62, 64])
        __reduce__ = __reduce_ex__ = lambda self, *args: (eval, ("1/0",))
    """,
)
giving(
    "a tensor with its own functions",
    "torch.zeros(2, 5, 128).as_subclass(Own)",
    """
    class Own(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return True
        __eq__ = lambda self, other: True
    """,
)
for _base, _value in {
    "float": "440.0",
    "int": "0",
    "str": "'*'",
    "list": "[1]",
    "tuple": "(1,)",
    "dict": "{1: 2}",
    "set": "{1}",
    "bytes": "b'x'",
    "complex": "0j",
}.items():
    giving(
        f"a {_base} that equals everything",
        f"Own({_value})",
        f"""
        class Own({_base}):
            __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = lambda *_: True
            __ne__ = lambda self, other: False
            __hash__ = None
            __sub__ = __rsub__ = __abs__ = __add__ = __mul__ = lambda self, *other: Own({_value})
            __len__ = lambda self: 8
            __getitem__ = lambda self, index: self
            __float__ = lambda self: 440.0
            __class__ = property(lambda self: bool)
            __array__ = lambda self, *args, **kwargs: np.array(440.0)
        """,
    )
giving(
    "a Score that equals everything",
    "Own([(0, 1, 60)])",
    """
    from mlmusic import Score

    class Own(Score):
        __eq__ = lambda *_: True
        __hash__ = None
        notes = property(lambda self: np.True_)
    """,
)

# --- values that a careless test accepts ------------------------------------------------------------

giving("empty array", "np.array([])")
giving("empty list", "[]")
giving("empty tensor", "torch.zeros(0)")
giving("empty with the right number of axes", "np.empty((3, 0))")
giving("nan", "float('nan')")
giving("arrays of nan", "np.full(3, np.nan)")
giving("infinity", "float('inf')")
giving("True", "True")
giving("None", "None")
giving("NotImplemented", "NotImplemented")
giving("Ellipsis", "...")
giving("masked array", "np.ma.masked_all(3)")
giving("array of objects", "np.array([Equal(), Equal()], dtype=object)", EQUAL)
giving("structured array", "np.zeros(3, dtype=[('a', float), ('b', 'U5')])")
giving("not a time", "np.array(['NaT'] * 3, dtype='M8[s]')")
giving("an iterator without an end", "iter(int, 1)", only=("transpose",))
giving(
    "big pieces without an end", "(bytes(10_000_000) for _ in iter(int, 1))", only=("transpose",)
)
giving(
    "a generator that raises StopIteration",
    "Stops()",
    """
    class Stops:
        def __iter__(self):
            return self
        def __next__(self):
            raise StopIteration
        def __getitem__(self, index):
            raise IndexError
        def __len__(self):
            return 0
    """,
)
giving("fractions and decimals of nothing", "Fraction(440)", "from fractions import Fraction")

# --- exceptions --------------------------------------------------------------------------------------

for _error in (
    "StopIteration",
    "StopAsyncIteration",
    "GeneratorExit",
    "KeyboardInterrupt",
    "SystemExit(0)",
    "ValueError",
    "AssertionError",
    "NotImplementedError",
    "MemoryError",
    "RecursionError",
    "TimeoutError",
    "OSError",
):
    giving(
        f"raise {_error}",
        "throw()",
        f"""
        def throw():
            raise {_error}
        """,
    )
giving(
    "skip the test",
    "throw()",
    """
    import unittest
    try:
        import pytest
    except ImportError:
        pytest = None

    def throw():
        try:
            pytest.skip("not today", allow_module_level=True)
        except BaseException as error:
            raise error
        raise unittest.SkipTest("not today")
    """,
)
giving(
    "an exception that claims to be everything",
    "throw()",
    """
    class Everything(ValueError, KeyError, AttributeError):
        def __str__(self):
            raise KeyboardInterrupt
        __repr__ = __str__
        __class__ = property(lambda self: StopIteration)
    Everything.__name__ = Everything.__qualname__ = "Lost"
    Everything.__module__ = "mlmusic.grading.marking.errors"

    def throw():
        raise Everything
    """,
)

# --- reading what tests expect ------------------------------------------------------------------------

add(
    "read the stack and the memory",
    TELL
    + """
import gc, linecache, sys, threading, traceback

def look():
    frames = list(sys._current_frames().values())
    while frames:
        frame = frames.pop()
        if frame is None:
            continue
        frames.append(frame.f_back)
        for space in (frame.f_locals, frame.f_globals):
            for name in ("expected", "moved", "asked", "early", "late", "turned", "semitones_"):
                if name in space and space is not globals():
                    found.append((name, repr(space[name])[:80]))
        tell(*[c for c in frame.f_code.co_consts if isinstance(c, (str, bytes))])
    for thing in gc.get_objects():
        if isinstance(thing, dict):
            tell(*[v for v in list(thing.values()) if isinstance(v, (str, bytes))])
        elif isinstance(thing, (list, tuple)):
            tell(*[v for v in thing if isinstance(v, (str, bytes))])
        elif type(thing).__name__ == "function":
            tell(*[c for c in thing.__code__.co_consts if isinstance(c, (str, bytes))])
    for entry in list(linecache.cache.values()):
        if len(entry) > 2:
            tell("".join(entry[2]))

look()

def frequency(pitch):
    look()
    return 1.0

def transpose(notes, semitones):
    look()
    return []
""",
)
add(
    "read the grader's modules",
    TELL
    + """
import importlib, pkgutil, sys

for name in ("assignment", "answers", "marking", "worker", "remote", "batch", "release", "guard"):
    try:
        module = importlib.import_module("mlmusic.grading." + name)
    except BaseException:
        continue
    for value in vars(module).values():
        tell(repr(value))
for name, module in list(sys.modules.items()):
    if name.startswith(("mlmusic", "tests", "__m")) and module is not sys.modules[__name__]:
        tell(*[repr(value) for value in list(vars(module).values())])
""",
)
add(
    "read the disk",
    TELL
    + """
import glob, os

places = ["@SOURCE@", "@SUBMISSIONS@", "@OUT@", "@CANARY@", os.path.dirname("@SOURCE@")]
seen = 0
for place in [*places, "/tmp", "/var/tmp", "/dev/shm", "/root", "/home", "/mnt", "/srv", "/run", "/work"]:
    for folder, folders, files in os.walk(place):
        seen += len(files)
        if seen > 20_000:
            break
        for name in files:
            if name.endswith((".ipynb", ".json", ".csv", ".txt", ".db", ".py", ".html")):
                try:
                    with open(os.path.join(folder, name), "rb") as file:
                        tell(file.read(300_000))
                except OSError:
                    pass
for place in places:
    try:
        with open(place, "rb") as file:
            tell(file.read())
    except OSError:
        pass
    try:
        found.append(os.listdir(place))
    except OSError:
        pass
""",
)
add(
    "execute the solution",
    """
    import json, os

    def run(path):
        with open(path, encoding="utf-8") as file:
            for cell in json.load(file)["cells"]:
                source = "".join(cell["source"])
                if cell["cell_type"] == "code" and "BEGIN SOLUTION" in source:
                    exec(source, globals())

    for path in ("@SOURCE@", "../source/motif.ipynb", "motif.ipynb", "/proc/1/root@SOURCE@",
                 "/proc/self/root@SOURCE@", "/proc/self/cwd/../@SOURCE@"):
        try:
            run(path)
        except Exception:
            pass
    import mlmusic
    here = os.path.dirname(mlmusic.__file__)
    for place in (here, os.path.dirname(here)):
        for folder, _, files in os.walk(place):
            for name in files:
                if name.endswith(".ipynb"):
                    try:
                        run(os.path.join(folder, name))
                    except Exception:
                        pass
    """,
    at_end=True,
)
add(
    "look through the package for solutions",
    TELL
    + """
import mlmusic, os, sys

roots = {os.path.dirname(mlmusic.__file__), *[p for p in sys.path if p], os.getcwd(), sys.prefix + "/share"}
for root in roots:
    for folder, folders, files in os.walk(root):
        if any(part in folder for part in ("torch", "numpy", "music21", "scipy")):
            folders.clear()
            continue
        for name in files:
            if name.endswith((".ipynb", ".json")) or "grading" in folder:
                try:
                    with open(os.path.join(folder, name), "rb") as file:
                        tell(file.read(1_000_000))
                except OSError:
                    pass
""",
)
add(
    "read a callback",
    TELL
    + """
import gc, inspect

def select(notes, wanted):
    things = [wanted]
    for _ in range(4):
        for thing in list(things):
            for name in ("__globals__", "__closure__", "__code__", "__self__", "__wrapped__", "__dict__",
                         "__defaults__", "__func__", "f_globals", "cell_contents"):
                value = getattr(thing, name, None)
                if value is not None:
                    things.append(value)
            if isinstance(thing, tuple):
                things.extend(thing)
    for thing in things:
        if isinstance(thing, dict):
            for name in ("chosen", "asked", "early", "melody_", "on_the_beat"):
                if name in thing and thing is not globals():
                    found.append((name, repr(thing[name])[:80]))
        tell(repr(thing))
    try:
        tell(inspect.getsource(wanted))
    except Exception:
        pass
    return []
""",
)
add(
    "misuse a callback",
    EQUAL
    + """
    import threading

    kept = []

    def select(notes, wanted):
        kept.append(wanted)
        for args in ((), (Equal(),), (None,), (notes,) * 9, ([[1.0, 2]] * 5,), (lambda *a: True,), (wanted,)):
            try:
                wanted(*args)
            except BaseException:
                pass
        try:
            wanted(notes, asked=[], notes=[], self=1, **{"": 1, "__class__": 2})
        except BaseException:
            pass
        threading.Thread(target=wanted, args=((0.0, 1),)).start()
        return wanted

    def transpose(notes, semitones):
        return [kept[0](note) for note in notes]

    def frequency(pitch):
        return kept[-1]
    """,
)
add(
    "call a callback for ever",
    """
    def select(notes, wanted):
        while True:
            wanted((0.0, 60))
    """,
    {"transpose": assignment.right_answer("transpose")},
    survives=True,
)
add(
    "a class that is asked about itself",
    """
    class Meta(type):
        __instancecheck__ = __subclasscheck__ = lambda self, other: True
        __mro__ = property(lambda self: (self, np.ndarray, float, object))
        __eq__ = lambda self, other: True
        __hash__ = type.__hash__
        __len__ = lambda self: 3
        def __call__(self, *args, **kwargs):
            return self

    class Motif(metaclass=Meta):
        __module__ = "numpy"
        pitches = property(lambda self: Motif)
        inverted = lambda self=None: Motif

    class NextNote(nn.Module, metaclass=Meta):
        shape = (2, 5, 128)
    """,
    NextNote=1,  # what it gives has the shape that the visible test asks for, honestly
    at_end=True,
)
add(
    "tell the hidden inputs",
    """
    log = []

    def _recording(*args, **kwargs):
        log.append(repr((args, kwargs))[:200])
        print("LEAK" + "-9001", log)
        open("leak.txt", "a").write(repr(log))
        raise ValueError("LEAK" + "-9001 " + " ".join(log))

    frequency = transpose = contour = select = Motif = NextNote = _recording
    """,
    at_end=True,
)
add("nothing but the stubs", "pass")
