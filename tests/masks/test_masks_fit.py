import json
from dataclasses import replace

import numpy as np
import pytest
from oracles.mask_layouts import blob_map, disc_map

from rbc_lightning.masks import (
    CountModel,
    FittedSampler,
    LayoutStatistics,
    MaskSampler,
    ShapeBank,
    SizeModel,
    fit_sampler,
    layout_card,
)
from rbc_lightning.masks.fit import choose_family, fit_sizes, starting_point

BANK = ShapeBank.from_label_maps([blob_map(seed) for seed in range(6)])


def clustered_maps(n=14):
    """Layouts with a known recipe: overlapping, clustered cells."""
    sampler = MaskSampler(BANK, 200, 260, 40, 10, 17, n_init=3, max_overlap=0.3, lone_acceptance=0.1, margin=12)
    return [sampler.sample(np.random.SeedSequence([9, index])).label_map for index in range(n)]


def test_the_fit_finds_a_better_sampler_than_its_start_and_than_uniform():
    maps = clustered_maps()
    fitted = fit_sampler(maps, generations=4, population=12)
    start = fit_sampler(maps, generations=0)
    assert fitted.mismatch < start.mismatch
    real = LayoutStatistics.from_label_maps(maps)
    bank = ShapeBank.from_label_maps(maps)

    def sampled(placement):
        sampler = fitted.build(bank, 200, 260, placement)
        return LayoutStatistics.from_label_maps(
            [sampler.sample(seed, int(real.counts[seed % len(maps)])).label_map for seed in range(42)]
        )

    card = layout_card(real, sampled("adhesion"), others={"uniform": sampled("uniform")})
    touching = card["touching share"]
    assert touching.distance < 0.5 * touching.others["uniform"]
    assert card["nearest neighbour (diameters)"].distance < card["nearest neighbour (diameters)"].others["uniform"]


def test_a_fit_is_reproducible_for_any_number_of_workers():
    maps = clustered_maps(4)
    one = fit_sampler(maps, generations=1, population=4)
    assert fit_sampler(maps, generations=1, population=4, workers=3) == one
    assert fit_sampler(maps, generations=1, population=4, seed=1) != one


def test_a_fit_survives_json():
    fitted = fit_sampler(clustered_maps(3), generations=0)
    assert FittedSampler.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


def test_counts_scale_with_the_area():
    fitted = replace(fit_sampler(clustered_maps(3), generations=0), count_family="empirical", count_observed=(10.0, 20.0))
    sampler = fitted.build(BANK, 400, 520)
    asked = {sampler.sample(seed).asked for seed in range(20)}
    assert asked == {40, 80}


def test_uniform_build_drops_what_draws_cells_together():
    fitted = replace(fit_sampler(clustered_maps(3), generations=0), lone_acceptance=0.05)

    def lone(placement):
        layouts = [fitted.build(BANK, 400, 520, placement).sample(seed, 40).label_map for seed in range(6)]
        return 1 - LayoutStatistics.from_label_maps(layouts).touching_share

    assert lone("adhesion") < 0.5 * lone("uniform")


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


@pytest.mark.parametrize("family", ["normal", "gamma", "empirical"])
def test_count_models_have_their_moments(family):
    model = CountModel(60, 24, family, (30.0, 60.0, 90.0))
    rng = np.random.default_rng(0)
    drawn = np.array([model.draw(rng) for _ in range(4000)])
    assert drawn.min() >= 1
    assert drawn.mean() == pytest.approx(60, rel=0.03)
    assert drawn.std() == pytest.approx(24, rel=0.06)


def test_sizes_follow_their_model():
    model = SizeModel(46.0, 60.0, -0.1, 0.05)
    rng = np.random.default_rng(0)
    assert model.draw(np.random.default_rng(1), 120) < model.draw(np.random.default_rng(1), 30)
    drawn = np.log([model.draw(rng, 120) for _ in range(3000)])
    assert drawn.mean() == pytest.approx(np.log(46) - 0.1 * np.log(2), abs=0.004)
    assert drawn.std() == pytest.approx(0.05, abs=0.003)
    with pytest.raises(ValueError, match="positive diameter"):
        SizeModel(-1.0, 60.0)
    with pytest.raises(ValueError, match="positive diameter"):
        SizeModel(46.0, 60.0, float("nan"))


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


def test_a_diameter_sets_the_size_of_the_cells():
    sampler = MaskSampler(BANK, 300, 400, 20, 0, 15, scale_std=0.0)
    measured = LayoutStatistics.from_label_maps([sampler.sample(seed, 20, 25.0).label_map for seed in range(5)])
    assert measured.diameters.mean() == pytest.approx(25, rel=0.03)


def test_too_little_to_fit_is_refused():
    with pytest.raises(ValueError, match="at least 2 images with cells, got 1"):
        fit_sampler([blob_map(0), np.zeros((50, 50), np.int32)])
    with pytest.raises(ValueError, match="population must be at least 4"):
        fit_sampler([blob_map(0), blob_map(1)], population=2)
    cut = disc_map([(0, 20)], 6, 40, 40)
    with pytest.raises(ValueError, match="no cell lies wholly inside"):
        fit_sampler([cut, cut])
    with pytest.raises(ValueError, match="no cell lies wholly inside"):
        starting_point(LayoutStatistics.from_label_maps([cut]), ShapeBank.from_label_maps([cut]))
