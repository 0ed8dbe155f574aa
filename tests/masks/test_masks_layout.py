import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.mask_layouts import blob_map, disc_map, touching_pairs
from scipy import stats
from skimage import measure as skimage_measure

from rbc_lightning.masks import LayoutStatistics, layout_card, pair_correlation
from rbc_lightning.masks.compare import STATISTICS, distances, half_distances


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
    diameter = np.mean([np.sqrt(36 / np.pi), np.sqrt(36 / np.pi), np.sqrt(60 / np.pi)])
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


def test_g_is_one_for_complete_randomness_up_to_the_border():
    """Without edge correction g would fall to about 0.75 at 100 of 400 pixels."""
    rng = np.random.default_rng(0)
    observed, expected = np.zeros(40), np.zeros(40)
    for _ in range(500):
        pairs = pair_correlation.pair_sums(rng.uniform(-0.5, 399.5, (120, 2)), 400, 400, 25.0)
        observed, expected = observed + pairs[0], expected + pairs[1]
    g = observed / expected
    assert g[5:] == pytest.approx(np.ones(35), abs=0.04)
    assert g[20:].mean() == pytest.approx(1, abs=0.005)


def test_g_of_a_known_pattern():
    """Pairs at distance 10 and nothing else nearby: all near mass in one bin, as much as there are pairs."""
    rng = np.random.default_rng(0)
    first = np.stack(np.meshgrid(np.arange(60, 1000, 120), np.arange(60, 1000, 120)), -1).reshape(-1, 2).astype(float)
    angle = rng.uniform(0, 2 * np.pi, len(first))
    centers = np.concatenate([first, first + 10.25 * np.stack([np.sin(angle), np.cos(angle)], axis=1)])
    observed, expected = pair_correlation.pair_sums(centers, 1020, 1020, 10.0)
    assert np.flatnonzero(observed).tolist() == [10]
    assert observed[10] == pytest.approx(2 * len(first), rel=0.02)
    ring = np.pi * (11**2 - 10**2)
    n = len(centers)
    assert expected[10] == pytest.approx(n * (n - 1) * ring / 1020**2)


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


def test_distances_are_those_of_scipy_and_zero_to_itself():
    first = LayoutStatistics.from_label_maps([blob_map(seed, n=12) for seed in range(5)])
    second = LayoutStatistics.from_label_maps([blob_map(seed, n=12) for seed in range(5, 9)])
    measured = distances(first, second)
    assert list(measured) == list(STATISTICS)
    assert measured["area (px)"] == pytest.approx(stats.wasserstein_distance(first.area, second.area))
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


def test_the_card_holds_every_statistic():
    real = LayoutStatistics.from_label_maps([blob_map(seed, n=14) for seed in range(8)])
    sampled = LayoutStatistics.from_label_maps([blob_map(seed, n=14) for seed in range(8, 16)])
    card = layout_card(real, sampled, others={"twin": real}, title="blobs")
    assert [row.statistic for row in card.rows] == list(STATISTICS)
    row = card["area (px)"]
    assert row.real == pytest.approx(real.area.mean())
    assert row.ratio == pytest.approx(row.distance / row.half_distance)
    assert row.others == {"twin": 0.0}
    text = card.to_text().splitlines()
    assert text[0] == "blobs"
    assert text[1].split()[:7] == ["statistic", "real", "sampled", "distance", "halves", "ratio", "twin:"]
    assert len(text) == 3 + len(STATISTICS)
    assert text[-1].startswith("ratio: distance over that of two random halves")
    with pytest.raises(KeyError, match="no statistic 'weight'"):
        card["weight"]
