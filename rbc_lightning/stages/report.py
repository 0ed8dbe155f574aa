"""`stage=report`: collect finished runs into S3 Table 2, with a verdict for each model, and one page that shows it all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from rbc_lightning.data.formats import write_atomically
from rbc_lightning.errors import InputError
from rbc_lightning.report.charts import bars_with_intervals, gain_chart
from rbc_lightning.report.choose import group_runs
from rbc_lightning.report.collect import Collection, Run, RunGroups, collect_runs
from rbc_lightning.report.content import Page
from rbc_lightning.report.curves import GainCurve, ratio_curve, real_images_curve
from rbc_lightning.report.curves import to_csv as curves_to_csv
from rbc_lightning.report.learning_charts import learning_chart
from rbc_lightning.report.page import render
from rbc_lightning.report.table2 import Table2, build_table2
from rbc_lightning.report.table2_text import to_csv, to_latex, to_markdown
from rbc_lightning.stages.inputs import console
from rbc_lightning.stages.reporting.cards import data_overrides, gather_cards
from rbc_lightning.stages.reporting.gallery import gather_gallery
from rbc_lightning.stages.tracking.dashboard import save_dashboard

PAGE = "report.html"
_CACHE = "predictions"
_SWEEPS = {"ratio": "the share of synthetic samples", "real_images": "the number of real images"}
_OF_OTHER_SWEEPS = ("mix.ratio", "data.n_real_images")


@dataclass(frozen=True)
class ReportResult:
    """Where the report is, of how many runs it tells, the verdicts, and the names of its tables."""

    directory: Path
    n_runs: int
    verdicts: tuple[str, ...]
    tables: tuple[str, ...]

    def summary(self) -> str:
        """The verdicts, and where to look."""
        page = f"Report of {self.n_runs} runs: open {self.directory / PAGE} in a browser; it needs no network"
        return "\n".join([*self.verdicts, page, f"Beside it: {', '.join(self.tables)}"])


def run(cfg: DictConfig) -> ReportResult:
    """Write Table 2 of the finished runs on the config's data set (Markdown, CSV, LaTeX), curves as CSV, and the page.

    Raises:
        InputError: there is no finished run on this data set, or a setting of `report` is none; `wandb=true`, and the
            dashboard cannot be saved, with the report on disk.
    """
    found, groups = _runs(cfg)
    _check_settings(cfg, groups)
    try:
        table = build_table2(groups, seed=cfg.seed)
    except ValueError as error:
        raise InputError(f"{error}; rerun=true trains a run again") from error
    directory = Path(cfg.runs_dir) / "report" / "_".join(filter(None, (cfg.data.name, cfg.report.translator)))
    sweeps = {
        "ratio": ratio_curve(found, cfg.data.name, seed=cfg.seed),
        "real_images": real_images_curve(found, cfg.data.name, seed=cfg.seed),
    }
    texts = {"table2.md": to_markdown(table), "table2.csv": to_csv(table), "table2.tex": to_latex(table)}
    texts |= {f"{name}.csv": curves_to_csv(curves) for name, curves in sweeps.items() if curves}
    for name, text in texts.items():
        _write(directory / name, text)
    page = _page(cfg, groups, table, sweeps, directory / _CACHE)
    _write(directory / PAGE, render(page))
    for line in page.missing:
        console.print(f"not in the report: {line}", markup=False, soft_wrap=True)
    verdicts = tuple(f"{row.model}: {answer.text}" for row in table.rows for answer in row.answers)
    in_table = _in_table(groups)
    save_dashboard(cfg, in_table, directory.resolve())
    return ReportResult(directory.resolve(), len(in_table), verdicts, tuple(texts))


def _runs(cfg: DictConfig) -> tuple[Sequence[Run], RunGroups]:
    """Every finished run, and those of the table; what is left out is told."""
    runs_dir = Path(cfg.runs_dir)
    found = collect_runs(runs_dir) if runs_dir.is_dir() else Collection((), ())
    names = sorted({str(run.metrics["data"]) for run in found.runs})
    for line in found.unreadable:
        console.print(f"note: {line}", markup=False, soft_wrap=True)
    if not runs_dir.is_dir():
        raise InputError(f"runs_dir={runs_dir}: no such directory; expected the one that stage=train wrote runs to")
    if cfg.data.name not in names:
        others = f"; there are runs on {', '.join(names)}: take one of them with data=... or data.name=..." if names else ""
        raise InputError(
            f"{runs_dir}: no finished run on {cfg.data.name}; expected run directories that stage=train left, or another "
            f"runs_dir=...{others}"
        )
    runs = _painted_by(found.runs, cfg.report.translator)
    # Runs of the other two sweeps have curves of their own.
    elsewhere = [run for run in runs if any(run.settings.get(key) is not None for key in _OF_OTHER_SWEEPS)]
    plain = [run for run in runs if run not in elsewhere]
    table_is_theirs = cfg.data.name not in {run.metrics["data"] for run in plain}
    groups = group_runs(runs if table_is_theirs else plain, cfg.data.name)
    if elsewhere and not table_is_theirs:
        told = f"{len(elsewhere)} runs with mix.ratio or data.n_real_images are not in the table; their sweeps have curves"
        groups = replace(groups, left_out=(*groups.left_out, told))
    for line in groups.left_out:
        console.print(f"note: {line}", markup=False, soft_wrap=True)
    return runs, groups


def _painted_by(runs: Sequence[Run], translator: str | None) -> Sequence[Run]:
    """Runs without synthetic samples, and those whose samples this translator painted; all of them for None."""
    if translator is None:
        return runs
    names = sorted({str(run.settings.get("translator.name")) for run in runs if run.metrics["mix"]["synthetic"]})
    if translator not in names:
        raise InputError(
            f"report.translator={translator}; expected the name of a translator that painted for a finished run "
            f"({', '.join(names) or 'there is none'}), or null"
        )
    return [run for run in runs if not run.metrics["mix"]["synthetic"] or run.settings.get("translator.name") == translator]


def _check_settings(cfg: DictConfig, groups: RunGroups) -> None:
    gallery, models = cfg.report.gallery, cfg.report.models
    if gallery is not None and (isinstance(gallery, bool) or not isinstance(gallery, int) or gallery < 0):
        raise InputError(f"report.gallery={gallery}; expected a number of test images, 0 for none, or null for all of them")
    if models is not None and not isinstance(models, ListConfig):
        raise InputError(f"report.models={models}; expected a list of models, as [fcn8s], or null for all of them")
    unknown = [model for model in models or () if model not in groups.runs]
    if unknown:
        known = ", ".join(groups.runs)
        raise InputError(f"report.models names {unknown[0]}, of which there is no run; expected some of {known}")


def _page(cfg: DictConfig, groups: RunGroups, table: Table2, sweeps: Mapping[str, Sequence[GainCurve]], cache: Path) -> Page:
    """Everything on the page, and what it lacks."""
    gallery = gather_gallery(cfg, groups.runs, table, cache)
    cards = gather_cards(cfg, groups.runs, gallery.records)
    runs = _in_table(groups)
    absent = [
        f"gain against {_SWEEPS[name]}: python -m rbc_lightning +sweep={name} {data_overrides(runs[0])}"
        for name, curves in sweeps.items()
        if not curves
    ]
    return Page(
        title=f"Does synthetic data help on {groups.data}?",
        table=table,
        bars=tuple(bars_with_intervals(row) for row in table.rows),
        learning=tuple(learning_chart(model, columns) for model, columns in groups.runs.items()),
        sweeps=tuple(gain_chart(curve) for curves in sweeps.values() for curve in curves),
        cards=tuple(cards.cards),
        sheets=tuple(cards.sheets),
        gallery=gallery.images,
        sources=(f"table and charts: {len(runs)} finished runs on {groups.data}", *gallery.sources, *cards.sources),
        missing=(*gallery.missing, *absent, *cards.missing),
    )


def _in_table(groups: RunGroups) -> list[Run]:
    return [run for columns in groups.runs.values() for by_seed in columns.values() for run in by_seed.values()]


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
