"""One number per statistic for how far two sets of layouts are apart, and how far chance alone sets them apart."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from rbc_lightning.masks import pair_correlation
from rbc_lightning.masks.layout import LayoutStatistics

Number = np.float64 | np.int64

# g(r) is compared up to three diameters; beyond, it is flat.
MAX_RADIUS = 3.0


def distances(first: LayoutStatistics, second: LayoutStatistics) -> dict[str, float]:
    """Measure how far two sets of layouts are apart, statistic by statistic.

    Distributions over cells, clusters or images are pooled over the set and compared by the Wasserstein-1 distance, in
    their own unit; shares by their difference; g(r) by the integral of the absolute difference over 0 to 3 diameters.

    Args:
        first: one set.
        second: the other.

    Returns:
        Statistic to distance >= 0, in the order of `STATISTICS`; NaN where one of the sets has no value.
    """
    return {name: measure(first, second) for name, (_, measure) in STATISTICS.items()}


def half_distances(statistics: LayoutStatistics, n_splits: int = 200, seed: int = 0) -> dict[str, float]:
    """Median distance between random halves of one set: what two samples of the same kind differ by.

    Args:
        statistics: at least two images.
        n_splits: number of random splits.
        seed: seed of the splits.

    Returns:
        Statistic to median distance.

    Raises:
        ValueError: fewer than two images.
    """
    n = len(statistics)
    if n < 2:
        raise ValueError(f"two halves need at least two images, got {n}")
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n_splits):
        order = rng.permutation(n)
        rows.append(distances(statistics.subset(order[: n // 2]), statistics.subset(order[n // 2 :])))
    return {name: _of_finite(np.median, np.array([row[name] for row in rows])) for name in STATISTICS}


def _of_finite(reduce: Callable[[NDArray[np.float64]], float], values: NDArray[np.float64]) -> float:
    """Reduce what is not NaN; NaN where nothing is, as for too few cells to have a nearest neighbour."""
    known = values[~np.isnan(values)]
    return float(reduce(known)) if known.size else float("nan")


def _wasserstein(first: NDArray[Number], second: NDArray[Number]) -> float:
    if len(first) == 0 or len(second) == 0:
        return float("nan")
    return float(wasserstein_distance(first, second))


def _circular(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Wasserstein-1 distance on the circle of angles modulo pi, in radians."""
    if len(first) == 0 or len(second) == 0:
        return float("nan")
    grid = np.linspace(0.0, np.pi, 721)
    gap = np.searchsorted(np.sort(first), grid) / len(first) - np.searchsorted(np.sort(second), grid) / len(second)
    # Where the circle is cut shifts the difference of the distribution functions; the best cut is at its median.
    return float(np.abs(gap - np.median(gap)).mean() * np.pi)


def _pair_correlation(first: LayoutStatistics, second: LayoutStatistics) -> float:
    near = pair_correlation.CENTRES < MAX_RADIUS
    gap = np.abs(first.pair_correlation - second.pair_correlation)[near]
    return float(gap.sum() * pair_correlation.BIN_WIDTH)


Distance = Callable[[LayoutStatistics, LayoutStatistics], float]
Summary = Callable[[LayoutStatistics], float]


def _mean(values: NDArray[Number]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _alignment(statistics: LayoutStatistics) -> float:
    """Length of the mean direction of the major axes: 0 = every direction alike, 1 = all the same."""
    return float(abs(np.exp(2j * statistics.orientation).mean())) if len(statistics.orientation) else float("nan")


# Name -> what stands for the statistic in a table, and the distance.
STATISTICS: dict[str, tuple[Summary, Distance]] = {
    "cells per image": (lambda s: _mean(s.counts), lambda a, b: _wasserstein(a.counts, b.counts)),
    "cells per megapixel": (lambda s: _mean(s.densities), lambda a, b: _wasserstein(a.densities, b.densities)),
    "area (px)": (lambda s: _mean(s.area), lambda a, b: _wasserstein(a.area, b.area)),
    "axis ratio": (lambda s: _mean(s.axis_ratio), lambda a, b: _wasserstein(a.axis_ratio, b.axis_ratio)),
    "orientation": (_alignment, lambda a, b: _circular(a.orientation, b.orientation)),
    "nearest neighbour (diameters)": (
        lambda s: _mean(s.neighbor_distance),
        lambda a, b: _wasserstein(a.neighbor_distance, b.neighbor_distance),
    ),
    "touching share": (lambda s: s.touching_share, lambda a, b: abs(a.touching_share - b.touching_share)),
    "abutting share": (lambda s: s.abutting_share, lambda a, b: abs(a.abutting_share - b.abutting_share)),
    "cluster size": (lambda s: _mean(s.cluster_sizes), lambda a, b: _wasserstein(a.cluster_sizes, b.cluster_sizes)),
    "g(r)": (lambda s: _of_finite(np.max, s.pair_correlation), _pair_correlation),
}
