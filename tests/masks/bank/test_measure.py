import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.mask_layouts import blob_map, same_cells, touching_pairs
from scipy import ndimage

from rbc_lightning.masks.bank import measure

# A bar of three pixels, a single pixel beside it, and a cell in the corner; id 3 is absent.
LABELS = np.zeros((6, 8), np.int32)
LABELS[2, 1:4], LABELS[3, 4], LABELS[4:, 6:] = 1, 2, 4


def test_moments_by_hand():
    table = measure.cell_moments(LABELS, 4)
    assert table[1].tolist() == [3, 6, 6, 12, 14, 12, 2, 2, 1, 3]
    assert table[2].tolist() == [1, 3, 4, 9, 16, 12, 3, 3, 4, 4]
    assert table[3, measure.AREA] == 0
    central = measure.central_moments(table[1:])
    assert central[0] == pytest.approx([3, 2, 2, 0, 2 / 3, 0])
    assert central[1] == pytest.approx([1, 3, 4, 0, 0, 0])
    assert not central[2].any()
    assert measure.lies_inside(table, 6, 8).tolist() == [False, True, True, False, False]
    # Off the border of 6 x 8 pixels are 4 x 4 places for the bar of three, 4 x 6 for the single pixel.
    assert measure.border_weights(table[1:3], 6, 8).tolist() == [48 / 16, 48 / 24]


def test_the_covariance_has_a_sign():
    diagonal = np.eye(3, dtype=np.int32)
    assert measure.central_moments(measure.cell_moments(diagonal, 1))[1] == pytest.approx([3, 1, 1, 2 / 3, 2 / 3, 2 / 3])
    mirrored = np.ascontiguousarray(diagonal[::-1])
    assert measure.central_moments(measure.cell_moments(mirrored, 1))[1, 5] == pytest.approx(-2 / 3)


def test_the_largest_part_is_kept_and_its_holes_are_filled():
    mask = np.zeros((7, 9), np.bool_)
    mask[1:6, 1:6] = True
    mask[3, 3] = False
    mask[6, 7] = True  # diagonal to nothing, a part of its own
    expected = np.zeros_like(mask)
    expected[1:6, 1:6] = True
    np.testing.assert_array_equal(measure.largest_filled_component(np.pad(mask, 1)), np.pad(expected, 1))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_largest_pieces_agree_with_scipy(seed, n):
    labels = np.random.default_rng(seed).integers(0, n + 1, (13, 17)).astype(np.int32)
    expected = np.zeros_like(labels)
    for label in range(1, n + 1):
        parts, n_parts = ndimage.label(labels == label)
        if n_parts:
            sizes = ndimage.sum_labels(labels == label, parts, range(1, n_parts + 1))
            expected[parts == 1 + np.argmax(sizes)] = label
    kept = measure.largest_pieces(labels, n)
    assert same_cells(kept, expected)
    first_seen = list(dict.fromkeys(kept[kept > 0].tolist()))
    assert first_seen == list(range(1, kept.max() + 1))


def test_contacts_by_hand():
    # Bar and pixel are diagonal neighbours; the corner lies one pixel from the single one.
    assert np.unique(measure.contact_pairs(LABELS, 0), axis=0).tolist() == [[1, 2]]
    assert np.unique(measure.contact_pairs(LABELS, 1), axis=0).tolist() == [[1, 2], [2, 4]]
    assert np.unique(measure.contact_pairs(LABELS, 2), axis=0).tolist() == [[1, 2], [1, 4], [2, 4]]
    crowded = blob_map(3, n=30)
    assert {tuple(pair) for pair in measure.contact_pairs(crowded, 0).tolist()} == touching_pairs(crowded)


def test_more_contacts_than_the_first_table_holds():
    stripes = np.arange(1, 3001, dtype=np.int32).reshape(2, 1500)
    pairs = {tuple(pair) for pair in measure.contact_pairs(stripes, 0).tolist()}
    assert pairs == touching_pairs(stripes)
    assert len(pairs) > 5000


def test_interior_pixels_have_four_neighbours_of_their_label():
    labels = np.ones((3, 3), np.int32)
    labels[2, 2] = 2
    inside = [[measure.is_interior(labels, row, column) for column in range(3)] for row in range(3)]
    assert inside == [[True, True, True], [True, True, False], [True, False, False]]


def test_a_label_map_becomes_contiguous_int32():
    checked = measure.check_label_map(np.arange(12, dtype=np.uint8).reshape(3, 4).T)
    assert checked.dtype == np.int32
    assert checked.flags.c_contiguous
    with pytest.raises(TypeError, match="integer type, got bool"):
        measure.check_label_map(np.ones((2, 2), np.bool_))
