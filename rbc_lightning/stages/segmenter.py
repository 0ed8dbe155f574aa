"""What a run and the judge of painted images share: build a segmenter or detector, train it, take its best weights."""

from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from torch import Tensor

from rbc_lightning.callbacks import LossGuard, running_mean
from rbc_lightning.data.datamodule import SmearDataModule
from rbc_lightning.data.formats import read_label_map
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.errors import InputError
from rbc_lightning.ops.cell_table import keep_scores
from rbc_lightning.ops.instances import Instances
from rbc_lightning.stages.instantiation import build
from rbc_lightning.stages.sampling import measure_layout
from rbc_lightning.stages.training import build_trainer, fit_or_resume, last_checkpoint, precision, test_trainer
from rbc_lightning.tasks.base import BaseTask

_CHECKPOINTS = "checkpoints"
_BEST = "best"
_REMEDY = "take the checkpoint of a run with the same model.*, such as checkpoints/best.ckpt of its run directory"
_HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
# Values of a network or task that follow from the train split unless they are set.
_MEASURED = ("cell_size", "max_cells")


def build_task(cfg: DictConfig) -> BaseTask:
    """Network and task of the config's `model`."""
    task: BaseTask = build(cfg.model.task, "model.task", net=build(cfg.model.net, "model.net"))
    return task


def with_measured_sizes(cfg: DictConfig, manifest: Manifest) -> DictConfig:
    """The config with `cell_size` and `max_cells` of its model, where they are null, measured on the train split."""
    places = [(part, key) for part in ("net", "task") for key in _MEASURED if key in cfg.model[part]]
    if all(cfg.model[part][key] is not None for part, key in places):
        return cfg
    label_maps = [read_label_map(record.label_path) for record in manifest.split("train")]
    cfg = cfg.copy()
    for part, key in places:
        if cfg.model[part][key] is None:
            OmegaConf.update(cfg, f"model.{part}.{key}", _measure(key, f"model.{part}.{key}", label_maps))
    return cfg


def _measure(key: str, setting: str, label_maps: list[NDArray[np.int32]]) -> float:
    if key == "max_cells":
        return max(int(label_map.max()) for label_map in label_maps)
    try:
        return round(measure_layout(label_maps).cell_size, 2)
    except InputError as error:
        raise InputError(f"{error}, or set {setting}=<pixels>") from error


def load_best(directory: Path, cfg: DictConfig) -> BaseTask:
    """The task of a finished training with its chosen weights."""
    return load_checkpoint(directory / _CHECKPOINTS / f"{_BEST}.ckpt", cfg)


def load_checkpoint(path: Path, cfg: DictConfig) -> BaseTask:
    """The task of the config with the weights of a checkpoint.

    Raises:
        InputError: no such file, no checkpoint, or one of another model.
    """
    weights = _read_weights(path)
    task = build_task(cfg)
    expected = task.state_dict()
    differs = sorted(expected.keys() ^ weights.keys()) or [k for k in expected if expected[k].shape != weights[k].shape]
    if differs:
        raise InputError(
            f"{path}: weights of another model than {cfg.model.name} ({len(differs)} tensors differ, first {differs[0]}); "
            f"{_REMEDY}"
        )
    task.load_state_dict(weights)
    return task


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


@torch.inference_mode()
def find_cells(cfg: DictConfig, task: BaseTask, image: NDArray[np.uint8], least_score: float = 0.5) -> Instances:
    """The cells of an image (H, W, 3) of at least a score, computed with the precision of a run's test."""
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy()).float().div_(255).to(task.device)
    half = _HALF.get(precision(cfg.trainer.precision))
    with torch.autocast(task.device.type, dtype=half, enabled=half is not None):
        return keep_scores(task.eval().predict_instances(tensor), least_score)


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
    callbacks: list[pl.Callback] = [best, last_checkpoint(directory / _CHECKPOINTS), LossGuard()]
    if cfg.training.ema_decay > 0:
        # Named, for Lightning asks for the task's device before it moves the task there.
        device = "cuda" if cfg.trainer.accelerator == "gpu" else None
        callbacks.append(running_mean(cfg.training.ema_decay, device))
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
