"""The player in real hosts: JupyterLab, Notebook 7, the classic notebook, an HTML export."""

import json
import re
import time
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from handmade import air, jig
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from waiting import wait

from mlmusic import play

# Messages of the host applications themselves, seen with players and without.
BENIGN = (
    "favicon",  # a server without an icon
    "Failed to load resource: the server responded with a status of 404",  # empty workspace
    "MathJax",  # the classic notebook looks for it
    "nbextensions",  # the classic notebook probes for extensions that aren't there
    "_deserialize_state",  # the classic notebook's Output widget, with and without players
    "Could not create a model",  # the same
    "reading 'schema'",  # Notebook 7.6 while it loads its settings
    "cdnjs.cloudflare.com",  # nbconvert's page wants MathJax and RequireJS, the player doesn't
)

CELLS = [
    f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    "import ipywidgets\nfrom IPython.display import display\n"
    "from handmade import air, jig\nfrom mlmusic import play",
    "play(air())",
    "play({'Slow': jig(90), 'Fast': jig(180)})",
    "play(air(), stems=True, view='notation', loop=(2, 3))",
    "handle = display(play(jig()), display_id=True)",
    "output = ipywidgets.Output()\nwith output:\n    display(play(jig()))\noutput",
    "def change(_):\n    handle.update(play(jig().transpose(5)))\n    with output:\n"
    "        output.clear_output(wait=True)\n        display(play(jig().transpose(7)))\n"
    "button = ipywidgets.Button(description='Change')\nbutton.on_click(change)\nbutton",
]
SINGLE, PAIR, STEMS, HANDLE, WIDGET = range(5)  # the players, in the order of the cells


def notebook(path, outputs=(), cells=CELLS):
    """Write the notebook; with `outputs`, as if it had been run, but signed by nobody."""
    cells = [nbformat.v4.new_code_cell(source) for source in cells]
    for cell, html in zip(cells[1:], outputs, strict=False):
        data = {"text/html": html, "text/plain": "Player"}
        cell["outputs"] = [nbformat.v4.new_output("execute_result", data, execution_count=1)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


class Page:
    """A page with players, and what a listener does with them."""

    def __init__(self, driver, kind: str) -> None:
        self.driver, self.kind = driver, kind

    def js(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def said(self, widget: int = 0) -> str:
        """Return what a widget announces to screen readers."""
        regions = ".widget-html [role=status][aria-live]"
        return self.driver.find_elements(By.CSS_SELECTOR, regions)[widget].text

    def players(self) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, ".mlmusic-on")

    def show(self, i: int):
        player = self.players()[i]
        self.js("arguments[0].scrollIntoView({block: 'start'})", player)
        return player

    def part(self, player, selector: str):
        return player.find_element(By.CSS_SELECTOR, selector)

    def slider(self, player):
        return self.part(player, "[role=slider]")

    def button(self, player, text: str):
        buttons = player.find_elements(By.CSS_SELECTOR, "button")
        return next(b for b in buttons if text in (b.text, b.get_attribute("aria-label")))

    def sounds(self, player) -> list[dict]:
        return self.js(
            "return [...arguments[0].querySelectorAll('audio')].map(a => ({time: a.currentTime,"
            " on: !a.paused, rate: a.playbackRate, length: a.duration, muted: a.muted,"
            " error: a.error && a.error.message}))",
            player,
        )

    def head(self, player) -> float:
        return self.js("return parseFloat(arguments[0].style.left)", self.part(player, ".mlm-head"))

    def keys(self, player, *keys: str) -> None:
        self.js("arguments[0].focus({preventScroll: true})", self.slider(player))
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def at(self, player, x: float, y: float = 0.5) -> tuple:
        """Return the slider and the offset from its centre of a point given in shares."""
        slider = self.slider(player)
        return slider, (x - 0.5) * slider.size["width"], (y - 0.5) * slider.size["height"]

    def quiet(self) -> None:
        self.js("document.querySelectorAll('audio').forEach(a => a.pause())")


def open_and_run(driver, server, kind: str, cells=CELLS, players: int = 5) -> Page:
    here = server(kind)
    notebook(here.notebooks / f"{players} players.ipynb", cells=cells)
    driver.get(here.address(f"{players}%20players.ipynb"))
    page = Page(driver, kind)
    if kind == "classic":
        # The widgets' extension asks the kernel for its models as it loads: let it finish.
        ready = "const k = Jupyter.notebook.kernel; return k.is_connected() && !!k.widget_manager"
        wait(lambda: page.js(ready), "a kernel with widgets")
        time.sleep(5)
        page.js("Jupyter.notebook.execute_all_cells()")
    else:
        ready = "return !!document.querySelector('.jp-Notebook .jp-Cell') && !!window.jupyterapp"
        wait(lambda: page.js(ready), "the notebook")
        # A kernel that settles late drops what was sent to it: run again until every cell has run.
        run_all = """
          const panel = window.jupyterapp.shell.currentWidget, context = panel.sessionContext;
          const prompts = [...document.querySelectorAll('.jp-InputArea-prompt')];
          if (!context.isReady || context.kernelDisplayStatus !== 'idle') return false;
          if (prompts.length && prompts.every(p => /\\d/.test(p.textContent))) return true;
          window.jupyterapp.commands.execute('notebook:run-all-cells');
        """
        wait(lambda: page.js(run_all) or time.sleep(2), "a kernel that runs every cell")
    wait(lambda: len(page.players()) == players, f"{players} upgraded players")
    return page


def export(driver, tmp_path_factory) -> Page:
    exporter = pytest.importorskip("nbconvert").HTMLExporter()
    folder = tmp_path_factory.mktemp("export")
    path = folder / "players.ipynb"
    notebook(path, html())
    body, _ = exporter.from_filename(str(path))
    (folder / "players.html").write_text(body)
    driver.get((folder / "players.html").as_uri())
    page = Page(driver, "export")
    wait(lambda: len(page.players()) == 5, "five upgraded players")
    return page


def html() -> list[str]:
    players = [
        play(air()),
        play({"Slow": jig(90), "Fast": jig(180)}),
        play(air(), stems=True, view="notation", loop=(2, 3)),
        play(jig()),
        play(jig()),
    ]
    return [player._repr_html_() for player in players]


@pytest.fixture(scope="module", params=["lab", "notebook7", "classic", "export"])
def page(request, driver, server, tmp_path_factory):
    driver.get("about:blank")
    driver.get_log("browser"), driver.get_log("performance")
    if request.param == "export":
        return export(driver, tmp_path_factory)
    return open_and_run(driver, server, request.param)


@pytest.fixture(autouse=True)
def silence(request):
    yield
    if "page" in request.fixturenames:
        request.getfixturevalue("page").quiet()


def test_play_moves_the_playhead(page):
    player = page.show(SINGLE)
    before = page.head(player)
    page.button(player, "Play").click()
    wait(lambda: page.sounds(player)[0]["time"] > 0.5, "the sound advances")
    wait(lambda: page.head(player) > before + 1, "the playhead moves")
    page.button(player, "Pause").click()
    wait(lambda: not page.sounds(player)[0]["on"], "the sound pauses")
    assert page.sounds(player)[0]["error"] is None
    # 32 quarter notes at 88 a minute, and the release of the last
    assert 21.8 < page.sounds(player)[0]["length"] < 24


def test_click_seeks(page):
    player = page.show(SINGLE)
    slider, x, y = page.at(player, 0.6)
    ActionChains(page.driver).move_to_element_with_offset(slider, int(x), int(y)).click().perform()
    wait(lambda: abs(page.head(player) - 60) < 0.5, "the playhead at the click")
    # the roll runs from pixel 44 to 752 of 760, the piece over 33 quarter notes
    quarters = (0.6 * 760 - 44) / (752 - 44) * 33
    assert page.sounds(player)[0]["time"] == pytest.approx(quarters * 60 / 88, abs=0.15)


def test_keys_work_and_the_notebook_leaves_them_alone(page):
    player = page.show(SINGLE)
    cells = len(page.driver.find_elements(By.CSS_SELECTOR, ".jp-Cell, .cell"))
    page.keys(player, Keys.HOME, " ")
    wait(lambda: page.sounds(player)[0]["on"], "space plays")
    page.keys(player, " ")
    wait(lambda: not page.sounds(player)[0]["on"], "space pauses")
    page.keys(player, Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    wait(lambda: page.sounds(player)[0]["time"] == pytest.approx(2 * 60 / 88, abs=1e-3), "2 beats")
    page.keys(player, Keys.ARROW_LEFT)
    wait(lambda: page.sounds(player)[0]["time"] == pytest.approx(60 / 88, abs=1e-3), "a beat back")
    assert page.slider(player).get_attribute("aria-valuetext") == "bar 1, beat 1"
    page.keys(player, "[", "1", "2", "m", "y", "x")
    wait(lambda: page.button(player, "Loop bar 1"), "a loop by key")
    page.keys(player, "\\")
    wait(lambda: page.button(player, "Loop"), "the loop is off")
    assert len(page.driver.find_elements(By.CSS_SELECTOR, ".jp-Cell, .cell")) == cells
    assert not page.driver.find_elements(By.CSS_SELECTOR, ".jp-MarkdownCell, .text_cell")
    focused = page.js("return document.activeElement.getAttribute('role')")
    assert focused == "slider"


def test_dragged_loop_repeats(page):
    player = page.show(PAIR)
    slider, x0, y = page.at(player, 0.09)
    _, x1, _ = page.at(player, 0.15)
    mouse = ActionChains(page.driver)
    mouse.move_to_element_with_offset(slider, int(x0), int(y)).click_and_hold()
    mouse.move_by_offset(int(x1 - x0), 0).release().perform()
    wait(lambda: page.button(player, "Loop bar 1"), "a loop over bar 1")
    page.keys(player, "2", *("+" * 10), Keys.HOME, " ")  # bar 1 of the fast one: 1 s, at 150 %
    seen = []

    def wrapped() -> bool:
        seen.append(page.sounds(player)[1]["time"])
        backwards = [a for a, b in pairwise(seen) if b < a - 0.2]
        return len(backwards) >= 2

    wait(wrapped, "the loop repeats twice")
    assert max(seen) < 1.5
    page.keys(player, " ", "\\", "1", *("-" * 10))


def test_switching_keeps_the_musical_position(page):
    player = page.show(PAIR)
    page.keys(player, "1", Keys.HOME, *([Keys.ARROW_RIGHT] * 4))
    wait(lambda: page.sounds(player)[0]["time"] == pytest.approx(6 * 60 / 90, abs=0.01), "slow")
    page.button(player, "2 Fast").click()
    wait(lambda: page.sounds(player)[1]["time"] == pytest.approx(6 * 60 / 180, abs=0.01), "fast")
    assert page.button(player, "2 Fast").get_attribute("aria-pressed") == "true"
    page.keys(player, " ")
    wait(lambda: page.sounds(player)[1]["on"], "the second plays")
    page.keys(player, "1")
    wait(lambda: page.sounds(player)[0]["on"] and not page.sounds(player)[1]["on"], "the first")
    assert page.sounds(player)[0]["time"] >= 3.9


def test_tempo_changes_the_rate(page):
    player = page.show(SINGLE)
    page.keys(player, "-", "-")
    wait(lambda: page.sounds(player)[0]["rate"] == pytest.approx(0.9), "90 %")
    assert "90 %" in player.text and "♩ = 79" in player.text
    page.keys(player, "+", "+")
    wait(lambda: page.sounds(player)[0]["rate"] == pytest.approx(1), "100 %")


def test_notation_and_description(page):
    player = page.show(SINGLE)
    picture = page.part(player, ".mlm-page img")
    alt = picture.get_attribute("alt")
    assert alt.startswith("Evening air: 8 bars and a pickup, D minor, 4/4") and "Soprano" in alt
    roll = picture.get_attribute("src")
    page.button(player, "Notation").click()
    wait(lambda: picture.get_attribute("src") != roll, "another picture")
    drawn = "return arguments[0].complete && arguments[0].naturalWidth > 500"
    wait(lambda: page.js(drawn, picture), "the notation is drawn")
    page.button(player, "Piano roll").click()
    wait(lambda: picture.get_attribute("src") == roll, "the roll again")


def test_solo_and_mute(page):
    player = page.show(STEMS)
    page.button(player, "solo Bass").click()
    page.keys(player, " ")
    wait(lambda: any(s["on"] for s in page.sounds(player)[1:]), "the bass alone plays")
    mix, *stems = page.sounds(player)
    assert mix["muted"] and mix["on"] and len(stems) == 1
    wait(lambda: abs(page.sounds(player)[1]["time"] - page.sounds(player)[0]["time"]) < 0.1, "sync")
    page.button(player, "solo Bass").click()
    wait(lambda: not page.sounds(player)[0]["muted"], "the mix again")
    assert not page.sounds(player)[1]["on"]


def test_one_player_at_a_time(page):
    first, second = page.show(SINGLE), page.players()[PAIR]
    page.keys(first, " ")
    wait(lambda: page.sounds(first)[0]["on"], "the first plays")
    page.keys(second, " ")
    wait(lambda: page.sounds(second)[0]["on"], "the second plays")
    wait(lambda: not page.sounds(first)[0]["on"], "the first pauses")


def test_files_to_take_home(page):
    player = page.players()[SINGLE]
    link = next(a for a in player.find_elements(By.CSS_SELECTOR, "a") if a.text == "MIDI")
    assert link.get_attribute("href").startswith("data:audio/midi;base64,TVRoZ")  # "MThd"
    assert link.get_attribute("download") == "Evening-air.mid"
    script = """
      const done = arguments[1], make = URL.createObjectURL;
      URL.createObjectURL = blob => {
        URL.createObjectURL = make;
        blob.slice(0, 28).arrayBuffer().then(head => done([blob.size, blob.type,
          new DataView(head).getUint32(24, true)]));
        return make.call(URL, blob);
      };
      [...arguments[0].querySelectorAll("button")].find(b => b.textContent === "WAV").click();
    """
    size, kind, rate = page.driver.execute_async_script(script, player)
    assert kind == "audio/wav" and rate == 22050
    assert 21.8 < (size - 44) / 2 / rate < 24


def test_updates_from_a_widget(page):
    if page.kind == "export":
        pytest.skip("an export has no kernel")
    count = len(page.driver.find_elements(By.CSS_SELECTOR, "audio"))
    page.keys(page.show(HANDLE), " ")
    wait(lambda: page.sounds(page.players()[HANDLE])[0]["on"], "the player plays")
    page.js("window.replaced = arguments[0].querySelector('audio')", page.players()[HANDLE])
    selector = "button.widget-button, button.jupyter-button"

    def change_button():
        buttons = page.driver.find_elements(By.CSS_SELECTOR, selector)
        return next((b for b in buttons if "Change" in b.get_attribute("textContent")), None)

    button = wait(change_button, "the widget's button")
    page.js("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    # With Colab's pins the classic notebook can't make any Output widget, even for a print.
    changed = [(HANDLE, "G5"), (WIDGET, "A5")][: 1 if page.kind == "classic" else 2]
    for place, start in changed:
        wait(
            lambda place=place, start=start: (
                f"starts on {start}"
                in page.part(page.players()[place], ".mlm-page img").get_attribute("alt")
            ),
            f"player {place} starts on {start}",
        )
    wait(lambda: page.js("return window.replaced.paused"), "the replaced player is silent")
    page.js("delete window.replaced")
    if page.kind == "classic":
        return
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "audio")) == count
    player = page.show(WIDGET)
    page.keys(player, " ")
    wait(lambda: page.sounds(player)[0]["on"], "the new player plays")


def test_clean_console_and_no_request_leaves(page):
    errors = [
        entry["message"]
        for entry in page.driver.get_log("browser")
        if (entry["level"] == "SEVERE" or "mlmusic" in entry["message"])
        and not any(known in entry["message"] for known in BENIGN)
    ]
    assert errors == []
    outside = set()
    for entry in page.driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            ours = re.match(r"(data|blob|about|chrome|file):|http://127\.0\.0\.1:", url)
            if not ours and not (page.kind == "export" and "cdnjs.cloudflare.com" in url):
                outside.add(url[:200])
    assert outside == set()


def test_untrusted_page_keeps_picture_and_sound(driver, server):
    lab = server("lab")
    notebook(lab.notebooks / "saved.ipynb", html())
    driver.get(lab.address("saved.ipynb"))
    page = Page(driver, "lab")
    figures = "return [...document.querySelectorAll('.jp-OutputArea-output audio')].length"
    wait(lambda: page.js(figures) >= 5, "the sounds of a saved notebook")
    assert page.players() == []  # no script ran
    assert page.js("return document.querySelector('.jp-OutputArea-output script')") is None
    ready = page.js(
        "const a = document.querySelector('.jp-OutputArea-output audio');"
        "a.muted = true; a.play(); const i = document.querySelector('.jp-OutputArea-output img');"
        "return [a.controls, i.naturalWidth, i.alt]"
    )
    assert ready[0] and ready[1] > 500 and ready[2].startswith("Evening air")
    moved = "return document.querySelector('.jp-OutputArea-output audio').currentTime > 0.3"
    wait(lambda: page.js(moved), "the sound advances")
