import itertools
import math

import numpy as np
import pytest
from oracles.mask_layouts import blob_map

from rbc_lightning.masks import LayoutStatistics, MaskSampler, ShapeBank
from rbc_lightning.masks.statistics.chance import Apart, compare_by_swaps, smallest_p
from rbc_lightning.masks.statistics.compare import STATISTICS, distances, half_distances

BANK = ShapeBank.from_label_maps([blob_map(seed) for seed in range(6)])
SAMPLER = MaskSampler(BANK, 120, 150, 14, 4, 18, n_init=3, max_overlap=0.2, margin=12)
BLOBS = LayoutStatistics.from_label_maps([blob_map(seed, n=12) for seed in range(12)])


def drawn(seed, n, diameter=None):
    """Layouts of sampled masks."""
    seeds = np.random.SeedSequence([7, seed]).spawn(n)
    return LayoutStatistics.from_label_maps([SAMPLER.sample(one, diameter=diameter).label_map for one in seeds])


def joined(*sets):
    return LayoutStatistics(tuple(image for layouts in sets for image in layouts.images))


def test_masks_of_the_very_distribution_are_as_far_as_chance_has_it():
    """The old yardstick, two halves of 48 train images, gave 0.6 instead of 1: sets of another size."""
    new, old, p_values = [], [], []
    for repeat in range(20):
        layouts = drawn(repeat, 112)
        train, test, sampled = (layouts.subset(range(*ends)) for ends in ((0, 12), (12, 22), (22, 112)))
        tests = compare_by_swaps(test, sampled, n_swaps=39)
        whole, halves = distances(sampled, test), half_distances(train, n_splits=20)
        new.append([one.ratio for one in tests.values()])
        p_values.append([one.p for one in tests.values()])
        old.append([whole[name] / halves[name] for name in STATISTICS])
    assert np.median(old) < 0.75
    assert np.mean(new) == pytest.approx(1, abs=0.12)
    assert np.mean(np.array(p_values) <= 0.05) < 0.1
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.12)


def test_other_masks_are_found():
    test, larger = drawn(0, 10), drawn(1, 30, diameter=20.0)
    area = compare_by_swaps(test, larger)["area (px)"]
    assert area.ratio > 2
    assert area.p == smallest_p(None, 10) == 1 / 200


def test_images_of_a_group_are_swapped_together():
    """Patients whose cells differ in size are no finding, where the sampled masks have such sizes too."""
    rng = np.random.default_rng(0)
    names = [f"patient {index // 4}" for index in range(32)]
    found = {"group": 0, "image": 0}
    for repeat in range(25):
        sizes = 18 * np.exp(0.1 * rng.standard_normal(40))
        test = joined(*(drawn(1000 * repeat + index, 4, size) for index, size in enumerate(sizes[:8])))
        sampled = joined(*(drawn(1000 * repeat + 100 + index, 1, size) for index, size in enumerate(sizes[8:])))
        for kind, groups in (("group", names), ("image", None)):
            found[kind] += compare_by_swaps(test, sampled, groups, n_swaps=39)["area (px)"].p <= 0.05
    assert found["group"] <= 4
    assert found["image"] > 2 * found["group"]


def test_few_swaps_are_all_made():
    """Three images against three: the four ways to divide the pairs, by hand."""
    first, second = BLOBS.images[:3], BLOBS.images[3:6]
    apart = []
    for swap in itertools.product([False, True], repeat=2):
        sides = [(b, a) if s else (a, b) for a, b, s in zip(first, second, (False, *swap), strict=True)]
        one, other = (LayoutStatistics(side) for side in zip(*sides, strict=True))
        apart.append(distances(one, other)["area (px)"])
    measured = compare_by_swaps(BLOBS.subset(range(3)), BLOBS.subset(range(3, 6)))["area (px)"]
    assert measured.distance == pytest.approx(apart[0])
    assert measured.chance == pytest.approx(np.mean(apart[1:]))
    assert measured.p == np.mean([value >= apart[0] * (1 - 1e-9) for value in apart])
    assert smallest_p(None, 3) == 0.25


def test_larger_sets_are_cut_to_size_and_averaged():
    real, other = BLOBS.subset(range(3)), BLOBS.subset(range(3, 10))
    parts = [distances(real, other.subset(part))["g(r)"] for part in ([0, 1, 2], [3, 4, 5])]
    assert compare_by_swaps(real, other)["g(r)"].distance == pytest.approx(np.mean(parts))
    # Of groups of 2, 2 and 4 images the first two have room beside 7.
    grouped = compare_by_swaps(BLOBS.subset(range(8)), other, list("aabbcccc"))
    assert grouped == compare_by_swaps(BLOBS.subset(range(4)), other, list("aabb"))


def test_without_two_groups_there_is_a_distance_and_no_chance():
    real, other = BLOBS.subset(range(4)), BLOBS.subset(range(4, 12))
    area = compare_by_swaps(real, other, ["a"] * 4)["area (px)"]
    assert area.distance == distances(real, other)["area (px)"]
    assert math.isnan(area.chance)
    assert math.isnan(area.p)
    assert math.isnan(area.ratio)
    assert smallest_p(["a"] * 4, 4) == 1
    nothing = LayoutStatistics.from_label_maps([np.zeros((30, 30), np.int32)] * 4)
    assert math.isnan(compare_by_swaps(nothing, other)["area (px)"].p)


def test_ratios_of_nothing():
    assert Apart(0.0, 0.0, 1.0).ratio == 0
    assert Apart(1.0, 0.0, 0.1).ratio == math.inf
    assert Apart(3.0, 2.0, 0.1).ratio == 1.5


def test_groups_must_answer_to_the_images():
    real, other = BLOBS.subset(range(3)), BLOBS.subset(range(3, 10))
    with pytest.raises(ValueError, match="a group for each of 3 images, got 2"):
        compare_by_swaps(real, other, ["a", "b"])
    with pytest.raises(ValueError, match="in a row; sort them by group"):
        compare_by_swaps(real, other, ["a", "b", "a"])
