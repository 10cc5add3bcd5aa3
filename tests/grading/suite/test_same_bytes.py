"""The same batch gives the same bytes, whatever the folder, the order and the number of jobs."""

import os

import pytest

from . import assignment, attacks
from .building import answer, dump, right
from .odd import ODD
from .running import Run

CHOSEN = (
    "plain_right",
    "answer_became_markdown",
    "partly_answered",
    "truncated",
    "another_notebook",
    "unusual_outputs",
    "non_english_file_name",
    "endless loop",
    "four gigabytes in a function",
    "crashes the interpreter",
    "prints and warnings",
    "threads",
    "line magics",
    "stray stdout closed",
)
ATTACKS = ("raise KeyboardInterrupt", "an object that equals everything", "forge: True")


def luck() -> bytes:
    """A notebook whose every message depends on chance, addresses and the order of sets."""
    notebook = right()
    answer(
        notebook,
        "contour",
        "import random\n"
        "def contour(pitches):\n"
        "    drawn = [random.random(), np.random.rand(), np.random.default_rng().random(),\n"
        "             torch.rand(1).item(), random.Random().random(), np.random.RandomState().rand()]\n"
        "    where = [object(), lambda: 1, contour, set('melody')]\n"
        "    raise ValueError(f'{drawn} {where}')",
    )
    answer(notebook, "scale", "scale = np.random.default_rng().permutation(8)")
    return dump(notebook)


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def outs(tmp_path_factory):
    """The folders of two runs over the same files."""
    place = dict.fromkeys(("SOURCE", "OUT", "SUBMISSIONS", "CANARY", "MARKER"), "/nowhere")
    handed_in = {case.file: case.make() for case in ODD if case.name in CHOSEN}
    handed_in |= {
        attacks.file_of(attack): attack.make(place)
        for attack in attacks.ATTACKS
        if attack.name in ATTACKS
    }
    handed_in["luck.ipynb"] = luck()
    assert len(handed_in) == len(CHOSEN) + len(ATTACKS) + 1
    runs = []
    for name, jobs, order in (("one", "2", 1), ("another folder", "1", -1)):
        folder = tmp_path_factory.mktemp(name)
        submissions = folder / "submissions"
        submissions.mkdir()
        for file in list(handed_in)[::order]:
            (submissions / file).write_bytes(handed_in[file])
            os.utime(submissions / file, (1_700_000_000, 1_700_000_000))
        runs.append(Run(folder, submissions, "--jobs", jobs))
    return [run.wait().out for run in runs]


def test_same_files(outs):
    one, another = map(files, outs)
    assert one.keys() == another.keys()
    assert {"grades.csv", "flags.csv", "results/luck.json", "feedback/luck.html"} <= one.keys()


@pytest.mark.parametrize(
    "kind", ["grades.csv", "flags.csv", "run.json", "solution", "results", "feedback"]
)
def test_same_bytes(outs, kind):
    one, another = map(files, outs)
    for name in one:
        if name.startswith(kind):
            assert one[name] == another[name], name


def test_luck_is_really_at_work(outs):
    text = (outs[0] / "results" / "luck.json").read_text(encoding="utf-8")
    assert "at 0x…" in text or "at 0x\\u2026" in text
    assert '"score": 15.0' in text  # all but contour and scale
    assert assignment.POINTS == 23
