import numpy as np
import pytest
from oracles.mask_layouts import blob_map, disc_map

from rbc_lightning.masks import LayoutStatistics, MaskSampler, ShapeBank, layout_card
from rbc_lightning.masks.fitting.search import fit_sampler, starting_point

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
    rows = {row.statistic: row for row in card.rows}
    touching, nearest = rows["touching share"], rows["nearest neighbour (diameters)"]
    assert touching.apart.distance < 0.5 * touching.others["uniform"].distance
    assert nearest.apart.distance < nearest.others["uniform"].distance
    assert touching.others["uniform"].p < 0.05


def test_a_fit_is_reproducible_for_any_number_of_workers():
    maps = clustered_maps(4)
    one = fit_sampler(maps, generations=1, population=4)
    assert fit_sampler(maps, generations=1, population=4, workers=3) == one
    assert fit_sampler(maps, generations=1, population=4, seed=1) != one


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
