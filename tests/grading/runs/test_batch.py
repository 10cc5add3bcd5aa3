"""A class is graded whole: what is flagged, what is kept, and what no accident destroys."""

import csv
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmusic.grading import files, grade, overrides
from mlmusic.grading.runs import formats
from mlmusic.grading.runs.collect import Flag
from tests.grading.runs import fake_worker as fake

ROOT = Path(__file__).resolve().parents[3]


class Class:
    """A source, the hand-ins of a class, and the folder of its grades."""

    def __init__(self, folder):
        self.folder = folder
        self.source = folder / "ps1.ipynb"
        self.source.write_bytes(fake.source())
        self.submissions = folder / "class"
        self.submissions.mkdir()
        self.out = folder / "out"
        self.marks = folder / "marks"

    def hand_in(self, *names, right=("scale", "chord"), **wishes):
        for name in names:
            path = self.submissions / f"{name}.ipynb"
            path.write_bytes(fake.notebook(right, name=name, **wishes))
        return self

    def grade(self, *options, out=None, status=None):
        arguments = [self.source, self.submissions, "-o", out or self.out, *options]
        found = fake.main(arguments)
        assert status is None or found == status
        return found

    def command(self, *options):
        arguments = [self.source, self.submissions, "-o", self.out, "--no-feedback", *options]
        program = [sys.executable, "-m", "tests.grading.runs.fake_worker", *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        return subprocess.Popen(program, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe)

    def rows(self, name="grades.csv"):
        with open(self.out / name, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def scores(self):
        return {row["submission"]: row["score"] for row in self.rows()}

    def flags(self):
        return {(row["submission"], row["flag"]): row["detail"] for row in self.rows("flags.csv")}

    def result(self, name):
        return json.loads((self.out / "results" / f"{name}.json").read_bytes())

    def marked(self):
        """Return how often each notebook was marked since the last time."""
        lines = self.marks.read_text().splitlines() if self.marks.exists() else []
        self.marks.write_text("")
        return Counter(line.rsplit(" ", 1)[0] for line in lines)

    def bytes(self, out=None):
        out = out or self.out
        names = [path for path in sorted(out.rglob("*")) if path.is_file()]
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in names}


@pytest.fixture
def group(tmp_path, monkeypatch):
    """Return a class to grade, and count what is marked."""
    monkeypatch.setenv("MARKS", str(tmp_path / "marks"))
    return Class(tmp_path)


def test_what_is_written(group, capsys):
    group.hand_in("ada").hand_in("bob", right=["scale"]).hand_in("cy", right=[])
    group.grade("--seed", "11", status=0)
    assert (group.out / "grades.csv").read_bytes() == (
        b"submission,student,score,points,scale,chord,listening\n"
        b"ada,ada,5,7,2,3,\nbob,bob,2,7,2,0,\ncy,cy,0,7,0,0,\n"
    )
    assert (group.out / "flags.csv").read_bytes() == b"submission,student,flag,detail\n"
    assert sorted(path.name for path in (group.out / "feedback").iterdir()) == [
        "ada.html",
        "bob.html",
        "cy.html",
    ]
    result = group.result("bob")
    provenance = result["provenance"]
    assert result["format"] == 1 and result["assignment"] == "ps1"
    assert (result["student"], result["name"], result["attempt"]) == ("bob", "", None)
    assert provenance["seed"] == 11 and provenance["sandbox"] == "fake"
    assert provenance["limits"]["call"] == 5 and len(provenance["submission_sha256"]) == 64
    assert provenance["versions"].keys() >= {"python", "mlmusic", "numpy"}
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "3 graded, 0 kept from before, 0 flagged, 3 waiting for grading by hand",
        "median score 2 of 7 as long as what waits counts 0, seed 11",
        f"grades: {group.out / 'grades.csv'}",
        f"feedback: {group.out / 'feedback'}",
        f"then: mlmusic grade --by-hand -o {group.out}",
    ]
    assert shown.err == "seed 11, 3 to grade, 0 kept from before\n"
    assert fake.FakeWorker.alive == 0


def test_the_same_batch_gives_the_same_bytes(group):
    group.hand_in(*"abcdef", flags=[{"kind": "timeout", "detail": "cell 5"}])
    group.grade("--jobs", "1", status=3)
    other = group.folder / "other"
    group.grade("--jobs", "4", out=other, status=3)
    assert group.bytes() == group.bytes(other)


def test_flags_of_one_kind_share_a_row(group):
    flags = [("cell error", "cell 1"), ("timeout", "cell 2"), ("cell error", "cell 3")]
    group.hand_in("ada", flags=[{"kind": kind, "detail": detail} for kind, detail in flags])
    group.grade(status=3)
    assert (group.out / "flags.csv").read_text().splitlines()[1:] == [
        "ada,ada,cell error,cell 1; cell 3",
        "ada,ada,timeout,cell 2",
    ]


def test_remarks_that_say_the_same_are_folded(group):
    details = ["cell 3: NameError: x", "cell 5: NotImplementedError:", "cell 9: NameError: x"]
    group.hand_in("ada", flags=[{"kind": "cell error", "detail": detail} for detail in details])
    group.grade(status=3)
    assert group.flags() == {
        ("ada", "cell error"): "cells 3, 9: NameError: x; "
        "cell 5: not answered yet: raises NotImplementedError"
    }


def test_no_run_waits_for_answers_that_are_not_there(group, capsys):
    """They stand in flags.csv until somebody gives points, and change no exit status."""
    missing = [{"kind": "not answered", "detail": "listening"}]
    group.hand_in("ada", "bob", flags=missing).grade("--no-feedback", status=0)
    assert group.flags() == dict.fromkeys(
        [("ada", "not answered"), ("bob", "not answered")], "listening"
    )
    assert [row["listening"] for row in group.rows()] == ["0", "0"]
    assert "waiting" not in capsys.readouterr().out
    path = group.out / "overrides.csv"
    overrides.put(path, overrides.Override("ada", "listening", 0.0))
    overrides.put(path, overrides.Override("bob", "listening", None, "Where is it?"))
    group.grade("--no-feedback", status=0)
    assert group.flags() == {("bob", "not answered"): "listening"}


def test_a_call_that_took_too_long_is_flagged_like_a_cell(group):
    outcomes = {"test-chord": ["timeout", "chord() took more than 5 s"]}
    outcomes["test-scale"] = ["died", "scale() ended its process: exit()"]
    cell = {"kind": "timeout", "detail": "cell 4 ran for more than 20 s"}
    group.hand_in("ada", right=[], outcomes=outcomes)
    group.hand_in("bob", right=["scale"], outcomes=outcomes, flags=[cell])
    group.hand_in("cy").grade(status=3)
    ended = "scale() ended its process: exit() (test-scale)"
    assert group.flags() == {
        ("ada", "timeout"): "chord() took more than 5 s (test-chord)",
        ("ada", "died"): ended,
        (
            "bob",
            "timeout",
        ): "cell 4 ran for more than 20 s; chord() took more than 5 s (test-chord)",
        ("bob", "died"): ended,
    }


def test_a_hidden_notebook_is_told_of(group):
    group.hand_in("ada", ".bob").grade(status=3)
    assert group.scores() == {"ada": "5"}
    detail = ".bob.ipynb: a hidden file, not graded: rename it if it should be"
    assert group.flags() == {("", "unreadable"): detail}


def test_what_was_asked_is_kept_for_the_page_for_grading_by_hand(group):
    group.hand_in("ada").grade(status=0)
    about = json.loads((group.out / "run.json").read_bytes())
    assert about["tasks"] == ["scale", "chord", "listening"]
    scheme = [{"kind": "markdown", "text": "What do you hear?"}]
    assert about["by_hand"]["listening"]["scheme"] == scheme


def test_the_seed_depends_on_every_file_and_stays(group, capsys):
    def seed():
        return json.loads((group.out / "run.json").read_bytes())["seed"]

    group.hand_in("ada").grade()
    first = seed()
    group.hand_in("bob").grade()
    assert seed() == first  # or Ada would be graded again
    shutil.rmtree(group.out)
    group.grade()
    assert seed() != first  # nobody can know it before the last file is in
    assert f"seed {seed()}," in capsys.readouterr().err
    group.grade("--seed", "5")
    assert seed() == 5


def test_only_what_is_new_or_changed_is_graded(group, capsys):
    group.hand_in("ada", "bob").grade(status=0)
    assert group.marked() == {"ada": 1, "bob": 1, "a notebook": 1}  # the last is the solution
    before = group.bytes()
    group.grade(status=0)
    assert group.marked() == {} and group.bytes() == before
    assert "0 graded, 2 kept from before" in capsys.readouterr().out
    group.hand_in("cy").hand_in("bob", right=[]).grade(status=0)
    assert group.marked() == {"bob": 1, "cy": 1}
    assert group.scores() == {"ada": "5", "bob": "0", "cy": "5"}
    assert group.bytes()["results/ada.json"] == before["results/ada.json"]


@pytest.mark.parametrize("options", [["--force"], ["--seed", "3"], ["--call-seconds", "9"]])
def test_what_makes_everything_be_graded_again(group, options):
    group.hand_in("ada").grade("--seed", "2")
    group.marked()
    group.grade(*options)
    assert group.marked()["ada"] == 1


def test_a_changed_source_is_graded_again(group, capsys):
    group.hand_in("ada").grade()
    group.source.write_bytes(fake.source(call=7))
    group.marked()
    group.grade()
    assert group.marked() == {"ada": 1, "a notebook": 1}
    assert "ps1.ipynb has changed: everything is graded again" in capsys.readouterr().err


def test_the_students_notebook_is_no_source(group, tmp_path, capsys):
    group.hand_in("ada")
    source = ROOT / "exercises" / "00_listen.ipynb"
    assert grade.main([str(source), str(group.submissions), "-o", str(tmp_path / "out")]) == 1
    assert "is the students' notebook, without answers and hidden tests" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_versions_are_graded_again(group, monkeypatch):
    group.hand_in("ada").grade()
    group.marked()
    monkeypatch.setattr("mlmusic.grading.runs.batch.installed_versions", lambda: {"numpy": "99"})
    group.grade()
    assert group.marked()["ada"] == 1


def test_a_result_that_was_damaged_is_graded_again(group):
    group.hand_in("ada", "bob", "cy").grade()
    group.marked()
    (group.out / "results" / "ada.json").write_bytes(b'{"format": 1')
    (group.out / "results" / "bob.json").write_bytes(b"[]")
    group.grade(status=0)
    assert group.marked() == {"ada": 1, "bob": 1}


def test_only_those_who_are_named(group):
    group.hand_in("ada", "bob", "Çem")
    group.grade("--only", "a?a", "--only", "çEM", status=0)
    assert group.scores() == {"ada": "5", "Çem": "5"}
    first = json.loads((group.out / "run.json").read_bytes())["seed"]
    group.grade(status=0)
    assert group.marked() == {"ada": 1, "bob": 1, "Çem": 1, "a notebook": 1}
    shutil.rmtree(group.out)
    group.grade()
    assert json.loads((group.out / "run.json").read_bytes())["seed"] == first
    group.hand_in("ada", right=[]).hand_in("bob", right=[])
    group.marked()
    group.grade("--only", "bob", "--force", status=0)
    assert group.marked() == {"bob": 1}
    assert group.scores() == {"ada": "5", "bob": "0", "Çem": "5"}  # Ada's stays until it's asked


def test_a_broken_hand_in_stops_nobody(group):
    group.hand_in("ada").hand_in("boom", crash=True)
    (group.submissions / "link.ipynb").symlink_to("/etc/hostname")
    group.grade(status=3)
    assert group.scores() == {"ada": "5", "boom": "0", "link": "0"}
    assert group.flags() == {
        ("boom", "grader"): "BrokenPipeError: the worker is gone",
        ("link", "unreadable"): "a link out of the folder, which isn't followed",
    }
    outcomes = [test["outcome"] for task in group.result("link")["tasks"] for test in task["tests"]]
    assert outcomes == ["not run", "not run"]
    group.marked()
    group.grade(status=3)
    assert group.marked() == {"boom": 1}  # perhaps it was the grader's bad day


def test_who_handed_in_something_else_has_a_row(group):
    for name in ("adal_1_900_ps1.ipynb", "bob_2_901_ps1.pdf", "bob_2_902_notes.txt"):
        (group.submissions / name).write_bytes(fake.notebook())
    (group.submissions / "cy_3_903_work.zip").write_bytes(b"not a zip")
    group.grade(status=3)
    assert [(row["submission"], row["student"], row["score"]) for row in group.rows()] == [
        ("adal_1_900_ps1", "1", "5"),
        ("bob_2_901_ps1.pdf", "2", "0"),
        ("cy_3_903_work.zip", "3", "0"),
    ]
    assert group.flags() == {
        (
            "bob_2_901_ps1.pdf",
            "not a notebook",
        ): "handed in: bob_2_901_ps1.pdf, bob_2_902_notes.txt",
        ("cy_3_903_work.zip", "unreadable"): "not a zip, or a damaged one",
    }


def test_a_solution_that_fails_its_own_tests_is_announced(group, capsys):
    content = json.loads(fake.source())
    content["metadata"] |= {"solved": False, "right": ["scale"]}
    group.source.write_text(json.dumps(content))
    group.hand_in("ada").grade(status=3)
    detail = (
        "the solution in ps1.ipynb itself fails test-chord (failed chord() must give 1): students "
        "lose up to 3 points undeservedly; mend the source and grade again"
    )
    assert f"WARNING: {detail}\n" in capsys.readouterr().err
    assert group.flags() == {("", "solution"): detail} and group.scores() == {"ada": "5"}
    group.grade(status=3)  # it is still true when nothing is graded
    assert group.flags() == {("", "solution"): detail}
    group.source.write_bytes(fake.source())
    group.grade(status=0)
    assert group.flags() == {}


def attempts(group):
    """Hand in three attempts of one student, of which the second is the best."""
    for number, right in ((0, []), (1, ["chord"]), (2, ["scale"])):
        suffix = f"-{number}" if number else ""
        name = f"adal_1_90{number}_ps1{suffix}"
        group.hand_in(name, right=right)
    return group.hand_in("bob_2_800_ps1")


def test_the_latest_attempt_counts(group):
    attempts(group).grade(status=3)
    assert group.scores() == {"adal_1_902_ps1-2": "2", "bob_2_800_ps1": "5"}
    assert group.flags() == {
        ("adal_1_902_ps1-2", "attempt"): "the latest counts; also handed in: "
        "adal_1_900_ps1, adal_1_901_ps1-1"
    }
    assert group.marked() == {"adal_1_902_ps1-2": 1, "bob_2_800_ps1": 1, "a notebook": 1}


def test_the_best_attempt_counts_if_that_is_wanted(group):
    attempts(group).grade("--attempt", "best", status=3)
    assert group.scores() == {"adal_1_901_ps1-1": "3", "bob_2_800_ps1": "5"}
    assert group.flags() == {
        ("adal_1_901_ps1-1", "attempt"): "the best counts; also handed in: "
        "adal_1_900_ps1 (0 points), adal_1_902_ps1-2 (2 points)"
    }
    group.marked()
    group.grade("--attempt", "latest")
    assert list(group.scores()) == ["adal_1_902_ps1-2", "bob_2_800_ps1"] and not group.marked()
    group.grade("--attempt", "best")
    assert list(group.scores()) == ["adal_1_901_ps1-1", "bob_2_800_ps1"] and not group.marked()
    for folder, ending in (("results", "json"), ("feedback", "html")):
        found = sorted(path.name for path in (group.out / folder).iterdir())
        assert found == [f"adal_1_901_ps1-1.{ending}", f"bob_2_800_ps1.{ending}"]


def test_without_numbers_the_newest_file_is_the_latest(group):
    for folder, age in (("old", 2), ("new", 1), ("older", 3)):
        folder = group.submissions / f"Ada_77_assignsubmission_file_/{folder}"
        folder.mkdir(parents=True)
        (folder / "mine.ipynb").write_bytes(fake.notebook(name=folder.name))
        os.utime(folder / "mine.ipynb", (1e9 - age, 1e9 - age))
    group.grade(status=3)
    assert group.marked() == {"new": 1, "a notebook": 1}
    assert [row["student"] for row in group.rows()] == ["77"]


def test_submissions_that_are_gone_are_set_aside(group):
    group.hand_in("ada", "bob").grade(status=0)
    (group.submissions / "bob.ipynb").rename(group.folder / "bob.ipynb")
    group.grade(status=0)
    assert group.scores() == {"ada": "5"}
    assert [path.name for path in (group.out / "results").iterdir()] == ["ada.json"]
    assert [path.name for path in (group.out / "feedback").iterdir()] == ["ada.html"]
    (group.folder / "bob.ipynb").rename(group.submissions / "bob.ipynb")
    group.marked()
    group.grade(status=0)
    assert group.scores() == {"ada": "5", "bob": "5"} and not group.marked()


def test_whose_it_is_may_become_clear_later(group):
    for student, name in (("ada", "mine"), ("bob", "ps1")):
        (group.submissions / student).mkdir()
        (group.submissions / student / f"{name}.ipynb").write_bytes(fake.notebook())
        group.grade(status=0)
    assert [row["student"] for row in group.rows()] == ["ada", "bob"]


def test_points_given_by_hand_are_added_and_never_touched(group):
    group.hand_in("ada", "bob").grade(status=0)
    path = group.out / "overrides.csv"
    overrides.put(path, overrides.Override("ada", "listening", 1.5, "yes"))
    overrides.put(path, overrides.Override("bob", "test-scale", 0.25))
    overrides.put(path, overrides.Override("zoe", "listening", 1))
    before = path.read_bytes()
    group.marked()
    group.grade(status=3)
    assert [[*row.values()][2:] for row in group.rows()] == [
        ["6.5", "7", "2", "3", "1.5"],
        ["3.25", "7", "0.25", "3", ""],
    ]
    assert group.flags() == {
        ("", "override"): "overrides.csv, line 4: nobody called 'zoe' handed in"
    }
    assert path.read_bytes() == before and not group.marked()
    assert group.result("ada")["score"] == 5 and b"yes" in group.bytes()["feedback/ada.html"]
    group.grade("--force", status=3)
    assert path.read_bytes() == before


def test_a_mistake_in_the_overrides_is_told_before_grading(group, capsys):
    group.out.mkdir()
    (group.out / "overrides.csv").write_text("student,item,points,comment\nada,chord,many,\n")
    group.hand_in("ada").grade(status=1)
    error = capsys.readouterr().err
    assert error.startswith("mlmusic grade: overrides.csv, line 2: points ")
    assert error.count("\n") == 1 and not group.marked()


def test_too_many_points_are_told_before_grading(group, capsys):
    group.out.mkdir()
    (group.out / "overrides.csv").write_text("student,item,points,comment\nada,listening,3,\n")
    group.hand_in("ada").grade(status=1)
    assert capsys.readouterr().err == (
        "mlmusic grade: overrides.csv, line 2: 3 points for 'listening' of 'ada', which has 2 at "
        "most\n"
    )
    assert not group.marked()


def test_names_that_file_systems_cannot_tell_apart(group):
    names = [
        "ada",
        "ADA",
        "Zo\u00eb",
        "Zoe\u0308",
        "CON",
        "a:b",
        "dots...",
        "=cmd|x",
        "-rf",
        "x" * 240,
    ]
    names += ["مريم", "🎹", "trailing ", 'quo"te', "new\nline", "com¹", "\u202egnp.exe"]
    group.hand_in(*names).grade("--no-feedback", status=3)
    # A new line would break the table for whoever looks at it as text.
    assert sorted(group.scores()) == sorted(name.replace("\n", "\ufffd") for name in names)
    assert group.flags() == {
        (name, "name"): "a spreadsheet takes this name for a formula: import grades.csv as text"
        for name in ("-rf", "=cmd|x")
    }
    written = [path.stem for path in (group.out / "results").iterdir()]
    assert len({formats._folded(name) for name in written}) == len(names)
    assert all(len(name.encode()) < 140 for name in written)
    assert {"=cmd_x-", "مريم", "🎹"} <= {name[:7] for name in written}
    assert not any(set(name) & set('<>:"/\\|?*\n\u202e') for name in written)
    assert not any(name.endswith((" ", ".")) or name.startswith(".") for name in written)
    assert not {"CON", "com¹"} & set(written)
    group.marked()
    group.grade("--no-feedback", status=3)
    assert not group.marked()


@given(st.sets(st.text(min_size=1, max_size=150), max_size=8))
def test_no_names_share_a_file(names):
    safe = formats.safe_names(sorted(names))
    assert set(safe) == names
    assert len({formats._folded(name) for name in safe.values()}) == len(names)
    for name in safe.values():
        name.encode()  # no lone surrogates
        assert name.strip(". ") == name and not set(name) & set('<>:"/\\|?*')


def test_a_task_named_like_a_column_does_not_hide_it():
    totals = overrides.Totals(1 / 3, 2, {"score": 1.0, "x": None})
    content = formats.grades_csv([("a\rb", "=1", totals)], ["score", "x"])
    [row] = csv.DictReader(io.StringIO(content.decode(), newline=""))
    assert row == {
        "submission": "a\rb",
        "student": "=1",
        "score": "0.333333",
        "points": "2",
        "task score": "1",
        "x": "",
    }


def test_a_flag_is_no_formula_and_one_line():
    details = ["=1+1", "+1", "-1", "@x", "\t=1", "fine", "a\nb\x00\ud800", "'quoted"]
    content = formats.flags_csv([Flag("s", "t", "kind", text) for text in details])
    found = [row["detail"] for row in csv.DictReader(io.StringIO(content.decode(), newline=""))]
    assert found == ["'=1+1", "'+1", "'-1", "'@x", "'=1", "fine", "a b\ufffd\ufffd", "'quoted"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(7.0, "7"), (7.5, "7.5"), (0.1 + 0.2, "0.3"), (100, "100"), (0, "0"), (-0.0, "0"), (None, "")],
)
def test_points_are_short_and_exact(value, text):
    assert formats.number(value) == text


def wait_for(condition):
    """Wait until something is true, and fail if it never is."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


def graded(group):
    return len(list((group.out / "results").glob("*.json")))


@pytest.mark.parametrize("killed", [True, False])
def test_a_run_that_is_stopped_is_gone_on_with(group, killed):
    """Killed without a chance to clean up, or interrupted with Ctrl-C."""
    names = [f"student {i:02}" for i in range(24)]
    group.hand_in(*names, sleep=0.3)
    run = group.command("--jobs", "2")
    wait_for(lambda: graded(group) >= 5)
    run.send_signal(signal.SIGKILL if killed else signal.SIGINT)
    _, error = run.communicate(timeout=60)
    done = {path.stem for path in (group.out / "results").glob("*.json")}
    assert 5 <= len(done) < 24 and not (group.out / "grades.csv").exists()
    for name in done:
        assert group.result(name)["score"] == 5
    if not killed:
        *_, line = error.decode().splitlines()
        assert run.returncode == 130 and "Traceback" not in error.decode()
        assert line == (
            f"mlmusic grade: interrupted: {len(done)} of 24 submissions are graded and safe in "
            f"{group.out}; the same command goes on from there"
        )
    before = group.marked()
    assert group.command("--jobs", "2").wait(timeout=120) == 0
    again = group.marked()
    assert not done & set(again), "what was graded is not graded again"
    assert set(again) >= set(names) - done, "and nothing is lost"
    # Only what was being marked when it was stopped, or was marked and not yet written, is marked
    # twice: one or two for each worker.
    assert sum((before + again).values()) <= 24 + 1 + 4
    assert group.scores() == dict.fromkeys(names, "5")


def full(group, monkeypatch, room):
    """Let the disk be full after so many results."""
    write = files.write

    def fails(path, data):
        if Path(path).parent.name == "results" and graded(group) >= room:
            Path(path).with_name("x.json.part").write_bytes(data[:10])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, data)

    monkeypatch.setattr(files, "write", fails)


def test_a_full_disk_destroys_nothing(group, monkeypatch, capsys):
    group.hand_in(*"abcdef")
    with monkeypatch.context() as patch:
        full(group, patch, room=3)
        group.grade(status=1)
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == (
        f"mlmusic grade: the disk of {group.out} is full: 3 of 6 submissions are graded and safe "
        f"in {group.out}; the same command goes on from there"
    )
    assert graded(group) == 3 and fake.FakeWorker.alive == 0
    group.marked()
    group.grade(status=0)
    assert sum(group.marked().values()) == 3 and len(group.scores()) == 6


def test_a_disk_that_is_really_full(group, capsys):
    """A file system of 96 kB, where this test may mount one."""
    group.out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(group.out)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root on Linux")
    try:
        group.hand_in(*[f"student {i:02}" for i in range(60)]).grade("--no-feedback", status=1)
        done = {path.stem for path in (group.out / "results").glob("*.json")}
        assert f"{len(done)} of 60 submissions are graded and safe" in capsys.readouterr().err
        assert 3 < len(done) < 60 and all(group.result(name)["score"] == 5 for name in done)
        subprocess.run(["mount", "-o", "remount,size=4m", str(group.out)], check=True)
        group.marked()
        group.grade("--no-feedback", status=0)
        assert len(group.scores()) == 60 and not done & set(group.marked())
    finally:
        subprocess.run(["umount", str(group.out)], check=True)


def test_two_runs_at_once(group, capsys):
    group.hand_in("ada", sleep=3)
    first = group.command()
    wait_for(lambda: (group.out / "run.json").exists())
    before = group.bytes()
    group.grade(status=1)
    assert capsys.readouterr().err == (
        f"mlmusic grade: another run is grading into {group.out}: wait until it ends, or choose "
        "another -o\n"
    )
    assert group.bytes().items() >= before.items()
    assert first.wait(timeout=60) == 0
    group.grade(status=0)
    assert group.marked() == {"ada": 1, "a notebook": 1}


# With real workers


def answers(right, more=""):
    """Return a notebook as a student hands it in."""
    cells = [fake.cell(f"def {name}():\n    return {int(name in right)}") for name, _ in fake.TASKS]
    cells += [fake.cell("A flute.", "markdown"), fake.cell(more)]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}).encode()


def test_real_workers_here_and_on_a_cluster(tmp_path):
    distributed = pytest.importorskip("distributed", reason="Dask is the extra 'cluster'")
    group = Class(tmp_path)
    for name, right in (("ada", ("scale", "chord")), ("bob", ("scale",)), ("cy", ())):
        (group.submissions / f"{name}.ipynb").write_bytes(answers(right))
    (group.submissions / "dee.ipynb").write_bytes(answers(("chord",), "import os; os._exit(3)"))
    (group.submissions / "eve.ipynb").write_bytes(b"not a notebook")
    arguments = [str(group.source), str(group.submissions)]
    assert grade.main([*arguments, "-o", str(group.out), "--jobs", "2"]) == 3
    scores = {"ada": "5", "bob": "2", "cy": "0", "dee": "3", "eve": "0"}
    assert group.scores() == scores
    assert {("eve", "unreadable"), ("dee", "died")} <= group.flags().keys()
    assert ("", "solution") not in group.flags()
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs="ERROR",
    ) as cluster:
        other = tmp_path / "other"
        options = ["-o", str(other), "--dask", cluster.scheduler_address]
        assert grade.main([*arguments, *options]) == 3
    assert group.bytes() == group.bytes(other)


def test_a_submission_cannot_read_what_it_is_graded_with(tmp_path):
    """The batch tells the sandbox which files and folders are nobody's business."""
    group = Class(tmp_path)
    (group.submissions / "bob.ipynb").write_bytes(answers(("scale", "chord")))
    group.out.mkdir()
    secrets = [group.source, group.submissions / "bob.ipynb", group.out / "run.json"]
    peek = f"""
def scale():
    found = []
    for path in {[str(path) for path in secrets]!r}:
        try:
            found.append(open(path).read())
        except OSError:
            pass
    return len(found) + 1

def chord():
    import os
    return 1 + sum(os.path.exists(path) for path in {[str(path) for path in secrets]!r})
"""
    (group.submissions / "ada.ipynb").write_bytes(answers((), peek))
    grade.main([str(group.source), str(group.submissions), "-o", str(group.out)])
    assert group.scores()["ada"] in ("2", "5")  # whether a name exists may be seen, not more
