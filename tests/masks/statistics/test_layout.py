import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.mask_layouts import blob_map, disc_map, touching_pairs
from skimage import measure as skimage_measure

from rbc_lightning.masks import LayoutStatistics
from rbc_lightning.masks.statistics.compare import distances


def test_hand_computed_layout():
    # Two 3 x 3 squares two columns apart, a lone 3 x 5 bar, and a cell cut by the border.
    label_map = np.zeros((40, 60), np.int32)
    label_map[10:13, 10:13] = 1
    label_map[10:13, 15:18] = 2
    label_map[30:33, 40:45] = 3
    label_map[0:2, 50:54] = 4
    statistics = LayoutStatistics.from_label_maps([label_map], contact_gap=2)
    image = statistics.images[0]
    assert image.centers.tolist() == [[11, 11], [11, 16], [31, 42], [0.5, 51.5]]
    # 36 x 56 places keep a 3 x 3 square off the border, 36 x 54 a 3 x 5 bar.
    assert image.weight == pytest.approx([2400 / (36 * 56), 2400 / (36 * 56), 2400 / (36 * 54)])
    square, bar = np.sqrt(36 / np.pi), np.sqrt(60 / np.pi)
    diameter = (2 * square / 56 + bar / 54) / (2 / 56 + 1 / 54)
    assert image.diameter == pytest.approx(diameter)
    assert statistics.area.tolist() == [9, 9, 15]
    assert statistics.axis_ratio == pytest.approx([1, 1, 3 / 5])
    assert statistics.orientation[2] == pytest.approx(0)
    # The bar and the cut cell are nearest to each other.
    between = np.hypot(30.5, 9.5)
    assert statistics.neighbor_distance * diameter == pytest.approx([5, 5, between, between])
    assert image.touching.tolist() == [True, True, False, False]
    assert statistics.touching_share == 0.5
    assert statistics.abutting_share == 0.0
    assert sorted(statistics.cluster_sizes) == [1, 1, 2]
    assert statistics.counts.tolist() == [4]
    assert statistics.densities == pytest.approx([4e6 / 2400])
    closer = LayoutStatistics.from_label_maps([label_map], contact_gap=1)
    assert closer.touching_share == 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_moments_agree_with_skimage(seed):
    label_map = blob_map(seed)
    image = LayoutStatistics.from_label_maps([label_map]).images[0]
    regions = skimage_measure.regionprops(label_map)
    np.testing.assert_allclose(image.centers, [region.centroid for region in regions], atol=1e-9)
    height, width = label_map.shape
    whole = [r for r in regions if r.bbox[0] > 0 and r.bbox[1] > 0 and r.bbox[2] < height and r.bbox[3] < width]
    np.testing.assert_array_equal(image.area, [region.area for region in whole])
    # skimage takes pixels as points; as unit squares they have a second moment of 1/12 of their own.
    ratios = [np.sqrt((r.axis_minor_length**2 / 16 + 1 / 12) / (r.axis_major_length**2 / 16 + 1 / 12)) for r in whole]
    np.testing.assert_allclose(image.axis_ratio, ratios, atol=1e-9)
    # skimage measures from the row axis, clockwise is positive there.
    angles = np.array([np.pi / 2 - region.orientation for region in whole])
    apart = np.abs(np.exp(2j * angles) - np.exp(2j * image.orientation))
    long = np.array(ratios) < 0.98
    np.testing.assert_allclose(apart[long], 0, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 4))
def test_contacts_agree_with_brute_force(seed, gap):
    label_map = blob_map(seed, n=14)
    image = LayoutStatistics.from_label_maps([label_map], contact_gap=gap).images[0]
    present = np.unique(label_map)[1:]
    touching = set()
    for first in present:
        rows, columns = np.nonzero(label_map == first)
        for second in present[present > first]:
            other_rows, other_columns = np.nonzero(label_map == second)
            apart = np.maximum(np.abs(rows[:, None] - other_rows[None]), np.abs(columns[:, None] - other_columns[None])).min()
            if apart <= gap + 1:
                touching |= {first, second}
    assert [label in touching for label in present] == image.touching.tolist()
    abutting = {label for pair in touching_pairs(label_map) for label in pair}
    assert [label in abutting for label in present] == image.abutting.tolist()
    assert image.cluster_sizes.sum() == len(present)


def test_ids_need_not_be_contiguous():
    label_map = blob_map(4)
    sparse = np.where(label_map > 0, label_map * 7, 0)
    first, second = LayoutStatistics.from_label_maps([label_map]), LayoutStatistics.from_label_maps([sparse])
    np.testing.assert_array_equal(first.neighbor_distance, second.neighbor_distance)
    np.testing.assert_array_equal(first.cluster_sizes, second.cluster_sizes)


def test_nothing_and_one_cell():
    empty = np.zeros((30, 30), np.int32)
    one = disc_map([(15, 15)], 5, 30, 30)
    statistics = LayoutStatistics.from_label_maps([empty, one])
    assert statistics.counts.tolist() == [0, 1]
    assert len(statistics.neighbor_distance) == 0
    assert statistics.touching_share == 0
    assert statistics.cluster_sizes.tolist() == [1]
    assert np.isnan(statistics.pair_correlation).all()
    nothing = LayoutStatistics.from_label_maps([empty])
    assert np.isnan(nothing.touching_share)
    assert np.isnan(distances(nothing, statistics)["area (px)"])
    with pytest.raises(ValueError, match="at least one label map"):
        LayoutStatistics.from_label_maps([])
    with pytest.raises(ValueError, match="contact_gap must be at least 0"):
        LayoutStatistics.from_label_maps([one], contact_gap=-1)
