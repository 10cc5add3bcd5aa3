"""What Python said about a student's code is told without loose ends."""

import pytest

from mlmusic.grading.pages.wording import folded, is_unwritten, tidy

TOLD = "not answered yet: raises NotImplementedError"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("NotImplementedError:", TOLD),
        ("NotImplementedError", TOLD),
        ("cell 18: NotImplementedError: ", f"cell 18: {TOLD}"),
        ("your code raised NotImplementedError (line 3 of its cell): ",
         f"{TOLD} (line 3 of its cell)"),
        ("your code raised NotImplementedError: ", TOLD),
        ("NotImplementedError: jazz is too hard", "NotImplementedError: jazz is too hard"),
        ("cell 2: KeyboardInterrupt:", "cell 2: KeyboardInterrupt"),
        ("your code raised ValueError (line 1 of its cell): ",
         "your code raised ValueError (line 1 of its cell)"),
        ("KeyError: 'a:'", "KeyError: 'a:'"),
        ("MyNotImplementedError:", "MyNotImplementedError"),
        ("", ""),
    ],
)  # fmt: skip
def test_nothing_dangles(message, told):
    assert tidy(message) == told
    assert is_unwritten(message) == (TOLD in told)


def test_cells_that_failed_alike_share_a_line():
    assert folded([]) == []
    assert folded(["cell 3: NameError: x"]) == ["cell 3: NameError: x"]
    assert folded(
        ["cell 3: A: x", "cell 4: B:", "cell 9: A: x", "cell 9: A: x", "no number", "no number"]
    ) == ["cells 3, 9: A: x", "cell 4: B", "no number"]
    assert folded(["cell 3 ran for more than 20 s"]) == ["cell 3 ran for more than 20 s"]
