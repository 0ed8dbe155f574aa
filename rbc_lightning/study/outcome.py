"""The closing table of a run: its score, those of the runs that stand beside it, and the published ones."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.table import Table

from rbc_lightning.study.choose import floor_beside, runs_beside
from rbc_lightning.study.classes import has_classes, of_scans
from rbc_lightning.study.collect import collect_runs, version_notes
from rbc_lightning.study.run_record import Run, read_metrics
from rbc_lightning.study.tables import COLUMNS, CONFOUNDED, CONTROLS, OPTIMISTIC, PAPER_TITLE, WITHOUT_TRAINING, published

_NOTHING = "test/nothing_"


def outcome_table(directory: Path) -> Table:
    """The closing table of a finished run; runs to stand beside it are looked for in the same `runs_dir`.

    Raises:
        InputError: its metrics.json is damaged.
        ValueError: its record lacks what a table needs.
    """
    own = read_metrics(directory)
    found = collect_runs(
        directory.parent,
        lambda other: (
            other.get("data") == own.get("data")
            and (other.get("model") == own.get("model") or other.get("column") == WITHOUT_TRAINING)
        ),
    )
    run = next((run for run in found.runs if run.directory == directory), None)
    if run is None:
        raise ValueError(f"{directory}: no record of a finished run; rerun=true makes it again")
    shown = runs_beside(run, found.runs)
    floor = floor_beside([run], found.runs).get(run.seed)
    metric = str(run.metrics["headline"])
    about = f"{run.metrics.get('n_test', '?')} test images, {run.metrics.get('steps', '?')} steps, one seed ({run.seed})"
    about += f"; {OPTIMISTIC}" if run.optimistic else ""
    about += f"; {CONFOUNDED}" if run.metrics.get("confounded") else ""
    about = of_scans(about) if has_classes([run]) else about
    table = Table(title=f"{metric} of {run.model} on {run.data}: {about}", title_justify="left")
    table.add_column("")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    values = [_score(shown.get(column), metric, bold=column == run.column) for column in COLUMNS]
    table.add_row("this data set (bold: this run)", *values)
    paper = published(run.model, run.score)
    if paper:
        table.add_row(PAPER_TITLE, *(f"{value:.3f}" for value in paper.values()), style="dim")
    hidden = sum(other.model == run.model for other in found.runs) - len(shown)
    notes = [*_about_run(run, metric), *_floor_line(floor, metric), *_beside_nothing(run)]
    notes += _about_others(shown, hidden) if run.column in COLUMNS else []
    table.caption = "; ".join(notes) or None
    return table


def _about_run(run: Run, metric: str) -> Iterator[str]:
    """A run that is in none of the columns."""
    if run.column in CONTROLS:
        yield f"this run, {CONTROLS[run.column]}: {run.metrics[metric]:.4f}"
    elif run.column not in COLUMNS and run.column != WITHOUT_TRAINING:
        yield f"this run: {run.metrics[metric]:.4f}, on a mix that is none of the five columns"


def _floor_line(floor: Run | None, metric: str) -> Iterator[str]:
    if floor is not None and metric in floor.metrics:
        yield f"without training: {floor.metrics[metric]:.3f}"


def _beside_nothing(run: Run) -> Iterator[str]:
    """Scores of classes, each beside that of the answer "background" everywhere, which can be high."""
    names = [key.removeprefix(_NOTHING) for key in run.metrics if key.startswith(_NOTHING)]
    scores = [f"{run.title(name)} {run.whole(name):.3f} ({run.whole(f'nothing_{name}'):.3f})" for name in names]
    if scores:
        yield f'{", ".join(scores)}; in brackets what the answer "background" everywhere scores'


def _about_others(shown: Mapping[str, Run], hidden: int) -> list[str]:
    notes = list(version_notes(list(shown.values())))
    if hidden:
        notes.append(f"{hidden} finished runs on this data with other settings or seeds are not shown")
    return notes


def _score(run: Run | None, metric: str, *, bold: bool) -> str:
    if run is None or metric not in run.metrics:
        return "-"
    text = f"{run.metrics[metric]:.3f}"
    return f"[bold]{text}[/bold]" if bold else text
