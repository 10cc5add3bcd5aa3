"""Run the course's notebooks as tests (nbval, lax mode) and measure what each costs.

``python tools/run_notebooks.py`` runs everything in notebooks/ and solutions/; name files to run
only these. Each notebook gets a fresh kernel, a fresh copy of the data cache (built once, timed
apart), one thread, and no network but the loopback: an attempt to reach it fails the notebook.

Cost is CPU time, user and system, of the kernel and everything that it started. It is scaled by a
short loop of Python and NumPy, timed before and after each notebook, to the seconds of the machine
on which ``REFERENCE_LOOP`` was measured; so a slower or busier machine gives about the same
numbers. With MLMUSIC_ENFORCE_COST=1 a notebook fails that is over the budget (see
``notebook_parts``) by its header, or by the clock and more than clocks differ, or whose header
states a cost that is wrong by more than a factor of two and more than 10 seconds; otherwise these
are reported only. On Windows the notebooks run, unmeasured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

# Before NumPy is imported, here and in the kernels, which inherit it.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
os.environ.update(THREADS)

import notebook_parts as parts  # noqa: E402
import numpy as np  # noqa: E402

TOOLS = Path(__file__).resolve().parent
REFERENCE_LOOP = 0.022  # CPU seconds of calibration_loop on the reference: AMD EPYC, Python 3.11
STATED_FACTOR, STATED_SECONDS = 2.0, 10.0  # how far a stated cost may be off: the larger of both
NOISE = 1.25  # scaled costs of one notebook on one machine have differed by as much
CELL_TIMEOUT = 600  # wall seconds after which nbval interrupts a cell: only a hang takes so long

WARM_UP = """
import matplotlib.pyplot as plt
plt.figure().canvas.draw()  # matplotlib's font list, made once for each user
from mlmusic import datasets
for build in (datasets.chorales, datasets.tunes, datasets.folksongs):
    build()
"""


@dataclass
class Run:
    """What came of one notebook."""

    path: Path
    passed: int = 0
    failed: int = 0
    output: str = ""  # pytest's, to be shown when a cell failed
    cpu: float | None = None  # CPU seconds on this machine; None where they can't be measured
    scale: float = 1.0  # reference seconds for each second here
    peak_gb: float = 0.0
    wall: float = 0.0
    network: list[str] = field(default_factory=list)  # attempts to reach it
    stated: int | None = None

    @property
    def name(self) -> str:
        """The path from the root of the repository."""
        return parts.relative(self.path)

    @property
    def budget(self) -> int:
        """CPU seconds that this notebook may take on the reference machine."""
        return parts.CPU_SECONDS[parts.kind(self.path)]

    @property
    def cost(self) -> float:
        """CPU seconds on the reference machine."""
        return (self.cpu or 0.0) * self.scale

    def over_budget(self) -> list[str]:
        """Say where the notebook costs more than it may, or than it says."""
        faults = []
        if self.cpu is None:
            return faults
        if self.cost > NOISE * self.budget:
            faults.append(f"takes {self.cost:.0f} CPU seconds; at most {self.budget} are allowed")
        if self.peak_gb > parts.MEMORY_GB:
            faults.append(f"takes {self.peak_gb:.1f} GB; at most {parts.MEMORY_GB:g} are allowed")
        if self.stated is None:
            faults.append(f"states no cost: its header needs '- **{parts.COST}:** {advice(self)}'")
        elif self.stated > self.budget:
            faults.append(f"states {self.stated} CPU seconds; at most {self.budget} are allowed")
        elif wrong_by_too_much(self.stated, self.cost):
            faults.append(
                f"states {self.stated} CPU seconds but takes {self.cost:.0f}: run "
                "`python tools/run_notebooks.py --update-costs`"
            )
        return faults


def wrong_by_too_much(stated: float, measured: float) -> bool:
    """Say whether a stated cost misleads: by more than a factor of two and by over 10 seconds."""
    low, high = sorted((stated, measured))
    return high - low > STATED_SECONDS and high > STATED_FACTOR * low


def rounded(seconds: float) -> int:
    """Round a cost as headers state it: to 5 seconds, and not to 0."""
    return max(5, 5 * round(seconds / 5))


def advice(run: Run) -> str:
    """Return the text of the header's cost field."""
    return f"about {rounded(run.cost)} CPU seconds"


def calibration_loop() -> float:
    """Return the CPU seconds of a fixed piece of work, half Python and half NumPy."""
    matrix = np.random.default_rng(0).standard_normal((256, 256), dtype=np.float32)
    started = time.thread_time()
    total = 0
    for i in range(200_000):
        total += i * i % 7
    for _ in range(30):
        matrix = np.tanh(matrix @ matrix)
    return time.thread_time() - started


def calibrate() -> float:
    """Return how fast this machine is now: the best of five loops, in CPU seconds."""
    return min(calibration_loop() for _ in range(5))


def kernel_spec(folder: Path, report: Path, network_log: Path) -> str:
    """Write a kernel into `folder` that measures itself and has no network; return its name."""
    name = "mlmusic-measured"
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    if os.name == "posix":
        command = [sys.executable, str(TOOLS / "kernel_cost.py"), str(report), *command]
    site = folder / "site"
    site.mkdir(parents=True)
    shutil.copy(TOOLS / "no_network.py", site / "sitecustomize.py")
    search = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    spec = {
        "argv": command,
        "display_name": name,
        "language": "python",
        "env": {
            "PYTHONPATH": os.pathsep.join(search),
            "MLMUSIC_NETWORK_LOG": str(network_log),
        },
    }
    (folder / "kernels" / name).mkdir(parents=True)
    (folder / "kernels" / name / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return name


def clean_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a run: nothing of the user's but the search path."""
    env = {k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "MLMUSIC_DATA")}
    return env | {
        "MLMUSIC_CACHE": str(folder / "cache"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_PATH": str(folder),
        "JUPYTER_PLATFORM_DIRS": "1",  # or older versions of jupyter_core print a warning
    }


def run(path: Path, cache: Path | None) -> Run:
    """Run one notebook through nbval and measure it."""
    result = Run(path, stated=parts.stated_cost(parts.read(path)))
    with tempfile.TemporaryDirectory(prefix="mlmusic-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        report, network_log, junit = folder / "cost", folder / "network", folder / "junit.xml"
        kernel = kernel_spec(folder, report, network_log)
        if cache:
            shutil.copytree(cache, folder / "cache")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")  # not the project's
        command = [sys.executable, "-m", "pytest", "-c", str(folder / "pytest.ini"), "--noconftest"]
        command += ["-q", "-W", "ignore", "-p", "no:cacheprovider", "--color=no"]
        command += ["--nbval-lax", f"--nbval-kernel-name={kernel}", f"--junitxml={junit}"]
        command += [f"--nbval-cell-timeout={CELL_TIMEOUT}", f"--rootdir={parts.ROOT}", str(path)]

        before, started = calibrate(), time.monotonic()
        done = subprocess.run(
            command,
            env=clean_environment(folder),
            cwd=parts.ROOT,
            text=True,
            encoding="utf-8",
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        result.wall = time.monotonic() - started
        result.scale = 2 * REFERENCE_LOOP / (before + calibrate())
        result.output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)  # tracebacks come in colour
        result.passed, result.failed = _counts(junit, done.returncode)
        if network_log.exists():
            result.network = network_log.read_text(encoding="utf-8").splitlines()
        if os.name == "posix":
            cost = _wait_for(report)
            result.cpu, result.peak_gb = cost["cpu_seconds"], cost["peak_bytes"] / 1e9
    return result


def _counts(junit: Path, status: int) -> tuple[int, int]:
    """Return the passed and failed cells; pytest's own failure counts as one."""
    if not junit.exists():
        return 0, 1
    suite = next(ET.parse(junit).getroot().iter("testsuite"))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    passed = int(suite.get("tests", 0)) - failed - int(suite.get("skipped", 0))
    return passed, failed or int(status != 0)


def _wait_for(report: Path, seconds: float = 20) -> dict:
    """Read the meter's report, which comes a moment after the kernel has been killed."""
    deadline = time.monotonic() + seconds
    while not report.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the kernel left no report of its cost; did it start at all?")
        time.sleep(0.05)
    return json.loads(report.read_text(encoding="utf-8"))


def build_cache(folder: Path) -> Path | None:
    """Build the data caches in `folder`; return where, or None, with the reason, if it failed."""
    started = time.monotonic()
    env = clean_environment(folder) | {"MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, "-c", WARM_UP], env=env, capture_output=True, text=True)
    if done.returncode:
        print(f"The data caches can't be built:\n{done.stdout}{done.stderr}")
        return None
    size = sum(file.stat().st_size for file in (folder / "cache").rglob("*") if file.is_file())
    print(f"data caches built in {time.monotonic() - started:.0f} s, {size / 1e6:.1f} MB")
    return folder / "cache"


def table(runs: list[Run]) -> str:
    """Return the costs as a table, in seconds of the reference machine."""
    width = max(len(run.name) for run in runs)
    head = f"{'notebook':{width}}  cells   CPU s  stated  budget  here s    GB  wall s  network"
    rows = [head]
    for run in runs:
        measured = run.cpu is not None
        rows.append(
            f"{run.name:{width}}  {run.passed + run.failed:5}"
            f"  {f'{run.cost:.1f}' if measured else '–':>6}  {run.stated or '–':>6}"
            f"  {run.budget:6}  {f'{run.cpu:.1f}' if measured else '–':>6}"
            f"  {run.peak_gb:4.2f}  {run.wall:6.1f}  {len(run.network):7}"
        )
    return "\n".join(rows)


def update_cost(run: Run) -> bool:
    """Write the measured cost into the notebook's header; return whether that changed it."""
    notebook = parts.read(run.path)
    line = f"- **{parts.COST}:**"
    header = notebook.cells[0].source.splitlines()
    header = [f"{line} {advice(run)}" if row.startswith(line) else row for row in header]
    notebook.cells[0].source = "\n".join(header)
    return parts.write(notebook, run.path)


def main(argv: list[str] | None = None) -> int:
    """Run the notebooks; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks; all, if none is named")
    parser.add_argument("--update-costs", action="store_true", help="write costs into the headers")
    parser.add_argument("--no-data", action="store_true", help="don't build the data caches first")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="notebooks at a time")
    options = parser.parse_args(argv)
    paths = options.paths or parts.notebooks("notebooks", "solutions")
    if missing := [str(path) for path in paths if not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(missing)}")
    if not paths:
        print("There are no notebooks yet: 0 passed, 0 failed")
        return 0

    enforce = os.environ.get("MLMUSIC_ENFORCE_COST") == "1"
    started = time.monotonic()
    print(f"{len(paths)} notebooks, {', '.join(f'{k}={v}' for k, v in THREADS.items())}")
    with tempfile.TemporaryDirectory(prefix="mlmusic-", ignore_cleanup_errors=True) as name:
        cache = None
        if not options.no_data and not (cache := build_cache(Path(name))):
            return 1
        with ThreadPoolExecutor(max(1, options.jobs)) as pool:
            runs = []
            for result in pool.map(lambda path: run(path.resolve(), cache), paths):
                runs.append(result)
                print(result.output if result.failed else f"{result.name}: passed", flush=True)

    if options.update_costs:
        for result in runs:
            if result.cpu is not None and not result.failed and update_cost(result):
                print(f"{result.name}: now states {advice(result)}")
                result.stated = rounded(result.cost)
    print(f"\n{table(runs)}\n")
    passed, failed = 0, 0
    for result in runs:
        passed, failed = passed + result.passed, failed + result.failed
        for attempt in result.network:
            print(f"{result.name}: tried to reach the network: {attempt}")
        faults = result.over_budget()
        for fault in faults:
            print(f"{result.name}: {fault}{'' if enforce else ' (reported only)'}")
        bad = bool(result.network or (faults and enforce))
        passed, failed = passed + (not bad), failed + bad
    print(f"{passed} passed, {failed} failed in {time.monotonic() - started:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
