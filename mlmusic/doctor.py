"""Find what is wrong with an installation and say what to do: ``mlmusic doctor``.

Each check is a function that returns a `Finding`; a check that raises is a fault, too. Only what
is needed to hear and see the course can be a fault; what merely helps is a note.
"""

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OK, FAULT, NOTE = "✓", "✗", "!"
PLAIN = {OK: "ok", FAULT: "FAULT", NOTE: "note"}  # for terminals that can't write the signs
OLDEST = (3, 10)
MUSIC_SIGNS = "♭♯♮"
CORPUS = {"bach": 400, "essenFolksong": 20, "ryansMammoth": 1000, "oneills1850": 10, "airdsAirs": 6}
"""Folders of music21's corpus that the course reads, and how many files each has at least."""
FREE_GB = 0.5
"""What the caches of all the data may take, with room to spare."""


@dataclass
class Finding:
    """What a check found: its sign, what is there, and what to do if that isn't right."""

    state: str
    found: str
    remedy: str = ""


def python() -> Finding:
    """Check that Python is new enough."""
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info[:2] < OLDEST:
        return Finding(FAULT, found, "the course needs Python 3.10 or newer: `make setup` finds it")
    return Finding(OK, found)


def packages() -> Finding:
    """Check that every package that mlmusic declares is there, in the declared range."""
    from packaging.requirements import Requirement

    try:
        declared = importlib.metadata.requires("mlmusic") or []
    except importlib.metadata.PackageNotFoundError:
        return Finding(
            FAULT,
            "mlmusic isn't installed in this Python",
            "run `make setup` and use .venv's Python, or run `pip install -e .` in the repository",
        )
    wrong, lacking, count = [], [], 0
    for requirement in map(Requirement, declared):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        count += 1
        version = _version(requirement.name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version or 'is missing'}")
            lacking.append(f'"{requirement.name}{requirement.specifier}"')
    if wrong:
        return Finding(FAULT, ", ".join(wrong), f"{_pip()} install {' '.join(lacking)}")
    return Finding(OK, f"{count} packages within their ranges")


def versions() -> Finding:
    """Compare the versions with those that the course is tested with, where a checkout says."""
    from packaging.requirements import Requirement

    names = ("numpy", "torch", "music21", "ipywidgets")
    found = ", ".join(f"{name} {_version(name) or '–'}" for name in names)
    pins = Path(__file__).parents[1] / "constraints.txt"
    if not pins.exists() or _on_colab():
        return Finding(OK, found)
    other = []
    for line in pins.read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pin = Requirement(line)
        version = _version(pin.name) if pin.name != "pip" else None
        if (
            version
            and not (pin.marker and not pin.marker.evaluate())
            and version not in pin.specifier
        ):
            other.append(f"{pin.name} {version} (tested: {pin.specifier})")
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        return Finding(NOTE, ", ".join(other[:3]) + more, "`make setup` installs what is tested")
    return Finding(OK, found)


def torch() -> Finding:
    """Check that torch loads and computes."""
    import torch

    if float(torch.ones(3) @ torch.ones(3)) != 3:
        return Finding(FAULT, "torch computes wrongly", f"{_pip()} install --force-reinstall torch")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return Finding(OK, f"{torch.__version__} on {device}")


def cache() -> Finding:
    """Check that data can be cached."""
    from mlmusic.datasets.cache import folder

    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
    except OSError as error:
        return Finding(
            FAULT,
            f"{place} can't be written: {error.strerror or error}",
            "allow writing there, or set MLMUSIC_CACHE to a folder of yours",
        )
    return Finding(OK, str(place))


def disk() -> Finding:
    """Check that there is room for the caches."""
    from mlmusic.datasets.cache import folder

    place = folder()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    found = f"{free:.1f} GB free in {place}"
    if free < FREE_GB:
        return Finding(FAULT, found, f"make room ({FREE_GB:g} GB), or set MLMUSIC_CACHE elsewhere")
    return Finding(OK, found)


def sound() -> Finding:
    """Synthesise a note and write it as MP3."""
    import numpy as np

    from mlmusic.audio import encode, synthesize
    from mlmusic.score import Score

    wave = synthesize(Score([(0, 1, 69)]))
    peak = float(np.abs(wave).max())
    if not peak > 0:
        return Finding(
            FAULT,
            "the synthesiser is silent",
            f"{_pip()} install --force-reinstall --no-deps pretty_midi  (brings its SoundFont)",
        )
    size = len(encode(wave, 22050, format="mp3"))  # raises, with what to do, where it can't
    return Finding(OK, f"a note peaks at {peak:.2f}; as MP3 it takes {size / 1000:.1f} kB")


def notation() -> Finding:
    """Engrave a note."""
    from mlmusic.notation import engrave
    from mlmusic.score import Score

    if "<svg" not in engrave(Score([(0, 1, 69)])).svg:
        remedy = f"{_pip()} install --force-reinstall verovio"
        return Finding(FAULT, "verovio engraves nothing", remedy)
    return Finding(OK, f"verovio {_version('verovio')}")


def fonts() -> Finding:
    """Look for the accidentals in the font of the figures."""
    from matplotlib import font_manager, ft2font, rcParams

    path = font_manager.findfont(font_manager.FontProperties(family=rcParams["font.family"]))
    font = ft2font.FT2Font(path)
    lacking = [sign for sign in MUSIC_SIGNS if not font.get_char_index(ord(sign))]
    if lacking:
        return Finding(
            FAULT,
            f"{font.family_name}, the font of the figures, lacks {' '.join(lacking)}",
            "set `font.family: DejaVu Sans` in your matplotlibrc: matplotlib brings that font",
        )
    return Finding(OK, f"{font.family_name} has {' '.join(MUSIC_SIGNS)}")


def widgets() -> Finding:
    """Check that sliders draw: that ipywidgets matches what the front end shows them with."""
    version = _version("ipywidgets")
    if version is None:
        return Finding(FAULT, "ipywidgets is missing", f"{_pip()} install ipywidgets")
    if _on_colab():
        return Finding(OK, f"ipywidgets {version} with Colab's own front end")
    if not _version("jupyterlab") and not _version("notebook"):
        return Finding(
            NOTE,
            f"ipywidgets {version}, but no JupyterLab in this Python",
            "fine where another program shows the notebooks; otherwise `make lab`",
        )
    # The parts have version numbers of their own: ipywidgets 7 goes with 1 and 3, 8 with 3 and 4.
    lab, classic = {"7": ("1", "3"), "8": ("3", "4")}.get(_major(version), ("", ""))
    wrong = []
    for host, part, wanted in (
        ("jupyterlab", "jupyterlab_widgets", lab),
        ("notebook", "widgetsnbextension", classic),
    ):
        found = _version(part)
        if _version(host) and (found is None or (wanted and _major(found) != wanted)):
            wrong.append(f"{part} {found or 'is missing'}")
    if wrong:
        return Finding(
            FAULT,
            f"ipywidgets {version}, but {', '.join(wrong)}: sliders won't draw",
            f"{_pip()} install --upgrade ipywidgets jupyterlab_widgets widgetsnbextension, then "
            "reload the page",
        )
    return Finding(OK, f"ipywidgets {version} and its front end match")


def corpus() -> Finding:
    """Check that music21's corpus, which the data is read from, is complete."""
    from mlmusic.datasets.base import corpus_folder

    place = corpus_folder()
    short = [
        name
        for name, least in CORPUS.items()
        if not (place / name).is_dir() or sum(1 for _ in os.scandir(place / name)) < least
    ]
    if short:
        return Finding(
            FAULT,
            f"music21's corpus lacks music in {', '.join(short)} ({place})",
            f"{_pip()} install --force-reinstall --no-deps music21=={_version('music21')}  (some "
            "distributions leave the corpus out; PyPI's wheel has it)",
        )
    return Finding(OK, f"music21 {_version('music21')} with its corpus")


def chromium() -> Finding:
    """Look for a browser for the tests of the player."""
    if _program("chromium", "chromium-browser", "google-chrome", "chrome"):
        return Finding(OK, "there, for the tests of the player")
    return Finding(NOTE, "absent (optional)", "only the tests of the player use it, and skip")


def fluidsynth() -> Finding:
    """Look for a peer for the benchmark of the synthesiser."""
    if _program("fluidsynth"):
        return Finding(OK, "there, for the benchmarks")
    return Finding(NOTE, "absent (optional)", "only the benchmarks use it")


CHECKS: dict[str, Callable[[], Finding]] = {
    "Python": python,
    "packages": packages,
    "versions": versions,
    "torch": torch,
    "cache": cache,
    "disk": disk,
    "corpus": corpus,
    "sound": sound,
    "notation": notation,
    "fonts": fonts,
    "widgets": widgets,
    "Chromium": chromium,
    "FluidSynth": fluidsynth,
}


def examine(checks: dict[str, Callable[[], Finding]] | None = None) -> dict[str, Finding]:
    """Run the checks, in order; what one raises is its finding.

    Parameters
    ----------
    checks : dict of str to callable, optional
        By default `CHECKS`.

    Returns
    -------
    dict of str to Finding
    """
    findings = {}
    for name, check in (CHECKS if checks is None else checks).items():
        try:
            findings[name] = check()
        except Exception as error:  # whatever it is, it is what the user has to know
            words = " ".join(str(error).split()) or "no reason given"
            missing = isinstance(error, ModuleNotFoundError) and error.name
            remedy = (
                f"{_pip()} install {missing}"
                if missing and not missing.startswith("mlmusic")
                else "run `make setup` again; if that doesn't help, open an issue with this table"
            )
            findings[name] = Finding(FAULT, f"{type(error).__name__}: {words}", remedy)
    return findings


def table(findings: dict[str, Finding], width: int = 100, plain: bool = False) -> str:
    """Return the findings as a table: sign, name, what is there; below it what to do.

    Parameters
    ----------
    findings : dict of str to Finding
    width : int
        Characters a line; longer texts go on in the next.
    plain : bool
        ``ok``, ``FAULT`` and ``note`` instead of ``✓``, ``✗`` and ``!``.
    """
    names = max(map(len, findings), default=0)
    signs = {sign: word.ljust(5) if plain else sign for sign, word in PLAIN.items()}
    lines: list[str] = []
    for name, finding in findings.items():
        head = f"{signs[finding.state]} {name:{names}}  "
        texts = [finding.found] + ([f"→ {finding.remedy}"] if finding.remedy else [])
        if plain:
            texts = [text.replace("→", "->") for text in texts]
        for text in texts:
            lines += textwrap.wrap(
                text,
                max(width, len(head) + 20),
                initial_indent=head,
                subsequent_indent=" " * len(head),
                break_long_words=False,
                break_on_hyphens=False,
            )
            head = " " * len(head)
    return "\n".join(lines)


def main() -> int:
    """Print the table; return 1 if something is wrong."""
    encoding = sys.stdout.encoding or "ascii"
    findings = examine()
    text = table(
        findings,
        width=min(shutil.get_terminal_size((100, 24)).columns, 120),
        plain=not _can_write("✓✗→", encoding),
    )
    faults = sum(finding.state == FAULT for finding in findings.values())
    ending = f"{faults} to mend: do what stands beside →." if faults else "All is well."
    text = f"{text}\n\n{ending}"
    print(text.encode(encoding, "replace").decode(encoding))
    return int(faults > 0)


def _can_write(signs: str, encoding: str) -> bool:
    try:
        signs.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _major(version: str) -> str:
    return version.split(".")[0]


def _program(*names: str) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


def _pip() -> str:
    """Return how to call this Python's pip."""
    name = "python" if sys.prefix == sys.base_prefix else sys.executable
    return f"{name} -m pip"


def _on_colab() -> bool:
    return "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ
