from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from rbc_lightning.data.volumes.upright import upright, upright_sides

AFFINE = np.diag([2.0, 3.0, 7.0, 1.0])


@pytest.mark.parametrize("angle", [0, 20])
def test_all_48_ways_to_store_a_volume_are_turned_to_one(angle):
    volume = np.random.default_rng(0).normal(size=(3, 4, 5))
    turn = np.eye(4)
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turn[:2, :2] = [[c, -s], [s, c]]
    for order, flips in product(permutations(range(3)), product((1, -1), repeat=3)):
        orientation = np.array([[axis, flip] for axis, flip in zip(order, flips, strict=True)], dtype=float)
        stored = nib.Nifti1Image(volume, turn @ AFFINE).as_reoriented(orientation)
        np.testing.assert_array_equal(upright(stored.get_fdata(), stored.affine), volume)
        assert upright_sides(stored.affine) == pytest.approx((2, 3, 7))
