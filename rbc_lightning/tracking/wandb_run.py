"""One run of Weights & Biases beside a training, which never waits for it and never ends because of it.

Network calls time out after 3 s (start) and 30 s (finish).
"""

import os
import secrets
import shlex
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.loggers import WandbLogger

from rbc_lightning.core.files import write_text
from rbc_lightning.core.progress import tell
from rbc_lightning.errors import in_one_line
from rbc_lightning.tracking.base import Action, OpenRun
from rbc_lightning.tracking.wandb_login import Mode, choose_mode, is_reachable, server_url

STEP = "trainer/global_step"
"""The x axis of every curve: batches trained on, under the name that Lightning gives them."""
_SECONDS_TO_START = 3.0
_SECONDS_TO_FINISH = 30.0


class GuardedWandbLogger(WandbLogger):
    """Lightning's logger on a run that is open already; its first failure is printed in one line, and is its last.

    Args:
        run: from `wandb.init`.
        directory: the run directory, holding `wandb/`.
        online: whether it is uploaded while it is written.
    """

    def __init__(self, run: OpenRun, directory: Path, online: bool) -> None:
        super().__init__(project=run.project, save_dir=directory, experiment=run)
        self.directory, self.online, self.failure = directory, online, ""
        # Of the environment, to be taken away again when the run is closed.
        self.set_names: list[str] = []

    def __getstate__(self) -> dict[str, Any]:
        """Go to the processes of a distributed training as it is: wandb's run finds its own way back."""
        return self.__dict__.copy()

    def attempt(self, what: str, action: Action) -> None:
        """Call `action(run)` unless something failed before; never raises."""
        if self.failure:
            return
        try:
            action(self._experiment)
        except Exception as error:
            # Whatever a service, a full disk or a new version may raise: the results lie in CSV and JSON.
            self.failure = f"{what}: {in_one_line(error)}"
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
        self.failure = ""
        # Closed on the way of an exception, it says so.
        self.attempt("finishing", lambda run: run.finish(exit_code=0 if sys.exception() is None else 1))
        _forget(self.set_names)
        if not self.online:
            tell(f"Weights & Biases run recorded offline; upload it with: {_sync(self.directory, 'offline-run-*')}")
        elif not is_reachable(server_url()):
            tell(f"Weights & Biases does not answer any more; upload the rest with: {_sync(self.directory, 'run-*')}")


def start_run(about: Mapping[str, Any], directory: Path, *, mode: str, service: Path) -> GuardedWandbLogger | None:
    """Open the run of a directory, or go on with the one that an earlier attempt opened; None where that fails.

    Args:
        about: what the run is filed under, as arguments of `wandb.init`: project, group, tags, configuration.
        directory: everything is written below its `wandb/`.
        mode: "auto", "online", "offline" or "disabled".
        service: directory of the logs of wandb's own process.
    """
    files = directory / "wandb"
    files.mkdir(parents=True, exist_ok=True)
    set_names = _keep_out_of_home(files, service)
    try:
        chosen, reason = choose_mode(mode)
        if reason is not None:
            tell(f"Weights & Biases is {chosen}: {reason}")
        if chosen != "disabled":
            # On from the last attempt, whose rows stay.
            place = {"name": _final(directory).name, "dir": directory, "id": _run_id(files), "resume": "allow"}
            logger = _open({**about, **place}, chosen, directory)
            logger.set_names = set_names
            return logger
    except Exception as error:
        tell(f"no Weights & Biases run ({in_one_line(error)}); the run itself goes on")
    _forget(set_names)
    with suppress(OSError):
        # Where nothing was recorded nothing should look as if it were.
        files.rmdir()
    return None


def _open(arguments: dict[str, Any], mode: Mode, directory: Path) -> GuardedWandbLogger:
    import wandb

    limits = {"init_timeout": _SECONDS_TO_START, "login_timeout": _SECONDS_TO_START, "finish_timeout": _SECONDS_TO_FINISH}
    # Never the run that this process, or a notebook, has open.
    settings = wandb.Settings(silent=True, console="off", disable_code=True, reinit="create_new", **limits)
    try:
        run = wandb.init(**arguments, mode=mode, settings=settings)
    except Exception as error:
        if mode == "offline":
            raise
        tell(f"Weights & Biases refuses ({in_one_line(error)}); recording offline")
        # Its service still holds the run's id.
        wandb.teardown()
        mode, run = "offline", wandb.init(**arguments, mode="offline", settings=settings)
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP, step_sync=True)
    return GuardedWandbLogger(run, directory, online=mode == "online")


def _keep_out_of_home(files: Path, service: Path) -> list[str]:
    """Send what wandb would leave in the user's home elsewhere, and keep it quiet; returns the names that were set.

    They are set in the environment, which other processes of wandb read, too, and only where the user has set nothing.
    """
    wanted = {
        "WANDB_SILENT": "true",
        # Reports on wandb itself: with a server that does not answer they would hold up the process's end by half a minute.
        "WANDB_ERROR_REPORTING": "false",
        # Tables until they are uploaded.
        "WANDB_DATA_DIR": str(files),
        # Logs of wandb's own process, which outlives a run and may write when its directory has been renamed.
        "WANDB_CACHE_DIR": str(service),
    }
    names = [name for name in wanted if name not in os.environ]
    os.environ.update({name: wanted[name] for name in names})
    return names


def _forget(names: Iterable[str]) -> None:
    for name in names:
        os.environ.pop(name, None)


def _run_id(files: Path) -> str:
    """The id of the earlier attempt, or a new one; random, since a server refuses the id of a run that was deleted there."""
    path = files / "run_id"
    if not path.is_file():
        write_text(path, secrets.token_hex(4))
    return path.read_text().strip()


def _final(directory: Path) -> Path:
    """Where the directory will be when it is whole: the store renames it."""
    return directory.with_suffix("") if directory.suffix == ".partial" else directory


def _sync(directory: Path, pattern: str) -> str:
    """The command that uploads the recordings of a run: several where it was resumed."""
    parts = sorted((directory / "wandb").glob(pattern))
    return shlex.join(["wandb", "sync", *(str(_final(directory) / "wandb" / part.name) for part in parts)])
