"""`stage=plan`: what a run or a whole sweep would cost in hours, memory and disk, from a few timed steps of each kind."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from rbc_lightning.artifacts import content_hash, to_plain
from rbc_lightning.errors import InputError
from rbc_lightning.stages.inputs import Inputs, console, load_inputs
from rbc_lightning.stages.planning.cost import Cost, cost_of
from rbc_lightning.stages.planning.probes import (
    Timing,
    few,
    measure,
    time_artifact,
    time_layout_fit,
    time_loading,
    time_training,
)
from rbc_lightning.stages.planning.schedule import Place, Plan, place_of, wall_seconds
from rbc_lightning.stages.planning.stopwatch import Limits
from rbc_lightning.stages.planning.tables import name_of, print_plan, write_plan
from rbc_lightning.stages.planning.work import (
    JUDGE,
    LAYOUT_FIT,
    SYNTHETIC,
    TRAIN,
    TRANSLATOR,
    CellWork,
    Work,
    cell_work,
    loading_probe,
)
from rbc_lightning.stages.run_directory import machine
from rbc_lightning.stages.settings import check_settings, process_count
from rbc_lightning.stages.sweep import PlannedSweep

# Samples that a probe is given at most: as many as its steps take.
_LEAST_IMAGES, _MOST_IMAGES = 4, 64
# Tried with what lies upstream of them; trainings are tried on real images.
_BEHIND_OTHERS = ("gan_stage2", TRANSLATOR, SYNTHETIC)


@dataclass(frozen=True)
class PlanResult:
    """The plan, where it is written, and the cells that could not be planned, with the reason."""

    plan: Plan
    directory: Path
    failed: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line for the end of the run."""
        return f"Plan written to {self.directory} (plan.csv, plan.json); nothing was trained"


def run(cfg: DictConfig) -> PlanResult:
    """Plan the run that this configuration describes with the stage that `plan.stage` names."""
    return plan_cells({"this run": cfg}, Place())


def plan_sweep(planned: PlannedSweep) -> PlanResult:
    """Plan the cells that a multirun has gathered, on the launcher that would run them."""
    on_gpu = any(cfg.trainer.accelerator == "gpu" for cfg in planned.cells.values())
    return plan_cells(planned.cells, place_of(planned.launcher, planned.settings, on_gpu))


def plan_cells(cells: Mapping[str, DictConfig], place: Place) -> PlanResult:
    """Time a few steps of each kind that the cells need, print what it all comes to, and write it down.

    Args:
        cells: configurations by what the user calls them, in the order of the sweep.
        place: where they would run.

    Raises:
        InputError: a setting of `plan` is at fault, or no cell can be planned.
    """
    first = next(iter(cells.values()))
    limits = _limits(first, place)
    works, failed = _works(cells)
    if not works:
        raise InputError(failed[0].partition(": ")[2])
    with tempfile.TemporaryDirectory(prefix="rbc_plan_", ignore_cleanup_errors=True) as scratch:
        timings = _timings(works, limits, Path(scratch))
    works, refused = _accepted(works, timings)
    failed += refused
    if not works:
        raise InputError(failed[0].partition(": ")[2])
    costs = _costs(works, timings)
    name = f"{first.sweep_name}" if len(cells) > 1 else _name_of_run(works[0], first)
    wall = wall_seconds(works, costs, place.cells)
    plan = Plan(name, tuple(works), costs, place, wall, machine(), limits, process_count(first))
    print_plan(plan)
    directory = Path(first.plan.output or Path(first.runs_dir) / "plans" / name)
    write_plan(plan, directory)
    return PlanResult(plan, directory.resolve(), tuple(failed))


def _accepted(works: Sequence[CellWork], timings: Mapping[str, Timing]) -> tuple[list[CellWork], list[str]]:
    """The cells whose settings stood the trial, and why the others would end with an error."""
    accepted: list[CellWork] = []
    refused: list[str] = []
    for cell in works:
        problem = next((t.problem for probe in _probes(cell) if (t := timings.get(probe, Timing())).refused), None)
        if problem is None:
            accepted.append(cell)
        else:
            refused.append(f"{cell.label}: {problem}")
    return accepted, refused


def _probes(cell: CellWork) -> Iterable[str]:
    """What is timed for a cell."""
    for work in _to_time(cell):
        yield work.probe
        if work.kind in (TRAIN, JUDGE):
            yield loading_probe(work.cfg)


def _name_of_run(cell: CellWork, cfg: DictConfig) -> str:
    return f"{cfg.data.name}_{cfg.translator.name}_seed{cfg.seed}" if cell.training is None else cell.training.key


def _limits(cfg: DictConfig, place: Place) -> Limits:
    steps, seconds = cfg.plan.steps, cfg.plan.seconds
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InputError(f"plan.steps={steps}; expected a whole number of at least 1")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise InputError(f"plan.seconds={seconds}; expected a number above 0, the most that steps of one kind may take")
    if cfg.plan.stage not in (TRAIN, TRANSLATOR):
        raise InputError(f"plan.stage={cfg.plan.stage}; expected one of {TRAIN}, {TRANSLATOR}")
    return Limits(steps, float(seconds), place.threads)


def _works(cells: Mapping[str, DictConfig]) -> tuple[list[CellWork], list[str]]:
    """What each cell needs, and why some cannot be planned."""
    read: dict[str, Inputs] = {}
    works: list[CellWork] = []
    failed: list[str] = []
    for label, cfg in cells.items():
        try:
            key = content_hash([to_plain(cfg.data), cfg.seed, cfg.protocol, cfg.artifacts_dir])
            if key in read:
                # Reading the data checks them otherwise.
                check_settings(_as_run(cfg))
            else:
                read[key] = load_inputs(_as_run(cfg))
            works.append(cell_work(label, cfg, read[key]))
        except InputError as error:
            failed.append(f"{label}: {error}")
    return works, failed


def _as_run(cfg: DictConfig) -> DictConfig:
    cfg = cfg.copy()
    cfg.stage = cfg.plan.stage
    return cfg


def _timings(cells: Sequence[CellWork], limits: Limits, scratch: Path) -> dict[str, Timing]:
    """Time each kind of unit once, the upstream ones in the order in which they are made."""
    timings: dict[str, Timing] = {}
    for cell in cells:
        # What is made from something that cannot be tried cannot be tried either.
        broken = ""
        for work in _to_time(cell):
            if work.probe not in timings:
                behind = broken if work.kind in _BEHIND_OTHERS else ""
                timings[work.probe] = Timing(problem=behind) if behind else _time(work, limits, scratch)
            broken = broken or timings[work.probe].problem
            if work.kind in (TRAIN, JUDGE):
                probe = loading_probe(work.cfg)
                if probe not in timings:
                    timings[probe] = _time_loading(work, limits, scratch)
            if any(timings[probe].refused for probe in _probes(cell) if probe in timings):
                break
    return timings


def _to_time(cell: CellWork) -> Iterable[Work]:
    """The works of a cell that are not finished."""
    for work in cell.works:
        if work.left:
            yield work


def _time(work: Work, limits: Limits, scratch: Path) -> Timing:
    """Run the probe of a work in a process of its own."""
    cfg = work.cfg
    probe: Callable[..., dict[str, float]]
    arguments: tuple[object, ...]
    if work.kind in (TRAIN, JUDGE):
        n_images = (1 + limits.steps) * int(cfg.training.batch_size)
        probe, arguments = time_training, (scratch / f"run_{work.probe}",)
    elif work.kind == LAYOUT_FIT:
        n_images, probe, arguments = _LEAST_IMAGES, time_layout_fit, ()
    else:
        n_images = (1 + limits.steps) * int(cfg.translator.get("batch_size", 1))
        probe, arguments = time_artifact, (scratch / "artifacts", work.kind)
    what = cfg.model.name if work.kind == TRAIN else name_of(work.kind)
    console.print(f"Timing {what} ...", highlight=False)
    manifest = few(work.inputs.manifest, max(_LEAST_IMAGES, min(n_images, _MOST_IMAGES)), cfg)
    return measure(probe, cfg, manifest, *arguments, log=scratch / "log.txt", limits=limits)


def _time_loading(work: Work, limits: Limits, scratch: Path) -> Timing:
    console.print("Timing the loading of samples ...", highlight=False)
    # Donor cells and empty label maps need some choice of images.
    manifest = few(work.inputs.manifest, 2 * _LEAST_IMAGES, work.cfg)
    return measure(time_loading, work.cfg, manifest, log=scratch / "log.txt", limits=limits)


def _costs(cells: Sequence[CellWork], timings: Mapping[str, Timing]) -> dict[str, Cost]:
    """What is left to pay for each thing, once however many cells share it."""
    costs: dict[str, Cost] = {}
    for cell in cells:
        upstream = {work.kind: timings.get(work.probe, Timing()) for work in cell.upstream}
        for work in cell.works:
            known = costs.get(work.key)
            if known is None or known.work.units < work.units:
                # A set of pairs is as large as the most that any cell asks for.
                trained = work.kind in (TRAIN, JUDGE)
                loading = timings.get(loading_probe(work.cfg)) if trained else None
                costs[work.key] = cost_of(work, timings, loading, upstream)
    return costs
