"""The widget "Your five" of chapter 07 in JupyterLab, made by the notebook's own cells."""

import json
import re
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from test_hosts import BENIGN, open_and_run
from waiting import wait

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "07_recommend.ipynb"
# A small world in place of the chapter's: other listeners, and tunes of two notes.
WORLD = """
import time
import ipywidgets
import numpy as np
from IPython.display import display
from mlmusic import Score, play
from mlmusic.listeners import simulate
from mlmusic.models.recommend import EASE
from mlmusic.metrics.ranking import top

features = np.random.default_rng(0).normal(size=(700, 5))
plays = simulate(range(700), features, listeners=150, seed=0).plays
scores = [
    Score([(0, 1, 48 + n % 40), (1, 1, 48 + n // 40)], title=f"Tune {n}") for n in range(700)
]
popularity = known_by = plays.popularity()
by_fame = np.argsort(-popularity, kind="stable")
models, mild = {"EASE": EASE().fit(plays)}, 1.0


def clip(item, bars=8):
    return scores[item]
"""


def cells() -> list[str]:
    """Return the world, the chapter's `damp`, and its cells from `offered` to the widget."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    source = {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}
    damp = re.search(r"^def damp\(.*?(?=\n\n\n)", source["mitigate"], re.S | re.M).group()
    own = [source[name] for name in ("offered", "yours", "answer", "answer-show")]
    return [f"{WORLD}\n\n{damp}", *own]


@pytest.fixture(scope="module")
def page(driver, server):
    driver.get("about:blank")
    driver.get_log("browser")
    return open_and_run(driver, server, "lab", cells(), players=2)


def button(page, name: str):
    buttons = page.driver.find_elements(By.CSS_SELECTOR, "button.jupyter-button")
    return next(b for b in buttons if b.text == name)


def ticks(page) -> list:
    return page.driver.find_elements(By.CSS_SELECTOR, ".widget-checkbox input")


def sound(page) -> str:
    """Return what the list's player has to play, as its page holds it."""
    return page.part(page.players()[1], "audio").get_attribute("src")


def listed(page) -> list[str]:
    """Read the list: the tune that plays from the status, the others from the player's title."""
    first = re.match(r"For you: (Tune \d+)\.", page.said()).group(1)
    player = page.players()[1]
    # The player is put in place a moment after the status.
    assert re.match(rf"{first}\b", page.part(player, ".mlm-page img").get_attribute("alt"))
    then = re.search(r"Then: (Tune \d+(?:, Tune \d+)*)", player.text).group(1)
    return [first, *then.split(", ")]


def settled(page, condition, what: str) -> list[str]:
    """Wait until status and player agree on a list that fulfils the condition; return it."""

    def now():
        tunes = listed(page)
        return len(set(tunes)) == 5 and condition(tunes) and tunes

    return wait(now, what)


def test_ticks_change_the_list(page):
    before = settled(page, lambda now: True, "the first list")
    heard = wait(lambda: sound(page), "its sound")
    assert [tick.is_selected() for tick in ticks(page)] == [True] * 5 + [False] * 4
    for tick in ticks(page):  # the other four
        page.js("arguments[0].click()", tick)
    assert [tick.is_selected() for tick in ticks(page)] == [False] * 5 + [True] * 4
    after = settled(page, lambda now: now != before, "another list")
    wait(lambda: (sound(page) == heard) == (after[0] == before[0]), "the sound of its first")
    for tick in ticks(page):
        page.js("arguments[0].click()", tick)
    settled(page, lambda now: now == before, "the first list again")
    offered = wait(lambda: page.players()[0].text, "the tunes on offer")
    assert not any(re.search(rf"{tune}\b", offered) for tune in {*before, *after})


def test_yes_no_and_back(page):
    start = settled(page, lambda now: True, "a list")
    wait(lambda: page.said() == f"For you: {start[0]}. You said: nothing yet.", "the status")
    button(page, "yes, more like it").click()
    wait(lambda: page.said().endswith(f"You said: yes to {start[0]}."), "the yes in words")
    liked = settled(page, lambda now: start[0] not in now, "a list without what was answered")

    button(page, "no, not this one").send_keys(Keys.ENTER)
    said = f"You said: yes to {start[0]}; no to {liked[0]}."
    wait(lambda: page.said().endswith(said), "the no in words")
    settled(page, lambda now: not {start[0], liked[0]} & set(now), "a list without both")

    for left, words in ((liked, f"You said: yes to {start[0]}."), (start, "nothing yet.")):
        button(page, "take back").send_keys(Keys.SPACE)
        wait(lambda words=words: page.said().endswith(words), "one answer fewer")
        settled(page, lambda now, left=left: now == left, "the list from before")
    button(page, "take back").click()  # with nothing to take back
    settled(page, lambda now: now == start, "the same list")


def test_no_tick_at_all_gives_what_everybody_plays(page):
    for tick in ticks(page)[:5]:
        page.js("arguments[0].click()", tick)
    wait(lambda: not any(tick.is_selected() for tick in ticks(page)), "no tick")
    settled(page, lambda now: True, "a list")


def test_nothing_is_printed_and_nothing_fails(page):
    kinds = (f".jp-OutputArea-output[data-mime-type$={kind}]" for kind in ("stderr", "error"))
    assert not page.driver.find_elements(By.CSS_SELECTOR, ", ".join(kinds))
    errors = [
        entry["message"]
        for entry in page.driver.get_log("browser")
        if entry["level"] == "SEVERE" and not any(known in entry["message"] for known in BENIGN)
    ]
    assert errors == []
