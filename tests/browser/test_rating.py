"""The blind test of chapter 04 in JupyterLab: answered by mouse and by keyboard, written down."""

import csv
import re

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_hosts import open_and_run
from waiting import wait

from mlmusic.rating import COLUMNS, summary

CELLS = [
    "import numpy as np\nfrom mlmusic.rating import rate, summary\n"
    "from mlmusic.windows import to_score\n"
    "def clip(pitch):\n"
    "    return to_score(np.tile([pitch - 53, 0, 0, 0], 8), 16)\n"
    "up, down = [clip(p) for p in (72, 74, 76)], [clip(p) for p in (62, 60, 57)]",
    "rate(list(zip(up, down)), question='Which one is higher?', file='higher.csv')",
    "rate([(up[0], down[0])], question='Is X the same as A or B?', file='same.csv', abx=True)",
]
HIGHER, SAME = range(2)  # the tests, in the order of the cells


@pytest.fixture(scope="module")
def files(server):
    return server("lab").notebooks


@pytest.fixture(scope="module")
def page(driver, server, files):
    return open_and_run(driver, server, "lab", CELLS, players=2)


def button(page, name: str):
    """Return the button with a name; a screen reader reads the same."""
    name = f"My answer: {name}" if name in ("A", "B") else name
    buttons = page.driver.find_elements(By.CSS_SELECTOR, "button.jupyter-button")
    return next(b for b in buttons if b.text == name)


def higher(page) -> str:
    """Read the shown picture's text, that of A, as a deaf listener does: is it the higher one?"""
    player = page.players()[HIGHER]
    text = page.part(player, ".mlm-page img").get_attribute("alt")
    return "A" if re.search(r"starts on [A-G]#?5", text) else "B"


def rows(path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_answered_by_mouse_and_keyboard(page, files):
    assert page.said(HIGHER) == "Pair 1 of 3: listen, then answer."
    assert not (files / "higher.csv").exists()
    first = higher(page)
    button(page, first).click()
    wait(lambda: page.said(HIGHER) == "Pair 2 of 3: listen, then answer.", "the second pair")
    wait(lambda: "pair 2 of 3" in page.players()[HIGHER].text, "its clips")
    assert [row["right"] for row in rows(files / "higher.csv")] == ["1"]

    button(page, higher(page)).send_keys(Keys.ENTER)
    wait(lambda: page.said(HIGHER) == "Pair 3 of 3: listen, then answer.", "the third pair")
    wait(lambda: "pair 3 of 3" in page.players()[HIGHER].text, "its clips")

    wrong = {"A": "B", "B": "A"}[higher(page)]
    page.js("arguments[0].focus()", button(page, "A"))
    if wrong == "B":
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
    # Tab goes from one to the other.
    assert page.driver.switch_to.active_element.text == f"My answer: {wrong}"
    ActionChains(page.driver).send_keys(Keys.SPACE).perform()
    wait(lambda: page.said(HIGHER).startswith("Done. 2 of 3 right: 67%"), "the sum")
    truth = {"A": "B", "B": "A"}[wrong]
    assert f"Pair 3: {truth}; you said {wrong}" in page.said(HIGHER)
    assert not button(page, "A").is_enabled() and not button(page, "B").is_enabled()

    found = rows(files / "higher.csv")
    assert tuple(found[0]) == COLUMNS
    assert [row["right"] for row in found] == ["1", "1", "0"]
    assert sorted(row["pair"] for row in found) == ["0", "1", "2"]
    assert {row["question"] for row in found} == {"Which one is higher?"}
    assert str(summary(files / "higher.csv")) in page.said(HIGHER)


def test_a_third_clip(page, files):
    """In A/B/X the three pictures tell a deaf listener, and the buttons say what they mean."""
    assert page.said(SAME) == "Pair 1 of 1: listen, then answer."
    button(page, "X is A").send_keys(Keys.ENTER)
    wait(lambda: page.said(SAME).startswith("Done."), "the sum")
    (row,) = rows(files / "same.csv")
    assert row["right"] == str(int(row["shown"] == "1"))


def test_nothing_is_printed_and_nothing_fails(page):
    kinds = (
        f".jp-OutputArea-output[data-mime-type$={kind}]" for kind in ("stdout", "stderr", "error")
    )
    assert not page.driver.find_elements(By.CSS_SELECTOR, ", ".join(kinds))
