"""`mlmusic grade` as an instructor types it: what it says, and its exit status."""

import json
import os
import sys
import types
import zipfile

import pytest

from mlmusic.grading import grade, overrides
from mlmusic.grading.pages import by_hand
from mlmusic.grading.runs import batch, report
from tests.grading.runs import fake_worker as fake


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Go to a folder with a source and two hand-ins."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ps1.ipynb").write_bytes(fake.source())
    (tmp_path / "class").mkdir()
    for name, right in (("ada", ["scale"]), ("bob", [])):
        (tmp_path / "class" / f"{name}.ipynb").write_bytes(fake.notebook(right))
    return tmp_path


def refused(capsys, *arguments):
    """Return the one line that says why nothing was graded."""
    assert fake.main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1, shown.err
    assert shown.err.startswith("mlmusic grade: ")
    return shown.err.removeprefix("mlmusic grade: ").strip()


def test_nothing_to_grade(here, capsys):
    (here / "empty").mkdir()
    (here / "notes.txt").write_text("no notebook")
    (here / "bad.zip").write_bytes(b"PK")
    cases = {
        ("gone.ipynb", "class"): "there is no source notebook gone.ipynb",
        ("class", "class"): "class is a folder: name the source notebook first, then what was "
        "handed in: mlmusic grade SOURCE.ipynb class",
        ("bad.zip", "empty"): "bad.zip is a zip: name the source notebook first, then what was "
        "handed in: mlmusic grade SOURCE.ipynb bad.zip",
        ("ps1.ipynb", "gone"): "there is no folder, notebook or zip gone",
        ("ps1.ipynb", "gone*"): "there is no folder, notebook or zip gone*",
        ("ps1.ipynb", "empty"): "no notebooks were found in empty",
        ("ps1.ipynb", "notes.txt", "empty"): "no notebooks were found in notes.txt, empty",
        ("ps1.ipynb", "bad.zip"): "bad.zip: not a zip, or a damaged one",
        ("ps1.ipynb", "class", "--only", "zoe"): "no submission or student is called zoe",
    }
    for arguments, message in cases.items():
        assert refused(capsys, *arguments, "-o", "out") == message
    assert refused(capsys, "notes.txt", "class", "-o", "out").startswith("notes.txt: ")
    no_tests = json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": []})
    (here / "plain.ipynb").write_text(no_tests)
    assert "no cell is graded" in refused(capsys, "plain.ipynb", "class", "-o", "out")


def test_where_grades_cannot_go(here, capsys):
    (here / "file").write_text("")
    where = "is in the folder of the grades, {}: choose another -o"
    for submissions, out in (("class", "class"), ("class", "."), ("class/ada.ipynb", "class")):
        expected = f"{submissions} {where.format(out)}"
        assert refused(capsys, "ps1.ipynb", submissions, "-o", out) == expected
    message = refused(capsys, "ps1.ipynb", "class", "-o", "file")
    assert message == "file is a file where a folder is needed: choose another -o"
    assert refused(capsys, "ps1.ipynb", "class", "-o", "file/x/y") == message
    assert fake.main(["ps1.ipynb", "class", "-o", "out"]) == 0
    capsys.readouterr()
    (here / "ps1.ipynb").rename(here / "ps2.ipynb")
    message = refused(capsys, "ps2.ipynb", "class", "-o", "out")
    assert message == "out holds the grades of 'ps1': choose another -o"
    (here / "out" / "overrides.csv").mkdir()
    message = refused(capsys, "ps2.ipynb", "class", "-o", "out")
    assert message.endswith("overrides.csv is a folder where a file is needed: choose another name")


@pytest.mark.parametrize("first", ["class", "class/ada.ipynb", "class.zip"])
def test_source_and_submissions_swapped(here, capsys, first):
    if first == "class.zip":
        with zipfile.ZipFile("class.zip", "w") as file:
            file.write("class/ada.ipynb")
    assert refused(capsys, first, "class/bob.ipynb", "ps1.ipynb", "-o", "out") == (
        "SOURCE and SUBMISSIONS are swapped: ps1.ipynb has the answers and the hidden tests, so it "
        f"comes first: mlmusic grade ps1.ipynb {first}"
    )
    assert not (here / "out").exists()


def test_a_student_s_notebook_as_the_source_is_doubted(here, capsys):
    source = json.loads(fake.source())
    text = json.dumps(source).replace("BEGIN SOLUTION", "").replace("BEGIN HIDDEN TESTS", "")
    (here / "ps1.ipynb").write_text(text.replace('"grade_id":', '"checksum": "x", "grade_id":'))
    fake.main(["ps1.ipynb", "class", "-o", "out"])
    doubt = "WARNING: ps1.ipynb marks no answers and hides no tests: is it a student's notebook?"
    assert capsys.readouterr().err.startswith(doubt)


def test_grades_may_go_below_the_submissions(here):
    (here / "class" / "ps1.ipynb").write_bytes(fake.source())
    for _ in range(2):
        assert fake.main(["class/ps1.ipynb", "class", "-o", "class/out"]) == 0
    names = sorted(path.name for path in (here / "class" / "out" / "results").iterdir())
    assert names == ["ada.json", "bob.json"]  # neither the source nor what was written


def test_the_source_may_be_handed_in(here):
    assert fake.main(["ps1.ipynb", "ps1.ipynb", "-o", "out"]) == 0
    assert "\nps1,ps1,5,7,2,3,\n" in (here / "out" / "grades.csv").read_text()


def test_options_may_stand_anywhere(here):
    assert fake.main(["ps1.ipynb", "-o", "out", "class/ada.ipynb", "-j", "1", "class"]) == 0
    names = sorted(path.name for path in (here / "out" / "results").iterdir())
    assert names == ["ada.json", "bob.json"]


def test_grades_have_a_folder_of_their_own(here, capsys):
    assert fake.main(["ps1.ipynb", "class"]) == 0
    assert (here / "graded" / "ps1" / "grades.csv").is_file()
    assert f"grades: {os.path.join('graded', 'ps1', 'grades.csv')}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the SOURCE notebook and the SUBMISSIONS"),
        (["ps1.ipynb"], "name the SOURCE notebook and the SUBMISSIONS"),
        (["--by-hand"], "--by-hand needs the folder of the grades: -o OUT"),
        (["a", "b", "--jobs", "0"], "argument -j/--jobs: must be a whole number from 1 to 1000"),
        (
            ["a", "b", "--seed", "-1"],
            "argument --seed: must be a whole number from 0 to 4294967295",
        ),
        (["a", "b", "--seed", "x"], "argument --seed: must be a whole number from 0"),
        (["a", "b", "--sandbox", "jail"], "argument --sandbox: invalid choice: 'jail'"),
        (["a", "b", "--onyl", "x"], "there is no option --onyl, is it --only?"),
        (["a", "b", "--qwerty=3"], "there is no option --qwerty=3"),
        (["a", "b", "--attempt", "first"], "argument --attempt: invalid choice: 'first'"),
    ],
)
def test_a_wrong_call(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        grade.main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"mlmusic grade: {message}")
    assert error.endswith(" (options: mlmusic grade --help)\n") and error.count("\n") == 1


def test_limits_can_be_set(here, capsys):
    options = ["--call-seconds", "1.5", "--total-seconds", "9", "--memory-mb", "512"]
    assert fake.main(["ps1.ipynb", "class", "-o", "out", *options]) == 0
    limits = json.loads((here / "out/results/ada.json").read_bytes())["provenance"]["limits"]
    assert (limits["call"], limits["cell"], limits["total"]) == (1.5, 20, 9)
    assert limits["memory"] == 512 << 20
    capsys.readouterr()
    message = refused(capsys, "ps1.ipynb", "class", "-o", "out", "--cell-seconds", "-1")
    assert message == "limit 'cell' must be a positive number, not -1.0"


def test_a_sandbox_that_does_not_work(here, capsys, monkeypatch):
    def start(recipe):
        raise RuntimeError(f"{recipe.sandbox} doesn't start: there is no such command")

    monkeypatch.setattr(fake, "FakeWorker", start)
    assert fake.main(["ps1.ipynb", "class", "-o", "out", "--sandbox", "docker"]) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line == "mlmusic grade: docker doesn't start: there is no such command"


def test_an_interruption_while_files_are_read(here, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "collect", interrupted)
    assert fake.main(["ps1.ipynb", "class", "-o", "out"]) == 130
    assert capsys.readouterr().err == (
        "mlmusic grade: interrupted: 0 of 0 submissions are graded and safe in out; the same "
        "command goes on from there\n"
    )


def test_flags_and_slow_ones_are_told(here, capsys, monkeypatch):
    monkeypatch.setattr(batch, "SLOW", 0.1)
    monkeypatch.setattr("mlmusic.grading.runs.executors.TICK", 0.05)
    evil = "evil\x1b[2J"
    wishes = {"sleep": 0.4, "flags": [{"kind": "timeout", "detail": "cell 5"}]}
    (here / "class" / f"{evil}.ipynb").write_bytes(fake.notebook(**wishes))
    assert fake.main(["ps1.ipynb", "class", "-o", "out", "--no-feedback", "--seed", "1"]) == 3
    shown = capsys.readouterr()
    assert "evil\ufffd[2J takes long\n" in shown.err and "\x1b[2J" not in shown.out + shown.err
    assert shown.out.splitlines() == [
        "3 graded, 0 kept from before, 1 flagged, 3 waiting for grading by hand",
        "median score 2 of 7 as long as what waits counts 0, seed 1",
        "slow: evil\ufffd[2J (0 s)",
        f"grades: {os.path.join('out', 'grades.csv')}",
        f"look at: {os.path.join('out', 'flags.csv')} (1 timeout)",
        "then: mlmusic grade --by-hand -o out",
    ]
    assert not (here / "out" / "feedback").exists()


def test_the_bar_counts_and_names(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = grade._Progress()
    progress.begin(3, 1, 7)
    progress.done("ada", 0.1, 1)
    progress.running({"bob": 12.0, "cy": 1.0})
    progress.say("WARNING: a line")
    progress.end()
    shown = capsys.readouterr().err
    assert shown.startswith("seed 7, 3 to grade, 1 kept from before\n")
    assert "1/3 [" in shown and "1 flagged; waiting for bob 12 s" in shown and "cy" not in shown
    assert "\nWARNING: a line\n" in shown.replace("\r", "\n")


def test_no_sandbox_on_a_cluster_is_a_loud_choice(here, capsys):
    options = ["--sandbox", "none", "--dask", "tcp://127.0.0.1:many"]
    assert fake.main(["ps1.ipynb", "class", "-o", "out", *options]) == 1
    assert capsys.readouterr().err.startswith("WARNING: no sandbox: the students' code can read")


def test_points_given_by_hand_are_renewed_without_grading(here, monkeypatch, capsys):
    (here / "class" / "notes.pdf").write_bytes(b"")
    assert fake.main(["ps1.ipynb", "class", "-o", "out"]) == 3
    overrides.put(here / "out/overrides.csv", overrides.Override("ada", "listening", 2, "Well!"))
    flags = (here / "out/flags.csv").read_bytes()
    heard = []

    def main(out, renew):
        heard.append(renew())
        return 0

    monkeypatch.setattr(by_hand, "main", main)
    assert grade.main(["--by-hand", "-o", "out"]) == 0
    assert heard == ["2 students, median score 2, 1 still waiting for grading by hand"]
    assert "ada,ada,4,7,2,0,2\n" in (here / "out/grades.csv").read_text()
    assert "Well!" in (here / "out/feedback/ada.html").read_text()
    assert (here / "out/flags.csv").read_bytes() == flags and b"notes.pdf" in flags
    before = {path: path.read_bytes() for path in (here / "out").rglob("*") if path.is_file()}
    assert fake.main(["ps1.ipynb", "class", "-o", "out"]) == 3  # says the same
    assert before == {
        path: path.read_bytes() for path in (here / "out").rglob("*.*") if path.is_file()
    }


@pytest.mark.parametrize("out", ["ps1.ipynb", "class", "none"])
def test_nothing_can_be_graded_by_hand_before_grading(here, capsys, out):
    message = refused(capsys, "--by-hand", "-o", out)
    assert message.startswith(f"nothing is graded in {out} yet: run mlmusic grade SOURCE")


def test_nothing_can_be_renewed_before_grading(tmp_path):
    with pytest.raises(ValueError, match="nothing has been graded in"):
        report.renew(tmp_path)


def test_the_doctor_needs_no_source(monkeypatch):
    doctor = types.SimpleNamespace(doctor=lambda: 7)
    monkeypatch.setattr("mlmusic.grading.sandbox.doctor", doctor, raising=False)
    monkeypatch.setitem(sys.modules, "mlmusic.grading.sandbox.doctor", doctor)
    assert grade.main(["--doctor"]) == 7


def test_help_is_for_instructors(capsys):
    with pytest.raises(SystemExit) as ended:
        grade.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for words in ("examples:", "grades.csv", "flags.csv", "Exit status: 0, or 3 if", "(2048)"):
        assert words in text
