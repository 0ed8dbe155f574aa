import numpy as np
import pytest

from rbc_lightning.data.readers.brain_phantom.placement import Placement, draw_placement

VOXEL, SHAPE = (0.9, 0.9, 7.0), (20, 24, 5)


def placements(count=400):
    return [draw_placement(np.random.default_rng(seed), VOXEL, SHAPE) for seed in range(count)]


def test_one_in_ten_has_one_oddity():
    found = placements()
    flips = [p for p in found if p.flipped]
    slopes = [p for p in found if p.slope != 1]
    angles = [abs(np.dot(*(p.affine[:3, i] / np.linalg.norm(p.affine[:3, i]) for i in (1, 2)))) for p in found]
    sheared = [angle for angle in angles if angle > 1e-4]
    assert 0.06 < (len(flips) + len(slopes) + len(sheared)) / len(found) < 0.14
    assert min(len(flips), len(slopes), len(sheared)) >= 4
    assert all(np.linalg.det(p.affine[:3, :3]) < 0 for p in flips)


def test_affines_keep_the_voxels_size_and_the_head_in_the_middle():
    for place in placements(50):
        assert np.linalg.norm(place.affine[:3, 0]) == pytest.approx(0.9, rel=1e-5)
        assert np.abs(place.affine @ [*((np.array(SHAPE) - 1) / 2), 1])[:3].max() < 20
        assert np.array_equal(place.affine, place.affine.astype(np.float32))


def test_a_flipped_volume_lies_where_the_plain_one_would():
    array = np.arange(6).reshape(3, 2, 1)
    assert np.array_equal(Placement(np.eye(4), True, 1.0).stored(array), array[::-1])
    assert np.array_equal(Placement(np.eye(4), False, 1.0).stored(array), array)
