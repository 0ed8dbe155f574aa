import numpy as np
import pytest
from oracles.mask_layouts import disc_map

from rbc_lightning.masks import LayoutStatistics, MaskSampler, ShapeBank
from rbc_lightning.masks.fitting.fitted import choose_family, fit_sizes


@pytest.mark.parametrize("family", ["normal", "gamma"])
def test_the_likelier_family_is_chosen(family):
    rng = np.random.default_rng(1)
    counts = rng.gamma(2.0, 20.0, 300) if family == "gamma" else rng.normal(400, 20, 300)
    # Far from 0 a gamma looks normal: its skew is 2 std / mean; a left tail settles it.
    if family == "normal":
        counts = np.concatenate([counts, 800 - counts])
    assert choose_family(counts) == (family, ())


def test_two_peaks_are_taken_as_they_are():
    counts = np.array([20.0, 21, 22] * 20 + [120.0, 121, 122] * 20)
    family, observed = choose_family(counts)
    assert family == "empirical"
    assert observed == tuple(counts)
    assert choose_family(np.array([5.0, 9.0])) == ("normal", ())


def test_crowded_images_with_smaller_cells_give_a_slope():
    maps = []
    for index, (n, radius) in enumerate([(4, 9), (5, 9), (8, 8), (9, 8), (16, 7), (18, 7), (30, 6), (34, 6)]):
        rng = np.random.default_rng(index)
        grid = [(14 + 22 * r, 14 + 22 * c) for r in range(6) for c in range(8)]
        chosen = rng.choice(len(grid), n, replace=False)
        maps.append(disc_map([grid[i] for i in chosen], radius, 150, 190))
    model = fit_sizes(LayoutStatistics.from_label_maps(maps))
    # Radius 9 at 4.5 cells to 6 at 32: log(6/9) / log(32/4.5) = -0.207.
    assert model.slope == pytest.approx(-0.207, abs=0.03)
    sampler = MaskSampler(ShapeBank.from_label_maps(maps), 300, 400, 20, 0, 15, size_model=model, scale_std=0.0)
    areas = [LayoutStatistics.from_label_maps([sampler.sample(1, n).label_map]).area.mean() for n in (5, 40)]
    assert areas[1] < 0.7 * areas[0]
