"""A notebook of another assignment is flagged, whatever it shares; an honest one never is."""

import copy

import pytest

from mlmusic.grading.marking.answers import Finder
from mlmusic.grading.source.assignment import Assignment
from mlmusic.grading.source.notebook import read_notebook
from tests.grading.marking import made
from tests.grading.marking.made import solution

SETUP = ("code", "import numpy as np\nimport torch\n\nA4 = 440.0")
ADVICE = ("markdown", "# Before you hand in\n\nRestart the kernel and run all cells.")
LISTEN = ("markdown", "## Listening question\n\nWhich of the two is the canon? Say why.")


def task(number, question, name, ids=("answer", "check"), body="return x"):
    function = solution(f"def {name}(x):\n    {body}")
    return (
        ("markdown", f"## Task {number}\n\n{question}"),
        ("answer", function, {"grade_id": f"{ids[0]}-{number}"}),
        ("test", f"assert {name}(3) == 3", {"grade_id": f"{ids[1]}-{number}"}),
    )


def source(*tasks, listening="listening"):
    manual = ("manual", solution("The second."), {"grade_id": listening})
    cells = [cell for task in tasks for cell in task]
    return made.source(ADVICE, SETUP, *cells, LISTEN, manual)


FIRST = source(
    task(1, "Write a function that transposes a melody.", "transpose"),
    task(2, "Write a function that turns a melody upside down.", "inversion"),
    task(3, "Write a function that plays a melody backwards.", "retrograde"),
    task(4, "Write a function that counts the notes of a melody.", "count"),
)
IDS = ("solution", "test")
SECOND_TASKS = [
    (1, "Write a function that returns the spectrum of a sound.", "spectrum"),
    (2, "Write a function that finds the loudest partial.", "loudest"),
    (3, "Write a function that draws a sound's envelope.", "envelope"),
    (4, "Write a function that counts the zeros of a sound.", "zeros"),
]
OTHERS = {
    "names of its own": source(*(task(*given, ids=IDS) for given in SECOND_TASKS), listening="why"),
    "one name is the same": source(*(task(*given, ids=IDS) for given in SECOND_TASKS)),
    "the same names": source(*(task(*given) for given in SECOND_TASKS)),
    "one function is the same": source(
        *(task(*given, ids=IDS) for given in SECOND_TASKS[:3]),
        task(4, "Write a function that counts the notes of a sound.", "count", ids=IDS),
    ),
    "the functions are the same, nothing else": source(
        *(
            task(number, question, name, ids=IDS, body="return list(x)")
            for (number, question, _), name in zip(
                SECOND_TASKS, ("transpose", "inversion", "retrograde", "count"), strict=True
            )
        )
    ).replace(b"(3) == 3", b"([]) == []"),
}


@pytest.fixture(scope="module")
def finder():
    return Finder(Assignment.from_bytes(FIRST, "melody.ipynb"))


def is_flagged(finder, content):
    found = finder.find(read_notebook(made.packed(content)))
    wrong = [flag["detail"] for flag in found.flags if flag["kind"] == "wrong notebook"]
    assert wrong in ([], ["its tasks are not those of melody"])
    return bool(wrong)


def filled(data):
    """The exercise with its answers in it."""
    content = made.exercise(data)
    for cell, own in zip(content["cells"], Assignment.from_bytes(data, "x").program, strict=True):
        if own.role in ("answer", "manual"):
            lines = own.source.split("\n")
            cell["source"] = "\n".join(line for line in lines if "###" not in line)
    return content


def strip(content):
    for cell in content["cells"]:
        cell["metadata"] = {}
        del cell["id"]
    return content


def only(content, *kinds, kept=lambda cell: True):
    content["cells"] = [c for c in content["cells"] if c["cell_type"] in kinds and kept(c)]
    return content


def marks(cell):
    return cell["metadata"].get("nbgrader", {})


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("make", [filled, made.exercise])
def test_another_assignments_notebook_is_flagged(finder, name, make):
    assert is_flagged(finder, make(OTHERS[name]))


@pytest.mark.parametrize("name", ["names of its own", "one name is the same", "the same names"])
@pytest.mark.parametrize("make", [filled, made.exercise])
def test_another_assignments_notebook_is_flagged_without_its_metadata(finder, name, make):
    assert is_flagged(finder, strip(make(OTHERS[name])))


def test_nothing_but_what_all_assignments_share_is_flagged(finder):
    content = made.exercise(FIRST)
    content["cells"] = content["cells"][:2]
    assert is_flagged(finder, content)


def copied(content):
    """Cells of another assignment stand beside the student's own."""
    content["cells"][3:3] = filled(OTHERS["names of its own"])["cells"][2:6]


def edited(content):
    """Every test and every question was changed."""
    for cell in content["cells"]:
        if marks(cell).get("locked"):
            cell["source"] = f"print({cell['source'][7:]!r})"
        elif cell["cell_type"] == "markdown" and not marks(cell):
            cell["source"] += "\n\nI have done this."


def renamed(content):
    """The instructor gave the cells new names after they were handed out."""
    for cell in content["cells"]:
        if marks(cell):
            marks(cell)["grade_id"] = "old-" + marks(cell)["grade_id"]


def without_text(content):
    only(content, "code")


def without_tests(content):
    only(content, "code", "markdown", kept=lambda cell: not marks(cell).get("locked"))


def answers_only(content):
    only(content, "code", kept=lambda cell: marks(cell).get("solution"))


def one_answer_only(content):
    content["cells"] = strip({"cells": content["cells"][3:4]})["cells"]


def crowded(content):
    """A student works on two assignments in one notebook."""
    content["cells"] += strip(filled(OTHERS["names of its own"]))["cells"]


HONEST = (
    copied,
    edited,
    renamed,
    strip,
    without_text,
    without_tests,
    answers_only,
    one_answer_only,
    crowded,
)


@pytest.mark.parametrize("change", HONEST, ids=lambda change: change.__name__)
@pytest.mark.parametrize("stripped", [False, True])
def test_an_honest_notebook_is_not_flagged(finder, change, stripped):
    content = filled(FIRST)
    change(content)
    if stripped and change not in (strip, one_answer_only):
        for cell in content["cells"]:
            cell["metadata"] = {}
    assert not is_flagged(finder, content)


@pytest.mark.parametrize("change", [lambda content: None, copied, edited, renamed, strip])
def test_an_empty_exercise_is_not_flagged(finder, change):
    content = copy.deepcopy(made.exercise(FIRST))
    if change is edited:
        for cell in content["cells"]:
            cell["source"] += "\n\n"
    else:
        change(content)
    assert not is_flagged(finder, content)


def test_questions_too_short_to_tell_are_enough_where_there_is_nothing_else():
    cells = [("markdown", "## Why?"), ("manual", solution("So."), {"grade_id": "why"})]
    short = Finder(Assignment.from_bytes(made.source(*cells), "melody.ipynb"))
    assert not is_flagged(short, made.exercise(made.source(*cells)))
    assert is_flagged(short, made.notebook(("markdown", "## How?"), ("code", "x = 1")))
