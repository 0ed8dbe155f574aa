"""`stage=report wandb=true`: the dashboard of a table's runs on Weights & Biases, as code."""

import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rbc_lightning.errors import InputError
from rbc_lightning.report.collect import Run
from rbc_lightning.stages.tracking.wandb_login import has_login, is_reachable, server_url
from rbc_lightning.stages.tracking.wandb_run import STEP, tell
from rbc_lightning.stages.tracking.wandb_tables import PREDICTIONS, SYNTHETIC

# Of each score its key in a run's summary and the title of its bars.
_SCORES = {
    "test/dice": "Dice on the test split",
    "test/ap50": "AP at IoU 0.5 on the test split",
    "test/ap": "AP over IoU 0.50 to 0.95 on the test split",
}
# What a run validates by, and its loss.
_CURVES = {"val/dice": "Dice on validation", "val/ap50": "AP at IoU 0.5 on validation", "train/loss": "Training loss"}
_COLUMNS = ("config:cell.value", "config:column.value", "config:model.value.name", "config:seed.value")
_SECONDS_TO_SAVE = 30.0


def save_dashboard(cfg: DictConfig, runs: Sequence[Run], written: Path) -> None:
    """Save the dashboard of these runs where `wandb=true` asks for it; the report itself is on disk by then.

    Args:
        cfg: the whole configuration.
        runs: of the table.
        written: directory of the report.

    Raises:
        InputError: wandb-workspaces is not installed, there is no login, or the server does not answer.
    """
    if not cfg.wandb:
        return
    done = f"; the report itself is written: {written}"
    _check(done)
    project = str(OmegaConf.select(cfg, "logger.project", default="rbc_lightning"))
    found: dict[str, str] = {}

    def save() -> None:
        import wandb

        entity = OmegaConf.select(cfg, "logger.entity") or wandb.Api().default_entity
        workspace = build_workspace(str(entity), project, cfg.data.name, runs)
        found["url"] = workspace.save().url

    error = _within(_SECONDS_TO_SAVE, save)
    if error is not None:
        raise InputError(f"wandb=true: the dashboard could not be saved ({error}){done}")
    tell(f"Dashboard: {found['url']}")
    for line in not_uploaded(runs):
        tell(f"note: {line}")


def build_workspace(entity: str, project: str, data: str, runs: Sequence[Run]) -> Any:  # noqa: ANN401 (an optional package)
    """The dashboard: bars of every score by model and column, learning curves, tables of images, the runs; no network.

    Bars and curves are means over seeds; their whiskers and bands are one standard deviation over seeds. The bootstrap
    intervals over test images are in the report.

    Args:
        entity: user or team.
        project: of the runs.
        data: name of the data set.
        runs: of the table; they say which scores and which sweeps there are.

    Returns:
        A `wandb_workspaces.workspaces.Workspace`.
    """
    blocks, ws, expr = (import_module(f"wandb_workspaces.{name}") for name in ("reports.v2", "workspaces", "expr"))
    by_cell: dict[str, Any] = {
        "groupby": blocks.Config("cell"),
        "groupby_aggfunc": "mean",
        "groupby_rangefunc": "stddev",
    }
    scores = _known(_SCORES, runs)
    bars = [
        blocks.BarPlot(
            title=f"{title}: mean and deviation over seeds", metrics=[key], orientation="h", max_bars_to_show=50, **by_cell
        )
        for key, title in scores.items()
    ]
    curves = [
        blocks.LinePlot(title=title, x=STEP, y=[key], title_x="training steps", **by_cell)
        for key, title in {**_known(_CURVES, runs), "train/loss": _CURVES["train/loss"]}.items()
    ]
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
            groupby=[expr.Config("cell")],
            pinned_columns=[*_COLUMNS, *(f"summary:{key}" for key in scores)],
        ),
    )


def not_uploaded(runs: Sequence[Run]) -> list[str]:
    """One line for the runs that the dashboard cannot show, with what to do about them."""
    unknown = [run for run in runs if not (run.directory / "wandb").is_dir()]
    offline = [part for run in runs for part in run.directory.glob("wandb/offline-run-*") if not any(part.glob("*.synced"))]
    lines = []
    if unknown:
        lines.append(
            f"{len(unknown)} of {len(runs)} runs were trained without logger=wandb and are not on the dashboard, such as "
            f"{unknown[0].directory.name}"
        )
    if offline:
        places = sorted({str(part.parents[2].resolve()) for part in offline})
        commands = " ".join(f"{place}/*/wandb/offline-run-*" for place in places)
        lines.append(f"{len(offline)} recordings were made offline; upload them with: wandb sync {commands}")
    return lines


def _check(done: str) -> None:
    """Refuse what cannot be saved, before anything is sent."""
    try:
        import_module("wandb_workspaces.workspaces")
    except ImportError as error:
        raise InputError(
            f"wandb=true needs the package wandb-workspaces: install it (pip install wandb-workspaces){done}"
        ) from error
    url = server_url()
    if not has_login(url):
        raise InputError(f"wandb=true needs a login at {url}: run `wandb login`, or set WANDB_API_KEY{done}")
    if not is_reachable(url):
        raise InputError(f"wandb=true: {url} does not answer; try again with a connection{done}")


def _filters(expr: Any, data: str, runs: Sequence[Run]) -> Any:  # noqa: ANN401 (an optional package)
    """Trainings on this data set; of their sweeps alone, where every run belongs to one."""
    filters = [expr.Metric("JobType") == "train", expr.Config("dataset") == data]
    groups = {run.settings.get("logger.group") for run in runs}
    if None not in groups:
        filters.append(expr.Metric("Group").isin(sorted(map(str, groups))))
    return expr.And(*filters)


def _known(titles: Mapping[str, str], runs: Sequence[Run]) -> dict[str, str]:
    """Those that at least one run has."""
    return {key: title for key, title in titles.items() if any(key in run.metrics for run in runs)}


def _within(seconds: float, action: Callable[[], None]) -> str | None:
    """Do it in so many seconds; returns what went wrong, or None."""
    failures: list[str] = []

    def attempt() -> None:
        try:
            action()
        except Exception as error:
            failures.append(" ".join(f"{type(error).__name__}: {error}".split()))

    # A thread, since the library's own calls repeat for minutes what the server does not answer.
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return f"no answer within {seconds:.0f} s"
    return failures[0] if failures else None
