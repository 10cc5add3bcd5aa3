"""Music in words."""

import numpy as np
import pytest

from mlmusic import Score
from mlmusic.describe import (
    describe,
    describe_wave,
    differences,
    interval,
    key_name,
    pitch_name,
    spell,
    voice_names,
)


@pytest.mark.parametrize(
    ("pitch", "key", "name"),
    [
        (61, (0, "minor"), "C sharp 4"),
        (61, (-4, "major"), "D flat 4"),
        (70, (-1, "minor"), "B flat 4"),
        (73, (-1, "minor"), "C sharp 5"),  # the leading note of D minor
        (60, (7, "major"), "B sharp 3"),
        (59, (-7, "major"), "C flat 4"),
        (66, (0, ""), "F sharp 4"),
        (63, (0, ""), "E flat 4"),
        (0, (0, ""), "C-1"),
    ],
)
def test_pitches_are_spelled_as_the_key_spells_them(pitch, key, name):
    assert pitch_name(pitch, key) == name


def test_spelling_always_sounds_the_pitch():
    steps = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))
    for pitch in range(128):
        for fifths in range(-7, 8):
            for mode in ("major", "minor", ""):
                letter, alter, octave = spell(pitch, fifths, mode)
                assert 12 * (octave + 1) + steps[letter] + alter == pitch


def test_intervals_and_keys():
    assert [interval(n) for n in (0, -7, 12, 14, 24)] == [
        "the same note", "a fifth", "an octave", "an octave and a tone", "2 octaves",
    ]  # fmt: skip
    names = [key_name(-1, "minor"), key_name(-3, "major"), key_name(2, "dorian"), key_name(-2, "")]
    assert names == ["D minor", "E flat major", "E dorian", "two flats"]
    assert key_name(0, "") == "no sharps or flats" and key_name(1, "") == "one sharp"


def test_a_tune_is_told_from_head_to_end():
    score = Score(
        [(0, 1, 62), (1, 1, 69), (2, 1, 67), (3, 1, 65), (4, 2, 64), (6, 2, 62)],
        key=[(0, -1, "minor")], title="Short", tempo=[(0, 60)],
    )  # fmt: skip
    assert describe(score) == (
        "Short: 2 bars, D minor, 4/4, 60 quarter notes a minute, 8 seconds, 1 voice. "
        "The melody starts on D4, rises a fifth to A4 in bar 1, and falls a fifth to D4 in bar 2. "
        "It moves mostly by step, mostly in quarter notes; its largest leap is a fifth in bar 1."
    )


def test_voices_are_named_as_a_choir_by_instrument_or_by_number():
    def score(pitches, programs):
        return Score([(0, 1, p, 80, v) for v, p in enumerate(pitches)], programs=programs)

    assert list(voice_names(score((72, 67, 60, 48), {})).values()) == [
        "soprano", "alto", "tenor", "bass",
    ]  # fmt: skip
    assert voice_names(score((60, 67, 72, 48), {}))[0] == "voice 1"
    assert voice_names(score((72, 40), {0: 73, 1: 128})) == {0: "flute", 1: "drums"}


def test_differences_name_bars():
    a = Score([(i, 1, 60) for i in range(24)])
    b = Score([(i, 1, 62 if i in (8, 13, 14, 17) else 60) for i in range(24)])
    assert differences(a, b, "A") == "Differs from A in bars 3–5."
    assert differences(a, a, "A") == "The notes are the same as A's."
    assert differences(a, a.bars(1, 3), "A") == "Its bars are laid out differently from A's."


def test_waveforms_are_told_by_length_and_level():
    wave = np.zeros(8000)
    assert describe_wave(wave, 8000) == "Waveform of 1.0 seconds at 8,000 samples a second, silent."
    wave[4000:6000] = 0.5
    text = describe_wave(wave, 8000)
    assert "peak −6 dB" in text and "silent for the first 0.5 seconds" in text
    assert "silent for the last 0.2 seconds" in text or "last 0.3" in text
