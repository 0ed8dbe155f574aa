from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import label

from rbc_lightning.data.readers.brain_phantom.anatomy import Tissue, draw_anatomy, draw_tissues
from rbc_lightning.data.readers.brain_phantom.fields import NODES, Grid


@cache
def head(seed):
    grid = Grid(*(np.arange(low, high, 2, dtype=np.float32) for low, high in ((-92, 92), (-111, 111), (-60, 90))))
    anatomy = draw_anatomy(np.random.default_rng(seed))
    return anatomy, grid, *draw_tissues(anatomy, grid)


def volume(tissues, *kinds):
    return np.isin(tissues, kinds).sum() * 8 / 1000


@pytest.mark.parametrize("seed", [0, 1])
def test_volumes_are_those_of_a_head(seed):
    tissues = head(seed)[2]
    assert 7 < volume(tissues, Tissue.VENTRICLE, Tissue.CHOROID) < 80
    grey = volume(tissues, Tissue.CORTEX, Tissue.INSULA, Tissue.DEEP)
    white = volume(tissues, Tissue.WHITE)
    assert 0.5 < grey / white < 1.6
    assert 900 < grey + white < 1600
    assert 0 < volume(tissues, Tissue.RIM) < 25


def test_a_slice_shows_from_outside_inwards_scalp_skull_fluid_cortex_and_white_matter():
    _, grid, tissues, _ = head(0)
    row = tissues[:, np.argmin(abs(grid.y + 30)), np.argmin(abs(grid.z - 40))]
    first = {kind: np.flatnonzero(row == kind)[0] for kind in (1, Tissue.SKULL, Tissue.CSF, Tissue.CORTEX, Tissue.WHITE)}
    assert list(first.values()) == sorted(first.values())


def test_the_cortex_is_folded():
    _, grid, tissues, _ = head(0)
    plane = tissues[..., np.argmin(abs(grid.z - 40))]
    white = plane == Tissue.WHITE
    border = (white[1:] != white[:-1]).sum() + (white[:, 1:] != white[:, :-1]).sum()
    around = 4 * np.sqrt(white.sum())  # of a square of that area, in pixels
    assert border / around > 2


def test_there_is_one_lateral_ventricle_on_each_side():
    _, grid, tissues, distance = head(0)
    inside = np.isin(tissues, (Tissue.VENTRICLE, Tissue.CHOROID))
    half = [inside[grid.x < -3].sum(), inside[grid.x > 3].sum()]
    assert 0.6 < half[0] / half[1] < 1.6
    assert label(inside)[1] < 12
    assert (distance[inside] < 0.5).all()


def test_heads_differ_and_follow_their_seed():
    again = draw_anatomy(np.random.default_rng(0))
    assert all(np.array_equal(value, vars(head(0)[0])[name]) for name, value in vars(again).items())
    assert (head(0)[2] != head(1)[2]).mean() > 0.05


def test_a_warp_moves_every_field_alike():
    anatomy = head(0)[0]
    nothing = np.zeros(NODES.shape, dtype=np.float32)
    step = np.full(NODES.shape, NODES.x[1] - NODES.x[0], dtype=np.float32)
    moved = anatomy.warped((step, nothing, nothing))
    np.testing.assert_allclose(moved.hull[:-1], anatomy.hull[1:], atol=1e-4)
    np.testing.assert_allclose(moved.ventricles[:-1], anatomy.ventricles[1:], atol=1e-4)
    assert moved.ribbon == anatomy.ribbon
    assert replace(moved, width=0.0).width == 0
