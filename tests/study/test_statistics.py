import itertools

import numpy as np
import pytest
from scipy import stats

from rbc_lightning.study.statistics import (
    Difference,
    holm,
    images_needed,
    paired_bootstrap,
    permutation_p_value,
    verdict,
    what_would_settle,
)

GAIN = 0.01


def difference(value=0.01, half=0.02, n_images=20, n_seeds=(3, 3), image_sd=0.02, seed_variance=0.0, seed_degrees=4.0):
    return Difference(value, value - half, value + half, n_images, n_seeds, image_sd, seed_variance, seed_degrees)


def draw_scores(rng, n_images, n_seeds, seed_sd, gain):
    """Scores of two columns: skewed images, some of which react more to the column, luck of each training, and noise."""
    images = 0.95 - 0.02 * rng.gamma(2, 1, n_images)
    reaction = 0.007 * rng.standard_normal(n_images)
    first, second = (
        images + sd * rng.standard_normal((n, 1)) + 0.008 * rng.standard_normal((n, n_images))
        for n, sd in zip(n_seeds, seed_sd, strict=True)
    )
    return first + gain + reaction, second


def simulate(n_draws, n_images, n_seeds, seed_sd, n_resamples=199):
    """Per cent of draws whose interval covers the gain, and per cent that claim something where there is none."""
    rng = np.random.default_rng([n_images, *n_seeds])
    covered = claimed = 0
    for draw in range(n_draws):
        first, second = draw_scores(rng, n_images, n_seeds, seed_sd, GAIN)
        found = paired_bootstrap(first, second, n_resamples, seed=draw)
        covered += found.low <= GAIN <= found.high
        none = paired_bootstrap(first - GAIN, second, n_resamples, seed=draw)
        claimed += verdict(none, permutation_p_value(first - GAIN, second, n_resamples, seed=draw)) != "cannot tell"
    return 100 * covered / n_draws, 100 * claimed / n_draws


@pytest.mark.parametrize("n_images", [20, 40])
def test_the_interval_covers_a_known_gain_and_no_gain_is_seldom_called_one(n_images):
    covered, claimed = simulate(1_000, n_images, (3, 3), (0.003, 0.003))
    assert 93 <= covered <= 97
    assert claimed <= 6


def test_with_one_seed_the_interval_covers_the_gain_of_these_trainings_and_no_verdict_is_given():
    covered, claimed = simulate(1_000, 20, (1, 1), (0, 0))
    assert 93 <= covered <= 97
    assert claimed == 0


@pytest.mark.slow
@pytest.mark.parametrize("n_images", [20, 40])
@pytest.mark.parametrize("n_seeds", [(2, 2), (3, 3), (5, 5), (3, 5)])
@pytest.mark.parametrize("seed_sd", [(0, 0), (0.003, 0.003), (0.006, 0.006), (0.002, 0.006)])
def test_the_coverage_holds_for_other_seeds_and_spreads(n_images, n_seeds, seed_sd):
    covered, claimed = simulate(2_000, n_images, n_seeds, seed_sd, 499)
    # Two seeds tell little of a spread that differs between the columns.
    least = 92 if min(n_seeds) == 2 else 93
    assert least <= covered <= 97.5
    assert claimed <= 100 - least


def test_skewed_differences_are_covered_where_student_alone_is_too_narrow():
    rng = np.random.default_rng(3)
    covered = {"bootstrap": 0, "student": 0}
    for draw in range(1_000):
        values = 1.5 - rng.gamma(1.5, 1, 20)
        found = paired_bootstrap(values[None], np.zeros((1, 20)), 299, seed=draw)
        covered["bootstrap"] += found.low <= 0 <= found.high
        low, high = stats.ttest_1samp(values, 0).confidence_interval()
        covered["student"] += low <= 0 <= high
    assert 930 <= covered["bootstrap"] <= 970
    assert covered["student"] < covered["bootstrap"]


def test_the_difference_is_that_of_the_means_and_turns_with_the_columns():
    rng = np.random.default_rng(0)
    first, second = rng.random((3, 25)), rng.random((2, 25))
    found, turned = paired_bootstrap(first, second, 500), paired_bootstrap(second, first, 500)
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))
    assert (found.n_images, found.n_seeds, turned.n_seeds) == (25, (3, 2), (2, 3))


def test_the_same_seed_gives_the_same_interval_and_seed_0_is_a_seed():
    values = np.random.default_rng(0).gamma(1, 1, (1, 20))
    zero = np.zeros((1, 20))
    assert paired_bootstrap(values, zero, 200, seed=0) == paired_bootstrap(values, zero, 200)
    assert paired_bootstrap(values, zero, 200, seed=0) != paired_bootstrap(values, zero, 200, seed=1)


def test_symmetric_values_give_students_interval():
    values = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    found = paired_bootstrap(values[None] + 2, np.zeros((1, 400)), 9_999)
    low, high = stats.ttest_1samp(values + 2, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.01)


def test_luck_of_the_seeds_alone_gives_welchs_interval():
    first, second = np.array([0.90, 0.93, 0.96]), np.array([0.80, 0.81, 0.85, 0.86])
    images = np.linspace(-0.1, 0.1, 30)
    found = paired_bootstrap(first[:, None] + images, second[:, None] + images, 200)
    low, high = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.image_sd == pytest.approx(0, abs=1e-12)


def test_noise_of_single_images_is_not_counted_as_luck_of_the_seeds():
    rng = np.random.default_rng(1)
    variances = [paired_bootstrap(*rng.normal(size=(2, 3, 40)), 100).seed_variance for _ in range(300)]
    # Counted in full it would be 1 / 40 * (1 / 3 + 1 / 3) = 0.0167.
    assert np.mean(variances) < 0.006
    with_luck = [paired_bootstrap(*(rng.normal(size=(2, 3, 40)) + rng.normal(size=(2, 3, 1))), 100) for _ in range(300)]
    assert np.mean([found.seed_variance for found in with_luck]) == pytest.approx(2 / 3, rel=0.1)


def test_a_single_seed_borrows_the_spread_of_the_other_column():
    images = np.linspace(0, 1, 10)
    found = paired_bootstrap(np.array([[0.0], [0.2]]) + images, images[None], 100)
    # Variance 0.02 of the seeds, of which one column has two and the other one.
    assert found.seed_variance == pytest.approx(0.02 * (1 / 2 + 1))
    assert found.seed_degrees == pytest.approx(1)


def test_one_image_or_equal_scores_say_nothing():
    one = paired_bootstrap([[0.9], [0.8]], [[0.1], [0.2]], 100)
    assert (one.low, one.high) == (-np.inf, np.inf)
    assert permutation_p_value([[0.9]], [[0.1]]) == 1
    same = paired_bootstrap(np.full((2, 5), 0.9), np.full((2, 5), 0.9), 100)
    assert (same.value, same.low, same.high, same.seed_variance) == (0, 0, 0, 0)
    assert verdict(same, 1.0) == verdict(one, 0.001) == "cannot tell"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros(5), np.zeros(5)),
        (np.zeros((2, 5)), np.zeros((2, 4))),
        (np.full((1, 5), np.nan), np.zeros((1, 5))),
        (np.zeros((0, 5)), np.zeros((1, 5))),
    ],
)
def test_scores_that_do_not_pair_are_refused(first, second):
    with pytest.raises(ValueError, match="expected finite scores"):
        paired_bootstrap(first, second)
    with pytest.raises(ValueError, match="pair the images by sample_id"):
        permutation_p_value(first, second)


def test_too_few_resamples_are_refused():
    with pytest.raises(ValueError, match=r"n_resamples >= 100, got 10"):
        paired_bootstrap(np.zeros((1, 3)), np.zeros((1, 3)), 10)


def test_few_images_give_the_exact_p_value():
    values = np.array([0.3, 0.1, -0.2, 0.4, 0.05, 0.25])
    flips = np.array(list(itertools.product([-1, 1], repeat=len(values))))
    exact = np.mean(np.abs(flips @ values) >= abs(values.sum()) - 1e-12)
    assert permutation_p_value(np.stack([values, values]), np.zeros((1, 6))) == pytest.approx(exact)
    assert permutation_p_value(np.abs(values)[None], np.zeros((1, 6))) == pytest.approx(2 / 2**6)


def test_many_images_give_a_p_value_near_students():
    values = np.random.default_rng(5).normal(0.35, 1, 40)
    p = permutation_p_value(values[None], np.zeros((1, 40)))
    assert p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)
    assert p == permutation_p_value(values[None], np.zeros((1, 40)), seed=0)


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, none smaller than one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1])
    assert holm([]).shape == (0,)
    with pytest.raises(ValueError, match=r"p-values in \[0, 1\]"):
        holm([0.5, 1.5])


@pytest.mark.parametrize(
    ("found", "p_value", "expected"),
    [
        (difference(0.03), 0.01, "helps"),
        (difference(-0.03), 0.01, "hurts"),
        (difference(0.01), 0.01, "cannot tell"),
        (difference(0.03), 0.06, "cannot tell"),
        (difference(0.03, n_seeds=(3, 1)), 0.01, "cannot tell"),
        (difference(0.03, n_seeds=(1, 1), seed_degrees=0.0), 0.01, "cannot tell"),
    ],
)
def test_a_verdict_needs_interval_p_value_and_repeated_seeds(found, p_value, expected):
    assert verdict(found, p_value) == expected
    # Where lower is better, the same difference says the opposite.
    turned = {"helps": "hurts", "hurts": "helps"}.get(expected, expected)
    assert verdict(found, p_value, higher_is_better=False) == turned


def test_the_images_needed_settle_it_in_four_of_five_draws():
    n = images_needed(difference(0.01, image_sd=0.02))
    # The power of Student's test, from another library's noncentral distribution.
    power = [stats.nct.sf(stats.t.ppf(0.975, k - 1), k - 1, 0.5 * np.sqrt(k)) for k in (n - 1, n, n + 1)]
    assert power[0] < 0.81
    assert power[2] > 0.79


def test_what_would_settle_it_in_words():
    assert what_would_settle(difference(0.01, image_sd=0.02)) == "about 34 test images would settle it (now 20)"
    assert images_needed(difference(0.01, image_sd=0.02)) == 34
    assert what_would_settle(difference(0.0)) == "more than 10000 test images would be needed (now 20)"
    assert what_would_settle(difference(n_seeds=(1, 3))).startswith("one seed does not show")
    lucky = difference(0.01, seed_variance=0.01**2)
    assert what_would_settle(lucky) == "no number of test images would settle it with 3 seeds: train more seeds"
    # Enough images by the interval, held back by the correction of p: at least one more.
    assert what_would_settle(difference(0.1, image_sd=0.02)) == "about 21 test images would settle it (now 20)"
