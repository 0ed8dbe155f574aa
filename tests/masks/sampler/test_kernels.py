from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.full_map_sampler import draw_by_weight
from oracles.mask_checks import BANK, DISC, sampler
from scipy import ndimage, stats

from rbc_lightning.masks.sampler import raster
from rbc_lightning.masks.sampler.adhesion import lattice_kernel, offset_table
from rbc_lightning.masks.sampler.canvas import CELLS, FALLBACK, LABELS, PLACES_TRIED, new_canvas
from rbc_lightning.masks.sampler.kernels import choose_color, clear_halo, draw_shape, place_cells, write_bits, write_runs

PLACING = sampler(
    DISC, n_init=1, rotate=False, flip=False, scale_std=0.0, tries_per_shape=200, shapes_per_cell=2, uniform_tries=200
)._placing


def disc_brush():
    brush = raster.new_brush(12)
    assert raster.rasterise(DISC.vertices, DISC.starts[0], DISC.starts[1], np.eye(2), brush)
    raster.pack(brush)
    return brush


def place(count, height=60, width=80, n_colors=8, **values):
    canvas = new_canvas(height, width, count, n_colors, 12)
    place_cells(
        np.random.default_rng(0),
        count,
        DISC.vertices,
        DISC.starts,
        np.ones(1),
        np.ones(1),
        offset_table(lattice_kernel(19.0)),
        PLACING._replace(**values),
        raster.new_brush(12),
        raster.new_brush(12),
        canvas,
    )
    return canvas


def test_cells_are_placed_and_counted():
    canvas = place(5)
    assert canvas.report[[CELLS, LABELS, FALLBACK]].tolist() == [5, 5, 0]
    assert canvas.report[PLACES_TRIED] >= 5
    assert canvas.labels[:5].tolist() == [1, 2, 3, 4, 5]
    disc = DISC.mask(0)
    for label, (row, column) in enumerate(canvas.centers[:5], start=1):
        rows, columns = np.nonzero(canvas.label_map == label)
        first, last, left, right = canvas.boxes[label - 1]
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (first, last, left, right)
        assert canvas.areas[label - 1].tolist() == [len(rows)] * 2
        if 9 <= row < 51 and 9 <= column < 71:
            np.testing.assert_array_equal(canvas.label_map[row - 9 : row + 10, column - 9 : column + 10] == label, disc)
    np.testing.assert_array_equal(canvas.poses[:5], np.broadcast_to(np.eye(2), (5, 2, 2)))


def test_a_full_field_gives_cells_up_after_the_last_resort():
    canvas = place(40, 40, 40)
    assert 0 < canvas.report[CELLS] == canvas.report[LABELS] < 12
    # Every cell that is given up has tried two shapes, and places anywhere.
    given_up = 40 - canvas.report[CELLS]
    assert canvas.report[PLACES_TRIED] >= given_up * (2 * 200 + 200)


@given(st.integers(0, 2**32), st.lists(st.floats(0.05, 20), min_size=1, max_size=30))
def test_shapes_are_drawn_by_weight(seed, weights):
    drawn = draw_shape(np.random.default_rng(seed), np.cumsum(weights))
    assert drawn == draw_by_weight(np.random.default_rng(seed).random(), np.array(weights))


def test_draws_follow_the_weights_of_a_bank():
    rng = np.random.default_rng(0)
    cumulative = BANK.cumulative_weights()
    drawn = np.bincount([draw_shape(rng, cumulative) for _ in range(20_000)], minlength=len(BANK))
    assert stats.chisquare(drawn, 20_000 * BANK.weights / BANK.weights.sum()).pvalue > 0.01
    assert len(np.unique(BANK.weights)) > 5


@pytest.mark.parametrize("weight", [1.0, 1.1, 1 / 3])
def test_equal_weights_draw_as_without_weights(weight):
    equal = replace(BANK, weights=np.full(len(BANK), weight))
    assert equal.cumulative_weights().tolist() == list(range(1, len(BANK) + 1))
    first, second = np.random.default_rng(3), np.random.default_rng(3)
    drawn = [draw_shape(first, equal.cumulative_weights()) for _ in range(2000)]
    assert drawn == [int(second.random() * len(BANK)) for _ in range(2000)]


@pytest.mark.parametrize("taken", [[], [1, 3], [1, 2, 3, 4]])
def test_free_colours_are_drawn_evenly(taken):
    rng = np.random.default_rng(0)
    flags = np.zeros(5, np.bool_)
    flags[taken] = True
    drawn = np.bincount([choose_color(rng, flags) for _ in range(3000)], minlength=5)
    free = [color for color in range(1, 5) if color not in taken]
    if not free:
        assert drawn[0] == 3000
        return
    assert drawn[free] == pytest.approx(np.full(len(free), 3000 / len(free)), rel=0.1)
    assert drawn[free].sum() == 3000


def test_runs_are_cut_at_the_border():
    canvas, brush = new_canvas(20, 30, 2, 8, 12), disc_brush()
    write_runs(2, 28, 1, 4, brush.runs, brush.box[raster.RUNS], canvas)
    rows, columns = np.mgrid[:20, :30]
    expected = (rows - 2) ** 2 + (columns - 28) ** 2 <= 81
    np.testing.assert_array_equal(canvas.label_map, expected)
    np.testing.assert_array_equal(canvas.colors, 4 * expected)
    assert canvas.boxes[0].tolist() == [0, 11, 19, 29]


def test_a_line_is_cleared_around_a_cell():
    canvas, brush = new_canvas(40, 60, 2, 8, 12), disc_brush()
    canvas.label_map[:], canvas.colors[:] = 1, 3
    clear_halo(20, 30, brush, canvas)
    rows, columns = np.mgrid[:40, :60]
    grown = ndimage.binary_dilation((rows - 20) ** 2 + (columns - 30) ** 2 <= 81, np.ones((3, 3)))
    np.testing.assert_array_equal(canvas.label_map == 0, grown)
    np.testing.assert_array_equal(canvas.colors == 0, grown)


def test_the_plane_of_the_foreground_holds_the_shape():
    canvas, brush = new_canvas(40, 60, 2, 8, 12), disc_brush()
    write_bits(5, 58, 0, brush, canvas)
    row, bit = canvas.origin
    plane = np.array(
        [[(int(canvas.occupied[row + y, (bit + x) // 64]) >> ((bit + x) % 64)) & 1 for x in range(60)] for y in range(40)]
    )
    rows, columns = np.mgrid[:40, :60]
    np.testing.assert_array_equal(plane, (rows - 5) ** 2 + (columns - 58) ** 2 <= 81)
