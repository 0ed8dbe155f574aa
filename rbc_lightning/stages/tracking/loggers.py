"""Where the curves of a training go: CSV always, TensorBoard or Weights & Biases beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger

from rbc_lightning.errors import InputError
from rbc_lightning.stages.tracking.wandb_run import Action, GuardedWandbLogger, start_run


def build_loggers(
    cfg: DictConfig, directory: Path, *, job: str, tags: list[str], facts: Mapping[str, Any] | None = None
) -> list[Logger]:
    """The loggers that the config's `logger` group asks for, writing into `directory` only.

    Args:
        cfg: the whole configuration.
        directory: gets `curves/`, and `tensorboard/` or `wandb/`.
        job: what this training is, such as "train".
        tags: what it is looked for by, such as its column and its model.
        facts: what the configuration does not say, such as the column of a mix.

    Raises:
        InputError: TensorBoard is asked for and not installed.
    """
    # A resumed training must not overwrite the curves of its first part.
    parts = len(list(directory.glob("curves*")))
    loggers: list[Logger] = [CSVLogger(directory, name="", version=f"curves_{parts}" if parts else "curves")]
    if cfg.logger.kind == "tensorboard":
        try:
            loggers.append(TensorBoardLogger(directory, name="", version="tensorboard"))
        except ModuleNotFoundError as error:
            raise InputError(
                "logger=tensorboard needs the package tensorboard: install it (pip install tensorboard), or take logger=csv"
            ) from error
    elif cfg.logger.kind == "wandb":
        logger = start_run(cfg, directory, job=job, tags=tags, facts=facts or {})
        loggers += [logger] if logger is not None else []
    return loggers


def show(loggers: Sequence[Logger], what: str, action: Action) -> None:
    """Give the open run of Weights & Biases to `action`, if there is one; see `GuardedWandbLogger.attempt`."""
    for logger in loggers:
        if isinstance(logger, GuardedWandbLogger):
            logger.attempt(what, action)


def close_loggers(loggers: Sequence[Logger]) -> None:
    """Finish a run of Weights & Biases; never raises."""
    for logger in loggers:
        if isinstance(logger, GuardedWandbLogger):
            logger.close()


def show_once(cfg: DictConfig, directory: Path, *, job: str, tags: list[str], action: Action) -> None:
    """A run of Weights & Biases for a stage that trains nothing itself, where `logger=wandb` asks for it.

    Args:
        cfg: the whole configuration.
        directory: of what the stage made; called again, the stage goes on with the same run.
        job: the stage.
        tags: what it is looked for by.
        action: gives the run what there is to see.
    """
    if cfg.logger.kind != "wandb":
        return
    logger = start_run(cfg, directory, job=job, tags=tags, facts={})
    if logger is not None:
        logger.attempt(job, action)
        logger.close()
