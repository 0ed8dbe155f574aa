"""Checks of the numbers and words that a user may set, before anything is made."""

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
_MAY_BE_NULL = ("training.crop",)
_WORDS = {
    "synthetic.mode": ("offline", "online"),
    "sampler.placement": ("adhesion", "uniform"),
    "logger.kind": ("csv", "tensorboard", "wandb"),
    "logger.mode": ("offline", "online", "disabled"),
    "trainer.accelerator": ("cpu", "gpu"),
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
    for key, words in _WORDS.items():
        value = OmegaConf.select(cfg, key, default=words[0])
        if value not in words:
            raise InputError(f"{key}={value}; expected one of {', '.join(words)}")
    _check_combinations(cfg)


def _check_combinations(cfg: DictConfig) -> None:
    steps, per_epoch = cfg.training.steps, cfg.training.steps_per_epoch
    if steps % per_epoch:
        nearest = max(per_epoch, steps - steps % per_epoch)
        raise InputError(
            f"training.steps={steps} is no multiple of training.steps_per_epoch={per_epoch}; expected one, since weights are "
            f"chosen by validation at the end of an epoch: take training.steps={nearest}, or another training.steps_per_epoch"
        )
    if not re.fullmatch(r"per_image|per_cell|cluster:\d+", str(cfg.synthetic.style)):
        raise InputError(f"synthetic.style={cfg.synthetic.style}; expected per_image, per_cell or cluster:<number>")
    if cfg.trainer.devices != 1:
        raise InputError(
            f"trainer.devices={cfg.trainer.devices}; a run on several devices is not offered yet: take trainer=gpu"
        )
    if cfg.synthetic.mode == "online" and cfg.synthetic.path is not None:
        raise InputError("synthetic.mode=online makes its own pairs; drop synthetic.path, or take synthetic.mode=offline")
    set_by_hand = [name for name in _FITTED if cfg.sampler[name] is not None]
    if (cfg.fit or cfg.sampler.fitted) and set_by_hand:
        raise InputError(
            f"sampler.{set_by_hand[0]}={cfg.sampler[set_by_hand[0]]} is a value that the fitted sampler chooses itself; take "
            "sampler=adhesion to set it by hand"
        )
