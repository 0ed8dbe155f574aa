"""One run of Weights & Biases beside a training, which never waits for it and never ends because of it."""

import os
import secrets
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning_fabric.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import WandbLogger

from rbc_lightning.data.formats import write_atomically
from rbc_lightning.stages.inputs import console
from rbc_lightning.stages.tracking.wandb_login import Mode, choose_mode, is_reachable, server_url

STEP = "trainer/global_step"
"""The x axis of every curve: batches trained on, under the name that Lightning gives them."""
_SECONDS_TO_START = 3.0
_SECONDS_TO_FINISH = 30.0
_RUN_ID = "run_id"

Action = Callable[[Any], None]


class GuardedWandbLogger(WandbLogger):
    """Lightning's logger on a run that is open already; its first failure is told in one line, and is its last.

    Args:
        run: from `wandb.init`.
        directory: the run directory, holding `wandb/`.
        online: whether it is uploaded while it is written.
    """

    def __init__(self, run: Any, directory: Path, online: bool) -> None:  # noqa: ANN401 (wandb ships partial types)
        super().__init__(project=run.project, save_dir=directory, experiment=run)
        self.directory = directory
        self.online = online
        self.failure: str | None = None
        # Of the environment, to be taken away again when the run is closed.
        self.set_names: list[str] = []

    def __getstate__(self) -> dict[str, Any]:
        """Go to the processes of a distributed training as it is: wandb's run finds its own way back."""
        return self.__dict__.copy()

    def attempt(self, what: str, action: Action) -> None:
        """Call `action(run)` unless something failed before; of its failure the training hears nothing."""
        if self.failure is not None:
            return
        try:
            action(self._experiment)
        except Exception as error:
            # Whatever a service, a full disk or a new version may raise: the results lie in CSV and JSON.
            self.failure = f"{what}: {_told(error)}"
            tell(f"Weights & Biases has failed and is left alone from here on ({self.failure}); the run itself goes on")

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log one row of curves."""
        row = dict(metrics) if step is None else {**metrics, STEP: step}
        self.attempt("logging", lambda run: run.log(row))

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (Lightning's own signature)
        """Do nothing: the whole configuration is there from the start."""

    def close(self) -> None:
        """Finish the run, and say how it gets to the server if it has not got there."""
        # Also a run that failed before is finished, else the process would wait for it at its end.
        self.failure = None
        # Closed on the way of an exception, it says so.
        self.attempt("finishing", lambda run: run.finish(exit_code=0 if sys.exception() is None else 1))
        for name in self.set_names:
            os.environ.pop(name, None)
        if not self.online:
            tell(f"Weights & Biases run recorded offline; upload it with: wandb sync {_parts(self.directory, 'offline-run-*')}")
        elif not is_reachable(server_url()):
            tell(
                f"Weights & Biases does not answer any more; upload the rest with: wandb sync {_parts(self.directory, 'run-*')}"
            )


def start_run(
    cfg: DictConfig, directory: Path, *, job: str, tags: list[str], facts: Mapping[str, Any]
) -> GuardedWandbLogger | None:
    """Open the run of a directory, or go on with the one that an earlier attempt opened; None where that fails.

    Args:
        cfg: the whole configuration, which becomes the run's.
        directory: everything is written below its `wandb/`.
        job: type of the job.
        tags: of the run.
        facts: beside the configuration.
    """
    files = directory / "wandb"
    files.mkdir(parents=True, exist_ok=True)
    set_names = _keep_out_of_home(files, Path(cfg.runs_dir).resolve() / ".wandb")
    logger = None
    try:
        mode, reason = choose_mode(cfg.logger.mode)
        if reason is not None:
            tell(f"Weights & Biases is {mode}: {reason}")
        if mode != "disabled":
            logger = _open(_arguments(cfg, directory, job, tags, facts), mode, directory)
    except Exception as error:
        tell(f"no Weights & Biases run ({_told(error)}); the run itself goes on")
    if logger is not None:
        logger.set_names = set_names
        return logger
    for name in set_names:
        os.environ.pop(name, None)
    with suppress(OSError):
        # Where nothing was recorded nothing should look as if it were.
        files.rmdir()
    return None


def _arguments(cfg: DictConfig, directory: Path, job: str, tags: list[str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `wandb.init` is told of the run."""
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    return {
        "project": cfg.logger.project,
        "entity": cfg.logger.entity,
        "group": cfg.logger.group,
        "job_type": job,
        "tags": tags,
        "name": _final(directory).name,
        "config": {**settings, **facts},
        "dir": directory,
        "id": _run_id(directory / "wandb"),
        # On from the last attempt, whose rows stay.
        "resume": "allow",
    }


def _open(arguments: dict[str, Any], mode: Mode, directory: Path) -> GuardedWandbLogger:
    import wandb

    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_code=True,
        # Never the run that this process, or a notebook, has open.
        reinit="create_new",
        init_timeout=_SECONDS_TO_START,
        login_timeout=_SECONDS_TO_START,
        finish_timeout=_SECONDS_TO_FINISH,
    )
    try:
        run = wandb.init(**arguments, mode=mode, settings=settings)
    except Exception as error:
        if mode == "offline":
            raise
        tell(f"Weights & Biases refuses ({_told(error)}); recording offline")
        # Its service still holds the run's id.
        wandb.teardown()
        mode, run = "offline", wandb.init(**arguments, mode="offline", settings=settings)
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP, step_sync=True)
    return GuardedWandbLogger(run, directory, online=mode == "online")


def tell(line: str) -> None:
    """Print one line as it is."""
    console.print(line, markup=False, soft_wrap=True)


def _keep_out_of_home(files: Path, service: Path) -> list[str]:
    """Send what wandb would leave in the user's home elsewhere, and keep it quiet; returns the names that were set.

    They are set in the environment, which other processes of wandb read, too, and only where the user has set nothing.

    Args:
        files: for tables until they are uploaded.
        service: for the logs of wandb's own process, which outlives a run and may write when its directory has been renamed.
    """
    wanted = {
        "WANDB_SILENT": "true",
        # Reports on wandb itself: with a server that does not answer they would hold up the process's end by half a minute.
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_DATA_DIR": str(files),
        "WANDB_CACHE_DIR": str(service),
    }
    names = [name for name in wanted if name not in os.environ]
    os.environ.update({name: wanted[name] for name in names})
    return names


def _run_id(files: Path) -> str:
    """The id of the earlier attempt, or a new one; random, since a server refuses the id of a run that was deleted there."""
    path = files / _RUN_ID
    if not path.is_file():
        write_atomically(path, lambda part: part.write_text(secrets.token_hex(4)))
    return path.read_text().strip()


def _told(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _final(directory: Path) -> Path:
    """Where the directory will be when it is whole: the artifact store renames it."""
    return directory.with_suffix("") if directory.suffix == ".partial" else directory


def _parts(directory: Path, pattern: str) -> str:
    """The recordings of a run as arguments: several where it was resumed."""
    parts = sorted((directory / "wandb").glob(pattern))
    return " ".join(shlex.quote(str(_final(directory) / "wandb" / part.name)) for part in parts)
