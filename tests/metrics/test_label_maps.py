"""AJI, panoptic quality and counting error against counting by hand and against pixel loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles.label_map_pixel_loops import aji_by_pixel_loop, pq_by_pixel_loop

from rbc_lightning.metrics.label_maps import aggregated_jaccard_index, count_error, intersections, panoptic_quality

EMPTY = np.zeros((6, 8), dtype=np.int32)
small_maps = arrays(np.int64, (5, 6), elements=st.integers(0, 5))


def ids(text: str) -> np.ndarray:
    """A digit is an id, a dot background."""
    return np.array([[int(pixel.replace(".", "0")) for pixel in row] for row in text.split()])


def square(label, row, column, side=10, shape=(40, 60)):
    canvas = np.zeros(shape, dtype=np.int32)
    canvas[row : row + side, column : column + side] = label
    return canvas


def disc_smear(shift=(0, 0), radius=6):
    rows, columns = np.mgrid[:60, :80]
    canvas = np.zeros((60, 80), dtype=np.int32)
    for index in range(12):
        row, column = 10 + 18 * (index // 4) + shift[0], 10 + 19 * (index % 4) + shift[1]
        canvas[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = index + 1
    return canvas


def test_a_shifted_square_by_hand():
    # 10 x 8 of 10 x 10 pixels shared: IoU 80 / 120.
    true, pred = square(1, 5, 5), square(7, 5, 7)
    assert aggregated_jaccard_index(pred, true) == pytest.approx(80 / 120)
    assert panoptic_quality(pred, true) == pytest.approx((80 / 120, 80 / 120, 1.0))


def test_a_match_needs_more_than_half():
    # Half the square, nothing else: an IoU of exactly 1/2 does not match; one pixel more does.
    true, half = square(1, 5, 5), square(1, 5, 5)
    half[10:] = 0
    assert aggregated_jaccard_index(half, true) == 0.5
    assert panoptic_quality(half, true) == (0.0, 0.0, 0.0)
    half[10, 5] = 1
    assert panoptic_quality(half, true) == pytest.approx((0.51, 0.51, 1.0))


def test_found_missed_and_invented_cells_by_hand():
    # One perfect cell, one found with IoU 50/100, one missed, one invented: TP 1 (0.5 is no match), FP 2, FN 2.
    true = square(1, 0, 0) + square(2, 0, 20) + square(3, 0, 40)
    pred = square(4, 0, 0) + square(9, 20, 20)
    pred[:5, 20:30] = 2
    assert aggregated_jaccard_index(pred, true) == pytest.approx((100 + 50) / (100 + 100 + 100 + 100))
    assert panoptic_quality(pred, true) == pytest.approx((1 / 3, 1.0, 1 / 3))


def test_one_blob_over_two_true_cells_serves_both_by_hand():
    # Merged: each true cell has IoU 100/200 with the blob, which Kumar's algorithm counts for both of them.
    true = square(1, 0, 0) + square(2, 0, 10)
    blob = (true > 0).astype(np.int64)
    assert aggregated_jaccard_index(blob, true) == pytest.approx((100 + 100) / (200 + 200))
    assert panoptic_quality(blob, true) == (0.0, 0.0, 0.0)
    # Split: the true blob has one best part, of 120 pixels; the other, of 80, is unused.
    parts = blob.copy()
    parts[:, 12:] *= 2
    assert aggregated_jaccard_index(parts, blob) == pytest.approx(120 / (200 + 80))
    assert panoptic_quality(parts, blob) == pytest.approx((0.6 / 1.5, 0.6, 1 / 1.5))


def test_a_best_cell_is_the_one_of_highest_iou_not_of_most_shared_pixels():
    # The large cell shares 3 pixels of the true 4 (IoU 3/10), the small one the fourth alone (IoU 1/4), and in a second
    # picture two pixels each: then the small cell (2/4) beats the large one (2/10).
    true = ids("1111...... ..........")
    assert aggregated_jaccard_index(ids("2221...... 222222...."), true) == pytest.approx(3 / (10 + 1))
    assert aggregated_jaccard_index(ids("2211...... 222222...."), true) == pytest.approx(2 / (4 + 8))


@pytest.mark.parametrize("pred", ["3344.", "4433."])
def test_a_tie_goes_to_the_cell_that_comes_first_whatever_its_id(pred):
    # Both predicted cells share one pixel with cell 1 (IoU 1/3); the second is the best of cell 2 anyway (IoU 1/2).
    # With the first for cell 1: 2 shared of 3 + 2. With the second, the first would be left over: 2 of 7.
    assert aggregated_jaccard_index(ids(pred), ids(".112.")) == pytest.approx(2 / 5)


@pytest.mark.parametrize("shift", [(0, 0), (0, 1), (2, 0), (3, 2), (5, 5)])
def test_shifted_discs_with_exact_counts(shift):
    true, pred = disc_smear(), disc_smear(shift)
    # The discs stay apart, so that every pair shares and covers the same number of pixels.
    one = {(row, column) for row in range(-6, 7) for column in range(-6, 7) if row**2 + column**2 <= 36}
    moved = {(row + shift[0], column + shift[1]) for row, column in one}
    assert len(one) == 113
    iou = len(one & moved) / len(one | moved)
    assert aggregated_jaccard_index(pred, true) == pytest.approx(iou)
    expected = (iou, iou, 1.0) if iou > 0.5 else (0.0, 0.0, 0.0)
    assert panoptic_quality(pred, true) == pytest.approx(expected)


def test_empty_maps():
    for height_width in ((6, 8), (0, 0), (0, 5)):
        nothing = np.zeros(height_width, dtype=np.int32)
        assert aggregated_jaccard_index(nothing, nothing) == 1.0
        assert panoptic_quality(nothing, nothing) == (1.0, 1.0, 1.0)
    cell = EMPTY.copy()
    cell[2:4, 2:4] = 3
    for pred, true in ((cell, EMPTY), (EMPTY, cell)):
        assert aggregated_jaccard_index(pred, true) == 0.0
        assert panoptic_quality(pred, true) == (0.0, 0.0, 0.0)
    assert panoptic_quality(EMPTY + 5, EMPTY + 2) == (1.0, 1.0, 1.0)


@given(small_maps, small_maps)
@settings(deadline=None)
def test_agrees_with_the_pixel_loops(pred, true):
    if pred.any() or true.any():
        assert aggregated_jaccard_index(pred, true) == pytest.approx(aji_by_pixel_loop(pred, true), abs=1e-12)
        assert panoptic_quality(pred, true) == pytest.approx(pq_by_pixel_loop(pred, true), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_pixel_loops_on_discs_of_all_kinds(seed):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:60, :80]
    true, pred = np.zeros((2, 60, 80), dtype=np.int32)
    for index in range(25):
        row, column, radius = rng.uniform((0, 0, 3), (60, 80, 9))
        true[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = index + 1
        if rng.random() < 0.8:
            row, column, radius = rng.normal((row, column, radius), 0.6)
            pred[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = 100 - index
    pq = panoptic_quality(pred, true)
    assert 0.2 < pq.pq < 0.9
    assert pq == pytest.approx(pq_by_pixel_loop(pred, true), abs=1e-12)
    assert aggregated_jaccard_index(pred, true) == pytest.approx(aji_by_pixel_loop(pred, true), abs=1e-12)


@given(small_maps, small_maps, st.permutations(range(1, 6)), st.permutations([7, 300, 70_000, 2**31 - 1, 1]))
@settings(deadline=None)
def test_ids_are_names_only(pred, true, of_pred, of_true):
    renamed_pred, renamed_true = np.array([0, *of_pred])[pred], np.array([0, *of_true])[true]
    assert aggregated_jaccard_index(renamed_pred, renamed_true) == aggregated_jaccard_index(pred, true)
    assert panoptic_quality(renamed_pred, renamed_true) == pytest.approx(panoptic_quality(pred, true))


@given(small_maps, small_maps)
@settings(deadline=None)
def test_what_must_hold_for_all_maps(pred, true):
    assert aggregated_jaccard_index(true, true) == 1.0
    assert panoptic_quality(true, true) == (1.0, 1.0, 1.0)
    found = panoptic_quality(pred, true)
    assert 0 <= aggregated_jaccard_index(pred, true) <= 1
    assert found == pytest.approx(panoptic_quality(true, pred))
    assert found.pq == pytest.approx(found.sq * found.rq)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.uint64])
def test_the_table_of_shared_pixels(dtype):
    table = intersections(ids("..55 2255 22..").astype(dtype), ids("3.3. 333. 1...").astype(dtype))
    # Cells in order of first pixel: 5 and 2 found; 3 and 1 true. Pairs in whatever order.
    assert table.pred_areas.tolist() == [4, 4]
    assert table.true_areas.tolist() == [5, 1]
    pairs = sorted(zip(table.pred_cells.tolist(), table.true_cells.tolist(), table.pixels.tolist(), strict=True))
    assert pairs == [(0, 0, 2), (1, 0, 2), (1, 1, 1)]


def test_a_thousand_cells_and_more():
    index = np.arange(40 * 30).reshape(30, 40) + 1
    true = np.pad(np.kron(index, np.ones((10, 10), dtype=np.int64)), 5)
    # One row further down each loses one of ten rows to its neighbour: IoU 90 / 110.
    pred = np.roll(true, 1, axis=0)
    assert aggregated_jaccard_index(pred, true) == pytest.approx(90 / 110)
    assert panoptic_quality(pred, true) == pytest.approx((90 / 110, 90 / 110, 1.0))


@pytest.mark.parametrize(
    ("n_found", "n_true", "expected"), [(8, 10, 0.2), (12, 10, 0.2), (0, 4, 1.0), (2, 0, 2.0), (0, 0, 0.0)]
)
def test_count_error(n_found, n_true, expected):
    assert count_error(n_found, n_true) == pytest.approx(expected)


@pytest.mark.parametrize("score", [aggregated_jaccard_index, panoptic_quality])
@pytest.mark.parametrize(
    ("pred", "true", "error", "message"),
    [
        (EMPTY.astype(float), EMPTY, TypeError, "expected an integer label map, got pred of dtype float64"),
        (EMPTY, EMPTY > 0, TypeError, "got true of dtype bool"),
        (EMPTY[None], EMPTY, ValueError, r"expected a label map \(H, W\), got pred of shape \(1, 6, 8\)"),
        (EMPTY, EMPTY[1:], ValueError, r"must have one shape, got \(6, 8\) and \(5, 8\)"),
        (EMPTY, EMPTY - 1, ValueError, r"ids must lie in \[0, 2\*\*31\), got true with ids from -1 to -1"),
        (EMPTY.astype(np.int64) + 2**31, EMPTY, ValueError, "got pred with ids from 2147483648 to 2147483648"),
    ],
)
def test_bad_maps_are_refused(score, pred, true, error, message):
    with pytest.raises(error, match=message):
        score(pred, true)


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="at least 0, got -1 found and 3 true cells"):
        count_error(-1, 3)
