"""Tables of outcomes: the five columns of S3 Table 2, this run's, its finished siblings', and the paper's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

COLUMNS = {"rd": "RD", "sd": "SD", "rd_aug": "RD+aug", "rd_sd": "RD+SD", "rd_sd_aug": "RD+SD+aug"}
CONTROLS = {"rd_large": "RD repeated to the size of the large columns", "sd_large": "SD at the size of the large columns"}

# Bailo et al. 2019, Table 2, in the order of COLUMNS: Dice of FCN-8s, AP of the others.
PAPER = {
    "fcn8s": (0.961, 0.848, 0.962, 0.948, 0.964),
    "faster_rcnn": (0.781, 0.852, 0.985, 0.986, 0.993),
    "dcan": (0.853, 0.749, 0.885, 0.848, 0.895),
}
# Behind every figure of a run whose weights were chosen on the test split, as S3 did.
OPTIMISTIC = "optimistic: weights chosen on the test split"
_SAME = ("data", "data_hash", "model", "seed")


def outcome_table(metrics: Mapping[str, Any], runs_dir: Path) -> Table:
    """The closing table of a run.

    Args:
        metrics: this run's metrics.json.
        runs_dir: where finished siblings (same data and settings, another column) are looked for.
    """
    metric = metrics.get("headline", "test/dice")
    paper = PAPER.get(metrics["model"])
    found = siblings(metrics, runs_dir) | {metrics["column"]: dict(metrics)}
    about = f"{metrics.get('n_test', '?')} test images, {metrics.get('steps', '?')} steps, one seed ({metrics['seed']})"
    if metrics.get("optimistic"):
        about += f"; {OPTIMISTIC}"
    table = Table(title=f"{metric} of {metrics['model']} on {metrics['data']}: {about}", title_justify="left")
    table.add_column("")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    values = [_cell(found.get(column), metric, bold=column == metrics["column"]) for column in COLUMNS]
    table.add_row("this data set (bold: this run)", *values)
    if paper:
        table.add_row("Bailo et al. 2019 (another data set: not comparable)", *(f"{value:.3f}" for value in paper), style="dim")
    hidden = _hidden(metrics, found, runs_dir)
    if hidden:
        table.caption = f"{hidden} finished runs on this data with other settings or seeds are not shown"
    column = metrics["column"]
    if column in CONTROLS:
        table.caption = f"this run, {CONTROLS[column]}: {metrics[metric]:.4f}"
    elif column not in COLUMNS:
        table.caption = f"this run: {metrics[metric]:.4f}, on a mix that is none of the five columns"
    return table


def _hidden(metrics: Mapping[str, Any], shown: Mapping[str, Any], runs_dir: Path) -> int:
    """How many finished runs on the same data with the same model the table leaves out."""
    others = [run for run in _finished(runs_dir) if all(run.get(key) == metrics.get(key) for key in ("data", "model"))]
    return max(0, len(others) - len(shown))


def siblings(metrics: Mapping[str, Any], runs_dir: Path) -> dict[str, dict[str, Any]]:
    """Finished runs that differ from this one, and from each other, in the column alone; the newest where there are several."""
    found: dict[str, dict[str, Any]] = {}
    for other in reversed(_finished(runs_dir)):
        same = other.get("column") not in found and all(other.get(key) == metrics.get(key) for key in _SAME)
        # The columns of a sweep over ratios have other shares than those of the same names in Table 2.
        same = same and bool(other.get("ratio")) == bool(metrics.get("ratio"))
        # Beside a run without synthetic samples stands one translator, not one for each column.
        if same and all(_comparable(other, shown) for shown in (metrics, *found.values())):
            found[other["column"]] = other
    return found


def _finished(runs_dir: Path) -> list[dict[str, Any]]:
    """The metrics of all finished runs, oldest first; what cannot be read is no finished run."""
    finished: list[tuple[float, str, dict[str, Any]]] = []
    for path in Path(runs_dir).glob("*/metrics.json"):
        try:
            # Another cell of a sweep may be taking its directory away.
            found = path.stat().st_mtime, path.parent.name, json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(found[2], dict):
            finished.append(found)
    return [metrics for *_, metrics in sorted(finished, key=lambda found: found[:2])]


def _comparable(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two runs agree in all settings that both use."""
    ours, theirs = first.get("identity", {}), second.get("identity", {})
    return all(None in (ours.get(key), theirs.get(key)) or ours[key] == theirs[key] for key in ("augment", "synthetic")) and (
        ours.get("base") == theirs.get("base")
    )


def _cell(metrics: Mapping[str, Any] | None, metric: str, *, bold: bool) -> str:
    if metrics is None or metric not in metrics:
        return "-"
    text = f"{metrics[metric]:.3f}"
    return f"[bold]{text}[/bold]" if bold else text
