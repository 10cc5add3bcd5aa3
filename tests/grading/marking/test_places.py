"""Answers that a person grades are found without their names, or wait for that person."""

import copy

import pytest

from mlmusic.grading.marking.answers import Finder
from mlmusic.grading.marking.results import add_up, blank_result, fill_in
from mlmusic.grading.source.assignment import Assignment
from mlmusic.grading.source.notebook import read_notebook
from tests.grading.marking import made
from tests.grading.marking.made import solution

CODE = {"code": True}
SOURCE = made.source(
    ("code", "import matplotlib.pyplot as plt\nimport numpy as np"),
    ("markdown", "## Task 1\n\nWrite `double`, which doubles a number."),
    ("answer", solution("def double(x):\n    return 2 * x"), {"grade_id": "double"}),
    ("test", "assert double(2) == 4", {"grade_id": "check-double"}),
    ("markdown", "## Task 2\n\nDraw the melody as a line."),
    ("manual", solution("fig, ax = plt.subplots()"), {"grade_id": "line", **CODE}),
    ("markdown", "## Task 3\n\nDraw its pitches as bars."),
    ("manual", solution("fig, ax = plt.subplots()\nax.bar()"), {"grade_id": "bars", **CODE}),
    ("markdown", "## Task 4\n\nWrite a function that draws it as a circle."),
    ("manual", solution("def circle():\n    plt.plot()"), {"grade_id": "circle", **CODE}),
    ("markdown", "## Task 5\n\nWrite a tune of your own."),
    ("answer", solution("tune = [60, 62]"), {"grade_id": "tune"}),
    ("task", "What your tune is worth: up to three points.", {"grade_id": "worth"}),
    ("markdown", "## Task 6\n\nAnd now?"),
    ("task", "Do what you like with your tune, in a cell of your own.", {"grade_id": "free"}),
    ("markdown", "The end of the assignment: save it and hand it in."),
)
ANSWERS = {
    "double": "def double(x):\n    return x + x",
    "line": "plt.plot([1, 2])",
    "bars": "fig = plt.figure()\nplt.bar([1], [2])",
    "circle": "def circle():\n    return plt.Circle((0, 0))",
    "tune": "tune = [1, 2, 3]",
}
BY_HAND = {"line": "line", "bars": "bars", "circle": "circle", "worth": "tune"}


@pytest.fixture(scope="module")
def assignment():
    return Assignment.from_bytes(SOURCE, "drawing.ipynb")


@pytest.fixture
def content():
    content = copy.deepcopy(made.exercise(SOURCE))
    for name, text in ANSWERS.items():
        cell_of(content, name)["source"] = text
    return content


def cell_of(content, grade_id):
    return next(
        cell
        for cell in content["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    )


def anonymous(*cells):
    """Take the names from cells."""
    for cell in cells:
        cell["metadata"] = {}
        cell.pop("id", None)


def strip(content, *names):
    anonymous(*(cell_of(content, name) for name in names) if names else content["cells"])


def without(content, *names):
    gone = [cell_of(content, name) for name in names]
    content["cells"] = [cell for cell in content["cells"] if cell not in gone]


def result_of(assignment, content):
    result = blank_result(assignment)
    fill_in(result, Finder(assignment).find(read_notebook(made.packed(content))))
    add_up(result)
    return result


def by_id(result):
    return {task["id"]: task for task in result["tasks"]}


def flags(result, kind):
    return [flag["detail"] for flag in result["flags"] if flag["kind"] == kind]


def test_a_task_grades_the_answers_that_no_test_does(assignment):
    graded = {task.id: task.graded for task in assignment.tasks}
    assert graded == {
        "double": (),
        "line": ("line",),
        "bars": ("bars",),
        "circle": ("circle",),
        "worth": ("tune",),
        "free": (),
    }


def test_answers_below_a_task_belong_to_it():
    source = made.source(
        ("task", "Draw something, in three cells.", {"grade_id": "draw"}),
        ("answer", solution("x = 1"), {"grade_id": "one"}),
        ("answer", solution("y = 1"), {"grade_id": "two"}),
        ("answer", solution("z = 1"), {"grade_id": "three"}),
        ("test", "assert z", {"grade_id": "check"}),
        ("answer", solution("u = 1"), {"grade_id": "four"}),
        ("test", "pass", {"grade_id": "check-nothing"}),
    )
    tasks = Assignment.from_bytes(source, "x").tasks
    assert [(t.id, t.graded) for t in tasks] == [
        ("draw", ("one", "two")),
        ("three", ()),
        ("four", ()),
    ]


@pytest.mark.parametrize("names", [None, (), ("line",), ("bars",), ("circle",), ("tune",)], ids=str)
def test_code_is_found_without_its_name(assignment, content, names):
    if names is not None:
        strip(content, *names)
    result = result_of(assignment, content)
    for task, answer in BY_HAND.items():
        assert by_id(result)[task]["answer"] == ANSWERS[answer]
        assert by_id(result)[task]["score"] is None
    assert flags(result, "not found") == []


@pytest.mark.parametrize("kept", ["names", "nothing"])
def test_an_empty_stub_is_no_answer(assignment, kept):
    content = copy.deepcopy(made.exercise(SOURCE))
    cell_of(content, "double")["source"] = ANSWERS["double"]
    cell_of(content, "bars")["source"] = ANSWERS["bars"]
    if kept == "nothing":
        strip(content)
    tasks = by_id(result_of(assignment, content))
    assert tasks["bars"]["answer"] == ANSWERS["bars"]
    for name in ("line", "circle", "worth", "free"):
        assert (tasks[name]["answer"], tasks[name]["score"]) == ("", 0)


def test_an_empty_cell_is_no_answer(assignment, content):
    for name in ("line", "tune"):
        cell_of(content, name)["source"] = "\n"
    result = result_of(assignment, content)
    assert flags(result, "not answered") == ["line", "worth", "free"]


def test_an_answer_in_a_new_cell_below_the_stub(assignment, content):
    stub = cell_of(made.exercise(SOURCE), "line")["source"]
    place = content["cells"].index(cell_of(content, "line"))
    cell_of(content, "line")["source"] = stub
    content["cells"].insert(place + 1, made.notebook(("code", "plt.plot([3])"))["cells"][0])
    content["cells"][place + 1]["id"] = "new"
    tasks = by_id(result_of(assignment, content))
    assert tasks["line"]["answer"] == "plt.plot([3])"
    assert tasks["bars"]["answer"] == ANSWERS["bars"]


def test_what_cannot_be_placed_waits_for_a_person_with_its_pictures(assignment, content):
    """A student rewrote the notebook: everything below the first task stands at its top."""
    moved = [cell_of(content, name) for name in ("line", "bars")]
    moved[0]["outputs"] = [{"output_type": "display_data", "data": {"image/png": "AAAA"}}]
    without(content, "line", "bars")
    anonymous(*moved)
    content["cells"][0:0] = moved
    result = result_of(assignment, content)
    tasks = by_id(result)
    assert flags(result, "not found") == [
        f"{name}: its cell is gone; it waits for points by hand" for name in ("line", "bars")
    ]
    for name in ("line", "bars"):
        assert tasks[name]["score"] is None
        assert tasks[name]["answer"] == f"{ANSWERS['line']}\n\n{ANSWERS['bars']}"
        assert [output["data"] for output in tasks[name]["outputs"]] == ["AAAA"]
    assert tasks["circle"]["answer"] == ANSWERS["circle"]


def test_a_variable_that_only_one_answer_has_is_found_anywhere(assignment, content):
    moved = cell_of(content, "tune")
    without(content, "tune")
    anonymous(moved)
    content["cells"].insert(0, moved)
    assert by_id(result_of(assignment, content))["worth"]["answer"] == ANSWERS["tune"]


def test_deleted_cells_wait_for_a_person(assignment, content):
    without(content, "line", "bars", "circle", "tune")
    result = result_of(assignment, content)
    waiting = [name for name, task in by_id(result).items() if task["score"] is None]
    assert waiting == ["line", "bars", "circle", "worth"]
    assert len(flags(result, "not found")) == 4
    assert flags(result, "not answered") == ["free"]


def test_a_cell_too_long_to_read_waits_for_a_person(assignment, content):
    cell_of(content, "line")["source"] = "x = 1\n" * 100_000
    result = result_of(assignment, content)
    assert by_id(result)["line"]["score"] is None
    assert len(flags(result, "not found")) == len(flags(result, "too long")) == 1


def test_nobody_waits_for_a_notebook_without_any_code_of_the_students(assignment):
    content = made.exercise(SOURCE)
    without(content, "line", "bars", "circle", "tune", "double")
    result = result_of(assignment, content)
    assert flags(result, "not answered") == ["line", "bars", "circle", "worth", "free"]
    assert flags(result, "wrong notebook") == []


def test_the_answer_to_one_question_is_not_taken_for_anothers(assignment, content):
    """Both plots call their figure `fig`, and only one cell has lost its name."""
    cell_of(content, "line")["source"] = "fig, ax = plt.subplots()"
    strip(content, "line")
    tasks = by_id(result_of(assignment, content))
    assert tasks["line"]["answer"] == "fig, ax = plt.subplots()"
    assert tasks["bars"]["answer"] == ANSWERS["bars"]


def test_a_function_is_found_beside_its_cell(assignment, content):
    cell_of(content, "circle")["source"] = "circle()"
    content["cells"].insert(1, made.notebook(("code", ANSWERS["circle"]))["cells"][0])
    content["cells"][1]["id"] = "new"
    tasks = by_id(result_of(assignment, content))
    assert tasks["circle"]["answer"] == f"{ANSWERS['circle']}\n\ncircle()"


def test_answers_alone_in_a_notebook(assignment):
    content = made.notebook(*(("code", ANSWERS[name]) for name in ("double", "line", "circle")))
    anonymous(*content["cells"])
    result = result_of(assignment, content)
    tasks = by_id(result)
    assert tasks["line"]["answer"] == ANSWERS["line"]
    assert tasks["circle"]["answer"] == ANSWERS["circle"]
    assert tasks["bars"]["score"] is None  # for a person to say that it isn't there
    assert flags(result, "wrong notebook") == []
