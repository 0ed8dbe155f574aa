import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.mask_layouts import blob_map, disc_map, same_cells
from scipy import ndimage

from rbc_lightning.masks.sources.real import smooth_displacement, warp_label_map

MAP = blob_map(2)


def raster_numbered(label_map):
    """Ids in the order in which cells are met, row by row."""
    order = [label for label in dict.fromkeys(label_map.ravel().tolist()) if label]
    numbers = np.zeros(label_map.max() + 1, np.int32)
    numbers[order] = np.arange(1, len(order) + 1)
    return numbers[label_map]


def test_a_cyclic_shift_rolls_the_map():
    inside = disc_map([(30, 40), (60, 90), (20, 100)], 6, 96, 128)
    expected = raster_numbered(np.roll(inside, (-11, -17), (0, 1)))
    np.testing.assert_array_equal(warp_label_map(inside, shift=(11, 17), border="cyclic"), expected)


def test_a_mirrored_shift_shows_the_mirror_image_as_another_cell():
    # A cell cut by the last row: its mirror image lies beside it, and counts on its own.
    label_map = np.zeros((6, 5), np.int32)
    label_map[4:, 1:3] = 1
    expected = np.zeros((6, 5), np.int32)
    expected[1:3, 1:3], expected[3:5, 1:3] = 1, 2
    np.testing.assert_array_equal(warp_label_map(label_map, shift=(3, 0)), expected)


@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("quarters", range(4))
def test_quarter_turns_and_flips_are_exact(quarters, flips):
    square = MAP[:90, :90].copy()
    turned = warp_label_map(square, angle=quarters * np.pi / 2, flips=flips)
    plain = square[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
    expected = np.rot90(plain, -quarters)
    assert same_cells(turned, warp_label_map(np.ascontiguousarray(expected)))
    np.testing.assert_array_equal(turned > 0, warp_label_map(np.ascontiguousarray(expected)) > 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(-np.pi, np.pi), st.sampled_from(["cyclic", "mirrored"]))
def test_every_id_is_one_piece_and_ids_have_no_gap(seed, angle, border):
    rng = np.random.default_rng(seed)
    bend = smooth_displacement(rng, 96, 128, 2.0, 20.0)
    moved = warp_label_map(blob_map(seed), shift=(40, 70), angle=angle, bend=bend, border=border)
    assert (moved.dtype, moved.shape) == (np.int32, (96, 128))
    labels = np.unique(moved[moved > 0]).tolist()
    assert labels == list(range(1, len(labels) + 1))
    assert all(ndimage.label(moved == label)[1] == 1 for label in labels)


def test_a_displacement_has_its_amplitude_and_is_smooth():
    fields = [smooth_displacement(np.random.default_rng(seed), 60, 80, 3.0, 12.0) for seed in range(60)]
    values = np.array(fields)
    assert values.shape == (60, 2, 60, 80)
    assert values.std(axis=(0, 1)) == pytest.approx(np.full((60, 80), 3.0), rel=0.35)
    assert values.std() == pytest.approx(3.0, rel=0.05)
    assert values.mean() == pytest.approx(0.0, abs=0.25)
    # It changes over the length: by a twelfth of its deviation from pixel to pixel, at most about that.
    steps = np.diff(values, axis=2)
    assert steps.std() == pytest.approx(3.0 / 12.0, rel=0.25)
    assert not smooth_displacement(np.random.default_rng(0), 6, 7, 0.0, 3.0)[0].any()
