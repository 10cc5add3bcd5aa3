"""Answers are found by what they say, wherever they stand and whatever they are called."""

import copy
import json
import time

import pytest

from mlmusic.grading.marking import answers
from mlmusic.grading.marking.answers import Finder
from mlmusic.grading.source.assignment import Assignment
from mlmusic.grading.source.notebook import read_notebook
from tests.grading.marking import made
from tests.grading.marking.made import solution

SOURCE = made.source(
    ("markdown", "# Scales"),
    ("code", "import math\nDATA = [1, 2]"),
    ("markdown", "## Task 1"),
    (
        "answer",
        "def add(a, b):\n    '''Add.'''\n    ### BEGIN SOLUTION\n    return a + b\n"
        "    ### END SOLUTION",
        {"grade_id": "add"},
    ),
    ("test", "def check(x):\n    return x\n\nassert add(1, 2) == 3", {"grade_id": "test-add"}),
    ("code", "total = add(1, 2)"),
    ("markdown", "## Task 2"),
    ("answer", solution("x = 5"), {"grade_id": "five"}),
    ("test", "assert x == 5", {"grade_id": "test-five"}),
    ("markdown", "## Why?"),
    ("manual", solution("Because."), {"grade_id": "why"}),
    ("markdown", "## And how?"),
    ("manual", solution("So."), {"grade_id": "how"}),
    ("task", "## Draw a staff", {"grade_id": "draw"}),
    ("markdown", "The end"),
)
ADD = "def add(a, b):\n    return a + b"


@pytest.fixture(scope="module")
def finder():
    return Finder(Assignment.from_bytes(SOURCE, "scales.ipynb"))


@pytest.fixture
def content():
    return copy.deepcopy(made.exercise(SOURCE))


def cell_of(content, grade_id):
    return next(
        cell
        for cell in content["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    )


def found(finder, content):
    return finder.find(read_notebook(made.packed(content)))


def own(submission):
    """The code of the student's steps."""
    return [step.source for step in submission.steps if step.student]


def anonymous(content):
    """What is left when all metadata and ids are gone."""
    for cell in content["cells"]:
        cell["metadata"] = {}
        del cell["id"]
    return content


def test_an_untouched_exercise_has_no_steps_of_the_student(finder, content):
    submission = found(finder, content)
    assert own(submission) == []
    assert [step.source for step in submission.steps] == ["total = add(1, 2)\n"]
    assert set(submission.answers.values()) == {""}
    assert submission.flags == []


def test_the_source_is_a_submission_as_well(finder):
    submission = finder.find(read_notebook(SOURCE))
    assert own(submission) == [
        cell["source"]
        for cell in json.loads(SOURCE)["cells"]
        if cell["metadata"].get("nbgrader", {}).get("solution")
        and "why" not in str(cell)
        and "how" not in str(cell)
    ]
    assert submission.answers["why"] == solution("Because.")


@pytest.mark.parametrize("strip", [False, True])
def test_answers_in_their_cells(finder, content, strip):
    cell_of(content, "add")["source"] = ADD
    cell_of(content, "five")["source"] = "x = 5"
    cell_of(content, "why")["source"] = "Since it is so."
    submission = found(finder, anonymous(content) if strip else content)
    assert own(submission) == [ADD, "x = 5"]
    assert submission.answers == {
        "add": ADD,
        "five": "x = 5",
        "why": "Since it is so.",
        "how": "",
        "draw": "",
    }
    assert submission.positions == {"test-add": 1, "test-five": 3}
    assert submission.flags == []


@pytest.mark.parametrize("strip", [False, True])
def test_the_second_answer_in_words_is_not_taken_for_the_first(finder, content, strip):
    cell_of(content, "how")["source"] = "By hand."
    submission = found(finder, anonymous(content) if strip else content)
    assert (submission.answers["why"], submission.answers["how"]) == ("", "By hand.")


def test_an_answer_in_words_below_its_empty_cell(finder, content):
    content["cells"].insert(11, made.notebook(("markdown", "Written here."))["cells"][0])
    assert found(finder, content).answers["why"] == "Written here."
    cell_of(content, "why")["source"] = "  "
    assert found(finder, content).answers["why"] == "Written here."


def test_a_task_is_answered_in_the_cells_behind_it(finder, content):
    drawn = made.notebook(("code", "draw()"), ("markdown", "My staff."))["cells"]
    content["cells"][14:14] = drawn
    submission = found(finder, content)
    assert submission.answers["draw"] == "draw()\n\nMy staff."
    assert own(submission) == ["draw()"]


def test_formatters_do_not_make_a_cell_the_students(finder, content):
    content["cells"][1]["source"] = "import math\n\n\nDATA = [\n    1,\n    2,\n]  # my data\n"
    cell_of(content, "test-add")["source"] = (
        "def check(x):\r\n  return x\r\nassert add(1,2)==3   # fine"
    )
    assert own(found(finder, content)) == []


def test_moved_merged_split_and_copied_cells(finder, content):
    cells = content["cells"]
    merged = "import math\nDATA = [1, 2]\n" + ADD + "\nassert add(1, 2) == 3\nx = 5"
    stub = cell_of(content, "add")["source"]
    content["cells"] = [
        made.notebook(("code", merged))["cells"][0],
        *cells[6:],
        made.notebook(("code", stub))["cells"][0],  # a copy of the question
    ]
    submission = found(finder, content)
    assert own(submission) == [
        "import math\nDATA = [1, 2]\n" + ADD + "\npass\nx = 5\n",
    ]
    # The instructor's cell behind the answer isn't there any more: it runs at the end.
    assert submission.steps[-1].source == "total = add(1, 2)\n"
    assert submission.steps[-1].number == 0


def test_a_stub_in_a_changed_cell_is_taken_out(finder, content):
    cell = cell_of(content, "add")
    cell["source"] = cell["source"] + "\n\nprint('I tried')"
    (code,) = own(found(finder, content))
    assert "def add" not in code and "print('I tried')" in code


def test_an_instructors_cell_that_was_changed_is_not_run_twice(finder, content):
    content["cells"][5]["source"] = "total = add(1, 2)\nprint(total)"
    submission = found(finder, content)
    assert [step.source for step in submission.steps] == ["total = add(1, 2)\nprint(total)"]


def test_what_a_test_defines_is_there_for_the_student_who_uses_it(finder, content):
    cell_of(content, "five")["source"] = "x = check(5)"
    steps = found(finder, content).steps
    assert [(step.mode, step.student) for step in steps] == [
        ("defs", False),
        ("all", False),
        ("all", True),
    ]
    assert steps[0].source.startswith("def check(x)")


@pytest.mark.parametrize("text", [ADD, f"My answer:\n\n```python\n{ADD}\n```\n"])
def test_code_in_a_cell_that_is_markdown_now(finder, content, text):
    cell = cell_of(content, "add")
    cell |= {"cell_type": "markdown", "source": text}
    submission = found(finder, content)
    assert [code.strip() for code in own(submission)] == [text if text == ADD else ADD]
    assert [flag["kind"] for flag in submission.flags] == ["retyped"]
    assert submission.flags[0]["detail"] == "cell 4 is markdown and defines add: taken as code"


def test_code_in_words_does_not_replace_an_answer(finder, content):
    cell_of(content, "add")["source"] = ADD
    content["cells"].append(
        made.notebook(("markdown", "```\ndef add(a, b):\n    return 0\n```"))["cells"][0]
    )
    submission = found(finder, content)
    assert own(submission) == [ADD]
    assert submission.flags == []


def test_long_cells_are_left_out_and_named(finder, content, monkeypatch):
    monkeypatch.setattr(answers, "MAX_CODE", 100)
    monkeypatch.setattr(answers, "MAX_CODE_IN_ALL", 300)
    content["cells"][1]["source"] += " " * 100  # the instructor's: known by its text
    cell_of(content, "add")["source"] = ADD
    cell_of(content, "five")["source"] = f"x = 5{' ' * 96}"
    cell_of(content, "why")["source"] = "Why not? " * 50
    drafts = [("code", f"y{number} = 1{' ' * 90}") for number in range(3)]
    content["cells"] += made.notebook(*drafts)["cells"]
    submission = found(finder, content)
    assert [flag["kind"] for flag in submission.flags] == ["too long"] * 3
    assert [flag["detail"][:8] for flag in submission.flags] == ["cell 8 h", "cell 17 ", "cell 18 "]
    assert submission.flags[0]["detail"] == "cell 8 has 101 characters: it was left out"
    assert "characters of code: it was left out" in submission.flags[1]["detail"]
    assert [code.strip() for code in own(submission)] == [ADD, "y0 = 1"]
    assert submission.answers["why"] == ("Why not? " * 50).strip()


@pytest.mark.parametrize("fence", ["```python\n" * 10_000, "```\n" * 10_000])
def test_text_full_of_fences_is_read_at_once(finder, content, fence):
    cell_of(content, "why")["source"] = fence
    begin = time.process_time()
    found(finder, content)
    assert time.process_time() - begin < 5


def test_a_notebook_of_something_else(finder):
    submission = found(finder, made.notebook(("code", "y = 1"), ("markdown", "Hello")))
    assert submission.flags == [
        {"kind": "wrong notebook", "detail": "its tasks are not those of scales"}
    ]
    assert found(finder, made.notebook()).flags[0]["kind"] == "wrong notebook"


def test_western_bytes_are_flagged(finder, content):
    cell_of(content, "why")["source"] = "Weil es tönt."
    data = json.dumps(content, ensure_ascii=False).encode("latin-1")
    submission = finder.find(read_notebook(data))
    assert submission.answers["why"] == "Weil es tönt."
    assert submission.flags[0]["kind"] == "encoding"


def test_outputs_of_answers_and_of_the_cells_before_a_question_in_words(finder, content):
    picture = {"output_type": "display_data", "data": {"image/png": "AAAA"}}
    cell_of(content, "add")["source"] = ADD
    cell_of(content, "add")["outputs"] = [picture]
    plot = made.notebook(("code", "plot()", {"outputs": [picture, picture]}))["cells"][0]
    content["cells"].insert(12, plot)
    submission = found(finder, content)
    assert len(submission.outputs["add"]) == 1
    assert len(submission.outputs["how"]) == 2
    assert submission.outputs["why"] == []


def test_outputs_have_a_limit(finder, content):
    large = {"output_type": "display_data", "data": {"image/png": "A" * 1_500_000}}
    cell_of(content, "add")["source"] = ADD
    cell_of(content, "add")["outputs"] = [large, large]
    assert len(found(finder, content).outputs["add"]) == 1


def test_the_text_of_the_last_definition(finder, content):
    cell_of(content, "add")["source"] = ADD
    last = "def add(*args):\n    return 0"
    content["cells"].append(made.notebook(("code", f"y = 1\n{last}\nz = 2"))["cells"][0])
    submission = found(finder, content)
    assert submission.source_of("add") == last
    assert submission.source_of("none") == ""


@pytest.mark.parametrize(
    "body", ["raise NotImplementedError", "'''?'''\n    raise NotImplementedError('x')"]
)
def test_a_function_that_only_says_that_it_is_missing_is_a_stub(finder, content, body):
    cell_of(content, "add")["source"] = ADD
    content["cells"].append(
        made.notebook(("code", f"def add(a, b):\n    {body}\n\ndef other():\n    {body}"))["cells"][
            0
        ]
    )
    last = own(found(finder, content))[-1]
    assert "def add" not in last and "def other" in last


def test_names_that_are_bound_again_below_a_test(finder, content):
    cell_of(content, "add")["source"] = ADD
    assert found(finder, content).redefined["test-add"] == set()
    content["cells"].append(made.notebook(("code", "def add(*args):\n    return 0"))["cells"][0])
    assert found(finder, content).redefined == {"test-add": {"add"}, "test-five": set()}
