"""Ways between points, how even they are, and attributes of hand-made windows."""

import numpy as np
import pytest

from mlmusic.latent import (
    attribute_vector,
    attributes,
    cut_and_paste,
    lerp,
    plane,
    slerp,
    way,
)

T = np.linspace(0, 1, 5)


def test_a_straight_line():
    assert lerp([0.0, 2.0], [4.0, 0.0], T).tolist() == [[0, 2], [1, 1.5], [2, 1], [3, 0.5], [4, 0]]


def test_an_arc_turns_evenly_and_keeps_its_length():
    points = slerp([1.0, 0.0], [0.0, 1.0], T)
    angles = np.degrees(np.arctan2(points[:, 1], points[:, 0]))
    assert angles == pytest.approx([0, 22.5, 45, 67.5, 90])
    assert np.linalg.norm(points, axis=1) == pytest.approx(np.ones(5))


def test_an_arc_between_lengths_and_along_one_line():
    points = slerp([2.0, 0.0], [0.0, 4.0], T)
    assert np.linalg.norm(points, axis=1) == pytest.approx([2, 2.5, 3, 3.5, 4])
    assert slerp([1.0, 1.0], [3.0, 3.0], T) == pytest.approx(lerp([1.0, 1.0], [3.0, 3.0], T))


def test_both_ways_begin_and_end_where_they_should():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 64))
    for go in (lerp, slerp):
        assert go(a, b, T)[[0, -1]] == pytest.approx(np.stack([a, b]))
    # Halfway between random directions, the straight line is near the middle, the arc isn't.
    assert np.linalg.norm(lerp(a, b, T)[2]) < 0.8 * np.linalg.norm(slerp(a, b, T)[2])


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([0.0, 0.0], [1.0, 0.0], "one of the points is 0"),
        ([1.0, 0.0], [-2.0, 0.0], "opposite directions"),
        ([1.0], [1.0, 2.0], "must have one shape"),
        ([np.nan, 0.0], [1.0, 0.0], "finite"),
    ],
)
def test_arcs_that_cant_be_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        slerp(a, b, T)


def test_a_plane_has_its_corners_and_arcs_between():
    corners = np.random.default_rng(1).normal(size=(4, 8))
    grid = plane(corners, 3, 4)
    assert grid.shape == (3, 4, 8)
    assert grid[[0, 0, 2, 2], [0, 3, 0, 3]] == pytest.approx(corners)
    assert grid[1, 0] == pytest.approx(slerp(corners[0], corners[2], [0.5])[0])
    with pytest.raises(ValueError, match="four corners"):
        plane(corners[:3], 3, 4)
    with pytest.raises(ValueError, match="at least 2 rows"):
        plane(corners, 1, 4)


A = [20, 0, 0, 0]
B = [22, 0, 24, 0]


def test_a_way_measured_by_hand():
    # From A to B all four steps sound differently; halfway, two do.
    found = way([A, [22, 0, 20, 0], B])
    assert (found.distance, found.largest, found.detour) == (1, 0.5, 1)
    assert way([A, B, A, B]).detour == 3


def test_ways_that_arent_any_are_refused():
    with pytest.raises(ValueError, match="two windows at least"):
        way([A])
    with pytest.raises(ValueError, match="sound the same"):
        way([A, B, A])


def test_cut_and_paste_goes_from_left_to_right():
    found = cut_and_paste(A, B, [0, 0.5, 1])
    assert found.tolist() == [A, [22, 0, 0, 0], B]


def test_attributes_by_hand():
    symbols = [[20, 0, 22, 27, 0, 0, 29, 0], [1, 0, 30, 0, 0, 0, 0, 0], [30, 0, 0, 0, 20, 0, 0, 0]]
    found = attributes(symbols)
    assert found.tolist() == [[4, 9, 7], [1, 0, 0], [2, 10, -10]]
    with pytest.raises(ValueError, match="windows are an array"):
        attributes([1, 0])


def test_an_attribute_vector_joins_the_means_of_the_outer_quarters():
    latents = np.array([[0.0, 1], [0, 3], [5, 5], [5, 5], [5, 5], [5, 5], [8, 0], [10, 0]])
    vector = attribute_vector(latents, [1, 2, 3, 4, 5, 6, 7, 8])
    assert vector.tolist() == [9, -2]


@pytest.mark.parametrize(
    ("values", "share", "message"),
    [
        ([1, 1, 1, 1], 0.25, "don't differ"),
        ([1, 2], 0.25, "one value each"),
        ([1, 2, 3, 4], 0.6, "share"),
    ],
)
def test_attribute_vectors_that_cant_be_are_refused(values, share, message):
    with pytest.raises(ValueError, match=message):
        attribute_vector(np.eye(4), values, share=share)
