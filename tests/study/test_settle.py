import numpy as np
import pytest
from oracles.crossed_effects import crossed
from scipy import stats

from rbc_lightning.study.settle import seeds_needed, units_needed, what_would_settle
from rbc_lightning.study.statistics import LEVEL, Difference, MeanSquares


def difference(value=0.01, *, seed_sd=0.0, unit_sd=0.02, rest_sd=0.002, n_seeds=3, n_units=20, unit="image"):
    """Whose mean squares are just as expected from these deviations."""
    rest = rest_sd**2
    squares = MeanSquares(rest + n_units * seed_sd**2, rest + n_seeds * unit_sd**2, rest, n_seeds, n_units)
    half = squares.half(LEVEL)
    return Difference(value, value - half, value + half, squares.p_value(value), n_units, n_seeds, unit, squares)


def test_the_images_needed_have_the_power_of_students_test():
    n = units_needed(difference(rest_sd=0.0))
    # From another library's noncentral distribution.
    power = [stats.nct.sf(stats.t.ppf(0.975, k - 1), k - 1, 0.5 * np.sqrt(k)) for k in (n - 1, n, n + 1)]
    assert power[0] < 0.81
    assert power[2] > 0.79


def test_the_seeds_needed_are_the_first_that_do():
    lucky = difference(0.02, seed_sd=0.01, unit_sd=0.005, n_units=40)
    n = seeds_needed(lucky)
    rng = np.random.default_rng(0)

    def power(count):
        found = []
        for _ in range(600):
            drawn = 0.02 + crossed(rng, count, 40, 0.01, 0.005, 0.002)
            found.append(drawn.mean() > MeanSquares.of(drawn).half(LEVEL))
        return np.mean(found)

    assert n > 3
    assert power(n) > 0.75
    assert power(n - 1) < 0.85


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (difference(), "about 34 test images (now 20) would settle it"),
        (difference(unit="group"), "about 34 groups of test images (now 20) would settle it"),
        (difference(n_units=4, unit="group"), "4 groups of test images are too few for any verdict: at least 6, better dozens"),
        (
            difference(n_seeds=1),
            "one seed does not show how much of it is the luck of a training: train two more seeds of each column",
        ),
        (difference(0.0), "the columns do not differ at all here"),
        (difference(1e-6), "the difference is too small beside its scatter for 10000 test images and 30 seeds"),
        # Enough already, held back by the correction of p: at least one more of either.
        (difference(0.1), "about 21 test images (now 20) or 4 seeds (now 3) would settle it"),
    ],
)
def test_what_would_settle_it_in_words(found, text):
    assert what_would_settle(found) == text


def test_where_seeds_hide_it_more_seeds_are_asked_for():
    lucky = difference(0.01, seed_sd=0.01, unit_sd=0.002, n_units=40)
    assert units_needed(lucky) is None
    assert what_would_settle(lucky) == f"about {seeds_needed(lucky)} seeds (now 3) would settle it"
    both = difference(0.01, seed_sd=0.004, unit_sd=0.03)
    assert (units_needed(both), seeds_needed(both)) == (None, None)
    assert what_would_settle(both).startswith("neither more test images nor more seeds alone: about ")


def test_seeds_are_doubled_until_images_do():
    """With six seeds no number of images tells it; with twelve some do."""
    hidden = difference(0.0045, seed_sd=0.004, unit_sd=0.03)
    assert units_needed(hidden, 6) is None
    both = f"about {units_needed(hidden, 12)} test images with 12 seeds would settle it"
    assert what_would_settle(hidden) == f"neither more test images nor more seeds alone: {both}"


@pytest.mark.parametrize(("unit_sd", "rest_sd"), [(1, 1), (0, 1), (1, 0.1)])
def test_the_images_needed_have_the_power_that_is_promised(unit_sd, rest_sd):
    """Without luck of seeds their mean square is above that of the rest half of the time, and widens the interval then."""
    found = difference(0.4, seed_sd=0, unit_sd=unit_sd, rest_sd=rest_sd)
    n = units_needed(found)
    rng = np.random.default_rng(0)
    drawn = 0.4 + rng.normal(0, unit_sd, (1000, 1, n)) + rng.normal(0, rest_sd, (1000, 3, n))
    power = np.mean([table.mean() > MeanSquares.of(table).half(LEVEL) for table in drawn])
    assert power == pytest.approx(0.8, abs=0.04)
