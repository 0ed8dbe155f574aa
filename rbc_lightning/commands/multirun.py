"""Multiruns: from Hydra's configurations to the jobs of a sweep."""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override

from rbc_lightning.commands.folds import expand_folds
from rbc_lightning.commands.missing import check_missing
from rbc_lightning.core.files import check_name
from rbc_lightning.errors import InputError
from rbc_lightning.sweeps import log

_PLAN = "plan"

# Our launcher files bear the plugins' names, and are meant to be checked against their schemas. Said here, since each
# worker process of a launcher imports this module before it composes its job.
warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")


@dataclass
class PlannedSweep:
    """The jobs of a multirun of `stage=plan`, which runs none of them, and the launcher that would."""

    launcher: str = "basic"
    settings: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, DictConfig] = field(default_factory=dict)


_planned = PlannedSweep()


class SweepCallback(Callback):  # type: ignore[misc]  # hydra has no annotations
    """Hydra's hook at the beginning of a multirun, in the process that the user started."""

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        """Remember where the jobs will write how they went; ends the process where the sweep cannot be."""
        try:
            check_name("sweep_name", config.sweep_name)
            expand_folds(config)
            if config.stage != _PLAN:
                # Imported here: it brings all libraries, which the workers of a launcher need not wait for.
                from rbc_lightning.commands.feasible import check_real_images, swept_values

                check_missing(config, swept_values(config))
                check_real_images(config)
        except InputError as error:
            # Of an exception in a callback Hydra makes a warning, and begins the sweep.
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            raise SystemExit(2) from error
        if config.stage == _PLAN:
            _gather_here(config)
            return
        directory = Path(config.hydra.sweep.dir)
        # What the first job of submitit's launchers prints goes to a file.
        queued = config.hydra.runtime.choices["hydra/launcher"].startswith("submitit")
        log.begin_sweep(config.sweep_name, directory, queued=queued)
        params = OmegaConf.select(config, "hydra.sweeper.params") or {}
        log.write_group(config.sweep_name, list(config.hydra.overrides.task), params, directory)


def run_job(run: Callable[[DictConfig], Any], cfg: DictConfig) -> None:
    """Run one job of the multirun in a process of its own, or note it for a plan.

    Args:
        run: runs a configuration's stage; skips what is finished.
        cfg: the job's configuration.
    """
    hydra = HydraConfig.get()
    overrides, directory = tuple(str(override) for override in hydra.overrides.task), Path(hydra.sweep.dir)
    devices = cfg.trainer.devices if cfg.trainer.accelerator == "gpu" else None
    job = log.Job(hydra.job.num, overrides, cfg.sweep_name, directory, hydra.runtime.choices["hydra/launcher"], devices)
    if cfg.stage == _PLAN:
        _planned.launcher, _planned.jobs[job.label] = job.launcher, cfg
        _planned.settings = cast(dict[str, Any], OmegaConf.to_container(hydra.launcher))
        return
    cfg = in_group(cfg, directory)
    cfg.trainer.progress_bar = cfg.trainer.progress_bar and job.log is None
    log.run_job(run, cfg, job)


def in_group(cfg: DictConfig, directory: Path) -> DictConfig:
    """A copy of a job's configuration with its sweep's group, unless the user has named one or nobody asks for it.

    No run directory depends on it: `logger` is no part of what identifies a run.
    """
    cfg = cfg.copy()
    if "group" in cfg.logger and cfg.logger.group is None:
        cfg.logger.group = log.read_group(directory) or str(cfg.sweep_name)
    return cfg


def take_planned() -> PlannedSweep:
    """The jobs that a multirun of `stage=plan` has gathered; none of them twice."""
    global _planned
    planned, _planned = _planned, PlannedSweep()
    return planned


def _gather_here(config: DictConfig) -> None:
    """Have Hydra hand all jobs to this process, whatever launcher would run them, and leave its record with the plan."""
    place = "'${runs_dir}/plans/${sweep_name}'"
    with flag_override(config, ["readonly", "struct"], False):
        config.hydra.launcher = {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}
        config.hydra.sweep.dir = place.strip("'")
        # Each job is composed anew from these.
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir={place}")
