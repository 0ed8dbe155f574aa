"""Tiles: they cover every pixel, overlap enough, and none is superfluous."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbc_lightning.core.tiles import tile_windows


def test_the_last_tile_is_moved_inward():
    windows = tile_windows(height=10, width=25, tile=10, overlap=4)
    assert [(rows.start, rows.stop) for rows, _ in windows] == [(0, 10)] * 4
    assert [(columns.start, columns.stop) for _, columns in windows] == [(0, 10), (6, 16), (12, 22), (15, 25)]


def test_tiles_go_row_by_row():
    windows = tile_windows(height=15, width=16, tile=10, overlap=2)
    assert [(rows.start, columns.start) for rows, columns in windows] == [(0, 0), (0, 6), (5, 0), (5, 6)]


@pytest.mark.parametrize(("height", "width"), [(10, 10), (7, 10), (1, 1)])
def test_an_image_no_larger_than_a_tile_is_not_cut(height, width):
    assert tile_windows(height, width, tile=10, overlap=9) == [(slice(0, height), slice(0, width))]


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 30), st.data())
def test_tiles_cover_the_image_and_hold_every_object_as_small_as_the_overlap(height, width, tile, data):
    overlap = data.draw(st.integers(0, tile - 1))
    windows = tile_windows(height, width, tile, overlap)
    covered = np.zeros((height, width), dtype=int)
    for rows, columns in windows:
        assert rows.stop - rows.start == min(tile, height)
        assert columns.stop - columns.start == min(tile, width)
        covered[rows, columns] += 1
    assert covered.min() == 1 or (covered.min() > 1 and overlap > 0)
    # An interval of overlap + 1 pixels lies whole in some tile, wherever it is: one more than a shared border needs.
    for length, axis in ((height, 0), (width, 1)):
        sides = {(window[axis].start, window[axis].stop) for window in windows}
        size = min(overlap + 1, length)
        assert all(any(a <= start and start + size <= b for a, b in sides) for start in range(length - size + 1))
        assert len(sides) == max(1, -(-(length - overlap) // (tile - overlap)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 5, 4, 1), "expected positive sizes, got an image of 0 x 5 and tiles of 4 px"),
        ((5, 5, 4, 4), r"overlap must lie in \[0, 4\), the side of a tile; got 4"),
        ((5, 5, 4, -1), "got -1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tile_windows(*arguments)
