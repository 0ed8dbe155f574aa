"""How far two sets of layouts are apart, how far chance alone sets them apart, and both on one card."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from rbc_lightning.masks.statistics.layout import BIN_WIDTH, CENTRES, LayoutStatistics, mean

# g(r) is compared up to three diameters; beyond, it is flat.
MAX_RADIUS = 3.0

Summary = Callable[[LayoutStatistics], float]
Distance = Callable[[LayoutStatistics, LayoutStatistics], float]


@dataclass(frozen=True)
class CardRow:
    """One statistic.

    Attributes:
        statistic: its name and unit.
        real: its value in the real layouts; a mean, a share, the length of the mean direction, or the peak of g(r).
        sampled: the same in the sampled ones.
        distance: between the two sets, see `distances`.
        half_distance: median distance between two random halves of real images.
        others: distances of further sets to the real one, by name.
    """

    statistic: str
    real: float
    sampled: float
    distance: float
    half_distance: float
    others: dict[str, float]

    @property
    def ratio(self) -> float:
        """Distance over half-to-half distance: about 1 where sampled layouts cannot be told from real ones."""
        return self.over_halves(self.distance)

    def over_halves(self, distance: float) -> float:
        """Some distance of this statistic over the half-to-half distance."""
        return distance / self.half_distance if self.half_distance > 0 else float("inf")


@dataclass(frozen=True)
class LayoutCard:
    """Real against sampled layouts: one row per statistic, and a title that says what is compared with what."""

    rows: tuple[CardRow, ...]
    title: str = ""

    def to_text(self) -> str:
        """Lay the card out as a table of plain text; further sets show as ratios."""
        others = list(self.rows[0].others)
        lines = [["statistic", "real", "sampled", "distance", "halves", "ratio", *(f"{name}: ratio" for name in others)]]
        for row in self.rows:
            numbers = (row.real, row.sampled, row.distance, row.half_distance)
            ratios = (row.ratio, *(row.over_halves(row.others[name]) for name in others))
            lines.append([row.statistic, *(f"{number:.4g}" for number in numbers), *(f"{ratio:.2f}" for ratio in ratios)])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join([line[0].ljust(widths[0]), *(entry.rjust(w) for entry, w in zip(line[1:], widths[1:], strict=True))])
            for line in lines
        ]
        legend = "ratio: distance over that of two random halves of real images; about 1 = cannot be told from real"
        return "\n".join([*([self.title] if self.title else []), *table, legend])


def layout_card(
    real: LayoutStatistics,
    sampled: LayoutStatistics,
    halves_of: LayoutStatistics | None = None,
    others: Mapping[str, LayoutStatistics] | None = None,
    title: str = "",
) -> LayoutCard:
    """Compare sampled with real layouts, those of a held-out split for an honest card.

    The distance of chance is that between random halves of ``halves_of``, or of ``real``. ``others`` are further sets for
    comparison, such as uniform placement, or the real images that were fitted.

    Raises:
        ValueError: fewer than two images to halve.
    """
    halves = half_distances(real if halves_of is None else halves_of)
    apart = distances(sampled, real)
    further = {name: distances(layouts, real) for name, layouts in (others or {}).items()}
    rows = []
    for name, (summary, _) in STATISTICS.items():
        beside = {other: values[name] for other, values in further.items()}
        rows.append(CardRow(name, summary(real), summary(sampled), apart[name], halves[name], beside))
    return LayoutCard(tuple(rows), title)


def distances(first: LayoutStatistics, second: LayoutStatistics) -> dict[str, float]:
    """Measure how far two sets of layouts are apart, statistic by statistic.

    Distributions over cells, clusters or images are pooled over the set and compared by the Wasserstein-1 distance, in
    their own unit; shares by their difference; g(r) by the integral of the absolute difference over 0 to 3 diameters.

    Returns:
        Statistic to distance >= 0, in the order of `STATISTICS`; NaN where one of the sets has no value.
    """
    return {name: measure(first, second) for name, (_, measure) in STATISTICS.items()}


def half_distances(statistics: LayoutStatistics, n_splits: int = 200, seed: int = 0) -> dict[str, float]:
    """Median distance between random halves of one set, by statistic: what two samples of the same kind differ by.

    Raises:
        ValueError: fewer than two images.
    """
    n = len(statistics)
    if n < 2:
        raise ValueError(f"two halves need at least two images, got {n}")
    rng = np.random.default_rng(seed)
    orders = (rng.permutation(n) for _ in range(n_splits))
    rows = [distances(statistics.subset(order[: n // 2]), statistics.subset(order[n // 2 :])) for order in orders]
    return {name: _of_finite(np.median, np.array([row[name] for row in rows])) for name in STATISTICS}


def _of_finite(reduce: Callable[[NDArray[np.float64]], float], values: NDArray[np.float64]) -> float:
    """Reduce what is not NaN; NaN where nothing is, as for too few cells to have a nearest neighbour."""
    known = values[~np.isnan(values)]
    return float(reduce(known)) if known.size else float("nan")


def _distribution(name: str) -> tuple[Summary, Distance]:
    """Mean of an array of `LayoutStatistics`, and the Wasserstein-1 distance of two."""

    def distance(a: LayoutStatistics, b: LayoutStatistics) -> float:
        first, second = getattr(a, name), getattr(b, name)
        return float(wasserstein_distance(first, second)) if len(first) and len(second) else float("nan")

    return lambda s: mean(getattr(s, name)), distance


def _alignment(statistics: LayoutStatistics) -> float:
    """Length of the mean direction of the major axes: 0 = every direction alike, 1 = all the same."""
    return float(abs(np.exp(2j * statistics.orientation).mean())) if len(statistics.orientation) else float("nan")


def _turn(a: LayoutStatistics, b: LayoutStatistics) -> float:
    """Wasserstein-1 distance of orientations on the circle of angles modulo pi, in radians."""
    first, second = np.sort(a.orientation), np.sort(b.orientation)
    if len(first) == 0 or len(second) == 0:
        return float("nan")
    grid = np.linspace(0.0, np.pi, 721)
    gap = np.searchsorted(first, grid) / len(first) - np.searchsorted(second, grid) / len(second)
    # Where the circle is cut shifts the difference of the distribution functions; the best cut is at its median.
    return float(np.abs(gap - np.median(gap)).mean() * np.pi)


def _pair_correlation(a: LayoutStatistics, b: LayoutStatistics) -> float:
    gap = np.abs(a.pair_correlation - b.pair_correlation)[CENTRES < MAX_RADIUS]
    return float(gap.sum() * BIN_WIDTH)


# Name -> what stands for the statistic in a table, and the distance.
STATISTICS: dict[str, tuple[Summary, Distance]] = {
    "cells per image": _distribution("counts"),
    "cells per megapixel": _distribution("densities"),
    "area (px)": _distribution("area"),
    "axis ratio": _distribution("axis_ratio"),
    "orientation": (_alignment, _turn),
    "nearest neighbour (diameters)": _distribution("neighbor_distance"),
    "touching share": (lambda s: s.touching_share, lambda a, b: abs(a.touching_share - b.touching_share)),
    "abutting share": (lambda s: s.abutting_share, lambda a, b: abs(a.abutting_share - b.abutting_share)),
    "cluster size": _distribution("cluster_sizes"),
    "g(r)": (lambda s: _of_finite(np.max, s.pair_correlation), _pair_correlation),
}
