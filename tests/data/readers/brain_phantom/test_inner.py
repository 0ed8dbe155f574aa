import numpy as np

from rbc_lightning.data.readers.brain_phantom.fields import NODES
from rbc_lightning.data.readers.brain_phantom.inner import cisterns_of, deep_grey, fissures, ventricles_of


def at(field, x, y, z):
    index = [int(np.argmin(abs(axis - value))) for axis, value in zip((NODES.x, NODES.y, NODES.z), (x, y, z), strict=True)]
    return np.broadcast_to(field, NODES.shape)[tuple(index)]


def test_ventricles_grow_with_atrophy_and_have_horns():
    small, choroid, near = ventricles_of(NODES.positions, -1.5, np.random.default_rng(0))
    large = ventricles_of(NODES.positions, 1.5, np.random.default_rng(0))[0]
    assert 1.3 < (large < 0).sum() / (small < 0).sum() < 4
    assert at(large, 22, -31, 10) < 0
    assert at(large, 60, 0, 0) > 20
    assert at(choroid, 20, -29, 9) < 0
    assert at(near, 9, 38, 5) > 0.9
    assert at(near, 60, 0, 0) < 0.1


def test_deep_grey_matter_lies_beside_the_ventricles_in_both_halves():
    grey, pallidum = deep_grey(NODES.positions)
    for side in (-1, 1):
        assert at(grey, side * 10, -16, 6) < 0
        assert at(grey, side * 26, 3, 2) < 0
        assert at(pallidum, side * 20, 0, 0) < 0
    assert at(grey, 50, 40, 40) > 0


def test_the_halves_are_joined_in_the_middle_alone():
    medial, sylvian, bright = fissures(NODES.positions, np.random.default_rng(0))
    assert at(medial, 0, 0, 5) > 5
    assert at(medial, 0, 0, 60) < 0
    assert at(medial, 0, 70, 5) < 0
    assert at(sylvian, 37.5, 4, 1) < 1.3
    assert at(bright, 36, 4, 1) < 0
    assert at(cisterns_of(NODES.positions), 0, 6, -22) < 0
