"""The map of melodies: clicked, walked with sliders (the arrow keys), and by program."""

import numpy as np
import pytest

from mlmusic import Score
from mlmusic.latentmap import LatentMap

GRID = np.stack(
    np.meshgrid(np.arange(3), np.arange(4), indexing="ij"), axis=-1
)  # 3 rows, 4 columns


def decode(z):
    """Row n has n notes more than one, column m begins m semitones above middle C."""
    return Score([(i, 1, 60 + int(z[1])) for i in range(int(z[0]) + 1)])


def made(**options):
    found, heard = LatentMap(GRID, decode, **options), []
    found.observe(lambda change: heard.append(change["new"]), names="place")
    return found, heard


def test_a_click_goes_there_and_says_so():
    found, heard = made()
    assert found.place == (0, 0)
    found.buttons[2][1].click()
    assert heard == [(2, 1)]
    assert found.score().notes["pitch"].tolist() == [61, 61, 61]
    assert "Row 3, column 2." in found.said.value
    assert 'role="status" aria-live="polite"' in found.said.value
    assert (found.across.value, found.up.value) == (2, 3)
    assert found.buttons[2][1].layout.border is not None
    assert found.buttons[0][0].layout.border is None


def test_sliders_walk_one_step_at_a_time():
    found, heard = made(place=(1, 1))
    found.across.value += 1  # what the right arrow does
    found.up.value -= 1  # what the down arrow does: rows are counted from the bottom
    assert heard == [(1, 2), (0, 2)]
    assert found.place == (0, 2)
    assert found.children[0].children[-4:] == tuple(found.buttons[0])
    assert found.children[0].children[:4] == tuple(found.buttons[2])


def test_a_place_by_program_moves_both_sliders_once():
    found, heard = made()
    found.place = (2, 3)
    assert heard == [(2, 3)]
    assert (found.up.value, found.across.value) == (3, 4)


def test_marks_stand_on_the_buttons():
    found, _ = made(mark=lambda score: str(len(score)))
    assert [[button.description for button in row] for row in found.buttons] == [
        ["1"] * 4,
        ["2"] * 4,
        ["3"] * 4,
    ]
    assert found.buttons[1][2].tooltip == "row 2, column 3: 2"


def test_landmarks_have_names():
    found, _ = made(mark=lambda score: str(len(score)), names={(2, 3): "D"})
    assert found.buttons[2][3].description == "D 3"
    assert found.buttons[2][2].description == "3"
    assert found.buttons[2][3].tooltip == "row 3, column 4: D 3"
    found.place = (2, 3)
    assert "Row 3, column 4 (D)." in found.said.value
    with pytest.raises(ValueError, match="isn't on the map"):
        made(names={(3, 0): "A"})


def test_a_point_is_decoded_once():
    calls = []
    found = LatentMap(GRID, lambda z: calls.append(tuple(z)) or decode(z))
    for place in ((1, 1), (0, 0), (1, 1)):
        found.place = place
    assert sorted(calls) == [(0, 0), (1, 1)]


def test_a_silent_point_is_said():
    found = LatentMap(GRID, lambda z: Score([]))
    assert "Nothing sounds here." in found.said.value


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((3, 4)), "points"),
        (np.zeros((1, 4, 2)), "2 to 15 rows"),
        (np.zeros((3, 16, 2)), "2 to 15 rows"),
        (np.full((2, 2, 2), np.nan), "finite"),
    ],
)
def test_points_that_are_no_map(points, message):
    with pytest.raises(ValueError, match=message):
        LatentMap(points, decode)


def test_places_off_the_map():
    found, heard = made()
    with pytest.raises(ValueError, match=r"place \(3, 0\) isn't on the map"):
        found.place = (3, 0)
    with pytest.raises(ValueError, match="isn't on the map"):
        LatentMap(GRID, decode, place=(0, 4))
    assert heard == []
