"""Grading: mlmusic grade against nbgrader autograde and otter in one run.

Typed without options ours takes as many jobs as there are cores; theirs grade one notebook after
the other. The rows with two jobs are what a user of two cores gets, the others compare one process
with one.

Three functions, two visible tests and one hidden test each; the same submissions for all, half of
them right, and all three must give them the same points, or the run fails.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import alembic
import nbformat
import psutil

FEW, MANY = 20, 100
FEWER = 5  # a peer needs seconds for each notebook: its margin is the one from FEWER to FEW
NUMPY = "import numpy as np"
TORCH = "import numpy as np\nimport torch"  # what most of the course's exercises begin with
# Signature, right answer, wrong answer (passes one test), two visible tests, hidden test.
TASKS = {
    "frequency": (
        "def frequency(pitch):",
        "    return 440.0 * 2 ** ((np.asarray(pitch) - 69) / 12)",
        "    return 440.0",
        ("assert frequency(69) == 440.0", "assert np.isclose(frequency(81), 880.0)"),
        "pitches = np.arange(21, 109)\n"
        "assert np.allclose(frequency(pitches + 12), 2 * frequency(pitches))",
    ),
    "intervals": (
        "def intervals(pitches):",
        "    return [b - a for a, b in zip(pitches, pitches[1:])]",
        "    return [a - b for a, b in zip(pitches, pitches[1:])]",
        (
            "assert intervals([60, 62, 64]) == [2, 2]",
            "assert intervals([60]) == []",
        ),
        "tune = np.random.default_rng(7).integers(40, 90, 50).tolist()\n"
        "assert np.array_equal(intervals(tune), np.diff(tune))",
    ),
    "retrograde": (
        "def retrograde(notes):",
        "    return [(p, d) for p, d in reversed(notes)]",
        "    return notes",
        (
            "assert retrograde([(60, 1), (62, 2)]) == [(62, 2), (60, 1)]",
            "assert retrograde([]) == []",
        ),
        "notes = [(60 + i, i % 3 + 1) for i in range(40)]\n"
        "assert retrograde(retrograde(notes)) == notes and retrograde(notes)[0] == notes[-1]",
    ),
}


def run() -> list[dict]:
    """Measure all three; each peer makes its rows. Nobody writes feedback here."""
    rows = []
    for setup, about in ((NUMPY, ""), (TORCH, ", all importing torch")):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            source = root / "source" / "ps" / "ps.ipynb"
            _save(source, _source(setup))
            ours = {n: _ours(source, root / f"ours-{n}", n) for n in (FEW, MANY)}
            two = {n: _ours(source, root / f"ours-two-{n}", n, jobs=2) for n in (FEW, MANY)}
            seconds, memory = two[MANY]
            theirs = {n: _nbgrader(source, root / f"nbgrader-{n}", n) for n in (FEWER, FEW)}
            rows += _rows("nbgrader autograde" + about, ours, theirs)
            rows += _rows(f"nbgrader autograde, ours with two jobs{about}", two, theirs)
            if setup == NUMPY:
                rows += _against_otter(root, ours)
            rows.append(
                {
                    "row": f"memory, {MANY} submissions, two jobs{about}",
                    "ours": f"{memory / 2**30:.2f} GiB",
                    "peer": f"{theirs[FEW][1] / 2**30:.2f} GiB",
                    "ratio": theirs[FEW][1] / memory,
                    "note": f"peak of the PSS of all processes; took {seconds:.1f} s; "
                    "nbgrader grades one after the other",
                }
            )
    return rows


def _against_otter(root: Path, ours: dict[int, tuple]) -> list[dict]:
    try:
        theirs = {n: _otter(root / f"otter-{n}", n) for n in (FEWER, FEW)}
    except RuntimeError as error:  # isn't installed, or doesn't run here
        return [
            {
                "row": f"{FEW} submissions, against otter",
                "ours": f"{ours[FEW][0]:.1f} s",
                "peer": None,
                "ratio": None,
                "note": f"otter couldn't be run: {' '.join(str(error).split())[-200:]}",
            }
        ]
    return _rows("otter", ours, theirs)


def _rows(peer: str, ours: dict[int, tuple], theirs: dict[int, tuple]) -> list[dict]:
    """Return a row for the wall time of a few, and one for each further submission."""
    few, many = ours[FEW][0], ours[MANY][0]
    margin = (many - few) / (MANY - FEW)
    their_margin = (theirs[FEW][0] - theirs[FEWER][0]) / (FEW - FEWER)
    their_many = theirs[FEW][0] + (MANY - FEW) * their_margin
    return [
        {
            "row": f"{FEW} submissions, against {peer}",
            "ours": f"{few:.1f} s",
            "peer": f"{theirs[FEW][0]:.1f} s",
            "ratio": theirs[FEW][0] / few,
            "note": "wall time, start-up included",
        },
        {
            "row": f"each further submission, against {peer}",
            "ours": f"{margin:.3f} s",
            "peer": f"{their_margin:.2f} s",
            "ratio": their_margin / margin,
            "note": f"ours from {FEW} to {MANY}, which took {many:.1f} s; theirs from {FEWER} to "
            f"{FEW}, which would make {their_many:.0f} s for {MANY}",
        },
    ]


def _points(number: int) -> int:
    """Return what submission `number` deserves, of 9."""
    return sum(3 if _right(number, task) else 1 for task in TASKS)


def _right(number: int, task: str) -> bool:
    return number % 2 == 0 or number % 3 == list(TASKS).index(task)


def _answer(number: int, task: str) -> str:
    signature, right, wrong, *_ = TASKS[task]
    return f"{signature}\n{right if _right(number, task) else wrong}"


# Ours -------------------------------------------------------------------------------------------


def _ours(source: Path, root: Path, count: int, jobs: int = 1) -> tuple[float, int]:
    from mlmusic.grading.release import release

    released = nbformat.read(release(source, root / "released"), 4)
    for number in range(count):
        _save(root / "submitted" / f"student-{number:03}.ipynb", _filled(released, number))
    command = ["-m", "mlmusic.cli", "grade", source, root / "submitted", "-o", root / "out"]
    command = [*command, "--jobs", str(jobs), "--force", "--no-feedback"]
    # The median of three: ours is so short that what else the machine does would show.
    measured = sorted(_measured(command, root) for _ in range(3))[1]
    with (root / "out" / "grades.csv").open(newline="", encoding="utf-8-sig") as file:
        scores = {row["submission"]: float(row["score"]) for row in csv.DictReader(file)}
    _check("mlmusic grade", scores, count)
    return measured


# nbgrader ---------------------------------------------------------------------------------------


def _source(setup: str) -> nbformat.NotebookNode:
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell("# Three functions"), v4.new_code_cell(setup)]
    for task, (signature, right, _, visible, hidden) in TASKS.items():
        answer = f"{signature}\n    ### BEGIN SOLUTION\n{right}\n    ### END SOLUTION"
        cells.append(v4.new_markdown_cell(f"## {task}"))
        cells.append(v4.new_code_cell(answer, metadata=_mark(task, solution=True)))
        secret = f"### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
        for index, test in enumerate([*visible, secret], 1):
            cells.append(v4.new_code_cell(test, metadata=_mark(f"{task}-{index}", points=1)))
    return _notebook(cells)


def _mark(grade_id: str, solution: bool = False, points: int | None = None) -> dict:
    mark = {"grade_id": grade_id, "grade": points is not None, "solution": solution}
    mark |= {"locked": not solution, "task": False, "schema_version": 3}
    return {"nbgrader": mark | ({} if points is None else {"points": points})}


def _notebook(cells: list) -> nbformat.NotebookNode:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _filled(released: nbformat.NotebookNode, number: int) -> nbformat.NotebookNode:
    """Return a student's notebook: the released one with that student's answers."""
    notebook = nbformat.from_dict(released)
    for cell in notebook.cells:
        task = cell.metadata.get("nbgrader", {}).get("grade_id")
        if task in TASKS:
            cell.source = _answer(number, task)
    return notebook


def _nbgrader(source: Path, root: Path, count: int) -> tuple[float, int]:
    from nbgrader.api import Gradebook

    _save(root / "source" / "ps" / "ps.ipynb", nbformat.read(source, 4))
    quiet = ["--log-level=ERROR", f"--CourseDirectory.root={root}"]
    _measured(["-m", "nbgrader", "generate_assignment", "ps", *quiet], root)
    released = nbformat.read(root / "release" / "ps" / "ps.ipynb", 4)
    for number in range(count):
        target = root / "submitted" / f"student-{number:03}" / "ps" / "ps.ipynb"
        _save(target, _filled(released, number))
    measured = _measured(["-m", "nbgrader", "autograde", "ps", *quiet], root)
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        scores = {row.student.id: row.score for row in book.assignment_submissions("ps")}
    _check("nbgrader", scores, count)
    return measured


# otter ------------------------------------------------------------------------------------------

# otter grade needs Docker; this is its own function for one submission without, called in one
# process, which is faster than `otter run` for each.
_OTTER = """
import json, sys
from pathlib import Path
from otter.api import grade_submission
scores = {}
for path in sorted(Path("submitted").glob("*.ipynb")):
    scores[path.stem] = grade_submission(str(path), sys.argv[1], quiet=True).total
Path("scores.json").write_text(json.dumps(scores))
"""


def _otter(root: Path, count: int) -> tuple[float, int]:
    _save(root / "ps.ipynb", _otter_source())
    _measured(["-m", "otter", "assign", "ps.ipynb", "dist", "--no-pdfs"], root)
    (autograder,) = (root / "dist" / "autograder").glob("*.zip")
    released = nbformat.read(root / "dist" / "student" / "ps.ipynb", 4)
    for number in range(count):
        notebook = nbformat.from_dict(released)
        for cell in notebook.cells:
            for task, (signature, *_) in TASKS.items():
                if cell.source.startswith(signature):
                    cell.source = _answer(number, task)
        _save(root / "submitted" / f"student-{number:03}.ipynb", notebook)
    measured = _measured(["-c", _OTTER, autograder], root)
    _check("otter", json.loads((root / "scores.json").read_text()), count)
    return measured


def _otter_source() -> nbformat.NotebookNode:
    v4 = nbformat.v4
    config = "# ASSIGNMENT CONFIG\ninit_cell: false\nexport_cell: false\ngenerate: true"
    cells = [v4.new_raw_cell(config), v4.new_code_cell(NUMPY)]
    for task, (signature, right, _, visible, hidden) in TASKS.items():
        answer = f"{signature}\n    # BEGIN SOLUTION\n{right}\n    # END SOLUTION"
        tests = [f"# HIDDEN\n{hidden}" if test is hidden else test for test in (*visible, hidden)]
        cells += [
            v4.new_raw_cell(f"# BEGIN QUESTION\nname: {task}\npoints: [1, 1, 1]"),
            v4.new_markdown_cell(f"## {task}"),
            v4.new_raw_cell("# BEGIN SOLUTION"),
            v4.new_code_cell(answer),
            v4.new_raw_cell("# END SOLUTION"),
            v4.new_raw_cell("# BEGIN TESTS"),
            *map(v4.new_code_cell, tests),
            v4.new_raw_cell("# END TESTS"),
            v4.new_raw_cell("# END QUESTION"),
        ]
    return _notebook(cells)


# Measuring --------------------------------------------------------------------------------------


def _save(path: Path, notebook: nbformat.NotebookNode) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def _check(who: str, scores: dict[str, float], count: int) -> None:
    expected = {f"student-{number:03}": _points(number) for number in range(count)}
    if scores != expected:
        wrong = {name: (scores.get(name), points) for name, points in expected.items()}
        wrong = {name: pair for name, pair in wrong.items() if pair[0] != pair[1]}
        raise AssertionError(f"{who} gave other points (given, deserved): {wrong}")


def _measured(arguments: list, folder: Path) -> tuple[float, int]:
    """Run a Python command; return its wall seconds and the peak of all its processes' memory."""
    folder.mkdir(parents=True, exist_ok=True)
    # nbgrader starts alembic by name; it may be in the environment that this one builds on.
    programs = [Path(sys.executable).parent, Path(alembic.__file__).parents[4] / "bin"]
    path = os.pathsep.join([*map(str, programs), os.environ.get("PATH", "")])
    log = folder / "log.txt"
    with log.open("ab") as out:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
        watcher.start()
        status = process.wait()
        seconds = time.perf_counter() - started
        watcher.join()
    if status not in (0, 3):  # 3: graded, with flags
        raise RuntimeError(f"{arguments[1:3]}: {log.read_text(errors='replace')[-1500:]}")
    return seconds, peak[0]


def _watch(pid: int, peak: list[int]) -> None:
    """Add up the memory of a process and all below it, ten times a second, while it runs."""
    with contextlib.suppress(psutil.NoSuchProcess):
        main = psutil.Process(pid)
        while main.is_running() and main.status() != psutil.STATUS_ZOMBIE:
            peak[0] = max(peak[0], sum(map(_memory, [main, *main.children(recursive=True)])))
            time.sleep(0.1)


def _memory(process: psutil.Process) -> int:
    """Return the PSS, which counts shared pages once; the RSS where the kernel won't tell."""
    try:
        return process.memory_full_info().pss
    except psutil.NoSuchProcess:
        return 0
    except (AttributeError, psutil.AccessDenied):
        with contextlib.suppress(psutil.Error):
            return process.memory_info().rss
        return 0


if __name__ == "__main__":
    for row in run():
        print(row)
