"""Measure the course beside what a user would pick instead: ``make bench`` writes BENCHMARKS.md.

Every tests/benchmarks/bench_*.py has a function ``run()`` that returns rows: dicts with ``row``
(what was measured, against what), ``ours``, ``peer``, ``ratio`` and ``note``. Both sides of a row
are measured in one run on one machine: the ratio is what carries over to another machine. Each
script runs in a process of its own, so that none warms up for the next.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEERS = (
    *("nbgrader", "otter-grader", "music21", "pretty_midi", "symusic", "miditok", "implicit"),
    *("librosa", "verovio", "transformers", "numpy", "torch"),
)
MARK = "mlmusic-benchmark:"
# The script prints what it likes; the line with the mark is the result.
CALL = (
    "import json, runpy, sys; "
    "rows = runpy.run_path(sys.argv[1], run_name='benchmark')['run'](); "
    f"print('\\n{MARK}' + json.dumps(rows, default=str))"
)
HEADER = """\
# Benchmarks

Side by side in one run on one machine, one thread. Read the ratios: seconds differ from machine to
machine. A ratio above 1 means that the course's own does better than the other.

Made by `make bench` from the scripts in [tests/benchmarks/](tests/benchmarks), on {date},
{machine}: {versions}.
"""


def rows_of(script: Path) -> list[dict]:
    """Run a benchmark in a process of its own and return its rows.

    Raises
    ------
    RuntimeError
        If it fails; with the end of what it printed.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", CALL, str(script)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    for line in done.stdout.splitlines():
        if done.returncode == 0 and line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    raise RuntimeError(f"{script.name} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def table(rows: list[dict]) -> str:
    """Return rows as a table in Markdown."""
    lines = ["| measured | ours | the other | ratio | note |", "| --- | ---: | ---: | ---: | --- |"]
    for row in rows:
        cells = [_cell(row.get(name)) for name in ("row", "ours", "peer")]
        cells += [_ratio(row.get("ratio")), _cell(row.get("note"))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("|", "\\|")


def _ratio(value: float | None) -> str:
    if not isinstance(value, (int, float)):
        return _cell(value)
    if value < 0.1:
        return f"{value:.1g}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def title(script: Path) -> str:
    """Return a script's heading: the first line of its docstring, without the full stop."""
    found = re.match(r'"""(.+)', script.read_text(encoding="utf-8"))
    return found[1].strip().rstrip('."') if found else script.stem


def versions() -> str:
    """Return the versions of Python, of the packages measured and of FluidSynth."""
    found = [f"Python {platform.python_version()}"]
    for name in PEERS:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    if shutil.which("fluidsynth"):
        text = subprocess.run(["fluidsynth", "--version"], capture_output=True, text=True).stdout
        number = re.search(r"\d+(\.\d+)+", text)
        found.append(f"FluidSynth {number[0] if number else ''}".strip())
    return ", ".join(found)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmarks; write BENCHMARKS.md if all of them ran."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("scripts", nargs="*", type=Path, help="only these; then nothing is written")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "BENCHMARKS.md")
    options = parser.parse_args(argv)
    scripts = options.scripts or sorted((ROOT / "tests" / "benchmarks").glob("bench_*.py"))
    sections, failed = [], []
    for script in scripts:
        print(f"bench: {script.stem}", flush=True)
        try:
            text = table(rows_of(script))
        except RuntimeError as error:
            print(f"bench: {error}", file=sys.stderr)
            failed.append(script.name)
            continue
        print(text, flush=True)
        sections.append(f"## {title(script)}\n\n{text}\n")
    if failed:
        print(f"bench: wrote nothing, for {', '.join(failed)} failed", file=sys.stderr)
        return 1
    if not options.scripts:
        machine = f"{platform.system()}, {platform.machine()}"
        date = datetime.date.today().isoformat()
        header = HEADER.format(date=date, versions=versions(), machine=machine)
        options.out.write_text("\n".join([header, *sections]), encoding="utf-8")
        print(f"bench: wrote {options.out.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
