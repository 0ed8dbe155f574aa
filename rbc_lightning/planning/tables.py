"""The plan as tables for the terminal and as files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich import box
from rich.table import Table

from rbc_lightning.core.files import write_json, write_rows
from rbc_lightning.core.progress import console, tell
from rbc_lightning.planning.cost import Place
from rbc_lightning.planning.work import RUN, PlannedWork, PlanSettings
from rbc_lightning.study.tables import COLUMNS, CONTROLS

_NOT_COUNTED = (
    "Not counted: starting Python, figures, other programs on the machine, jobs that share its memory and cores. Networks "
    "were timed untrained: with a trained one, what is found in test images may take longer or shorter."
)
_SHEETS = "sheets and quality cards, which stage=translator makes anew each time"


@dataclass(frozen=True)
class Plan:
    """What a run or a sweep would cost.

    Args:
        name: of the sweep or run.
        jobs: what each one needs, by label, in order.
        costs: all that they need, by key.
        place: where they would run.
        wall_seconds: until the last one is done.
        machine: what the steps were timed on.
        settings: how many were timed.
        processes: devices of one job.
    """

    name: str
    jobs: Mapping[str, Sequence[PlannedWork]]
    costs: Mapping[str, PlannedWork]
    place: Place
    wall_seconds: float
    machine: Mapping[str, str | int]
    settings: PlanSettings
    processes: int

    @property
    def device_seconds(self) -> float:
        """Of all devices together; without what could not be timed."""
        return self.processes * sum(cost.seconds for cost in self.costs.values())

    @property
    def problems(self) -> dict[str, str]:
        """Why something could not be timed, by what it is."""
        return {cost.kind: cost.timing.problem for cost in self.costs.values() if cost.timing.problem}

    @property
    def sums(self) -> dict[str, float]:
        """The most memory of a job, and disk in all, bytes."""
        costs = self.costs.values()
        return {
            "memory_bytes": max((cost.memory for cost in costs), default=0.0),
            "gpu_memory_bytes": max((cost.gpu_memory for cost in costs), default=0.0),
            "disk_bytes": sum(cost.disk for cost in costs),
        }


def print_plan(plan: Plan) -> None:
    """Print the trainings by model and column, what they share, and what it comes to."""
    trained = [plan.costs[work.key] for works in plan.jobs.values() for work in works if work.kind == RUN]
    shared = [work for work in plan.costs.values() if work.kind != RUN]
    title = f"Plan of {plan.name}: {_plural(len(plan.jobs), 'training' if trained else 'run')}"
    if trained:
        _print_table(title, ("model", "mix", "real/syn/aug"), "steps", trained)
    if shared:
        shown = "Made once, shared by the jobs" if trained else f"{title} of stage=translator"
        _print_table(shown, ("",), "units", shared)
    for line in summary_lines(plan):
        tell(line)


def write_plan(plan: Plan, directory: Path) -> None:
    """Write `plan.csv`, one row for each thing, if there is one, and `plan.json` with the sums, each atomically."""
    rows = [_row(cost) for cost in plan.costs.values()]
    # Runs without training plan nothing.
    if rows:
        write_rows(directory / "plan.csv", rows)
    totals = {
        "name": plan.name,
        "jobs": len(plan.jobs),
        "device_seconds": plan.device_seconds,
        "wall_seconds": plan.wall_seconds,
        "launcher": plan.place.launcher,
        "jobs_at_once": plan.place.jobs,
        "processes_per_job": plan.processes,
        **plan.sums,
        "machine": dict(plan.machine),
        "problems": plan.problems,
        "works": rows,
    }
    write_json(directory / "plan.json", totals)


def summary_lines(plan: Plan) -> list[str]:
    """Sums, what was measured on, and what is left out, one line each."""
    costs = list(plan.costs.values())
    left = [cost for cost in costs if cost.left]
    sheets = []
    if any(works and RUN not in {work.kind for work in works} for works in plan.jobs.values()):
        chooses = any(getattr(cost.recipe, "chooser", None) is not None for cost in left)
        sheets = [f"Not counted: {_SHEETS}{'; the choice among checkpoints' if chooses else ''}."]
    if not left:
        return ["Nothing is left to do: all of it is finished.", *sheets]
    without = " without what could not be timed" if plan.problems else ""
    memory, on_gpu, disk = plan.sums.values()
    lines = [
        f"In all{without}: {hours(plan.device_seconds)} of {'GPU' if on_gpu else 'device'} time; {hours(plan.wall_seconds)} "
        f"until the last is done, with {_plural(plan.place.jobs, 'job')} at once (hydra/launcher={plan.place.launcher})"
    ]
    if memory:
        gpu = f" and {gigabytes(on_gpu)} on its GPU" if on_gpu else ""
        lines.append(f"A job needs up to {gigabytes(memory)} of memory{gpu}; {gigabytes(disk)} of disk in all")
    problems = {cost.recipe.title.rstrip(","): cost.timing.problem for cost in costs if cost.timing.problem}
    lines += [f"{name}: {problem}" for name, problem in problems.items()]
    lines.append(
        f"Measured on this machine: {plan.machine['device']}, "
        f"{_plural(plan.place.threads or torch.get_num_threads(), 'thread')}; {plan.settings.steps} of each kind of step after "
        f"one to warm up, none begun later than {plan.settings.seconds:g} s after the first"
    )
    lines += [
        f"* {name}: timed on its first step alone, which takes longer than the rest; plan.seconds=... gives it more"
        for name in dict.fromkeys(cost.name for cost in costs if cost.timing.values.get("warm") == 0)
    ]
    if plan.place.launcher == "submitit_slurm":
        lines.append("Plan on the kind of node that will do the work: this machine may be another one than the cluster's.")
    if plan.processes > 1:
        lines.append(f"{plan.processes} devices a job: each was timed alone; averaging gradients between them is not counted.")
    return [*lines, *sheets, _NOT_COUNTED]


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


def _print_table(title: str, words: Sequence[str], units: str, works: Sequence[PlannedWork]) -> None:
    """Print works, those of one name and number of units together."""
    # Narrow enough for a terminal of 80 columns; long names are broken where they stand alone.
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    for place, word in enumerate(words):
        table.add_column(word, justify="right" if place == 2 else "left", no_wrap=len(words) > 1, overflow="fold")
    for figure in ("to do", units, f"s/{units.removesuffix('s')}", "each", "all", "memory"):
        table.add_column(figure, justify="right", no_wrap=True)
    several = len({work.translator for work in works if work.translator}) > 1
    groups: dict[tuple[str, ...], list[PlannedWork]] = {}
    for work in works:
        groups.setdefault(_names(work, several), []).append(work)
    for (*names, amount), group in groups.items():
        n_left = sum(work.left > 0 for work in group)
        table.add_row(*names, f"{n_left} of {len(group)}" if n_left else "finished", amount, *_figures(group))
    console.print(table)


def _names(work: PlannedWork, several: bool) -> tuple[str, ...]:
    """What the works of one row have in common: names, and units in all."""
    if work.kind == RUN:
        mix = work.recipe.mix
        title = COLUMNS.get(mix.column, mix.column if mix.column in CONTROLS else "a mix")
        # The steps of an ensemble are those of its members.
        amount = str(work.units) if work.unit == "steps" else f"{work.units} {work.unit}"
        return work.name, title, f"{mix.real}/{mix.synthetic}/{mix.augmented}", amount
    translator = f", {work.translator}" if several and work.translator else ""
    return f"{work.name}{translator}", f"{work.units} {work.unit}"


def _figures(works: Sequence[PlannedWork]) -> tuple[str, str, str, str]:
    """Seconds per unit, time each and in all, and memory, of works that differ in the seed."""
    left = [work for work in works if work.left]
    if not left:
        return "-", "-", "-", "-"
    if left[0].timing.problem:
        return "-", "does not fit" if "memory" in left[0].timing.problem else "not timed", "-", "-"
    total = sum(work.seconds for work in left)
    memory = max(work.gpu_memory or work.memory for work in left)
    star = "*" if left[0].timing.values.get("warm") == 0 else ""
    # Putting members together takes no steps.
    unit = "-" if left[0].unit == "members" else f"{left[0].unit_seconds:.3g}{star}"
    return unit, hours(total / len(left)), hours(total), gigabytes(memory)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count > 1)}"


def _row(work: PlannedWork) -> dict[str, object]:
    mix = work.recipe.mix if work.kind == RUN else None
    return {
        "kind": work.kind,
        "model": work.name if mix else "",
        "translator": work.translator,
        **{name: getattr(mix, name, "") for name in ("column", "real", "synthetic", "augmented")},
        "seed": getattr(work.job.recipe, "seed", ""),
        "key": work.key,
        "unit": work.unit,
        "units": work.units,
        "done": work.done,
        "seconds_per_unit": work.unit_seconds,
        "timed_units": int(work.timing.values.get("measured", 0)),
        "seconds": work.seconds,
        "memory_bytes": int(work.memory),
        "gpu_memory_bytes": int(work.gpu_memory),
        "disk_bytes": int(work.disk),
        "problem": work.timing.problem,
    }
