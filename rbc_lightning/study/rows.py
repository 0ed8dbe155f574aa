"""A model in Table 2: its score on each column, what the columns are compared by, its floor and its ceiling."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from rbc_lightning.study.ceiling import Ceiling, ceiling_above
from rbc_lightning.study.classes import nothing_found
from rbc_lightning.study.collect import PairedScores, all_runs, paired_scores
from rbc_lightning.study.compare import Answer, Comparison, answer_questions, compare_columns
from rbc_lightning.study.floor import BySeed, Floor, ScoresOf, floor_below
from rbc_lightning.study.folds import fold_overrides, missing_folds
from rbc_lightning.study.numbers import mean_text, number_text
from rbc_lightning.study.pooled import is_pooled, pooled_scores
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.statistics import Floats, spread
from rbc_lightning.study.tables import (
    COLUMNS,
    QUESTIONS,
    REFERENCES,
    TITLES,
    WITHOUT_TRAINING,
    Question,
    external_title,
    published,
)


@dataclass(frozen=True)
class TableEntry:
    """A model trained on one column.

    Attributes:
        column: its key in `TITLES`.
        mean: over test images and seeds.
        spread: standard deviation over seeds of the mean over images; None with one seed.
        pooled: mean over seeds of the score over all images together; None where that is the mean over images.
        seeds: what it was trained with.
        optimistic: weights were chosen on the test split.
    """

    column: str
    mean: float
    spread: float | None
    pooled: float | None
    seeds: tuple[int, ...]
    optimistic: bool


@dataclass(frozen=True)
class External:
    """What the columns score on images of another source, such as another scanner; no verdict looks at it.

    Attributes:
        means: by column, over images (each group of them counting once) and seeds.
        halves: half the widths of their 95 % intervals, over other such images or groups and other seeds; infinite with one.
        n_images: that every run has a score of.
        title: how a line of the table calls them.
        higher_is_better: direction of the score.
    """

    means: Mapping[str, float]
    halves: Mapping[str, float]
    n_images: int
    title: str
    higher_is_better: bool

    def interval(self, column: str) -> tuple[float, float] | None:
        """Of a column's mean; None where there is no such column, or a single image or group."""
        half = self.halves.get(column, math.inf)
        return (self.means[column] - half, self.means[column] + half) if math.isfinite(half) else None

    def figure(self, column: str) -> str:
        """The mean to three places with its interval; "-" for none."""
        mean, interval = self.means.get(column), self.interval(column)
        if mean is None:
            return "-"
        return mean_text(mean, *interval, higher_is_better=self.higher_is_better) if interval else number_text(mean)


@dataclass(frozen=True)
class ModelRow:
    """One model.

    Attributes:
        model: its name.
        metric, score, higher_is_better: name of the metric that is compared, such as "dice", its title and its direction.
        n_images: test images that every run has a score of.
        units: these in words, and how many groups of patient or slide they make.
        entries: by column.
        comparisons: by column and reference, one of `REFERENCES`.
        answers: to `QUESTIONS`.
        paper: figures of Bailo et al. 2019 by column; none for what they do not have.
        notes: what is missing.
        floor, ceiling: what a model without training scores, how far two annotators agree; None where that is not known.
        pooled: the same for the score over all images together, where that answers the questions; `answers` are its own.
        nothing: of data of classes, what answering "background" everywhere scores; else None.
        external: the score on images of another source; None where there are none.
        luck: what the seeds of single purposes make of its spread, of `luck_of`.
    """

    model: str
    metric: str
    score: str
    higher_is_better: bool
    n_images: int
    units: str
    entries: Mapping[str, TableEntry]
    comparisons: Mapping[tuple[str, str], Comparison]
    answers: tuple[Answer, ...]
    paper: Mapping[str, float]
    notes: tuple[str, ...]
    floor: Floor | None = None
    ceiling: Ceiling | None = None
    pooled: ModelRow | None = None
    luck: tuple[str, ...] = ()
    external: External | None = None
    nothing: float | None = None

    @property
    def answering(self) -> ModelRow:
        """The row of the score that the answers go by."""
        return self.pooled or self

    @property
    def measures(self) -> tuple[ModelRow, ...]:
        """The rows of each way to score."""
        return (self, self.pooled) if self.pooled else (self,)

    @property
    def bounds(self) -> tuple[str, ...]:
        """What floor and ceiling say, a line each."""
        return tuple(bound.text for bound in (self.answering.floor or self.floor, self.ceiling) if bound)

    @property
    def told(self) -> tuple[str, ...]:
        """All that is said of the model, a line each: answers, bounds, luck."""
        return (*(answer.text for answer in self.answers), *self.bounds, *self.luck)

    def comparison(self, column: str, against: str) -> Comparison | None:
        """Of a column with a reference, or with the floor as `WITHOUT_TRAINING`; None where there is none."""
        if against == WITHOUT_TRAINING:
            return self.floor.comparisons.get(column) if self.floor else None
        return self.comparisons.get((column, against))

    @property
    def references(self) -> tuple[str, ...]:
        """What some column is compared with: of `REFERENCES` and the floor."""
        known = (*REFERENCES, WITHOUT_TRAINING)
        return tuple(name for name in known if any(self.comparison(column, name) for column in self.entries))

    @property
    def label(self) -> str:
        """The score, with its direction where that is not the usual one."""
        return self.score if self.higher_is_better else f"{self.score} (lower is better)"


def model_row(model: str, columns: Mapping[str, BySeed], floors: BySeed, score: str | None = None) -> ModelRow:
    """The row of a model.

    A score that is another one over all images together than the mean over images (AP, as in Bailo et al. 2019) is compared as
    both where every run has recorded it with each image or group left out, and the pooled one answers the questions: it is the
    one that weights are chosen by and papers print. Where a run has not, the means over images answer, with a note. A metric
    that single images have no score of is pooled alone.

    Args:
        model: its name.
        columns: its runs by column and seed.
        floors: runs without training by seed.
        score: name of a metric; None for the headline.

    Raises:
        ValueError: no test image has the score in every run.
    """
    every = all_runs(columns)
    metric = score or every[0].score
    title, by_image = every[0].title(metric), all(run.has(metric) for run in every)
    pooled = None
    is_mean = not any(is_pooled(run, metric) for run in every)
    if not is_mean:
        try:
            named = f"{title} pooled" if by_image else title
            pooled = _measure(model, metric, named, columns, floors, lambda filed: pooled_scores(filed, metric))
        except ValueError:
            if not by_image:
                raise
    if pooled and not by_image:
        return pooled
    row = _measure(
        model,
        metric,
        title,
        columns,
        floors,
        lambda filed: paired_scores(filed, metric),
        pooled=None if is_mean else metric,
        questions=() if pooled else QUESTIONS,
    )
    notes = row.notes if is_mean else (*row.notes, _pooled_note(title, answers=pooled is not None))
    ceiling = ceiling_above(columns, floors, metric, higher_is_better=row.higher_is_better, pooled=not is_mean)
    external = external_beside(columns, metric)
    row = replace(row, ceiling=ceiling, external=external, nothing=nothing_found(columns, metric))
    return replace(row, pooled=pooled, answers=(pooled or row).answers, notes=notes)


def external_beside(columns: Mapping[str, BySeed], metric: str) -> External | None:
    """The score on images of another source, mean over images and seeds; None without an image that all runs have it of."""
    # Models of every fold were tested on all of them.
    filed = {
        column: {seed: replace(run, per_image=run.external, parts=()) for seed, run in by_seed.items()}
        for column, by_seed in columns.items()
    }
    try:
        paired = paired_scores(filed, metric)
    except ValueError:
        return None
    means = {column: float(paired.by_seed(column).mean()) for column in filed}
    halves = {column: paired.half_width(column) for column in filed}
    higher = all_runs(columns)[0].higher_is_better(metric)
    return External(means, halves, paired.n_images, external_title(paired.n_images), higher)


def _measure(
    model: str,
    metric: str,
    title: str,
    columns: Mapping[str, BySeed],
    floors: BySeed,
    scores_of: ScoresOf,
    *,
    pooled: str | None = None,
    questions: Collection[Question] = QUESTIONS,
) -> ModelRow:
    """The row of one way to score; `pooled` as in `make_entry`, `questions` are those that it answers."""
    higher = all_runs(columns)[0].higher_is_better(metric)
    paired = scores_of(columns)
    entries = {column: make_entry(column, runs, paired.by_seed(column), pooled) for column, runs in columns.items()}
    comparisons = compare_columns(paired, questions, higher_is_better=higher)
    seeds = {column: entry.seeds for column, entry in entries.items()}
    marked, first = [column for column in entries if entries[column].optimistic], all_runs(columns)[0]
    answers = answer_questions(comparisons, seeds, marked, title, fold_overrides(first))
    floor = floor_below(columns, floors, scores_of, title, higher_is_better=higher)
    folds = missing_folds(first)
    notes = (*((folds,) if folds else ()), *_notes(entries, paired, floor, title))
    paper = published(first.model, metric)
    return ModelRow(
        model, metric, title, higher, paired.n_images, paired.units, entries, comparisons, answers, paper, notes, floor
    )


def make_entry(column: str, runs: Mapping[int, Run], by_seed: Floats, pooled: str | None = None) -> TableEntry:
    """A model trained on one column, from its runs by seed and their means over test images (n_seeds,).

    `pooled` names the metric whose value over all images together is not the mean over images.
    """
    whole = sum(run.whole(pooled) for run in runs.values()) / len(runs) if pooled else None
    optimistic = any(run.optimistic for run in runs.values())
    return TableEntry(column, float(by_seed.mean()), spread(by_seed), whole, tuple(runs), optimistic)


def _notes(entries: Mapping[str, TableEntry], paired: PairedScores[str], floor: Floor | None, score: str) -> Iterator[str]:
    missing = [title for column, title in COLUMNS.items() if column not in entries]
    if missing:
        yield f"not run: {', '.join(missing)}"
    single = [TITLES[column] for column, entry in entries.items() if len(entry.seeds) == 1]
    if single:
        yield f"one seed only, so no spread and no verdict: {', '.join(single)}"
    by_seeds: dict[tuple[int, ...], list[str]] = {}
    for column, entry in entries.items():
        by_seeds.setdefault(entry.seeds, []).append(TITLES[column])
    if len(by_seeds) > 1:
        found = "; ".join(f"{', '.join(names)}: {', '.join(map(str, seeds))}" for seeds, names in by_seeds.items())
        yield f"columns differ in their seeds and are compared on those that both have, run the missing ones ({found})"
    if paired.n_dropped:
        yield f"{paired.n_dropped} test images are left out: without a finite {score} in some run"
    if floor and floor.n_images < paired.n_images:
        yield f"{floor.title}: on the {floor.n_images} of {paired.n_images} test images that it has a finite {score} of"


def _pooled_note(score: str, *, answers: bool) -> str:
    both = (
        f"{score} is the mean over images of each image's own; pooled is over the cells of all images together, as in Bailo et "
        "al. 2019"
    )
    if answers:
        return (
            f"{both}, and answers the questions: its intervals come from what it is without one test image or group at a time; "
            "comparisons of the means are exploratory"
        )
    return f"{both}; some run has not recorded it without one test image or group at a time, so the means answer the questions"
