"""Honest but odd: what stands in the cells. Unusual answers, and stray cells beside right ones."""

from __future__ import annotations

import textwrap

from . import assignment
from .building import Case, answer, code, deserved, dump, empty, file_name, get, insert, right

CONTOUR = assignment.right_answer("contour")

# --- unusual answers: a name, what replaces the right answers, and which lose points --------------

ANSWERS: dict[str, tuple[dict[str, str], dict[str, float]]] = {
    # What fails costs its own task only.
    "endless loop": (
        {"contour": "def contour(pitches):\n    while True:\n        pass"},
        {"contour": 0},
    ),
    "endless loop while the cell runs": ({"contour": f"{CONTOUR}\nwhile True:\n    pass"}, {}),
    "endless sleep": (
        {"select": "import time\ndef select(notes, wanted):\n    time.sleep(10**6)"},
        {"select": 0},
    ),
    "four gigabytes in a function": (
        {"transpose": "def transpose(notes, semitones):\n    return bytearray(4 << 30)"},
        {"transpose": 0},
    ),
    "a list that grows for ever": (
        {"scale": "scale = [60]\nwhile True:\n    scale += [bytearray(1 << 24)]"},
        {"scale": 0},
    ),
    "syntax error": ({"Motif": "class Motif\n    pass"}, {"Motif": 0}),
    "mixed tabs and spaces": (
        {"contour": "def contour(p):\n\tx = 1\n        return '*'"},
        {"contour": 0},
    ),
    "returns None": (
        {"transpose": "def transpose(notes, semitones):\n    notes"},
        {"transpose": 0},
    ),
    "wrong number of parameters": (
        {"transpose": "def transpose(notes):\n    return notes"},
        {"transpose": 0},
    ),
    "for a number, not for an array": (
        {
            "frequency": "def frequency(pitch: float) -> float:\n    return 440 * 2 ** ((int(pitch) - 69) / 12)"
        },
        {"frequency": 1},
    ),
    "recursion without an end": (
        {"contour": "def contour(pitches):\n    return contour(pitches)"},
        {"contour": 0},
    ),
    "sees the future": (
        {
            "NextNote": assignment.right_answer("NextNote")
            .replace("batch_first=True", "batch_first=True, bidirectional=True")
            .replace("nn.Linear(size", "nn.Linear(2 * size")
        },
        {"NextNote": 1},
    ),
    "crashes the interpreter": (
        {"select": "import ctypes\ndef select(notes, wanted):\n    ctypes.string_at(0)"},
        {"select": 0},
    ),
    "exits in a function": ({"contour": "def contour(pitches):\n    exit()"}, {"contour": 0}),
    # Right, in other words.
    "lambda": (
        {
            "frequency": "frequency = lambda pitch: A4 * 2 ** ((np.asarray(pitch) - 69) / 12)",
            "select": "select = lambda notes, wanted: filter(wanted, notes)",
        },
        {},
    ),
    "partial, vectorize and a callable object": (
        {
            "frequency": "frequency = np.vectorize(lambda pitch: 440 * 2 ** ((pitch - 69) / 12))",
            "transpose": """
                class Transposer:
                    def __call__(self, notes, semitones):
                        return [(onset, pitch + semitones) for onset, pitch in notes]

                transpose = Transposer()""",
            "select": """
                from functools import partial
                def _select(flag, notes, wanted):
                    return [note for note in notes if bool(wanted(note)) is flag]
                select = partial(_select, True)""",
        },
        {},
    ),
    "decorators and a closure": (
        {
            "contour": f"""
                import functools, time

                def timed(function):
                    @functools.wraps(function)
                    def inner(*args, **kwargs):
                        start = time.perf_counter()
                        try:
                            return function(*args, **kwargs)
                        finally:
                            print("took", time.perf_counter() - start)
                    return inner

                @timed
                {textwrap.indent(CONTOUR, " " * 16).strip()}""",
            "frequency": """
                from functools import lru_cache

                @lru_cache(maxsize=None)
                def one(pitch):
                    return 440 * 2 ** ((pitch - 69) / 12)

                def frequency(pitch):
                    if np.ndim(pitch):
                        return np.array([one(float(p)) for p in pitch])
                    return one(pitch)""",
        },
        {},
    ),
    "memory across calls": (
        {
            "frequency": """
                _seen = {}
                calls = 0

                def frequency(pitch):
                    global calls
                    calls += 1
                    key = str(pitch)
                    if key not in _seen:
                        _seen[key] = 440 * 2 ** ((np.asarray(pitch) - 69) / 12)
                    return _seen[key]"""
        },
        {},
    ),
    "recursion": (
        {
            "contour": """
                import sys
                sys.setrecursionlimit(20000)

                def deep(n):
                    return 0 if n == 0 else 1 + deep(n - 1)

                def contour(pitches):
                    assert deep(5000) == 5000
                    if len(pitches) == 0:
                        raise ValueError("empty")
                    if len(pitches) == 1:
                        return "*"
                    *rest, before, last = pitches
                    step = "R" if last == before else "U" if last > before else "D"
                    return contour([*rest, before]) + step"""
        },
        {},
    ),
    "generators": (
        {
            "transpose": """
                def transpose(notes, semitones):
                    for onset, pitch in notes:
                        yield onset, pitch + semitones""",
            "select": "def select(notes, wanted):\n    return (note for note in notes if wanted(note))",
        },
        {},
    ),
    "NumPy values everywhere": (
        {
            "frequency": """
                def frequency(pitch):
                    return np.float32(440) * np.float64(2) ** ((np.array(pitch) - 69) / 12)""",
            "transpose": """
                def transpose(notes, semitones):
                    return [np.array(note) + np.array([0, semitones]) for note in notes]""",
            "contour": f"""
                def contour(pitches):
                    return np.str_(_contour(np.array(pitches)))

                {textwrap.indent(CONTOUR.replace("def contour", "def _contour"), " " * 16).strip()}""",
            "scale": "scale = np.cumsum([60, 2, 2, 1, 2, 2, 2, 1])",
        },
        {},
    ),
    "tensors, tuples and named tuples": (
        {
            "frequency": """
                def frequency(pitch):
                    return A4 * 2 ** ((torch.as_tensor(pitch, dtype=torch.float64) - 69) / 12)""",
            "transpose": """
                from typing import NamedTuple

                class Note(NamedTuple):
                    onset: float
                    pitch: int

                def transpose(notes, semitones):
                    return tuple(Note(onset, pitch + semitones) for onset, pitch in notes)""",
            "scale": "scale = (60, 62, 64, 65, 67, 69, 71, 72)",
        },
        {},
    ),
    "enums, dataclasses and properties": (
        {
            "Motif": """
                from dataclasses import dataclass, field

                @dataclass(frozen=True)
                class Base:
                    _pitches: tuple = field(repr=False)

                    @property
                    def pitches(self):
                        yield from self._pitches

                class Motif(Base):
                    def __len__(self):
                        return len(self._pitches)

                    def inverted(self):
                        first, *_ = self._pitches
                        return type(self)([2 * first - pitch for pitch in self._pitches])""",
            "scale": """
                import enum
                Pitch = enum.IntEnum("Pitch", dict(C=60, D=62, E=64, F=65, G=67, A=69, B=71, c=72))
                scale = list(Pitch)""",
        },
        {},
    ),
    "modules of another shape": (
        {
            "NextNote": """
                class CausalConv(nn.Module):
                    def __init__(self, size):
                        super().__init__()
                        self.pad = nn.ConstantPad1d((3, 0), 0.0)
                        self.conv = nn.Conv1d(size, size, 4)
                        self.drop = nn.Dropout(0.5)

                    def forward(self, x):
                        return self.drop(torch.relu(self.conv(self.pad(x.mT))).mT)

                def NextNote(size):
                    print("new model", size)
                    return nn.Sequential(nn.Embedding(128, size), CausalConv(size), nn.Linear(size, 128))"""
        },
        {},
    ),
    "type annotations and keyword names": (
        {
            "transpose": """
                from __future__ import annotations
                from collections.abc import Iterable, Iterator

                def transpose(
                    notes: Iterable[tuple[float, int]], semitones: int = 0, *, strict: bool = True
                ) -> list[tuple[float, Undefined]]:
                    result: list[tuple[float, int]] = []
                    for onset, pitch in notes:
                        result.append((onset, pitch + semitones))
                    return result"""
        },
        {},
    ),
    "non-English names": (
        {
            "frequency": """
                # Частота ноты 音高 in Hz 🎵
                def частота(высота):
                    return 440.0 * 2 ** ((np.asarray(высота) - 69) / 12)

                frequency = частота""",
            "transpose": """
                def transpose(notes, semitones):
                    größe = semitones
                    return [(é, 音 + größe) for é, 音 in notes]""",
        },
        {},
    ),
    "built-ins replaced at top level": (
        {
            "Motif": assignment.right_answer("Motif").replace("list(pitches)", "[*pitches]"),
            "contour": f"list = 3\nsum = 4\nlen_ = len\nstr = 'U'\n{CONTOUR}",
            "scale": "max = min = tuple = isinstance = 0\n" + assignment.right_answer("scale"),
        },
        {},
    ),
    "star imports": (
        {
            "frequency": "from numpy import *\nfrom math import *\ndef frequency(pitch):\n"
            "    return A4 * 2 ** ((asarray(pitch) - 69) / 12)"
        },
        {},
    ),
    "prints and warnings": (
        {
            "frequency": """
                import logging, sys, warnings

                def frequency(pitch):
                    print("DEBUG", pitch, flush=True)
                    print("to stderr", file=sys.stderr)
                    sys.stdout.write("x" * 100_000)
                    warnings.warn("frequency is deprecated", DeprecationWarning)
                    logging.warning("pitch %s", pitch)
                    np.log(np.array([0.0]))  # a RuntimeWarning
                    return 440 * 2 ** ((np.asarray(pitch) - 69) / 12)"""
        },
        {},
    ),
    "waits a second": (
        {
            "frequency": """
                import time
                def frequency(pitch):
                    time.sleep(1)
                    return 440 * 2 ** ((np.asarray(pitch) - 69) / 12)"""
        },
        {},
    ),
    "progress bars and plots in a function": (
        {
            "transpose": """
                from tqdm.auto import tqdm
                import matplotlib.pyplot as plt

                def transpose(notes, semitones):
                    moved = [(onset, pitch + semitones) for onset, pitch in tqdm(notes)]
                    plt.figure()
                    plt.plot([pitch for _, pitch in moved])
                    plt.show()
                    plt.close()
                    return moved"""
        },
        {},
    ),
    "threads": (
        {
            "transpose": """
                from concurrent.futures import ThreadPoolExecutor

                def transpose(notes, semitones):
                    with ThreadPoolExecutor(4) as pool:
                        return list(pool.map(lambda n: (n[0], n[1] + semitones), notes))""",
            "contour": f"""
                import threading

                {textwrap.indent(CONTOUR.replace("def contour", "def _contour"), " " * 16).strip()}

                def contour(pitches):
                    found = []
                    def work():
                        try:
                            found.append(_contour(pitches))
                        except ValueError as error:
                            found.append(error)
                    thread = threading.Thread(target=work)
                    thread.start()
                    thread.join()
                    if isinstance(found[0], Exception):
                        raise found[0]
                    return found[0]""",
        },
        {},
    ),
    "a subprocess": (
        {
            "transpose": """
                import json, subprocess, sys

                def transpose(notes, semitones):
                    program = "import json,sys; n,s=json.load(sys.stdin); print(json.dumps([(a,b+s) for a,b in n]))"
                    done = subprocess.run([sys.executable, "-S", "-c", program], check=True, text=True,
                                          input=json.dumps([notes, semitones]), capture_output=True)
                    return json.loads(done.stdout)"""
        },
        {},
    ),
    "files in a function": (
        {
            "transpose": """
                import os, pickle, tempfile
                from pathlib import Path

                def transpose(notes, semitones):
                    Path("notes.txt").write_text(repr(notes))
                    with tempfile.TemporaryDirectory() as folder:
                        path = os.path.join(folder, "notes.pkl")
                        with open(path, "wb") as file:
                            pickle.dump(eval(Path("notes.txt").read_text()), file)
                        with open(path, "rb") as file:
                            notes = pickle.load(file)
                    (Path.home() / ".motif-cache").write_text("kept")
                    return [(onset, pitch + semitones) for onset, pitch in notes]"""
        },
        {},
    ),
    "an exception of one's own": (
        {
            "contour": "class NoNotes(ValueError):\n    def __init__(self, a, b):\n        self.a = a\n\n"
            + CONTOUR.replace('ValueError("a melody has at least one pitch")', "NoNotes(1, 2)")
        },
        {},
    ),
    "an answer that uses another answer": (
        {
            "transpose": "def transpose(notes, semitones):\n"
            "    return [(o, Motif([p + semitones]).pitches[0]) for o, p in select(notes, lambda n: True)]"
        },
        {},
    ),
    "names of the tests' own variables": (
        {
            "select": "random = pitches = expected = asked = motif = model = rng = up = several = 0\n"
            "class Random: pass\n"
            "def drawn(*args):\n    return []\n" + assignment.right_answer("select")
        },
        {},
    ),
    "answers under an if": (
        {
            "contour": f"if True:\n{textwrap.indent(CONTOUR, '    ')}\nelse:\n    contour = None",
            "scale": "try:\n    scale = undefined\nexcept NameError:\n"
            "    scale = [60, 62, 64, 65, 67, 69, 71, 72]",
        },
        {},
    ),
    "answers by assignment and by loop": (
        {
            "contour": f"{CONTOUR.replace('def contour', 'def parsons')}\ncontour = parsons\ndel parsons",
            "scale": "scale = []\nfor pitch in range(60, 73):\n"
            "    if (pitch - 60) % 12 in (0, 2, 4, 5, 7, 9, 11):\n        scale.append(pitch)",
            "Motif": assignment.right_answer("Motif")
            .replace("class Motif:", "class Tune:")
            .replace("return Motif", "return Tune")
            + "\n\nMotif = Tune",
        },
        {},
    ),
    "answers made by exec": (
        {
            "contour": f"exec({CONTOUR!r})",
            "scale": "globals()['scale'] = [60, 62, 64, 65, 67, 69, 71, 72]",
        },
        {},
    ),
    "a class with a quirk": (
        {
            "Motif": """
                class Motif(list):
                    def __init__(self, pitches):
                        super().__init__(pitches)

                    def __eq__(self, other):
                        return False

                    __hash__ = None

                    def __getattr__(self, name):
                        if name == "pitches":
                            return list(iter(self))
                        raise AttributeError(name)

                    def __repr__(self):
                        raise RuntimeError("not printable")

                    def inverted(self):
                        return Motif(2 * self[0] - pitch for pitch in self)"""
        },
        {},
    ),
    # Cells of which a part fails.
    "missing package in the answer's cell": (
        {"contour": f"import librosa_of_the_future\nfrom essentia.standard import *\n{CONTOUR}"},
        {},
    ),
    "google.colab in the answer's cell": (
        {
            "contour": "from google.colab import drive, files\ndrive.mount('/content/drive')\n"
            f"%cd /content/drive/MyDrive\n{CONTOUR}\nfiles.download('motif.mid')"
        },
        {},
    ),
    "failing line before the answer": (
        {"contour": f"assert contour([1]) == '*'\n1 / 0\n{CONTOUR}"},
        {},
    ),
    "failing line after the answer": ({"contour": f"{CONTOUR}\nprint(contour(None))"}, {}),
    "sys.exit at the end": ({"contour": f"{CONTOUR}\nimport sys\nsys.exit()"}, {}),
    "exit at the end": ({"Motif": assignment.right_answer("Motif") + "\nexit()"}, {}),
    "raise at the end": ({"contour": f"{CONTOUR}\nraise NotImplementedError()"}, {}),
    "the stub's line left below": (
        {
            "scale": assignment.right_answer("scale")
            + "\n# YOUR CODE HERE\nraise NotImplementedError()"
        },
        {},
    ),
    "kills itself at the end": ({"contour": f"{CONTOUR}\nimport os\nos._exit(0)"}, {}),
    "if __name__ == '__main__'": (
        {
            "contour": f"{CONTOUR}\n\nif __name__ == '__main__':\n    print(contour([60, 62]))\n    up = 1"
        },
        {},
    ),
    "input": (
        {"contour": f"name = input('Your name? ')\nnumber = int(input() or 3)\n{CONTOUR}"},
        {},
    ),
    "cell magics": (
        {
            "contour": f"%%time\n{CONTOUR}",
            "frequency": "%%capture output\n" + assignment.right_answer("frequency"),
            "transpose": "%%timeit -n 1 -r 1\nx = 1\n",
        },
        {"transpose": 0},  # %%timeit defines nothing outside, and there is no definition at all
    ),
    "line magics": (
        {
            "contour": "%matplotlib inline\n%load_ext autoreload\n%autoreload 2\n%load_ext missing_ext\n"
            f"%config InlineBackend.figure_format = 'retina'\n%no_such_magic\n{CONTOUR}\n"
            "%timeit contour([1, 2])"
        },
        {},
    ),
    "shell commands": (
        {
            "contour": f"!pip install --quiet pretty_midi\n%pip install librosa\n!ls -la\n"
            f"files = !ls\n{CONTOUR}\n!rm -rf *.mid\nget_ipython().system('echo x')"
        },
        {},
    ),
    "help and history": (
        {"contour": f"{CONTOUR}\ncontour?\n?contour\n_, __\nIn[1]\nOut[1]"},
        {},
    ),
    "top-level await": (
        {
            "scale": """
                import asyncio

                async def wait_for_scale():
                    await asyncio.sleep(0.01)
                    return [60, 62, 64, 65, 67, 69, 71, 72]

                scale = await wait_for_scale()""",
        },
        {},
    ),
    "async comprehension": (
        {
            "scale": """
                import asyncio

                async def notes():
                    for pitch in (60, 62, 64, 65, 67, 69, 71, 72):
                        yield pitch

                scale = [pitch async for pitch in notes()]
                loop = asyncio.get_event_loop()"""
        },
        {},
    ),
    "widgets": (
        {
            "frequency": "import ipywidgets\nfrom ipywidgets import interact\n"
            + assignment.right_answer("frequency")
            + "\ninteract(frequency, pitch=(21, 108))\nipywidgets.FloatSlider()"
        },
        {},
    ),
}

# --- stray cells: put at the start of a right notebook, they cost nothing -------------------------

STRAY = {
    "error cell": "1 / 0\nraise ValueError('left over')",
    "syntax error cell": "def half(",
    "empty and comment cell": "\n\n# nothing\n\n",
    "endless cell": "while True:\n    pass",
    "sleeping cell": "import time\ntime.sleep(1)",
    "four gigabytes": "x = np.ones((4 << 30) // 8)\nbuffer = bytearray(4 << 30)",
    "memory until it ends": "hoard = []\nwhile True:\n    hoard.append(bytearray(1 << 24))",
    "warnings are errors": "import warnings\nwarnings.simplefilter('error')\nnp.seterr(all='raise')",
    "reset": "%reset -f\n%clear\n%xmode plain",
    "seeds": "import random\nrandom.seed(1)\nnp.random.seed(1)\ntorch.manual_seed(1)",
    "torch settings": "torch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\n"
    "torch.set_num_threads(2)\ntorch.use_deterministic_algorithms(True)",
    "other folder": "import os\nos.makedirs('data', exist_ok=True)\nos.chdir('data')\n%cd ..",
    "folder that isn't there": "import os\nos.chdir('/content/drive/MyDrive')",
    "print replaced": "import builtins\n_print = print\n"
    "def print(*args, **kwargs):\n    _print('>>', *args, **kwargs)\nbuiltins.print = print",
    "stdout replaced": "import io, sys\nsys.stdout = io.StringIO()\nsys.stderr = None",
    "stdout closed": "import sys\nsys.stdout.close()",
    "prints without an end": "for _ in range(200_000):\n    print('note', end=' ')",
    "downloads": "import urllib.request\nurllib.request.urlretrieve('https://example.org/a.mid', 'a.mid')",
    "reads a missing file": "open('my_notes.csv').read()",
    "deletes the instructor's names": "del melody",
    "replaces the instructor's names": "melody = [(9.0, 1)]\nmotif = up = early = None",
    "patches numpy": "np.allclose = np.array_equal = lambda *args, **kwargs: False",
    "patches builtins": "import builtins\nbuiltins.abs = builtins.sorted = lambda x: 7",
    "joined threads": "import threading\nthreads = [threading.Thread(target=sum, args=([1],)) "
    "for _ in range(8)]\n[t.start() for t in threads]\n[t.join() for t in threads]",
    "thread that goes on": "import threading, time\n"
    "def tick():\n    while True:\n        time.sleep(0.1)\n"
    "threading.Thread(target=tick).start()\nthreading.Timer(0.2, print, ['late']).start()",
    "subprocess that goes on": "import subprocess, sys\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)  # suite-marker'])",
    "data loader with workers": "data = torch.utils.data.DataLoader(torch.arange(8), num_workers=2)\n"
    "assert len(list(data)) == 8",
    "pool of processes": "from concurrent.futures import ProcessPoolExecutor\n"
    "from multiprocessing import get_context\n"
    "with ProcessPoolExecutor(2, mp_context=get_context('fork')) as pool:\n"
    "    assert list(pool.map(abs, [-1, -2])) == [1, 2]",
    "signal handlers": "import signal, faulthandler\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "signal.signal(signal.SIGALRM, lambda *_: 1 / 0)\nfaulthandler.enable()",
    "exit hooks": "import atexit\natexit.register(print, 'bye')\natexit.register(lambda: 1 / 0)",
    "many plots": "import matplotlib.pyplot as plt\nfor _ in range(5):\n"
    "    plt.figure()\n    plt.plot([1, 2])\nplt.show()",
    "display and audio": "from IPython.display import Audio, HTML, clear_output, display\n"
    "display(HTML('<b>hi</b>'), Audio(np.zeros(800), rate=8000))\nclear_output()",
    "training loop": "layer = nn.Linear(4, 1)\nstep = torch.optim.Adam(layer.parameters())\n"
    "for _ in range(20):\n    step.zero_grad()\n    layer(torch.ones(2, 4)).sum().backward()\n    step.step()",
    "the course's package": "import mlmusic\nfrom mlmusic import Score\nScore([(0, 1, 60)])",
    "debugger": "%debug\n%pdb on\nbreakpoint()\nimport pdb; pdb.set_trace()",
    "bash and html cells": "%%bash\nls\nfor x in 1 2; do echo $x; done",
    "html cell": "%%html\n<b>def contour():</b>",
    "javascript cell": "%%javascript\nalert('x');",
    "writefile cell": "%%writefile notes.py\ndef contour(pitches):\n    return 'wrong'",
    "unknown cell magic": "%%bigquery --project x\nSELECT contour FROM motif",
    "restarts the kernel": "import IPython\nIPython.Application.instance().kernel.do_shutdown(True)",
    "a cell of 3000 lines": "\n".join(f"x{n} = {n}" for n in range(3000)),
    "null characters and controls": "x = 'a\x07\x1b[31m'\n\x0c\ny = 2",
    "a null byte": "x = 1\x00",
    "a lone surrogate": "x = '\ud800'",
    "exception that can't be printed": "class E(Exception):\n    def __str__(self):\n        raise self\n"
    "    __repr__ = __str__\nraise E",
    "exception group": "raise Exception('x') from KeyError('y')",
    "own test cell fails": "assert contour([60]) == 'mine'\nassert False, 'my own check'",
    "shadows modules": "import sys\nsys.modules['json'] = None\nsys.modules['numpy.random'] = 3",
    "garbage collector off": "import gc\ngc.disable()\ngc.collect()\ngc.freeze()",
    "environment": "import os\nos.environ['PYTHONPATH'] = '/nowhere'\nos.environ.clear()",
    "locale": "import locale\nlocale.setlocale(locale.LC_ALL, '')",
    "trace": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)",
}


def _answers(replaced: dict[str, str]) -> bytes:
    notebook = right()
    for task, source in replaced.items():
        answer(notebook, task, textwrap.dedent(source).strip("\n"))
    return dump(notebook)


def _stray(source: str) -> bytes:
    notebook = right()
    insert(notebook, "" if "%reset" in source else "task-1", code(source))
    return dump(notebook)


def _writes_a_module() -> bytes:
    """``%%writefile parsons.py``, then ``from parsons import contour``: files are a way to work."""
    notebook = right()
    answer(notebook, "contour", f"%%writefile parsons.py\n{CONTOUR}")
    insert(notebook, "contour", code("from parsons import contour"), after=True)
    return dump(notebook)


def _black() -> bytes:
    """Every code cell, the instructor's too, as a formatter would write it."""
    notebook = right()
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            source = cell["source"].replace(" ** ", "**").replace("\n\n", "\n\n\n")
            cell["source"] = source.replace('"', "'") + "\n"
    return dump(notebook)


def _tabs() -> bytes:
    notebook = right()
    for task in assignment.TASKS:
        answer(notebook, task, get(notebook, task)["source"].replace("    ", "\t"))
    return dump(notebook)


def _class_filled_into_the_stub() -> bytes:
    """The answer is written below the stub's line, which was never deleted."""
    notebook = empty()
    answer(notebook, assignment.MANUAL, "Up becomes down.")
    for task in assignment.TASKS:
        stub = get(notebook, task)["source"]
        answer(
            notebook,
            task,
            stub.replace("raise NotImplementedError()", "pass")
            + "\n\n"
            + assignment.right_answer(task),
        )
    return dump(notebook)


CASES = [
    *(
        Case(name, lambda replaced=replaced: _answers(replaced), deserved(**lost), file_name(name))
        for name, (replaced, lost) in ANSWERS.items()
    ),
    *(
        Case(
            f"stray {name}", lambda source=source: _stray(source), deserved(), f"stray {name}.ipynb"
        )
        for name, source in STRAY.items()
    ),
    *(
        Case(make.__name__.strip("_"), make, deserved(), file_name(make.__name__.strip("_")))
        for make in (_writes_a_module, _black, _tabs, _class_filled_into_the_stub)
    ),
]
