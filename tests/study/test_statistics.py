import itertools

import numpy as np
import pytest
from oracles.crossed_effects import crossed, mixed_model
from scipy import stats

from rbc_lightning.study.statistics import (
    LEVEL,
    MeanSquares,
    half_widths,
    holm,
    paired_difference,
    pseudo_values,
    unit_means,
    verdict,
)

LUCK = 0.006


def compare(differences, groups=None):
    return paired_difference(differences, np.zeros_like(differences), groups)


def half(found):
    return (found.high - found.low) / 2


# --- the model


def test_mean_squares_by_hand():
    found = compare(np.array([[1.0, 2.0, 6.0], [3.0, 6.0, 6.0]]))
    # Seeds have means 3 and 5, units 2, 4 and 6; what remains is -+1, -+1... of each: 0, -1, 1 and 0, 1, -1.
    assert found.value == 4
    assert (found.squares.seeds, found.squares.units, found.squares.rest) == pytest.approx((6, 8, 2))
    assert (found.n_seeds, found.n_units, found.unit) == (2, 3, "image")


def test_one_seed_gives_students_interval_and_p_value():
    values = np.random.default_rng(0).normal(0.3, 1, (1, 15))
    found, test = compare(values), stats.ttest_1samp(values[0], 0)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval()))
    assert found.p_value == pytest.approx(test.pvalue, rel=1e-6)


def test_without_luck_of_seeds_the_units_alone_remain():
    images = np.random.default_rng(1).normal(0.3, 1, 15)
    # The rest cancels over seeds: the mean square of seeds is 0, and so is their share.
    found = compare(images + np.array([[1.0], [-1.0], [0.0]]) * np.tile([1.0, -1.0, 0.0], 5))
    low, high = stats.ttest_1samp(images, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high))


def test_luck_of_seeds_alone_gives_students_interval_over_seeds():
    luck = np.array([0.01, 0.05, 0.03, -0.02])
    found, test = compare(np.repeat(luck[:, None], 12, axis=1)), stats.ttest_1samp(luck, 0)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval()))
    assert found.p_value == pytest.approx(test.pvalue, rel=1e-6)


def test_two_seeds_add_their_share_without_subtracting():
    found = compare(crossed(np.random.default_rng(2), 2, 10, 0.5, 1))
    squares = found.squares
    by_hand = stats.t.ppf(0.975, 1) ** 2 * squares.seeds + stats.t.ppf(0.975, 9) ** 2 * squares.units
    assert half(found) == pytest.approx(np.sqrt(by_hand / 20))


def test_three_seeds_lie_between_one_sum_and_two_shares():
    squares = MeanSquares(9.0, 4.0, 1.0, 3, 11)
    # Three quarters of 1 leave 8.25 of the seeds; 12.25^2 / (8.25^2/2 + 4^2/10) = 4.208 degrees for the sum.
    one = stats.t.ppf(0.975, 12.25**2 / (8.25**2 / 2 + 1.6)) ** 2 * 12.25
    two = stats.t.ppf(0.975, 2) ** 2 * 8.25 + stats.t.ppf(0.975, 10) ** 2 * 4
    assert squares.half(LEVEL) == pytest.approx(np.sqrt(one**0.45 * two**0.55 / 33))


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_no_digit_of_a_score_makes_a_jump(n_seeds):
    """A verdict must not turn over where the seeds' variance begins to be above 0."""
    for units, rest in ((1.0, 1.0), (5.0, 1.0), (0.2, 1.0)):
        seeds = np.linspace(0, 3, 3001)
        halves = half_widths(seeds, np.full(3001, units), np.full(3001, rest), n_seeds, 8, LEVEL)
        assert (np.diff(halves) >= 0).all()
        steepest = 0.001 * stats.t.ppf(0.975, n_seeds - 1) ** 2 / (n_seeds * 8)
        assert np.diff(halves**2).max() < 3 * steepest


@pytest.mark.parametrize(("n_seeds", "n_units"), [(1, 6), (2, 6), (2, 40), (3, 10), (5, 20)])
def test_interval_and_p_value_never_disagree(n_seeds, n_units):
    rng = np.random.default_rng([n_seeds, n_units])
    for _ in range(100):
        shift = rng.choice([0.0, 0.3, 0.6, 1.0])
        found = compare(shift + crossed(rng, n_seeds, n_units, rng.choice([0.0, 0.3]), 0.7, 0.5))
        assert (found.p_value <= LEVEL) == (found.low > 0 or found.high < 0)
        assert found.squares.half(found.p_value) == pytest.approx(abs(found.value), rel=1e-6)


def test_the_difference_turns_with_the_columns():
    rng = np.random.default_rng(0)
    first, second = rng.random((3, 25)), rng.random((3, 25))
    found, turned = paired_difference(first, second), paired_difference(second, first)
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))
    assert turned.p_value == pytest.approx(found.p_value)


def test_luck_that_columns_share_cancels():
    rng = np.random.default_rng(4)
    images, rest = rng.normal(0, 0.03, 20), rng.normal(0, 0.003, (2, 3, 20))
    lucky = np.array([[0.05], [-0.04], [0.01]])
    without = paired_difference(images + rest[0] + 0.005, images + rest[1])
    assert paired_difference(images + rest[0] + lucky + 0.005, images + rest[1] + lucky).high == pytest.approx(without.high)


# --- groups


def test_images_of_a_group_count_once():
    groups = np.repeat(["a", "b", "c", "d", "e", "f"], [1, 2, 3, 4, 5, 1])
    scores = np.random.default_rng(3).random((2, 16))
    found = compare(scores, groups)
    by_group = np.stack([scores[:, groups == name].mean(axis=1) for name in "abcdef"], axis=1)
    assert (found.n_units, found.unit) == (6, "group")
    assert found.squares == compare(by_group).squares
    assert np.array_equal(unit_means(scores, groups), by_group)


def test_groups_of_one_image_are_images():
    scores = np.random.default_rng(3).random((2, 5))
    found = compare(scores, list("edcba"))
    assert (found.n_units, found.unit) == (5, "image")
    assert found.value == pytest.approx(compare(scores).value)


def test_patients_that_differ_are_no_longer_told_as_an_effect():
    """Four patients of five images: images taken as independent gave 31 % false verdicts; six patients are the least now."""
    rng = np.random.default_rng(5)
    false, alone = 0, 0
    names = np.repeat(np.arange(6), 5)
    for _ in range(400):
        differences = crossed(rng, 3, 30, 0, 0.003, 0.001) + rng.normal(0, 0.01, 6)[names]
        false += verdict(compare(differences, names)) != "cannot tell"
        alone += verdict(compare(differences)) != "cannot tell"
    assert false / 400 <= 0.07
    assert alone / 400 > 0.25
    assert verdict(compare(np.full((3, 20), 0.1), np.repeat(np.arange(4), 5))) == "cannot tell"


# --- oracles


@pytest.mark.parametrize(("n_seeds", "n_units"), [(8, 20), (6, 40), (12, 15)])
def test_a_mixed_model_by_restricted_likelihood_agrees(n_seeds, n_units):
    for draw in range(5):
        # Shares of seeds that are well above 0, where the estimate does not touch its bound.
        differences = crossed(np.random.default_rng([n_seeds, n_units, draw]), n_seeds, n_units, 0.3, 1.5, 1)
        found, squares = compare(differences), compare(differences).squares
        if squares.seeds <= squares.rest:
            continue
        error = mixed_model(differences).bse["Intercept"]
        variance = (squares.seeds + squares.units - squares.rest) / (n_seeds * n_units)
        assert np.sqrt(variance) == pytest.approx(error, rel=1e-3)
        parts = ((squares.seeds, n_seeds - 1), (squares.units, n_units - 1), (squares.rest, (n_seeds - 1) * (n_units - 1)))
        degrees = (variance * n_seeds * n_units) ** 2 / sum(square**2 / count for square, count in parts)
        assert half(found) == pytest.approx(stats.t.ppf(0.975, degrees) * error, rel=0.05)


def test_one_seed_agrees_with_the_exact_permutation_of_signs():
    rng = np.random.default_rng(6)
    flips = np.array(list(itertools.product([-1, 1], repeat=12)))
    for shift in (0.0, 0.4, 0.8):
        values = rng.normal(shift, 1, 12)
        exact = np.mean(np.abs(flips @ values) >= abs(values.sum()) - 1e-12)
        assert compare(values[None]).p_value == pytest.approx(exact, abs=0.02)


def simulate(n_draws, n_seeds, n_units, seed_sd, unit_sd):
    rng = np.random.default_rng([n_seeds, n_units])
    return 100 * np.mean(
        [abs((d := compare(crossed(rng, n_seeds, n_units, seed_sd, unit_sd))).value) <= half(d) for _ in range(n_draws)]
    )


@pytest.mark.parametrize(("n_seeds", "n_units", "seed_sd", "unit_sd"), [(3, 20, 0, 1), (3, 6, 0.4, 1), (5, 10, 1, 1)])
def test_the_interval_covers_the_truth(n_seeds, n_units, seed_sd, unit_sd):
    assert 93 <= simulate(800, n_seeds, n_units, seed_sd, unit_sd) <= 97.5


def test_two_seeds_are_covered_at_least():
    assert simulate(800, 2, 20, 1, 1) >= 93


def test_luck_that_columns_share_hides_no_gain():
    """Three seeds of sd 0.006, a gain of 0.005 that each shows, 20 images: as luck of each column, 13 % of draws helped."""
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(400):
        luck, images = rng.normal(0, LUCK, (3, 1)), rng.normal(0, 0.01, 20)
        one, other = (luck + rng.normal(0, LUCK, (3, 20)) for _ in range(2))
        found += verdict(paired_difference(one + images + 0.005, other)) == "helps"
    assert found / 400 >= 0.3


# --- pooled measures


def test_pseudo_values_of_a_mean_are_the_scores_themselves():
    scores = np.random.default_rng(8).random((3, 10))
    without = (scores.sum(axis=1, keepdims=True) - scores) / 9
    assert pseudo_values(scores.mean(axis=1), without) == pytest.approx(scores)


def test_pseudo_values_of_a_ratio_by_hand():
    # 3 of 4 and 1 of 2 found, 4 of 6 in all; without the first 1/2, without the second 3/4.
    assert pseudo_values([4 / 6], [[1 / 2, 3 / 4]]) == pytest.approx(np.array([[8 / 6 - 1 / 2, 8 / 6 - 3 / 4]]))
    for whole, without in (([0.5], [[0.5]]), ([0.5, 0.5], [[0.1, 0.2]]), (0.5, [[0.1, 0.2]])):
        with pytest.raises(ValueError, match="of two units or more"):
            pseudo_values(whole, without)


# --- edges, verdicts


def test_one_image_or_equal_scores_say_nothing():
    one = paired_difference([[0.9], [0.8]], [[0.1], [0.2]])
    assert (one.low, one.high, one.p_value) == (-np.inf, np.inf, 1)
    same = compare(np.zeros((2, 8)))
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    assert verdict(same) == verdict(one) == "cannot tell"
    sure = compare(np.full((3, 8), 0.25))
    assert (sure.low, sure.high, sure.p_value, verdict(sure)) == (0.25, 0.25, 0, "helps")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros(5), np.zeros(5)),
        (np.zeros((2, 5)), np.zeros((2, 4))),
        (np.zeros((2, 5)), np.zeros((3, 5))),
        (np.full((1, 5), np.nan), np.zeros((1, 5))),
        (np.zeros((0, 5)), np.zeros((0, 5))),
    ],
)
def test_scores_that_do_not_pair_are_refused(first, second):
    with pytest.raises(ValueError, match=r"expected finite scores .* pair runs by seed and images by sample_id"):
        paired_difference(first, second)


def test_groups_of_other_images_are_refused():
    with pytest.raises(ValueError, match=r"expected the group of each of 5 images, got shape \(4,\)"):
        paired_difference(np.zeros((2, 5)), np.ones((2, 5)), list("aabb"))


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, none smaller than one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1])
    assert holm([]).shape == (0,)
    with pytest.raises(ValueError, match=r"p-values in \[0, 1\]"):
        holm([0.5, 1.5])


@pytest.mark.parametrize(
    ("shift", "n_seeds", "n_units", "p_value", "expected"),
    [
        (0.03, 3, 20, None, "helps"),
        (-0.03, 3, 20, None, "hurts"),
        (0.001, 3, 20, None, "cannot tell"),
        (0.03, 3, 20, 0.06, "cannot tell"),
        (0.03, 3, 20, 0.04, "helps"),
        (0.03, 3, 5, None, "cannot tell"),
        (0.03, 1, 20, None, "cannot tell"),
    ],
)
def test_a_verdict_needs_a_p_value_and_enough_seeds_and_units(shift, n_seeds, n_units, p_value, expected):
    found = compare(shift + crossed(np.random.default_rng(9), n_seeds, n_units, 0.0, 0.005, 0.005))
    assert verdict(found, p_value) == expected
    # Where lower is better, the same difference says the opposite.
    turned = {"helps": "hurts", "hurts": "helps"}.get(expected, expected)
    assert verdict(found, p_value, higher_is_better=False) == turned
