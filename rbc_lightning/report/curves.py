"""Curves of finished runs: what a training went through, and the gain along the sweeps `ratio` and `real_images`."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rbc_lightning.report.choose import SweepRuns, ratio_runs, real_images_runs
from rbc_lightning.report.collect import Run, paired_scores
from rbc_lightning.report.statistics import Difference, Floats, paired_bootstrap
from rbc_lightning.report.table2 import REFERENCES, SCORES, TITLES

Sweep = Literal["ratio", "real_images"]

_LOSS = "train/loss"


@dataclass(frozen=True)
class Epoch:
    """One epoch: optimiser steps done at its end, mean training loss over its steps, validation score at its end."""

    step: int
    loss: float | None
    score: float | None


@dataclass(frozen=True)
class LearningCurve:
    """What a training went through.

    Attributes:
        column: its column in Table 2.
        seed: its base seed.
        score: name of the validation score, such as "Dice".
        epochs: in order of steps; empty where no curves were recorded.
        chosen: optimiser steps after which the tested weights were taken; None where that cannot be told.
        optimistic: the score is of the test split, by which weights were chosen.
    """

    column: str
    seed: int
    score: str
    epochs: tuple[Epoch, ...]
    chosen: int | None
    optimistic: bool


@dataclass(frozen=True)
class SeedMean:
    """Mean score over test images and seeds, its standard deviation over seeds (None with one), and the seeds."""

    mean: float
    spread: float | None
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Gain:
    """What synthetic samples gain: scores of `column` less those of `against`, paired by test image."""

    column: str
    against: str
    difference: Difference

    @property
    def tells_of_seeds(self) -> bool:
        """Whether the interval tells of other seeds; with one seed of each it tells of other test images alone."""
        return self.difference.seed_degrees > 0


@dataclass(frozen=True)
class GainPoint:
    """A place along a sweep: mean scores by column, and gains, none where a reference was not run."""

    x: float
    scores: Mapping[str, SeedMean]
    gains: tuple[Gain, ...]


@dataclass(frozen=True)
class GainCurve:
    """Gain by synthetic data along a sweep, of one model.

    Attributes:
        sweep: "ratio" (x = synthetic samples / all samples of the mix, gains against the mix without them) or "real_images"
            (x = real training images, gains of RD+SD+aug against RD+aug and RD trained on the same images).
        data: name of the data set.
        model: name of the model.
        score: name of what is compared, such as "Dice".
        n_images: test images that every run has a score of.
        points: by ascending x; empty where no image has a score in every run.
        everything: the x that stands for all real training images, where that is known; else None.
        optimistic: weights of some run were chosen on the test split.
        notes: what is missing or was left out.
    """

    sweep: Sweep
    data: str
    model: str
    score: str
    n_images: int
    points: tuple[GainPoint, ...]
    everything: float | None
    optimistic: bool
    notes: tuple[str, ...]


def learning_curve(run: Run) -> LearningCurve:
    """Training loss and validation score of a run by epoch; of steps that a resumed training repeated, the later part counts.

    The loss is the mean over the recorded steps of an epoch, finite ones; the score is the one that chose the weights.
    """
    monitor = str(run.metrics["headline"]).replace("test/", "val/", 1)
    optimistic = bool(run.metrics.get("optimistic"))
    losses: dict[int, tuple[int, float]] = {}
    scores: dict[int, tuple[int, float]] = {}
    for path in sorted(run.directory.glob("curves*/metrics.csv"), key=_part):
        for step, epoch, row in _rows(path):
            for found, name in ((losses, _LOSS), (scores, monitor)):
                value = _number(row.get(name))
                if math.isfinite(value):
                    found[step] = (epoch, value)
    epochs = _epochs(losses, scores)
    best = run.metrics.get(monitor.replace("val/", "selection/", 1) if optimistic else monitor)
    # Of equal scores the first was kept.
    chosen = next((epoch.step for epoch in epochs if epoch.score is not None and epoch.score == best), None)
    return LearningCurve(run.column, run.seed, SCORES.get(run.score, run.score), epochs, chosen, optimistic)


def ratio_curve(runs: Sequence[Run], data: str, n_resamples: int = 9_999, seed: int = 0) -> tuple[GainCurve, ...]:
    """For each model the gain against the share of synthetic samples in the mix, from the runs of `+sweep=ratio`.

    Args:
        runs: finished runs, of whatever sweep.
        data: name of the data set.
        n_resamples: of the bootstrap, drawn from `seed`.
        seed: the same gives the same curve.
    """
    return tuple(_curve("ratio", sweep, n_resamples, seed) for sweep in ratio_runs(runs, data))


def real_images_curve(runs: Sequence[Run], data: str, n_resamples: int = 9_999, seed: int = 0) -> tuple[GainCurve, ...]:
    """For each model the gain against the number of real training images, from the runs of `+sweep=real_images`.

    Args:
        runs: finished runs, of whatever sweep; those of Table 2 stand for all images where their settings agree.
        data: name of the data set.
        n_resamples: of the bootstrap, drawn from `seed`.
        seed: the same gives the same curve.
    """
    return tuple(_curve("real_images", sweep, n_resamples, seed) for sweep in real_images_runs(runs, data))


def to_csv(curves: Sequence[GainCurve]) -> str:
    """One line for each place and column, whose gain is empty where it has none; numbers unrounded."""
    header = ["sweep", "data", "model", "score", "n_images", "x", "column", "mean", "spread", "n_seeds", "optimistic"]
    figures = ("gain", "low", "high", "tells_of_seeds")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, *[f"{name}_against_{against}" for against in REFERENCES for name in figures]])
    for curve in curves:
        for point in curve.points:
            for column, score in point.scores.items():
                line: list[object] = [curve.sweep, curve.data, curve.model, curve.score, curve.n_images, point.x, column]
                line += [score.mean, score.spread, len(score.seeds), curve.optimistic]
                for against in REFERENCES:
                    gain = next((g for g in point.gains if (g.column, g.against) == (column, against)), None)
                    d = gain.difference if gain else None
                    line += [d.value, d.low, d.high, d.seed_degrees > 0] if d else [None] * len(figures)
                writer.writerow(line)
    return out.getvalue()


def _curve(sweep: Sweep, chosen: SweepRuns, n_resamples: int, seed: int) -> GainCurve:
    filed = {(x, column): runs for x, columns in chosen.points.items() for column, runs in columns.items()}
    every = [run for runs in filed.values() for run in runs.values()]
    name = SCORES.get(every[0].score, every[0].score)
    optimistic = any(run.metrics.get("optimistic") for run in every)
    try:
        scores, n_dropped = paired_scores(filed, every[0].score)
    except ValueError as error:
        return GainCurve(sweep, chosen.data, chosen.model, name, 0, (), None, optimistic, (str(error), *chosen.left_out))

    def gains(x: float, column: str) -> Iterator[Gain]:
        for against, place in _references(sweep, x, column):
            if (place, against) in scores:
                difference = paired_bootstrap(scores[x, column], scores[place, against], n_resamples, seed=seed)
                yield Gain(column, against, difference)

    points = tuple(
        GainPoint(
            x,
            {column: _seed_mean(scores[x, column], runs) for column, runs in columns.items()},
            tuple(gain for column in columns for gain in gains(x, column)),
        )
        for x, columns in chosen.points.items()
    )
    n_images = next(iter(scores.values())).shape[1]
    notes = (*_missing(sweep, chosen), *_dropped(n_dropped, name), *chosen.left_out)
    return GainCurve(sweep, chosen.data, chosen.model, name, n_images, points, chosen.everything, optimistic, notes)


def _references(sweep: Sweep, x: float, column: str) -> Iterator[tuple[str, float]]:
    """What a column is compared with, as column and place."""
    if sweep == "ratio" and x > 0:
        yield "rd_aug", 0.0
    elif sweep == "real_images" and column == "rd_sd_aug":
        yield from ((against, x) for against in REFERENCES)


def _missing(sweep: Sweep, chosen: SweepRuns) -> Iterator[str]:
    if sweep == "ratio" and 0.0 not in chosen.points:
        yield "no gains: the mix without synthetic samples was not run"
    for x, columns in chosen.points.items() if sweep == "real_images" else ():
        absent = [TITLES[column] for column in ("rd_sd_aug", *REFERENCES) if column not in columns]
        if absent:
            yield f"{x:g} real images: {', '.join(absent)} not run"


def _dropped(count: int, score: str) -> Iterator[str]:
    if count:
        yield f"{count} test images are left out: without a finite {score} in some run"


def _seed_mean(scores: Floats, runs: Mapping[int, Run]) -> SeedMean:
    by_seed = scores.mean(axis=1)
    return SeedMean(float(by_seed.mean()), float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None, tuple(runs))


def _part(path: Path) -> int:
    """Number of the attempt that wrote a file: 0 for curves, 3 for curves_3."""
    number = path.parent.name.rpartition("_")[2]
    return int(number) if number.isdecimal() else 0


def _rows(path: Path) -> Iterator[tuple[int, int, Mapping[str, str | None]]]:
    """Step (from 1), epoch and values of each whole row."""
    with path.open(newline="", errors="replace") as handle:
        for row in csv.DictReader(handle):
            step, epoch = row.get("step"), row.get("epoch")
            # A row torn by the end of its process was written again by the next one.
            if step and epoch and step.isdecimal() and epoch.isdecimal():
                # Lightning counts steps from 0.
                yield int(step) + 1, int(epoch), row


def _number(text: str | None) -> float:
    try:
        return float(text or math.nan)
    except ValueError:
        return math.nan


def _epochs(losses: Mapping[int, tuple[int, float]], scores: Mapping[int, tuple[int, float]]) -> tuple[Epoch, ...]:
    """By epoch, from (epoch, value) by step."""
    by_epoch: dict[int, tuple[list[int], list[float]]] = {}
    for step, (epoch, loss) in losses.items():
        steps, values = by_epoch.setdefault(epoch, ([], []))
        steps.append(step)
        values.append(loss)
    validated = {epoch: (step, score) for step, (epoch, score) in sorted(scores.items())}
    made = []
    for epoch in sorted({*by_epoch, *validated}):
        steps, values = by_epoch.get(epoch, ([], []))
        step, score = validated.get(epoch, (0, None))
        made.append(Epoch(max([*steps, step]), float(np.mean(values)) if values else None, score))
    return tuple(made)
