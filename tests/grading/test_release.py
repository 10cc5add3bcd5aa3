"""Releasing an exercise takes away what a student must not see, and nothing else."""

import copy
import json
import sys
from pathlib import Path

import nbformat
import notebook_parts as parts
import pytest

from mlmusic.grading.release import ReleaseError, difference, main, release, released_text

pytest.importorskip("nbgrader", reason="nbgrader makes the exercises (extra 'grade')")

SOLUTION = parts.SAMPLE / "solutions" / "99_scale.ipynb"
EXERCISE = parts.SAMPLE / "exercises" / "99_scale.ipynb"


def cells(path):
    return {cell.id: cell for cell in parts.read(path).cells}


@pytest.fixture
def changed(tmp_path):
    """Return a function that writes the sample solution with one cell's source replaced."""

    def write(name, source=None, **metadata):
        notebook = copy.deepcopy(parts.read(SOLUTION))
        cell = next(cell for cell in notebook.cells if cell.id == name)
        cell.source = cell.source if source is None else source
        cell.metadata.get("nbgrader", {}).update(metadata)
        parts.write(notebook, tmp_path / "01_changed.ipynb")
        return tmp_path / "01_changed.ipynb"

    return write


def test_committed_sample_is_what_release_writes(tmp_path):
    assert (
        release(SOLUTION, tmp_path / "new" / "folder", run=False).read_bytes()
        == EXERCISE.read_bytes()
    )


def test_solution_becomes_a_stub_and_the_signature_stays(tmp_path):
    answer = cells(release(SOLUTION, tmp_path, run=False))["task-1-answer"]
    assert answer.source == (
        'def octave_up(pitch):\n    """The note an octave higher."""\n'
        "    # YOUR CODE HERE\n    raise NotImplementedError()"
    )
    assert cells(EXERCISE)["listening-answer"].source == "YOUR ANSWER HERE"


def test_hidden_tests_go_and_visible_ones_stay():
    test = cells(EXERCISE)["task-1-test"]
    assert test.source == 'assert octave_up(60) == 72, "an octave has 12 semitones"'
    text = EXERCISE.read_text(encoding="utf-8")
    for secret in ("return pitch + 12", "octave_up(1)", "BEGIN", "ends on its first note"):
        assert secret in SOLUTION.read_text(encoding="utf-8")
        assert secret not in text


def test_mark_scheme_goes(changed, tmp_path):
    source = "How does it sound?\n=== BEGIN MARK SCHEME ===\nany adjective\n=== END MARK SCHEME ==="
    path = changed("listening-answer", source, task=True, grade=False, solution=False)
    text = released_text(path)
    assert "How does it sound?" in text
    assert "any adjective" not in text


def test_metadata_is_nbgraders_own():
    test, answer = (cells(EXERCISE)[name] for name in ("task-1-test", "task-1-answer"))
    assert (test.metadata.deletable, test.metadata.editable) == (False, False)
    assert answer.metadata.deletable is False
    assert "editable" not in answer.metadata
    from nbgrader.utils import compute_checksum

    assert test.metadata.nbgrader == {
        "cell_type": "code",
        "checksum": compute_checksum(test),
        "grade": True,
        "grade_id": "test-octave_up",
        "locked": True,
        "points": 2,
        "schema_version": 3,
        "solution": False,
        "task": False,
    }


def test_untouched_cells_are_the_same():
    before, after = cells(SOLUTION), cells(EXERCISE)
    assert list(before) == list(after)
    for name in ("setup", "task-1", "find-the-fault"):
        assert before[name] == after[name]


def test_colab_link_opens_the_exercise():
    assert "/solutions/" not in cells(EXERCISE)["title"].source
    assert "/blob/main/exercises/99_scale.ipynb)" in cells(EXERCISE)["title"].source


def test_outputs_and_counts_are_cleared(tmp_path):
    notebook = parts.read(SOLUTION)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = 7
            cell.outputs = [nbformat.v4.new_output("stream", text="72\n")]
    path = tmp_path / SOLUTION.name
    parts.write(notebook, path)
    assert released_text(path) == EXERCISE.read_text(encoding="utf-8")


def test_same_bytes_whatever_the_order_of_keys(tmp_path):
    def reverse(value):
        if isinstance(value, dict):
            return {key: reverse(value[key]) for key in reversed(value)}
        return [reverse(item) for item in value] if isinstance(value, list) else value

    path = tmp_path / SOLUTION.name
    path.write_text(json.dumps(reverse(json.loads(SOLUTION.read_text(encoding="utf-8")))))
    assert released_text(path) == EXERCISE.read_text(encoding="utf-8")


UNSOLVED = "def octave_up(pitch):\n    ### BEGIN SOLUTION\n    return 1"


@pytest.mark.parametrize(
    ("name", "source", "metadata", "message"),
    [
        ("task-1-answer", UNSOLVED, {}, "cell 5 'octave_up' has 'BEGIN SOLUTION' and"),
        ("task-1-answer", "octave_up = abs", {}, "without a '### BEGIN SOLUTION' line"),
        ("task-1", "### BEGIN SOLUTION\nx\n### END SOLUTION", {}, "isn't marked as one"),
        ("task-1-test", "### BEGIN MARK SCHEME\noctave_up", {}, "without 'END MARK SCHEME': write"),
        ("listening-answer", "How?\n=== END MARK SCHEME ===", {}, "without 'BEGIN MARK SCHEME'"),
        (
            "task-1",
            "### BEGIN MARK SCHEME\nany adjective\n### END MARK SCHEMA",
            {},
            "without 'END MARK SCHEME': is it 'END MARK SCHEMA', misspelt?",
        ),
        (
            "task-1",
            "=== BEGIN MARK SCHEME ===\nany adjective\n=== END MARK SCHEME ===",
            {},
            "cell 4 'task-1' has a mark scheme, which only a task to do by hand may have",
        ),
        (
            "task-1",
            "=== BEGIN MARK SHEME ===\nany adjective",
            {},
            "cell 4 'task-1' says 'BEGIN MARK SHEME', which isn't a marker: is it 'BEGIN MARK",
        ),
        ("task-2-test", None, {"grade_id": "test-octave_up"}, "has the grade_id of cell 6, too"),
        ("task-1-test", None, {"points": 0}, "has 0 points"),
        ("task-1-test", None, {"schema_version": 1}, "run `nbgrader update` on it"),
    ],
)
def test_broken_conventions_are_refused(changed, tmp_path, name, source, metadata, message):
    path = changed(name, source, **metadata)
    with pytest.raises(ReleaseError, match=message) as caught:
        release(path, tmp_path / "out", run=False)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_stub_that_is_no_python_is_refused(changed, tmp_path):
    solution = "octave_up = [\n    ### BEGIN SOLUTION\n    12\n    ### END SOLUTION\n]"
    path = changed("task-1-answer", solution)
    with pytest.raises(ReleaseError, match="cell 5 'octave_up' isn't valid Python without its sol"):
        release(path, tmp_path / "out", run=False)


@pytest.mark.parametrize("marker", ["BEGIN HIDDEN TEST", "Begin Solution", "BEGIN_SOLUTION"])
def test_misspelt_marker_is_refused_instead_of_releasing_the_secret(changed, marker):
    path = changed("task-1-test", f"### {marker}\nassert octave_up(1) == 13")
    with pytest.raises(ReleaseError, match="cell 6 'test-octave_up' says 'B"):
        released_text(path)


def test_a_hidden_test_that_students_see_is_refused(changed, tmp_path):
    path = changed("task-1", "An octave is 12 semitones: octave_up(1) == 13.")
    with pytest.raises(ReleaseError, match="hides 'octave_up.1. == 13', but students see it in"):
        release(path, tmp_path / "out", run=False)


def test_the_source_is_never_replaced_by_its_exercise(tmp_path):
    path = tmp_path / SOLUTION.name
    path.write_bytes(SOLUTION.read_bytes())
    with pytest.raises(ReleaseError, match="would replace it: give another folder with -o"):
        release(path, tmp_path, run=False)
    assert path.read_bytes() == SOLUTION.read_bytes()


def test_the_source_is_not_replaced_by_way_of_a_folder_that_is_made(tmp_path):
    path = tmp_path / SOLUTION.name
    path.write_bytes(SOLUTION.read_bytes())
    with pytest.raises(ReleaseError, match="would replace it: give another folder with -o"):
        release(path, tmp_path / "new" / "..", run=False)
    assert path.read_bytes() == SOLUTION.read_bytes()


def test_what_students_have_is_no_source(tmp_path, capsys):
    assert main([str(EXERCISE), "-o", str(tmp_path / "out"), "--no-run"]) == 1
    assert capsys.readouterr().err == (
        f"mlmusic release: {EXERCISE}: is the students' notebook: name the source it was made "
        "from\n"
    )


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / SOLUTION.name
    path.write_bytes(b"\xef\xbb\xbf" + SOLUTION.read_bytes())
    assert released_text(path) == EXERCISE.read_text(encoding="utf-8")


def test_notebook_without_graded_cells_is_refused():
    with pytest.raises(ValueError, match="no cell is graded"):
        released_text(parts.SAMPLE / "notebooks" / "99_scale.ipynb")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 1}', "\x00", '{"nbformat": 4}'])
def test_what_is_no_notebook_is_refused(tmp_path, text):
    path = tmp_path / "broken.ipynb"
    path.write_text(text)
    with pytest.raises(ValueError, match="broken.ipynb: isn't a notebook"):
        released_text(path)


def test_missing_nbgrader_is_one_clear_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    assert main([str(SOLUTION), "-o", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error == (
        "mlmusic release: releasing exercises needs nbgrader: pip install 'mlmusic[grade]'\n"
    )


def test_command_releases_a_folder(tmp_path, capsys):
    assert main([str(SOLUTION.parent), "-o", str(tmp_path), "--no-run"]) == 0
    target = tmp_path / SOLUTION.name
    assert capsys.readouterr().out == f"wrote {target}, the students' notebook\n"
    assert (tmp_path / SOLUTION.name).read_bytes() == EXERCISE.read_bytes()


def test_check_says_what_is_out_of_step(tmp_path, capsys):
    arguments = [str(SOLUTION), "-o", str(tmp_path), "--check"]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert f"is missing: run mlmusic release {SOLUTION} -o {tmp_path}\n" in error
    assert list(tmp_path.iterdir()) == []
    target = release(SOLUTION, tmp_path, run=False)
    assert main(arguments) == 0
    target.write_bytes(target.read_bytes().replace(b"\n", b"\r\n"))
    assert "is out of step with" in difference(SOLUTION, tmp_path)


def test_command_reports_a_missing_source(tmp_path, capsys):
    none = tmp_path / "none.ipynb"
    for arguments in ([str(none)], ["--new", str(tmp_path / "new.ipynb"), "--from", str(none)]):
        assert main([*arguments]) == 1
        error = capsys.readouterr().err
        assert error == f"mlmusic release: there is no notebook {none}: check its name\n"
    assert main([str(tmp_path), "-o", str(tmp_path)]) == 1
    assert "no notebooks in" in capsys.readouterr().err


def test_without_a_folder_it_goes_beside_the_source(tmp_path, monkeypatch, capsys):
    for place, target in (
        ("mine", "mine/handout"),
        ("course/solutions", "course/exercises"),
        (".", "handout"),
    ):
        monkeypatch.chdir(tmp_path)
        source = Path(place, SOLUTION.name)
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(SOLUTION.read_bytes())
        assert main([str(source), "--no-run"]) == 0
        target = Path(target, SOLUTION.name)
        assert target.read_bytes() == EXERCISE.read_bytes()
        assert capsys.readouterr().out == f"wrote {target}, the students' notebook\n"
    monkeypatch.chdir("course")
    assert main(["--check"]) == 0
    monkeypatch.chdir("solutions")
    assert main([SOLUTION.name, "--check"]) == 0


def test_without_a_source_outside_of_the_course(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 1
    error = capsys.readouterr().err
    assert error.startswith("mlmusic release: name your source, such as mlmusic release my_ass")
    assert error.count("\n") == 1


def test_where_nothing_can_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for arguments, message in (
        ([str(SOLUTION), "-o", str(tmp_path / "file")], "a file where a folder is needed: choose"),
        ([str(SOLUTION), "-o", str(tmp_path / "file" / "x")], "choose another -o"),
        (["--new", str(tmp_path / "file" / "x.ipynb")], "file where a folder is needed: choose"),
    ):
        assert main(arguments) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1 and "Errno" not in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frm", "x"], "there is no option --frm, is it --from?"),
        (["--from", "x"], "--from goes with --new FILE"),
        (["--new", "x.ipynb", "y.ipynb"], "--new takes one name: a notebook to vary is named by"),
    ],
)
def test_wrong_calls_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.count("\n") == 1
    assert error.startswith(f"mlmusic release: {message}")
