"""The keyboard of chapter 03 in JupyterLab: clicked, typed into, worked without a mouse."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_hosts import open_and_run
from waiting import wait

CELLS = [
    "from IPython.display import display\nfrom mlmusic import play\n"
    "from mlmusic.keyboard import Keyboard",
    "keyboard = Keyboard([74, 71, 67, 69])\n"
    "answer = display(play(keyboard.score()), display_id=True)\n"
    "def played(change):\n"
    "    if len(keyboard.pitches) == keyboard.count:\n"
    "        answer.update(play(keyboard.score()))\n"
    "keyboard.observe(played, names='pitches')\n"
    "keyboard",
]


@pytest.fixture(scope="module")
def page(driver, server):
    return open_and_run(driver, server, "lab", CELLS, players=1)


def key(page, name: str):
    """Return the key with a name; a screen reader reads the same."""
    buttons = page.driver.find_elements(By.CSS_SELECTOR, "button.jupyter-button")
    return next(b for b in buttons if b.text == name)


def answered(page, start: str) -> bool:
    alt = page.part(page.players()[0], ".mlm-page img").get_attribute("alt")
    return f"starts on {start}" in alt


def test_clicked_and_pressed(page):
    wait(lambda: page.said() == "4 of 4 notes: D5 B4 G4 A4", "what the program played")
    key(page, "E4").click()
    wait(lambda: page.said() == "1 of 4 notes: E4", "a new phrase")
    names = [b.text for b in page.driver.find_elements(By.CSS_SELECTOR, "button.jupyter-button")]
    sharp = next(name for name in names if name.startswith("F") and len(name) == 3)
    for name in (sharp, "A4"):
        key(page, name).send_keys(Keys.ENTER)
    wait(lambda: page.said().startswith("3 of 4 notes"), "two keys by the Enter key")
    key(page, "D5").send_keys(Keys.SPACE)
    wait(lambda: answered(page, "E4"), "the answer to four notes")


def test_typed(page):
    line = page.driver.find_element(By.CSS_SELECTOR, "input[placeholder='D4 F#4 A4 D5']")
    line.send_keys("H4" + Keys.ENTER)
    wait(lambda: page.said().startswith("'H4' isn't a note"), "a word of help")
    line.clear()
    line.send_keys("C4 E G C5" + Keys.ENTER)
    wait(lambda: page.said() == "4 of 4 notes: C4 E4 G4 C5", "the typed notes")
    wait(lambda: answered(page, "C4"), "the answer to what was typed")
