"""The command line."""

import subprocess
import sys
import webbrowser

import pytest

from mlmusic import Score, __version__, cli
from mlmusic.audio import decode

SCORE = Score([(0, 1, 60), (1, 1, 64), (2, 2, 67)], title="Rise & fall")
ABC = "X:1\nT:One\nM:4/4\nL:1/4\nK:C\nCDEF|\n\nX:2\nT:Two\nM:4/4\nL:1/4\nK:C\nGABc|\n"


@pytest.fixture
def midi(tmp_path):
    path = tmp_path / "tune.mid"
    SCORE.to_midi(path)
    return path


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"mlmusic {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["dance"], ["play"], ["train"], ["evaluate"], ["generate", "x"]]
)
def test_a_wrong_call_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage: mlmusic" in capsys.readouterr().err


def test_help_lists_the_commands_and_loads_nothing_heavy():
    code = (
        "import sys; from mlmusic import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'torch', 'music21', 'matplotlib', 'verovio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    commands = "doctor play train evaluate generate release grade export".split()
    assert all(f"    {name} " in done.stdout for name in commands)


def test_doctor_and_release_are_passed_on(monkeypatch):
    from mlmusic import doctor
    from mlmusic.grading import release

    monkeypatch.setattr(doctor, "main", lambda: 1)
    assert cli.main(["doctor"]) == 1
    monkeypatch.setattr(release, "main", lambda argv: argv)
    assert cli.main(["release", "--check", "-o", "x"]) == ["--check", "-o", "x"]


@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_play_writes_sound(midi, tmp_path, suffix, capsys):
    out = tmp_path / f"out.{suffix}"
    assert cli.main(["play", str(midi), "--out", str(out)]) == 0
    wave, rate = decode(out.read_bytes())
    assert rate == 22050
    assert len(wave) / rate >= 2.0  # four quarter notes at 120 a minute, and their release
    assert abs(wave).max() > 0.01
    assert capsys.readouterr().out == f"wrote {out}\n"


def test_play_writes_midi(midi, tmp_path):
    out = tmp_path / "out.mid"
    assert cli.main(["play", str(midi), "-o", str(out)]) == 0
    assert (Score.from_midi(out).notes == SCORE.notes).all()


def test_play_opens_a_page(midi, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    assert cli.main(["play", str(midi)]) == 0
    path = capsys.readouterr().out.removeprefix("open ").strip()
    assert opened[0].endswith("/tune.html")
    with open(path, encoding="utf-8") as page:
        text = page.read()
    assert text.startswith("<!DOCTYPE html>")
    assert "<audio" in text
    assert "<title>Rise &amp; fall</title>" in text


def test_play_says_so_where_there_is_no_browser(midi, monkeypatch, capsys):
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert cli.main(["play", str(midi)]) == 0
    assert "no browser could be opened: open " in capsys.readouterr().out


def test_play_reads_one_tune_of_an_abc_book(tmp_path, capsys):
    book, out = tmp_path / "book.abc", tmp_path / "out.mid"
    book.write_text(ABC)
    assert cli.main(["play", str(book), "-n", "2", "-o", str(out)]) == 0
    assert Score.from_midi(out).notes["pitch"].tolist() == [67, 69, 71, 72]
    assert cli.main(["play", str(book), "-n", "3", "-o", str(out)]) == 1
    assert "book.abc has 2 tunes: there is no number 3" in capsys.readouterr().err


def test_play_reads_musicxml(tmp_path):
    path, out = tmp_path / "tune.musicxml", tmp_path / "out.mid"
    SCORE.to_music21().write("musicxml", fp=str(path))
    assert cli.main(["play", str(path), "-o", str(out)]) == 0
    assert Score.from_midi(out).notes["pitch"].tolist() == [60, 64, 67]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.mid", None, "there is no file"),
        ("song.ogg", b"", "can't read song.ogg: the formats are .mid"),
        ("song.mid", b"not MIDI", "MIDI"),
        ("song.abc", b"", "no tune"),
    ],
)
def test_play_refuses_in_one_line(tmp_path, capsys, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert cli.main(["play", str(path), "-o", str(tmp_path / "out.wav")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("mlmusic play: ")
    assert message in told
    assert told.count("\n") == 1


def test_play_refuses_to_write_what_it_cannot(midi, tmp_path, capsys):
    assert cli.main(["play", str(midi), "-o", str(tmp_path / "out.ogg")]) == 1
    assert "can't write out.ogg: name a file ending in .html" in capsys.readouterr().err
    assert cli.main(["play", str(midi), "-o", str(tmp_path / "no" / "out.wav")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
