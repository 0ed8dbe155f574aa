"""`stage=plan`: what a run or a whole sweep would cost in hours, memory and disk, from a few timed steps of each kind."""

from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig

from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.multirun import PlannedSweep
from rbc_lightning.commands.plain import plain, settings
from rbc_lightning.core.files import content_hash
from rbc_lightning.core.recipe import Recipe
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.errors import InputError
from rbc_lightning.pairs.synthetic_set import SyntheticSet
from rbc_lightning.planning.cost import Place, place_of
from rbc_lightning.planning.plan import PlanResult, plan_jobs
from rbc_lightning.planning.work import RUN, Job, PlanSettings


def run(cfg: DictConfig) -> PlanResult:
    """Plan the run that this configuration describes with the stage that `plan.stage` names."""
    return plan_configurations({"this run": cfg}, Place())


def plan_sweep(planned: PlannedSweep) -> PlanResult:
    """Plan the jobs that a multirun has gathered, on the launcher that would run them."""
    on_gpu = any(cfg.trainer.accelerator == "gpu" for cfg in planned.jobs.values())
    return plan_configurations(planned.jobs, place_of(planned.launcher, planned.settings, on_gpu))


def plan_configurations(configurations: Mapping[str, DictConfig], place: Place) -> PlanResult:
    """Plan runs.

    Args:
        configurations: by what the user calls them, in the order of the sweep.
        place: where they would run.

    Raises:
        InputError: a setting of `plan` is at fault, or no run can be planned.
    """
    first = next(iter(configurations.values()))
    how = settings(plain(first.plan), PlanSettings, "plan")
    read: dict[str, Manifest] = {}
    jobs: list[Job] = []
    failed: list[str] = []
    for label, cfg in configurations.items():
        try:
            jobs.append(_job(label, cfg, how.stage, read))
        except InputError as error:
            failed.append(f"{label}: {error}")
    if not jobs:
        raise InputError(failed[0].partition(": ")[2])
    name = str(first.sweep_name) if len(configurations) > 1 else _name(jobs[0], first)
    directory = Path(how.output or Path(first.runs_dir) / "plans" / name)
    return plan_jobs(jobs, name, directory, settings=how, place=place, failed=failed)


def _job(label: str, cfg: DictConfig, stage: str, read: dict[str, Manifest]) -> Job:
    """What a configuration would make; data sets are read once."""
    cfg = cfg.copy()
    cfg.stage = stage
    experiment = Experiment(cfg)
    key = content_hash([plain(cfg.data), cfg.protocol, cfg.artifacts_dir])
    experiment.manifest = read.setdefault(key, read.get(key) or experiment.manifest)
    if stage != RUN:
        beside = (experiment.fcn_score(),) if experiment.quality.enabled else ()
        return Job(label, experiment.translator(), experiment.store, beside=beside)
    recipe = experiment.run()
    source = recipe.synthetic
    # Of pairs made on the fly one is timed.
    online = source is not None and not isinstance(source, Recipe)
    beside = (SyntheticSet(pairs=source, count=1, manifest=experiment.manifest),) if online else ()
    directory = experiment.runs_dir.resolve() / recipe.name
    return Job(label, recipe, experiment.store, directory, beside, anew=bool(cfg.rerun))


def _name(job: Job, cfg: DictConfig) -> str:
    return f"{cfg.data.name}_{cfg.translator.name}_seed{cfg.seed}" if job.directory is None else job.directory.name
