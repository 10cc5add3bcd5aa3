"""Blind listening tests: the order is drawn, the answers are kept, the share has its interval."""

import csv
import math
import re

import pytest
from scipy import stats

from mlmusic import Score
from mlmusic.rating import COLUMNS, Rating, rate, summary, wilson

QUESTION = "Which one did a person write?"


def note(pitch, title=""):
    return Score([(0, 1, pitch)], title=title)


PAIRS = [(note(60 + i, "human"), note(80 + i, "forged")) for i in range(8)]


def test_wilsons_interval():
    found = wilson(7, 10)
    assert found.share == 0.7
    assert (found.low, found.high) == pytest.approx((0.3968, 0.8922), abs=1e-4)
    for right, answers, level in ((0, 5, 0.95), (5, 5, 0.9), (31, 60, 0.99)):
        theirs = stats.binomtest(right, answers).proportion_ci(level, method="wilson")
        found = wilson(right, answers, level=level)
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert wilson(0, 5).low == 0 and wilson(5, 5).high == 1
    none = wilson(0, 0)
    assert none.answers == 0 and math.isnan(none.share) and str(none) == "no answers yet"
    assert str(wilson(7, 10)) == "7 of 10 right: 70% (40% to 89%; guessing gives 50%)"
    for wrong in ((3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="is impossible"):
            wilson(*wrong)


@pytest.mark.parametrize("seed", range(4))
def test_answers_are_right_when_they_are(tmp_path, seed):
    rating = Rating(PAIRS, question=QUESTION, file=tmp_path / "a.csv", seed=seed)
    for number in range(8):
        clips = rating.clips()
        human = min("AB", key=lambda letter: clips[letter].notes["pitch"][0])
        other = "AB"[human == "A"]
        rating.answer(human if number < 6 else other)
    assert rating.share()[:2] == (6, 8) and summary(tmp_path / "a.csv")[:2] == (6, 8)
    rows = list(csv.DictReader((tmp_path / "a.csv").open(encoding="utf-8")))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 8
    assert sorted(int(row["pair"]) for row in rows) == list(range(8))
    assert {row["shown"] for row in rows} == {"1", "2"}
    assert all((row["answer"] == "1") == (row["right"] == "1") for row in rows)
    assert "Done. 6 of 8 right" in rating.said.value
    # The list agrees with the file.
    said = re.findall(r"Pair (\d): ([AB]); you said ([AB])<", rating.said.value)
    assert [int(number) for number, *_ in said] == list(range(1, 9))
    assert [truth == given for _, truth, given in said] == [row["right"] == "1" for row in rows]
    assert [truth for _, truth, _ in said] == ["AB"[int(row["shown"]) - 1] for row in rows]
    assert "a.csv and run the cell again" in rating.said.value
    with pytest.raises(ValueError, match="all questions"):
        rating.answer("A")


@pytest.mark.parametrize("abx", [False, True])
@pytest.mark.parametrize("pairs", [10, 7, 1])
def test_no_letter_is_right_more_often(tmp_path, pairs, abx):
    counts = set()
    for seed in range(20):
        file = tmp_path / f"{seed}.csv"
        rating = Rating([PAIRS[0]] * pairs, question=QUESTION, file=file, abx=abx, seed=seed)
        for _ in range(pairs):
            rating.answer("A")
        counts.add(rating.share().right)
    assert counts == {pairs // 2, (pairs + 1) // 2}  # one more or less, if the number is odd


def test_abx(tmp_path):
    rating = Rating(PAIRS, question="Is X A or B?", file=tmp_path / "a.csv", abx=True, seed=1)
    assert list(rating.buttons) == ["X is A", "X is B"]
    same = []
    for _ in PAIRS:
        clips = rating.clips()
        assert list(clips) == ["A", "B", "X"] and clips["A"] != clips["B"]
        same.append("A" if clips["X"] == clips["A"] else "B")
        rating.answer(same[-1])
    assert rating.share().right == 8 and set(same) == {"A", "B"}
    said = re.findall(r"Pair \d: ([AB]); you said ([AB])<", rating.said.value)
    assert said == [(letter, letter) for letter in same]


def test_order_is_blind_and_seeded(tmp_path):
    def order(seed):
        rating = Rating(PAIRS, question=QUESTION, file=tmp_path / "a.csv", seed=seed)
        found = []
        for _ in PAIRS:
            found.append(rating.clips()["A"].notes["pitch"][0])
            rating.answer("A")
        return found

    first = order(0)
    assert first == order(0) != order(1)
    assert 0 < sum(pitch >= 80 for pitch in first) < 8
    rating = Rating(PAIRS, question=QUESTION, file=tmp_path / "b.csv")
    page = rating.player()._repr_html_() + repr(rating.player())
    assert "human" not in page and "forged" not in page
    assert "pair 1 of 8" in page


def test_clicks(tmp_path):
    rating = Rating(PAIRS[:2], question=QUESTION, file=tmp_path / "a.csv")

    class Handle:
        shown = ()

        def update(self, player):
            self.shown = (*self.shown, repr(player))

    rating.handle = Handle()
    assert 'role="status"' in rating.said.value and "Pair 1 of 2" in rating.said.value
    assert all(button.tooltip.startswith("answer") for button in rating.buttons.values())
    rating.buttons["My answer: A"].click()
    assert rating.done == 1 and len(rating.handle.shown) == 1
    assert "The right answers" not in rating.said.value
    rating.buttons["My answer: B"].click()
    assert rating.done == 2 and len(rating.handle.shown) == 1
    assert all(button.disabled for button in rating.buttons.values())


def test_answers_add_up_over_tests_and_by_question(tmp_path):
    file = tmp_path / "a.csv"
    assert summary(file).answers == 0
    for question in ("one?", "two, <b>?"):
        rating = Rating(PAIRS[:3], question=question, file=file)
        for _ in range(3):
            rating.answer("A")
    assert summary(file).answers == 6 and summary(file, "two, <b>?").answers == 3
    assert "&lt;b&gt;" in rating.asked.value
    assert summary(file, "three?").answers == 0


def test_rate_shows_the_clips_first(tmp_path, capsys):
    rating = rate(PAIRS[:1], file=tmp_path / "a.csv")
    assert isinstance(rating, Rating)
    assert "B: 1 bar" in capsys.readouterr().out
    rating.answer("A")
    assert capsys.readouterr().out == "" and not list(tmp_path.glob("b*"))


def test_what_cant_be_rated(tmp_path):
    file = tmp_path / "a.csv"
    with pytest.raises(ValueError, match="nothing to rate"):
        Rating([], question=QUESTION, file=file)
    with pytest.raises(TypeError, match="pair 0 must be two scores, not Score"):
        Rating([PAIRS[0][0]], question=QUESTION, file=file)
    with pytest.raises(ValueError, match="needs a question"):
        Rating(PAIRS, question=" ", file=file)
    with pytest.raises(ValueError, match="'A' or 'B', not 'X'"):
        Rating(PAIRS, question=QUESTION, file=file).answer("X")
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no answers: its columns"):
        Rating(PAIRS, question=QUESTION, file=file)
    file.write_text(",".join(COLUMNS) + "\nq,1,1,1,yes\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: right must be 0 or 1"):
        summary(file)


def test_a_click_that_cant_be_written_says_so(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    rating = Rating(PAIRS, question=QUESTION, file=folder / "a.csv")
    folder.rmdir()
    rating.buttons["My answer: A"].click()
    assert rating.done == 0 and "written" in rating.said.value
