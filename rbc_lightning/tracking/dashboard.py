"""`stage=report wandb=true`: the dashboard of a table's runs on Weights & Biases, as code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbc_lightning.core.progress import tell
from rbc_lightning.errors import InputError
from rbc_lightning.tracking.base import require
from rbc_lightning.tracking.wandb_login import has_login, is_reachable, server_url, within
from rbc_lightning.tracking.wandb_run import STEP
from rbc_lightning.tracking.wandb_tables import PREDICTIONS, SYNTHETIC

if TYPE_CHECKING:
    from rbc_lightning.study.run_record import Run

_LOSS = {"train/loss": "Training loss"}
# An entry of the table is a model and a column; see the facts that a training gives its run.
_ENTRY = "entry"
_COLUMNS = (f"config:{_ENTRY}.value", "config:column.value", "config:model.value.name", "config:seed.value")
_SECONDS_TO_SAVE = 30.0


def save_dashboard(project: str, entity: str | None, data: str, runs: Sequence[Run], written: Path) -> None:
    """Save the dashboard of these runs; the report itself is on disk by then.

    Args:
        project: of the runs.
        entity: user or team; None for the login's own.
        data: name of the data set.
        runs: of the table.
        written: directory of the report.

    Raises:
        InputError: wandb or wandb-workspaces is not installed, there is no login, or the server does not answer.
    """
    done = f"; the report itself is written: {written}"
    for package in ("wandb", "wandb-workspaces"):
        require(package, "wandb=true", done)
    url = server_url()
    if not has_login(url):
        raise InputError(f"wandb=true needs a login at {url}: run `wandb login`, or set WANDB_API_KEY{done}")
    if not is_reachable(url):
        raise InputError(f"wandb=true: {url} does not answer; try again with a connection{done}")
    found: dict[str, str] = {}

    def save() -> None:
        import wandb

        found["url"] = build_workspace(str(entity or wandb.Api().default_entity), project, data, runs).save().url

    # The library's own calls repeat for minutes what the server does not answer.
    error = within(_SECONDS_TO_SAVE, save)
    if error is not None:
        raise InputError(f"wandb=true: the dashboard could not be saved ({error}){done}")
    tell(f"Dashboard: {found['url']}")
    for line in not_uploaded(runs):
        tell(f"note: {line}")


def build_workspace(entity: str, project: str, data: str, runs: Sequence[Run]) -> Any:  # noqa: ANN401 (an optional package)
    """The dashboard, a `wandb_workspaces.workspaces.Workspace`, for arguments as those of `save_dashboard`. No network.

    Bars of every score by model and column, learning curves, tables of images, the runs. Bars and curves are means over
    seeds; their whiskers and bands are one standard deviation. The bootstrap intervals over test images are in the report.
    """
    blocks, ws, expr = (import_module(f"wandb_workspaces.{name}") for name in ("reports.v2", "workspaces", "expr"))
    over_seeds = {"groupby": blocks.Config(_ENTRY), "groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
    bar, line = {"orientation": "h", "max_bars_to_show": 50, **over_seeds}, {"title_x": "training steps", **over_seeds}
    scores, held_out = _known("test", "on the test split", runs), _known("val", "on validation", runs)
    shown = {key: f"{title}: mean and deviation over seeds" for key, title in scores.items()}
    bars = [blocks.BarPlot(title=title, metrics=[key], **bar) for key, title in shown.items()]
    curves = [blocks.LinePlot(title=title, x=STEP, y=[key], **line) for key, title in {**held_out, **_LOSS}.items()]
    tables = [blocks.WeavePanelSummaryTable(table_name=name) for name in (PREDICTIONS, SYNTHETIC)]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"Synthetic data on {data}",
        sections=[
            ws.Section(name="Scores by column", panels=bars, is_open=True),
            ws.Section(name="Learning curves", panels=curves, is_open=True),
            ws.Section(name="Predictions and synthetic samples", panels=tables, is_open=False),
            ws.Section(name="All runs", panels=[blocks.RunComparer(diff_only=True)], is_open=False),
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=_filters(expr, data, runs),
            groupby=[expr.Config(_ENTRY)],
            pinned_columns=[*_COLUMNS, *(f"summary:{key}" for key in scores)],
        ),
    )


def not_uploaded(runs: Sequence[Run]) -> list[str]:
    """One line for the runs that the dashboard cannot show, with what to do about them."""
    unknown = [run.directory.name for run in runs if not (run.directory / "wandb").is_dir()]
    offline = [part for run in runs for part in run.directory.glob("wandb/offline-run-*") if not any(part.glob("*.synced"))]
    lines = []
    if unknown:
        count = f"{len(unknown)} of {len(runs)} runs"
        lines.append(f"{count} were trained without logger=wandb and are not on the dashboard, such as {unknown[0]}")
    if offline:
        places = sorted({str(part.parents[2].resolve()) for part in offline})
        commands = " ".join(f"{place}/*/wandb/offline-run-*" for place in places)
        lines.append(f"{len(offline)} recordings were made offline; upload them with: wandb sync {commands}")
    return lines


def _filters(expr: Any, data: str, runs: Sequence[Run]) -> Any:  # noqa: ANN401 (an optional package)
    """Trainings on this data set; of their sweeps alone, where every run belongs to one."""
    filters = [expr.Metric("JobType") == "train", expr.Config("dataset") == data]
    groups = {run.settings.get("logger.group") for run in runs}
    if None not in groups:
        filters.append(expr.Metric("Group").isin(sorted(map(str, groups))))
    return expr.And(*filters)


def _known(part: str, where: str, runs: Iterable[Run]) -> dict[str, str]:
    """Keys of the metrics that at least one run has of a part ("test", "val"), with the titles of their charts."""
    known = ((name, about, run.metrics) for run in runs for name, about in run.metrics.get("metrics", {}).items())
    return {f"{part}/{name}": f"{about['title']} {where}" for name, about, metrics in known if f"{part}/{name}" in metrics}
