"""The closing table of a run: its score, those of the runs that stand beside it, and the published ones."""

from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from rbc_lightning.study.choose import runs_beside
from rbc_lightning.study.collect import collect_runs, version_notes
from rbc_lightning.study.run_record import Run, read_metrics
from rbc_lightning.study.tables import COLUMNS, CONTROLS, OPTIMISTIC, PAPER_TITLE, published


def outcome_table(directory: Path) -> Table:
    """The closing table of a finished run; runs to stand beside it are looked for in the same `runs_dir`.

    Raises:
        InputError: its metrics.json is damaged.
        ValueError: its record lacks what a table needs.
    """
    own = read_metrics(directory)
    found = collect_runs(directory.parent, lambda other: all(other.get(key) == own.get(key) for key in ("data", "model")))
    run = next((run for run in found.runs if run.directory == directory), None)
    if run is None:
        raise ValueError(f"{directory}: no record of a finished run; rerun=true makes it again")
    shown = runs_beside(run, found.runs)
    metric = str(run.metrics["headline"])
    about = f"{run.metrics.get('n_test', '?')} test images, {run.metrics.get('steps', '?')} steps, one seed ({run.seed})"
    about += f"; {OPTIMISTIC}" if run.optimistic else ""
    table = Table(title=f"{metric} of {run.model} on {run.data}: {about}", title_justify="left")
    table.add_column("")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    values = [_score(shown.get(column), metric, bold=column == run.column) for column in COLUMNS]
    table.add_row("this data set (bold: this run)", *values)
    paper = published(run.model, run.score)
    if paper:
        table.add_row(PAPER_TITLE, *(f"{value:.3f}" for value in paper.values()), style="dim")
    table.caption = _caption(run, metric, shown, len(found.runs) - len(shown))
    return table


def _caption(run: Run, metric: str, shown: Mapping[str, Run], hidden: int) -> str | None:
    if run.column in CONTROLS:
        return f"this run, {CONTROLS[run.column]}: {run.metrics[metric]:.4f}"
    if run.column not in COLUMNS:
        return f"this run: {run.metrics[metric]:.4f}, on a mix that is none of the five columns"
    notes = list(version_notes(list(shown.values())))
    if hidden:
        notes.append(f"{hidden} finished runs on this data with other settings or seeds are not shown")
    return "; ".join(notes) or None


def _score(run: Run | None, metric: str, *, bold: bool) -> str:
    if run is None or metric not in run.metrics:
        return "-"
    text = f"{run.metrics[metric]:.3f}"
    return f"[bold]{text}[/bold]" if bold else text
