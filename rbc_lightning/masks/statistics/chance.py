"""How far two sets of layouts are apart, next to what chance alone gives sets of the same sizes; a p-value by swaps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks.statistics.compare import STATISTICS, distances, of_finite
from rbc_lightning.masks.statistics.layout import ImageLayout, LayoutStatistics

# Of another set, so many subsets as large as the real one are looked at: more would hardly steady the mean.
_MOST_SETS = 3
SWAPS = 199
_NAMES = list(STATISTICS)


@dataclass(frozen=True)
class Apart:
    """One statistic of two sets of layouts.

    Attributes:
        distance: between sets of equal sizes, see `compare.distances`.
        chance: what it is on average when images are swapped at random between the sets; NaN where there is nothing to swap.
        p: share of the swaps, the one observed among them, that are at least as far apart.
    """

    distance: float
    chance: float
    p: float

    @property
    def ratio(self) -> float:
        """Distance over that of chance: 1 on average where both sets are of one kind."""
        if self.chance > 0 or math.isnan(self.distance + self.chance):
            return self.distance / self.chance
        return math.inf if self.distance > 0 else 0.0


def compare_by_swaps(
    real: LayoutStatistics,
    other: LayoutStatistics,
    groups: Sequence[str] | None = None,
    n_swaps: int = SWAPS,
) -> dict[str, Apart]:
    """Compare two sets of layouts by a permutation test that keeps sizes equal and groups whole.

    Each group of real images (a patient, a slide) faces as many images of the other set. Were both of one kind, it would not
    matter which of the two lies on which side, so that swapping them tells what chance gives (the permutation test of matched
    pairs; Good 2005, Permutation, Parametric and Bootstrap Tests of Hypotheses, 3rd ed., Springer). Images of a group stay
    together: they are alike, and swapped one by one would make chance look smaller than it is. Of a larger other set, up to
    three disjoint subsets face the same real images and are swapped together; distances are means over them. If the other
    set is the smaller one, the first groups that have room take part.

    Args:
        real: n images.
        other: as many or more; where image i of it answers to real image i mod n, as by its number of cells, it faces it.
        groups: of each real image, those of a group in a row; None takes each image for a group.
        n_swaps: random swaps; all of them where there are no more than that.

    Returns:
        Statistic to `Apart`, in the order of `STATISTICS`. With fewer than two groups chance and p are NaN.

    Raises:
        ValueError: not one group for each image.
    """
    sizes = _group_sizes(groups, len(real))
    sizes = sizes[np.cumsum(sizes) <= len(other)]
    if len(sizes) < 2:
        return {name: Apart(apart, math.nan, math.nan) for name, apart in distances(other, real).items()}
    n = int(sizes.sum())
    sets = [other.images[start : start + n] for start in range(0, len(other) - n + 1, n)][:_MOST_SETS]
    patterns = np.repeat(_swaps(len(sizes), n_swaps), sizes, axis=1)
    observed, *swapped = (_distances(real.images[:n], sets, pattern) for pattern in patterns)
    table = np.array(swapped)
    result = {}
    for column, name in enumerate(_NAMES):
        apart, others = float(observed[column]), table[:, column]
        others = others[~np.isnan(others)]
        if len(others) == 0 or math.isnan(apart):
            result[name] = Apart(apart, math.nan, math.nan)
            continue
        # Sums in another order differ in the last digits.
        as_far = int((others >= apart * (1 - 1e-9)).sum())
        result[name] = Apart(apart, float(others.mean()), (1 + as_far) / (1 + len(others)))
    return result


def smallest_p(groups: Sequence[str] | None, n_images: int) -> float:
    """The smallest p-value that `SWAPS` of so many images or groups can give; 1 with less than two."""
    n = len(_group_sizes(groups, n_images))
    return max(0.5 ** (n - 1), 1 / (1 + SWAPS)) if n > 1 else 1.0


def _group_sizes(groups: Sequence[str] | None, n_images: int) -> NDArray[np.int64]:
    """Images in each group, int64 (n_groups,)."""
    if groups is None:
        return np.ones(n_images, np.int64)
    if len(groups) != n_images:
        raise ValueError(f"expected a group for each of {n_images} images, got {len(groups)}")
    starts = [index for index in range(n_images) if index == 0 or groups[index] != groups[index - 1]]
    if len(starts) != len(set(groups)):
        raise ValueError("expected the images of a group in a row; sort them by group")
    return np.diff([*starts, n_images]).astype(np.int64)


def _swaps(n_groups: int, n_swaps: int) -> NDArray[np.bool_]:
    """Which groups change sides, bool (k + 1, n_groups), the first row none; a distance has no sides, so group 0 stays."""
    if 2 ** (n_groups - 1) - 1 <= n_swaps:
        numbers = np.arange(2 ** (n_groups - 1))[:, None] >> np.arange(n_groups - 1)
        moved = (numbers & 1).astype(np.bool_)
    else:
        moved = np.random.default_rng(0).random((n_swaps + 1, n_groups - 1)) < 0.5
        moved[0] = False
    return np.concatenate([np.zeros((len(moved), 1), np.bool_), moved], axis=1)


def _distances(
    real: tuple[ImageLayout, ...], sets: Sequence[tuple[ImageLayout, ...]], swapped: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Distances after swaps, mean over the sets that know them, float64 (n_statistics,)."""
    rows = []
    for others in sets:
        pairs = [(b, a) if swap else (a, b) for a, b, swap in zip(real, others, swapped.tolist(), strict=True)]
        first, second = zip(*pairs, strict=True)
        rows.append(list(distances(LayoutStatistics(first), LayoutStatistics(second)).values()))
    return np.array([of_finite(np.mean, values) for values in np.transpose(rows)])
