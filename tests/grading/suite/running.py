"""Run ``mlmusic grade`` over a folder, as an instructor would, and read what it wrote."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import assignment

ROOT = Path(__file__).resolve().parents[3]
_COMMAND = "import sys; from mlmusic.cli import main; sys.exit(main(sys.argv[1:]))"


@dataclass
class Graded:
    """What a run of ``mlmusic grade`` left behind."""

    out: Path
    status: int
    said: str

    def __post_init__(self) -> None:
        self.rows = {row["submission"]: row for row in self.table("grades.csv")}
        self.results: dict[str, dict[str, Any]] = {}
        self.raw: dict[str, str] = {}
        for path in sorted((self.out / "results").glob("*.json")):
            text = path.read_text(encoding="utf-8")
            result = json.loads(text)
            self.results[result["submission"]] = result
            self.raw[result["submission"]] = text
        self.pages = {
            path.stem: path.read_text(encoding="utf-8")
            for path in sorted((self.out / "feedback").glob("*.html"))
        }

    def table(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a CSV file."""
        text = (self.out / name).read_bytes().decode("utf-8")
        return list(csv.DictReader(io.StringIO(text, newline="")))

    def scores(self, submission: str, tasks: Mapping[str, object]) -> dict[str, float | None]:
        """Return a submission's points for some tasks, as they stand in grades.csv."""
        row = self.row(submission)
        return {task: float(row[task]) if row[task] else None for task in tasks}

    def row(self, submission: str) -> dict[str, str]:
        """Return a submission's row; a name like a formula has an apostrophe before it."""
        return self.rows.get(submission) or self.rows[f"'{submission}"]

    def flags(self, submission: str) -> set[str]:
        """Return the kinds of flags that a submission got."""
        return {flag["kind"] for flag in self.results[submission]["flags"]}

    def why(self, submission: str) -> str:
        """Return what may explain a wrong score, for a failing test's message."""
        result = self.results.get(submission, {"tasks": [], "flags": "no result"})
        tests = [
            f"{test['id']}: {test['outcome']} {test['message'][:200]}"
            for task in result["tasks"]
            for test in task["tests"]
            if test["outcome"] != "passed"
        ]
        return "\n".join([str(result["flags"])[:1000], *tests])


class Run:
    """A run of ``mlmusic grade`` that has been started."""

    def __init__(self, folder: Path, submissions: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.source = folder / "source" / f"{assignment.NAME}.ipynb"
        self.source.parent.mkdir(exist_ok=True)
        self.source.write_bytes(assignment.source_bytes())
        self.out = folder / "out"
        self.temp = folder / "tmp"  # where it may leave nothing
        self.temp.mkdir(exist_ok=True)
        self._said = (folder / "said.txt").open("wb+")
        command = [sys.executable, "-c", _COMMAND, "grade", str(self.source), str(submissions)]
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.temp),
            "SUITE_SECRET": assignment.SECRETS[0],
        }
        self.process = subprocess.Popen(
            [*command, "-o", str(self.out), *options],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=folder,
        )

    def wait(self) -> Graded:
        """Wait for its end."""
        status = self.process.wait()
        self._said.seek(0)
        said = self._said.read().decode("utf-8", "replace")
        self._said.close()
        assert status in (0, 3), said[-3000:]
        return Graded(self.out, status, said)
