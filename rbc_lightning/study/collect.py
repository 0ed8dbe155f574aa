"""Finished runs found on disk, and their scores paired by test image."""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray

from rbc_lightning.errors import InputError, in_one_line
from rbc_lightning.metrics.units import unit_names
from rbc_lightning.study.run_record import METRICS, Run, is_older, read_run
from rbc_lightning.study.statistics import LEVEL, Difference, layouts, paired_difference, unit_means

_N_NAMED = 3
_Key = TypeVar("_Key", bound=Hashable)


class Collection(NamedTuple):
    """The finished runs of a directory, oldest first; a line for each that cannot be read, one for all of an older layout."""

    runs: tuple[Run, ...]
    notes: tuple[str, ...]


def collect_runs(runs_dir: Path, wanted: Callable[[Mapping[str, Any]], bool] = lambda _: True) -> Collection:
    """Read every finished run below a directory: one whose metrics.json is there.

    Args:
        runs_dir: directory of run directories.
        wanted: of the content of a metrics.json whether the rest of the run is to be read.

    Raises:
        InputError: no such directory.
    """
    if not runs_dir.is_dir():
        raise InputError(f"runs_dir={runs_dir}: no such directory; expected the one that stage=train wrote runs to")
    runs: list[Run] = []
    notes: list[str] = []
    older: list[str] = []
    for path in sorted(runs_dir.glob(f"*/{METRICS}")):
        try:
            metrics = json.loads(path.read_text())
            if is_older(metrics):
                older.append(path.parent.name)
            elif wanted(metrics):
                runs.append(read_run(path.parent, metrics))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
            reason = in_one_line(error)[:160]
            notes.append(f"{path.parent.name}: left out, cannot be read ({reason}); rerun=true makes it again")
    if older:
        notes.append(
            f"{len(older)} runs in {runs_dir} were made by an older layout of this package ({named(older)}): they are not used "
            "and stay where they are; train again to compare"
        )
    return Collection(tuple(sorted(runs, key=lambda run: (run.written, run.directory.name))), tuple(notes))


def named(names: Sequence[str]) -> str:
    """The first few of some names."""
    return ", ".join(names[:_N_NAMED]) + (", ..." if len(names) > _N_NAMED else "")


def all_runs(filed: Mapping[Any, Mapping[int, Run]]) -> list[Run]:
    """Runs that are filed by column (or whatever else) and seed."""
    return [run for by_seed in filed.values() for run in by_seed.values()]


def version_notes(runs: Sequence[Run]) -> Iterator[str]:
    """One line for versions of this package, and one for the formats of each kind, that differ among runs."""
    for kind in (None, *sorted({kind for run in runs for kind in run.metrics.get("formats", {})})):
        names: dict[str, list[str]] = {}
        for run in runs:
            value = run.metrics.get("formats", {}).get(kind) if kind else run.metrics.get("version")
            if value is not None:
                names.setdefault(str(value), []).append(run.directory.name)
        if len(names) > 1:
            found = "; ".join(f"{value} ({named(some)})" for value, some in sorted(names.items()))
            yield f"made with different formats of {kind}: {found}" if kind else f"made by different versions: {found}"


@dataclass(frozen=True)
class PairedScores(Generic[_Key]):
    """Scores of runs by column, or whatever else the runs of several seeds are filed under, paired by test image.

    Attributes:
        scores: (n_seeds, n_images).
        seeds: (n_seeds,), of the rows.
        groups: (n_images,), patient or slide of each image; None where they are not known, or no two images share one.
        n_dropped: images left out because some run has no finite score of them.
        folds: (n_images,), whose models were tested on each image; None where one model was on all.
    """

    scores: Mapping[_Key, NDArray[np.float64]]
    seeds: Mapping[_Key, tuple[int, ...]]
    groups: tuple[str, ...] | None
    n_dropped: int
    folds: tuple[int, ...] | None

    @property
    def n_images(self) -> int:
        """Test images that every run has a score of."""
        return int(next(iter(self.scores.values())).shape[1])

    @property
    def units(self) -> str:
        """What is counted once, in words."""
        images = f"{self.n_images} test images"
        grouped = images if self.groups is None else f"{images} of {len(set(self.groups))} groups, which count once each"
        return f"{grouped}{self.in_folds}"

    @property
    def in_folds(self) -> str:
        """How many folds the images lie in, in words; empty without."""
        return "" if self.folds is None else f", in {len(set(self.folds))} folds: each was tested by the models of its own"

    def means(self, column: _Key) -> NDArray[np.float64]:
        """Scores (n_seeds, n_units): of images, or the mean over those of each group."""
        return unit_means(self.scores[column], self.groups)

    def by_seed(self, column: _Key) -> NDArray[np.float64]:
        """Means over units (n_seeds,)."""
        return np.asarray(self.means(column).mean(axis=1))

    def difference(self, column: _Key, against: _Key) -> Difference | None:
        """Of two columns, over the seeds that both have; None without one."""
        common = [seed for seed in self.seeds[column] if seed in self.seeds[against]]
        if not common:
            return None
        first, second = (self.scores[key][[self.seeds[key].index(seed) for seed in common]] for key in (column, against))
        return paired_difference(first, second, self.groups, self.folds)

    def half_width(self, column: _Key) -> float:
        """Half the width of the 95 % interval of a column's mean, by the model of the differences."""
        folds = None if self.folds is None else unit_means(np.array([self.folds], dtype=np.float64), self.groups)[0]
        return max(one.half(LEVEL) for one in layouts(self.means(column), folds))


def paired_scores(filed: Mapping[_Key, Mapping[int, Run]], score: str) -> PairedScores[_Key]:
    """Scores of runs that are filed by column (or whatever else) and seed, paired by test image.

    Raises:
        ValueError: no image has a finite one in every run.
    """
    runs = all_runs(filed)
    tables = [run.per_image for run in runs]
    known = set.union(*(set(table) for table in tables))
    images = sorted(name for name in known if all(np.isfinite(table.get(name, {}).get(score, np.nan)) for table in tables))
    if not images:
        raise ValueError(f"no test image with a finite {score} in all of {len(tables)} runs; expected the same test split")
    scores = {
        key: np.array([[run.per_image[name][score] for name in images] for run in by_seed.values()])
        for key, by_seed in filed.items()
    }
    units = unit_names(images, {name: group for run in runs for name, group in run.groups.items()})
    groups = units if len(set(units)) < len(units) else None
    seeds = {key: tuple(by_seed) for key, by_seed in filed.items()}
    fold_of = {name: fold for run in runs for name, fold in run.fold_of.items()}
    folds = tuple(fold_of[name] for name in images) if fold_of else None
    return PairedScores(scores, seeds, groups, len(known) - len(images), folds)
