"""What was asked, and how to mark it, is found in a source whatever shape it has there."""

import pytest

from mlmusic.grading.runs.questions import questions
from mlmusic.grading.source.assignment import Assignment
from tests.grading import sources
from tests.grading.sources import OCTAVE, answer, check, code, notebook, text

ANSWER = "### BEGIN SOLUTION\nIt **rises**.\n### END SOLUTION"


def by_hand(source, kind=text, **marks):
    cell = kind(source)
    marks = {"grade": True, "solution": True, "points": 2, "grade_id": "q", **marks}
    cell["metadata"]["nbgrader"] = {"schema_version": 3, "locked": False, "task": False, **marks}
    return cell


def asked(*cells):
    data = sources.v4.writes(notebook(*cells)).encode()
    return questions(Assignment.from_bytes(data, "ps1.ipynb"))["q"]


def words(*texts):
    return [{"kind": "markdown", "text": text} for text in texts]


def test_the_question_reaches_from_the_heading_to_the_answer():
    found = asked(
        text("## Before\n\nnot this"),
        text("## Listen\n\nTo the *tune*."),
        code("play(tune)"),
        text("What does it do?"),
        by_hand(ANSWER),
    )
    assert found == {
        "question": [
            *words("To the *tune*."),
            {"kind": "code", "text": "play(tune)"},
            *words("What does it do?"),
        ],
        "scheme": words("It **rises**."),
        "is_answer": True,
        "shows": "picture or sound",
    }


def test_answers_and_tests_in_between_are_not_the_question():
    found = asked(text("# Up"), text("Higher, and why?"), OCTAVE, check("c", "octave_up(1)"),
                  by_hand(ANSWER))  # fmt: skip
    assert found["question"] == words("Higher, and why?") and found["shows"] == ""


def test_without_a_heading_it_begins_below_the_last_graded_cell():
    found = asked(text("Hello"), OCTAVE, check("c", "octave_up(1)"), text("Why?"), by_hand(ANSWER))
    assert found["question"] == words("Why?")
    assert asked(text("Hello"), text("Why?"), by_hand(ANSWER))["question"] == words("Hello", "Why?")
    assert asked(OCTAVE, text("Lost?"), check("c", "octave_up(1)"), by_hand(ANSWER))[
        "question"
    ] == (words("Lost?"))


def test_a_question_in_the_answers_own_cell():
    found = asked(text("## Listen"), by_hand(f"What do you hear?\n\n{ANSWER}\n\nOne sentence."))
    assert found["question"] == words("What do you hear?\n\n\nOne sentence.")
    assert found["scheme"] == words("It **rises**.")


def test_a_mark_scheme():
    scheme = "=== BEGIN MARK SCHEME ===\n    1 point: a\n\n    1 point: b\n=== END MARK SCHEME ==="
    found = asked(
        text("## Before\n\nnot this"),
        by_hand(f"### Compose\nA voice.\n{scheme}", task=True, grade=False, solution=False),
    )
    assert found["question"] == words("A voice.")
    assert found["scheme"] == words("1 point: a\n\n1 point: b")
    assert not found["is_answer"] and found["shows"] == ""


def test_an_answer_without_markers_and_a_question_without_an_answer():
    assert asked(text("# Why?"), by_hand("It rises."))["scheme"] == words("It rises.")
    found = asked(text("# Why?"), by_hand("Write it here.", solution=False))
    assert (found["question"], found["scheme"]) == (words("Write it here."), [])


@pytest.mark.parametrize(
    ("source", "shows"),
    [
        ("plt.plot(x)", "picture"),
        ("fig, ax = subplots()\nax.set(xlabel='beats')", "picture"),
        ("plot_roll(tune)", "picture"),
        ("play(tune)", "picture or sound"),
        ("y = [x for x in range(3)]\nprint(y)", ""),
        ("replay = tax.axle + display", ""),
    ],
)
def test_code_that_draws_or_plays(source, shows):
    marked = f"### BEGIN SOLUTION\n{source}\n### END SOLUTION"
    found = asked(text("# Draw"), by_hand(f"import music\n{marked}", kind=code))
    assert found["question"] == [{"kind": "code", "text": "import music"}]
    assert found["scheme"] == [{"kind": "code", "text": source}]
    assert found["shows"] == shows


def test_only_what_a_person_grades():
    data = sources.v4.writes(notebook(answer("a", "f = 1"), check("c", "assert f"))).encode()
    assert questions(Assignment.from_bytes(data, "ps1.ipynb")) == {}
