"""Counts of 0, densities that cannot fit, and arguments that are refused."""

import numpy as np
import pytest
from oracles.mask_checks import BANK, DISC, check, sampler


def test_a_count_of_0_is_an_empty_mask():
    mask = sampler().sample(0, 0)
    assert mask.placed == mask.not_placed == 0
    assert not mask.label_map.any()
    assert not mask.colors.any()
    assert mask.centers.shape == (0, 2)


def test_what_does_not_fit_is_reported():
    mask = sampler(DISC, 60, 60, tries_per_shape=50, uniform_tries=50).sample(0, 500)
    check(mask)
    assert mask.asked == 500
    assert 0 < mask.placed < 20
    assert mask.not_placed == 500 - mask.placed
    assert mask.places_tried < 500 * (3 * 50 + 50) + 500


def test_a_margin_that_cannot_be_filled_ends_too():
    mask = sampler(DISC, 60, 60, tries_per_shape=30, uniform_tries=30, margin=10).sample(0, 200)
    check(mask)
    assert mask.not_placed > 150


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bank": BANK.select(np.array([], int))}, "shape bank is empty"),
        ({"height": 10}, "larger than the 10 x 150 mask"),
        ({"width": 12}, "larger than the 120 x 12 mask"),
        ({"count_mean": float("nan")}, "count_mean must be a finite number > 0, got nan"),
        ({"count_mean": -3}, "count_mean must be a finite number > 0, got -3"),
        ({"count_mean": 0}, "count_mean must be a finite number > 0, got 0"),
        ({"count_std": -1}, "count_std must be a finite number >= 0, got -1"),
        ({"count_std": float("inf")}, "count_std"),
        ({"cell_size": float("nan")}, "cell_size must be a finite number of pixels >= 1, got nan"),
        ({"cell_size": -46}, "cell_size"),
        ({"n_init": 0}, r"n_init must be in \[1, inf\], got 0"),
        ({"n_colors": 0}, r"n_colors must be in \[1, 255\], got 0"),
        ({"n_colors": 256}, "n_colors"),
        ({"placement": "grid"}, "placement adhesion or uniform, got 'grid'"),
        ({"max_overlap": 1.0}, "max_overlap"),
        ({"max_overlap": float("nan")}, "max_overlap"),
        ({"scale_std": -0.1}, "scale_std"),
        ({"scale_range": (1.1, 1.2)}, r"scale_mean must be in \[1.1, 1.2\], got 1"),
        ({"scale_range": (0.0, 1.2)}, "smallest_scale"),
        ({"uniform_share": 1.5}, "uniform_share"),
        ({"lone_acceptance": -0.1}, "lone_acceptance"),
        ({"line_share": 2}, "line_share"),
        ({"overlap_power": -1}, "overlap_power"),
        ({"margin": -1}, "margin"),
        ({"kernel_tail": 0.0}, "tail"),
        ({"tries_per_shape": 0}, "tries_per_shape"),
        ({"count_family": "poisson"}, "count family"),
        ({"count_family": "empirical"}, "needs observed counts"),
    ],
)
def test_bad_arguments_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        sampler(**values)


def test_bad_draws_are_refused():
    with pytest.raises(ValueError, match="count must be at least 0, got -1"):
        sampler().sample(0, -1)
    with pytest.raises(ValueError, match="diameter must be a finite number"):
        sampler().sample(0, 3, float("nan"))
    with pytest.raises(ValueError, match="non-negative"):
        sampler().sample(-1)
