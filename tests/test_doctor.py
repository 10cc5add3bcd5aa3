"""The doctor: every check against a simulated fault."""

import importlib.metadata
import io
import shutil
import sys
from collections import namedtuple

import numpy as np
import pytest

from mlmusic import doctor
from mlmusic.doctor import FAULT, NOTE, OK, Finding

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def versions(monkeypatch):
    """A dict of installed versions to fill in: all that `importlib.metadata` then knows."""
    found = {}

    def version(name):
        if name not in found:
            raise importlib.metadata.PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    return found


@pytest.fixture
def requires(monkeypatch):
    """Set what mlmusic declares."""
    declared = []
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: declared)
    return declared


def test_python(monkeypatch):
    assert doctor.python().state == OK
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    finding = doctor.python()
    assert finding.state == FAULT
    assert "3.10" in finding.remedy


def test_packages_within_their_ranges(versions, requires):
    requires += ["numpy>=1.26", "torch>=2.4", 'ruff>=1; extra == "dev"']
    versions |= {"numpy": "2.1.3", "torch": "2.13.0+cpu"}
    assert doctor.packages() == Finding(OK, "2 packages within their ranges")


def test_packages_missing_or_too_old(versions, requires):
    requires += ["numpy>=1.26", "torch>=2.4", "tqdm"]
    versions |= {"numpy": "1.25.0", "tqdm": "4"}
    finding = doctor.packages()
    assert finding.state == FAULT
    assert finding.found == "numpy 1.25.0, torch is missing"
    assert finding.remedy.endswith('-m pip install "numpy>=1.26" "torch>=2.4"')


def test_packages_without_mlmusic(monkeypatch):
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    finding = doctor.packages()
    assert finding.state == FAULT
    assert "make setup" in finding.remedy


def test_versions_that_differ_are_a_note(versions, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "__file__", str(tmp_path / "mlmusic" / "doctor.py"))
    versions |= {"numpy": "2.4.6", "torch": "2.13.0+cpu", "music21": "10.5.1", "tqdm": "4.70"}
    assert doctor.versions().state == OK  # installed from a wheel: no constraints beside it
    (tmp_path / "constraints.txt").write_text(
        '# comment\nnumpy==2.2.6 ; python_version < "3.0"\nnumpy==2.4.6\ntorch==2.13.0\nx==1\n'
    )
    assert doctor.versions().state == OK
    versions["numpy"] = "2.5.0"
    finding = doctor.versions()
    assert finding.state == NOTE
    assert finding.found == "numpy 2.5.0 (tested: ==2.4.6)"
    (tmp_path / "constraints.txt").write_text("numpy==1\ntorch==1\nmusic21==1\ntqdm==1\n")
    assert doctor.versions().found.endswith("and 1 more")
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    assert doctor.versions().state == OK


def test_torch(monkeypatch):
    import torch

    assert doctor.torch().state == OK
    monkeypatch.setattr(torch, "ones", torch.zeros)
    assert doctor.torch().state == FAULT
    monkeypatch.setitem(sys.modules, "torch", None)
    assert doctor.examine({"torch": doctor.torch})["torch"].state == FAULT


def test_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MLMUSIC_CACHE", str(tmp_path / "deep" / "cache"))
    assert doctor.cache() == Finding(OK, str(tmp_path / "deep" / "cache"))
    assert list((tmp_path / "deep" / "cache").iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MLMUSIC_CACHE", str(tmp_path / "file" / "cache"))
    finding = doctor.cache()
    assert finding.state == FAULT
    assert "can't be written" in finding.found
    assert "MLMUSIC_CACHE" in finding.remedy


def test_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("MLMUSIC_CACHE", str(tmp_path / "not" / "yet"))
    assert doctor.disk().state == OK
    assert str(tmp_path) in doctor.disk().found
    assert not (tmp_path / "not").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(9e9, 8.9e9, 1e8))
    finding = doctor.disk()
    assert finding.state == FAULT
    assert finding.found.startswith("0.1 GB free")


def test_corpus(monkeypatch, tmp_path):
    from mlmusic.datasets import base

    assert doctor.corpus().state == OK
    monkeypatch.setattr(base, "corpus_folder", lambda: tmp_path)
    (tmp_path / "bach").mkdir()
    finding = doctor.corpus()
    assert finding.state == FAULT
    assert "bach, essenFolksong" in finding.found
    assert "pip install --force-reinstall --no-deps music21==" in finding.remedy


def test_sound(monkeypatch):
    from mlmusic import audio

    assert doctor.sound().state == OK
    monkeypatch.setattr(audio, "synthesize", lambda score: np.zeros(100, np.float32))
    finding = doctor.sound()
    assert finding.state == FAULT
    assert "silent" in finding.found


def test_sound_without_mp3(monkeypatch):
    from mlmusic import audio

    def encode(wave, rate, format):
        raise RuntimeError("this libsndfile can't write MP3: pip install soundfile>=0.12")

    monkeypatch.setattr(audio, "encode", encode)
    finding = doctor.examine({"sound": doctor.sound})["sound"]
    assert finding.state == FAULT
    assert "can't write MP3" in finding.found


def test_notation(monkeypatch):
    from mlmusic import notation

    assert doctor.notation().state == OK
    monkeypatch.setattr(notation, "engrave", lambda score: namedtuple("Picture", "svg")(""))
    assert doctor.notation().state == FAULT
    monkeypatch.setitem(sys.modules, "mlmusic.notation", None)
    assert doctor.examine({"notation": doctor.notation})["notation"].state == FAULT


def test_fonts(monkeypatch):
    import matplotlib

    with matplotlib.rc_context({"font.family": "DejaVu Sans"}):
        assert doctor.fonts() == Finding(OK, "DejaVu Sans has ♭ ♯ ♮")
    with matplotlib.rc_context({"font.family": "STIXNonUnicode"}):
        finding = doctor.fonts()
    assert finding.state == FAULT
    assert "♯" in finding.found
    assert "DejaVu Sans" in finding.remedy


@pytest.mark.parametrize(
    ("installed", "state", "words"),
    [
        ({}, FAULT, "ipywidgets is missing"),
        ({"ipywidgets": "8.1.9"}, NOTE, "no JupyterLab"),
        ({"ipywidgets": "8.1.9", "jupyterlab": "4", "jupyterlab_widgets": "3.0"}, OK, "match"),
        (
            {"ipywidgets": "8.1.9", "jupyterlab": "4", "jupyterlab_widgets": "1.1"},
            FAULT,
            "jupyterlab_widgets 1.1",
        ),
        ({"ipywidgets": "8.1.9", "jupyterlab": "4"}, FAULT, "jupyterlab_widgets is missing"),
        ({"ipywidgets": "7.7.1", "notebook": "6", "widgetsnbextension": "3.6"}, OK, "match"),
        (
            {"ipywidgets": "7.7.1", "notebook": "6", "widgetsnbextension": "4.0"},
            FAULT,
            "widgetsnbextension 4.0",
        ),
        ({"ipywidgets": "9.0", "jupyterlab": "5", "jupyterlab_widgets": "4.0"}, OK, "match"),
    ],
)
def test_widgets(versions, installed, state, words):
    versions |= installed
    finding = doctor.widgets()
    assert finding.state == state
    assert words in finding.found


def test_widgets_on_colab(versions, monkeypatch):
    """Colab lists a jupyterlab_widgets that its ipywidgets doesn't go with, and doesn't use it."""
    versions |= {"ipywidgets": "7.7.1", "notebook": "6.5.7", "jupyterlab_widgets": "3.0.16"}
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    assert doctor.widgets().state == OK


def test_what_is_optional_is_only_a_note(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert doctor.chromium().state == doctor.fluidsynth().state == NOTE
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert doctor.chromium().state == doctor.fluidsynth().state == OK


def test_what_a_check_raises_is_its_finding():
    def boom():
        raise OSError("libfoo.so:\n cannot open")

    def missing():
        raise ModuleNotFoundError("No module named 'verovio'", name="verovio")

    findings = doctor.examine({"a": boom, "b": missing, "c": lambda: Finding(OK, "fine")})
    assert findings["a"].found == "OSError: libfoo.so: cannot open"
    assert "make setup" in findings["a"].remedy
    assert findings["b"].remedy.endswith("-m pip install verovio")
    assert findings["c"].state == OK


def test_table():
    findings = {
        "sound": Finding(OK, "a note"),
        "widgets": Finding(FAULT, "too old " * 20, "upgrade"),
    }
    lines = doctor.table(findings, width=60).splitlines()
    assert lines[0] == "✓ sound    a note"
    assert lines[1].startswith("✗ widgets  too old too old")
    assert lines[-1] == "           → upgrade"
    assert max(map(len, lines)) <= 60
    assert doctor.table(findings, plain=True).isascii()


@pytest.mark.parametrize(("state", "status"), [(OK, 0), (NOTE, 0), (FAULT, 1)])
def test_main_fails_only_on_faults(monkeypatch, capsys, state, status):
    monkeypatch.setattr(doctor, "CHECKS", {"it": lambda: Finding(state, "is so", "do this")})
    assert doctor.main() == status
    out = capsys.readouterr().out
    assert "do this" in out
    assert ("1 to mend" in out) is (status == 1)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_main_on_a_terminal_without_the_signs(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    monkeypatch.setattr(doctor, "CHECKS", {"fonts": lambda: Finding(FAULT, "has no ♭", "→ mend")})
    assert doctor.main() == 1
    sys.stdout.flush()
    assert raw.getvalue().decode(encoding).splitlines()[0] == "FAULT fonts  has no ?"


def test_this_installation_is_well():
    if not _installed():
        pytest.skip("mlmusic isn't installed here: it runs from its folder")
    faults = {name: f for name, f in doctor.examine().items() if f.state == FAULT}
    assert faults == {}


def _installed() -> bool:
    try:
        importlib.metadata.version("mlmusic")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
