"""The runs of ``mlmusic grade`` that the tests look at, one for each batch and session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("nbgrader", reason="nbgrader makes the exercise (extra 'grade')")

from . import attacks
from .attacking import Attack
from .building import dump, right
from .odd import ODD
from .running import Graded, Run
from .watching import Watched

KINDS = ("bwrap", "landlock")


@pytest.fixture(scope="session")
def odd_run(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    """All honest but odd notebooks, graded in one batch by two workers."""
    folder = tmp_path_factory.mktemp("odd")
    submissions = folder / "submissions"
    submissions.mkdir()
    for case in ODD:
        (submissions / case.file).write_bytes(case.make())
    return Run(folder, submissions, "--jobs", "2").wait()


@pytest.fixture(scope="session")
def attack_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, AttackRun]]:
    """All attacks, each followed by a right notebook; one worker for each kind of sandbox."""
    kinds = [kind for kind in KINDS if works(kind) is None]
    runs = {
        kind: AttackRun(kind, tmp_path_factory.mktemp(kind), attacks.for_kind(kind, kinds))
        for kind in kinds
    }
    for run in runs.values():
        run.start()
    for run in runs.values():
        run.finish()
    yield runs
    for run in runs.values():
        run.watched.close()


def works(kind: str) -> str | None:
    """Return why a kind of sandbox can't be used here, or None."""
    from mlmusic.grading.sandbox import isolation

    return isolation.why_not(kind)


@pytest.fixture(params=KINDS)
def attack_run(request: pytest.FixtureRequest) -> AttackRun:
    """The run of all attacks in one kind of sandbox."""
    reason = works(request.param)
    if reason is not None:
        pytest.skip(reason)
    return request.getfixturevalue("attack_runs")[request.param]


class AttackRun:
    """A folder full of attacks, what they must not touch, and the run over them."""

    def __init__(self, kind: str, folder: Path, chosen: list[Attack]) -> None:
        self.kind, self.folder, self.attacks = kind, folder, chosen
        self.submissions = folder / "submissions"
        self.submissions.mkdir()
        self.watched = Watched(folder / "canary")
        self.graded: Graded

    def start(self) -> None:
        """Write the files and start the run."""
        place = {
            **self.watched.place,
            "SOURCE": str(self.folder / "source" / "motif.ipynb"),
            "OUT": str(self.folder / "out"),
            "SUBMISSIONS": str(self.submissions),
        }
        solved = dump(right())
        for attack in self.attacks:
            name = attacks.file_of(attack)
            (self.submissions / name).write_bytes(attack.make(place))
            (self.submissions / attacks.next_to(name)).write_bytes(solved)
        self.before = self.watched.look(self.submissions)
        options = ["--jobs", "1", "--sandbox", self.kind]
        # Many attacks hang; what is right takes milliseconds.
        options += ["--call-seconds", "1", "--cell-seconds", "2", "--total-seconds", "8"]
        self.run = Run(self.folder, self.submissions, *options)

    def finish(self) -> None:
        """Wait for the run, and look at what it left."""
        self.graded = self.run.wait()
        self.after = self.watched.look(self.submissions)
        self.left = sorted(path.name for path in self.run.temp.iterdir())
