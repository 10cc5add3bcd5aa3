"""Install the course among Colab's versions and run it there: ``make colab-check``.

Makes the environment .venv-colab with the versions that Colab publishes (tests/colab/), as far as
they exist for a Python of this machine, and says which differ. Then it installs the package as the
notebooks' setup cell does, but from this checkout, and checks that nothing which was there has
changed and nothing unexpected came. At last every notebook is run in it, and the player's browser
tests in its classic notebook. The environment is kept;
it is made anew only when the versions or the package's metadata change.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import notebook_parts as parts

PINS = parts.ROOT / "tests" / "colab" / "constraints-2026-08-19.txt"
COLAB_PYTHON, COLAB_TORCH = "3.13", "2.11.0"
ENV = parts.ROOT / ".venv-colab"
UNLISTED = {"safetensors": ""}  # there too, but not in the list, so at any version
# What Colab lacks. Anything else that the installation brings is a fault of our metadata.
EXPECTED = {"mlmusic", "pretty-midi", "mido", "importlib-resources", "verovio"}


class Failure(Exception):
    """A step that didn't work, with what to do about it."""


def call(command: list[str], **options) -> str:
    """Run a command and return what it prints.

    Raises
    ------
    Failure
        With the end of what it printed, if it fails.
    """
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    if done.returncode:
        raise Failure(f"{shlex.join(command)}\n{done.stdout[-3000:]}")
    return done.stdout


def pins(path: Path = PINS) -> dict[str, str]:
    """Return Colab's versions by name."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def choose() -> tuple[str, str]:
    """Return the Python nearest to Colab's that has a torch here, and that torch's version.

    Torch is Colab's where its CPU build can be had, otherwise the version of this environment,
    whose wheel is at hand.
    """
    here = importlib.metadata.version("torch")
    # A version without a build, from PyPI, brings gigabytes of CUDA on Linux: Colab's Python isn't
    # worth that.
    torches = [f"{COLAB_TORCH}+cpu", here]
    for python in [*_pythons(), sys.executable]:
        version = call([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
        for torch in torches:
            if torch == here and python == sys.executable:
                return python, torch
            if ("+" in torch or sys.platform != "linux") and _exists(f"torch=={torch}", version):
                return python, torch
    raise AssertionError("this environment's own torch was not considered")


def _pythons() -> list[str]:
    """Return the Pythons of Colab's version on this machine, pyenv's among them."""
    found = [shutil.which(f"python{COLAB_PYTHON}")]
    found += sorted(Path.home().glob(f".pyenv/versions/{COLAB_PYTHON}.*/bin/python"), reverse=True)
    # pyenv's stand-in is on the path even where it leads to no Python
    return [
        str(path)
        for path in found
        if path and subprocess.run([path, "-V"], capture_output=True).returncode == 0
    ]


def _exists(requirement: str, python: str) -> bool:
    """Say whether pip finds a wheel for a Python version."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--quiet"]
    command += ["--only-binary=:all:", f"--python-version={python}", "--ignore-installed"]
    with tempfile.TemporaryDirectory() as target:
        command += [f"--target={target}", requirement]
        return subprocess.run(command, capture_output=True).returncode == 0


def make(python: str, torch: str) -> None:
    """Make the environment with Colab's versions; say which had to differ."""
    shutil.rmtree(ENV, ignore_errors=True)
    call([python, "-m", "venv", str(ENV)])
    wanted = pins() | UNLISTED | {"torch": torch}
    if not torch.startswith(COLAB_TORCH):
        wanted["setuptools"] = ""  # newer ones ask for a newer setuptools
    while True:
        lines = [f"{name}=={version}" if version else name for name, version in wanted.items()]
        try:
            call([*pip(), "install", "--quiet", *lines])
            return
        except Failure as failure:
            missing = re.search(r"No matching distribution found for ([\w.-]+)==", str(failure))
            if not missing or not wanted.get(missing[1]):
                raise
            print(f"{missing[0].split(' for ')[1]}{wanted[missing[1]]} can't be had for {python}")
            wanted[missing[1]] = ""


def pip() -> list[str]:
    """Return the start of a pip command for the environment."""
    return [str(interpreter()), "-m", "pip", "--disable-pip-version-check"]


def interpreter() -> Path:
    """Return the environment's Python."""
    return ENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def versions() -> dict[str, str]:
    """Return what is installed in the environment, by normalised name."""
    lines = call([*pip(), "list", "--format=freeze"]).splitlines()
    found = dict(line.split("==", 1) for line in lines if "==" in line)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found.items()}


def setup_command(constraints: Path) -> list[str]:
    """Return the setup cell's pip command, for this checkout and this environment."""
    line = next(row for row in parts.SETUP.splitlines() if "%pip install" in row)
    words = shlex.split(line)[2:]
    words[words.index("-c") + 1] = str(constraints)
    words[-1] = re.sub(r"^mlmusic(\[\w+\]) @ .*", rf"{parts.ROOT}\g<1>", words[-1])
    return [*pip(), "install", *words]


def install() -> tuple[str, set[str]]:
    """Install the package as the setup cell does.

    Returns
    -------
    str
        What ``pip install --dry-run`` says beforehand.
    set of str
        The packages that were added.

    Raises
    ------
    Failure
        If a version changed, or a package came that Colab users shouldn't get.
    """
    before = versions()
    constraints = ENV / "colab.txt"
    constraints.write_text(call([*pip(), "list", "--format=freeze"]), encoding="utf-8")
    command = setup_command(constraints)
    dry = call([word for word in command if word != "-q"] + ["--dry-run"])
    call(command)
    after = versions()
    if changed := {name for name in before if after.get(name) != before[name]}:
        lines = [f"{name} {before[name]} -> {after.get(name)}" for name in sorted(changed)]
        raise Failure(f"the package changes what Colab has: {', '.join(lines)}")
    added = set(after) - set(before)
    if surplus := added - EXPECTED:
        raise Failure(f"the package brings what it shouldn't need: {', '.join(sorted(surplus))}")
    would = [line for line in dry.splitlines() if line.startswith("Would install")]
    return "".join(would), added


def stamp(python: str, torch: str) -> str:
    """Return what the environment depends on, as a hash."""
    project = parts.ROOT / "pyproject.toml"
    text = [python, torch, PINS.read_text(encoding="utf-8"), project.read_text(encoding="utf-8")]
    return hashlib.sha256("\n".join([*text, parts.SETUP]).encode()).hexdigest()


def prepare() -> None:
    """Make the environment, or only put the package in it anew if the rest still stands."""
    python, torch = choose()
    mark = ENV / "made-from"
    if mark.exists() and mark.read_text() == stamp(python, torch):
        call([*pip(), "install", "--quiet", "--no-deps", "--force-reinstall", str(parts.ROOT)])
        print(f"{ENV.name} is as it should be; the package in it is now this checkout's")
        return
    print(f"making {ENV.name} with {python}, torch {torch}: takes minutes", flush=True)
    make(python, torch)
    have = versions()
    differing = [
        f"{name} {have.get(key, 'missing')} (Colab: {version})"
        for name, version in (pins() | {"torch": COLAB_TORCH}).items()
        if have.get(key := re.sub(r"[-_.]+", "-", name).lower()) != version
    ]
    running = call([str(interpreter()), "-V"]).strip()
    print(f"{running} (Colab: {COLAB_PYTHON})")
    print(f"versions that differ: {', '.join(differing) or 'none'}")
    dry, added = install()
    print(f"pip install --dry-run: {dry}")
    print(f"added: {', '.join(sorted(added))}; nothing that was there has changed")
    # What runs the notebooks, after the comparison: Colab doesn't need it.
    call([*pip(), "install", "--quiet", "-c", str(ENV / "colab.txt"), "nbval"])
    mark.write_text(stamp(python, torch))


def main(argv: list[str] | None = None) -> int:
    """Prepare the environment, run the notebooks and the browser tests in it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--no-run", action="store_true", help="install only, run no notebook")
    parser.add_argument("paths", nargs="*", help="notebooks; all, if none is named")
    options = parser.parse_args(argv)
    try:
        prepare()
    except Failure as failure:
        print(f"colab-check: {failure}", file=sys.stderr)
        return 1
    if options.no_run:
        return 0
    # The installed package is tested, not the checkout.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    runner = Path(__file__).with_name("run_notebooks.py")
    status = subprocess.run([str(interpreter()), str(runner), *options.paths], env=env).returncode
    # The player in Colab's widgets and IPython: the classic notebook of that age stands in for it.
    # The browser is driven from this environment; without Chromium, pytest says what it skips.
    browser = [
        sys.executable,
        "-m",
        "pytest",
        str(parts.ROOT / "tests" / "browser"),
        "-k",
        "classic",
    ]
    browser_env = env | {"MLMUSIC_COLAB_ENV": str(ENV)}
    return status or subprocess.run(browser, cwd=parts.ROOT, env=browser_env).returncode


if __name__ == "__main__":
    sys.exit(main())
