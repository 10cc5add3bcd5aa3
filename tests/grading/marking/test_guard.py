"""Tests aren't satisfied by nothing, and draw the same numbers for every student."""

import random

import numpy as np
import pytest

from mlmusic.grading.marking import guard


@pytest.fixture(autouse=True)
def installed():
    """Install for one test only: elsewhere NumPy is as it always is."""
    pytest.importorskip("torch")
    with guard.preserved():
        guard.install()
        yield


def test_what_was_replaced_comes_back():
    replaced = np.allclose
    with guard.preserved():
        np.allclose = max
    assert np.allclose is replaced


def drawn():
    import torch

    return (
        random.random(),
        random.Random().random(),
        random.Random().random(),
        np.random.random(),  # noqa: NPY002
        np.random.default_rng().random(),
        np.random.default_rng().random(),
        torch.rand(1).item(),
    )


def test_the_same_seed_and_words_the_same_numbers():
    guard.seed_everything(5, "test-1")
    first = drawn()
    guard.seed_everything(5, "test-1")
    assert drawn() == first
    for other in ((6, "test-1"), (5, "test-2")):
        guard.seed_everything(*other)
        assert not set(drawn()) & set(first)
    assert len(set(first)) == len(first)  # unseeded generators differ from one another


def test_seeded_generators_are_left_alone():
    guard.seed_everything(5)
    assert random.Random(3).random() == 0.23796462709189137
    assert np.random.default_rng(3).random() == 0.08564916714362436


@pytest.mark.parametrize(
    ("answer", "expected", "equal"),
    [
        ([], 440.0, False),
        (np.zeros((0, 3)), [1.0, 2.0, 3.0], False),
        ([[], []], 1.0, False),
        (440.0, [], False),
        ([], [], True),
        (440.0, 440.0, True),
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, 2.0], [1.0, 2.1], False),
        ([440.0], 440.0, True),
    ],
)
def test_an_empty_answer_is_close_to_nothing_but_an_empty_one(answer, expected, equal):
    assert bool(np.allclose(answer, expected)) is equal
    assert bool(np.all(np.isclose(answer, expected))) is equal
    assert bool(np.allclose(a=expected, b=answer)) is equal
    if equal:
        np.testing.assert_allclose(answer, expected)
    else:
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(answer, expected)


def test_exact_comparisons_of_empty_answers():
    for check in (np.testing.assert_array_equal, np.testing.assert_equal):
        with pytest.raises(AssertionError, match="nothing to compare"):
            check(np.zeros(0), 5)
        with pytest.raises(AssertionError, match="nothing to compare"):
            check(actual=np.zeros(0), desired=5)
    np.testing.assert_equal([[], [1], "", None], [[], [1], "", None])
    np.testing.assert_equal({"a": []}, {"a": []})


def test_tensors():
    import torch

    assert not torch.allclose(torch.zeros(0), torch.ones(()))
    assert not torch.isclose(torch.zeros(0), torch.ones(())).all()
    assert torch.allclose(torch.ones(2), torch.ones(2))
    assert torch.allclose(torch.zeros(0), torch.zeros(0))


EMPTY = [[], (), {}, set(), np.zeros(0), np.zeros((0, 2))]


@pytest.mark.parametrize("value", EMPTY, ids=lambda value: type(value).__name__)
def test_an_answer_that_should_not_be_empty_cannot_be_looped_over(value):
    answer = guard.wary(value, guard.describe([1]), "f()")
    assert isinstance(answer, type(value))  # what it is, it says
    for use in (list, len, lambda a: all(v > 0 for v in a), lambda a: [*zip(a, [1], strict=False)]):
        with pytest.raises(AssertionError, match=r"f\(\) gave nothing where something is expected"):
            use(answer)


def test_an_array_that_should_not_be_empty_cannot_be_compared():
    answer = guard.wary(np.zeros(0), guard.describe(np.ones(1)), "f()")
    for use in (
        lambda: answer == 1,
        lambda: np.asarray(answer) == 1,
        answer.all,
        lambda: answer - 1,
    ):
        with pytest.raises(AssertionError):
            use()
    import torch

    tensor = guard.wary(torch.zeros(0), guard.describe(torch.ones(1)), "f()")
    assert tensor.shape == (0,)
    for use in (lambda: tensor == 1, lambda: (tensor - 1).abs(), lambda: tensor.all()):
        with pytest.raises(AssertionError):
            use()


@pytest.mark.parametrize("value", EMPTY, ids=lambda value: type(value).__name__)
def test_an_answer_that_may_be_empty_is_left_alone(value):
    assert guard.wary(value, guard.describe(value), "f()") is value


def test_the_empty_part_of_an_answer():
    first, second = guard.wary(([], [1]), guard.describe(([2], [1])), "f()")
    assert second == [1]
    with pytest.raises(AssertionError):
        list(first)
    assert list(guard.wary(([], [1]), guard.describe(([], [1])), "f()")[0]) == []


@pytest.mark.parametrize(
    "value", [float("nan"), [1.0, float("nan")], np.array([np.nan]), np.float32("nan"), 1j * np.nan]
)
def test_nan_where_the_solution_has_a_number(value):
    with pytest.raises(AssertionError, match=r"f\(\) gave nan, which is not a number"):
        guard.wary(value, guard.describe(1.0), "f()")
    assert guard.wary(value, guard.describe(value), "f()") is value


@pytest.mark.parametrize(
    "value",
    [
        {"a": float("nan")},
        {"a": np.array([np.nan])},
        {float("nan")},
        [[{"a": (1.0, float("nan"))}]],
        np.array([(1.0, np.nan)], dtype=[("a", "f8"), ("b", "f8")]),
    ],
)
def test_nan_is_seen_wherever_it_is(value):
    with pytest.raises(AssertionError, match="gave nan"):
        guard.wary(value, (False, False), "f()")


def test_empty_parts_are_unusable_however_deep():
    found = guard.wary({"a": [], "b": [[], [1, []]]}, (False, False), "f()")
    for part in (found["a"], found["b"][0], found["b"][1][1]):
        with pytest.raises(AssertionError, match="gave nothing"):
            list(part)
    same = {"a": [], "b": [[], [1, []]]}
    again = guard.wary(same, guard.describe(same), "f()")
    assert [list(again["a"]), list(again["b"][0]), again["b"][1][0]] == [[], [], 1]


def test_an_empty_text_is_in_every_text():
    with pytest.raises(AssertionError, match="gave nothing"):
        guard.wary("", guard.describe("D4"), "f()")
    assert guard.wary("", guard.describe(""), "f()") == ""
    assert guard.wary("", guard.describe(None), "f()") == ""


@pytest.mark.parametrize("value", [0, "a", None, [1], [""], np.ones(2), {"a": [1]}, float("inf")])
def test_ordinary_answers_need_no_look_at_the_solution(value):
    assert not guard.is_hollow(value)
