"""Scores in nbgrader's gradebook, read back by nbgrader."""

import csv
import logging
import os
import re
import shutil
import sqlite3
import sys
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps.api import NbGraderAPI
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import CsvExportPlugin
from nbgrader.server_extensions.formgrader.handlers import template_path
from traitlets.config import Config

from mlmusic.grading import export, files
from mlmusic.grading.exporting import autograded
from tests.grading.test_export import result, write_results


def course(root):
    config = Config()
    config.CourseDirectory.root = str(root)
    return CourseDirectory(config=config), config


def source_notebook():
    def mark(grade_id, points=None, solution=False):
        return {
            "nbgrader": {
                "grade_id": grade_id,
                "grade": points is not None,
                "solution": solution,
                "locked": not solution,
                "task": False,
                "schema_version": 3,
                **({} if points is None else {"points": points}),
            }
        }

    v4 = nbformat.v4
    return v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# An assignment"),
            v4.new_code_cell(
                "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION",
                metadata=mark("answer", solution=True),
            ),
            v4.new_code_cell("assert f() == 1", metadata=mark("test-1", 1)),
            v4.new_code_cell(
                "### BEGIN HIDDEN TESTS\nassert f() is not True\n### END HIDDEN TESTS",
                metadata=mark("test-2", 1),
            ),
            v4.new_markdown_cell("How?", metadata=mark("listening", 2, solution=True)),
        ],
        metadata={"kernelspec": autograded.KERNEL},
    )


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """A course in which nbgrader has made the assignment ps1 with the notebook 00_listen."""
    root = tmp_path_factory.mktemp("course")
    source = root / "source" / "ps1" / "00_listen.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(source_notebook(), source)
    directory, config = course(root)
    config.NbGraderAPI.log_level = logging.ERROR
    with pytest.MonkeyPatch.context() as patch:  # nbgrader starts alembic by name
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        done = NbGraderAPI(directory, config=config).generate_assignment("ps1")
    assert done["success"], done
    return root


@pytest.fixture(scope="session")
def empty(tmp_path_factory, generated):
    """A gradebook without assignments."""
    root = tmp_path_factory.mktemp("empty")
    shutil.copy(generated / "gradebook.db", root)
    with book_of(root) as book:
        book.remove_assignment("ps1")
    return root


@pytest.fixture(params=["made by nbgrader", "new"])
def root(request, tmp_path, generated, empty):
    return shutil.copytree(empty if request.param == "new" else generated, tmp_path / "course")


def book_of(root):
    return Gradebook(f"sqlite:///{root / 'gradebook.db'}")


def run(out, root, *arguments):
    return export.main([str(out), "--gradebook", str(root / "gradebook.db"), *arguments])


@pytest.fixture
def out(tmp_path):
    results = [
        result("a", "ada"),
        result("g", "grace", scores=(1.0, 0.0)),
    ]
    write_results(tmp_path / "out", results)
    (tmp_path / "out" / "overrides.csv").write_text(
        "student,item,points,comment\nada,listening,1.5,Well heard\ngrace,test-2,0.5,nearly\n"
    )
    return tmp_path / "out"


def exported(root):
    """What `nbgrader export` writes."""
    with book_of(root) as book:
        CsvExportPlugin(to=str(root / "grades.csv")).export(book)
    with (root / "grades.csv").open() as file:
        return {
            row["student_id"]: (float(row["score"]), float(row["max_score"]))
            for row in csv.DictReader(file)
        }


def contents(root):
    with book_of(root) as book:
        grades = {
            (student.id, grade.name): (
                grade.auto_score,
                grade.manual_score,
                grade.needs_manual_grade,
            )
            for student in book.students
            for submission in student.submissions
            for notebook in submission.notebooks
            for grade in notebook.grades
        }
        comments = {
            (student.id, comment.name): comment.comment
            for student in book.students
            for submission in student.submissions
            for notebook in submission.notebooks
            for comment in notebook.comments
        }
    return grades, comments


def test_nbgrader_reads_the_scores_back(out, root, capsys):
    assert run(out, root) == 0, capsys.readouterr().err
    assert exported(root) == {"ada": (3.5, 4.0), "grace": (1.5, 4.0)}
    grades, comments = contents(root)
    assert grades == {
        ("ada", "test-1"): (1.0, None, False),
        ("ada", "test-2"): (1.0, None, False),
        ("ada", "listening"): (None, 1.5, False),
        ("grace", "test-1"): (1.0, None, False),
        ("grace", "test-2"): (0.0, 0.5, False),
        ("grace", "listening"): (None, None, True),
    }
    assert comments == {
        ("ada", "answer"): None,
        ("ada", "listening"): "Well heard",
        ("grace", "answer"): "test-2: nearly",
        ("grace", "listening"): None,
    }
    with book_of(root) as book:
        assert [a.name for a in book.assignments] == [
            "ps1" if (root / "source").exists() else "00_listen"
        ]


def test_a_second_time_changes_nothing(out, root):
    assert run(out, root) == 0
    before = contents(root), {p: p.read_bytes() for p in root.rglob("autograded/*/*/*")}
    assert run(out, root) == 0
    assert before == (contents(root), {p: p.read_bytes() for p in root.rglob("autograded/*/*/*")})
    assert len(before[1]) == 2


def test_what_formgrader_was_told_stays_and_is_said(out, root, capsys):
    run(out, root)
    with book_of(root) as book:
        name = book.assignments[0].name
        grade = book.find_grade("listening", "00_listen", name, "grace")
        grade.manual_score, grade.needs_manual_grade = 2.0, False
        book.find_comment("answer", "00_listen", name, "grace").manual_comment = "from formgrader"
        book.db.commit()
    (out / "overrides.csv").write_text("student,item,points,comment\nada,listening,1,\n")
    assert run(out, root) == 3
    assert capsys.readouterr().err.splitlines() == [
        "kept, for it isn't in overrides.csv: grace, test-2: 0.5 points in gradebook.db",
        "kept, for it isn't in overrides.csv: grace, listening: 2 points in gradebook.db",
    ]
    grades, comments = contents(root)
    assert grades["grace", "listening"] == (None, 2.0, False)
    assert grades["ada", "listening"] == (None, 1.0, False)
    assert comments["grace", "answer"] == "from formgrader"


def test_a_task_graded_by_hand_is_shared_among_its_tests(out, root):
    (out / "overrides.csv").write_text(
        "student,item,points,comment\nada,answer,0.5,late\ngrace,answer,1.75,\n"
    )
    assert run(out, root) == 0
    grades, comments = contents(root)
    assert [grades["ada", f"test-{i}"][1] for i in (1, 2)] == [0.0, 0.5]
    assert [grades["grace", f"test-{i}"][1] for i in (1, 2)] == [1.0, 0.75]
    assert exported(root) == {"ada": (0.5, 4.0), "grace": (1.75, 4.0)}
    assert comments["ada", "answer"] == "late"


def formgrader_page(notebook):
    """What a grader's browser gets, set up as formgrader's own server does."""
    config = Config()
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [template_path]
    texts = "assignment_id notebook_id submission_id base_url student last_name first_name"
    resources = dict.fromkeys([*texts.split(), "notebook_path"], "x") | {"index": 0, "total": 1}
    return HTMLExporter(config=config).from_filename(str(notebook), resources=resources)[0]


def test_feedback_and_formgrader_show_it_and_run_nothing(out, root):
    run(out, root)
    directory, config = course(root)
    name = "ps1" if (root / "source").exists() else "00_listen"
    directory.assignment_id, directory.student_id = name, "*"
    converter = GenerateFeedback(coursedir=directory, config=config)
    converter.log.setLevel(logging.ERROR)
    converter.start()
    page = (root / "feedback" / "ada" / name / "00_listen.html").read_text()
    form = formgrader_page(root / "autograded" / "ada" / name / "00_listen.ipynb")
    for text in ('<span class="nf">f</span>', 'id="listening"', "a plot"):
        assert text in form
    for text in ('<span class="nf">f</span>', "Well heard", "(Score: 3.5 / 4.0)", "a plot"):
        assert text in page
    grace = (root / "feedback" / "grace" / name / "00_listen.html").read_text()
    assert "a &lt;wrong&gt; note" not in grace  # what a hidden test said
    assert "test-2 (hidden)" in grace
    for bad in ("<script>alert", 'href="javascript', "is not True"):
        assert bad not in page + form


def test_what_a_visible_test_said_is_shown():
    shown = autograded.autograded(result("a", "ada", scores=(0.0, 0.0)), {}, {"answer"})
    outputs = [cell["outputs"][0] for cell in shown["cells"] if cell.get("outputs")]
    said = [output["text"] for output in outputs if "text" in output]
    assert said == ["failed\na <wrong> note\n", "failed\n"]
    nbformat.validate(shown)


def test_written_answers_show_what_was_typed():
    from nbconvert.filters import markdown2html

    text = (
        "# no title\n<b>x</b> [a](javascript:b) ![c](d) `e` $f$ \\\\(g\\\\) **h** &amp;\n    i\n---"
    )
    html = markdown2html(autograded._plain(text))
    for tag in ("<h1", "<b>", "<a ", "<img", "<code", "<strong", "<hr", "<h2"):
        assert tag not in html
    assert "&lt;b&gt;x&lt;/b&gt; [a](javascript:b) ![c](d) `e`" in html


def test_an_autograded_notebook_of_nbgraders_is_left_alone(out, root):
    name = "ps1" if (root / "source").exists() else "00_listen"
    folder = root / "autograded" / "ada" / name
    folder.mkdir(parents=True)
    (folder / "00_listen.ipynb").write_text('{"metadata": {}, "cells": []}')
    assert run(out, root) == 0
    assert (folder / "00_listen.ipynb").read_text() == '{"metadata": {}, "cells": []}'
    assert (root / "autograded" / "grace" / name / "00_listen.ipynb").exists()


@pytest.mark.parametrize("change", ["points", "missing", "more"])
def test_another_version_of_the_source_is_refused_before_anything_changes(
    tmp_path, generated, capsys, change
):
    root = shutil.copytree(generated, tmp_path / "course")
    one = result("a", "ada", hand=1.0)
    tests = one["tasks"][0]["tests"]
    if change == "points":
        tests[0]["points"] = 1.5
        fault = "the cell 'test-1' of '00_listen' has 1 points there, and 1.5 points in the source"
    elif change == "missing":
        tests.pop()
        fault = "the cell 'test-2' of '00_listen' has 1 points there, and no points in the source"
    else:
        tests.append({**tests[0], "id": "test-3"})
        fault = "the cell 'test-3' of '00_listen' has no points there, and 1 points in the source"
    before = (root / "gradebook.db").read_bytes()
    assert run(write_results(tmp_path / "out", [one]), root) == 1
    error = capsys.readouterr().err
    assert fault in error
    assert error.endswith("run nbgrader generate_assignment with that source\n")
    assert (root / "gradebook.db").read_bytes() == before


def test_a_notebook_in_two_assignments_needs_a_name(tmp_path, generated, capsys):
    root = shutil.copytree(generated, tmp_path / "course")
    with book_of(root) as book:
        book.add_assignment("ps2")
        book.add_notebook("00_listen", "ps2")
    out = write_results(tmp_path / "out", [result("a", "ada", hand=1.0)])
    assert run(out, root) == 1
    assert "name one with --assignment: 'ps1', 'ps2'" in capsys.readouterr().err
    assert run(out, root, "--assignment", "ps1") == 0
    with book_of(root) as book:
        assert book.find_submission("ps1", "ada").score == 3.0


def test_a_course_of_another_name_stays_the_only_one(out, empty, tmp_path):
    root = shutil.copytree(empty, tmp_path / "course")
    connection = sqlite3.connect(root / "gradebook.db")
    connection.execute("UPDATE course SET id = 'music101'")
    connection.commit()
    assert run(out, root) == 0
    assert connection.execute("SELECT id FROM course").fetchall() == [("music101",)]
    assert connection.execute("SELECT course_id FROM assignment").fetchall() == [("music101",)]
    connection.close()


def test_a_gradebook_is_made_where_there_is_none(out, tmp_path):
    """Also where the environment isn't active, and nbgrader wouldn't find alembic."""
    assert run(out, tmp_path) == 0
    assert exported(tmp_path) == {"ada": (3.5, 4.0), "grace": (1.5, 4.0)}


def test_students_with_odd_ids_and_with_two_files(empty, tmp_path, capsys):
    root = shutil.copytree(empty, tmp_path / "course")
    results = [
        result("a", "../../x", hand=1.0),
        result("b", "ada", hand=1.0),
        result("c", "ada", hand=2.0),
    ]
    out = write_results(tmp_path / "out", results)
    assert run(out, root) == 3
    assert capsys.readouterr().err == "more than one submission: ada: b, c\n"
    with book_of(root) as book:
        (student,) = book.students
        assert re.fullmatch(r"[\w.]+-[0-9a-f]{8}", student.id)
        with pytest.raises(MissingEntry):
            book.find_submission("00_listen", "ada")
    assert [p.parent.parent.name for p in root.rglob("00_listen.ipynb")] == [student.id]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a database, but a text", "isn't a database"),
        (None, "isn't a gradebook of nbgrader's"),
    ],
)
def test_another_file(tmp_path, out, capsys, content, message):
    path = tmp_path / "gradebook.db"
    if content is None:
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE x (y)")
        connection.commit()
        connection.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    assert run(out, tmp_path) == 1
    assert message in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_locked_gradebook_is_one_line(empty, tmp_path, out, capsys):
    root = shutil.copytree(empty, tmp_path / "course")
    holder = sqlite3.connect(root / "gradebook.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        assert run(out, root) == 1
    finally:
        holder.close()
    error = capsys.readouterr().err
    assert "gradebook.db: database is locked: close formgrader, and try again" in error
    assert error.count("\n") == 1


def test_a_folder_that_is_not_there(out, tmp_path, capsys):
    assert run(out, tmp_path / "none") == 1
    assert "none isn't a folder: name nbgrader's folder of the course" in capsys.readouterr().err


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.csv"
    files.write(path, b"old")
    (tmp_path / "a.csv.part").mkdir()  # so that the draft can't be written
    with pytest.raises(OSError):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
