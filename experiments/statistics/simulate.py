"""Does the interval cover the truth, and how often is a verdict false? Simulated studies of two columns, table as CSV.

    python experiments/statistics/simulate.py [--studies N] [--out DIR]

A score is the mean of its column, plus what an image (and its group) makes of it, the same for both columns and the seeds, plus
what the column makes of an image and of a group, plus the luck of the seed, plus a rest. Only what differs between columns
counts; image and group effects given below are those of the difference. All draws come from `--seed`.
"""

import argparse
import csv
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.study.statistics import LEVEL, half_widths, layouts, paired_difference, pseudo_values, verdict

Floats = NDArray[np.float64]
Luck = Literal["none", "shared", "independent", "opposed"]
IMAGE, REST, LUCK, GAIN = 0.010, 0.006, 0.006, 0.005


@dataclass(frozen=True)
class Study:
    """One kind of study.

    Attributes:
        name: of the case.
        seeds, groups, per_group: seeds of both columns, groups of test images, images of each.
        group: effect of the column on a group, in units of the one on an image.
        luck: whether a seed's luck (sd 0.006) is the same for both columns, drawn apart, or opposed.
        draw: effects of the column on images or groups, (n,), of mean 0 and standard deviation 1.
        extra: seeds that one of the columns has alone.
    """

    name: str
    seeds: int = 3
    groups: int = 20
    per_group: int = 1
    group: float = 0.0
    luck: Luck = "shared"
    draw: Callable[[np.random.Generator, int], Floats] = lambda rng, n: rng.normal(size=n)
    extra: int = 0

    def scores(self, rng: np.random.Generator, gain: float) -> tuple[Floats, Floats, Floats]:
        """Scores of two columns (n_seeds, n_images) for their common seeds, and the group of each image."""
        names = np.repeat(np.arange(self.groups), self.per_group)
        shape = (self.seeds + self.extra, len(names))
        base = 0.95 + rng.normal(0, 0.03, len(names))
        effect = IMAGE * (self.draw(rng, len(names)) + self.group * self.draw(rng, self.groups)[names])
        one, other = (base + rng.normal(0, REST, shape) for _ in range(2))
        luck, second = (rng.normal(0, LUCK, (shape[0], 1)) for _ in range(2))
        one += gain + effect
        if self.luck != "none":
            one += luck
            other += {"shared": luck, "independent": second, "opposed": -luck}[self.luck]
        return one[: self.seeds], other[: self.seeds], names.astype(np.float64)


def skewed(rng: np.random.Generator, n: int) -> Floats:
    """Most images lose a little, a few much: an exponential distribution's tail on one side."""
    return np.asarray(1.0 - rng.exponential(size=n))


def outlier(rng: np.random.Generator, n: int) -> Floats:
    """One in ten lies four deviations of the others away, on either side."""
    drawn = rng.normal(size=n) + 4 * rng.choice([-1, 0, 1], size=n, p=[0.05, 0.9, 0.05])
    return np.asarray(drawn / np.sqrt(1 + 16 * 0.1))


def tied(rng: np.random.Generator, n: int) -> Floats:
    """Half of the images are perfect either way: their difference is 0."""
    return np.asarray(np.sqrt(2) * rng.normal(size=n) * (rng.random(n) < 0.5))


def studies() -> Iterator[Study]:
    """All kinds."""
    for seeds in (2, 3, 5):
        for luck in ("shared", "independent", "opposed"):
            yield Study(f"20 independent images, {luck} luck", seeds, luck=luck)
        for groups in (4, 6, 10):
            for effect in (0.0, 1.0, 3.0):
                yield Study(f"{groups} groups of 5, group effect {effect:g}", seeds, groups, 5, effect, "independent")
        for groups in (20, 40):
            yield Study(f"{groups} images, skewed", seeds, groups, luck="independent", draw=skewed)
        yield Study("20 images, half tied at 1", seeds, luck="independent", draw=tied)
        yield Study("10 groups of 5, outlying groups", seeds, 10, 5, 1.0, "independent", outlier)
        yield Study("20 images, one column with a seed more", seeds, luck="independent", extra=1)


def measure(study: Study, n: int, seed: int) -> dict[str, object]:
    """Coverage, false verdicts and power of `n` studies."""
    rng = np.random.default_rng([seed, zlib.crc32(study.name.encode()), study.seeds])
    covered = false = found = 0
    widths = []
    for _ in range(n):
        one, other, names = study.scores(rng, GAIN)
        groups = names if study.per_group > 1 else None
        difference = paired_difference(one, other, groups)
        covered += difference.low <= GAIN <= difference.high
        found += verdict(difference) == "helps"
        widths.append(difference.high - difference.low)
        false += verdict(paired_difference(one - GAIN, other, groups)) != "cannot tell"
    return row(study.name, study.seeds, n, covered, false, found, float(np.median(widths)))


def measure_pooled(seeds: int, n: int, seed: int, score: Literal["recall", "AP"]) -> dict[str, object]:
    """The same for a score over all cells of a rare class, which 40 images have one of on average, by pseudo-values.

    Images differ in how hard they are, seeds in their luck; columns do not. True cells found tend to higher confidences than
    false alarms.
    """
    rng = np.random.default_rng([seed, seeds])
    covered = false = found = 0
    widths = []
    for _ in range(n):
        count = rng.poisson(1.0, 40)
        hard = rng.normal(0, 0.5, 40)
        luck = rng.normal(0, 0.1, (2, seeds, 1))
        hits = [rng.binomial(count, 1 / (1 + np.exp(-(1 + hard + luck[column])))) for column in range(2)]
        alarms = rng.poisson(0.5, (2, seeds, 40)) if score == "AP" else None
        values = []
        for column in range(2):
            if alarms is None:
                whole, without = hits[column].sum(axis=1) / count.sum(), _recall_without(hits[column], count)
            else:
                both = [_precision(rng, *drawn, count) for drawn in zip(hits[column], alarms[column], strict=True)]
                whole, without = np.array([ap[0] for ap in both]), np.array([ap[1:] for ap in both])
            values.append(pseudo_values(whole, without))
        compared = paired_difference(*values)
        covered += compared.low <= 0 <= compared.high
        false += verdict(compared) != "cannot tell"
        found += compared.low > 0
        widths.append(compared.high - compared.low)
    return row(f"40 images, pooled {score} of a rare class", seeds, n, covered, false, found, float(np.median(widths)))


def _recall_without(hits: NDArray[np.integer], count: NDArray[np.integer]) -> Floats:
    """Recall (n_seeds, n_images) of all images but one."""
    return np.asarray((hits.sum(axis=1, keepdims=True) - hits) / (count.sum() - count))


def _precision(
    rng: np.random.Generator, hits: NDArray[np.integer], alarms: NDArray[np.integer], count: NDArray[np.integer]
) -> Floats:
    """Average precision by area, of all images and of all but each one (1 + n_images,)."""
    images = np.concatenate([np.repeat(np.arange(len(count)), number) for number in (hits, alarms)])
    right = np.arange(len(images)) < hits.sum()
    order = np.argsort(-(rng.normal(size=len(images)) + right))
    images, right = images[order], right[order]
    kept = np.vstack([np.ones(len(images), bool), images != np.arange(len(count))[:, None]])
    precision = np.cumsum(kept & right, axis=1) / np.maximum(1, np.cumsum(kept, axis=1))
    reached = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((reached * (kept & right)).sum(axis=1) / (count.sum() - np.concatenate([[0], count])))


def row(name: str, seeds: int, n: int, covered: int, false: int, found: int, width: float) -> dict[str, object]:
    """A line of the table, in per cent."""
    rates = {"coverage": covered, "false_verdicts": false, "power": found}
    return {
        "study": name,
        "seeds": seeds,
        **{key: round(100 * value / n, 1) for key, value in rates.items()},
        "width": round(width, 4),
    }


def limits(seeds: int, units: int, n: int, seed: int) -> dict[str, object]:
    """Least and largest coverage over ratios of the variances of seeds, units and rest, of normal differences."""
    covered = {}
    for of_seed, of_unit in product((0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0), (0.0, 0.3, 1.0, 3.0, 10.0)):
        rng = np.random.default_rng([seed, seeds, units])
        expected = np.array([1 + units * of_seed, 1 + seeds * of_unit, 1.0])
        degrees = np.array([seeds - 1, units - 1, (seeds - 1) * (units - 1)])
        found = rng.chisquare(degrees, (n, 3)) / degrees * expected
        value = rng.normal(0, np.sqrt((expected[0] + expected[1] - 1) / (seeds * units)), n)
        halves = half_widths(found[:, 0], found[:, 1], found[:, 2], seeds, units, LEVEL)
        covered[of_seed, of_unit] = float(np.mean(np.abs(value) <= halves))
    least, most = (pick(covered, key=covered.__getitem__) for pick in (min, max))
    line: dict[str, object] = {"seeds": seeds, "units": units}
    for name, place in (("least", least), ("most", most)):
        line |= {name: round(100 * covered[place], 1), f"{name}_at_seed": place[0], f"{name}_at_unit": place[1]}
    return line


FOLDS = {
    "nothing": (0.0, 0.0, 0.0),
    "training 0.006": (0.0, 0.006, 0.0),
    "training 0.020": (0.0, 0.020, 0.0),
    "fold 0.005": (0.005, 0.0, 0.0),
    "fold 0.010": (0.010, 0.0, 0.0),
    "fold 0.010, training 0.010": (0.010, 0.010, 0.0),
    "seed 0.006, training 0.006": (0.0, 0.006, 0.006),
    "fold, training, seed 0.006": (0.006, 0.006, 0.006),
}
"""Standard deviations of what a fold's training images, a training and a seed make of the difference of two columns."""


def measure_folds(name: str, n: int, seed: int, shape: tuple[int, int, int] = (3, 5, 2)) -> dict[str, object]:
    """Coverage where every patient was tested by the models of its own fold, beside that by patients or folds alone.

    `shape` is seeds, folds, patients of a fold. A patient makes 0.010 of the difference, as an image does elsewhere.
    """
    of_fold, of_training, of_seed = FOLDS[name]
    n_seeds, n_folds, n_patients = shape
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), *shape])
    folds = np.repeat(np.arange(n_folds), n_patients)
    covered = dict.fromkeys(("coverage", "by_patients_alone", "by_folds_alone"), 0)
    power, widths = 0, []
    for _ in range(n):
        shared = of_fold * rng.normal(size=n_folds) + of_training * rng.normal(size=(n_seeds, n_folds))
        values = shared[:, folds] + of_seed * rng.normal(size=(n_seeds, 1))
        values = values + IMAGE * rng.normal(size=len(folds)) + np.sqrt(2) * REST * rng.normal(size=(n_seeds, len(folds)))
        nothing, found = np.zeros_like(values), paired_difference(values, 0 * values, folds=folds)
        covered["coverage"] += found.low <= 0 <= found.high
        covered["by_patients_alone"] += verdict(paired_difference(values, nothing)) == "cannot tell"
        covered["by_folds_alone"] += layouts(values, folds)[1].half(LEVEL) >= abs(values.mean())
        power += found.low + 2 * GAIN > 0
        widths.append(found.high - found.low)
    rates = {key: round(100 * value / n, 1) for key, value in {**covered, "power": power}.items()}
    return {"study": name, "seeds": n_seeds, "folds": n_folds, **rates, "width": round(float(np.median(widths)), 4)}


def write(path: Path, rows: list[dict[str, object]]) -> None:
    """Write a table."""
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--folds", action="store_true", help="the studies over folds alone")
    chosen = parser.parse_args()
    folded = []
    for name in FOLDS:
        folded.append(measure_folds(name, chosen.studies, chosen.seed))
        print(*folded[-1].values(), sep="  ", flush=True)
    write(chosen.out / "folds.csv", folded)
    if chosen.folds:
        return
    rows = []
    for study in studies():
        rows.append(measure(study, chosen.studies, chosen.seed))
        print(*rows[-1].values(), sep="  ", flush=True)
    for score, seeds in product(("recall", "AP"), (2, 3, 5)):
        rows.append(measure_pooled(seeds, chosen.studies, chosen.seed, score))
        print(*rows[-1].values(), sep="  ", flush=True)
    write(chosen.out / "coverage.csv", rows)
    extremes = []
    for seeds, units in product((2, 3, 5), (6, 20)):
        extremes.append(limits(seeds, units, 20 * chosen.studies, chosen.seed))
        print(*extremes[-1].values(), sep="  ", flush=True)
    write(chosen.out / "limits.csv", extremes)


if __name__ == "__main__":
    main()
