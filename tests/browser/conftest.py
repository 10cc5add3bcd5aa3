"""Real notebook servers, driven by a headless Chromium, on this machine's loopback only."""

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from waiting import PATIENCE, wait

ROOT = Path(__file__).parents[2]
TOKEN = "loopback"

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--autoplay-policy=no-user-gesture-required --window-size=1100,1400"
).split()
FLAGS.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")  # no way out


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """A Chromium that logs its console and every request."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium isn't installed")
    browser, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and chromedriver):
        pytest.skip("no chromium with chromedriver on the path (Debian: chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    chromium = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(executable_path=chromedriver)
    )
    chromium.set_script_timeout(PATIENCE)
    yield chromium
    chromium.quit()


class Server:
    """A Jupyter server with fresh configuration in a folder of its own."""

    def __init__(self, python: str, kind: str, folder: Path) -> None:
        self.kind, self.notebooks = kind, folder / "notebooks"
        self.notebooks.mkdir(parents=True)
        overrides = folder / "config" / "labconfig" / "default_setting_overrides.json"
        overrides.parent.mkdir(parents=True)
        quiet = {"checkForUpdates": False, "fetchNews": "false"}
        if kind == "lab":
            overrides.write_text(json.dumps({"@jupyterlab/apputils-extension:notification": quiet}))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "IPYTHONDIR": str(folder / "ipython"),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }
        bin_folder = Path(python).parent
        environment["PATH"] = f"{bin_folder}{os.pathsep}{environment['PATH']}"
        application = "lab" if kind == "lab" else "notebook"
        options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={self.port}"]
        if kind == "classic":
            options += [f"--NotebookApp.token={TOKEN}", f"--notebook-dir={self.notebooks}"]
        else:
            options += [f"--IdentityProvider.token={TOKEN}", "--expose-app-in-browser"]
            options += [f"--ServerApp.root_dir={self.notebooks}"]
        self.log = folder / "server.log"
        self._file = self.log.open("w")
        self.process = subprocess.Popen(
            [python, "-m", "jupyter", application, *options],
            env=environment, cwd=folder, stdout=self._file, stderr=subprocess.STDOUT,
        )  # fmt: skip
        wait(self._answers, f"{kind} server on port {self.port}: {self.log.read_text()[-500:]}")

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"{self.kind} didn't start: {self.log.read_text()[-800:]}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api?token={TOKEN}", timeout=3)
        except (urllib.error.URLError, TimeoutError):
            return False
        return True

    def address(self, name: str) -> str:
        place = "lab/tree" if self.kind == "lab" else "notebooks"
        fresh = "reset&" if self.kind == "lab" else ""  # JupyterLab would open the last tabs, too
        return f"http://127.0.0.1:{self.port}/{place}/{name}?{fresh}token={TOKEN}"

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
        self._file.close()


def python_of(kind: str) -> str:
    """The interpreter that runs a server: this one, or for the classic notebook Colab's pins."""
    if kind != "classic":
        return sys.executable
    folder = os.environ.get("MLMUSIC_COLAB_ENV")
    if not folder:
        pytest.skip("MLMUSIC_COLAB_ENV isn't set (`make colab-check` makes that environment)")
    return str(Path(folder) / "bin" / "python")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Return a function that starts a server of a kind, once a session."""
    running: dict[str, Server] = {}

    def start(kind: str) -> Server:
        if kind not in running:
            running[kind] = Server(python_of(kind), kind, tmp_path_factory.mktemp(kind))
        return running[kind]

    yield start
    for each in running.values():
        each.stop()
