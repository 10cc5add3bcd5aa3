"""What an instructor asks a grading run for, and what it tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mlmusic.grading.runs.report import Report


@dataclass(frozen=True)
class Order:
    """What an instructor asks for.

    Parameters
    ----------
    source : Path
        The source notebook of the assignment.
    submissions : tuple of Path
        Folders, notebooks and zips.
    out : Path
        The folder for the grades.
    jobs : int, optional
        How many submissions to mark at once; by default one a core.
    only : tuple of str
        Patterns of submissions or students; the others stay as they are.
    sandbox : str
        ``"auto"`` or a kind of sandbox.
    force : bool
        Grade again what is graded.
    attempt : str
        ``"latest"`` or ``"best"``.
    seed : int, optional
        Of the tests.
    dask : str, optional
        The address of a Dask scheduler.
    feedback : bool
        Whether to write the students' pages.
    limits : dict
        Limits that differ from the assignment's.
    """

    source: Path
    submissions: tuple[Path, ...]
    out: Path
    jobs: int | None = None
    only: tuple[str, ...] = ()
    sandbox: str = "auto"
    force: bool = False
    attempt: str = "latest"
    seed: int | None = None
    dask: str | None = None
    feedback: bool = True
    limits: Mapping[str, float] = field(default_factory=dict)


class Watcher(Protocol):
    """Who follows a run, such as the command line with its progress bar."""

    def say(self, line: str) -> None:
        """Hear what the instructor should read at once."""

    def begin(self, todo: int, kept: int, seed: int) -> None:
        """Hear that marking begins."""

    def running(self, seconds: Mapping[str, float]) -> None:
        """Hear for how long which submissions have been running, about every second."""

    def done(self, name: str, seconds: float, flags: int) -> None:
        """Hear that a submission is marked."""

    def end(self) -> None:
        """Hear that marking is over, in whatever way."""


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Parameters
    ----------
    graded, kept : int
        How many submissions were marked now, and how many results were still good.
    report : Report
        What stands in grades.csv and flags.csv.
    points : float
        What the assignment is worth.
    seed : int
        Of the tests.
    slow : tuple of (str, float)
        Submissions that took long, and their seconds.
    """

    graded: int
    kept: int
    report: Report
    points: float
    seed: int
    slow: tuple[tuple[str, float], ...]


class Stopped(Exception):
    """A run ended early; what was graded is safe, and the message says how to go on."""

    def __init__(
        self, reason: str, graded: int, todo: int, out: Path, interrupted: bool = False
    ) -> None:
        super().__init__(
            f"{reason}: {graded} of {todo} submissions are graded and safe in {out}; "
            "the same command goes on from there"
        )
        self.interrupted = interrupted
