"""`logger=wandb`: Weights & Biases beside the CSV files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbc_lightning.core.trainer import check_word
from rbc_lightning.tracking.base import Action, require
from rbc_lightning.tracking.curves import CsvTracking

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from rbc_lightning.tracking.wandb_run import GuardedWandbLogger


@dataclass(frozen=True)
class WandbTracking(CsvTracking):
    """Curves as CSV, and a run of Weights & Biases whose failures end no training; what is not uploaded lies in `wandb/`.

    Args:
        config: the whole resolved configuration, shown as the run's.
        runs_dir: directory of all runs; gets `.wandb/`, logs of the service.
        project: of the runs.
        entity: user or team; None for the login's own.
        group: what the runs of a sweep share.
        mode: "auto" (online with a login and a connection, else offline), "online" (the same: a sweep cannot stop for a
            login), "offline" or "disabled".

    Raises:
        InputError: wandb is not installed, or `mode` is none of these.
    """

    config: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    runs_dir: Path = field(default=Path("runs"), repr=False, compare=False)
    project: str = "rbc_lightning"
    entity: str | None = None
    group: str | None = None
    mode: str = "auto"

    def __post_init__(self) -> None:
        check_word("logger.mode", self.mode, ("auto", "online", "offline", "disabled"))
        require("wandb", "logger=wandb", ", or take logger=csv")

    def open(self, directory: Path, *, job: str, tags: Sequence[str], facts: Mapping[str, Any] | None = None) -> list[Logger]:
        """The CSV logger, and the run's unless it is disabled or could not begin."""
        run = self._start(directory, job, tags, facts or {})
        return [*super().open(directory, job=job, tags=tags, facts=facts), *([run] if run is not None else [])]

    def show(self, loggers: Sequence[Logger], what: str, action: Action) -> None:
        """Give the open run to `action`; see `GuardedWandbLogger.attempt`."""
        for logger in _guarded(loggers):
            logger.attempt(what, action)

    def show_once(self, directory: Path, *, job: str, tags: Sequence[str], action: Action) -> None:
        """Open a run, give it to `action`, close it; called again for a directory, it goes on with the same run."""
        run = self._start(directory, job, tags, {})
        if run is not None:
            run.attempt(job, action)
            run.close()

    def close(self, loggers: Sequence[Logger]) -> None:
        """Finish the run; never raises."""
        for logger in _guarded(loggers):
            logger.close()

    def _start(self, directory: Path, job: str, tags: Sequence[str], facts: Mapping[str, Any]) -> GuardedWandbLogger | None:
        from rbc_lightning.tracking.wandb_run import start_run

        about = {"project": self.project, "entity": self.entity, "group": self.group, "job_type": job, "tags": list(tags)}
        config, service = {**self.config, **facts}, self.runs_dir.resolve() / ".wandb"
        return start_run({**about, "config": config}, directory, mode=self.mode, service=service)


def _guarded(loggers: Sequence[Logger]) -> list[GuardedWandbLogger]:
    from rbc_lightning.tracking.wandb_run import GuardedWandbLogger

    return [logger for logger in loggers if isinstance(logger, GuardedWandbLogger)]
