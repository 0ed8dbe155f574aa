"""The layout card of pairs: how many patches there are, how large and where, against the training masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.data.splits import evenly
from rbc_lightning.evaluation.pair_quality.measured import MeasuredPair
from rbc_lightning.evaluation.pair_quality.patches import ventricle_value

# Patients of either split that stand for what one patient is like.
_MOST_GROUPS = 40
# Draws that tell what chance alone does.
_CHANCES = 100
_PERCENTILES = np.linspace(0, 100, 101)

Floats = NDArray[np.float64]
Values = Callable[[MeasuredPair], Floats]


@dataclass(frozen=True)
class Distances:
    """Between two distributions: Wasserstein-1 in their own unit, and Kolmogorov-Smirnov in [0, 1]; NaN where one is empty."""

    wasserstein: float
    ks: float

    @classmethod
    def between(cls, first: Floats, second: Floats) -> Distances:
        """Of two sets of values, (n,) and (m,)."""
        if not len(first) or not len(second):
            return cls(np.nan, np.nan)
        both = np.concatenate((first, second))
        below = [np.searchsorted(np.sort(values), both, side="right") / len(values) for values in (first, second)]
        return cls(float(wasserstein_distance(first, second)), float(np.abs(below[0] - below[1]).max()))


@dataclass(frozen=True)
class LayoutRow:
    """One statistic of masks; each number of the generated pairs, the training pairs, and the validation pairs.

    Attributes:
        name: of the statistic, with its unit.
        mean, mean_train, mean_val: NaN without any value.
        n, n_train, n_val: values: images, or patches.
        generated: against the training pairs.
        val: validation against training pairs: what real patients that nothing learned from are apart.
        one_patient: the median over real patients, each against the training pairs of the others.
        chance: what 19 of 20 draws of as many pairs as were generated from the training pairs are at most apart from another
            draw of as many as there are, Wasserstein-1; NaN where there is no value.
        percentiles, percentiles_train, percentiles_val: 0, 1, ..., 100 %, for figures.
    """

    name: str
    mean: float
    mean_train: float
    mean_val: float
    n: int
    n_train: int
    n_val: int
    generated: Distances
    val: Distances
    one_patient: Distances
    chance: float
    percentiles: tuple[float, ...]
    percentiles_train: tuple[float, ...]
    percentiles_val: tuple[float, ...]

    @property
    def is_far(self) -> bool:
        """Whether the generated pairs are further from train than one real patient and validation are, and not by chance."""
        known = [each.wasserstein for each in (self.val, self.one_patient) if not np.isnan(each.wasserstein)]
        return bool(known) and self.generated.wasserstein > np.nanmax([*known, self.chance])


@dataclass(frozen=True)
class RealPairs:
    """Real pairs, measured, with the patient or slide and the name of each."""

    pairs: tuple[MeasuredPair, ...]
    groups: tuple[str, ...]
    ids: tuple[str, ...]


def layout_rows(
    generated: Sequence[MeasuredPair], train: RealPairs, val: RealPairs, spec: ImageSpec, *, crops: bool = False
) -> list[LayoutRow]:
    """Every statistic; distances are to the ventricles where real and generated masks show some, else to the head's middle.

    Of `crops`, which do not show the whole head, that is the middle of what is bright.
    """
    return [_row(name, values, generated, train, val) for name, values in _statistics(generated, train, spec, crops)]


def lack_ventricles(generated: Sequence[MeasuredPair], train: Sequence[MeasuredPair]) -> bool:
    """Whether training label maps show ventricles around their patches, and no generated one with a patch does."""
    ours, theirs = (np.concatenate([np.zeros(0), *(pair.table.ventricle for pair in pairs)]) for pairs in (generated, train))
    return bool(len(ours) and np.isnan(ours).all() and not np.isnan(theirs).all())


def _statistics(
    generated: Sequence[MeasuredPair], train: RealPairs, spec: ImageSpec, crops: bool
) -> Iterator[tuple[str, Values]]:
    length = "px" if spec.spacing is None else "mm"
    per = "crop" if crops else "slice" if spec.upright else "image"
    yield "empty masks (share)", lambda pair: np.array([float(pair.is_empty)])
    place = _place(generated, train, spec)
    for value, name in enumerate(spec.class_names or spec.classes[:1], start=1):

        def of(column: str, value: int = value) -> Values:
            def values(pair: MeasuredPair) -> Floats:
                found = getattr(pair.table, column)[pair.table.value == value]
                return np.asarray(found[~np.isnan(found)])

            return values

        areas = of("area")
        yield f"{name}: number per {per}", _reduced(areas, len)
        yield f"{name}: area per {per} ({length}²)", _reduced(areas, np.sum)
        yield f"{name}: size of one ({length}²)", areas
        if place is not None and not (place == "ventricle" and value == ventricle_value(spec)):
            middle = "the middle of what is bright" if crops else "the middle of the head"
            title = {"ventricle": "the ventricles", "middle": middle}[place]
            yield f"{name}: distance from {title} ({length})", of(place)


def _reduced(values: Values, reduce: Callable[[Floats], float]) -> Values:
    """One value for each pair."""
    return lambda pair: np.array([float(reduce(values(pair)))])


def _place(generated: Sequence[MeasuredPair], train: RealPairs, spec: ImageSpec) -> str | None:
    """What distances are measured from: a column of `Patches`; None for images without up and down."""
    sets = (generated, train.pairs)
    if all(any((~np.isnan(pair.table.ventricle)).any() for pair in pairs) for pairs in sets):
        return "ventricle"
    return "middle" if spec.upright else None


def _row(name: str, values: Values, generated: Sequence[MeasuredPair], train: RealPairs, val: RealPairs) -> LayoutRow:
    ours, real, held_out = (_all(values, pairs) for pairs in (generated, train.pairs, val.pairs))
    return LayoutRow(
        name=name,
        mean=_mean(ours),
        mean_train=_mean(real),
        mean_val=_mean(held_out),
        n=len(ours),
        n_train=len(real),
        n_val=len(held_out),
        generated=Distances.between(ours, real),
        val=Distances.between(held_out, real),
        one_patient=_one_patient(values, train, val),
        chance=_chance(values, train, len(generated)),
        percentiles=_percentiles(ours),
        percentiles_train=_percentiles(real),
        percentiles_val=_percentiles(held_out),
    )


def _one_patient(values: Values, train: RealPairs, val: RealPairs) -> Distances:
    found = []
    for real in (train, val):
        for group in evenly(list(dict.fromkeys(real.groups)), _MOST_GROUPS):
            own = [pair for pair, of in zip(real.pairs, real.groups, strict=True) if of == group]
            others = [pair for pair, of in zip(train.pairs, train.groups, strict=True) if of != group]
            apart = Distances.between(_all(values, own), _all(values, others))
            if not np.isnan(apart.ks):
                found.append((apart.wasserstein, apart.ks))
    return Distances(*map(float, np.median(found, axis=0))) if found else Distances(np.nan, np.nan)


def _chance(values: Values, train: RealPairs, n: int) -> float:
    """Of draws with replacement, of which a seed of their own makes the same for every row."""
    own, rng = [values(pair) for pair in train.pairs], np.random.default_rng(0)
    found = []
    for _ in range(_CHANCES):
        first, second = (rng.integers(len(own), size=size) for size in (n, len(own)))
        apart = Distances.between(*(np.concatenate([own[index] for index in drawn]) for drawn in (first, second)))
        found.append(apart.wasserstein)
    return float(np.nanpercentile(found, 95)) if not np.isnan(found).all() else float("nan")


def _all(values: Values, pairs: Sequence[MeasuredPair]) -> Floats:
    return np.concatenate([np.zeros(0), *map(values, pairs)])


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _percentiles(values: Floats) -> tuple[float, ...]:
    return tuple(np.percentile(values, _PERCENTILES, method="inverted_cdf").round(4).tolist()) if len(values) else ()
