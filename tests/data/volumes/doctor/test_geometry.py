import numpy as np
import pytest

from rbc_lightning.data.volumes.doctor.geometry import apart, grid_finding, mirroring

SHAPE, NAMES = (10, 20, 5), ("FLAIR", "mask")
AFFINE = np.array([[-1.0, 0, 0, 4], [0, 1, 0, -9], [0, 0, 6, 3], [0, 0, 0, 1]])


def moved(*mm):
    affine = AFFINE.copy()
    affine[:3, 3] += mm
    return affine


def mirrored(axis):
    """The grid whose voxels run the other way along an axis."""
    affine = AFFINE.copy()
    affine[:3, 3] += affine[:3, axis] * (SHAPE[axis] - 1)
    affine[:3, axis] *= -1
    return affine


def test_one_grid_is_no_finding_and_neither_is_a_sixth_digit():
    for affine in (AFFINE, AFFINE + 1e-5 * np.eye(4)):
        assert grid_finding("a", NAMES, (SHAPE, SHAPE), (AFFINE, affine)) is None


def test_the_distance_is_in_mm_and_that_of_the_farthest_corner():
    assert apart(SHAPE, AFFINE, moved(3, 4, 0)) == pytest.approx(5)
    wider = AFFINE.copy()
    wider[2, 2] = 7
    assert apart(SHAPE, AFFINE, wider) == pytest.approx(4)


def test_other_sizes_and_other_places_are_told_with_numbers():
    other = grid_finding("a", NAMES, (SHAPE, (10, 20, 6)), (AFFINE, AFFINE))
    assert other.text == "FLAIR has 10 x 20 x 5 voxels, mask 10 x 20 x 6; expected one grid"
    assert other.remedy.startswith("resample mask to the grid of FLAIR")
    assert "mask lies up to 6.0 mm from FLAIR" in grid_finding("a", NAMES, (SHAPE, SHAPE), (AFFINE, moved(0, 0, 6))).text


@pytest.mark.parametrize(("axis", "name"), [(0, "x"), (1, "y"), (2, "z")])
def test_a_grid_that_is_the_other_one_mirrored_is_told_as_such(axis, name):
    assert mirroring(SHAPE, AFFINE, mirrored(axis)) == name
    assert grid_finding("a", NAMES, (SHAPE, SHAPE), (AFFINE, mirrored(axis))).text.endswith(f"mirrored along {name}")
    assert mirroring(SHAPE, AFFINE, moved(1, 0, 0)) is None
