"""How much of the spread over seeds each purpose makes, of runs that differ in the seeds of one or two purposes alone.

The scores of runs with the seeds of one purpose crossed with those of another are a two-way layout of random effects without
replication, as in `study.statistics`: a run with the same seeds is the same run, so that the rest is the interplay of the two.
The sum of the components is the variance of a run with two new seeds. What seeds of three values each say is rough: a variance
of two degrees of freedom.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rbc_lightning.core.seeds import SEED_KEYS
from rbc_lightning.study.choose import RunGroups
from rbc_lightning.study.collect import paired_scores
from rbc_lightning.study.comparable import data_settings, settings_of
from rbc_lightning.study.folds import folds_of, join_folds, whole_folds
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.statistics import MeanSquares
from rbc_lightning.study.tables import TITLES

Levels = tuple[int, ...]
Layout = dict[Levels, Run]
"""Runs by the seeds of the purposes that are varied."""


def variance_components(scores: ArrayLike) -> tuple[float, float, float]:
    """Variances of rows, of columns, and of their interplay, in a two-way layout of random effects.

    Args:
        scores: (A, B), of A seeds of one purpose with B of another; finite.

    Raises:
        ValueError: fewer than two rows or columns, or a value that is not finite.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ValueError(f"expected finite scores (A, B) of two seeds or more of either purpose, got shape {table.shape}")
    return MeanSquares.of(table).components()


class Luck(NamedTuple):
    """What the seeds of single purposes make of a spread, a line each, and the runs that tell it."""

    notes: tuple[str, ...]
    runs: tuple[Run, ...]


def luck_of(runs: Sequence[Run], model: str, data: str, score: str | None = None) -> Luck:
    """What the seeds of single purposes make of a model's spread, a line for each column and pair of purposes varied.

    Runs of several folds are joined by their seeds. Runs count together that agree in column, data and settings and differ in
    the seeds of two purposes, fully crossed, or of one; of several such sets the largest.

    Args:
        runs: all finished runs, of whatever sweep.
        model: its name.
        data: name of the data set.
        score: name of a metric; None for the model's headline.
    """
    notes: list[str] = []
    used: list[Run] = []
    for column, title in TITLES.items():
        mine = [run for run in runs if (run.column, run.model, run.data) == (column, model, data)]
        mine = [run for run in mine if score is None or run.has(score)]
        families: dict[str, list[Run]] = {}
        for run in sorted(mine, key=lambda run: (run.written, run.directory.name)):
            families.setdefault(_family(run), []).append(run)
        found = max((list(_layouts(_joined(some))) for some in families.values()), key=_size, default=[])
        notes += [_note(title, purposes, layout, score or next(iter(layout.values())).score) for purposes, layout in found]
        used += [made for _, layout in found for run in layout.values() for made in run.as_made]
    return Luck(tuple(notes), tuple(used))


def left_out_for_good(groups: RunGroups, used: Sequence[Run]) -> tuple[str, ...]:
    """What a table left out, with one line for each model in place of those about runs that all tell whose luck it is.

    Args:
        groups: the runs of the table, with what was left out.
        used: runs of `luck_of`.
    """
    told = {line: found for line, found in groups.other_luck.items() if all(run in used for run in found[1])}
    lines = [line for line in groups.left_out if line not in told]
    for model in groups.runs:
        mine = [key for key, some in told.values() for _ in groups.of_row(model, some)]
        if mine:
            keys = ", ".join(key for key in SEED_KEYS.values() if key in mine)
            runs, are = ("runs", "are") if len(mine) > 1 else ("run", "is")
            lines.append(
                f"{model}: {len(mine)} {runs} of other seeds by purpose ({keys}) {are} used for whose luck it is alone"
            )
    return tuple(lines)


def _family(run: Run) -> str:
    """What runs agree in whose luck is compared: all but seeds."""
    settings = {**data_settings(run), **settings_of("mix")(run), **run.metrics["recipe"]}
    return json.dumps([settings, run.metrics.get("formats")], sort_keys=True, default=str)


def _joined(runs: Sequence[Run]) -> list[Run]:
    """Runs, oldest first, with those of the same seeds on different folds as one; seeds that lack a fold are left out."""
    by_seeds: dict[tuple[object, ...], dict[int | None, Run]] = {}
    for run in runs:
        # Each fold has samples of its own.
        samples = run.metrics["data_hash"] if run.fold is None else None
        by_seeds.setdefault((samples, *run.seeds.values()), {})[run.fold] = run
    filed = dict(enumerate([*by_fold.values()] for by_fold in by_seeds.values()))
    whole = whole_folds({"": filed})
    return [join_folds(some) for some in filed.values() if folds_of(some) == whole]


def _layouts(runs: Sequence[Run]) -> Iterator[tuple[tuple[str, ...], Layout]]:
    """Purposes and runs of each set that varies them: pairs, and those alone that no pair has."""
    purposes = list(runs[0].seeds)
    paired: set[str] = set()
    for number in (2, 1):
        for varied in combinations(purposes, number):
            if number == 1 and varied[0] in paired:
                continue
            slices: dict[str, Layout] = {}
            for run in runs:
                fixed = {purpose: seed for purpose, seed in run.seeds.items() if purpose not in varied}
                # Under one cut of validation the samples are the same.
                samples = None if "split" in varied else run.metrics["data_hash"]
                layout = slices.setdefault(json.dumps([fixed, samples]), {})
                # Of two runs with the same seeds the newer one.
                layout[tuple(run.seeds[purpose] for purpose in varied)] = run
            largest = max((_crossed(layout) for layout in slices.values()), key=len)
            if len(largest) > 1:
                paired.update(varied)
                yield varied, largest


def _crossed(layout: Layout) -> Layout:
    """The part of a layout in which each seed of one purpose meets each of the others; empty where one has a single seed."""
    while layout:
        levels = [sorted({key[axis] for key in layout}) for axis in range(len(next(iter(layout))))]
        if min(map(len, levels)) < 2:
            return {}
        if len(layout) == np.prod([len(values) for values in levels]):
            return dict(sorted(layout.items()))
        # The seed that lacks most of its runs goes, of equal ones the highest.
        filled = {(axis, v): sum(key[axis] == v for key in layout) for axis, values in enumerate(levels) for v in values}
        axis, level = min(filled, key=lambda one: (filled[one] * len(levels[one[0]]), -one[1], one[0]))
        layout = {key: run for key, run in layout.items() if key[axis] != level}
    return {}


def _size(layouts: Sequence[tuple[tuple[str, ...], Layout]]) -> int:
    return max((len(layout) for _, layout in layouts), default=0)


def _note(title: str, purposes: Sequence[str], layout: Layout, metric: str) -> str:
    scores = _scores(layout, metric)
    first = next(iter(layout.values()))
    n_folds = len(folds_of(first.as_made))
    runs = f"{len(scores)} runs" + (f", each of {n_folds} of {first.settings['data.folds']} folds" if n_folds else "")
    if len(purposes) == 1:
        spread = np.std(list(scores.values()), ddof=1)
        return f"{title}: {purposes[0]} seed alone makes a standard deviation of {spread:.4f} ({runs})"
    shape = [len({key[axis] for key in scores}) for axis in range(2)]
    parts = variance_components(np.reshape(list(scores.values()), shape))
    total = sum(parts)
    about = f"standard deviation {np.sqrt(total):.4f} of {runs}, {shape[0]} x {shape[1]} seeds"
    shares = [f"{part / total:.0%}".replace("%", " %") for part in parts] if total else ["0 %"] * len(parts)
    names = [*(f"{purpose} seed" for purpose in purposes), "their interplay"]
    told = ", ".join(f"{name} {share}" for name, share in zip(names, shares, strict=True))
    return f"of the spread of {title} over seeds ({about}), {told}"


def _scores(layout: Layout, metric: str) -> Mapping[Levels, float]:
    """Mean over units of each run's score, on the images that all of them have a score of."""
    paired = paired_scores({key: {run.seed: run} for key, run in layout.items()}, metric)
    return {key: float(paired.means(key).mean()) for key in layout}
