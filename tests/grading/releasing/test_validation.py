"""Each fault of a source is refused in one line that names the cell; what is sound passes."""

import pytest

from mlmusic.grading.releasing import validation
from tests.grading.sources import HIDE, OCTAVE, answer, by_hand, check, code, notebook, text

FINE = "assert octave_up(60) == 72"


def found(*cells, **metadata):
    return validation.faults(notebook(*cells, **metadata))


def graded(*cells):
    """Faults of a notebook with an answer, these cells, and nothing else."""
    return found(OCTAVE, *cells)


def test_a_sound_source_has_no_faults():
    assert (
        found(
            text("# Octaves\n\n**Total: 4 points**"),
            code("import numpy as np\nC = 60"),
            OCTAVE,
            check("check-octave", "assert octave_up(C) == 72", hidden="assert octave_up(1) == 13"),
            code("def twice(pitch):\n    return octave_up(octave_up(pitch))"),
            check("check-twice", "assert twice(C) == 84"),
            by_hand("listening", points=2),
            mlmusic={"points": 4, "grading": {"run": "defs", "call": 10}},
        )
        == []
    )


def test_a_notebook_without_points_is_refused():
    assert found(OCTAVE) == ["no cell is graded (nbgrader's metadata grade and points)"]


def test_every_fault_is_named_at_once_in_the_order_of_the_cells():
    faults = found(
        text("⟦rewrite: the title⟧"), OCTAVE, check("check-octave", "assert octav_up(1)", points=0)
    )
    assert [fault[:6] for fault in faults] == ["cell 1", "cell 3", "cell 3"]
    assert all("\n" not in fault for fault in faults)


NAMES = {
    "duplicate": (
        check("answer-octave", FINE),
        "cell 2 'answer-octave' has the grade_id of cell 1, too: give each cell a grade_id of its",
    ),
    "made up": (
        check("cell-3f2a9b1c4d5e6f70", FINE),
        "cell 2 'cell-3f2a9b1c4d5e6f70' has a grade_id that nbgrader made up: name it after",
    ),
    "empty": (check(" ", FINE), "cell 2 ' ' has no grade_id"),
    "column": (check("Score", FINE), "cell 2 'Score' is named like a column of grades.csv"),
    "unknown": (
        check("check-1", "assert octave_up(60) == octav_up(60)"),
        "cell 2 'check-1' uses 'octav_up', which no cell defines: check how it is spelt",
    ),
    "no answer": (
        check("check-1", "assert 60 + 12 == 72"),
        "cell 2 'check-1' tests no answer: none of the names that students define is in it "
        "(octave_up)",
    ),
    "syntax": (
        check("check-1", "assert octave_up(60 == 72"),
        "cell 2 'check-1' isn't valid Python",
    ),
    "autotest": (
        check("check-1", FINE + "\n### AUTOTEST octave_up(1)"),
        "uses AUTOTEST: write the test",
    ),
}


@pytest.mark.parametrize(("cell", "message"), NAMES.values(), ids=NAMES)
def test_an_unclear_name_is_refused(cell, message):
    (fault,) = graded(cell)
    assert message in fault


def test_locked_cells_may_have_the_names_that_nbgrader_made_up():
    marks = {"grade_id": "cell-3f2a9b1c4d5e6f70", "locked": True, "schema_version": 3}
    imports = code("C = 60", nbgrader={**marks, "grade": False, "solution": False, "task": False})
    assert graded(imports, check("check-1", FINE)) == []


def test_an_answers_name_in_two_answer_cells_is_refused():
    again = answer("answer-again", "def octave_up(pitch):\n    return pitch * 2")
    (fault,) = graded(again, check("check-1", FINE))
    assert fault == (
        "cell 2 'answer-again' defines 'octave_up', which is cell 1's answer, too: "
        "tests see the last one; rename one of them"
    )


def test_an_answer_that_a_later_cell_replaces_is_refused():
    (fault,) = graded(code("def octave_up(pitch): return 72"), check("check-1", FINE))
    assert "cell 2 'cell-1' defines 'octave_up'" in fault
    assert "this cell replaces it" in fault


def test_scratch_variables_may_have_one_name_in_two_answers():
    one = answer("answer-1", "def f(x):\n    return x\nexample = f(3)")
    two = answer("answer-2", "def g(x):\n    return x\nexample = g(4)")
    tests = [check("check-1", "assert f(1) == g(1)")]
    assert found(one, two, *tests) == []
    (fault,) = found(one, two, check("check-2", "assert example == f(4)"))
    assert "'answer-2' defines 'example'" in fault


def test_a_test_above_what_it_uses_is_refused():
    (fault,) = found(check("check-1", FINE), OCTAVE)
    assert fault == (
        "cell 1 'check-1' uses 'octave_up', which cell 2 defines further down: "
        "move the test below it"
    )


def test_a_visible_test_with_a_hidden_helper_is_refused():
    first = check("check-1", FINE, hidden="def near(a, b): return abs(a - octave_up(b)) < 1")
    (fault,) = graded(first, check("check-2", "assert near(72, 60)"))
    assert "cell 3 'check-2' shows students a test that uses 'near', which only a hidden" in fault


def test_a_test_that_is_no_python_without_its_hidden_lines_is_refused():
    body = HIDE.format("    assert octave_up(pitch)")
    cell = check("check-1", f"for pitch in range(9):\n{body}")
    (fault,) = graded(cell)
    assert "isn't valid Python without its hidden tests: hide whole statements" in fault


SOUND = {
    "eval": check("check-1", "assert eval('octave_up(60)') == 72"),
    "NameError": check("check-1", "try:\n    fifth_up\nexcept NameError:\n    pass\n" + FINE),
    "import *": check("check-1", "from math import *\nassert octave_up(floor(60.5)) == 72"),
    "ipython": check("check-1", "display(octave_up(60))\n%matplotlib inline\n" + FINE),
    "await": check("check-1", "assert (await wait(octave_up)) == 72\nasync def wait(f): return f"),
    "own helper": check("check-1", "def up(x):\n    return octave_up(x)\nassert up(60) == 72"),
}


@pytest.mark.parametrize("cell", SOUND.values(), ids=SOUND)
def test_an_unusual_test_is_not_refused(cell):
    assert graded(cell) == []


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (0, "has 0 points: they must be a number above 0"),
        (-1, "has -1 points"),
        (float("nan"), "has nan points"),
        (float("inf"), "has inf points"),
        ("2", "has '2' points"),
        (True, "has True points"),
        (None, "is graded without points: say how many"),
    ],
)
def test_wrong_points_are_refused(points, message):
    (fault,) = graded(check("check-1", FINE, points=points))
    assert f"cell 2 'check-1' {message}" in fault


@pytest.mark.parametrize("line", ["Total: 4 points", "**Total:** 4 points", "> total: 4.5 points"])
def test_a_stated_total_that_is_not_the_sum_is_refused(line):
    cells = [OCTAVE, check("check-1", FINE, points=1.5), by_hand("listening", points=2)]
    (fault,) = found(text(f"# Octaves\n\n{line}\n"), *cells)
    assert fault.startswith("cell 1 'cell-0' says 'Total: 4")
    assert fault.endswith("but the cells have 3.5")
    assert found(text("Total: 3.5 points"), *cells) == []
    assert found(text("In total 4 points of the scale are notes."), *cells) == []


@pytest.mark.parametrize("stated", [3, "2", True, float("nan")])
def test_a_total_in_the_metadata_that_is_not_the_sum_is_refused(stated):
    cells = [OCTAVE, check("check-1", FINE, points=2)]
    (fault,) = found(*cells, mlmusic={"points": stated})
    assert f'"points": {stated!r}' in fault
    assert fault.endswith("its cells have 2 points")
    assert found(*cells, mlmusic={"points": 2}) == []


@pytest.mark.parametrize(
    ("grading", "message"),
    [
        ({"run": "some"}, "says run: 'some': it is 'all' or 'defs'"),
        ({"cal": 3}, "unknown limit 'cal'"),
        ({"call": -1}, "limit 'call' must be a positive number"),
        ([], 'of the form {"mlmusic": {"grading": {…}}}'),
    ],
)
def test_wrong_settings_of_grading_are_refused(grading, message):
    (fault,) = found(OCTAVE, check("check-1", FINE), mlmusic={"grading": grading})
    assert message in fault


def ungraded(*cells, by_hand=()):
    return [line.split(": add")[0] for line in validation.ungraded(notebook(*cells), by_hand)]


SCALE = answer("answer-scale", "scale = [60, 62, 64]")
SHOWS = answer("answer-shows", "print(scale[0])")
GRADED = {
    "by its test": (check("check-1", "assert scale"),),
    "by a hidden test": (check("check-1", "", hidden="assert scale"),),
    "by a text": (check("check-1", "assert eval('len(scale)') == 3"),),
    "by what uses it": (code("top = max(scale)"), check("check-1", "assert top == 64")),
    "by another answer": (
        answer("answer-last", "def last():\n    return scale[-1]"),
        check("check-1", "assert last() == 64"),
    ),
    "by an effect": (
        code("tunes = []"),
        code("tunes.append(scale)"),
        check("check-1", "assert tunes"),
    ),
    "by anything": (code("from math import *"), check("check-1", "assert floor(1.5) == 1")),
}


@pytest.mark.parametrize("cells", GRADED.values(), ids=GRADED)
def test_an_answer_that_a_test_reaches_is_graded(cells):
    assert ungraded(SCALE, *cells) == []


def test_an_answer_that_nothing_grades_is_named():
    rest = (OCTAVE, check("check-octave", FINE))
    assert validation.faults(notebook(SCALE, *rest)) == []
    (line,) = validation.ungraded(notebook(SCALE, *rest), ())
    assert line == (
        "cell 1 'answer-scale' is graded by nothing: no test mentions scale; "
        "add a test, or give it points to be graded by hand"
    )
    assert ungraded(SCALE, *rest, by_hand={"answer-scale"}) == []
    (line,) = validation.ungraded(notebook(code("scale = [1]"), SHOWS, *rest), ())
    assert "'answer-shows' is graded by nothing: no test mentions anything of it" in line


def test_an_answer_that_changes_what_a_test_mentions_is_graded():
    grows = answer("answer-grows", "scale.append(72)")
    assert ungraded(code("scale = [60]"), grows, check("check-1", "assert scale[-1] == 72")) == []


def test_what_is_graded_by_hand_is_graded():
    plot = answer("plot", "figure = 3")
    plot.metadata.nbgrader |= {"grade": True, "points": 2}
    assert ungraded(plot, by_hand("why"), OCTAVE, check("check-1", FINE)) == []


def test_a_slot_that_is_left_is_refused_whatever_the_cell():
    faults = graded(check("check-1", FINE + "  # ⟦rewrite: draw notes⟧"), text("⟦rewrite⟧"))
    assert [fault.split(" still")[0] for fault in faults] == ["cell 2 'check-1'", "cell 3 'cell-2'"]
    assert "write its text yourself and delete" in faults[0]


def test_a_cell_without_an_id_is_named_by_its_number():
    content = notebook(OCTAVE, check("check-1", FINE), text("⟦rewrite: x⟧"))
    del content.cells[2]["id"]
    (fault,) = validation.faults(content)
    assert fault.startswith("cell 3 still has a slot")
