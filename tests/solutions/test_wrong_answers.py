"""The checks of the exercises: right answers pass, common wrong ones get a hint and no credit."""

import importlib
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"
EXERCISES = SOLUTIONS.parent / "exercises"
CHAPTERS = sorted(path.stem for path in SOLUTIONS.glob("*.ipynb"))


def code_cells(chapter: str, folder: Path = SOLUTIONS) -> list[dict[str, Any]]:
    notebook = nbformat.read(folder / f"{chapter}.ipynb", as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id != "setup"]


def is_answer(cell: dict) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def checks_of(chapter: str) -> dict[str, list[str]]:
    """The sources of the graded cells behind each answer cell."""
    checks: dict[str, list[str]] = {}
    answer = ""
    for cell in code_cells(chapter):
        if is_answer(cell):
            answer = cell.id
        elif cell.metadata.get("nbgrader", {}).get("grade"):
            checks.setdefault(answer, []).append(cell.source)
    return checks


def namespace(chapter: str) -> dict[str, Any]:
    """What the notebook defines when every cell but the checks was run."""
    names: dict[str, Any] = {"display": lambda *_: None}
    for cell in code_cells(chapter):
        if not cell.metadata.get("nbgrader", {}).get("grade"):
            exec(cell.source, names)
    return names


@pytest.fixture(scope="module")
def solved() -> dict[str, dict[str, Any]]:
    return {chapter: namespace(chapter) for chapter in CHAPTERS}


def wrong_answers() -> list:
    cases = []
    for chapter in CHAPTERS:
        wrong = importlib.import_module(f"tests.solutions.wrong_{chapter}").WRONG
        for answer, answers in wrong.items():
            for i, (source, hint) in enumerate(answers):
                cases.append(
                    pytest.param(chapter, answer, source, hint, id=f"{chapter}-{answer}-{i}")
                )
    return cases


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_solution_passes_however_the_tests_are_drawn(chapter, solved):
    for _ in range(10):
        for sources in checks_of(chapter).values():
            for source in sources:
                exec(source, dict(solved[chapter]))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_an_unanswered_exercise_earns_nothing(chapter, solved):
    """The stubs that students get, against every visible and hidden check."""
    names = dict(solved[chapter])
    stubs = [cell for cell in code_cells(chapter, EXERCISES) if is_answer(cell)]
    assert [cell.id for cell in stubs] == list(checks_of(chapter))
    for cell in stubs:
        exec(cell.source, names)
    for answer, checks in checks_of(chapter).items():
        for check in checks:
            with pytest.raises(NotImplementedError):
                exec(check, dict(names))
            assert "NotImplementedError" not in check, answer  # none of them swallows it


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_answer_has_at_least_two_wrong_ones(chapter):
    wrong = importlib.import_module(f"tests.solutions.wrong_{chapter}").WRONG
    assert set(wrong) == set(checks_of(chapter))
    assert all(len(answers) >= 2 for answers in wrong.values())


@pytest.mark.parametrize(("chapter", "answer", "source", "hint"), wrong_answers())
def test_a_wrong_answer_gets_a_hint_and_no_credit(chapter, answer, source, hint, solved):
    visible, *hidden = checks_of(chapter)[answer]
    names = dict(solved[chapter])
    # Checks may define helpers, which the later ones use: run the solution's first.
    exec(visible, names)
    exec(source, names)
    with pytest.raises(Exception) as caught:  # told apart in the next line
        exec(visible, dict(names))
    assert isinstance(caught.value, AssertionError), f"no hint in words, but {caught.value!r}"
    assert re.search(hint, str(caught.value))
    for check in hidden:
        with pytest.raises(Exception):  # noqa: B017  # any failure denies the points
            exec(check, dict(names))
