"""Tiny pair GANs, and slices of two patients and smears to train them on."""

from pix2pix_helpers import make_train
from slice_samples import slice_samples, slice_spec

from rbc_lightning.core.build import build
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.manifest import Samples

EXACT = TrainerSettings(precision="32-true", progress_bar=False)
WASSERSTEIN = {"objective": "wasserstein", "n_critic": 2}
FORMS = {
    "dcgan": {"objective": "log", "n_critic": 1, "penalty": 0, "critic_norm": "batch", "noise": "uniform"},
    "dcgan_gp": {"objective": "log", "n_critic": 1, "penalty": 10, "critic_norm": "layer", "noise": "uniform"},
    "wgan": {**WASSERSTEIN, "penalty": 0, "clip": 0.01, "critic_norm": "batch"},
    "wgan_gp": {**WASSERSTEIN, "penalty": 10, "critic_norm": "layer"},
}
TASK = {
    "_target_": "rbc_lightning.pairs.gan.task.PairGanTask",
    "size": 32,
    "latent": 5,
    "base_channels": 4,
    "upsampling": "nearest",
    "ema_decay": 0.5,
    **FORMS["wgan_gp"],
}


def slices(*patients, classes=(), n_slices=4):
    """Of each patient one scan whose last slice shows nothing."""
    spec = slice_spec(*classes)
    return Samples(tuple(s for name in patients or ("a", "b") for s in slice_samples(name, name, "train", spec, n_slices)))


def smears(n=3):
    return make_train(n=n)


def gan_pairs(train=None, seed=0, **settings):
    """As the configuration group builds it; `task` holds changes of the tiny task's arguments."""
    spec = {
        "_target_": "rbc_lightning.pairs.gan.recipe.GanPairs",
        "_recursive_": False,
        "steps": 4,
        "steps_per_epoch": 2,
        "batch_size": 2,
        **settings,
        "task": {**TASK, **settings.get("task", {})},
    }
    given = {"gan_seed": spec.pop("gan_seed", 0), "trainer": spec.pop("trainer", EXACT), "tracking": None}
    return build(spec, "pairs", train=slices() if train is None else train, seed=seed, **given)
