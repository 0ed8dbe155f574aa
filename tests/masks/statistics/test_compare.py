import numpy as np
import pytest
from oracles.mask_layouts import blob_map
from scipy import stats

from rbc_lightning.masks import LayoutStatistics
from rbc_lightning.masks.statistics.compare import STATISTICS, distances, half_distances


def test_distances_are_those_of_scipy_and_zero_to_itself():
    first = LayoutStatistics.from_label_maps([blob_map(seed, n=12) for seed in range(5)])
    second = LayoutStatistics.from_label_maps([blob_map(seed, n=12) for seed in range(5, 9)])
    measured = distances(first, second)
    assert list(measured) == list(STATISTICS)
    assert measured["area (px)"] == pytest.approx(
        stats.wasserstein_distance(first.area, second.area, first.weight, second.weight)
    )
    assert measured["touching share"] == pytest.approx(abs(first.touching_share - second.touching_share))
    assert all(value == 0 for value in distances(first, first).values() if not np.isnan(value))
    assert measured == pytest.approx(distances(second, first), nan_ok=True)


def test_orientation_is_compared_on_the_circle():
    def bars(degrees):
        rows, columns = np.mgrid[:80, :80] - 40
        angle = np.deg2rad(degrees)
        along = np.cos(angle) * columns + np.sin(angle) * rows
        across = -np.sin(angle) * columns + np.cos(angle) * rows
        return LayoutStatistics.from_label_maps([((np.abs(along) < 20) & (np.abs(across) < 4)).astype(np.int32)])

    # 178 and 2 degrees are 4 apart, not 176.
    assert distances(bars(178), bars(2))["orientation"] == pytest.approx(np.deg2rad(4), abs=0.01)
    assert distances(bars(10), bars(40))["orientation"] == pytest.approx(np.deg2rad(30), abs=0.02)


def test_halves_of_alike_images_are_closer_than_other_images():
    small = LayoutStatistics.from_label_maps([blob_map(seed, radius=7) for seed in range(10)])
    large = LayoutStatistics.from_label_maps([blob_map(seed, radius=11) for seed in range(10)])
    halves = half_distances(small, n_splits=30)
    assert distances(small, large)["area (px)"] > 3 * halves["area (px)"]
    assert half_distances(small, n_splits=30) == pytest.approx(halves, nan_ok=True)
    with pytest.raises(ValueError, match="at least two images, got 1"):
        half_distances(small.subset([0]))
