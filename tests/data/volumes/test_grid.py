import itertools

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff
from volume_samples import write_nifti

from rbc_lightning.data.volumes.grid import SliceGrid
from rbc_lightning.data.volumes.nifti import read_labels, read_volume, write_volume

SHAPE = (7, 9, 5)
NUMBERS = np.random.default_rng(0).integers(0, 250, SHAPE).astype(np.uint8)
# Axes right, front, up.
RAS = np.array([[1, 0, 0, -3], [0, 1.5, 0, -4], [0, 0, 3, -5], [0, 0, 0, 1.0]])
ORIENTATIONS = [
    np.array(list(zip(order, flips, strict=True)), dtype=float)
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


def turned(degrees):
    """RAS, turned about all axes and sheared a little."""
    a, b, c = np.radians(degrees)
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    affine = RAS.copy()
    affine[:3, :3] = x @ y @ z @ (RAS[:3, :3] + 0.03)
    affine[:3, 3] = (-17.123456789, 3.3333333, 0.1)
    return affine


OBLIQUE = [turned(angles) for angles in ((12, -8, 5), (30, 20, -25), (-3, 40, 2))]


def test_slices_are_seen_from_below_the_front_on_top_the_lowest_first():
    slices = SliceGrid.of(SHAPE, RAS).to_slices(NUMBERS, 0)
    # The last voxel to the right and in front is the first pixel.
    np.testing.assert_array_equal(slices, NUMBERS[::-1, ::-1].transpose(2, 1, 0))


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_all_48_orientations_give_the_same_slices_and_come_back_equal(tmp_path, orientation):
    stored, affine = apply_orientation(NUMBERS, orientation), RAS @ inv_ornt_aff(orientation, SHAPE)
    path = write_nifti(tmp_path / "a.nii.gz", stored, affine)
    volume = read_volume(path)
    for side in (None, 12):
        grid = SliceGrid.of(volume.array.shape, volume.affine, side)
        slices = grid.to_slices(volume.array, 1)
        np.testing.assert_array_equal(slices, SliceGrid.of(SHAPE, RAS, side).to_slices(NUMBERS, 0))
        assert grid.spacing == pytest.approx((1.5, 1))
        assert grid.thickness == pytest.approx(3)
        write_volume(tmp_path / "b.nii.gz", grid.to_volume(slices.astype(np.uint8)), path)
        np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "b.nii.gz").dataobj), stored)
        assert nib.load(tmp_path / "b.nii.gz").affine.tobytes() == nib.load(path).affine.tobytes()


@pytest.mark.parametrize("affine", OBLIQUE, ids=["little", "much", "one"])
@pytest.mark.parametrize("orientation", ORIENTATIONS[::5], ids=str)
def test_oblique_scans_keep_their_planes_and_come_back_equal(tmp_path, affine, orientation):
    stored = apply_orientation(NUMBERS, orientation)
    path = write_nifti(tmp_path / "a.nii", stored, affine @ inv_ornt_aff(orientation, SHAPE))
    labels = read_labels(path)
    grid = SliceGrid.of(labels.array.shape, labels.affine, 16)
    slices = grid.to_slices(labels.array, 0)
    np.testing.assert_array_equal(slices, SliceGrid.of(SHAPE, affine, 16).to_slices(NUMBERS, 0))
    write_volume(tmp_path / "b.nii", grid.to_volume(slices), path)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "b.nii").dataobj), stored)
    assert nib.load(tmp_path / "b.nii").affine.tobytes() == nib.load(path).affine.tobytes()


def test_a_plane_turned_by_nearly_ninety_degrees_comes_back(tmp_path):
    affine = turned((0, 0, 89.9))
    grid = SliceGrid.of(SHAPE, affine)
    np.testing.assert_array_equal(grid.to_volume(grid.to_slices(NUMBERS, 0)), NUMBERS)
    assert grid.depth == SHAPE[2]


def test_cropping_and_padding_keep_voxels_and_the_middle():
    grid = SliceGrid.of(SHAPE, RAS, 4)
    slices = grid.to_slices(NUMBERS, 0)
    assert slices.shape == (5, 4, 4)
    assert not grid.is_whole
    np.testing.assert_array_equal(slices, NUMBERS[::-1, ::-1].transpose(2, 1, 0)[:, 2:6, 1:5])
    back = grid.to_volume(slices)
    np.testing.assert_array_equal(back[2:6, 3:7], NUMBERS[2:6, 3:7])
    assert back[:2].max() == back[:, :3].max() == 0
    wide = SliceGrid.of(SHAPE, RAS, 20)
    assert wide.is_whole
    assert wide.to_slices(NUMBERS, 0)[:, 6:15, 7:14].tobytes() == SliceGrid.of(SHAPE, RAS).to_slices(NUMBERS, 0).tobytes()


@pytest.mark.parametrize(("spacing", "size"), [(3.6, (64, 64)), (0.5, (64, 64)), (2.0, (110, 91))])
def test_resampling_keeps_a_constant_and_places(spacing, size):
    shape, affine = (200, 240, 3), np.diag([0.91, 0.92, 7, 1])
    grid = SliceGrid.of(shape, affine, None if size[0] > 64 else 64, spacing)
    assert grid.size == size
    assert grid.spacing == pytest.approx((spacing, spacing))
    inner = grid.to_slices(np.ones(shape, dtype=np.float32), 1)[:, size[0] // 2 - 8 : size[0] // 2 + 8, size[1] // 2 - 8 :][
        ..., :16
    ]
    np.testing.assert_allclose(inner, 1, atol=1e-6)
    # mm from the middle, to the front and to the right, as a pixel has it.
    y = np.broadcast_to(((np.arange(240) - 119.5) * 0.92)[None, :, None], shape)
    rows = grid.to_slices(y, 1)[1, :, size[1] // 2]
    expected = -(np.arange(size[0]) - (size[0] - 1) / 2) * spacing
    near = np.abs(expected) < 100
    np.testing.assert_allclose(rows[near], expected[near], atol=0.05)


def test_a_coarse_pixel_is_the_mean_of_the_voxels_around_it_so_that_nothing_small_is_lost():
    array = np.zeros((64, 64, 1), dtype=np.float32)
    array[21, 40] = 1
    slices = SliceGrid.of(array.shape, np.eye(4), 16, 4.0).to_slices(array, 1)
    assert slices.sum() == pytest.approx(1 / 16, rel=1e-5)
    assert slices.max() > 0.02


def test_coarse_labels_come_back_to_their_place():
    shape, affine = (60, 72, 4), np.diag([1, 1, 5, 1.0])
    labels = np.zeros(shape, dtype=np.uint8)
    labels[20:36, 30:50] = 2
    grid = SliceGrid.of(shape, affine, 40, 2.0)
    back = grid.to_volume(grid.to_slices(labels, 0))
    assert back.dtype == np.uint8
    assert set(np.unique(back)) == {0, 2}
    both, either = ((back > 0) & (labels > 0)).sum(), ((back > 0) | (labels > 0)).sum()
    assert both / either > 0.9
    smooth = grid.to_volume(grid.to_slices(labels, 1))
    assert smooth.dtype == np.float32
    assert smooth[28, 40, 2] == pytest.approx(2, abs=1e-5)


def test_a_spacing_that_is_nearly_the_scans_own_leaves_voxels_as_they_are():
    grid = SliceGrid.of((200, 240, 3), np.diag([0.8984375, 0.8984375, 7, 1]), 256, 0.898)
    assert not grid.resamples
    assert grid.spacing == (0.8984375, 0.8984375)


def test_sides_of_other_parity_are_not_blurred():
    for side in (15, 16, 17):
        slices = SliceGrid.of(SHAPE, RAS, side).to_slices(NUMBERS, 1)
        assert slices.sum() == NUMBERS.sum()
        assert set(np.unique(slices)) <= {0, *np.unique(NUMBERS).tolist()}


def test_sagittal_storage_of_thick_slices_gives_axial_ones():
    # Axes front, up, left; slices of 5 mm from the right to the left.
    affine = np.array([[0, 0, -5, 30], [1, 0, 0, -20], [0, 1.2, 0, -10], [0, 0, 0, 1.0]])
    grid = SliceGrid.of((40, 30, 13), affine)
    assert (grid.depth, *grid.size) == (30, 40, 13)
    assert (grid.thickness, *grid.spacing) == pytest.approx((1.2, 1, 5))
