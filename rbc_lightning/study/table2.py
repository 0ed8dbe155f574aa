"""Table 2 of Bailo et al. 2019 from finished runs: means by column, differences with their uncertainty, answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rbc_lightning.study.alike import AlikeRow, alike_rows
from rbc_lightning.study.choose import RunGroups
from rbc_lightning.study.classes import ClassMeasure, class_measures, of_scans
from rbc_lightning.study.collect import all_runs, version_notes
from rbc_lightning.study.lesions import LIMITS, SizeRange, lesion_measures, size_ranges
from rbc_lightning.study.rows import ModelRow, model_row
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.tables import CAUTION, COLUMNS, TITLES, is_tiny

_ROWS = (
    "Rows of one model differ in what made the synthetic samples; their columns without such are the same runs. Holm's "
    "correction is over the two questions of a row, not over rows"
)


@dataclass(frozen=True)
class Table2:
    """The whole table.

    Attributes:
        data: name of the data set.
        columns: to show, the five and the size controls that were run.
        rows: the models.
        notes: how the runs were trained, and what was left out.
        caution: what is to be known before any figure is read; None where there is nothing.
        classes: measures of data of classes, whose units are scans; none of data of cells.
        lesions: those of the WMH challenge, of whole scans.
        sizes: true lesions found by their size.
        alike: what other targets gain, such as what looks like lesions as a class.
    """

    data: str
    columns: tuple[str, ...]
    rows: tuple[ModelRow, ...]
    notes: tuple[str, ...]
    caution: str | None = None
    classes: tuple[ClassMeasure, ...] = ()
    lesions: tuple[ClassMeasure, ...] = ()
    sizes: tuple[SizeRange, ...] = ()
    alike: tuple[AlikeRow, ...] = ()


def build_table2(
    groups: RunGroups, score: str | None = None, lesion_ml: Sequence[float] = LIMITS, others: Sequence[Run] = ()
) -> Table2:
    """Compare the columns of every model, pairing by seed and test image.

    Args:
        groups: comparable runs, as `group_runs` chose them.
        score: name of a metric that the runs have by image, such as "aji", or with each image or group left out; None for the
            headline of each model.
        lesion_ml: between ranges of sizes of lesions.
        others: finished runs, among which those of other targets are looked for.

    Raises:
        ValueError: no runs, no model with this score, or none of the test images is in all runs of a model.
    """
    if not groups.runs:
        raise ValueError(f"no runs on {groups.data} to compare; train some first, as +sweep=table2 does")
    known = {model: columns for model, columns in groups.runs.items() if score is None or _all_have(all_runs(columns), score)}
    if not known:
        models = [all_runs(columns) for columns in groups.runs.values()]
        recorded = {name for runs in models for key in ("metrics", "left_out") for name in runs[0].metrics.get(key, {})}
        names = sorted(name for name in recorded if any(_all_have(runs, name) for runs in models))
        raise ValueError(
            f"no model of which all runs on {groups.data} have {score} by image; expected one of {', '.join(names)}"
        )
    rows = tuple(model_row(model, columns, groups.floor, score) for model, columns in known.items())
    found = {column for row in rows for column in row.entries}
    columns = tuple(column for column in TITLES if column in COLUMNS or column in found)
    lacking = [f"{model}: left out, not all of its runs have {score} by image" for model in groups.runs if model not in known]
    runs = replace(groups, runs=known).every()
    cautions = [CAUTION] if any(is_tiny(run.settings) for run in runs) else []
    cautions += sorted({str(run.metrics["confounded"]) for run in runs if run.metrics.get("confounded")})
    caution = "; ".join(cautions) or None
    classes = tuple(measure for model, of_model in known.items() for measure in class_measures(model, of_model))
    if classes:
        rows = tuple(map(_of_scans, rows))
    shared = [_ROWS] if len({groups.model_of(row) for row in known}) < len(known) else []
    notes = (*shared, *_about(runs), *lacking, *groups.left_out)
    lesions = tuple(measure for model, of_model in known.items() for measure in lesion_measures(model, of_model))
    sizes = tuple(each for model, of_model in known.items() for each in size_ranges(model, of_model, lesion_ml))
    alike = tuple(alike_rows(replace(groups, runs=known), others)) if classes else ()
    return Table2(groups.data, columns, rows, notes, caution, classes, lesions, sizes, alike)


def _of_scans(row: ModelRow) -> ModelRow:
    """A row whose texts speak of scans and patients."""
    answers = tuple(replace(answer, text=of_scans(answer.text), remedy=of_scans(answer.remedy)) for answer in row.answers)
    floor = replace(row.floor, text=of_scans(row.floor.text)) if row.floor else None
    notes = tuple(map(of_scans, row.notes))
    external = replace(row.external, title=of_scans(row.external.title)) if row.external else None
    return replace(row, units=of_scans(row.units), notes=notes, answers=answers, floor=floor, external=external)


def _all_have(runs: Sequence[Run], score: str) -> bool:
    """Whether runs can be compared by a score: all have it by image, or all over all images but those of each unit."""
    return all(run.has(score) for run in runs) or all(run.left_out(score) for run in runs)


def _about(runs: Sequence[Run]) -> Iterator[str]:
    """How the runs were trained, and what made the synthetic images."""
    names = sorted({str(run.settings["scale.name"]) for run in runs if run.settings.get("scale.name")})
    steps = {int(run.metrics["steps"]) for run in runs if run.metrics.get("steps")}
    images = {run.metrics["mix"]["real"] for run in runs if run.column == "rd"}
    parts = [f"scale={', '.join(names)}"] if names else []
    for numbers, what in ((steps, "optimiser steps a run"), (images, "real training images")):
        if numbers:
            parts.append(f"{' to '.join(map(str, sorted({min(numbers), max(numbers)})))} {what}")
    if parts:
        yield "; ".join(parts)
    generators = sorted({run.generator for run in runs if run.generator is not None})
    if generators:
        yield f"Synthetic images: generated by {', '.join(generators)}"
    yield from version_notes(runs)
