"""Hidden tests stay hidden: what an exercise shows of them is named, and nothing else."""

import copy

import pytest

from mlmusic.grading.releasing import hidden, validation
from tests.grading.sources import HIDE, OCTAVE, answer, check, code, notebook, text


def leaks(*cells):
    """What students see of the hidden tests, of an exercise without its hidden lines."""
    source = notebook(OCTAVE, *cells)
    released = copy.deepcopy(source)
    for cell in released.cells:
        cell.source = hidden.without_hidden(cell.source)
    return hidden.leaks(source, released)


VISIBLE = "assert octave_up(60) == 72"
TOLD = {
    "in a visible test": [check("check-1", VISIBLE, hidden=VISIBLE + ", 'another message'")],
    "written otherwise": [check("check-1", "assert octave_up( 60 )==72", hidden=VISIBLE)],
    "in another cell": [code(VISIBLE), check("check-1", "octave_up", hidden=VISIBLE)],
    "in a text": [text("So `octave_up(60) == 72`."), check("check-1", "octave_up", hidden=VISIBLE)],
    "in a comment": [check("check-1", "# octave_up(60) == 72\noctave_up", hidden=VISIBLE)],
    "other quotes": [
        text('`name(60) == "C"`'),
        check("check-1", "octave_up", hidden="assert name(60) == 'C'"),
    ],
    "in a loop, with its values": [
        check(
            "check-1",
            "for p in (1, 2):\n    assert octave_up(p) == p + 12",
            hidden="for p in (1, 2):\n    assert octave_up(p) == p + 12, 'no'",
        )
    ],
    "with what it is about": [
        check(
            "check-1",
            "rows = [1, 2]\nassert octave_up(rows[0]) == 13",
            hidden="rows = [1, 2]\nassert octave_up(rows[0]) == 13",
        )
    ],
    "testing": [
        code("np.testing.assert_allclose(octave_up(1), 13)"),
        check("c", "octave_up", hidden="np.testing.assert_allclose(octave_up(1), 13)"),
    ],
    "a helper of the course": [
        code("checks.close(octave_up(1), 13)"),
        check("check-1", "octave_up", hidden="checks.close(octave_up(1), 13)"),
    ],
    "if and raise": [
        code("if octave_up(1) != 13:\n    raise ValueError"),
        check("c", "octave_up", hidden="if octave_up(1) != 13:\n    raise ValueError"),
    ],
}


@pytest.mark.parametrize("cells", TOLD.values(), ids=TOLD)
def test_a_hidden_assertion_that_students_see_is_named(cells):
    (fault,) = leaks(*cells)
    assert fault.startswith(f"cell {len(cells) + 1} 'c")
    assert " hides " in fault
    assert "but students see it in cell " in fault
    assert fault.endswith(": change one of them")


DRAWN = "rng = np.random.default_rng()\nfor p in rng.integers(0, 99, 5):\n    "
KEPT = {
    "the property of other values": [
        check(
            "check-1",
            "for p in (1, 2):\n    assert octave_up(p) == p + 12",
            hidden=DRAWN + "assert octave_up(p) == p + 12",
        )
    ],
    "a property that the text tells": [
        text("It must hold that `octave_up(p) == p + 12`."),
        check("check-1", VISIBLE, hidden=DRAWN + "assert octave_up(p) == p + 12"),
    ],
    "the same draw, another property": [
        check(
            "check-1",
            DRAWN + "assert octave_up(p) > p",
            hidden=DRAWN + "assert octave_up(p) == p + 12",
        )
    ],
    "built step by step": [
        check(
            "check-1",
            "row = []\nrow.append(60)\nassert octave_up(row[0]) == 72",
            hidden="row = []\nrow.append(draw())\nassert octave_up(row[0]) == 72",
        )
    ],
    "through another name": [
        check(
            "check-1",
            "low = 1\nhigh = low + 12\nassert octave_up(low) == high",
            hidden="low = draw()\nhigh = low + 12\nassert octave_up(1) < high",
        )
    ],
    "common lines": [
        check(
            "check-1",
            "import numpy as np\nx = np.arange(3)\nassert octave_up(x[0])",
            hidden="import numpy as np\nx = np.arange(3)\nassert octave_up(x[1]) == 13",
        )
    ],
    "no call": [text("`ready`"), check("c", "octave_up", hidden="ready = 1\nassert ready")],
}


@pytest.mark.parametrize("cells", KEPT.values(), ids=KEPT)
def test_what_students_cannot_use_is_not_named(cells):
    assert leaks(*cells) == []


def misplaced(*cells):
    return [fault for fault in validation.faults(notebook(OCTAVE, *cells))]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("hidden-1", ""),
        ("check_hidden", ""),
        ("test-hidden-octaves", ""),
        ("check-1", "# Hidden: octaves drawn anew\n"),
        ("check-1", "### hidden tests\n"),
    ],
)
def test_a_cell_called_hidden_that_hides_nothing_is_refused(name, first):
    (fault,) = misplaced(check(name, first + VISIBLE))
    assert f"cell 2 '{name}' is called hidden, but students would see it" in fault
    assert misplaced(check(name, first, hidden=VISIBLE)) == []


@pytest.mark.parametrize("name", ["hidden-state", "check-hidden_layer", "hidden-markov-1"])
def test_the_hidden_states_of_a_model_may_be_tested_openly(name):
    assert misplaced(check(name, "# Hidden state\n" + VISIBLE)) == []


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (code(HIDE.format(VISIBLE)), "has hidden tests, but is no test cell"),
        (text(HIDE.format(VISIBLE)), "has hidden tests, but is no test cell"),
        (
            answer("answer-2", "### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n" + HIDE.format("x")),
            "has hidden tests, but is no test cell",
        ),
        (code("### BEGIN SOLUTION\nx = 1\n### END SOLUTION"), "isn't marked as one"),
        (code("### END HIDDEN TESTS"), "'END HIDDEN TESTS' lines that don't pair"),
        (check("c", VISIBLE + "\n### BEGIN HIDDEN TESTS"), "lines that don't pair"),
        (check("c", VISIBLE + "\n" + HIDE.format(HIDE.format("1"))), "lines that don't pair"),
        (answer("answer-2", "### BEGIN SOLUTION\nx = 1"), "'END SOLUTION' lines that don't pair"),
        (check("c", VISIBLE, hidden="# later"), "hides nothing: write a test between"),
    ],
)
def test_misplaced_markers_are_refused(cell, message):
    faults = misplaced(cell, check("check-9", VISIBLE))
    assert any(message in fault and fault.startswith("cell 2") for fault in faults), faults


def test_lines_are_counted_as_the_cell_shows_them():
    source = f"a\n{HIDE.format('b')}\nc\n    {HIDE.format('    d')}"
    assert [i for i, line in hidden.hidden_lines(source).items() if line.strip()] == [3, 7]
    assert hidden.without_hidden(source) == "a\nc"
