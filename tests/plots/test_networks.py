"""Figures of networks: what is drawn where, and words that say the same."""

import numpy as np
import pytest

from mlmusic import plots

GRID = np.arange(12.0).reshape(3, 4)


def dots(ax):
    """Places and areas of each of the two collections: for, against."""
    return [
        dict(zip(map(tuple, c.get_offsets().tolist()), c.get_sizes().tolist(), strict=True))
        for c in ax.collections
    ]


def test_saliency_draws_each_important_place_once():
    importance = np.zeros((3, 4))
    importance[0, 1], importance[2, 3], importance[1, 0] = 4, 2, -1
    ax = plots.saliency(GRID, importance)
    speaks_for, against = dots(ax)
    assert set(speaks_for) == {(1, 0), (3, 2)}
    assert set(against) == {(0, 1)}
    assert speaks_for[1, 0] == 2 * speaks_for[3, 2] == 4 * against[0, 1]
    np.testing.assert_array_equal(ax.images[0].get_array(), GRID)


def test_saliency_uses_the_axes_units():
    importance = np.zeros((3, 4))
    importance[2, 3] = 1
    ax = plots.saliency(GRID, importance, extent=(0, 8, 60, 63))
    assert set(dots(ax)[0]) == {(7.0, 62.5)}
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 8), (60, 63))


def test_saliency_leaves_out_what_hardly_counts():
    importance = np.ones((30, 40)) * 0.01
    importance[0, 0] = 1
    assert len(dots(plots.saliency(importance, importance))[0]) == 1
    assert len(dots(plots.saliency(np.ones((30, 40)), np.ones((30, 40))))[0]) == 160


def test_saliency_in_words():
    importance = np.array([[3.0, 0.0], [0.0, -1.0]])
    ax = plots.saliency(importance, importance, xlabel="note", ylabel="pitch", target="jig")
    assert plots.alt(ax) == (
        "Importance for jig: 75% of it speaks for, the rest against. Most for: note 0, pitch 0."
        " Most against: note 1, pitch 1."
    )
    nothing = plots.saliency(GRID, np.zeros((3, 4)))
    assert plots.alt(nothing) == "Importance for the class: zero everywhere."


@pytest.mark.parametrize(
    ("picture", "importance", "message"),
    [
        (GRID, GRID[:2], r"\(3, 4\) and importance \(2, 4\)"),
        (GRID[0], GRID[0], "two tables"),
        (GRID[:0], GRID[:0], "two tables"),
        (GRID, np.full((3, 4), np.nan), "finite"),
    ],
)
def test_saliency_bad_input(picture, importance, message):
    with pytest.raises(ValueError, match=message):
        plots.saliency(picture, importance)


def test_receptive_field_fills_what_is_seen():
    ax = plots.receptive_field([(3,), (3, 1, 2)], names=["first", "second"])
    rows = ax.collections
    filled = [
        [
            round(x)
            for (x, _), face in zip(row.get_offsets().tolist(), row.get_facecolors(), strict=True)
            if tuple(face[:3]) != (1, 1, 1)
        ]
        for row in rows
    ]
    assert filled == [list(range(7)), [1, 3, 5], [3]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["input", "first", "second"]
    assert plots.alt(ax) == (
        "Receptive field: one output of second depends on 7 of the 7 inputs that it spans, through"
        " 3 of first."
    )


def test_receptive_field_tells_of_gaps():
    ax = plots.receptive_field([(2, 1, 3)])
    assert "depends on 2 of the 4 inputs" in plots.alt(ax)


def test_receptive_field_bad_input():
    with pytest.raises(ValueError, match="no layers"):
        plots.receptive_field([])
    with pytest.raises(ValueError, match="from 1 on"):
        plots.receptive_field([(0,)])
    with pytest.raises(ValueError, match="1 names for 2 layers"):
        plots.receptive_field([(3,), (3,)], names=["one"])
