"""The worker survives what submissions and users do to it, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlmusic.grading.limits import Limits
from mlmusic.grading.marking import worker as module
from mlmusic.grading.marking.mark import sandbox_options
from mlmusic.grading.marking.worker import Worker
from mlmusic.grading.sandbox import SandboxUnavailable
from mlmusic.grading.source.assignment import Assignment
from tests.grading.marking import made
from tests.grading.marking.made import kinds, messages, outcomes, solution

SOURCE = made.source(
    *made.cells("""
# %% code
import os

# %% answer next
def following(n):
    ### BEGIN SOLUTION
    return n + 1
    ### END SOLUTION

# %% test one
assert following(1) == 2

# %% test kills-itself
if following(2) != 3:
    os.kill(os.getpid(), 9)

# %% test never-ends
while following(3) != 4:
    pass

# %% test cannot-be-interrupted
assert 3 ** following(4) == 243

# %% test last
assert following(5) == 6
""")
)
ANSWER = "def following(n):\n    return n + 1"


def started(data=SOURCE, **options):
    try:
        return Worker(data, "next.ipynb", limits=Limits(call=1, cell=1, total=30), **options)
    except SandboxUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def worker():
    with started() as made_worker:
        yield made_worker


def test_marks_one_after_the_other(worker):
    assert worker.kind in ("bwrap", "landlock", "docker")
    for _ in range(3):
        assert worker.mark(made.answered(SOURCE, next=ANSWER), 1)["score"] == 5
        assert worker.mark(made.packed(made.exercise(SOURCE)), 1)["score"] == 0


def test_a_test_that_kills_its_process_costs_that_test(worker):
    answer = "def following(n):\n    return 0 if n == 2 else n + 1"
    result = worker.mark(made.answered(SOURCE, next=answer), 1)
    assert result["score"] == 4
    assert outcomes(result)["kills-itself"] == "died"
    assert result["flags"] == [
        {"kind": "died", "detail": "marking it ended the process (signal 9)"},
    ]


def test_a_test_that_never_ends_costs_that_test(worker):
    answer = "def following(n):\n    return 0 if n == 3 else n + 1"
    result = worker.mark(made.answered(SOURCE, next=answer), 1)
    assert result["score"] == 4
    assert messages(result)["never-ends"] == "the test took too long"


def test_a_test_that_cannot_be_interrupted_ends_all_the_same(worker):
    answer = "def following(n):\n    return 10**9 if n == 4 else n + 1"
    result = worker.mark(made.answered(SOURCE, next=answer), 1)
    assert outcomes(result)["cannot-be-interrupted"] in ("timeout", "error", "died")
    assert result["score"] == 4


def test_a_worker_that_was_killed_is_started_again(worker):
    os.kill(worker._process.pid, signal.SIGKILL)
    assert worker.mark(made.answered(SOURCE, next=ANSWER), 1)["score"] == 5


def test_a_worker_that_dies_again_and_again_gives_a_flag(worker, monkeypatch):
    def ended(*_):
        raise EOFError

    monkeypatch.setattr(worker, "_exchange", ended)
    monkeypatch.setattr(worker, "_start", lambda: setattr(worker, "_process", None))
    process = worker._process
    worker._process = None
    result = worker.mark(b"{}", 1)
    assert (result["score"], result["points"], kinds(result)) == (0, 5, ["died"])
    worker._process = process


def test_it_ends_when_its_client_is_killed(tmp_path):
    script = (
        "import sys, time\n"
        "from mlmusic.grading.marking.worker import Worker\n"
        f"worker = Worker({SOURCE!r}, 'x')\n"
        "print(worker._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    client = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    pid = client.stdout.readline()
    if not pid:
        pytest.skip("no sandbox works here")
    client.kill()
    client.wait()
    client.stdout.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{int(pid)}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{int(pid)}").exists()


def test_it_imports_nothing_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("random", "numpy", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the folder')")
    with started() as own:
        assert own.mark(made.answered(SOURCE, next=ANSWER), 1)["score"] == 5


HIDES_ITS_IMPORTS = made.source(
    ("code", "import sys"),
    ("answer", solution("def loaded(name):\n    return name in sys.modules"), {"grade_id": "x"}),
    (
        "test",
        "assert loaded('sys')\n### BEGIN HIDDEN TESTS\n"
        "import sys\nearly = {'colorsys', 'wave', 'xml.dom.minidom'} & set(sys.modules)\n"
        "import colorsys, no_such_module_7041\n### END HIDDEN TESTS",
        {"grade_id": "nothing-there"},
    ),
    (
        "test",
        "def inner():\n    import wave\n    from xml.dom import minidom\n"
        "assert not loaded('wave')\n### BEGIN HIDDEN TESTS\n"
        "assert early == {'colorsys', 'wave', 'xml.dom.minidom'}, early\n"
        "assert not any(map(loaded, early)), 'the sandbox knows what tests import'\n"
        "### END HIDDEN TESTS",
        {"grade_id": "modules"},
    ),
)


def test_modules_of_tests_are_imported_once_and_on_this_side_only():
    options = sandbox_options(Assignment.from_bytes(HIDES_ITS_IMPORTS, "x"))
    assert options["modules"] == ("sys",)
    with started(HIDES_ITS_IMPORTS) as own:
        result = own.mark(HIDES_ITS_IMPORTS, 1)
    assert outcomes(result) == {"nothing-there": "error", "modules": "passed"}
    assert "no_such_module_7041" in messages(result)["nothing-there"]


def test_what_a_test_prints_is_not_an_answer():
    noisy = made.source(
        ("answer", "x = 1", {"grade_id": "x"}),
        ("test", "import os, sys\nos.write(1, b'noise')\nprint('more')\nassert x == 1"),
    )
    with started(noisy) as own:
        assert own.mark(made.answered(noisy, x="x = 1"), 1)["score"] == 1


def test_calls_that_are_wrong():
    with pytest.raises(ValueError, match=r"next.ipynb: not a notebook"):
        started(b"nothing")
    with pytest.raises(ValueError, match="no cell is graded"):
        started(made.source(("code", "x = 1")))
    with pytest.raises(ValueError, match="unknown"):
        started(sandbox="cellar")
    own = started()
    own.close()
    own.close()
    with pytest.raises(ValueError, match="this worker has been closed"):
        own.mark(SOURCE, 1)


def test_frames(tmp_path):
    with (tmp_path / "frames").open("w+b") as file:
        module.write_frame(file, {"a": [1, "ü"]}, b"\x00\xff")
        module.write_frame(file, {})
        file.seek(0)
        assert module.read_frame(file) == ({"a": [1, "ü"]}, b"\x00\xff")
        assert module.read_frame(file) == ({}, b"")
        with pytest.raises(EOFError):
            module.read_frame(file)
