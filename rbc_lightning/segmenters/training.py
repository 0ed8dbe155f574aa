"""Training a segmenter, the weights that validation chose, and what it finds in an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from torch import Tensor

from rbc_lightning.core.callbacks import LossGuard, SettledCheckpoint, running_mean
from rbc_lightning.core.files import write_atomically
from rbc_lightning.core.progress import tell
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.core.training import LAST, autocast, build_trainer, fit_or_resume, last_checkpoint, test_trainer
from rbc_lightning.data.conversions import to_unit
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.errors import InputError
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.segmenters.base import BaseTask
from rbc_lightning.segmenters.ensemble import join_weights
from rbc_lightning.segmenters.model import Model, TrainingSettings
from rbc_lightning.segmenters.restarts import Restart, check_restart, guard_of
from rbc_lightning.segmenters.segmentation import SegmentationTask
from rbc_lightning.segmenters.thresholds import choose_thresholds

BEST = LAST.with_name("best.ckpt")
"""The checkpoint that validation chose, below the directory of a training."""
_REMEDY = "take the checkpoint of a run with the same model.*, such as checkpoints/best.ckpt of its run directory"
_THRESHOLDS = "thresholds"
"""Key of the chosen thresholds, by name, in the checkpoint."""


def is_begun(directory: Path) -> bool:
    """Whether an earlier attempt left something to go on from."""
    return (directory / LAST).is_file()


def fit(
    trainer: TrainerSettings,
    training: TrainingSettings,
    directory: Path,
    task: BaseTask,
    data: pl.LightningDataModule,
    *,
    seed: int,
    loggers: Sequence[Logger] = (),
    chooses_thresholds: bool = True,
) -> tuple[pl.Trainer, float | None]:
    """Train, going on where an earlier attempt stopped; validation chooses what `load_best` returns.

    These are the weights, and then the thresholds that the task leaves open; both lie in one checkpoint. `directory` gets
    `checkpoints/`; PyTorch's generators are seeded epoch by epoch; the caller closes the loggers.

    Returns:
        A trainer of one process, for a test, and the value of the task's `monitor` that chose the weights.

    Raises:
        StartAgain: the task's `restart` asks for a new task, data and seed.
        TrainingStopped: a loss is not finite, or `restart` asks for more than it allows.
    """
    checkpoints = (directory / BEST).parent
    kept = {"dirpath": checkpoints, "filename": BEST.stem, "enable_version_counter": False}
    chosen_by: dict[str, Any] = {"monitor": task.monitor, "mode": task.mode, **kept}
    after = training.choose_after
    best = SettledCheckpoint(after, **chosen_by) if after else ModelCheckpoint(**chosen_by)
    callbacks: list[pl.Callback] = [best, last_checkpoint(checkpoints), LossGuard()]
    if training.ema_decay > 0:
        # Named, for Lightning asks for the task's device before it moves the task there.
        device = "cuda" if trainer.accelerator == "gpu" else None
        callbacks.append(running_mean(training.ema_decay, device))
    restart: Restart | None = getattr(task, "restart", None)
    if restart is not None:
        callbacks.append(guard_of(restart, directory, directory / LAST))
    made = build_trainer(trainer, directory, seed=seed, callbacks=callbacks, loggers=loggers, max_steps=training.steps)
    fit_or_resume(made, task, data, directory / LAST)
    if restart is not None:
        check_restart(restart, directory, directory / LAST)
    if chooses_thresholds:
        _choose_thresholds(directory, trainer, task, data)
    return test_trainer(trainer, directory, made), _best_score(directory, best)


def join_members(
    members: Sequence[Path],
    trainer: TrainerSettings,
    directory: Path,
    task: BaseTask,
    data: pl.LightningDataModule,
    *,
    loggers: Sequence[Logger] = (),
) -> tuple[pl.Trainer, float | None]:
    """Make of trained members, by their directories, the best checkpoint of their ensemble; `task` is the ensemble's.

    Returns:
        As of `fit`; the value is that of the mean, before thresholds are chosen.
    """
    weights = [_read(member / BEST)["state_dict"] for member in members]
    content = {"state_dict": join_weights(weights), _THRESHOLDS: {}}
    write_atomically(directory / BEST, lambda part: torch.save(content, part))
    task.load_state_dict(content["state_dict"])
    alone = partial(build_trainer, replace(trainer, devices=1, strategy="auto"), directory, seed=0, callbacks=[])
    # Not logged: it is no epoch of a training.
    score = alone(loggers=()).validate(task, datamodule=data, verbose=False)[0].get(task.monitor)
    _choose_thresholds(directory, trainer, task, data)
    return alone(loggers=loggers), score


def slim(directory: Path) -> None:
    """Of a finished training keep the chosen weights alone: without the state of the optimiser, and not the last ones."""
    content = _read(directory / BEST)
    write_atomically(directory / BEST, lambda part: torch.save({"state_dict": content["state_dict"]}, part))
    (directory / LAST).unlink(missing_ok=True)


def load_best(directory: Path, model: Model) -> BaseTask:
    """The task of a finished training with its chosen weights; of a model that learns nothing as it is built."""
    return load_checkpoint(directory / BEST, model) if model.learns else model.build()


def load_checkpoint(path: Path, model: Model) -> BaseTask:
    """The task of a model with weights and thresholds of a checkpoint; pretrained weights are neither read nor fetched.

    Thresholds that were given stay as they are. Such that are open, and not in the checkpoint, stay where they start: told
    in a line, for only the best weights of a finished training have some.

    Raises:
        InputError: no such file, no checkpoint, or one of another model.
    """
    content = _read(path)
    weights: dict[str, Tensor] = content["state_dict"]
    task = model.build(for_training=False)
    expected = task.state_dict()
    differs = sorted(expected.keys() ^ weights.keys()) or [k for k in expected if expected[k].shape != weights[k].shape]
    if differs:
        raise InputError(
            f"{path}: weights of another model than {model.name} ({len(differs)} tensors differ, first {differs[0]}); {_REMEDY}"
        )
    task.load_state_dict(weights)
    if isinstance(task, SegmentationTask) and task.to_choose:
        chosen = content[_THRESHOLDS]
        task.set_thresholds(chosen)
        for name in sorted(task.to_choose.keys() - chosen.keys()):
            tell(f"note: {path} has no chosen {name}, as last weights have none; {getattr(task, name)} is taken")
    return task


@torch.inference_mode()
def find_objects(task: BaseTask, image: NDArray[Any], spec: ImageSpec, precision: str, least_score: float = 0.5) -> Instances:
    """What a task, set to evaluation mode, finds in one image (H, W, C) in the type and range of `spec`.

    `precision` is the trainer's, by its name or "auto", as in the test; cells of less than `least_score` are left out. Of
    patches of classes, whose pixels the task decided on, none is.
    """
    with autocast(task.device, precision):
        found = task.eval().predict_instances(_tensor(task, image, spec))
    return found if found.classes is not None else found.at_least(least_score)


@torch.inference_mode()
def find_classes(task: BaseTask, image: NDArray[Any], spec: ImageSpec, precision: str) -> NDArray[np.uint8]:
    """The class of every pixel of one image, (H, W), as in the test: 1, 2, ... of `spec.classes`; see `find_objects`."""
    with autocast(task.device, precision):
        found = task.eval().predict(_tensor(task, image, spec))
    return (found.foreground if found.classes is None else found.classes).astype(np.uint8)


def _tensor(task: BaseTask, image: NDArray[Any], spec: ImageSpec) -> Tensor:
    return torch.from_numpy(to_unit(image, spec).transpose(2, 0, 1).copy()).to(task.device)


def _read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, its weights and thresholds checked for their types."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Of any type: reading foreign bytes as a pickle fails in whatever way they happen to ask for.
        raise InputError(f"{path}: no checkpoint of a training ({type(error).__name__}); {_REMEDY}") from error
    found = {_THRESHOLDS: {}, **content} if isinstance(content, dict) else {}
    for key, kind in (("state_dict", Tensor), (_THRESHOLDS, float)):
        values = found.get(key)
        if not isinstance(values, dict) or not all(isinstance(value, kind) for value in values.values()):
            raise InputError(f"{path}: no checkpoint of a training (it has no {key}); {_REMEDY}")
    return found


def _choose_thresholds(directory: Path, trainer: TrainerSettings, task: BaseTask, data: pl.LightningDataModule) -> None:
    """Choose the thresholds that the task leaves open for the best weights, and write them into their checkpoint.

    A training that was stopped before the end of this does it again, with the same outcome.
    """
    if not (isinstance(task, SegmentationTask) and task.to_choose and task.monitor.removeprefix("val/") in task.metrics):
        return
    path = directory / BEST
    content = torch.load(path, map_location="cpu", weights_only=True)
    task.load_state_dict(content["state_dict"])
    chosen = choose_thresholds(task.to(trainer.device), data.val_dataloader(), trainer.precision)
    content[_THRESHOLDS] = dict(chosen.thresholds)
    write_atomically(path, lambda part: torch.save(content, part))
    tell(chosen.line())


def _best_score(directory: Path, best: ModelCheckpoint) -> float | None:
    """The value that chose the weights; read from their file, since a callback's state stays in the training's processes."""
    checkpoint = torch.load(directory / BEST, map_location="cpu", weights_only=True)
    score = checkpoint["callbacks"][best.state_key]["best_model_score"]
    return None if score is None else float(score)
