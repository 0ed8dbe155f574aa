"""Scores over all images together, such as AP over all cells, compared by what each test image or patient adds to them."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from rbc_lightning.study.collect import PairedScores, all_runs
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.statistics import Difference, Floats, pseudo_values

_Key = TypeVar("_Key", bound=Hashable)
# Two ways to one mean agree within the rounding of float32.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class PooledScores(PairedScores[_Key]):
    """Scores over all images together; `scores` are the pseudo-values (n_seeds, n_units) of `statistics.pseudo_values`.

    A difference is that of mean pseudo-values: the difference of the scores but for the jackknife's correction of bias.

    Attributes:
        whole: the score itself by seed, (n_seeds,).
        tested: test images.
        by_group: units are groups of images.
    """

    whole: Mapping[_Key, Floats]
    tested: tuple[str, ...]
    by_group: bool

    @property
    def n_images(self) -> int:
        """Test images."""
        return len(self.tested)

    @property
    def units(self) -> str:
        """What is counted once, in words."""
        n_units = int(next(iter(self.scores.values())).shape[1])
        of = f" of {n_units} groups, which count once each" if self.by_group else ""
        return f"{self.n_images} test images together{of}{self.in_folds}"

    def by_seed(self, column: _Key) -> Floats:
        """The scores themselves (n_seeds,)."""
        return self.whole[column]

    def difference(self, column: _Key, against: _Key) -> Difference | None:
        """Of two columns, over the seeds that both have; None without one."""
        found = super().difference(column, against)
        return replace(found, unit="group") if found and self.by_group else found


def pooled_scores(filed: Mapping[_Key, Mapping[int, Run]], score: str) -> PooledScores[_Key]:
    """Scores over all images together of runs that are filed by column (or whatever else) and seed.

    Of runs that several folds were joined in, each fold's own, together: a fold counts by its units.

    Raises:
        ValueError: some run has not recorded the score with each unit left out, or it is not finite then, or runs differ in
            their units, or there is one alone.
    """
    runs = all_runs(filed)
    if runs[0].parts:
        if any([part.fold for part in run.parts] != [part.fold for part in runs[0].parts] for run in runs):
            raise ValueError(f"runs of other folds than {runs[0].directory.name}; expected the same of all")
        numbers = range(len(runs[0].parts))
        by_fold = [{key: {seed: run.parts[k] for seed, run in some.items()} for key, some in filed.items()} for k in numbers]
        return _together([pooled_scores(of_fold, score) for of_fold in by_fold])
    units = sorted(runs[0].left_out(score))
    tested = tuple(sorted(runs[0].per_image))
    for run in runs:
        found = run.left_out(score)
        values = [run.whole(score), *found.values()]
        if sorted(found) != units or len(units) < 2 or not np.isfinite(values).all():
            raise ValueError(
                f"{run.directory.name} has no finite {score} with each test image or group left out; expected {len(units)} in "
                "left_out of metrics.json, at least 2"
            )
    whole = {key: np.array([run.whole(score) for run in by_seed.values()]) for key, by_seed in filed.items()}
    without = {
        key: np.array([[run.left_out(score)[unit] for unit in units] for run in by_seed.values()])
        for key, by_seed in filed.items()
    }
    scores = {key: pseudo_values(whole[key], without[key]) for key in filed}
    seeds = {key: tuple(by_seed) for key, by_seed in filed.items()}
    return PooledScores(scores, seeds, None, 0, None, whole, tested, len(units) < len(tested))


def _together(folds: Sequence[PooledScores[_Key]]) -> PooledScores[_Key]:
    """Scores of several folds side by side."""
    first, sizes = folds[0], [next(iter(fold.scores.values())).shape[1] for fold in folds]
    scores = {key: np.concatenate([fold.scores[key] for fold in folds], axis=1) for key in first.scores}
    whole = {key: np.average([fold.whole[key] for fold in folds], axis=0, weights=sizes) for key in first.scores}
    tested = tuple(name for fold in folds for name in fold.tested)
    of_unit = tuple(int(k) for k in np.repeat(range(len(folds)), sizes))
    return PooledScores(scores, first.seeds, None, 0, of_unit, whole, tested, sum(sizes) < len(tested))


def is_pooled(run: Run, score: str) -> bool:
    """Whether a run's score over all images is no mean of those of single images: recorded as such, or another value."""
    if run.left_out(score):
        return True
    whole = run.whole(score)
    by_image = [row[score] for row in run.per_image.values() if np.isfinite(row.get(score, np.nan))]
    if not np.isfinite(whole):
        return False
    return not by_image or not np.isclose(whole, np.mean(by_image), rtol=_ROUNDING, atol=_ROUNDING)
