"""How far two sets of layouts are apart, statistic by statistic."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from rbc_lightning.masks.statistics.layout import BIN_WIDTH, CENTRES, LayoutStatistics, mean

# g(r) is compared up to three diameters; beyond, it is flat.
MAX_RADIUS = 3.0
_ANGLES: NDArray[np.float64] = np.linspace(0.0, np.pi, 721)

Summary = Callable[[LayoutStatistics], float]
Distance = Callable[[LayoutStatistics, LayoutStatistics], float]


def distances(first: LayoutStatistics, second: LayoutStatistics) -> dict[str, float]:
    """Measure how far two sets of layouts are apart, statistic by statistic.

    Distributions over cells, clusters or images are pooled over the set and compared by the Wasserstein-1 distance, in
    their own unit; shares by their difference; g(r) by the integral of the absolute difference over 0 to 3 diameters.

    Returns:
        Statistic to distance >= 0, in the order of `STATISTICS`; NaN where one of the sets has no value.
    """
    return {name: measure(first, second) for name, (_, measure) in STATISTICS.items()}


def half_distances(statistics: LayoutStatistics, n_splits: int = 200, seed: int = 0) -> dict[str, float]:
    """Median distance between random halves of one set, by statistic: a unit in which a fit adds distances up.

    It is no yardstick for sets of another size, see `chance.compare_by_swaps`.

    Raises:
        ValueError: fewer than two images.
    """
    n = len(statistics)
    if n < 2:
        raise ValueError(f"two halves need at least two images, got {n}")
    rng = np.random.default_rng(seed)
    orders = (rng.permutation(n) for _ in range(n_splits))
    rows = [distances(statistics.subset(order[: n // 2]), statistics.subset(order[n // 2 :])) for order in orders]
    return {name: of_finite(np.median, np.array([row[name] for row in rows])) for name in STATISTICS}


def of_finite(reduce: Callable[[NDArray[np.float64]], float], values: NDArray[np.float64]) -> float:
    """Reduce what is not NaN; NaN where nothing is, as for too few cells to have a nearest neighbour."""
    known = values[~np.isnan(values)]
    return float(reduce(known)) if known.size else float("nan")


def _distribution(name: str) -> tuple[Summary, Distance]:
    """Mean of an array of `LayoutStatistics`, and the Wasserstein-1 distance of two."""

    def distance(a: LayoutStatistics, b: LayoutStatistics) -> float:
        first, second = getattr(a, name), getattr(b, name)
        return float(wasserstein_distance(first, second)) if len(first) and len(second) else float("nan")

    return lambda s: mean(getattr(s, name)), distance


def _of_whole_cells(name: str) -> tuple[Summary, Distance]:
    """The same for an array that has whole cells alone: each counts by its border weight."""

    def summary(s: LayoutStatistics) -> float:
        return float(np.average(getattr(s, name), weights=s.weight)) if len(s.weight) else float("nan")

    def distance(a: LayoutStatistics, b: LayoutStatistics) -> float:
        if len(a.weight) == 0 or len(b.weight) == 0:
            return float("nan")
        return float(wasserstein_distance(getattr(a, name), getattr(b, name), a.weight, b.weight))

    return summary, distance


def _alignment(statistics: LayoutStatistics) -> float:
    """Length of the mean direction of the major axes: 0 = every direction alike, 1 = all the same."""
    if len(statistics.orientation) == 0:
        return float("nan")
    return float(abs(np.average(np.exp(2j * statistics.orientation), weights=statistics.weight)))


def _turn(a: LayoutStatistics, b: LayoutStatistics) -> float:
    """Wasserstein-1 distance of orientations on the circle of angles modulo pi, in radians."""
    if len(a.orientation) == 0 or len(b.orientation) == 0:
        return float("nan")
    gap = np.subtract(*(_distribution_function(s.orientation, s.weight, _ANGLES) for s in (a, b)))
    # Where the circle is cut shifts the difference of the distribution functions; the best cut is at its median.
    return float(np.abs(gap - np.median(gap)).mean() * np.pi)


def _distribution_function(
    values: NDArray[np.float64], weights: NDArray[np.float64], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted share of the values below each point of a grid."""
    order = np.argsort(values)
    sums = np.concatenate([[0.0], np.cumsum(weights[order])])
    share: NDArray[np.float64] = sums[np.searchsorted(values[order], grid)] / sums[-1]
    return share


def _pair_correlation(a: LayoutStatistics, b: LayoutStatistics) -> float:
    gap = np.abs(a.pair_correlation - b.pair_correlation)[CENTRES < MAX_RADIUS]
    return float(gap.sum() * BIN_WIDTH)


# Name -> what stands for the statistic in a table, and the distance.
STATISTICS: dict[str, tuple[Summary, Distance]] = {
    "cells per image": _distribution("counts"),
    "cells per megapixel": _distribution("densities"),
    "area (px)": _of_whole_cells("area"),
    "axis ratio": _of_whole_cells("axis_ratio"),
    "orientation": (_alignment, _turn),
    "nearest neighbour (diameters)": _distribution("neighbor_distance"),
    "touching share": (lambda s: s.touching_share, lambda a, b: abs(a.touching_share - b.touching_share)),
    "abutting share": (lambda s: s.abutting_share, lambda a, b: abs(a.abutting_share - b.abutting_share)),
    "cluster size": _distribution("cluster_sizes"),
    "g(r)": (lambda s: of_finite(np.max, s.pair_correlation), _pair_correlation),
}
