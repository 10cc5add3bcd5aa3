"""What docs/grading.md shows is real: its commands are understood, its tables are complete."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict

import notebook_parts as parts
import pytest

from mlmusic.grading import checks
from mlmusic.grading.limits import Limits
from mlmusic.grading.sandbox import SandboxUnavailable, isolation

TEXT = (parts.ROOT / "docs" / "grading.md").read_text(encoding="utf-8")
COMMANDS = ("release", "grade", "export")


def commands():
    """The calls of mlmusic in all blocks of shell commands."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.S):
        for line in block.splitlines():
            if line.startswith("mlmusic "):
                found.append(line.split("  #")[0].strip())
    return found


def parser(command):
    try:
        module = importlib.import_module(f"mlmusic.grading.{command}")
        return module._parser()
    except (ImportError, AttributeError):
        pytest.skip(f"mlmusic {command} isn't there")


def table(heading):
    """The first cells of the table below a heading, without their marks."""
    below = TEXT.split(f"\n{heading}", 1)[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \|", below, re.M)
    return [row for row in rows if not set(row) <= set("- |")]


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_is_understood(line):
    _, command, *arguments = shlex.split(line)
    parser(command).parse_args(arguments)


def test_there_are_commands_of_each_kind():
    assert {line.split()[1] for line in commands()} == set(COMMANDS)


@pytest.mark.parametrize(("heading", "command"), [("## Grade\n", "grade"), ("## Export", "export")])
def test_every_option_in_a_table_exists(heading, command):
    known = parser(command).format_help()
    options = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(table(heading)))
    assert len(options) > 5
    assert [option for option in options if option not in known] == []


def test_the_table_of_checks_is_complete():
    named = re.findall(r"`(\w+)\(", " ".join(table("## Write tests")))
    assert sorted(named) == sorted(checks.__all__)


def test_the_table_of_limits_has_their_defaults():
    for name, value in asdict(Limits()).items():
        assert re.search(rf"^\| `{name}` \| {value:g}|^\| `{name}` \| {value} \|", TEXT, re.M), name


def test_every_flag_that_students_are_told_of_is_explained():
    feedback = pytest.importorskip("mlmusic.grading.pages.feedback")
    flags = set(re.findall(r"`([a-z ]+)`", " ".join(table("## Every flag"))))
    assert set(feedback._FLAGS) <= flags


def test_every_link_within_the_page_leads_somewhere():
    headings = re.findall(r"^## (.*)$", TEXT, re.M)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([^)]*)\)", TEXT))
    assert links
    assert links <= anchors


def test_the_ten_lines_to_try_do_what_they_say(tmp_path):
    pytest.importorskip("nbgrader", reason="nbgrader makes the exercises (extra 'grade')")
    try:
        isolation.choose("auto")
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    if not (shutil.which("bash") and shutil.which("perl")):
        pytest.skip("the guide's lines are for bash, and one for perl")
    block = re.search(r"^## Try it\n.*?```sh\n(.*?)```", TEXT, re.S | re.M)[1]
    assert len(block.splitlines()) == 10
    command = tmp_path / "bin" / "mlmusic"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mlmusic.cli "$@"\n')
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(parts.ROOT)}
    folder = tmp_path / "empty"
    folder.mkdir()
    done = subprocess.run(
        ["bash", "-c", block], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "upload.csv: 2 of 2 students filled in under 'My assignment (7)'" in done.stdout
    upload = (folder / "grades" / "upload.csv").read_text().splitlines()
    assert [line.rsplit(",", 1)[1] for line in upload[2:]] == ["9", "0"]
    assert {path.name for path in folder.iterdir()} == {
        "grades", "gradebook.csv", "handout", "my_assignment.ipynb", "submissions",
    }  # fmt: skip
