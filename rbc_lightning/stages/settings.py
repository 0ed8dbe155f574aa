"""Checks of the numbers and words that a user may set, before anything is made."""

import math
import re

from omegaconf import DictConfig, OmegaConf

from rbc_lightning.errors import InputError

# Smallest allowed value of the whole numbers.
_AT_LEAST = {
    "training.steps": 1,
    "training.steps_per_epoch": 1,
    "training.batch_size": 1,
    "training.crop": 32,
    "synthetic.count": 1,
    "translator.batch_size": 1,
    "translator.crop": 32,
    "translator.n_clusters": 1,
    "translator.candidates": 0,
    "translator.stage2.crop": 32,
    "translator.stage2.batch_size": 1,
    "translator.quality.steps": 1,
    "translator.quality.images": 2,
    "trainer.num_workers": 0,
    "sampler.generations": 0,
    "sampler.population": 4,
    "sampler.n_colors": 2,
    "data.n_train": 2,
    "data.n_test": 1,
    "data.height": 64,
    "data.width": 64,
    "data.phantom_seed": 0,
}
_MAY_BE_NULL = ("training.crop", "translator.crop", "translator.stage2.crop")
_WORDS = {
    "protocol": ("held_out", "paper"),
    "synthetic.mode": ("offline", "online"),
    "sampler.placement": ("adhesion", "uniform"),
    "logger.kind": ("csv", "tensorboard", "wandb"),
    "logger.mode": ("auto", "offline", "online", "disabled"),
    "trainer.accelerator": ("cpu", "gpu"),
    "trainer.strategy": ("auto", "ddp_spawn", "ddp_fork"),
    "translator.choose": ("last", "quality"),
    "translator.stages": (1, 2),
}
# With `sampler.fitted` these come from the fit.
_FITTED = ("count_mean", "count_std", "cell_size", "n_init", "max_overlap")


def check_settings(cfg: DictConfig) -> None:
    """Check what a stage is about to use.

    Raises:
        InputError: names the first setting at fault, what came and what was expected.
    """
    for key, least in _AT_LEAST.items():
        value = OmegaConf.select(cfg, key, default=least)
        if value is None and key in _MAY_BE_NULL:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{key}={value}; expected a whole number of at least {least}")
    decay = cfg.training.ema_decay
    if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 <= decay < 1:
        raise InputError(f"training.ema_decay={decay}; expected a number from 0 (off) to below 1, such as 0.99")
    for key, words in _WORDS.items():
        value = OmegaConf.select(cfg, key, default=words[0])
        if value not in words:
            raise InputError(f"{key}={value}; expected one of {', '.join(map(str, words))}")
    _check_combinations(cfg)


def process_count(cfg: DictConfig) -> int:
    """Processes that share a training: `trainer.devices`, where -1 counts the GPUs of this machine."""
    devices: int = cfg.trainer.devices
    return max(1, _count_gpus()) if devices == -1 else devices


def _check_processes(cfg: DictConfig) -> None:
    """Check the number of processes, and that each gets as many samples of a batch as the others."""
    devices, on_gpu = cfg.trainer.devices, cfg.trainer.accelerator == "gpu"
    if isinstance(devices, bool) or not isinstance(devices, int) or not (devices >= 1 or (devices == -1 and on_gpu)):
        raise InputError(f"trainer.devices={devices}; expected a whole number of at least 1, or -1 for every GPU (trainer=ddp)")
    processes = process_count(cfg)
    if processes == 1:
        return
    if on_gpu and cfg.trainer.strategy == "ddp_fork":
        raise InputError(
            "trainer.strategy=ddp_fork cannot share GPUs with the process it copies; take trainer.strategy=ddp_spawn"
        )
    if on_gpu and processes > _count_gpus():
        raise InputError(f"trainer.devices={devices}; this machine has {_count_gpus()} GPUs: take trainer.devices=-1 for all")
    if cfg.stage == "train" and cfg.mix.synthetic != 0 and cfg.synthetic.mode == "online":
        raise InputError(
            f"synthetic.mode=online paints in one process, trainer.devices={devices} asks for {processes}: take "
            "synthetic.mode=offline"
        )
    for key in _batch_sizes(cfg):
        size = OmegaConf.select(cfg, key)
        if size % processes:
            raise InputError(
                f"{key}={size} cannot be shared out equally among {processes} processes (trainer.devices={devices}); expected "
                f"a multiple of {processes}: take {key}={size + processes - size % processes}"
            )


def _batch_sizes(cfg: DictConfig) -> list[str]:
    """The batch sizes of the trainings that this stage may start."""
    synthetic = cfg.stage == "train" and cfg.mix.synthetic != 0 and cfg.synthetic.path is None
    paints = cfg.stage in ("translator", "synthesize") or synthetic
    keys = []
    # The judge of the painted images is trained like any segmenter.
    if cfg.stage == "train" or (paints and _judged(cfg)):
        keys.append("training.batch_size")
    if paints and cfg.translator.path is None:
        keys.append("translator.batch_size")
        keys += ["translator.stage2.batch_size"] if OmegaConf.select(cfg, "translator.stages") == 2 else []
    return keys


def _judged(cfg: DictConfig) -> bool:
    return bool(cfg.stage == "translator" and cfg.translator.quality.enabled) or cfg.translator.choose == "quality"


def _count_gpus() -> int:
    # Imported here: stages that train nothing do without PyTorch.
    import torch

    return torch.cuda.device_count()


def _check_combinations(cfg: DictConfig) -> None:
    if cfg.trainer.accelerator == "gpu" and not _count_gpus():
        raise InputError(
            "trainer.accelerator=gpu, yet no CUDA device is at hand; take trainer=cpu (trainer=ddp_cpu instead of trainer=ddp)"
        )
    steps, per_epoch = cfg.training.steps, cfg.training.steps_per_epoch
    if steps % per_epoch:
        nearest = max(per_epoch, steps - steps % per_epoch)
        raise InputError(
            f"training.steps={steps} is no multiple of training.steps_per_epoch={per_epoch}; expected one, since weights are "
            f"chosen by validation at the end of an epoch: take training.steps={nearest}, or another training.steps_per_epoch"
        )
    judge_steps = cfg.translator.quality.steps
    if _judged(cfg) and judge_steps % min(judge_steps, per_epoch):
        raise InputError(
            f"translator.quality.steps={judge_steps} is no multiple of training.steps_per_epoch={per_epoch}; expected one, "
            "since weights are chosen by validation at the end of an epoch: take translator.quality.steps="
            f"{judge_steps - judge_steps % per_epoch}"
        )
    if not re.fullmatch(r"per_image|per_cell|(cluster|source):\d+", str(cfg.synthetic.style)):
        raise InputError(
            f"synthetic.style={cfg.synthetic.style}; expected per_image, per_cell, cluster:<number> or source:<number>"
        )
    kind, _, number = str(cfg.synthetic.style).partition(":")
    if kind == "cluster" and int(number) >= OmegaConf.select(cfg, "translator.n_clusters", default=math.inf):
        raise InputError(
            f"synthetic.style={cfg.synthetic.style}; expected one of cluster:0 to cluster:{cfg.translator.n_clusters - 1} "
            f"(translator.n_clusters={cfg.translator.n_clusters})"
        )
    if cfg.protocol == "paper" and _judged(cfg):
        raise InputError(
            "protocol=paper leaves no validation part to judge painted images on; take protocol=held_out, or "
            "translator.quality.enabled=false and translator.choose=last"
        )
    _check_processes(cfg)
    if cfg.synthetic.mode == "online" and cfg.synthetic.path is not None:
        raise InputError("synthetic.mode=online makes its own pairs; drop synthetic.path, or take synthetic.mode=offline")
    set_by_hand = [name for name in _FITTED if cfg.sampler[name] is not None]
    if (cfg.fit or cfg.sampler.fitted) and set_by_hand:
        raise InputError(
            f"sampler.{set_by_hand[0]}={cfg.sampler[set_by_hand[0]]} is a value that the fitted sampler chooses itself; take "
            "sampler=adhesion to set it by hand"
        )
