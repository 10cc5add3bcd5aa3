"""A headless Chromium for the tests of pages; it finds nothing but this computer."""

import atexit
import shutil
from functools import cache

import pytest

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --mute-audio "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--autoplay-policy=no-user-gesture-required --window-size=1000,1200"
).split()
FLAGS.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost")


@cache
def _start():
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium isn't installed")
    browser, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and chromedriver):
        pytest.skip("no chromium with chromedriver on the path (Debian: chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(executable_path=chromedriver)
    )
    driver.set_script_timeout(60)
    atexit.register(driver.quit)
    return driver


@pytest.fixture
def chromium():
    """One browser for all tests, with an empty log."""
    driver = _start()
    driver.get("about:blank")
    driver.get_log("browser")
    return driver


def heard(driver) -> list[float]:
    """Play every sound of the page at once; return the durations of those that played."""
    return driver.execute_async_script(
        """
        const done = arguments[0];
        Promise.all([...document.querySelectorAll("audio")].map(async (audio) => {
          await audio.play();
          while (!(audio.currentTime > 0)) await new Promise((r) => setTimeout(r, 20));
          audio.pause();
          return audio.duration;
        })).then(done, (error) => done([String(error)]));
        """
    )


def pictures(driver) -> list[int]:
    """Return the width of every picture of the page, 0 for one that isn't shown."""
    return driver.execute_async_script(
        """
        const done = arguments[0];
        Promise.all([...document.images].map(async (image) => {
          await image.decode().catch(() => null);
          return image.naturalWidth;
        })).then(done);
        """
    )
