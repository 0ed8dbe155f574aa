"""The closing table of a run: its score, those of the runs that stand beside it, and the published ones."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from rbc_lightning.study.choose import floor_beside, runs_beside
from rbc_lightning.study.classes import EVERYWHERE, class_scores, has_classes, of_scans
from rbc_lightning.study.collect import collect_runs, version_notes
from rbc_lightning.study.lesions import LIMITS, lesion_lines
from rbc_lightning.study.run_record import Run, read_metrics
from rbc_lightning.study.tables import (
    CAUTION,
    COLUMNS,
    CONFOUNDED,
    CONTROLS,
    OPTIMISTIC,
    PAPER_TITLE,
    WITHOUT_TRAINING,
    external_title,
    is_tiny,
    published,
    sentence,
)

_NOTHING, _EXTERNAL = "test/nothing_", "external/"


def outcome_table(directory: Path, lesion_ml: Sequence[float] = LIMITS) -> Table:
    """The closing table of a finished run; runs to stand beside it are looked for in the same `runs_dir`.

    Args:
        directory: of the run.
        lesion_ml: between ranges of sizes of lesions.

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
    table = Table(title="\n".join(_title(run, metric)), title_justify="left", caption_justify="left")
    table.add_column("")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    values = [_score(shown.get(column), metric, bold=column == run.column) for column in COLUMNS]
    table.add_row("this data set (bold: this run)", *values)
    paper = published(run.model, run.score)
    if paper:
        table.add_row(PAPER_TITLE, *(f"{value:.3f}" for value in paper.values()), style="dim")
    hidden = [other for other in found.runs if other.model == run.model and other not in shown.values()]
    notes = [*_about_run(run, metric), *_floor_line(floor, run.score), *lesion_lines(run, lesion_ml), *_beside_nothing(run)]
    notes += _external_line(run)
    notes += _about_others(run, shown, hidden) if run.column in COLUMNS else []
    table.caption = "\n".join(notes) or None
    return table


def _title(run: Run, metric: str) -> Iterator[str]:
    """What the figures are of, and what is to be known before one is read."""
    n_test, folds = run.metrics.get("n_test", "?"), run.settings.get("data.folds")
    about = f"{n_test} test image{'' if n_test == 1 else 's'}, {run.metrics.get('steps', '?')} steps, one seed ({run.seed})"
    about += "" if run.fold is None else f", fold {run.fold + 1} of {folds} (data.fold={run.fold})"
    about += f"; {OPTIMISTIC}" if run.optimistic else ""
    about += f"; {CONFOUNDED}" if run.metrics.get("confounded") else ""
    yield f"{metric} of {run.model} on {run.data}: {of_scans(about) if has_classes([run]) else about}"
    if is_tiny(run.settings):
        yield f"[bold]{sentence(CAUTION)}[/bold]"


def _about_run(run: Run, metric: str) -> Iterator[str]:
    """A run that is in none of the columns."""
    if run.column in CONTROLS:
        yield f"this run, {CONTROLS[run.column]}: {run.metrics[metric]:.4f}"
    elif run.column not in COLUMNS and run.column != WITHOUT_TRAINING:
        yield f"this run: {run.metrics[metric]:.4f}, on a mix that is none of the five columns"


def _floor_line(floor: Run | None, score: str) -> Iterator[str]:
    if floor is not None and f"test/{score}" in floor.metrics:
        yield f"without training ({floor.floor_name}): {_scores(floor, {score: score})}"


def _beside_nothing(run: Run) -> Iterator[str]:
    """Scores of classes, and below them those of the answer "background" everywhere, which can be high."""
    names = [key.removeprefix(_NOTHING) for key in run.metrics if key.startswith(_NOTHING)]
    single = class_scores(run)
    if names:
        yield f"this run: {_scores(run, {name: name for name in (*names, *(single if len(single) > 1 else ()))})}"
        yield f"{EVERYWHERE}: {_scores(run, {name: f'nothing_{name}' for name in names})}"


def _scores(run: Run, measured: Mapping[str, str]) -> str:
    """Scores by the names that titles are known of."""
    return ", ".join(f"{run.title(name)} {run.whole(recorded):.3f}" for name, recorded in measured.items())


def _external_line(run: Run) -> Iterator[str]:
    """The score on images of another source, which is no part of any other figure."""
    score = run.metrics.get(f"{_EXTERNAL}{run.score}")
    if run.external and score is not None:
        title = external_title(len(run.external))
        yield f"{of_scans(title) if has_classes([run]) else title}, apart from the test: {run.title(run.score)} {score:.3f}"


def _about_others(run: Run, shown: Mapping[str, Run], hidden: Sequence[Run]) -> Iterator[str]:
    yield from version_notes(list(shown.values()))
    folds = [other for other in hidden if other.fold is not None and other.fold != run.fold]
    if folds and run.fold is not None:
        yield f"{_counted(folds)} of other folds {_are(folds)} not shown; stage=report joins the folds"
    others = [other for other in hidden if run.fold is None or other not in folds]
    if others:
        yield f"{_counted(others)} on this data with other settings or seeds {_are(others)} not shown"


def _counted(runs: Sequence[Run]) -> str:
    return f"{len(runs)} finished run{'' if len(runs) == 1 else 's'}"


def _are(runs: Sequence[Run]) -> str:
    return "is" if len(runs) == 1 else "are"


def _score(run: Run | None, metric: str, *, bold: bool) -> str:
    if run is None or metric not in run.metrics:
        return "-"
    text = f"{run.metrics[metric]:.3f}"
    return f"[bold]{text}[/bold]" if bold else text
