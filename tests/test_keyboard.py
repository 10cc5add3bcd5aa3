"""The keyboard on the screen: clicked, typed, and by program."""

import pytest

from mlmusic.keyboard import Keyboard, read_pitches


@pytest.mark.parametrize(
    "text, pitches",
    [
        ("D4 F#4 A4 D5", [62, 66, 69, 74]),
        ("d, f♯, a, Bb5", [62, 66, 69, 82]),
        ("G3 a b♭ C-1", [55, 57, 58, 0]),
        ("b bb", [71, 70]),
        ("  ", []),
    ],
)
def test_reading(text, pitches):
    assert read_pitches(text) == pitches


def test_what_isnt_a_note():
    with pytest.raises(ValueError, match="'H' isn't a note: type notes like"):
        read_pitches("C H")
    with pytest.raises(ValueError, match="'A9' is outside MIDI's range"):
        read_pitches("A9")


def test_clicks_are_notes_and_the_fifth_begins_anew():
    keyboard, heard = Keyboard(), []
    keyboard.observe(lambda change: heard.append(change["new"]), names="pitches")
    for pitch in (60, 61, 83, 60, 72):
        keyboard.buttons[pitch].click()
    assert heard == [(60,), (60, 61), (60, 61, 83), (60, 61, 83, 60), (72,)]
    assert "1 of 4 notes: C5" in keyboard.said.value and 'role="status"' in keyboard.said.value
    keyboard.again.click()
    assert keyboard.pitches == () and "nothing yet" in keyboard.said.value


def test_typed_notes():
    keyboard = Keyboard(count=3)
    keyboard.line.value = "E4 G4 B4 D5"
    assert keyboard.pitches == (64, 67, 71)
    keyboard.line.value = "E4 <b>"
    assert keyboard.pitches == (64, 67, 71) and "&lt;b&gt;" in keyboard.said.value


def test_score():
    score = Keyboard([62, 64, 66, 69]).score(0.5)
    assert score.notes["pitch"].tolist() == [62, 64, 66, 69] and score.duration == 2


def test_keys_are_named_and_lie_side_by_side():
    keyboard = Keyboard(low=60, high=71)
    names = [key.description for key in keyboard.buttons.values()]
    assert names == ["C4", "C♯4", "D4", "D♯4", "E4", "F4", "F♯4", "G4", "G♯4", "A4", "A♯4", "B4"]
    areas = {key.description: key.layout.grid_area for key in keyboard.buttons.values()}
    assert areas["C4"] == "2 / 1 / 3 / 3" and areas["C♯4"] == "1 / 2 / 2 / 4"
    assert areas["B4"] == "2 / 13 / 3 / 15" and len(set(areas.values())) == 12


def test_bad_input():
    for low, high in ((61, 72), (60, 70), (72, 60), (-1, 60)):
        with pytest.raises(ValueError, match="from one white key up to another"):
            Keyboard(low=low, high=high)
    with pytest.raises(ValueError, match="count must be"):
        Keyboard(count=0)
    with pytest.raises(ValueError, match="within 0–127"):
        Keyboard([200])
