"""Before a release the solution is really graded, in whatever sandbox there is here."""

import re
import time

import nbformat
import notebook_parts as parts
import pytest

from mlmusic.grading.release import ReleaseError, main, release
from mlmusic.grading.releasing.new_source import new_source
from mlmusic.grading.sandbox import SandboxUnavailable, isolation
from tests.grading import sources

pytest.importorskip("nbgrader", reason="nbgrader makes the exercises (extra 'grade')")


@pytest.fixture(scope="module")
def kind():
    try:
        return isolation.choose("auto")
    except SandboxUnavailable:
        return "none"


def own(path, *more):
    """An instructor's own source: no setup cell, no link, any name, an older nbformat."""
    content = sources.notebook(
        sources.code("octave = 12"),
        sources.answer("up", "def up(pitch):\n    return pitch + octave"),
        sources.check("check-up", "assert up(60) == 72", hidden="assert up(1) == 13", points=2),
        *more,
        sources.by_hand("why", points=1),
        mlmusic={"points": 3 + sum(cell.metadata.nbgrader.points for cell in more)},
    )
    content.nbformat_minor = 4
    for cell in content.cells:
        del cell["id"]
    path.write_text(nbformat.v4.writes(content), encoding="utf-8")
    return path


def test_the_course_is_released_without_a_warning(tmp_path, kind, capsys):
    source = parts.ROOT / "solutions" / "00_listen.ipynb"
    assert main([str(source), "-o", str(tmp_path), "--sandbox", kind]) == 0
    said = capsys.readouterr()
    assert "warning: " not in said.err
    committed = parts.ROOT / "exercises" / source.name
    assert (tmp_path / source.name).read_bytes() == committed.read_bytes()


def test_an_assignment_of_ones_own_is_released_twice_alike(tmp_path, kind):
    source = own(tmp_path / "Übung 3 – der Kanon.ipynb")
    one = release(source, tmp_path / "one", sandbox=kind)
    assert one.name == source.name
    time.sleep(0.01)
    assert release(source, tmp_path / "two", run=False).read_bytes() == one.read_bytes()
    text = one.read_text(encoding="utf-8")
    assert "NotImplementedError" in text
    for secret in ("up(1) == 13", "pitch + octave", "It ends where it began"):
        assert secret not in text


def test_what_grading_shows_is_refused_and_nothing_is_written(tmp_path, kind, capsys):
    broken = sources.check("check-2", "assert up(60) == 71, 'an octave has 12 semitones'")
    crashed = sources.check("check-3", "assert up(None)", points=1.5)
    source = own(tmp_path / "ps1.ipynb", broken, crashed)
    assert main([str(source), "-o", str(tmp_path / "out"), "--sandbox", kind]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "WARNING" not in line]
    assert lines[0] == (
        f"mlmusic release: {source}: cell 4 'check-2' isn't passed by the solution "
        "(failed: an octave has 12 semitones): mend one of them"
    )
    assert f"{source}: cell 5 'check-3' isn't passed by the solution (error: " in lines[1]
    assert "unsupported operand" in lines[1]
    assert len(lines) == 2
    assert not (tmp_path / "out").exists()
    assert main([str(source), "-o", str(tmp_path / "out"), "--no-run"]) == 0


def test_a_weak_test_is_a_warning_or_with_strict_a_refusal(tmp_path, kind):
    source = own(tmp_path / "ps1.ipynb", sources.check("check-2", "assert up(60)"))
    said = []
    release(source, tmp_path / "out", sandbox=kind, warn=said.append)
    assert said == [
        f"{source}: cell 4 'check-2' is weak: it gives points to an answer that only returns "
        "True or its first argument"
    ]
    with pytest.raises(ReleaseError, match="cell 4 'check-2' is weak"):
        release(source, tmp_path / "strict", sandbox=kind, strict=True)
    assert not (tmp_path / "strict").exists()


def test_the_template_is_released_without_a_weak_test(tmp_path, kind):
    path = tmp_path / "own.ipynb"
    new_source(path)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "note"]
    for cell in notebook.cells:
        cell.source = re.sub(r"⟦rewrite: .*?⟧", "Something else.", cell.source, flags=re.S)
    nbformat.write(notebook, path)
    assert release(path, tmp_path / "out", sandbox=kind, strict=True).is_file()


def test_without_a_sandbox_it_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no docker there
    source = own(tmp_path / "ps1.ipynb")
    assert main([str(source), "-o", str(tmp_path / "out"), "--sandbox", "docker"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "docker isn't installed" in line
    assert line.endswith("add --sandbox none, or --no-run to release it ungraded")
    assert not (tmp_path / "out").exists()
