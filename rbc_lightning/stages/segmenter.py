"""What a run and the judge of painted images share: build a segmenter, train it, take its best weights."""

from pathlib import Path

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger

from rbc_lightning.callbacks import LossGuard
from rbc_lightning.data.datamodule import SmearDataModule
from rbc_lightning.stages.instantiation import build
from rbc_lightning.stages.training import build_trainer, fit_or_resume, last_checkpoint, test_trainer
from rbc_lightning.tasks.base import BaseTask

_CHECKPOINTS = "checkpoints"
_BEST = "best"


def build_task(cfg: DictConfig) -> BaseTask:
    """Network and task of the config's `model`."""
    task: BaseTask = build(cfg.model.task, "model.task", net=build(cfg.model.net, "model.net"))
    return task


def load_best(directory: Path, cfg: DictConfig) -> BaseTask:
    """The task of a finished training with its chosen weights."""
    checkpoint = torch.load(directory / _CHECKPOINTS / f"{_BEST}.ckpt", map_location="cpu", weights_only=True)
    task = build_task(cfg)
    task.load_state_dict(checkpoint["state_dict"])
    return task


def is_begun(directory: Path) -> bool:
    """Whether an earlier attempt left something to go on from."""
    return _last(directory).is_file()


def fit(
    cfg: DictConfig,
    directory: Path,
    task: BaseTask,
    data: SmearDataModule,
    *,
    seed: int,
    steps: int,
    loggers: list[Logger],
) -> tuple[pl.Trainer, float | None]:
    """Train, going on where an earlier attempt stopped; validation chooses the weights that `load_best` returns.

    Args:
        cfg: the whole configuration.
        directory: gets `checkpoints/`.
        task: as `build_task` made it.
        data: what it trains and validates on.
        seed: of PyTorch's generators, epoch by epoch.
        steps: optimiser steps.
        loggers: to be closed by the caller.

    Returns:
        A trainer of one process, for a test, and the best value of the task's `monitor`.
    """
    best = ModelCheckpoint(
        dirpath=directory / _CHECKPOINTS,
        filename=_BEST,
        monitor=task.monitor,
        mode=task.mode,
        enable_version_counter=False,
    )
    callbacks = [best, last_checkpoint(directory / _CHECKPOINTS), LossGuard()]
    trainer = build_trainer(cfg, directory, seed=seed, callbacks=callbacks, loggers=loggers, max_steps=steps)
    fit_or_resume(trainer, task, data, _last(directory))
    return test_trainer(cfg, directory, trainer), _best_score(directory, best)


def _best_score(directory: Path, best: ModelCheckpoint) -> float | None:
    """The value that chose the weights; read from their file, since a callback's state stays in the training's processes."""
    checkpoint = torch.load(directory / _CHECKPOINTS / f"{_BEST}.ckpt", map_location="cpu", weights_only=True)
    score = checkpoint["callbacks"][best.state_key]["best_model_score"]
    return None if score is None else float(score)


def _last(directory: Path) -> Path:
    return directory / _CHECKPOINTS / "last.ckpt"
