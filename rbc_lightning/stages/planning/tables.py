"""The plan as tables for the terminal and as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.table import Table

from rbc_lightning.report.tables import COLUMNS, CONTROLS
from rbc_lightning.stages.inputs import console
from rbc_lightning.stages.planning.cost import Cost
from rbc_lightning.stages.planning.schedule import Plan
from rbc_lightning.stages.planning.work import GANS, SYNTHETIC, TRAIN, TRANSLATOR
from rbc_lightning.stages.run_directory import write_csv, write_json

_NAMES = {
    "shape_bank": ("shape bank", "images"),
    "layout_fit": ("fit of the sampler", "masks"),
    "gan_stage1": ("GAN, stage 1", "steps"),
    "gan_stage2": ("GAN, stage 2", "steps"),
    "pix2pix": ("Pix2Pix", "steps"),
    "judge": ("judge of painted images", "steps"),
    "translator": ("styles and surfaces", "images"),
    "synthetic": ("synthetic pairs", "pairs"),
    "train": ("training", "steps"),
}
# What differs from one translator to another.
_OF_TRANSLATORS = (*GANS, TRANSLATOR, SYNTHETIC)
_FIELDS = (
    "kind",
    "model",
    "translator",
    "column",
    "real",
    "synthetic",
    "augmented",
    "seed",
    "key",
    "unit",
    "units",
    "done",
    "seconds_per_unit",
    "timed_units",
    "seconds",
    "memory_bytes",
    "gpu_memory_bytes",
    "disk_bytes",
    "problem",
)
_NOT_COUNTED = (
    "Not counted: starting Python, figures, other programs on the machine, cells that share its memory and cores. Networks "
    "were timed untrained: with a trained one, finding cells in test images may take longer or shorter."
)
_SHEETS = "sheets and quality cards, which stage=translator makes anew each time"


def print_plan(plan: Plan) -> None:
    """Print the trainings by model and column, what they share, and what it comes to."""
    if _trains(plan):
        console.print(_training_table(plan))
    if any(work.kind != TRAIN for cell in plan.cells for work in cell.works):
        console.print(_shared_table(plan))
    for line in summary_lines(plan):
        console.print(line, soft_wrap=True, markup=False)


def write_plan(plan: Plan, directory: Path) -> None:
    """Write `plan.csv`, one row for each thing, and `plan.json` with the sums, each atomically."""
    rows = [_row(cost) for cost in plan.costs.values()]
    write_csv(directory / "plan.csv", _FIELDS, ([row[name] for name in _FIELDS] for row in rows))
    totals = {
        "name": plan.name,
        "cells": len(plan.cells),
        "device_seconds": plan.device_seconds,
        "wall_seconds": plan.wall_seconds,
        "launcher": plan.place.launcher,
        "cells_at_once": plan.place.cells,
        "processes_per_cell": plan.processes,
        "memory_bytes": _peak(plan.costs.values(), "memory"),
        "gpu_memory_bytes": _peak(plan.costs.values(), "gpu_memory"),
        "disk_bytes": sum(cost.disk for cost in plan.costs.values()),
        "machine": dict(plan.machine),
        "problems": plan.problems,
        "works": rows,
    }
    write_json(directory / "plan.json", totals)


def summary_lines(plan: Plan) -> list[str]:
    """Sums, what was measured on, and what is left out, one line each."""
    costs = list(plan.costs.values())
    device = "GPU" if _peak(costs, "gpu_memory") else "device"
    without = " without what could not be timed" if plan.problems else ""
    at_once = f"{plan.place.cells} cell{'s' * (plan.place.cells > 1)} at once (hydra/launcher={plan.place.launcher})"
    # Translators that stage=translator makes, with what it paints and measures besides.
    sheets = "" if all(cell.training for cell in plan.cells) else f"Not counted: {_SHEETS}."
    if sheets and any(cost.work.left and cost.work.cfg.translator.choose == "quality" for cost in costs):
        sheets = f"{sheets[:-1]}; the choice among checkpoints."
    if not any(cost.work.left for cost in costs):
        return ["Nothing is left to do: all of it is finished.", *([sheets] if sheets else [])]
    lines = [
        f"In all{without}: {hours(plan.device_seconds)} of {device} time; {hours(plan.wall_seconds)} until the last is done, "
        f"with {at_once}",
    ]
    if _peak(costs, "memory"):
        lines.append(
            f"A cell needs up to {gigabytes(_peak(costs, 'memory'))} of memory"
            + (f" and {gigabytes(_peak(costs, 'gpu_memory'))} on its GPU" if _peak(costs, "gpu_memory") else "")
            + f"; {gigabytes(sum(cost.disk for cost in costs))} of disk in all"
        )
    lines += [f"{name_of(kind)}: {problem}" for kind, problem in plan.problems.items()]
    threads = plan.limits.threads or torch.get_num_threads()
    lines.append(
        f"Measured on this machine: {plan.machine['device']}, {threads} thread{'s' * (threads > 1)}; {plan.limits.steps} "
        f"of each kind of step after one to warm up, none begun later than {plan.limits.seconds:g} s after the first"
    )
    lines += [f"* {line}" for line in _short(costs)]
    if plan.place.launcher == "submitit_slurm":
        lines.append("Plan on the kind of node that will do the work: this machine may be another one than the cluster's.")
    if plan.processes > 1:
        lines.append(f"{plan.processes} devices a cell: each was timed alone; averaging gradients between them is not counted.")
    return [*lines, *([sheets] if sheets else []), _NOT_COUNTED]


def name_of(kind: str) -> str:
    """How the user knows a kind of work."""
    return _NAMES.get(kind, (kind.replace("_", " "), ""))[0]


def hours(seconds: float) -> str:
    """A time as people say it: 0.4 s, 40 s, 12 min, 3.4 h."""
    if 0 < seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 360_000 else f"{seconds / 3600:,.0f} h"


def gigabytes(size: float) -> str:
    """Bytes as 512 MB or 3.4 GB."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def _trains(plan: Plan) -> bool:
    return any(cell.training for cell in plan.cells)


def _training_table(plan: Plan) -> Table:
    trainings = f"{len(plan.cells)} training{'s' * (len(plan.cells) > 1)}"
    table = _table(f"Plan of {plan.name}: {trainings}", ("model", "mix"))
    for name in ("real/syn/aug", "to do", "steps", "s/step", "each", "all", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    groups: dict[tuple[Any, ...], list[Cost]] = {}
    for cell in plan.cells:
        work = cell.training
        if work is None or work.mix is None:
            continue
        key = (work.cfg.model.name, work.mix.column, work.mix.real, work.mix.synthetic, work.mix.augmented, work.units)
        groups.setdefault(key, []).append(plan.costs[work.key])
    for (model, column, real, synthetic, augmented, steps), costs in groups.items():
        title = COLUMNS.get(column, column if column in CONTROLS else "a mix")
        table.add_row(model, title, f"{real}/{synthetic}/{augmented}", _count(costs), str(steps), *_figures(costs))
    return table


def _shared_table(plan: Plan) -> Table:
    runs = f"{len(plan.cells)} run{'s' * (len(plan.cells) > 1)} of stage=translator"
    title = "Made once, shared by the cells" if _trains(plan) else f"Plan of {plan.name}: {runs}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    # Long names are broken: the other columns need their room.
    table.add_column("", overflow="fold")
    for name in ("to do", "units", "s/unit", "each", "all", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    kinds: dict[tuple[str, str, int], list[Cost]] = {}
    for cost in plan.costs.values():
        if cost.work.kind != TRAIN:
            kinds.setdefault((cost.work.kind, _translator_of(cost), cost.work.units), []).append(cost)
    several = len({translator for _, translator, _ in kinds if translator}) > 1
    for (kind, translator, units), costs in kinds.items():
        name = f"{name_of(kind)}, {translator}" if several and translator else name_of(kind)
        table.add_row(name, _count(costs), f"{units} {_unit_of(kind)}", *_figures(costs))
    return table


def _translator_of(cost: Cost) -> str:
    return str(cost.work.cfg.translator.name) if cost.work.kind in _OF_TRANSLATORS else ""


def _table(title: str, words: Sequence[str]) -> Table:
    # Narrow enough for a terminal of 80 columns.
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    for word in words:
        table.add_column(word, no_wrap=True)
    return table


def _unit_of(kind: str) -> str:
    return _NAMES.get(kind, ("", "images"))[1]


def _count(costs: Sequence[Cost]) -> str:
    left = sum(cost.work.left > 0 for cost in costs)
    return f"{left} of {len(costs)}" if left else "finished"


def _figures(costs: Sequence[Cost]) -> tuple[str, str, str, str]:
    """Seconds per unit, time each and in all, and memory, of works that differ in the seed."""
    left = [cost for cost in costs if cost.work.left]
    if not left:
        return "-", "-", "-", "-"
    if left[0].timing.problem:
        word = "does not fit" if "memory" in left[0].timing.problem else "not timed"
        return "-", word, "-", "-"
    total = sum(cost.seconds for cost in left)
    unit = left[0].unit_seconds
    memory = max(cost.gpu_memory or cost.memory for cost in left)
    star = "" if _is_long_enough(left[0]) else "*"
    return f"{unit:.3g}{star}", hours(total / len(left)), hours(total), gigabytes(memory)


def _is_long_enough(cost: Cost) -> bool:
    return bool(cost.timing.values.get("warm", 1.0))


def _short(costs: Sequence[Cost]) -> list[str]:
    """What was timed on its first step alone, since that took so long."""
    names = {}
    for cost in costs:
        if cost.work.left and not cost.timing.problem and not _is_long_enough(cost):
            trained = cost.work.kind not in GANS
            name = cost.work.cfg.model.name if trained else name_of(cost.work.kind)
            names[name] = (
                f"{name}: timed on its first step alone, which takes longer than the rest; plan.seconds=... gives it more"
            )
    return list(names.values())


def _peak(costs: Any, name: str) -> float:  # noqa: ANN401 (any iterable of costs)
    return max((getattr(cost, name) for cost in costs), default=0.0)


def _row(cost: Cost) -> dict[str, object]:
    work = cost.work
    mix = work.mix
    return {
        "kind": work.kind,
        "model": work.cfg.model.name if work.kind == TRAIN else "",
        "translator": _translator_of(cost),
        "column": mix.column if mix else "",
        "real": mix.real if mix else "",
        "synthetic": mix.synthetic if mix else "",
        "augmented": mix.augmented if mix else "",
        "seed": work.cfg.seed,
        "key": work.key,
        "unit": _unit_of(work.kind),
        "units": work.units,
        "done": work.done,
        "seconds_per_unit": cost.unit_seconds,
        "timed_units": int(cost.timing.values.get("measured", 0)),
        "seconds": cost.seconds,
        "memory_bytes": int(cost.memory),
        "gpu_memory_bytes": int(cost.gpu_memory),
        "disk_bytes": int(cost.disk),
        "problem": cost.timing.problem,
    }
