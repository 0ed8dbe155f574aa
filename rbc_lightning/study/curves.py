"""The gain by synthetic data along the sweeps `ratio` and `real_images`, from finished runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rbc_lightning.study.choose import SweepRuns, ratio_runs, real_images_runs, real_patients_runs
from rbc_lightning.study.collect import all_runs, paired_scores, version_notes
from rbc_lightning.study.rows import TableEntry, make_entry
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.statistics import Difference
from rbc_lightning.study.tables import REFERENCES, TITLES, csv_text

Sweep = Literal["ratio", "real_images", "real_patients"]
ALONG: dict[Sweep, str] = {
    "ratio": "the share of synthetic samples",
    "real_images": "the number of real images",
    "real_patients": "the number of patients",
}
COUNTED = {"real_images": "real images", "real_patients": "patients"}
"""What is counted along a sweep."""
_CHOOSE = {"ratio": ratio_runs, "real_images": real_images_runs, "real_patients": real_patients_runs}


@dataclass(frozen=True)
class GainPoint:
    """A place along a sweep.

    Attributes:
        x: the place.
        entries: mean scores by column.
        gains: by column and reference, what synthetic samples gain: differences paired by test image; none where a reference
            was not run.
    """

    x: float
    entries: Mapping[str, TableEntry]
    gains: Mapping[tuple[str, str], Difference]


@dataclass(frozen=True)
class GainCurve:
    """Gain by synthetic data along a sweep, of one model.

    Attributes:
        sweep: "ratio" (x = synthetic samples / all samples of the mix, gains against the mix without them) or "real_images"
            (x = real images that were annotated, those of training and those of validation that weights are chosen on; gains of
            RD+SD+aug against RD+aug and RD trained on the same images), or "real_patients", the same of patients.
        data, model: names of the data set and of the model.
        score, higher_is_better: title of what is compared, such as "Dice", and its direction.
        n_images: test images that every run has a score of.
        points: by ascending x; empty where no image has a score in every run.
        everything: the x that stands for all real images, where that is known; else None.
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
    higher_is_better: bool = True


def gain_curves(sweep: Sweep, runs: Sequence[Run], data: str, score: str | None = None) -> tuple[GainCurve, ...]:
    """For each model the gain along a sweep: against the share of synthetic samples, or the number of real images.

    Args:
        sweep: of `+sweep`.
        runs: finished runs, of whatever sweep; those of Table 2 stand for all real images where their settings agree.
        data: name of the data set.
        score: name of a metric that the runs have by image; None for the headline of each model.
    """
    return tuple(_curve(sweep, chosen, data, score) for chosen in _CHOOSE[sweep](runs, data))


def to_csv(curves: Sequence[GainCurve]) -> str:
    """One line for each place and column, whose gain is empty where it has none; numbers unrounded."""
    header = ["sweep", "data", "model", "score", "n_images", "x", "column", "mean", "spread", "n_seeds", "optimistic"]
    figures = ("gain", "low", "high", "tells_of_seeds")
    lines = []
    for curve in curves:
        for point in curve.points:
            for column, entry in point.entries.items():
                line: list[object] = [curve.sweep, curve.data, curve.model, curve.score, curve.n_images, point.x, column]
                line += [entry.mean, entry.spread, len(entry.seeds), curve.optimistic]
                for against in REFERENCES:
                    gain = point.gains.get((column, against))
                    line += [gain.value, gain.low, gain.high, gain.n_seeds > 1] if gain else [None] * len(figures)
                lines.append(line)
    return csv_text([*header, *[f"{name}_against_{against}" for against in REFERENCES for name in figures]], lines)


def _curve(sweep: Sweep, chosen: SweepRuns, data: str, score: str | None) -> GainCurve:
    chosen, counted = _with_validation(chosen, sweep) if sweep in COUNTED else (chosen, ())
    filed = {(x, column): runs for x, columns in chosen.points.items() for column, runs in columns.items()}
    every = all_runs(filed)
    metric = score or every[0].score
    name, higher = every[0].title(metric), every[0].higher_is_better(metric)
    optimistic = any(run.optimistic for run in every)
    try:
        paired = paired_scores(filed, metric)
    except ValueError as error:
        notes = (str(error), *counted, *chosen.left_out)
        return GainCurve(sweep, data, chosen.model, name, 0, (), None, optimistic, notes, higher)
    points = []
    for x, columns in chosen.points.items():
        entries = {column: make_entry(column, runs, paired.by_seed((x, column))) for column, runs in columns.items()}
        gains = {
            (column, against): difference
            for column in columns
            for against, place in _references(sweep, x, column)
            if (place, against) in paired.scores and (difference := paired.difference((x, column), (place, against)))
        }
        points.append(GainPoint(x, entries, gains))
    dropped = [f"{paired.n_dropped} test images are left out: without a finite {name} in some run"] if paired.n_dropped else []
    notes = (*_missing(sweep, chosen), *counted, *dropped, *version_notes(every), *chosen.left_out)
    return GainCurve(
        sweep, data, chosen.model, name, paired.n_images, tuple(points), chosen.everything, optimistic, notes, higher
    )


def _with_validation(chosen: SweepRuns, sweep: Sweep) -> tuple[SweepRuns, tuple[str, ...]]:
    """The places with the validation images, or patients, on top, and a note that says so: they are annotated as well.

    Of seeds that cut off different numbers, whole groups each, the rounded mean; of runs that did not record it, none.
    """
    every = [run for columns in chosen.points.values() for run in all_runs(columns)]
    if sweep == "real_images":
        recorded = [int(run.metrics["n_val"]) for run in every if "n_val" in run.metrics]
    else:
        recorded = [int(run.metrics["groups"]["val"]) for run in every if "groups" in run.metrics]
    beside = round(sum(recorded) / len(recorded)) if recorded else 0
    if not beside:
        return chosen, ()
    points = {x + beside: columns for x, columns in chosen.points.items()}
    everything = None if chosen.everything is None else chosen.everything + beside
    note = f"{COUNTED[sweep]} count the {beside} of validation, which weights are chosen on, beside those trained on"
    return chosen._replace(points=points, everything=everything), (note,)


def _references(sweep: Sweep, x: float, column: str) -> Iterator[tuple[str, float]]:
    """What a column is compared with, as column and place."""
    if sweep == "ratio" and x > 0:
        yield "rd_aug", 0.0
    elif sweep in COUNTED and column == "rd_sd_aug":
        yield from ((against, x) for against in REFERENCES)


def _missing(sweep: Sweep, chosen: SweepRuns) -> Iterator[str]:
    if sweep == "ratio" and 0.0 not in chosen.points:
        yield "no gains: the mix without synthetic samples was not run"
    for x, columns in chosen.points.items() if sweep in COUNTED else ():
        absent = [TITLES[column] for column in ("rd_sd_aug", *REFERENCES) if column not in columns]
        if absent:
            yield f"{x:g} {COUNTED[sweep]}: {', '.join(absent)} not run"
