"""Training a segmenter, the weights that validation chose, and what it finds in an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from torch import Tensor

from rbc_lightning.core.callbacks import LossGuard, running_mean
from rbc_lightning.core.trainer import TrainerSettings, resolve_precision
from rbc_lightning.core.training import LAST, build_trainer, fit_or_resume, last_checkpoint, test_trainer
from rbc_lightning.data.sample import ImageSpec, to_unit
from rbc_lightning.errors import InputError
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.segmenters.base import BaseTask
from rbc_lightning.segmenters.model import Model, TrainingSettings

BEST = LAST.with_name("best.ckpt")
"""The checkpoint that validation chose, below the directory of a training."""
_REMEDY = "take the checkpoint of a run with the same model.*, such as checkpoints/best.ckpt of its run directory"
_HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


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
) -> tuple[pl.Trainer, float | None]:
    """Train, going on where an earlier attempt stopped; validation chooses the weights that `load_best` returns.

    `directory` gets `checkpoints/`; PyTorch's generators are seeded epoch by epoch; the caller closes the loggers.

    Returns:
        A trainer of one process, for a test, and the best value of the task's `monitor`.
    """
    checkpoints = (directory / BEST).parent
    best = ModelCheckpoint(
        dirpath=checkpoints, filename=BEST.stem, monitor=task.monitor, mode=task.mode, enable_version_counter=False
    )
    callbacks: list[pl.Callback] = [best, last_checkpoint(checkpoints), LossGuard()]
    if training.ema_decay > 0:
        # Named, for Lightning asks for the task's device before it moves the task there.
        device = "cuda" if trainer.accelerator == "gpu" else None
        callbacks.append(running_mean(training.ema_decay, device))
    made = build_trainer(trainer, directory, seed=seed, callbacks=callbacks, loggers=loggers, max_steps=training.steps)
    fit_or_resume(made, task, data, directory / LAST)
    return test_trainer(trainer, directory, made), _best_score(directory, best)


def load_best(directory: Path, model: Model) -> BaseTask:
    """The task of a finished training with its chosen weights; of a model that learns nothing as it is built."""
    return load_checkpoint(directory / BEST, model) if model.learns else model.build()


def load_checkpoint(path: Path, model: Model) -> BaseTask:
    """The task of a model with the weights of a checkpoint; pretrained weights are neither read nor fetched.

    Raises:
        InputError: no such file, no checkpoint, or one of another model.
    """
    weights = _read_weights(path)
    task = model.build(for_training=False)
    expected = task.state_dict()
    differs = sorted(expected.keys() ^ weights.keys()) or [k for k in expected if expected[k].shape != weights[k].shape]
    if differs:
        raise InputError(
            f"{path}: weights of another model than {model.name} ({len(differs)} tensors differ, first {differs[0]}); {_REMEDY}"
        )
    task.load_state_dict(weights)
    return task


@torch.inference_mode()
def find_objects(task: BaseTask, image: NDArray[Any], spec: ImageSpec, precision: str, least_score: float = 0.5) -> Instances:
    """What a task, set to evaluation mode, finds in one image (H, W, C) in the type and range of `spec`.

    `precision` is the trainer's, by its name or "auto", as in the test; objects of less than `least_score` are left out.
    """
    tensor = torch.from_numpy(to_unit(image, spec).transpose(2, 0, 1).copy()).to(task.device)
    half = _HALF.get(resolve_precision(precision))
    with torch.autocast(task.device.type, dtype=half, enabled=half is not None):
        return task.eval().predict_instances(tensor).at_least(least_score)


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Of any type: reading foreign bytes as a pickle fails in whatever way they happen to ask for.
        raise InputError(f"{path}: no checkpoint of a training ({type(error).__name__}); {_REMEDY}") from error
    weights = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{path}: no checkpoint of a training (it has no state_dict); {_REMEDY}")
    return weights


def _best_score(directory: Path, best: ModelCheckpoint) -> float | None:
    """The value that chose the weights; read from their file, since a callback's state stays in the training's processes."""
    checkpoint = torch.load(directory / BEST, map_location="cpu", weights_only=True)
    score = checkpoint["callbacks"][best.state_key]["best_model_score"]
    return None if score is None else float(score)
