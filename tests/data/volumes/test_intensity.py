import numpy as np
import pytest
from nibabel.orientations import apply_orientation, inv_ornt_aff
from volume_samples import AFFINE, tiny_scan

from rbc_lightning.data.volumes.intensity import LARGEST, STANDARD, brain_mask, check_varies, standardise
from rbc_lightning.data.volumes.nifti import Volume
from rbc_lightning.errors import InputError


def volumes(tmp_path, *arrays, affine=AFFINE):
    return [Volume(tmp_path / f"{index}.nii", array.astype(np.float32), affine) for index, array in enumerate(arrays)]


def head(tmp_path, rng):
    """A brain of 100 in a dark skull in a bright scalp, neck below; and where the brain is."""
    x, y, z = np.meshgrid(np.linspace(-90, 90, 61), np.linspace(-105, 105, 71), np.linspace(-70, 70, 15), indexing="ij")
    away = np.sqrt((x / 68) ** 2 + (y / 84) ** 2 + (z / 66) ** 2)
    brain, skull, scalp = away < 1, away < 1.09, away < 1.19
    array = np.select([brain, skull, scalp], [100, 8, 260], 3) + rng.normal(0, 3, x.shape)
    affine = np.diag([3, 3, 10, 1.0])
    return Volume(tmp_path / "head.nii", array.astype(np.float32), affine), brain


def dice(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def test_the_brain_of_a_stripped_scan_is_found_with_its_ventricles(tmp_path):
    flair, t1, labels = tiny_scan(1)
    found = brain_mask(volumes(tmp_path, flair, t1))
    assert found.dtype == np.bool_
    assert dice(found, (flair != 0) | (labels > 0)) > 0.93
    assert found[labels > 0].mean() > 0.97


def test_scalp_and_skull_are_left_out(tmp_path):
    volume, brain = head(tmp_path, np.random.default_rng(0))
    found = brain_mask([volume])
    assert dice(found, brain) > 0.93
    assert not (found & (volume.array > 200)).mean() > 0.005


def test_a_brain_at_the_rim_of_its_volume_does_not_bulge(tmp_path):
    volume, brain = head(tmp_path, np.random.default_rng(0))
    stripped = np.where(brain, volume.array, 0)
    x, y, z = (np.flatnonzero(brain.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    box = np.ix_(x, y, z)
    found = brain_mask([Volume(volume.path, stripped[box], volume.affine)])
    assert dice(found, brain[box]) > 0.995


def test_scale_and_offset_of_the_scanner_do_not_matter(tmp_path):
    volume, _ = head(tmp_path, np.random.default_rng(0))
    other = Volume(volume.path, volume.array * 37 - 500, volume.affine)
    assert dice(brain_mask([volume]), brain_mask([other])) > 0.999


def test_other_storage_gives_much_the_same_brain(tmp_path):
    volume, _ = head(tmp_path, np.random.default_rng(0))
    orientation = np.array([[1, -1], [2, 1], [0, -1]])
    stored = apply_orientation(volume.array, orientation)
    affine = volume.affine @ inv_ornt_aff(orientation, volume.array.shape)
    found = brain_mask([Volume(volume.path, stored, affine)])
    assert dice(found, apply_orientation(brain_mask([volume]), orientation)) > 0.99


def test_a_mask_of_tiny_or_flat_volumes_is_not_empty(tmp_path):
    for shape in ((4, 5, 1), (1, 1, 2)):
        array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        found = brain_mask(volumes(tmp_path, array))
        assert found.any()
        assert found.shape == shape


def test_a_volume_of_one_value_is_refused(tmp_path):
    for value in (0, 7):
        (volume,) = volumes(tmp_path, np.full((4, 4, 2), value))
        for call in (check_varies, lambda one: brain_mask([one])):
            with pytest.raises(InputError, match=rf"0\.nii: every voxel is {value}; expected an image: export it again"):
                call(volume)


def test_stored_values_are_z_scores_of_the_brain():
    rng = np.random.default_rng(3)
    array = rng.normal(500, 80, (20, 20, 5)).astype(np.float32)
    brain = np.zeros(array.shape, dtype=np.bool_)
    brain[5:15, 5:15] = True
    array[~brain] = 0
    array[0, 0, 0] = 10000
    stored = standardise(array, brain)
    mean, deviation = STANDARD
    z = (stored / LARGEST - mean) / deviation
    assert stored.dtype == np.uint16
    assert z[brain].mean() == pytest.approx(0, abs=1e-3)
    assert z[brain].std() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(z[brain], (array[brain] - array[brain].mean()) / array[brain].std(), atol=2e-3)
    assert (int(stored.min()), int(stored.max())) == (0, LARGEST)


def test_a_brain_of_one_value_does_not_divide_by_zero():
    stored = standardise(np.arange(8, dtype=np.float32).reshape(2, 2, 2), np.arange(8).reshape(2, 2, 2) == 3)
    assert stored.ravel()[3] == round(STANDARD[0] * LARGEST)


def test_three_slices_are_no_colours(tmp_path, recwarn):
    volume, _ = head(tmp_path, np.random.default_rng(0))
    brain_mask([Volume(volume.path, volume.array[:, :, 6:9], volume.affine)])
    assert not list(recwarn)
