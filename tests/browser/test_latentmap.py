"""The map of chapter 05 in JupyterLab: clicked, entered by key, walked with the arrow keys."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_hosts import open_and_run
from waiting import wait

CELLS = [
    "import numpy as np\nfrom IPython.display import display\nfrom mlmusic import Score, play\n"
    "from mlmusic.latentmap import LatentMap",
    # Row n has n notes more than one; column m begins m semitones above middle C.
    "grid = np.stack(np.meshgrid(np.arange(3), np.arange(4), indexing='ij'), axis=-1)\n"
    "def heard(z):\n"
    "    return Score([(i, 1, 60 + int(z[1])) for i in range(int(z[0]) + 1)])\n"
    "atlas = LatentMap(grid, heard, mark=lambda score: str(len(score)))\n"
    "shown = display(play(atlas.score(), title='here'), display_id=True)\n"
    "atlas.observe(\n"
    "    lambda change: shown.update(play(atlas.score(), title='here')), names='place')\n"
    "atlas",
]


@pytest.fixture(scope="module")
def page(driver, server):
    return open_and_run(driver, server, "lab", CELLS, players=1)


def button(page, row: int, column: int):
    """Return the button of a point, from 1; its tooltip is its name."""
    start = f"row {row}, column {column}:"
    return page.driver.find_element(By.CSS_SELECTOR, f"button.jupyter-button[title^='{start}']")


def handle(page, name: str):
    """Return the part of a slider that the Tab key reaches."""
    for slider in page.driver.find_elements(By.CSS_SELECTOR, ".widget-slider"):
        if slider.find_element(By.CSS_SELECTOR, ".widget-label").text == name:
            return slider.find_element(By.CSS_SELECTOR, "[tabindex='0']")
    raise LookupError(name)


def sound(page) -> str:
    """Return what the player has to play, as its page holds it."""
    return page.part(page.players()[0], "audio").get_attribute("src")


def test_a_click_gives_another_sound(page):
    wait(lambda: page.said().startswith("Row 1, column 1."), "the first place")
    before = sound(page)
    button(page, 3, 2).click()
    wait(lambda: page.said().startswith("Row 3, column 2."), "the place in words")
    wait(lambda: sound(page) != before, "another sound")


def test_enter_on_a_button(page):
    before = sound(page)
    button(page, 2, 4).send_keys(Keys.ENTER)
    wait(lambda: page.said().startswith("Row 2, column 4."), "the place in words")
    wait(lambda: sound(page) != before, "another sound")


def test_arrow_keys_walk(page):
    button(page, 1, 1).click()
    wait(lambda: page.said().startswith("Row 1, column 1."), "the first place")
    heard = [sound(page)]
    for name, key, place in (
        ("across", Keys.ARROW_RIGHT, "Row 1, column 2."),
        ("across", Keys.ARROW_RIGHT, "Row 1, column 3."),
        ("up", Keys.ARROW_UP, "Row 2, column 3."),
        ("across", Keys.ARROW_LEFT, "Row 2, column 2."),
    ):
        handle(page, name).send_keys(key)
        wait(lambda place=place: page.said().startswith(place), place)
        wait(lambda: sound(page) != heard[-1], "another sound")
        heard.append(sound(page))
    assert len(set(heard)) == 5
