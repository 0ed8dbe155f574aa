"""S3 Table 2 from finished runs: five columns, what divides them and how sure that is, and an answer for each model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rbc_lightning.report import statistics
from rbc_lightning.report.collect import Run, RunGroups, paired_scores
from rbc_lightning.report.statistics import Difference, Floats, Verdict
from rbc_lightning.report.tables import COLUMNS, OPTIMISTIC, PAPER

REFERENCES = ("rd_aug", "rd")
# Does adding synthetic data help: beside real and augmented data, and beside real data alone.
QUESTIONS = (("rd_sd_aug", "rd_aug"), ("rd_sd", "rd"))
TITLES = {**COLUMNS, "rd_large": "RD large", "sd_large": "SD large"}
LEVEL = 0.05
_TINY = "tiny"
SCORES = {"dice": "Dice", "ap50": "AP50"}


@dataclass(frozen=True)
class Cell:
    """A model trained on one column.

    Attributes:
        column: its key in `TITLES`.
        mean: over test images and seeds.
        spread: standard deviation over seeds of the mean over images; None with one seed.
        pooled: mean over seeds of the average precision over the cells of all images, where that is the headline; else None.
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
    """Column less another one: positive where `column` is better. `p_holm` is corrected over the comparisons of the model."""

    column: str
    against: str
    difference: Difference
    p_value: float
    p_holm: float
    verdict: Verdict


@dataclass(frozen=True)
class Answer:
    """Does adding synthetic data help?

    Attributes:
        question: column with synthetic data, and column without.
        comparison: of the two; None where one is missing.
        verdict: the answer.
        images: test images that would settle it with a power of 80 %; None where it is settled, or no number would do.
        text: the answer as one line.
    """

    question: tuple[str, str]
    comparison: Comparison | None
    verdict: Verdict
    images: int | None
    text: str


@dataclass(frozen=True)
class ModelRow:
    """One model: cells by column, comparisons with both `REFERENCES`, answers to `QUESTIONS`.

    `score` names what is compared, such as "Dice", on `n_images` test images; `paper` has S3's figures by column, none for a
    model that S3 does not have; `notes` tell what is missing.
    """

    model: str
    score: str
    n_images: int
    cells: Mapping[str, Cell]
    comparisons: tuple[Comparison, ...]
    answers: tuple[Answer, ...]
    paper: Mapping[str, float]
    notes: tuple[str, ...]

    def compared(self, column: str, against: str) -> Comparison | None:
        """The comparison of two columns, if there is one."""
        return next((c for c in self.comparisons if (c.column, c.against) == (column, against)), None)


@dataclass(frozen=True)
class Table2:
    """The whole table: `columns` to show (the five, and the size controls that were run), and in `notes` what was left out."""

    data: str
    columns: tuple[str, ...]
    rows: tuple[ModelRow, ...]
    notes: tuple[str, ...]


def build_table2(groups: RunGroups, n_resamples: int = 9_999, seed: int = 0) -> Table2:
    """Compare the columns of every model, pairing by test image.

    Args:
        groups: comparable runs, as `group_runs` chose them.
        n_resamples: of the bootstrap and of the permutation test, both drawn from `seed`.
        seed: the same gives the same table.

    Raises:
        ValueError: no runs, or none of the test images is in all runs of a model.
    """
    if not groups.runs:
        raise ValueError(f"no runs on {groups.data} to compare; train some first, as +sweep=table2 does")
    rows = tuple(_row(model, columns, n_resamples, seed) for model, columns in groups.runs.items())
    found = {column for row in rows for column in row.cells}
    columns = tuple(column for column in TITLES if column in COLUMNS or column in found)
    return Table2(groups.data, columns, rows, (*_about(groups), *groups.left_out))


def _about(groups: RunGroups) -> Iterator[str]:
    """How the runs were trained, and who painted the synthetic images."""
    runs = [run for columns in groups.runs.values() for by_seed in columns.values() for run in by_seed.values()]
    names = sorted({str(run.settings["scale.name"]) for run in runs if run.settings.get("scale.name")})
    steps = sorted({int(run.metrics["steps"]) for run in runs if run.metrics.get("steps")})
    images = sorted({run.metrics["mix"]["real"] for run in runs if run.column == "rd"})
    told = [f"scale={', '.join(names)}"] if names else []
    told += [f"{_range(steps)} optimiser steps a run"] if steps else []
    told += [f"{_range(images)} real training images"] if images else []
    if told:
        yield "; ".join(told)
    if _TINY in names:
        yield f"scale={_TINY} only shows that everything is wired: these figures mean nothing"
    painters = {run.settings.get("translator.name") for run in runs if run.metrics["mix"]["synthetic"]} - {None}
    if painters:
        yield f"Synthetic images: painted by {', '.join(sorted(map(str, painters)))}"


def _range(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _row(model: str, runs: Mapping[str, Mapping[int, Run]], n_resamples: int, seed: int) -> ModelRow:
    score = next(run.score for by_seed in runs.values() for run in by_seed.values())
    scores, n_dropped = paired_scores(runs, score)
    cells = {column: _cell(column, runs[column], scores[column]) for column in runs}
    comparisons = _comparisons(scores, n_resamples, seed)
    name = SCORES.get(score, score)
    answers = tuple(_answer(question, cells, comparisons, name) for question in QUESTIONS)
    paper = dict(zip(COLUMNS, PAPER.get(model, ()), strict=False))
    n_images = next(iter(scores.values())).shape[1]
    return ModelRow(model, name, n_images, cells, comparisons, answers, paper, tuple(_notes(cells, n_dropped, name)))


def _cell(column: str, runs: Mapping[int, Run], scores: Floats) -> Cell:
    by_seed = scores.mean(axis=1)
    spread = float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None
    # The headline Dice is the mean over images already.
    headlines = [run.metrics[run.metrics["headline"]] for run in runs.values() if run.score != "dice"]
    pooled = float(np.mean(headlines)) if headlines else None
    optimistic = any(run.metrics.get("optimistic") for run in runs.values())
    return Cell(column, float(by_seed.mean()), spread, pooled, tuple(runs), optimistic)


def _comparisons(scores: Mapping[str, Floats], n_resamples: int, seed: int) -> tuple[Comparison, ...]:
    """Every column against each reference; one hypothesis looked at from both sides is corrected for once."""
    pairs = [(a, b) for b in REFERENCES for a in TITLES if a != b and a in scores and b in scores]
    tests = [pair for pair in combinations(TITLES, 2) if pair in pairs or pair[::-1] in pairs]
    p_values = [statistics.permutation_p_value(scores[a], scores[b], n_resamples, seed) for a, b in tests]
    p_by_test = {frozenset(test): p for test, *p in zip(tests, p_values, statistics.holm(p_values), strict=True)}
    made = []
    for column, against in pairs:
        difference = statistics.paired_bootstrap(scores[column], scores[against], n_resamples, 1 - LEVEL, seed)
        p_value, p_holm = map(float, p_by_test[frozenset((column, against))])
        made.append(Comparison(column, against, difference, p_value, p_holm, statistics.verdict(difference, p_holm, LEVEL)))
    return tuple(made)


def _answer(question: tuple[str, str], cells: Mapping[str, Cell], comparisons: Sequence[Comparison], score: str) -> Answer:
    told = f"{TITLES[question[0]]} against {TITLES[question[1]]}: "
    missing = [TITLES[name] for name in question if name not in cells]
    if missing:
        return Answer(question, None, "cannot tell", None, f"{told}cannot tell, {' and '.join(missing)} not run")
    comparison = next(c for c in comparisons if (c.column, c.against) == question)
    outcome, difference = comparison.verdict, comparison.difference
    told += f"{outcome}, {score} {interval_text(difference)}, {p_text(comparison.p_holm)}"
    if any(cells[name].optimistic for name in question):
        told += f" ({OPTIMISTIC})"
    images = None
    if outcome == "cannot tell":
        images, remedy = statistics.what_would_settle(difference, LEVEL)
        told += f"; {remedy}"
    return Answer(question, comparison, outcome, images, told)


def _notes(cells: Mapping[str, Cell], n_dropped: int, score: str) -> Iterator[str]:
    missing = [title for column, title in COLUMNS.items() if column not in cells]
    if missing:
        yield f"not run: {', '.join(missing)}"
    single = [TITLES[column] for column, cell in cells.items() if len(cell.seeds) == 1]
    if single:
        yield f"one seed only, so no spread and no verdict: {', '.join(single)}"
    by_seeds: dict[tuple[int, ...], list[str]] = {}
    for column, cell in cells.items():
        by_seeds.setdefault(cell.seeds, []).append(TITLES[column])
    if len(by_seeds) > 1:
        told = "; ".join(f"{', '.join(names)}: {', '.join(map(str, seeds))}" for seeds, names in by_seeds.items())
        yield f"columns differ in their seeds, run the missing ones before you trust a difference ({told})"
    if n_dropped:
        yield f"{n_dropped} test images are left out: without a finite {score} in some run"
    if any(cell.pooled is not None for cell in cells.values()):
        yield f"{score} is the mean over images of each image's own; pooled ranks the cells of all images together, as S3 does"


def interval_text(difference: Difference) -> str:
    """A difference with its interval, signs written out: +0.0023 [−0.0013, +0.0060]."""
    return f"{signed_text(difference.value)} [{signed_text(difference.low)}, {signed_text(difference.high)}]"


def signed_text(value: float) -> str:
    """A difference to four places with its sign, minus as a minus."""
    return f"{value:+.4f}".replace("-", "−")


def p_text(value: float) -> str:
    """A p-value to three places, or that it is below them."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
