"""The boxes of chapter 08 in JupyterLab: marked by mouse and by keyboard, refined, taken back."""

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_hosts import open_and_run
from waiting import wait

CELLS = [
    "from dataclasses import replace\nimport numpy as np\n"
    "from mlmusic import Score\nfrom mlmusic.refine import refine",
    "piece = Score([(4 * bar, 4, 72 - 8 * v, 80, v) for bar in range(3) for v in range(4)])\n"
    "def fill(score, marked, strength, seed):\n"
    "    notes = score.notes.copy()\n"
    "    bar = (notes['onset'] // 4).astype(int)\n"
    "    notes['pitch'][marked[notes['voice'], bar]] += 1\n"
    "    return replace(score, notes=notes)\n"
    "refine(piece, fill)",
]


@pytest.fixture(scope="module")
def page(driver, server):
    return open_and_run(driver, server, "lab", CELLS, players=1)


def box(page, name: str):
    """Return the checkbox whose accessible name this is, as the browser computes it."""
    boxes = page.driver.find_elements(By.CSS_SELECTOR, ".widget-checkbox input[type=checkbox]")
    return next(found for found in boxes if found.accessible_name == name)


def button(page, name: str):
    buttons = page.driver.find_elements(By.CSS_SELECTOR, "button.jupyter-button")
    return next(found for found in buttons if found.accessible_name == name)


def sound(page) -> str:
    return page.part(page.players()[0], "audio").get_attribute("src")


def test_marked_by_mouse_and_by_keyboard(page):
    assert page.said() == "Mark bars, then press Refine."
    before = sound(page)
    box(page, "alto 2").click()
    page.js("arguments[0].focus()", box(page, "alto 2"))
    ActionChains(page.driver).send_keys(Keys.TAB, Keys.SPACE).perform()  # on to alto 3
    assert box(page, "alto 3").is_selected() and not box(page, "alto 1").is_selected()
    button(page, "Refine").send_keys(Keys.ENTER)
    wait(lambda: "Differs from before in bars 2–3." in page.said(), "what changed, in words")
    wait(lambda: len(page.players()) == 1 and "after" in page.players()[0].text, "both versions")
    assert sound(page) != before  # both versions have one loudness
    assert "Remarks after" in page.driver.find_element(By.TAG_NAME, "body").text


def test_undo(page):
    assert button(page, "Undo").is_enabled()
    button(page, "Undo").click()
    wait(lambda: page.said().startswith("Undone."), "the way back")
    wait(lambda: not button(page, "Undo").is_enabled(), "nothing left to undo")
    wait(lambda: "after" not in page.players()[0].text, "one version")


def test_nothing_is_printed_and_nothing_fails(page):
    kinds = (
        f".jp-OutputArea-output[data-mime-type$={kind}]" for kind in ("stdout", "stderr", "error")
    )
    assert not page.driver.find_elements(By.CSS_SELECTOR, ", ".join(kinds))
