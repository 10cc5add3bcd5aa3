"""Requests and their answers; what a student's process may do to its answers; how it ends."""

import collections
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mlmusic.grading import codec
from mlmusic.grading.codec import Callback, CodecError, Handle
from mlmusic.grading.sandbox import (
    Sandbox,
    SandboxLost,
    StudentDied,
    StudentError,
    StudentTimeout,
    client,
    transport,
    watch,
)


def raised(sandbox, op="call", **fields):
    with pytest.raises(StudentError) as info:
        sandbox.request(op, seconds=5, **fields)
    return info.value


# Values -----------------------------------------------------------------------------------------


def test_public_cells_have_run_once(warm, run, get):
    assert warm.warm_errors == [None, "ZeroDivisionError: division by zero (line 1)", None, None]
    assert get("second") == 22_050
    run("RATE = 1")
    warm.start()
    assert get("RATE") == 22_050  # every student finds what the public cells have made
    for _ in range(2):  # their files, too
        reply = run("print(np.load('raw/notes.npy'), os.listdir('.'))\nos.remove('raw/notes.npy')")
        assert reply["printed"] == "[0 1 2] ['raw']\n"
        warm.start()


def test_values_go_in_and_come_out(run, call, get):
    run("def double(x, times=2):\n    return x * times")
    assert call("double", 4) == 8
    found = call("double", np.arange(3.0), kwargs={"times": 3})
    assert found.tolist() == [0, 3, 6] and found.dtype == float
    run("notes = [60, (62, 0.5)]")
    assert get("notes") == [60, (62, 0.5)]


def test_objects_stay_inside(run, call, get, sandbox):
    run(
        "class Model:\n    weight = 3\n    def predict(self, x): return x * self.weight\n"
        "m = Model()"
    )
    model, kind = get("m"), get("Model")
    assert type(model) is Handle
    assert model.facts == {"type": "Model", "kind": "instance", "callable": False}
    assert kind.facts == {"type": "type", "kind": "class", "callable": True, "name": "Model"}

    def do(what, target, *args):
        return sandbox.request("do", seconds=5, what=what, target=target, args=list(args))

    assert get("m") != model  # one object may go by several names, and be held to each
    predict = do("getattr", model, "predict")
    assert predict.facts["kind"] == "function" and predict.facts["name"] == "predict"
    assert call(predict, 5) == 15
    do("setattr", model, "weight", 4)
    assert call(predict.id, 5) == 20
    assert do("isinstance", model, kind) is True
    assert do("isinstance", model, "builtins.int", "numpy.ndarray") is False
    assert do("isinstance", model, "never.imported.Thing") is False
    assert do("getattr", call(kind), "weight") == 3
    made = sandbox.request("call", seconds=5, target="Model", handle=lambda n, facts: (n, facts))
    assert made[1]["type"] == "Model"


def test_operations_on_objects(run, get, sandbox):
    run(
        "class Box:\n"
        "    def __init__(self, items): self.items = items\n"
        "    def __getitem__(self, k): return self.items[k]\n"
        "    def __setitem__(self, k, v): self.items[k] = v\n"
        "    def __delitem__(self, k): del self.items[k]\n"
        "    def __len__(self): return len(self.items)\n"
        "    def __contains__(self, k): return k in self.items\n"
        "    def __iter__(self):\n"
        "        yield from self.items\n"
        "        if len(self.items) == 3: raise KeyError('end')\n"
        "    def __add__(self, n): return [n, *self.items]\n"
        "    def __rsub__(self, n): return n - len(self.items)\n"
        "    def __neg__(self): return 'neg'\n"
        "    def __matmul__(self, other): return 'mat'\n"
        "    def __float__(self): return 1.5\n"
        "    def __str__(self): return f'Box at {hex(id(self))}'\n"
        "box = Box([5, 6])"
    )
    box = get("box")

    def do(what, *args, target=box):
        return sandbox.request("do", seconds=5, what=what, target=target, args=list(args))

    do("setitem", 0, 7)
    assert [do("getitem", 0), do("len"), do("contains", 6), do("add", 1)] == [7, 2, True, [1, 7, 6]]
    assert [do("rsub", 10), do("neg"), do("matmul", 2), do("float")] == [8, "neg", "mat", 1.5]
    assert do("str") == "Box at 0x…" and "__getitem__" in do("dir")
    iterator = do("iter")
    assert [do("next", target=iterator) for _ in range(4)] == [[7], [6], [], []]
    assert do("next", 10, target=do("iter")) == [7, 6]
    do("setattr", "items", [1, 2, 3])
    iterator = do("iter")
    assert do("next", 10, target=iterator) == [1, 2, 3]
    assert raised(sandbox, "do", what="next", target=iterator).type_name == "KeyError"
    do("delitem", 0)
    assert do("len") == 2
    for what in ("eq", "bool", "hash", "eval"):
        assert raised(sandbox, "do", what=what, target=box).type_name == "KeyError"


def test_arguments_and_printed_text_come_back(run, call):
    run(
        "def f(items):\n    items.append(items[0])\n    print('done', items)\n    return len(items)"
    )
    assert call("f", [1], back=True) == [2, [[1, 1]]]
    assert call("f", [1], printed=True) == [2, "done [1, 1]\n"]
    assert call("f", [2], back=True, printed=True) == [2, [[2, 2]], "done [2, 2]\n"]


def test_callbacks(run, sandbox):
    run(
        "def apply(f, n):\n    return [f(i, scale=2.0) for i in range(n)]\n"
        "def careful(f):\n"
        "    try: f()\n"
        "    except ValueError as error: return repr(error)\n"
        "def give_back(f): return f\n"
        "def keep(f):\n    global kept\n    kept = f\n"
        "def use_kept(): return kept(1)\n"
        "def threaded(f):\n"
        "    import threading\n    got = []\n"
        "    def work():\n"
        "        try: f()\n"
        "        except RuntimeError as error: got.append(str(error))\n"
        "    t = threading.Thread(target=work); t.start(); t.join(); return got"
    )

    def request(target, function, *args):
        return sandbox.request(
            "call",
            seconds=5,
            target=target,
            args=[Callback(4), *args],
            callbacks={4: function},
        )

    def failing():
        raise ValueError("too low")

    def secretive():
        assert False, "the hidden expectation"  # noqa: B011

    def double(x, scale=1):
        return x * scale

    assert request("apply", double, 3) == [0.0, 2.0, 4.0]
    assert request("careful", failing) == "ValueError('too low')"
    with pytest.raises(StudentError) as info:
        request("careful", secretive)
    assert (info.value.type_name, info.value.message) == ("AssertionError", "")
    assert request("give_back", double) is double
    message = "this function can be called only while your own is running"
    assert request("threaded", double) == [message]
    request("keep", double)
    error = raised(sandbox, target="use_kept")  # now nobody answers for it
    assert (error.type_name, error.message) == ("RuntimeError", "there is no such function")


def test_what_cant_be_sent_leaves_the_student_alone(run, call, sandbox):
    run("def f(x): return x")
    with pytest.raises(TypeError, match="object isn't plain data"):
        call("f", object())
    with pytest.raises(CodecError, match="more than 64 MB"):
        call("f", bytes(65 << 20))
    assert call("f", 1) == 1


# Errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "type_name", "message"),
    [
        ("raise ValueError('bad ♭')", "ValueError", "bad ♭"),
        ("{}['x']", "KeyError", "'x'"),
        ("class E(LookupError): pass\n    raise E('own')", "LookupError", "own"),
        ("import json; json.loads('{')", "ValueError", "Expecting property name"),
        ("raise StopIteration(1)", None, "1"),
        ("raise SystemExit('bye')", None, "bye"),
        ("raise GeneratorExit", None, ""),
        ("class E(BaseException): pass\n    raise E('x')", None, "x"),
        ("raise ValueError(object())", "ValueError", "<object object at 0x…>"),
        ("raise ValueError('\\ud800' + 'x' * 9999)", "ValueError", "?" + "x" * 499),
        ("import os; raise ValueError(os.getcwd() + '/a')", "ValueError", "/tmp/data/a"),
        ("return (lambda: (yield))", "", ""),
    ],
)
def test_errors_cross_as_their_nearest_builtin(run, sandbox, body, type_name, message):
    run(f"def f():\n    {body}")
    if type_name == "":
        assert type(sandbox.request("call", seconds=5, target="f")) is Handle
        return
    error = raised(sandbox, target="f")
    assert error.type_name == type_name
    assert error.message.startswith(message) and len(error.message) <= 500
    assert error.line == len(f"def f():\n    {body}".splitlines())


def test_errors_keep_the_name_of_their_class(run, sandbox):
    run("class TooLoud(ValueError): pass\ndef f(): raise TooLoud('120 dB')")
    error = raised(sandbox, target="f")
    assert (error.name, error.type_name, str(error)) == ("TooLoud", "ValueError", "TooLoud: 120 dB")
    error = raised(sandbox, "get", name="missing")
    assert (error.type_name, error.message) == ("NameError", "name 'missing' is not defined")


def test_what_cant_come_out_is_an_error(run, sandbox):
    run("def f(): return np.broadcast_to(1.0, (1 << 40,))\ndef g(): return '\\ud800'")
    error = raised(sandbox, target="f")
    # No builtin error: a test that expects one would be content with it.
    assert (error.type_name, error.name) == (None, "Unsendable")
    assert error.message == "more than 64 MB of data at once"
    assert "half a character" in raised(sandbox, target="g").message


# How it ends ------------------------------------------------------------------------------------


LEAVE_A_CHILD = """
import os, signal
try: child = os.fork()
except OSError: child = 1
if child: os._exit(4)
signal.pause()
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os._exit(3)", r"it ended itself \(exit status 3\)"),
        ("import os; os.kill(os.getpid(), 9)", "it was ended by SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "it crashed"),
        ("import os; os.abort()", "it was ended by SIGABRT"),
        ("import os; os.kill(os.getpid(), 40)", "it was ended by signal 40"),
        ("import os; os.closerange(3, 256)", "it ended itself"),
        # The child still holds the connection, where there can be one.
        (LEAVE_A_CHILD, "exit status 4"),
    ],
)
def test_a_death_is_told_and_start_helps(run, get, sandbox, code, reason):
    with pytest.raises(StudentDied, match=reason) as info:
        run(code)
    assert type(info.value) is StudentDied
    with pytest.raises(StudentDied, match="it isn't running"):
        run("1")
    sandbox.start()
    run("x = 1")
    assert get("x") == 1


def test_a_timeout_is_told_and_start_helps(run, get, sandbox):
    for code in ("while True: pass", "import time; time.sleep(60)", "print('x', flush=True)\n" * 3):
        source = f"{code}\nwhile True: pass"
        before = time.monotonic()
        with pytest.raises(StudentTimeout, match=r"no answer within 0\.2 s"):
            sandbox.request("exec", seconds=0.2, source=source)
        assert time.monotonic() - before < 5
        sandbox.start()
    run("x = 1")
    assert get("x") == 1


def forging(answer):
    """Make code that writes bytes to the connection in place of an answer."""
    return (
        "import os, struct, json, socket\n"
        "def say(data):\n"
        "    for fd in range(3, 64):\n"
        "        try: s = socket.socket(fileno=os.dup(fd))\n"
        "        except OSError: continue\n"
        "        s.setblocking(True)\n"
        "        try: s.sendall(data)\n"
        "        except OSError: pass\n"
        "        s.close()\n"
        "def message(*parts):\n"
        "    text = json.dumps([list(parts), []]).encode()\n"
        "    return struct.pack('<I', len(text)) + text\n"
        f"{answer}\n"
        "os._exit(0)"
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("say(message(10**6, 'value', 1))", "answered out of turn"),
        ("say(message(True, 'value', 1))", "answered out of turn"),
        ("say(b'S' + struct.pack('<I', 16) + bytes(16))", "nonsense|ended itself"),
        ("say(struct.pack('<I', 2**32 - 1) + b'[')", "nonsense: a header of 4,294,967,295 bytes"),
        ("say(struct.pack('<I', 4) + b'nope')", "nonsense: the header isn't JSON"),
        ("say(struct.pack('<I', 200000) + b'[' * 200000)", "nonsense: nested too deeply"),
        ("say(message(NUMBER, 'value', {'a': ['O', [1], 0]}))", "nonsense: "),
        ("say(message(NUMBER, 'eval', 1))", "nonsense: not an answer"),
        ("say(message(NUMBER, 'error', 'boo'))", "nonsense: not an error"),
        ("say(message(NUMBER, 'callback', {'d': ['callback', 1]}))", "nonsense: not a call"),
        ("say(message(NUMBER, 'value', {'callback': 0}))", "nonsense: "),
        ("say(message([NUMBER], 'value', 1))", "out of turn"),
        ("say(message(NUMBER))", "nonsense: not an answer"),
    ],
)
def test_forged_answers_are_refused(run, get, sandbox, answer, reason):
    pid = sandbox.pid
    code = forging(answer.replace("NUMBER", str(sandbox._number + 1)))
    with pytest.raises(StudentDied, match=reason):
        run(code)
    sandbox.start()
    run("x = 1")
    assert get("x") == 1 and sandbox.pid == pid


@pytest.mark.parametrize(
    "name", ["StopIteration", "KeyboardInterrupt", "eval", "__import__", 3, None]
)
def test_forged_errors_are_only_ever_plain_exceptions(run, sandbox, name):
    answer = {"d": ["type", name, "message", "x" * 9000, "line", True, "name", 5]}
    code = forging(f"say(message({sandbox._number + 1}, 'error', {answer!r}))")
    with pytest.raises(StudentError) as info:
        run(code)
    error = info.value
    assert (error.type_name, error.line, error.name) == (None, None, "")
    assert error.message == "x" * 500


def test_answers_given_before_they_are_asked_for_count_for_nothing(run, sandbox):
    number = sandbox._number + 2
    code = forging(f"say(message({number - 1}, 'value', 1) + message({number}, 'value', 'forged'))")
    assert run(code.replace("os._exit(0)", "")) == 1
    # What its own process says, a student can say early; the next one's can't be said for it.
    sandbox.start()
    with pytest.raises(StudentError, match="name 'x' is not defined"):
        sandbox.request("get", seconds=5, name="x")


class Mutant:
    """A channel that answers with what it is given."""

    def __init__(self, data):
        self.data = data

    def send(self, letter, body, deadline):
        pass

    def receive(self, deadline):
        data, self.data = self.data, b""
        return (b"D", data) if data else (b"X", b"it ended itself")


def test_mutated_answers_end_as_values_errors_or_deaths(monkeypatch):
    rng = random.Random(20240229)
    answers = [
        [1, "value", {"d": ["error", None, "printed", "x", "notes", []]}],
        [1, "value", [1.5, {"t": [1, {"P": ["f", 0]}]}, {"h": [3, {"type": "A"}]}]],
        [1, "error", {"d": ["type", "ValueError", "message", "no", "line", 3, "name", "E"]}],
        [1, "callback", {"d": ["callback", 4, "args", [1], "kwargs", {"d": ["x", 2]}]}],
        [1, "value", {"a": [[["onset", "<f8", []], ["pitch", "<i2", []]], [1], 0]}],
    ]
    seeds = [codec.pack(answer, [bytes(10)]) for answer in answers]
    sandbox = Sandbox.__new__(Sandbox)
    counts = collections.Counter()
    for _ in range(5000):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(1, 6)):
            where = rng.randrange(len(data))
            if rng.random() < 0.7:
                data[where] = rng.choice(b'0123456789-.e"[]{},:tfnahdPTM\xff\0')
            elif rng.random() < 0.5:
                del data[where : where + rng.randrange(1, 9)]
            else:
                data[where:where] = data[where : where + rng.randrange(1, 9)]
            data = data or bytearray(1)
        if rng.random() < 0.8:  # else the length is wrong, too
            data[:4] = (max(0, len(data) - 14)).to_bytes(4, "little")
        sandbox._channel, sandbox._usable = Mutant(bytes(data)), True
        sandbox._number, sandbox._said = 0, bytearray()
        try:
            sandbox.request("exec", seconds=5, callbacks={4: lambda *_, **__: None}, source="")
        except (StudentDied, StudentError) as error:
            counts[type(error).__name__] += 1
            assert len(str(error)) < 700
        else:
            counts["value"] += 1
    assert all(counts[name] > 50 for name in ("StudentDied", "StudentError", "value"))


def test_a_flood_fills_nothing_and_ends_at_the_deadline(run, get, sandbox):
    code = forging("while True: say(bytes(1 << 20))")
    with pytest.raises((StudentTimeout, StudentDied)):
        sandbox.request("exec", seconds=1, source=code)
    assert len(sandbox._said) < 2 << 20
    sandbox.start()
    with pytest.raises((StudentTimeout, StudentDied)):
        # An endless message: announced in full, within the limits.
        sandbox.request(
            "exec",
            seconds=1,
            source=forging("say(struct.pack('<I', 1 << 20))\nwhile True: say(b' ')"),
        )
    sandbox.start()
    run("x = 1")
    assert get("x") == 1


# Every run the same -----------------------------------------------------------------------------

DRAWS = (
    "import random, numpy as np\n"
    "def draw():\n"
    "    return [random.random(), np.random.rand(), np.random.default_rng().random(),\n"
    "            np.random.default_rng().random(), np.random.RandomState().rand(),\n"
    "            hash('a'), list({'x', 'y', 'zz', 'abc'})]"
)


def test_random_numbers_are_the_same_for_every_student(run, call, sandbox):
    run(DRAWS)
    first = call("draw")
    assert first[1] == np.random.RandomState(42).rand()  # the public cells have seeded it
    assert first[2] != first[3]  # unseeded generators still differ from one another
    again = call("draw")
    assert again[:3] != first[:3]
    sandbox.start()
    run(DRAWS)
    assert call("draw") == first


def test_nothing_stays_for_the_next_student(run, get, sandbox, tmp_path):
    run(
        "import os, builtins, sys, numpy\n"
        "open('left.txt', 'w').write('x')\n"
        "os.makedirs('a/' * 50)\n"
        "os.chmod('a', 0)\n"
        f"os.symlink({str(tmp_path)!r}, 'link')\n"
        "builtins.print = numpy.allclose = lambda *a, **k: True\n"
        "os.environ['LEFT'] = '1'\n"
        "sys.modules['math'] = None"
    )
    (tmp_path / "kept.txt").write_text("precious")
    sandbox.start()
    reply = run(
        "import os, math\n"
        "print([n for n in os.listdir('.') if n[0] != '.'], os.environ.get('LEFT'))"
    )
    assert reply == {"error": None, "printed": "['raw'] None\n", "notes": []}
    assert (tmp_path / "kept.txt").read_text() == "precious"


# The warm process -------------------------------------------------------------------------------


def warm_pid(sandbox):
    """Return the number of the warm process: with bwrap, its child's."""
    return (watch.children(sandbox.pid) if sandbox.kind == "bwrap" else [sandbox.pid])[0]


def test_a_lost_warm_process_is_replaced(run, get, sandbox):
    pid = sandbox.pid
    os.kill(warm_pid(sandbox), signal.SIGKILL)
    with pytest.raises(SandboxLost, match="the sandbox has ended"):
        sandbox.request("exec", seconds=5, source="import time; time.sleep(1)")
    sandbox.start()
    run("x = second")
    assert get("x") == 22_050 and sandbox.pid != pid


def test_a_warm_process_that_hangs_is_replaced(run, get, sandbox, monkeypatch):
    monkeypatch.setattr(client, "_CLEAN_SECONDS", 0.5)
    monkeypatch.setattr(transport, "_GRACE", 0.5)
    hung = warm_pid(sandbox)
    os.kill(hung, signal.SIGSTOP)
    sandbox.start()
    assert gone([hung])
    run("x = second")
    assert get("x") == 22_050


def test_it_ends_with_the_process_that_opened_it(kind, tmp_path):
    """Even if that is killed while a public cell runs; and no folder stays behind."""
    code = (
        "import tempfile\nfrom mlmusic.grading.sandbox import Sandbox, isolation\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "isolation._in_memory = lambda limits: None\n"
        f"sandbox = Sandbox({kind!r})\n"
        "sandbox.start()\n"
        "sandbox.request('exec', seconds=9, source='')\n"
        "print(sandbox.pid, flush=True)\n"
        f"Sandbox({kind!r}, cells=['import time; time.sleep(100)'])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline())
    deadline = time.monotonic() + 20
    while len(started := watch.children(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pid in started and len(started) == 2
    everything = [*started, *(grand for child in started for grand in watch.children(child))]
    assert len(everything) >= 3  # the student's process, too
    time.sleep(1)  # so that the second one is in its cell
    process.kill()
    process.wait()
    process.stdout.close()
    assert gone(everything)
    assert os.listdir(tmp_path) == []


def gone(pids, seconds=10):
    """Wait until processes have ended; what was killed takes a moment."""
    deadline = time.monotonic() + seconds
    while any(map(running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(running, pids))


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_fork_can_use_the_sandbox_and_die_in_the_middle(run, get, sandbox, monkeypatch):
    """The worker forks a process to mark each submission; the sandbox stays the worker's."""
    monkeypatch.setattr(client, "_CLEAN_SECONDS", 1.0)
    pid = sandbox.pid
    for ending in ("done", "reading", "sending"):
        child = os.fork()
        if child == 0:
            try:
                sandbox.start()
                run("x = 5")
                assert get("x") == 5
                if ending == "reading":
                    run("def f(): return bytes(20 << 20)")
                    threading.Timer(0.05, os._exit, [0]).start()
                    for _ in range(1000):
                        sandbox.request("call", seconds=5, target="f")
                elif ending == "sending":
                    sandbox._channel._pipes.write(b"D" + (1 << 20).to_bytes(4, "little"), 1e9)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        sandbox.start()
        run("x = 1")
        assert get("x") == 1
        assert (sandbox.pid == pid) is (ending != "sending")  # then it's replaced


def test_closing_in_a_fork_leaves_the_sandbox_alone(run, get, sandbox):
    child = os.fork()
    if child == 0:
        sandbox.close()
        os._exit(0)
    os.waitpid(child, 0)
    run("x = 1")
    assert get("x") == 1


def test_it_outlives_the_thread_that_opened_it():
    opened = []
    thread = threading.Thread(target=lambda: opened.append(Sandbox("none")))
    thread.start()
    thread.join()
    with opened[0] as sandbox:
        pid = sandbox.pid
        time.sleep(0.05)
        sandbox.start()
        sandbox.request("exec", seconds=5, source="x = 1")
        assert sandbox.pid == pid


def test_closing_removes_the_temporary_folder(capfd):
    with Sandbox("none") as sandbox:
        folder = sandbox._temp
        assert os.path.isdir(folder)
        assert "WARNING: --sandbox none" in capfd.readouterr().err
    assert not os.path.exists(folder)
    sandbox.close()  # twice is fine
    with pytest.raises(StudentDied, match="it isn't running"):
        sandbox.request("exec", seconds=1, source="")
