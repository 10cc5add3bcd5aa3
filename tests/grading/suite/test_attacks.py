"""Attacks gain nothing, touch nothing outside, and don't harm whoever is graded next."""

import re
import sys
from pathlib import Path

import pytest

from . import assignment, attacks
from .attacking import EVIDENCE, Attack

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="bubblewrap and Landlock are Linux's"
)


def by_name(attack: Attack) -> str:
    return attack.name


def name_of(attack: Attack) -> str:
    return attacks.file_of(attack).removesuffix(".ipynb")


def next_name(attack: Attack) -> str:
    return attacks.next_to(attacks.file_of(attack)).removesuffix(".ipynb")


@pytest.fixture(params=attacks.ATTACKS, ids=by_name)
def attack(request, attack_run):
    if request.param not in attack_run.attacks:
        pytest.skip("runs in the other kind of sandbox (here: MLMUSIC_ALL_ATTACKS=1)")
    return request.param


def test_attack_gains_nothing_and_the_next_one_is_full(attack_run, attack):
    graded, name = attack_run.graded, name_of(attack)
    found = graded.scores(name, attack.scores)
    gained = {task: found[task] for task in found if found[task] > attack.scores[task]}
    assert not gained, graded.why(name)
    if attack.survives:
        for task in attack.answers:
            assert found[task] == 3, graded.why(name)
    for text in (graded.raw[name], page_of(graded, name)):
        for word in (EVIDENCE, "CANARY-8812", "MESSAGE-4477"):
            assert word not in text, text[max(0, text.find(word) - 50) :][:500]
    after = next_name(attack)
    assert graded.scores(after, assignment.FULL) == assignment.FULL, graded.why(after)
    assert not graded.flags(after)


def page_of(graded, name):
    """Return a student's page, found by the name that stands on it or its file."""
    return graded.pages.get(name) or next(p for n, p in graded.pages.items() if n.startswith(name))


def test_batch_goes_on_to_its_end(attack_run):
    assert len(attack_run.graded.rows) == 2 * len(attack_run.attacks)
    assert attack_run.graded.status == 3
    assert len(attacks.ATTACKS) >= 70


def test_files_outside_are_as_they_were(attack_run):
    changed = {
        path
        for path in attack_run.before | attack_run.after
        if attack_run.before.get(path) != attack_run.after.get(path)
    }
    assert not changed
    assert not attack_run.watched.strays()
    assert attack_run.run.source.read_bytes() == assignment.source_bytes()


def test_folder_of_results_holds_results_only(attack_run):
    expected = {"grades.csv", "flags.csv", "run.json", "solution.json", "results", "feedback"}
    found = {path.name for path in attack_run.run.out.iterdir() if not path.name.startswith(".")}
    assert found == expected
    for folder in ("results", "feedback"):
        assert len(list((attack_run.run.out / folder).iterdir())) == 2 * len(attack_run.attacks)


def test_nothing_is_left_behind(attack_run):
    assert attack_run.left == []
    assert attack_run.watched.processes() == []
    for kind in ("shm", "sem", "msg"):
        path = Path("/proc/sysvipc") / kind
        keys = [line.split()[0] for line in path.read_text().splitlines()[1:]]
        assert str(0x4477) not in keys, f"System V {kind}"


def test_nobody_is_called_or_stopped(attack_run):
    assert attack_run.watched.visits == []
    assert attack_run.watched.victim_state() == "S"


def test_hidden_inputs_stay_hidden_from_the_student(attack_run):
    attack = next(a for a in attack_run.attacks if a.name == "tell the hidden inputs")
    page = page_of(attack_run.graded, name_of(attack))
    assert "LEAK-9001" in page, "what the visible tests sent may be seen"
    assert not re.search(r"size\W{1,20}16", page), "only a hidden test makes a model of size 16"


def test_feedback_holds_no_secret(attack_run):
    for name, page in attack_run.graded.pages.items():
        for secret in assignment.SECRETS:
            assert secret not in page, name
