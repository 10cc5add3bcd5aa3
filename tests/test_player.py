"""The player's HTML: complete, small, the same every time; clear errors for bad input."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from mlmusic import Score, play
from mlmusic.audio import decode
from mlmusic.pictures import FILLINGS, filling, piano_roll, waveform

RATE = 22050


class Parts(HTMLParser):
    """Collect the tags and attributes of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def parts(player) -> tuple[Parts, dict]:
    found = Parts(player._repr_html_())
    return found, json.loads(found.all("div")[0]["data-player"])


def payload(source: str) -> bytes:
    return base64.b64decode(source.split(",", 1)[1])


def tune(**fields) -> Score:
    fields = {"title": "Scale", "key": [(0, 0, "major")], **fields}
    return Score([(i / 2, 0.5, 60 + 2 * i - i // 3) for i in range(8)], **fields)


def choir(bars: int = 4) -> Score:
    rng = np.random.default_rng(0)
    notes = [
        (i, 1, base + int(rng.integers(-4, 5)), 80, voice)
        for voice, base in enumerate((72, 65, 58, 48))
        for i in range(4 * bars)
    ]
    return Score(notes, tempo=[(0, 96)])


def sine(seconds: float = 0.5) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE)


def test_picture_and_sound_stand_in_plain_html():
    found, _ = parts(play(tune()))
    (image,), (audio,) = found.all("img"), found.all("audio")
    assert image["alt"].startswith("Scale: 1 bar, C major, 4/4") and "rises" in image["alt"]
    assert ElementTree.fromstring(payload(image["src"])).tag.endswith("svg")
    assert audio["src"].startswith("data:audio/mpeg;base64,") and "controls" in audio
    wave, rate = decode(payload(audio["src"]))
    assert rate == RATE and len(wave) / rate > 2 and 0.6 < np.abs(wave).max() < 0.8


def test_no_address_outside_the_page():
    html = play({"a": tune(), "b": choir()}, stems=True)._repr_html_()
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", html))
    assert {address.rstrip("\\") for address in addresses} <= {"http://www.w3.org/2000/svg"}
    names = {name for _, attributes in Parts(html).tags for name in attributes}
    assert not any(name == "id" or name.startswith("on") for name in names)
    assert html.count("</script>") == 1


def test_same_score_same_bytes():
    assert play(choir())._repr_html_() == play(choir())._repr_html_()


def test_a_minute_of_four_voices_fits():
    minute = choir(24)  # 96 quarter notes at 96 a minute
    assert float(minute.seconds(minute.duration)) == pytest.approx(60)
    assert len(play(minute)._repr_html_()) <= 800_000
    assert len(play(minute, view="notation")._repr_html_()) <= 800_000
    assert len(play(minute, stems=True)._repr_html_()) <= 3_000_000


def test_the_script_gets_time_bars_and_midi():
    score = Score(
        [(0, 1, 60), (1, 3, 62), (4, 3, 64)],
        metre=[(1, 3, 4)], tempo=[(0, 60), (4, 120)], title="<b>It's & \"so\"</b>",
    )  # fmt: skip
    _, data = parts(play(score))
    assert data["title"] == score.title
    (version,) = data["versions"]
    assert version["bars"] == [0, 1, 4, 7] and version["first"] == 0 and version["end"] == 7
    assert version["times"] == [[0, 4, 7], [0, 4, 5.5]]
    midi = Score.from_midi(base64.b64decode(version["midi"]))
    assert midi.notes["pitch"].tolist() == [60, 62, 64]
    kinds = [picture["kind"] for picture in version["pictures"]]
    assert kinds == ["roll", "notation"]
    packed = zlib.decompress(base64.b64decode(version["pictures"][1]["packed"]))
    assert ElementTree.fromstring(packed).tag.endswith("svg")


def test_view_chooses_the_picture_of_the_plain_page():
    found, data = parts(play(tune(), view="notation"))
    assert data["versions"][0]["pictures"][0]["kind"] == "notation"
    assert b"Times" in payload(found.all("img")[0]["src"])


def test_versions_have_names_sounds_and_differences():
    other = tune().transpose(1)
    for player in (play([tune(), other], ["Human", "Model"]), play({"Human": tune(),
                                                                    "Model": other})):  # fmt: skip
        found, data = parts(player)
        assert [v["name"] for v in data["versions"]] == ["Human", "Model"]
        assert len(found.all("audio")) == len(found.all("img")) == 2
        assert "Differs from Human in bar 1." in found.all("img")[1]["alt"]
    assert [v["name"] for v in parts(play([tune(), sine()]))[1]["versions"]] == ["A", "B"]
    assert "Human: Scale" in play({"Human": tune()}).description


def test_versions_are_as_loud_as_they_are_written():
    soft, loud = (Score([(0, 2, 60, velocity)]) for velocity in (40, 80))
    found, _ = parts(play([soft, loud]))
    peaks = [np.abs(decode(payload(a["src"]))[0]).max() for a in found.all("audio")]
    assert peaks[1] == pytest.approx(0.7, abs=0.05)
    assert peaks[0] / peaks[1] == pytest.approx(0.25, abs=0.05)  # (40 / 80) squared


def test_loop_counts_bars_as_musicians_do():
    score = Score([(i, 1, 60) for i in range(9)], metre=[(1, 4, 4)])
    assert parts(play(score, loop=(2, 2)))[1]["loop"] == [5, 9]
    assert parts(play(score, loop=(0, 1)))[1]["loop"] == [0, 5]
    assert parts(play(sine(), loop=(0.1, 0.2)))[1]["loop"] == [0.1, 0.2]


def test_stems_are_the_voices_alone():
    score = choir(2)
    _, data = parts(play(score, stems=True))
    stems = [decode(base64.b64decode(v["stem"]))[0] for v in data["versions"][0]["voices"]]
    mix = decode(payload(parts(play(score))[0].all("audio")[0]["src"]))[0]
    together = np.sum(stems, axis=0)
    assert len(together) == len(mix)
    assert np.corrcoef(together, mix)[0, 1] > 0.99
    assert "stem" not in parts(play(score))[1]["versions"][0]["voices"][0]


def test_waveforms_show_their_level():
    found, data = parts(play(torch.from_numpy(sine()).float(), rate=RATE))
    assert found.all("img")[0]["alt"].startswith("Waveform of 0.5 seconds at 22,050 samples")
    assert data["versions"][0]["end"] == pytest.approx(0.5)
    picture = waveform(sine(), RATE)
    assert picture.rows[0].positions == [0.0, 0.5]
    assert "0.1 s" in picture.svg


def test_the_text_form_is_the_description():
    assert repr(play(tune())).startswith("Player: Scale: 1 bar, C major, 4/4, 120 quarter notes")


def test_a_score_that_midi_cannot_hold_still_plays():
    score = Score([(0, 2, 60), (1, 2, 60)])
    assert parts(play(score))[1]["versions"][0]["midi"] == ""


def test_voices_differ_without_colour():
    looks = set()
    for i, style in enumerate(FILLINGS):
        looks.add(re.sub(r"#[0-9A-F]{6}|url\(#f\d\)|id=\"f\d\"", "", "".join(filling(i))) + style)
    assert len(looks) == len(FILLINGS)
    picture = piano_roll(choir(), {0: "S", 1: "A", 2: "T", 3: "B"})
    for label in "SATB":
        assert f">{label}</text>" in picture.svg


def test_rows_of_a_roll_cover_the_piece():
    score = choir(40)
    picture = piano_roll(score, dict.fromkeys(range(4), ""))
    assert len(picture.rows) > 1
    assert picture.rows[0].positions[0] == 0
    assert picture.rows[-1].positions[1] == score.bar_lines[-1]
    for before, after in zip(picture.rows, picture.rows[1:], strict=False):
        assert before.positions[1] == after.positions[0] and before.bottom < after.top


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (Score([]), {}, ValueError, "has no notes"),
        ([], {}, ValueError, "the list is empty"),
        (np.array([0.1, np.nan]), {}, ValueError, "NaN or infinite"),
        (np.zeros((2, 100)), {}, ValueError, r"shape \(2, 100\).*one channel"),
        (np.zeros(0), {}, ValueError, "is empty"),
        (np.zeros(9, np.int16), {}, TypeError, "holds int16.*wave / 32768"),
        (np.array([0.0, 3.0]), {}, ValueError, "peaks at 3"),
        (tune(), {"rate": 12_345}, ValueError, "rate must be one of"),
        (tune(), {"loop": ("a", "b")}, ValueError, "pair of numbers"),
        ("air.mid", {}, TypeError, "to play a file, Score"),
        ({"a": Score([])}, {}, ValueError, r"score \(a\) has no notes"),
        (tune(), {"view": "sheet"}, ValueError, "'roll' or 'notation'"),
        (tune(), {"names": ["a"]}, ValueError, "names are for a list"),
        (tune(), {"loop": (1, 9)}, ValueError, "this score has bars 1–1"),
        (tune(), {"loop": 3}, ValueError, "must be a pair"),
        ([tune(), tune()], {"names": ["a", "a"]}, ValueError, "two versions are called 'a'"),
        ([tune(), tune()], {"names": ["a"]}, ValueError, "need a list of 2 names"),
        ([tune()], {"names": [" "]}, ValueError, "name is empty"),
        ({"a": tune()}, {"names": ["b"]}, ValueError, "has its names already"),
        ([tune(), sine()], {"stems": True}, ValueError, "stems=True needs scores"),
        (sine(), {"loop": (2, 1)}, ValueError, "two seconds"),
        (sine(), {"rate": 1234}, ValueError, "rate must be one of"),
    ],
)
def test_bad_input_is_refused_in_one_line(x, options, error, message):
    with pytest.raises(error, match=message) as caught:
        play(x, **options)._repr_html_()
    assert "\n" not in str(caught.value)
