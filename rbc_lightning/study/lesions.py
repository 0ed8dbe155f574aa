"""The measures of the WMH challenge by column, with how often each is not defined, and lesions found by their size.

Means are over the scans on which every run has the measure defined, each patient once, so that columns stand on the same scans;
of how many it is not, in each column, stands beside them. With what is not defined as the diagonal of the scan, no run gains by
finding nothing.
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.errors import InputError
from rbc_lightning.study.classes import ClassMeasure, Grid, class_scores, figure, measured
from rbc_lightning.study.run_record import LESIONS, Run
from rbc_lightning.study.tables import TITLES, csv_text

LIMITS = (0.1, 0.3, 1.0)
"""ml, between ranges of sizes, where no others are given; see `report.lesion_ml`."""
NAMES = ("h95", "h95_worst", "avd", "lesion_recall", "lesion_f1")


@dataclass(frozen=True)
class SizeRange:
    """True lesions of a model's test scans within a range of sizes.

    Attributes:
        model: its name.
        low, high: ml; infinite for the last.
        n_true, n_found: by column, over all scans and seeds.
    """

    model: str
    low: float
    high: float
    n_true: Mapping[str, int]
    n_found: Mapping[str, int]

    @property
    def title(self) -> str:
        """In words."""
        if math.isinf(self.high):
            return f"from {self.low:g} ml"
        return f"{self.low:g} to {self.high:g} ml" if self.low else f"below {self.high:g} ml"


def check_limits(limits: object) -> tuple[float, ...]:
    """Limits between ranges; an `InputError` refuses what are no ascending numbers above 0."""
    given = list(limits) if isinstance(limits, list | tuple) else []
    numbers = [each for each in given if isinstance(each, int | float) and not isinstance(each, bool)]
    if not given or len(numbers) < len(given) or sorted({*numbers}) != given or given[0] <= 0:
        raise InputError(f"report.lesion_ml={limits}; expected ascending numbers of ml above 0, such as [0.1, 0.3, 1]")
    return tuple(numbers)


def lesion_measures(model: str, columns: Mapping[str, Mapping[int, Run]]) -> Iterator[ClassMeasure]:
    """The measures of whole scans that all runs of a model have; none of other data."""
    runs = [run for by_seed in columns.values() for run in by_seed.values()]
    if all(run.has(name) for run in runs for name in NAMES):
        yield from measured(model, columns, (dice_of_lesions(runs[0]), *NAMES))


def dice_of_lesions(run: Run) -> str:
    """Name of the Dice of the first class, which the other measures are of; of several classes `dice` is of all of them."""
    single = class_scores(run)
    return single[0] if len(single) > 1 else "dice"


def size_ranges(model: str, columns: Mapping[str, Mapping[int, Run]], limits: Sequence[float] = LIMITS) -> list[SizeRange]:
    """True lesions by size, and how many of them were found; none where a run has no record of them.

    Args:
        model: its name.
        columns: its runs by column and seed; of folds all count together.
        limits: ml, ascending.
    """
    made = {column: [part for run in by_seed.values() for part in run.as_made] for column, by_seed in columns.items()}
    counts = {column: _counts(runs, limits) for column, runs in made.items()}
    known = {column: found for column, found in counts.items() if found is not None}
    if len(known) < len(columns):
        return []
    ends = [0.0, *limits, math.inf]
    return [
        SizeRange(
            model,
            ends[index],
            ends[index + 1],
            {column: int(found[0][index]) for column, found in known.items()},
            {column: int(found[1][index]) for column, found in known.items()},
        )
        for index in range(len(limits) + 1)
    ]


def lesion_lines(run: Run, limits: Sequence[float] = LIMITS) -> Iterator[str]:
    """What the closing table of a run says of whole scans."""
    names = [name for name in NAMES if run.has(name)]
    if not names:
        return
    ignored = run.metrics.get("ignored")
    said = f", predictions under {' or '.join(ignored)} not counted" if ignored else ""
    yield f"whole scans{said}: {', '.join(_with_count(run, name) for name in names)}"
    ranges = size_ranges(run.model, {run.column: {run.seed: run}}, limits)
    if ranges:
        found = [f"{each.title} {each.n_found[run.column]} of {each.n_true[run.column]}" for each in ranges]
        yield f"true lesions found: {', '.join(found)}"


def lesion_grids(measures: Sequence[ClassMeasure], ranges: Sequence[SizeRange], columns: Sequence[str]) -> Iterator[Grid]:
    """The measures by column, and lesions found by size: caption, header, lines."""
    header = ["", *(TITLES[column] for column in columns)]
    if measures:
        lines = [[f"{m.model}, {m.title}", *(_cell(m, column) for column in columns)] for m in measures]
        caption = "Measures of the WMH challenge, mean over test scans and seeds ± standard deviation over seeds"
        yield caption, header, lines
    if ranges:
        lines = [[f"{r.model}, {r.title}", *(_share(r, column) for column in columns)] for r in ranges]
        yield "True lesions that were found, by size, over all test scans and seeds", header, lines


def lesion_notes(measures: Sequence[ClassMeasure]) -> Iterator[str]:
    """What is to be known of the measures, a line each."""
    if measures:
        yield (
            "Measures of the WMH challenge (Kuijf et al. 2019): of whole scans and the first class, on the grid of the slices; "
            "lower is better for H95 and AVD. H95 is not defined of a scan where nothing was found, AVD where nothing is true: "
            "means are over scans where all runs have it defined; in its second line the scan's diagonal stands there instead"
        )
        for m in measures:
            if m.left_out:
                yield f"{m.model}: {m.left_out} test scans are in no mean of {m.title}, which some run has not defined there"


def sizes_csv(ranges: Sequence[SizeRange], data: str) -> str:
    """One line for each model, range and column."""
    lines = [
        (data, r.model, r.low, None if math.isinf(r.high) else r.high, column, r.n_found[column], n_true)
        for r in ranges
        for column, n_true in r.n_true.items()
    ]
    return csv_text(("data", "model", "from_ml", "to_ml", "column", "n_found", "n_true"), lines)


def _counts(runs: Sequence[Run], limits: Sequence[float]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Lesions, and those found, by range, of some runs together; None where one has no record."""
    paths = [run.directory / LESIONS for run in runs]
    if not all(path.is_file() for path in paths):
        return None
    rows = [row for path in paths for row in _read(path)]
    ranges = np.digitize([ml for ml, _ in rows], limits)
    found = np.array([touched for _, touched in rows], dtype=bool)
    sizes = len(limits) + 1
    return np.bincount(ranges, minlength=sizes), np.bincount(ranges[found], minlength=sizes)


def _read(path: Path) -> Iterator[tuple[float, bool]]:
    with path.open(newline="") as handle:
        for row in csv.DictReader(handle):
            yield float(row["ml"]), row["found"] == "1"


def _with_count(run: Run, name: str) -> str:
    value, undefined = run.whole(name), run.undefined(name)
    told = f"{run.title(name)} {'-' if math.isnan(value) else f'{value:.3f}'}"
    return f"{told} ({undefined} of {len(run.per_image)} not defined)" if undefined else told


def _cell(measure: ClassMeasure, column: str) -> str:
    text, undefined = figure(measure.means.get(column), measure.spreads.get(column)), measure.undefined.get(column, 0)
    return f"{text} ({undefined} of {measure.n_scored[column]} not defined)" if undefined else text


def _share(ranges: SizeRange, column: str) -> str:
    n_true = ranges.n_true.get(column)
    if not n_true:
        return "-"
    return f"{ranges.n_found[column] / n_true:.0%} ({ranges.n_found[column]} of {n_true})".replace("%", " %")
