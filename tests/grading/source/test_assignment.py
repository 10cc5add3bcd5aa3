"""A source notebook says what there is to do, what students get, and what runs when."""

import json
from pathlib import Path

import nbformat
import pytest

from mlmusic.grading.limits import Limits
from mlmusic.grading.source.assignment import Assignment, heading
from mlmusic.grading.source.cells import released
from tests.grading.marking import made
from tests.grading.marking.made import solution

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [
    ROOT / "solutions" / "00_listen.ipynb",
    ROOT / "tests" / "notebooks" / "sample" / "solutions" / "99_scale.ipynb",
]

SOURCE = made.source(
    ("markdown", "# Scales\n\nRead this."),
    ("code", "import math\nDATA = [1, 2]\nprint(DATA)"),
    ("markdown", "Words.\n\n## Task 1: add ##"),
    (
        "answer",
        "import numpy as np\nfrom os import path as p\n"
        + solution("    ")
        + "\ndef add(a, b):\n    '''Add.'''\n    ### BEGIN SOLUTION\n    return a + b\n"
        "    ### END SOLUTION\n\ndef given():\n    return 3",
        {"grade_id": "add"},
    ),
    (
        "test",
        "assert add(1, 2) == 3\n### BEGIN HIDDEN TESTS\nassert add(0, 0) == 0\n"
        "### END HIDDEN TESTS",
        {"grade_id": "test-add", "points": 2},
    ),
    ("code", "total = add(1, 2)"),
    ("code", "def helper(x):\n    return add(x, x)"),
    ("code", "twice = helper(2)"),
    ("code", "later = [1]\nlater.append(2)"),
    ("code", "DATA = [3]"),
    ("code", "print(add(1, 1))"),
    ("test", "assert secret_name == 1 and total == 3", {"points": 0.5}),
    ("markdown", "## Why?"),
    ("manual", solution("Because."), {"grade_id": "why", "points": 3}),
    ("task", "### Draw\n=== BEGIN MARK SCHEME ===\nsecret\n=== END MARK SCHEME ===\nend"),
    metadata={"mlmusic": {"grading": {"run": "defs", "call": 10}}},
)


@pytest.fixture(scope="module")
def assignment():
    return Assignment.from_bytes(SOURCE, "folder/12_scales.ipynb")


def test_tasks_with_their_tests_and_titles(assignment):
    assert assignment.name == "12_scales"
    assert [(t.id, t.title, t.points, t.manual) for t in assignment.tasks] == [
        ("add", "Task 1: add", 2.5, False),
        ("why", "Why?", 3.0, True),
        ("task-14", "Draw", 1.0, True),
    ]
    task = assignment.tasks[0]
    assert set(task.names) == {"add", "given"}
    assert [(t.id, t.task, t.points, t.hidden) for t in task.tests] == [
        ("test-add", "add", 2.0, True),
        ("test-11", "add", 0.5, False),
    ]
    assert task.tests[0].visible_source == "assert add(1, 2) == 3"
    assert assignment.points == 6.5
    assert [test.id for test in assignment.tests] == ["test-add", "test-11"]


def test_what_students_are_given(assignment):
    program = {cell.id: cell for cell in assignment.program}
    assert program["add"].released == (
        "import numpy as np\nfrom os import path as p\n# YOUR CODE HERE\n"
        "raise NotImplementedError()\ndef add(a, b):\n    '''Add.'''\n    # YOUR CODE HERE\n"
        "    raise NotImplementedError()\n\ndef given():\n    return 3"
    )
    assert program["why"].released == "YOUR ANSWER HERE"
    assert program["task-14"].released == "### Draw\nend"


def test_what_is_left_of_an_unanswered_cell_still_runs(assignment):
    plain = next(cell.plain for cell in assignment.program if cell.id == "add")
    assert "import numpy as np" in plain and "def given" in plain
    assert "def add" not in plain and "NotImplementedError" not in plain
    assert list(assignment.answers["add"].stubs) == ["add"]


def test_names_that_are_asked_of_students(assignment):
    assert assignment.expected == {"add", "given", "secret_name"}
    assert assignment.imports == {"np": "import numpy as np", "p": "from os import path as p"}


def test_which_cells_run_before_the_answers(assignment):
    cells = {cell.index: cell for cell in assignment.cells}
    early = {index for index, cell in cells.items() if cell.early}
    # The first, the helper (it calls add later), and one that binds a new name.
    assert early == {1, 6, 8}
    assert [index for index, cell in cells.items() if cell.needs_answers] == [5, 7]
    assert cells[1].plain.split("\n") == ["import math", "DATA = [1, 2]", "pass", ""]
    assert cells[10].plain == ""  # it only shows something


def test_settings_come_from_the_metadata(assignment):
    assert assignment.run == "defs"
    assert assignment.limits == Limits(call=10)
    assert Assignment.from_bytes(made.source(("manual", "x")), "x").limits == Limits()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_stubs_are_nbgraders(path):
    exercise = path.parents[1] / "exercises" / path.name
    given = nbformat.read(exercise, as_version=4).cells
    own = Assignment.load(path).program
    assert [c.released for c in own[1:]] == [c.source for c in given[1:]]  # the first has a link


def test_what_nbgrader_takes_away():
    preprocessors = pytest.importorskip("nbgrader.preprocessors")
    content = json.loads(SOURCE)
    content["cells"] += made.notebook(
        ("answer", "x = 1"),
        ("answer", "if x:\n\t### BEGIN SOLUTION\n\ty = 1\n\t### END SOLUTION"),
        ("manual", "  ### BEGIN SOLUTION\n  a\n  ### END SOLUTION\nrest"),
        ("manual", "plot()", {"code": True}),
    )["cells"]
    program = Assignment.from_bytes(made.packed(content), "x").program
    notebook = nbformat.from_dict(content)
    for name in ("ClearSolutions", "ClearHiddenTests", "ClearMarkScheme"):
        notebook, _ = getattr(preprocessors, name)().preprocess(notebook, {})
    assert [cell.released for cell in program] == [cell.source for cell in notebook.cells]


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        ([("code", "x = 1")], {}, "no cell is graded"),
        ([("test", "assert 1"), ("test", "assert 2", {"grade_id": "test-0"})], {}, "two cells"),
        ([("test", "assert (")], {}, "the code of cell 'test-0' is not Python"),
        ([("test", "assert 1", {"points": "many"})], {}, "cell 'test-0': 'many' isn't a number"),
        ([("test", "assert 1", {"points": -1})], {}, "-1 isn't a number of points"),
        ([("answer", "### BEGIN SOLUTION\nx = 1")], {}, "'answer-0' has no END SOLUTION"),
        (
            [("test", "### BEGIN HIDDEN TESTS\n### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS")],
            {},
            "has a BEGIN HIDDEN TESTS within another",
        ),
        ([("test", "assert 1")], {"metadata": {"mlmusic": {"grading": {"run": "x"}}}}, "'x'"),
        ([("test", "assert 1")], {"metadata": {"mlmusic": {"grading": {"calls": 1}}}}, "unknown"),
        ([("test", "assert 1")], {"metadata": {"mlmusic": {"grading": []}}}, "must be an object"),
        ([("test", "assert 1")], {"metadata": {"mlmusic": 3}}, "must be an object"),
    ],
    ids=range(11),
)
def test_a_source_that_cannot_be_graded_is_refused(cells, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        Assignment.from_bytes(made.source(*cells, **options), "odd.ipynb")
    assert str(caught.value).startswith("odd.ipynb: ")


def test_a_file_that_is_missing_or_no_notebook(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no notebook"):
        Assignment.load(tmp_path / "none.ipynb")
    (tmp_path / "text.ipynb").write_text("hello")
    with pytest.raises(ValueError, match=r"text.ipynb: not a notebook"):
        Assignment.load(tmp_path / "text.ipynb")


def test_same_source_same_hash(assignment):
    assert assignment.sha256 == Assignment.from_bytes(SOURCE, "other").sha256
    assert len(assignment.sha256) == 64


def test_headings():
    assert heading("text\n## A # b ##\n# C") == "A # b"
    assert heading("no heading, #hash") == ""


def test_a_cell_keeps_its_source_where_nothing_is_to_be_taken_away():
    from mlmusic.grading.source.notebook import Cell

    assert released(Cell(0, "code", "### BEGIN SOLUTION", marks={})) == "### BEGIN SOLUTION"
