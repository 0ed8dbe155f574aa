"""How sure a difference between two columns is: one model for interval and p-value, verdicts, what would settle it.

Scores have two sources of luck that cross: seeds (a translator, a cut, a training) and units, which are groups of test images
(patients, slides) where those are known, else images. The difference of two columns with the same seed on the same unit is

    d[s, u] = mean + seed[s] + unit[u] + rest[s, u],

all three random with variances of their own. Of S seeds and U units, with the mean squares A of seeds, B of units and E of the
rest (two-way layout without replication; E[A] = rest + U seed, E[B] = rest + S unit, E[E] = rest; Searle, Casella and McCulloch
1992, Variance Components, ch. 4), the grand mean has the variance

    seed/S + unit/U + rest/(S U) = (E[A] + E[B] - E[E]) / (S U),

of which B / (S U) is the units' and the rest's share, and (A - E) / (S U) the seeds'. Added up, with the degrees of freedom of
Satterthwaite (1946, Biometrics Bull. 2), V^2 / (X^2/(S-1) + B^2/(U-1)) for V = X + B, they give too narrow intervals where few
seeds have the larger share; as squares, each with Student's t of its own degrees (Zou and Donner 2008, Statist. Med. 27),
t(S-1)^2 X + t(U-1)^2 B, too wide ones where they have the smaller. The interval lies between the two, at the weighted
geometric mean of their squares, `_SUM` of the first. The seeds' share is X = max(A - `_SUBTRACTED` E, 0): with all of E
subtracted a variance that chance hides would be missed. Of two seeds, where A has one degree, the second way alone is taken and
nothing is subtracted. The width changes without a jump in A, B and E. The constants are those with which the studies of
`experiments/statistics` are covered; what they cover elsewhere is told there too.

Over folds each unit was tested by models of its own fold f. The luck of a training is then that of (fold, seed), shared by the
units of the fold and by no others, and what the fold's training images make of a column is shared by them under every seed:

    d[s, u] = mean + seed[s] + fold[f] + luck[s, f] + unit[u] + rest[s, u].

With F folds of n units the grand mean has the variance seed/S + fold/F + luck/(S F) + unit/U + rest/(S U). The layout above has
the luck: E[A] = rest + n luck + U seed, and what B and E have of it cancels. It has not all of `fold`: B takes units for
independent, and has but (F - 1)/(U - 1) of the S n fold that it should. The means of folds are a layout of the same kind, whose
units, the folds, are independent: mean + seed[s] + (fold + mean unit)[f] + (luck + mean rest)[s, f]. It has everything, with
F - 1 degrees for U - 1, and few folds scatter. Interval and p-value are the wider of the two: folds that happen to agree make
nothing narrower than units alone would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

Verdict = Literal["helps", "hurts", "cannot tell"]
Unit = Literal["image", "group"]
Floats = NDArray[np.float64]
LEVEL = 0.05
"""Highest p-value that counts; intervals have a confidence of 1 - LEVEL."""
LEAST_UNITS, LEAST_SEEDS = 6, 2
"""With fewer there is no verdict."""
_LEAST_P = 1e-12
_SUBTRACTED, _SUM = 0.75, 0.45


@dataclass(frozen=True)
class MeanSquares:
    """Mean squares of a two-way layout without replication, observed or expected.

    Attributes:
        seeds, units, rest: the mean squares A, B and E; with one seed, `seeds` and `rest` are 0.
        n_seeds, n_units: S and U.
    """

    seeds: float
    units: float
    rest: float
    n_seeds: int
    n_units: int

    @classmethod
    def of(cls, table: Floats) -> MeanSquares:
        """Those of values (n_seeds, n_units)."""
        n_seeds, n_units = table.shape
        mean, by_seed, by_unit = table.mean(), table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
        return cls(
            float(n_units * np.sum((by_seed - mean) ** 2) / max(1, n_seeds - 1)),
            float(n_seeds * np.sum((by_unit - mean) ** 2) / max(1, n_units - 1)),
            float(np.sum((table - by_seed - by_unit + mean) ** 2) / max(1, (n_seeds - 1) * (n_units - 1))),
            n_seeds,
            n_units,
        )

    def components(self) -> tuple[float, float, float]:
        """Estimated variances of seeds, of units, and of the rest; negative ones as 0."""
        seeds, units = (self.seeds - self.rest) / self.n_units, (self.units - self.rest) / self.n_seeds
        return max(seeds, 0.0), max(units, 0.0), self.rest

    def half(self, level: float) -> float:
        """Half the width of the interval of a confidence of 1 - level; infinite with a single unit."""
        return float(half_widths(self.seeds, self.units, self.rest, self.n_seeds, self.n_units, level))

    def p_value(self, value: float) -> float:
        """Two-sided: the level whose interval about `value` just reaches 0; at least 1e-12, or 0 without any scatter."""
        if self.n_units < 2 or value == 0:
            return 1.0
        if self.half(_LEAST_P) <= abs(value):
            return 0.0 if self.half(LEVEL) == 0 else _LEAST_P
        # Half a width falls from there to 0 at level 1.
        return float(np.exp(optimize.brentq(lambda log: self.half(np.exp(log)) - abs(value), np.log(_LEAST_P), 0.0)))


def half_widths(seeds: ArrayLike, units: ArrayLike, rest: ArrayLike, n_seeds: int, n_units: int, level: float) -> Floats:
    """Half the widths of intervals of a confidence of 1 - level, from mean squares A, B and E; infinite with a single unit."""
    if n_units < 2:
        return np.full(np.shape(units), np.inf)
    few = n_seeds <= LEAST_SEEDS
    of_seeds = np.maximum(np.asarray(seeds) - (0.0 if few else _SUBTRACTED) * np.asarray(rest), 0.0)
    of_units, tail = np.asarray(units, dtype=np.float64), level / 2
    t_units = stats.t.isf(tail, n_units - 1) ** 2
    t_seeds = stats.t.isf(tail, n_seeds - 1) ** 2 if n_seeds > 1 else 0.0
    square = t_seeds * of_seeds + t_units * of_units
    if not few:
        total, spread = of_seeds + of_units, of_seeds**2 / (n_seeds - 1) + of_units**2 / (n_units - 1)
        degrees = np.divide(total**2, spread, out=np.full(np.shape(total), n_units - 1.0), where=spread > 0)
        added = stats.t.isf(tail, degrees) ** 2 * total
        square = added**_SUM * square ** (1 - _SUM)
    return np.asarray(np.sqrt(square / (n_seeds * n_units)))


@dataclass(frozen=True)
class Difference:
    """A difference of means over seeds and units, with interval and p-value of one model.

    Attributes:
        value: mean of the first scores less mean of the second.
        low, high: the 95 % interval, for other seeds and other units; with one seed it says nothing of seeds.
        p_value: two-sided, of no difference; at most `LEVEL` where the interval leaves out 0, and only there.
        n_units, n_seeds: that both columns were scored on and trained with.
        unit: what a unit is.
        squares: the mean squares behind it; of folds in the place of units where those make the wider interval.
    """

    value: float
    low: float
    high: float
    p_value: float
    n_units: int
    n_seeds: int
    unit: Unit
    squares: MeanSquares


def paired_difference(
    first: ArrayLike, second: ArrayLike, groups: ArrayLike | None = None, folds: ArrayLike | None = None
) -> Difference:
    """Difference of two mean scores that share seeds and test images, see this module's text.

    Args:
        first: scores (n_seeds, n_images).
        second: scores of the same shape, on the same images; rows of one index share a seed.
        groups: (n_images,), the patient or slide of each image; images of one are averaged first and count as one unit. None:
            every image is a unit of its own.
        folds: (n_images,), the fold whose models were tested on each image; a group lies in one. None: one model for all.

    Returns:
        The difference first - second; its interval is infinite with a single unit.

    Raises:
        ValueError: scores that are no finite matrices of one shape, or another number of groups.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 2 or one.size == 0 or one.shape != other.shape or not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError(
            f"expected finite scores (n_seeds, n_images) of equal seeds and images, got shapes {one.shape} and {other.shape}: "
            "pair runs by seed and images by sample_id, and leave out those without a score"
        )
    differences = unit_means(one - other, groups)
    of_units = None if folds is None else unit_means(np.asarray(folds, dtype=np.float64)[None], groups)[0]
    return _difference(differences, "group" if differences.shape[1] < one.shape[1] else "image", of_units)


def spread(by_seed: Floats) -> float | None:
    """Standard deviation over seeds (n_seeds,); None with one."""
    return float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None


def unit_means(scores: Floats, groups: ArrayLike | None) -> Floats:
    """Scores (n_seeds, n_images) averaged over the images of each group: (n_seeds, n_units), groups in sorted order.

    Raises:
        ValueError: another number of groups than of images.
    """
    if groups is None:
        return scores
    names = np.asarray(groups)
    if names.shape != scores.shape[1:]:
        raise ValueError(f"expected the group of each of {scores.shape[1]} images, got shape {names.shape}")
    return np.stack([scores[:, names == name].mean(axis=1) for name in np.unique(names)], axis=1)


def pseudo_values(whole: ArrayLike, without: ArrayLike) -> Floats:
    """What each unit adds to a measure over all images together, such as AP over all cells: U whole - (U - 1) without.

    Their mean and scatter over units stand for those of single scores (Quenouille 1956; Tukey 1958): give them to
    `paired_difference` as scores.

    Args:
        whole: the measure (n_seeds,).
        without: the measure with one unit left out (n_seeds, n_units).

    Raises:
        ValueError: shapes that do not fit, or fewer than two units.
    """
    every, left = np.asarray(whole, dtype=np.float64), np.asarray(without, dtype=np.float64)
    if every.ndim != 1 or left.ndim != 2 or len(left) != len(every) or left.shape[1] < 2:
        raise ValueError(f"expected (n_seeds,) and (n_seeds, n_units) of two units or more, got {every.shape} and {left.shape}")
    n_units = left.shape[1]
    return np.asarray(n_units * every[:, None] - (n_units - 1) * left)


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down correction: p-values (n,) adjusted for n tests (Holm 1979, Scand. J. Statist. 6).

    Raises:
        ValueError: no vector of numbers in [0, 1].
    """
    given = np.asarray(p_values, dtype=np.float64)
    if given.ndim != 1 or not np.all((given >= 0) & (given <= 1)):
        raise ValueError(f"expected a vector of p-values in [0, 1], got {given}")
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def verdict(difference: Difference, p_value: float | None = None, *, higher_is_better: bool = True) -> Verdict:
    """What the difference says: helps or hurts if p is at most `LEVEL`, of six units and two seeds or more.

    With one seed nothing tells the difference of two columns from that of two trainings: "cannot tell".

    Args:
        difference: of `paired_difference`.
        p_value: corrected by `holm` where several questions are asked; None for the difference's own.
        higher_is_better: direction of the score.
    """
    p = difference.p_value if p_value is None else p_value
    if difference.n_seeds < LEAST_SEEDS or difference.n_units < LEAST_UNITS or p > LEVEL or difference.value == 0:
        return "cannot tell"
    return "helps" if (difference.value > 0) == higher_is_better else "hurts"


def layouts(table: Floats, folds: Floats | None = None) -> list[MeanSquares]:
    """Mean squares of values (n_seeds, n_units) by unit and, of units in several folds (n_units,), by fold as well."""
    found = [MeanSquares.of(table)]
    if folds is not None and 1 < len(np.unique(folds)) < table.shape[1]:
        names, mean = np.unique(folds), table.mean()
        # Folds count by their units, so that the mean stays the same.
        parts = [(folds == name).mean() * len(names) * (table[:, folds == name].mean(axis=1) - mean) for name in names]
        found.append(MeanSquares.of(mean + np.stack(parts, axis=1)))
    return found


def _difference(differences: Floats, unit: Unit, folds: Floats | None) -> Difference:
    """From differences (n_seeds, n_units), and the fold of each unit."""
    value, found = float(differences.mean()), layouts(differences, folds)
    squares = max(found, key=lambda one: one.half(LEVEL))
    half, p_value = squares.half(LEVEL), max(one.p_value(value) for one in found)
    n_seeds, n_units = differences.shape
    return Difference(value, value - half, value + half, p_value, n_units, n_seeds, unit, squares)
