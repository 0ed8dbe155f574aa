"""Table 2 of Bailo et al. 2019 from finished runs: means by column, differences with their uncertainty, answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rbc_lightning.study import statistics
from rbc_lightning.study.choose import RunGroups
from rbc_lightning.study.collect import PairedScores, all_runs, paired_scores, version_notes
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.settle import what_would_settle
from rbc_lightning.study.statistics import Difference, Floats, Verdict
from rbc_lightning.study.tables import COLUMNS, OPTIMISTIC, QUESTIONS, REFERENCES, TITLES, published

_TINY = "tiny"
# Two ways to one mean agree within the rounding of float32.
_ROUNDING = 1e-5


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
class Comparison:
    """Score of a column less that of another one, over the seeds that both have.

    Attributes:
        column, against: the two.
        difference: with its own p-value.
        p_holm: corrected over `QUESTIONS`; None for every other comparison, which is exploratory.
        verdict: by `p_holm`, or by the difference's own p-value where it is exploratory.
    """

    column: str
    against: str
    difference: Difference
    p_holm: float | None
    verdict: Verdict

    @property
    def p(self) -> float:
        """The p-value that the verdict goes by."""
        return self.difference.p_value if self.p_holm is None else self.p_holm


@dataclass(frozen=True)
class Answer:
    """Does adding synthetic data help?

    Attributes:
        question: column with synthetic data, and column without.
        comparison: of the two; None where one is missing.
        verdict: the answer.
        remedy: where it is "cannot tell", what would settle it (`what_would_settle`), or what is missing; else empty.
        optimistic: weights of one of the two were chosen on the test split.
        text: the answer as one line.
    """

    question: tuple[str, str]
    comparison: Comparison | None
    verdict: Verdict
    remedy: str
    optimistic: bool
    text: str


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

    @property
    def label(self) -> str:
        """The score, with its direction where that is not the usual one."""
        return self.score if self.higher_is_better else f"{self.score} (lower is better)"


@dataclass(frozen=True)
class Table2:
    """The whole table: `columns` to show (the five, and the size controls that were run), and in `notes` what was left out."""

    data: str
    columns: tuple[str, ...]
    rows: tuple[ModelRow, ...]
    notes: tuple[str, ...]


def build_table2(groups: RunGroups, score: str | None = None) -> Table2:
    """Compare the columns of every model, pairing by seed and test image.

    Args:
        groups: comparable runs, as `group_runs` chose them.
        score: name of a metric that the runs have by image, such as "aji"; None for the headline of each model.

    Raises:
        ValueError: no runs, no model with this score, or none of the test images is in all runs of a model.
    """
    if not groups.runs:
        raise ValueError(f"no runs on {groups.data} to compare; train some first, as +sweep=table2 does")
    known = {
        model: columns
        for model, columns in groups.runs.items()
        if score is None or all(run.has(score) for run in all_runs(columns))
    }
    if not known:
        models = [all_runs(columns) for columns in groups.runs.values()]
        names = sorted(
            {name for runs in models for name in runs[0].metrics.get("metrics", {}) if all(run.has(name) for run in runs)}
        )
        raise ValueError(
            f"no model of which all runs on {groups.data} have {score} by image; expected one of {', '.join(names)}"
        )
    rows = tuple(_row(model, columns, score) for model, columns in known.items())
    found = {column for row in rows for column in row.entries}
    columns = tuple(column for column in TITLES if column in COLUMNS or column in found)
    lacking = [f"{model}: left out, not all of its runs have {score} by image" for model in groups.runs if model not in known]
    return Table2(groups.data, columns, rows, (*_about(replace(groups, runs=known).every()), *lacking, *groups.left_out))


def make_entry(column: str, runs: Mapping[int, Run], scores: Floats, pooled: str | None = None) -> TableEntry:
    """A model trained on one column, from its runs by seed and their scores (n_seeds, n_images).

    `pooled` names the metric whose value over all images together is not the mean over images.
    """
    by_seed = scores.mean(axis=1)
    spread = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None
    whole = float(np.mean([run.metrics.get(f"test/{pooled}", np.nan) for run in runs.values()])) if pooled else None
    optimistic = any(run.optimistic for run in runs.values())
    return TableEntry(column, float(by_seed.mean()), spread, whole, tuple(runs), optimistic)


def _about(runs: Sequence[Run]) -> Iterator[str]:
    """How the runs were trained, and which translators made the synthetic images."""
    names = sorted({str(run.settings["scale.name"]) for run in runs if run.settings.get("scale.name")})
    steps = {int(run.metrics["steps"]) for run in runs if run.metrics.get("steps")}
    images = {run.metrics["mix"]["real"] for run in runs if run.column == "rd"}
    parts = [f"scale={', '.join(names)}"] if names else []
    for numbers, what in ((steps, "optimiser steps a run"), (images, "real training images")):
        if numbers:
            parts.append(f"{' to '.join(map(str, sorted({min(numbers), max(numbers)})))} {what}")
    if parts:
        yield "; ".join(parts)
    if _TINY in names:
        yield f"scale={_TINY} only shows that everything is wired: these figures mean nothing"
    translators = {run.settings.get("translator.name") for run in runs if run.metrics["mix"]["synthetic"]} - {None}
    if translators:
        yield f"Synthetic images: generated by {', '.join(sorted(map(str, translators)))}"
    yield from version_notes(runs)


def _row(model: str, runs: Mapping[str, Mapping[int, Run]], score: str | None) -> ModelRow:
    every = all_runs(runs)
    metric = score or every[0].score
    title, higher = every[0].title(metric), every[0].higher_is_better(metric)
    paired = paired_scores(runs, metric)
    pooled = None if all(_is_mean(run, metric) for run in every) else metric
    entries = {column: make_entry(column, runs[column], paired.means(column), pooled) for column in runs}
    comparisons = _comparisons(paired, higher_is_better=higher)
    answers = tuple(_answer(question, entries, comparisons.get(question), title) for question in QUESTIONS)
    notes = tuple(_notes(entries, paired.n_dropped, title))
    paper = published(model, metric)
    return ModelRow(model, metric, title, higher, paired.n_images, paired.units, entries, comparisons, answers, paper, notes)


def _is_mean(run: Run, metric: str) -> bool:
    """Whether a run's score over all images is the mean of those of single images, or is not recorded."""
    whole = run.metrics.get(f"test/{metric}")
    by_image = [row[metric] for row in run.per_image.values() if np.isfinite(row[metric])]
    return whole is None or not by_image or bool(np.isclose(whole, np.mean(by_image), rtol=_ROUNDING, atol=_ROUNDING))


def _comparisons(paired: PairedScores[str], *, higher_is_better: bool) -> dict[tuple[str, str], Comparison]:
    """Every column against each reference. Holm's correction is over the questions alone: a column more changes no answer."""
    pairs = [(a, b) for b in REFERENCES for a in TITLES if a != b and a in paired.scores and b in paired.scores]
    found = {pair: difference for pair in pairs if (difference := paired.difference(*pair))}
    asked = [pair for pair in QUESTIONS if pair in found]
    corrected = dict(zip(asked, map(float, statistics.holm([found[pair].p_value for pair in asked])), strict=True))
    made = {}
    for pair, difference in found.items():
        p_holm = corrected.get(pair)
        outcome = statistics.verdict(difference, p_holm, higher_is_better=higher_is_better)
        made[pair] = Comparison(*pair, difference, p_holm, outcome)
    return made


def _answer(question: tuple[str, str], entries: Mapping[str, TableEntry], comparison: Comparison | None, score: str) -> Answer:
    text = f"{TITLES[question[0]]} against {TITLES[question[1]]}: "
    if comparison is None:
        missing = " and ".join(TITLES[name] for name in question if name not in entries)
        remedy = f"{missing} not run" if missing else "no seed that both were trained with: run one with the other's seeds"
        return Answer(question, None, "cannot tell", remedy, False, f"{text}cannot tell, {remedy}")
    outcome, difference = comparison.verdict, comparison.difference
    remedy = what_would_settle(difference) if outcome == "cannot tell" else ""
    text += f"{outcome}, {score} {interval_text(difference)}, {p_text(comparison.p)}"
    optimistic = any(entries[name].optimistic for name in question)
    if optimistic:
        text += f" ({OPTIMISTIC})"
    return Answer(question, comparison, outcome, remedy, optimistic, text + (f"; {remedy}" if remedy else ""))


def _notes(entries: Mapping[str, TableEntry], n_dropped: int, score: str) -> Iterator[str]:
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
    if n_dropped:
        yield f"{n_dropped} test images are left out: without a finite {score} in some run"
    if any(entry.pooled is not None for entry in entries.values()):
        yield (
            f"{score} is the mean over images of each image's own; pooled is over the cells of all images together, as in "
            "Bailo et al. 2019"
        )


def interval_text(difference: Difference) -> str:
    """A difference with its interval, signs written out: +0.0023 [−0.0013, +0.0060]."""
    return f"{signed_text(difference.value)} [{signed_text(difference.low)}, {signed_text(difference.high)}]"


def signed_text(value: float) -> str:
    """A difference to four places with its sign, minus as a minus."""
    return f"{value:+.4f}".replace("-", "−")


def p_text(value: float) -> str:
    """A p-value to three places, or that it is below them."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
