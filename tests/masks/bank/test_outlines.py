import numpy as np
import pytest

from rbc_lightning.masks.bank.outlines import outline, shape_centre, thin_out, trace


def padded(rows):
    return np.pad(np.array(rows, np.bool_), 1)


def test_one_pixel_is_a_diamond():
    # Midpoints of its edges, doubled, clockwise from the top.
    assert outline(padded([[1]])).tolist() == [[-1, 0], [0, 1], [1, 0], [0, -1]]


def test_the_walk_meets_every_edge_of_the_shape_once():
    shape = padded([[1, 1, 0], [0, 1, 1]])
    midpoints = trace(shape, np.empty((16, 2), np.int64))
    edges = set()
    for row, column in np.argwhere(shape):
        for step_row, step_column in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            if not shape[row + step_row, column + step_column]:
                edges.add((2 * row + step_row, 2 * column + step_column))
    assert len(midpoints) == len(edges) == 10
    assert {tuple(point) for point in midpoints.tolist()} == edges


def test_straight_sides_need_few_corners():
    square = padded(np.ones((20, 30)))
    midpoints = trace(square, np.empty((4 * 600, 2), np.int64))
    assert len(midpoints) == 2 * (20 + 30)
    assert len(thin_out(midpoints)) <= 8
    assert thin_out(midpoints)[0] == 0


def test_the_centre_is_the_rounded_centroid():
    assert shape_centre(padded([[1, 1]])).tolist() == [1, 2]
    assert shape_centre(padded([[1, 1, 1], [1, 0, 0]])).tolist() == [1, 2]
    assert outline(padded([[1, 1]])).min(axis=0).tolist() == [-1, -3]


def test_a_shape_too_large_for_16_bits_is_refused():
    with pytest.raises(ValueError, match=r"a shape of \(3, 20000\) pixels is too large for the bank"):
        outline(np.zeros((3, 20_000), np.bool_))
