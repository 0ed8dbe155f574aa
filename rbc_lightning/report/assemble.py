"""A report assembled from finished runs: Table 2 with a verdict for each model, curves, and one page that shows it all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rbc_lightning.core.files import write_text
from rbc_lightning.core.progress import tell
from rbc_lightning.errors import InputError
from rbc_lightning.report.page.bars import bars_with_intervals
from rbc_lightning.report.page.cards import add_cards
from rbc_lightning.report.page.content import Chart, Page
from rbc_lightning.report.page.gain_charts import gain_chart
from rbc_lightning.report.page.gallery import RunAccess, add_gallery
from rbc_lightning.report.page.learning_charts import learning_chart
from rbc_lightning.report.page.page import render
from rbc_lightning.report.page.proposals import proposal
from rbc_lightning.study.choose import RunGroups, group_runs
from rbc_lightning.study.classes import to_csv as classes_to_csv
from rbc_lightning.study.collect import collect_runs
from rbc_lightning.study.comparable import runs_asked_for
from rbc_lightning.study.curves import ALONG, gain_curves
from rbc_lightning.study.curves import to_csv as curves_to_csv
from rbc_lightning.study.lesions import LIMITS, check_limits, sizes_csv
from rbc_lightning.study.luck import Luck, left_out_for_good, luck_of
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.table2 import build_table2
from rbc_lightning.study.table2_text import to_csv, to_latex, to_markdown, worded
from rbc_lightning.study.tables import sentence

PAGE = "report.html"
_CACHE = "predictions"


@dataclass(frozen=True)
class ReportSettings:
    """The settings `report.*`.

    Args:
        gallery: test images on the page; None for all, 0 for none.
        translator: name of one, where runs with several are there: its runs with synthetic data alone.
        models: those whose predictions lie over the test images; None for every model of the table.
        score: name of a metric that the runs have by image, such as "aji", or over all images but those of each unit; None for
            the headline of each model.
        lesion_ml: ml between the ranges of sizes that lesions are counted in.

    Raises:
        InputError: a value is refused.
    """

    gallery: int | None = None
    translator: str | None = None
    models: Sequence[str] | None = None
    score: str | None = None
    lesion_ml: Sequence[float] = LIMITS

    def __post_init__(self) -> None:
        check_limits(self.lesion_ml)
        gallery, models = self.gallery, self.models
        if gallery is not None and (isinstance(gallery, bool) or not isinstance(gallery, int) or gallery < 0):
            raise InputError(f"report.gallery={gallery}; expected a number of test images, 0 for none, or null for all of them")
        if models is not None and not isinstance(models, list | tuple):
            raise InputError(f"report.models={models}; expected a list of models, as [fcn8s], or null for all of them")


@dataclass(frozen=True)
class ReportResult:
    """Where the report is, the runs of its table, its verdicts and what else is said of them, and the names of its tables."""

    directory: Path
    runs: tuple[Run, ...]
    verdicts: tuple[str, ...]
    tables: tuple[str, ...]

    def summary(self) -> str:
        """The verdicts, and where to look."""
        page = f"Report of {len(self.runs)} runs: open {self.directory / PAGE} in a browser; it needs no network"
        return "\n".join([*self.verdicts, page, f"Beside it: {', '.join(self.tables)}"])


def make_report(
    settings: ReportSettings,
    access: RunAccess,
    *,
    data: str,
    runs_dir: Path,
    artifacts_dir: Path,
    given: Mapping[str, Any] | None = None,
) -> ReportResult:
    """Write Table 2 of the finished runs on a data set (Markdown, CSV, LaTeX), curves as CSV, and the page.

    Args:
        settings: `report.*`.
        access: reads test samples and synthetic pairs, and predicts.
        data: name of the data set.
        runs_dir: of the run directories; the report is written to `report/` in it.
        artifacts_dir: where cards and sheets are looked for first.
        given: settings of `data` that tell this data set from others of its name, flat: "data.folds" -> 5.

    Raises:
        InputError: there is no finished run on this data set, or a setting of `report` names what is not there.
    """
    found, groups, luck = _runs(settings, data, runs_dir, given or {})
    unknown = [model for model in settings.models or () if not any(model in (row, groups.model_of(row)) for row in groups.runs)]
    if unknown:
        known = ", ".join(groups.runs)
        raise InputError(f"report.models names {unknown[0]}, of which there is no run; expected some of {known}")
    try:
        table = build_table2(groups, settings.score, settings.lesion_ml, found)
    except ValueError as error:
        setting = "" if settings.score is None else f"report.score={settings.score}: "
        raise InputError(f"{setting}{error}; rerun=true trains a run again") from error
    table = replace(table, rows=tuple(replace(row, luck=luck[row.model].notes) for row in table.rows))
    # Models without the score have no place in the rest of the report either.
    groups = replace(groups, runs={row.model: groups.runs[row.model] for row in table.rows})
    sweeps = {sweep: gain_curves(sweep, found, data, settings.score) for sweep in ALONG}
    directory = runs_dir / "report" / "_".join(filter(None, (data, settings.translator, settings.score)))
    texts = {"table2.md": to_markdown(table), "table2.csv": to_csv(table), "table2.tex": to_latex(table)}
    texts |= {"classes.csv": classes_to_csv((*table.classes, *table.lesions), data)} if table.classes else {}
    texts |= {"lesions_by_size.csv": sizes_csv(table.sizes, data)} if table.sizes else {}
    texts |= {f"{name}.csv": curves_to_csv(curves) for name, curves in sweeps.items() if curves}
    for name, text in texts.items():
        write_text(directory / name, text)
    runs = groups.every()

    def said(charts: Sequence[Chart]) -> list[Chart]:
        return [replace(one, svg=worded(table, one.svg), caption=worded(table, one.caption)) for one in charts]

    page = Page(
        title=f"Does synthetic data help on {data}?",
        table=table,
        bars=said([bars_with_intervals(row) for row in table.rows]),
        learning=said([learning_chart(model, columns) for model, columns in groups.runs.items()]),
        sweeps=said([gain_chart(curve) for curves in sweeps.values() for curve in curves]),
        sources=[f"table and charts: {len(runs)} finished runs on {data}"],
    )
    names = settings.models
    shown = {row: of for row, of in groups.runs.items() if names is None or row in names or groups.model_of(row) in names}
    samples = add_gallery(page, access, shown, directory / _CACHE, settings.gallery)
    page.missing += filter(None, (proposal(sweep, runs) for sweep in ALONG if not sweeps[sweep]))
    add_cards(page, access, artifacts_dir, runs, samples)
    write_text(directory / PAGE, render(page))
    for line in page.missing:
        tell(f"not in the report: {line}")
    lines = [sentence(table.caution)] if table.caution else []
    lines += [f"{row.model}: {text}" for row in table.rows for text in row.told]
    return ReportResult(directory.resolve(), tuple(runs), tuple(lines), tuple(texts))


def _runs(
    settings: ReportSettings, data: str, runs_dir: Path, given: Mapping[str, Any]
) -> tuple[Sequence[Run], RunGroups, dict[str, Luck]]:
    """Every finished run, those of the table, and the luck of each model; what is left out is printed."""
    collection = collect_runs(runs_dir)
    for line in collection.notes:
        tell(f"note: {line}")
    names = sorted({run.data for run in collection.runs})
    if data not in names:
        others = f"; there are runs on {', '.join(names)}: take one of them with data=... or data.name=..." if names else ""
        raise InputError(
            f"{runs_dir}: no finished run on {data}; expected run directories that stage=train left, or another "
            f"runs_dir=...{others}"
        )
    asked, notes = runs_asked_for(collection.runs, data, given)
    for line in notes:
        tell(f"note: {line}")
    runs = _generated_by(asked, settings.translator)
    groups = group_runs(runs, data)
    luck = {row: luck_of(groups.of_row(row, runs), groups.model_of(row), data, settings.score) for row in groups.runs}
    used = [run for found in luck.values() for run in found.runs]
    groups = replace(groups, left_out=left_out_for_good(groups, used))
    for line in groups.left_out:
        tell(f"note: {line}")
    return runs, groups, luck


def _generated_by(runs: Sequence[Run], translator: str | None) -> Sequence[Run]:
    """Runs without synthetic samples, and those whose samples this translator or source of pairs made; all of them for None."""
    if translator is None:
        return runs
    names = sorted({run.generator for run in runs if run.generator is not None})
    if translator not in names:
        raise InputError(
            f"report.translator={translator}; expected the name of a translator, or source of pairs, that generated images for "
            f"a finished run ({', '.join(names) or 'there is none'}), or null"
        )
    return [run for run in runs if run.generator in (None, translator)]
