"""Cells cut by the border: large ones are cut more often, and the weights make up for it (Miles 1974, Lantuejoul 1980)."""

import numpy as np
import pytest
from oracles.mask_layouts import disc_map

from rbc_lightning.masks import LayoutStatistics, MaskSampler, ShapeBank
from rbc_lightning.masks.bank.recipe import measure_layout
from rbc_lightning.masks.statistics.compare import STATISTICS

FIELD, SMALL, LARGE, SPACING = 320, 20, 30, 64
DISCS = [disc_map([(LARGE, LARGE)], radius, 2 * LARGE + 1, 2 * LARGE + 1) for radius in (SMALL, LARGE)]


def field(rng):
    """A 320 px field of a plane with as many discs of 60 px as of 40 px, none near another."""
    offset = rng.uniform(0, SPACING, 2)
    plane = np.zeros((FIELD + 4 * SPACING, FIELD + 4 * SPACING), np.int32)
    steps = range(-1, FIELD // SPACING + 1)
    for label, (down, across) in enumerate(((i, j) for i in steps for j in steps), start=1):
        top, left = np.rint(offset + SPACING * np.array([down, across])).astype(int) + 2 * SPACING - LARGE
        disc = DISCS[int(rng.random() < 0.5)]
        plane[top : top + len(disc), left : left + len(disc)] += label * disc
    return plane[2 * SPACING : -2 * SPACING, 2 * SPACING : -2 * SPACING]


@pytest.fixture(scope="module")
def fields():
    rng = np.random.default_rng(0)
    return [field(rng) for _ in range(200)]


def missing(large, small):
    """Share of the large discs that is missing beside the small ones."""
    return 1 - float(large) / float(small)


def test_large_cells_are_missed_and_the_weights_bring_them_back(fields):
    bank = ShapeBank.from_label_maps(fields)
    large = bank.areas > 2000
    assert len(bank) > 3000
    # (259 / 279)^2 of the places that leave 41 px whole leave 61 px whole.
    assert missing(large.sum(), (~large).sum()) == pytest.approx(1 - (259 / 279) ** 2, abs=0.06)
    assert missing(bank.weights[large].sum(), bank.weights[~large].sum()) == pytest.approx(0, abs=0.06)
    assert bank.weights[large] == pytest.approx(FIELD**2 / 258**2)
    assert bank.weights[~large] == pytest.approx(FIELD**2 / 278**2)


def test_every_place_of_a_disc_once_gives_the_exact_shares():
    places = [(row, column) for row in range(-4, 24) for column in range(-4, 28)]
    banks = [ShapeBank.from_label_maps([disc_map([place], r, 20, 24) for place in places]) for r in (2, 4)]
    assert [len(bank) for bank in banks] == [(18 - 4) * (22 - 4), (18 - 8) * (22 - 8)]
    # The weighted sums are the same: places of the centre in the image.
    assert [bank.weights.sum() for bank in banks] == pytest.approx([20 * 24, 20 * 24])


def test_sampled_masks_draw_shapes_by_weight(fields):
    bank = ShapeBank.from_label_maps(fields[:40])
    sampler = MaskSampler(bank, 900, 900, 40, 0, 60, placement="uniform", rotate=False, flip=False, scale_std=0.0)
    drawn = np.concatenate([sampler.sample(seed, 40).shape_index for seed in range(80)])
    large = bank.areas > 2000
    share = bank.weights[large].sum() / bank.weights.sum()
    assert large[drawn].mean() == pytest.approx(share, abs=3 * np.sqrt(0.25 / len(drawn)) + 0.005)


def test_means_over_cells_are_weighted(fields):
    bank = ShapeBank.from_label_maps(fields)
    statistics = LayoutStatistics.from_label_maps(fields)
    summary, distance = STATISTICS["area (px)"]
    assert statistics.weight == pytest.approx(bank.weights)
    assert summary(statistics) == pytest.approx(np.average(bank.areas, weights=bank.weights))
    assert summary(statistics) > statistics.area.mean() + 20
    diameters = np.sqrt(4 * bank.areas / np.pi)
    assert measure_layout(fields).cell_size == pytest.approx(np.average(diameters, weights=bank.weights))
    one = LayoutStatistics.from_label_maps(fields[:1])
    assert one.diameters[0] == pytest.approx(np.average(np.sqrt(4 * one.area / np.pi), weights=one.weight))
    assert ShapeBank.from_label_maps(fields[:1]).image_diameters == pytest.approx(one.diameters[0])
    # Twice the cell is a weight of two.
    images = one.images[0], LayoutStatistics.from_label_maps(fields[1:2]).images[0]
    twice = LayoutStatistics((images[0], images[0], images[1]))
    assert distance(twice, LayoutStatistics(images[:1])) < distance(LayoutStatistics(images), LayoutStatistics(images[:1]))
