"""The only Hydra entry: compose, validate, dispatch on `stage`, print the outcome."""

import difflib
import importlib
import logging
import os
import re
import sys
from collections.abc import Sequence
from typing import Protocol, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from rbc_lightning.commands import multirun
from rbc_lightning.commands.missing import check_missing
from rbc_lightning.commands.writable import check_writable
from rbc_lightning.errors import InputError, TrainingStopped
from rbc_lightning.sweeps import log
from rbc_lightning.sweeps.places import launcher_failure
from rbc_lightning.usage import CONF_DIR, STAGES, asks_for_help, print_usage


class Outcome(Protocol):
    """What a stage returns: a small dataclass that can describe itself."""

    def summary(self) -> str:
        """One line for the end of the run."""
        ...


def run(cfg: DictConfig) -> Outcome:
    """Run the stage that the configuration names; callable without Hydra's process.

    Args:
        cfg: a composed configuration (`hydra.compose`).

    Raises:
        InputError: unknown stage, a missing value, or whatever is wrong with the data.
    """
    if cfg.stage not in STAGES:
        raise InputError(f"stage={cfg.stage}; expected one of {', '.join(STAGES)}")
    check_missing(cfg)
    check_writable(cfg)
    # Imported here: Lightning and torchvision take seconds, which --help and a mistyped key should not.
    stage = importlib.import_module(f"rbc_lightning.commands.{cfg.stage}")
    return cast(Outcome, stage.run(cfg))


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")  # type: ignore[untyped-decorator]  # hydra's decorator has no annotations
def _hydra_main(cfg: DictConfig) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        # One job must not end the others: how it went is written down, and reported at the end.
        multirun.run_job(run, cfg)
        return
    try:
        print(run(cfg).summary())
    except (InputError, TrainingStopped) as error:
        sys.exit(_fail(str(error), status=2 if isinstance(error, InputError) else 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line entry; returns the exit status: 0, 2 for bad input, 1 for a training gone wrong; either in one line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if asks_for_help(arguments):
        return print_usage()
    # Hydra then lets exceptions pass: ours become one line, real bugs keep their traceback.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    sys.argv = [sys.argv[0], *arguments]
    try:
        _hydra_main()
        planned = multirun.take_planned()
        if planned.jobs:
            return _plan(planned)
    except InputError as error:
        return _fail(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        log.leave_no_empty_record()
        return _fail(_one_line(error, arguments))
    except KeyboardInterrupt:
        return _fail("stopped by the user; the same command goes on where this one stopped", status=130)
    except Exception as error:
        if not log.is_begun():
            raise
        # Its own processes were killed, or the cluster's queue refused: the jobs that ended have written down how.
        log.leave_no_empty_record()
        log.close_sweep()
        return _fail(launcher_failure(error), status=1)
    return log.close_sweep()


def _plan(planned: multirun.PlannedSweep) -> int:
    """Print what the gathered jobs would cost; returns the exit status: 1 where some cannot be planned."""
    plan = importlib.import_module("rbc_lightning.commands.plan")
    for cfg in planned.jobs.values():
        check_missing(cfg)
    result = plan.plan_sweep(planned)
    print(result.summary())
    for line in result.reasons():
        _fail(line)
    return 1 if result.failed else 0


def _one_line(error: Exception, arguments: Sequence[str]) -> str:
    """Hydra's several lines as one, with the remedy behind it."""
    if "Ambiguous value" in str(error) and any(argument.startswith("+sweep=") for argument in arguments):
        # Hydra takes a sweep for a single run where the rest cannot be composed, which is what is wrong.
        try:
            compose([argument for argument in arguments if "," not in argument])
        except (HydraException, OmegaConfBaseException) as cause:
            return _one_line(cause, arguments)
    unknown = re.search(r"Could not override '([^']+?)\.?'", str(error))
    if unknown:
        key = unknown[1]
        if key == "data.root":
            return "data.root belongs to your own data set: write data=folder data.root=path/to/folder, or data=mri for scans"
        if key in ("experiment", "sweep"):
            return f"{key} is added, not overridden: write +{key}=NAME; `python -m rbc_lightning --help` lists them"
        return _unknown(key, arguments)
    if "missing EQUAL" in str(error):
        return f"{str(error).splitlines()[0]}; settings are written KEY=VALUE, such as stage=check"
    if isinstance(error, OverrideParseException):
        key, _, value = error.override.partition("=")
        quoted = "'" + f'{key}="{value}"' + "'"
        remedy = "close its brackets, and write it in quotes" if value[:1] in ("[", "{") else f"write {quoted}, in quotes twice"
        return f"{error.override} cannot be read; expected letters a to z, digits, and . / _ - alone: {remedy}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = "; ".join(line for line in lines if not line.startswith(("Config search path", "provider=")))
    return text.replace(":; ", ": ") + "; `python -m rbc_lightning --help` lists stages, experiments and groups"


def _unknown(key: str, arguments: Sequence[str]) -> str:
    group = key.partition(".")[0]
    chosen = [argument for argument in arguments if argument.startswith(f"{group}=") and "," not in argument]
    if key in _keys(compose()):
        # It exists with the group's default choice alone.
        choice = chosen[-1] if chosen else f"the chosen {group}"
        return f"{key} is no setting of {choice}; `python -m rbc_lightning {group}=... --cfg job` prints those of a choice"
    return f"unknown key {key!r}; {_closest(key, chosen)}"


def _closest(key: str, chosen: Sequence[str]) -> str:
    try:
        known = compose(chosen[-1:])
    except (HydraException, OmegaConfBaseException):
        known = compose()
    close = difflib.get_close_matches(key, _keys(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else "`python -m rbc_lightning --cfg job` prints every key there is"


def _keys(cfg: DictConfig, prefix: str = "") -> list[str]:
    keys: list[str] = []
    for key, node in cfg.items_ex(resolve=False):
        keys.append(f"{prefix}{key!s}")
        if isinstance(node, DictConfig):
            keys += _keys(node, f"{keys[-1]}.")
    return keys


def _fail(message: str, status: int = 2) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """Compose the configuration as the command line would, without starting Hydra's process.

    Args:
        overrides: as on the command line, such as `["+experiment=rd", "seed=1"]`.
    """
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return cast(DictConfig, hydra.compose("config", overrides=list(overrides)))
