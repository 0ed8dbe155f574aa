import numpy as np
import pytest
from scipy.ndimage import label

from rbc_lightning.data.readers.brain_phantom.anatomy import Tissue
from rbc_lightning.data.readers.brain_phantom.fields import Grid
from rbc_lightning.data.readers.brain_phantom.lesions import LOG_ML, Lesions, draw_lesions, draw_load
from rbc_lightning.data.readers.brain_phantom.scanner import average
from rbc_lightning.data.readers.brain_phantom.subject import drawn_lesions


def block():
    """White matter beside a ventricle that fills x < -40: a head of one wall."""
    grid = Grid(*(np.arange(-60, 60, 1.5, dtype=np.float32) for _ in range(3)))
    distance = np.broadcast_to(grid.positions[0] + 40, grid.shape).astype(np.float32)
    return grid, distance, np.where(distance < 0, Tissue.VENTRICLE, Tissue.WHITE).astype(np.uint8)


def test_loads_follow_the_statistics_of_thirty_patients():
    loads = np.array([draw_load(np.random.default_rng(seed), LOG_ML) for seed in range(1500)])
    log_ml, log_count = np.log(loads).T
    assert (loads[:, 0].min(), loads[:, 0].max()) == (0.33, 52.6)
    assert log_ml.mean() == pytest.approx(2.14, abs=0.15)
    assert log_ml.std() == pytest.approx(1.47, abs=0.3)  # what lies outside the range is cut
    assert np.exp(np.median(log_count)) == pytest.approx(74, rel=0.15)
    assert log_count.std() == pytest.approx(0.91, abs=0.15)
    assert np.corrcoef(log_ml, log_count)[0, 1] == pytest.approx(0.76, abs=0.08)


def test_lesions_lie_as_far_from_the_ventricles_as_real_ones_and_reach_their_load():
    grid, distance, tissues = block()
    lesions = draw_lesions(np.random.default_rng(1), tissues, distance, grid, (np.log(12), 0.0))
    assert lesions.share.sum() * 1.5**3 / 1000 == pytest.approx(12, rel=0.1)
    assert lesions.share[tissues == Tissue.VENTRICLE].max() == 0
    assert 0 < lesions.share.max() <= 1
    # MRI of 30 patients, mm: 5/25/50/75/95 % of lesion voxels are within 1.8/4.5/7.2/10.9/22.
    found = np.percentile(distance[lesions.share > 0.5], [5, 25, 50, 75, 95])
    assert (found > np.array([0.3, 2, 4.5, 7, 11])).all()
    assert (found < np.array([4, 7, 10, 16, 30])).all()


def test_most_lesions_are_small_and_a_few_are_large():
    grid, distance, tissues = block()
    lesions = draw_lesions(np.random.default_rng(2), tissues, distance, grid, (np.log(12), 0.0))
    sizes = np.bincount(label(lesions.share > 0.5, np.ones((3, 3, 3)))[0].ravel())[1:] * 1.5**3 / 1000
    assert len(sizes) > 15
    assert np.median(sizes) < 0.12
    assert sizes.max() > 1
    assert lesions.strength[lesions.share > 0].mean() == pytest.approx(1, abs=0.2)


def test_a_brain_without_lesions_has_none():
    grid = block()[0]
    assert Lesions.none(grid).share.shape == grid.shape
    assert not Lesions.none(grid).share.any()


def test_areas_in_thick_slices_are_about_those_of_patients():
    """Averaged over 7 mm: 5/50/95 % of the lesions' parts are within a factor of some 2.5 of 6/22/119 mm2."""
    grid = Grid(*(np.arange(low, high, 1, dtype=np.float32) for low, high in ((-45, 35), (-50, 50), (-42, 42))))
    distance = np.broadcast_to(grid.positions[0] + 40, grid.shape).astype(np.float32)
    tissues = np.where(distance < 0, Tissue.VENTRICLE, Tissue.WHITE).astype(np.uint8)
    lesions = draw_lesions(np.random.default_rng(1), tissues, distance, grid, (np.log(12), 0.0))
    drawn = drawn_lesions(average(lesions.share, 7), 1.0)
    areas = np.concatenate([np.bincount(label(part)[0].ravel())[1:] for part in np.moveaxis(drawn, 2, 0)])
    found = np.percentile(areas, [5, 50, 95]) / np.array([6, 22, 119])
    print(found, len(areas))
    assert (found > 0.3).all()
    assert (found < 2.5).all()
