"""What would settle an undecided difference: more test images or groups, more seeds, or both."""

from math import ceil

import numpy as np
from scipy import stats

from rbc_lightning.study.statistics import LEAST_SEEDS, LEAST_UNITS, LEVEL, Difference, half_widths

_POWER = 0.8
# Of three independent mean squares, spread evenly over all their values (Sobol 1967).
_QUANTILES = stats.qmc.Sobol(3, seed=0).random(1024)
_MOST_UNITS, _MOST_SEEDS = 10_000, 30
_UNITS = {"image": "test images", "group": "groups of test images"}


def what_would_settle(difference: Difference) -> str:
    """In words, with a power of 80 %, if the difference and its variances are as observed."""
    units, n_units, n_seeds = _UNITS[difference.unit], difference.n_units, difference.n_seeds
    if n_units < LEAST_UNITS:
        return f"{n_units} {units} are too few for any verdict: at least {LEAST_UNITS}, better dozens"
    if n_seeds < LEAST_SEEDS:
        return "one seed does not show how much of it is the luck of a training: train two more seeds of each column"
    by_units, by_seeds = units_needed(difference), seeds_needed(difference)
    # Where the correction of p alone stands in the way, at least one more.
    ways = [f"{max(by_units, n_units + 1)} {units} (now {n_units})"] if by_units else []
    ways += [f"{max(by_seeds, n_seeds + 1)} seeds (now {n_seeds})"] if by_seeds else []
    if ways:
        return f"about {' or '.join(ways)} would settle it"
    if difference.value == 0:
        return "the columns do not differ at all here"
    # Neither alone: more seeds, doubled until images do.
    more = [2 * n_seeds]
    while more[-1] < _MOST_SEEDS:
        more.append(min(2 * more[-1], _MOST_SEEDS))
    for seeds in more:
        both = units_needed(difference, seeds)
        if both:
            both = max(both, n_units)
            return f"neither more {units} nor more seeds alone: about {both} {units} with {seeds} seeds would settle it"
    return f"the difference is too small beside its scatter for {_MOST_UNITS} {units} and {_MOST_SEEDS} seeds"


def units_needed(difference: Difference, n_seeds: int | None = None) -> int | None:
    """Units with which a verdict would come with a probability of 80 %, the seeds being as many; None beyond 10,000.

    Where folds make the interval, more units are more folds of as many.
    """
    n_seeds = difference.n_seeds if n_seeds is None else n_seeds
    if not _detects(difference, n_seeds, _MOST_UNITS):
        return None
    low, high = LEAST_UNITS - 1, _MOST_UNITS
    # More units are never worse: the first that will do is found by halving.
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _detects(difference, n_seeds, middle) else (middle, high)
    return ceil(high * difference.n_units / difference.squares.n_units)


def seeds_needed(difference: Difference) -> int | None:
    """Seeds with which a verdict would come with a probability of 80 %, the units being as many; None beyond 30."""
    tried = range(LEAST_SEEDS, _MOST_SEEDS + 1)
    return next((n for n in tried if _detects(difference, n, difference.squares.n_units)), None)


def _detects(difference: Difference, n_seeds: int, n_units: int) -> bool:
    """Whether the interval of a study with so many seeds and units would leave 0 out with a probability of 80 %.

    Mean squares scatter, most of all those of a few seeds: they are drawn as chi-squares of their degrees, the same draws
    whatever the numbers; the mean is normal.
    """
    found = difference.squares
    if found.n_seeds < LEAST_SEEDS or found.n_units < 2:
        return False
    of_seed, of_unit, rest = found.components()
    expected = np.array([rest + n_units * of_seed, rest + n_seeds * of_unit, rest])
    degrees = np.array([n_seeds - 1, n_units - 1, (n_seeds - 1) * (n_units - 1)])
    drawn = expected * stats.chi2.ppf(_QUANTILES, degrees) / degrees
    halves = half_widths(drawn[:, 0], drawn[:, 1], drawn[:, 2], n_seeds, n_units, LEVEL)
    scatter = np.sqrt((expected[0] + expected[1] - rest) / (n_seeds * n_units))
    beyond = abs(difference.value) - halves
    chance = stats.norm.cdf(beyond / scatter) if scatter > 0 else beyond > 0
    return bool(np.mean(chance) >= _POWER)
