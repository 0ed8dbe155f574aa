"""The judge of painted images: an FCN-8s trained on the real pairs of the train split alone, and what it sees in an image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor

from rbc_lightning.data.augment import build_augmentation
from rbc_lightning.data.datamodule import SmearDataModule
from rbc_lightning.data.mix import Mix
from rbc_lightning.errors import blaming
from rbc_lightning.nets.fcn8s import FCN8s, TrunkFeatures
from rbc_lightning.stages.inputs import Inputs, console, derive_seed, fingerprint
from rbc_lightning.stages.segmenter import build_task, fit, is_begun, load_best
from rbc_lightning.stages.tracking.loggers import build_loggers, close_loggers
from rbc_lightning.stages.training import training_numerics
from rbc_lightning.tasks.segmentation import SegmentationTask

STRIDES = (8, 16)
"""Pixels per position of the two feature maps of a `JudgeView`."""
# The same whatever model a run trains: else each row of a table would choose another painter.
_FCN8S = {
    "name": "fcn8s",
    "net": {"_target_": "rbc_lightning.nets.fcn8s.FCN8s", "n_classes": 1, "batch_norm": True, "dropout": 0.1},
    "task": {"_target_": "rbc_lightning.tasks.segmentation.SegmentationTask", "weight_decay": 1e-4, "schedule": "one_cycle"},
}
# Mirror images are smears as well; stronger augmentation would teach the judge to overlook what it should see.
_FLIPS = {"horizontal_flip": {"p": 0.5}, "vertical_flip": {"p": 0.5}}
# Added to the seed of training: a run on real images must not be its own judge's twin.
_STREAM = 1


@dataclass(frozen=True)
class JudgeView:
    """What the judge makes of one image.

    Attributes:
        probability: float32 (H, W) of a cell.
        feature_maps: after pool3 and pool4, float32 (C, H // stride, W // stride).
    """

    probability: NDArray[np.float32]
    feature_maps: tuple[Tensor, Tensor]


def get_judge(cfg: DictConfig, inputs: Inputs) -> SegmentationTask:
    """The judge in evaluation mode, from the store; trained there first if need be.

    It is an FCN-8s of the config's scale, trained for `translator.quality.steps` steps as a run on real and
    flipped real images would be, its weights chosen on validation. Painted images take no part.
    """
    settings, sources = judge_identity(cfg, inputs)
    cfg = _judge_config(cfg)
    artifact = inputs.store.get("judge", settings, sources, lambda directory: _train(cfg, inputs, directory))
    device = "cuda" if cfg.trainer.accelerator == "gpu" and torch.cuda.is_available() else "cpu"
    return cast(SegmentationTask, load_best(artifact.path, cfg).eval().to(device))


def judge_identity(cfg: DictConfig, inputs: Inputs) -> tuple[dict[str, Any], list[str]]:
    """Settings and inputs that decide the judge."""
    cfg = _judge_config(cfg)
    training = {key: cfg.training[key] for key in ("batch_size", "crop", "ema_decay")} | _schedule(cfg)
    settings = {"model": cfg.model, "training": training, "seed": cfg.seed, **training_numerics(cfg), "format": 3}
    return settings, [inputs.train_fingerprint, fingerprint(inputs.manifest.split("val"))]


@torch.inference_mode()
def view(judge: SegmentationTask, image: NDArray[np.uint8]) -> JudgeView:
    """Show the judge an image, uint8 (H, W, 3)."""
    caught: list[TrunkFeatures] = []
    net = cast(FCN8s, judge.net)
    handle = net.trunk.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    try:
        tensor = torch.from_numpy(image.transpose(2, 0, 1).copy()).float().div_(255)[None].to(judge.device)
        probability = judge.predict_step({"image": tensor})[0]
    finally:
        handle.remove()
    # The network pads images to whole strides: positions that look at padding alone are left out.
    maps = [
        features[0, :, : max(1, image.shape[0] // stride), : max(1, image.shape[1] // stride)].float()
        for features, stride in zip((caught[0].pool3, caught[0].pool4), STRIDES, strict=True)
    ]
    return JudgeView(probability.float().cpu().numpy(), (maps[0], maps[1]))


def _judge_config(cfg: DictConfig) -> DictConfig:
    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.model = OmegaConf.create(_FCN8S)
        cfg.model.net.width = cfg.scale.model_width
        cfg.model.net.decoder_channels = cfg.scale.decoder_channels
        cfg.model.task.learning_rate = cfg.scale.learning_rate
    return cfg


def _schedule(cfg: DictConfig) -> dict[str, int]:
    # `check_settings` has seen to it that the one is a multiple of the other.
    steps = cfg.translator.quality.steps
    return {"steps": steps, "steps_per_epoch": min(steps, cfg.training.steps_per_epoch)}


def _train(cfg: DictConfig, inputs: Inputs, directory: Path) -> None:
    seed = int(np.random.SeedSequence([derive_seed(cfg.seed, "training"), _STREAM]).generate_state(1)[0])
    torch.manual_seed(seed)
    with blaming("model"):
        task = build_task(cfg)
    schedule = _schedule(cfg)
    n_train = len(inputs.manifest.split("train"))
    data = SmearDataModule(
        inputs.manifest,
        (),
        Mix(real=0, synthetic=0, augmented=n_train),
        augment=build_augmentation(_FLIPS),
        crop=cfg.training.crop,
        batch_size=cfg.training.batch_size,
        steps_per_epoch=schedule["steps_per_epoch"],
        seed=seed,
        num_workers=cfg.trainer.num_workers,
    )
    loggers = build_loggers(cfg, directory, job="judge", tags=[cfg.data.name])
    console.print(
        f"{'Resuming' if is_begun(directory) else 'Training'} the judge of painted images, {cfg.model.name}, on {n_train} real "
        f"pairs: {schedule['steps']} steps"
    )
    try:
        fit(cfg, directory, task, data, seed=seed, steps=schedule["steps"], loggers=loggers)
    finally:
        close_loggers(loggers)
