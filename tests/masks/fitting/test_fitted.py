import json
from dataclasses import asdict, replace

import pytest
from oracles.mask_checks import BANK

from rbc_lightning.masks import LayoutStatistics
from rbc_lightning.masks.fitting.fitted import FittedSampler
from rbc_lightning.masks.sampler.sampler import SizeModel

FITTED = FittedSampler(
    image_area=200.0 * 260.0,
    count_mean=30.0,
    count_std=6.0,
    count_family="gamma",
    count_observed=(),
    size_model=SizeModel(18.0, 30.0, -0.1, 0.05),
    cell_size=18.0,
    n_init=3,
    kernel_tail=0.7,
    uniform_share=0.2,
    max_overlap=0.3,
    overlap_power=2.0,
    lone_acceptance=0.5,
    line_share=0.4,
    scale_mean=1.0,
    scale_std=0.02,
    margin=12,
    mismatch=1.5,
)


def test_every_value_reaches_the_sampler():
    sampler = FITTED.build(BANK, 100, 130, n_colors=5)
    assert (sampler.height, sampler.width, sampler.n_colors) == (100, 130, 5)
    # A quarter of the area holds a quarter of the cells.
    assert (sampler.count_model.mean, sampler.count_model.std) == pytest.approx((7.5, 1.5))
    assert sampler.count_model.family == "gamma"
    assert sampler.size_model == FITTED.size_model
    assert sampler._placing.margin == 12
    assert sampler._placing.lone_acceptance == 0.5
    assert FITTED.build(BANK, 100, 130, "uniform")._placing.lone_acceptance == 1.0


def test_a_fit_survives_json():
    fitted = replace(FITTED, count_family="empirical", count_observed=(10.0, 20.0))
    assert FittedSampler.from_dict(json.loads(json.dumps(asdict(fitted)))) == fitted


def test_counts_scale_with_the_area():
    fitted = replace(FITTED, count_family="empirical", count_observed=(10.0, 20.0))
    sampler = fitted.build(BANK, 400, 520)
    asked = {sampler.sample(seed).asked for seed in range(20)}
    assert asked == {40, 80}


def test_uniform_build_drops_what_draws_cells_together():
    fitted = replace(FITTED, lone_acceptance=0.05)

    def lone(placement):
        layouts = [fitted.build(BANK, 400, 520, placement).sample(seed, 40).label_map for seed in range(6)]
        return 1 - LayoutStatistics.from_label_maps(layouts).touching_share

    assert lone("adhesion") < 0.5 * lone("uniform")
