"""A notebook's cells run as in IPython, errors are kept, commands are left out."""

import pytest

from mlmusic.grading.codec import Handle


def test_names_stay_from_cell_to_cell(run, get):
    assert run("a = 1\nb = 2") == {"error": None, "printed": "", "notes": []}
    run("a += b")
    assert get("a") == 3


def test_after_an_error_only_definitions_run(run, get):
    reply = run(
        "first = 1\nraise ValueError('no')\nlater = 2\ndef f(): return 3\nimport math\n"
        "class A: pass\nprint('never')\nasync def g(): pass\nfrom os import path\nx = 1 / 0"
    )
    assert reply["error"] == {"type": "ValueError", "message": "no", "line": 2}
    assert reply["printed"] == "" and get("first") == 1
    for name in ("f", "math", "A", "g", "path"):
        assert type(get(name)) is Handle
    assert run("later")["error"]["message"] == "name 'later' is not defined"


def test_the_line_is_the_one_of_the_cell(run):
    run("def f(x):\n    return 1 / x")
    assert run("\n\nf(0)")["error"]["line"] == 3
    assert run("import json\n\njson.loads('{')")["error"]["line"] == 3
    assert run("x = 1\ny = (")["error"] == {
        "type": "SyntaxError",
        "message": "'(' was never closed",
        "line": 2,
    }


def test_only_definitions_on_request(run, get):
    reply = run(
        "import math\nN = 3\nNAMES = ['a', -N]\nx: float = 2.5\ndef f(): return N\n"
        "slow = sum(range(10))\nprint('trained')\nfor i in range(3): pass\n"
        "try:\n    import nonexistent\nexcept ImportError:\n    nonexistent = None\n",
        mode="defs",
    )
    assert reply == {"error": None, "printed": "", "notes": []}
    assert [get("N"), get("NAMES"), get("x"), get("nonexistent")] == [3, ["a", -3], 2.5, None]
    for name in ("slow", "i"):
        assert run(name)["error"]["type"] == "NameError"


@pytest.mark.parametrize(
    ("source", "notes"),
    [
        ("!ls -l", ["!ls -l"]),
        ("files = !ls\nassert files == []", ["!ls"]),
        ("%pip install torch", ["%pip install torch"]),
        ("%conda install x", ["%conda install x"]),
        ("%no_such_magic 3", ["%no_such_magic 3"]),
        ("%%bash\nrm -r *", ["%%bash"]),
        ("%%javascript\nalert()", ["%%javascript"]),
        ("%run other.py", ["%run other.py"]),
        ("%matplotlib inline\n%config X.y = 1\n%load_ext autoreload\n%autoreload 2", []),
        ("import os\nos?\n?os\nos.path??", []),
        ("display(3)\nexit()\nquit()", []),
    ],
)
def test_commands_are_left_out_and_noted(run, source, notes):
    reply = run(source)
    assert (reply["error"], reply["notes"]) == (None, notes)


def test_timing_magics_run_what_they_time(run, get):
    for source in (
        "%%time\na = 1",
        "\n%%timeit -n 1\nb = 2",
        "%%capture out\n%%time\nc = 3",
        "d = %time 4",
        "%timeit -n1 -r 1 e = 5",
        "%time f = 6",
    ):
        assert run(source)["error"] is None
    assert [get(name) for name in "abcdef"] == [1, 2, 3, 4, 5, 6]
    assert run("%%time\n\n1 / 0")["error"]["line"] == 3


def test_a_written_file_can_be_imported(run, get):
    run("%%writefile helper.py\nvalue = 7")
    run("%%writefile -a helper.py\nother = 8")
    run("import helper\nfound = helper.value, helper.other")
    assert get("found") == (7, 8)


def test_top_level_await_and_async_functions(run, get, sandbox):
    run("import asyncio\nasync def f(x):\n    await asyncio.sleep(0.001)\n    return 2 * x")
    assert run("y = await f(4)")["error"] is None
    assert get("y") == 8
    coroutine = sandbox.request("call", seconds=5, target="f", args=[5])
    assert sandbox.request("do", seconds=5, what="await", target=coroutine) == 10
    assert run("z = asyncio.run(f(1))")["error"] is None


def test_futures_hold_for_later_cells(run, get):
    run("from __future__ import annotations")
    run("def f(x: Undefined) -> Missing:\n    return x")
    run("note = f.__annotations__['x']")
    assert get("note") == "Undefined"


def test_it_looks_like_a_notebook(run, get):
    run(
        "import inspect, sys, os, getpass\n"
        "def f():\n    return 1  # a comment\n"
        "found = [__name__, inspect.getsource(f), input('name? '), getpass.getpass(),\n"
        "         sys.stdin.read(), sys.argv, os.environ['MLMUSIC_GRADING'],\n"
        "         get_ipython() is not None]"
    )
    source = "def f():\n    return 1  # a comment\n"
    assert get("found") == ["__main__", source, "", "", "", ["student"], "1", True]
    assert (
        run("import pickle\nclass A: pass\nassert pickle.loads(pickle.dumps(A())) is not None")[
            "error"
        ]
        is None
    )


def test_what_is_printed_comes_back_capped(run):
    reply = run(
        "import sys\nprint('a', end='')\nprint('no', file=sys.stderr)\n"
        "sys.stdout.buffer.write(b'b')"
    )
    assert reply["printed"] == "ab"
    reply = run("for i in range(100_000): print('x' * 100)")
    assert len(reply["printed"]) == 2_000
    assert run("print('\\ud800')")["printed"] == "?\n"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("raise SystemExit(3)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("def f(): f()\nf()", "RecursionError"),
        ("class Odd(Exception):\n    def __str__(self): raise self\nraise Odd", "Odd"),
        ("x = bytearray(3 << 30)", "MemoryError"),
        ("\0", "SyntaxError"),
    ],
)
def test_every_error_is_kept_and_the_process_lives(run, get, code, name):
    error = run(code)["error"]
    # A null byte is a ValueError in older versions of Python.
    assert error["type"] == name or (name == "SyntaxError" and error["type"] == "ValueError")
    run("alive = True")
    assert get("alive") is True
