"""Take the README's picture of the player: ``python tests/browser/screenshot.py docs/player.png``.

Hand-made music, in the player as it looks in a notebook. Needs Chromium with chromedriver.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from conftest import FLAGS
from handmade import air, jig
from selenium import webdriver
from waiting import wait

from mlmusic import Score, play

PAGE = """<!doctype html><meta charset="utf-8">
<style>body {{ margin: 14px; font-family: sans-serif; background: {paper}; color: {ink} }}</style>
<body data-jp-theme-light="{light}" style="{more}">{players}</body>"""


def shoot(players: list, path: Path, *, dark=False, width=820, css="", script="") -> None:
    """Show players in a page and save what the window shows."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in [*FLAGS, f"--user-data-dir={tempfile.mkdtemp()}"]:
        options.add_argument(flag)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        page = Path(tempfile.mkdtemp()) / "page.html"
        page.write_text(
            PAGE.format(
                light="false" if dark else "true",
                paper="#111" if dark else "#fff",
                ink="#ddd" if dark else "#222",
                more=css,
                players="<hr style='opacity:.3'>".join(p._repr_html_() for p in players),
            ),
            encoding="utf-8",
        )
        driver.set_window_size(width, 900)
        driver.get(page.as_uri())
        ready = "return document.querySelectorAll('.mlmusic-on').length"
        wait(lambda: driver.execute_script(ready) == len(players), "the players")
        loaded = "return [...document.images].every(i => !i.src || i.complete)"
        wait(lambda: driver.execute_script(loaded), "the pictures")
        driver.execute_script(script)
        height = driver.execute_script("return document.body.scrollHeight") + 28
        # The window's own frame takes some of it.
        frame = 900 - driver.execute_script("return innerHeight")
        driver.set_window_size(width, height + frame)
        wait(lambda: driver.execute_script(loaded), "the pictures")
        driver.save_screenshot(str(path))
    finally:
        driver.quit()


PLACE = """
const audio = document.querySelector('audio');
audio.currentTime = 9.6;
"""


def revised() -> Score:
    """Return the air with another bass in its fifth and sixth bars."""
    score = air()
    notes = score.notes.copy()
    bass = (notes["voice"] == 3) & (notes["onset"] >= 17) & (notes["onset"] < 25)
    notes["pitch"][bass] = [50, 52, 46, 49, 50, 45, 43]
    return Score(
        notes, tempo=score.tempo, metre=score.metre, key=score.key, programs=score.programs,
        title=score.title, lyrics=score.lyrics, meta=score.meta,
    )  # fmt: skip


def main() -> None:
    """Write the README's picture; with ``--all FOLDER``, one of every look."""
    if sys.argv[1] == "--all":
        folder = Path(sys.argv[2])
        pair = play({"Draft": air(), "Revised": revised()}, loop=(5, 6))
        sheet = play(air(), view="notation", stems=True, loop=(3, 4))
        looks = [pair, sheet, play({"Slow": jig(90), "Fast": jig(180)})]
        shoot(looks, folder / "light.png", script=PLACE)
        shoot(looks, folder / "dark.png", dark=True, script=PLACE)
        shoot(looks, folder / "grey.png", css="filter:grayscale(1)", script=PLACE)
        shoot(looks, folder / "narrow.png", width=500, script=PLACE)
    else:
        pair = play({"Draft": air(), "Revised": revised()}, loop=(5, 6), title="Evening air")
        shoot([pair], Path(sys.argv[1]), script=PLACE)


if __name__ == "__main__":
    main()
