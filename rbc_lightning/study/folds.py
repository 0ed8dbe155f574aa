"""Runs of one column and seed that tested different folds, joined into one that tested all of them.

Each test image was scored by the run of its own fold, so that the scores by image stand side by side. A score that is a mean
over images is the mean over all of them. One over all images together (AP) is known of each fold alone: joined it is the mean
of the folds, each counting by its units, and its values with a unit left out are those of the unit's own fold.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rbc_lightning.metrics.scores import UNDEFINED
from rbc_lightning.study.run_record import Run

_TEST = "test/"


def join_folds(runs: Sequence[Run]) -> Run:
    """One run from those of a column and seed that tested different folds; a run alone stays as it is."""
    runs = sorted(runs, key=lambda run: -1 if run.fold is None else run.fold)
    first = runs[0]
    if len(runs) == 1:
        return first
    # The first may have no score where it is not defined.
    names = dict.fromkeys(name for run in runs for name in run.metrics if name.startswith(_TEST))
    scores = {name: _joined(name.removeprefix(_TEST), runs) for name in names}
    pooled = [name for name in first.metrics.get("left_out", {}) if all(run.left_out(name) for run in runs)]
    left_out = {name: {unit: value for run in runs for unit, value in run.left_out(name).items()} for name in pooled}
    metrics: dict[str, Any] = {**first.metrics, **scores, "left_out": left_out}
    metrics["optimistic"] = any(run.optimistic for run in runs)
    return replace(
        first,
        metrics=metrics,
        per_image={name: row for run in runs for name, row in run.per_image.items()},
        groups={name: group for run in runs for name, group in run.groups.items()},
        agreement={name: row for run in runs for name, row in run.agreement.items()},
        external=_external(runs),
        parts=tuple(runs),
    )


def whole_folds(filed: Mapping[str, Mapping[int, Sequence[Run]]]) -> tuple[int, ...]:
    """The folds that most runs of most folds have: those of a table, of runs filed by column and seed."""
    sets = Counter(folds_of(runs) for by_seed in filed.values() for runs in by_seed.values())
    return max(sets, key=lambda folds: (len(folds), sets[folds]), default=())


def folds_of(runs: Sequence[Run]) -> tuple[int, ...]:
    """The folds that runs tested, ascending; none of runs on the splits of the data set."""
    return tuple(sorted(run.fold for run in runs if run.fold is not None))


def fold_overrides(run: Run) -> str:
    """Overrides that run the folds which a run, joined or not, tested; empty without folds."""
    folds, settings = folds_of(run.as_made), run.settings
    if not folds:
        return ""
    dealt = f" data.fold_seed={settings['data.fold_seed']}" if settings.get("data.fold_seed") else ""
    return f"data.folds={settings.get('data.folds')} data.fold={','.join(map(str, folds))}{dealt}"


def missing_folds(run: Run) -> str | None:
    """A note where a run, joined or not, tested some of the folds alone; None where it tested all, or there are none."""
    folds, asked = folds_of(run.as_made), run.settings.get("data.folds")
    missing = [str(fold) for fold in range(int(asked)) if fold not in folds] if folds and asked else []
    if not missing:
        return None
    tested = ", ".join(map(str, folds))
    fold = "fold" if len(folds) == 1 else "folds"
    return f"{fold} {tested} of {asked} alone: the test images of the others are not in it yet (data.fold={','.join(missing)})"


def _joined(score: str, runs: Sequence[Run]) -> float:
    """The mean over images or folds; of counts of undefined scores the sum."""
    if score.startswith(UNDEFINED):
        return sum(run.whole(score) for run in runs)
    # A fold without a defined score of an image has no part in a mean over images.
    runs = [run for run in runs if not run.undefined(score) or _n_scored(run, score)] or runs
    weights = [len(run.left_out(score)) or _n_scored(run, score) or len(run.per_image) for run in runs]
    return float(np.average([run.whole(score) for run in runs], weights=weights))


def _external(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Images of another source were tested by the models of every fold: the mean of what those scored."""
    names = [name for name in runs[0].external if all(name in run.external for run in runs)]
    scores = {name: runs[0].external[name] for name in names}
    return {n: {s: float(np.mean([run.external[n].get(s, np.nan) for run in runs])) for s in row} for n, row in scores.items()}


def _n_scored(run: Run, score: str) -> int:
    return sum(bool(np.isfinite(row.get(score, np.nan))) for row in run.per_image.values())
