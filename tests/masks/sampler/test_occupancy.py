import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.mask_checks import DISC

from rbc_lightning.masks.sampler import occupancy, raster
from rbc_lightning.masks.sampler.canvas import new_canvas
from rbc_lightning.masks.sampler.kernels import write_bits, write_runs

HEIGHT, WIDTH = 50, 90


def disc_brush():
    """A disc of radius 9 on the brush."""
    brush = raster.new_brush(12)
    assert raster.rasterise(DISC.vertices, DISC.starts[0], DISC.starts[1], np.eye(2), brush)
    raster.pack(brush)
    return brush


def put(canvas, brush, row, column, label, color):
    write_runs(row, column, label, color, brush.runs, brush.box[raster.RUNS], canvas)
    write_bits(row, column, 0, brush, canvas)
    canvas.areas[label - 1] = (canvas.label_map == label).sum()


@pytest.fixture
def scene():
    """Two discs 22 columns apart, in colours 2 and 5."""
    canvas, brush = new_canvas(HEIGHT, WIDTH, 4, 8, 12), disc_brush()
    put(canvas, brush, 20, 20, 1, 2)
    put(canvas, brush, 20, 42, 2, 5)
    return canvas, brush


def disc(row, column):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - row) ** 2 + (columns - column) ** 2 <= 81


@settings(max_examples=40, deadline=None)
@given(st.integers(-5, HEIGHT + 5), st.integers(-8, WIDTH + 8))  # the plane has 15 more rows on either side, a disc 9
def test_what_lies_at_a_place_agrees_with_plain_masks(row, column):
    canvas, brush = new_canvas(HEIGHT, WIDTH, 4, 8, 12), disc_brush()
    put(canvas, brush, 20, 20, 1, 2)
    put(canvas, brush, 20, 42, 2, 5)
    new = disc(row, column)
    hits = (new & (canvas.label_map > 0)).sum()
    box = brush.box
    where = (brush.bits, box[raster.ROWS], box[raster.WORDS], canvas.occupied)
    place = (row + box[raster.TOP] + canvas.origin[0], column + box[raster.LEFT] + canvas.origin[1])
    assert occupancy.is_free(*where, *place) == (hits == 0)
    assert occupancy.count_hits(*where, *place, 10_000) == hits
    assert occupancy.visible_area(row, column, brush, HEIGHT, WIDTH) == new.sum()


def test_counting_gives_up_above_the_limit(scene):
    canvas, brush = scene
    place = (20 + brush.box[raster.TOP] + canvas.origin[0], 20 + brush.box[raster.LEFT] + canvas.origin[1])
    found = occupancy.count_hits(brush.bits, brush.box[raster.ROWS], brush.box[raster.WORDS], canvas.occupied, *place, 10)
    assert 10 < found < (canvas.label_map == 1).sum()


@pytest.mark.parametrize(("column", "colors"), [(70, []), (62, []), (61, [5]), (31, [2, 5]), (1, [2]), (0, [])])
def test_colours_within_a_pixel_are_taken(scene, column, colors):
    # A disc of radius 9 touches another 19 columns away, in the 8-neighbourhood.
    canvas, brush = scene
    occupancy.note_colors(20, column, brush, canvas)
    assert np.flatnonzero(canvas.taken[1:]).tolist() == [color - 1 for color in colors]
    assert canvas.taken[0] == bool(colors)


def test_what_may_be_covered(scene):
    canvas, brush = scene
    rest = raster.new_brush(12)
    # 14 columns from the first disc, of which it would hide a part.
    hidden = (disc(20, 6) & disc(20, 20)).sum()
    share = hidden / disc(20, 20).sum()
    assert not occupancy.can_cover(20, 6, False, brush, rest, canvas, share - 0.01)
    assert occupancy.can_cover(20, 6, False, brush, rest, canvas, share + 0.01)
    assert canvas.hidden[0].tolist() == [1, hidden]
    assert not canvas.hidden[1:].any()


def test_what_stays_of_a_shape_under_others(scene):
    canvas, brush = scene
    rest = raster.new_brush(12)
    left = disc(20, 31) & (canvas.label_map == 0)
    # Between two discs the rest is one piece; at the place of one nothing is left.
    assert occupancy.uncovered_area(20, 31, brush, rest, canvas) == left.sum()
    runs = rest.runs[: rest.box[raster.RUNS]]
    assert (runs[:, 2] - runs[:, 1]).sum() == left.sum()
    assert occupancy.uncovered_area(20, 20, brush, rest, canvas) == 0


def test_a_shape_that_the_border_cuts_in_two_is_refused():
    # A ring's arc whose ends alone reach into the image.
    brush = raster.new_brush(12)
    brush.runs[:5] = [(-2, 0, 6), (-1, 0, 2), (-1, 4, 6), (0, 0, 2), (0, 4, 6)]
    brush.box[:] = [-2, 3, -1, 1, 5, 14]
    assert occupancy.visible_area(0, 20, brush, HEIGHT, WIDTH) == -1
    assert occupancy.visible_area(2, 20, brush, HEIGHT, WIDTH) == 14


@given(st.integers(0, 2**64 - 1))
def test_bits_are_counted(value):
    assert occupancy.popcount(np.uint64(value)) == value.bit_count()
