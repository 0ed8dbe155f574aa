"""Training of the Pix2Pix translators on masks and structure maps (S4), one artifact each."""

from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from rbc_lightning.artifacts import Artifact
from rbc_lightning.stages.inputs import Inputs, console, derive_seed
from rbc_lightning.stages.instantiation import build
from rbc_lightning.stages.painting.gan_training import LAST, GanSchedule, fit_gan
from rbc_lightning.stages.painting.structures import thresholds
from rbc_lightning.stages.training import training_numerics
from rbc_lightning.tasks.mode_seeking_pix2pix import ModeSeekingPix2PixTask


def get_pix2pix(cfg: DictConfig, inputs: Inputs) -> Artifact:
    """The trained task that the config describes, with its checkpoints; trained where it is not there yet."""
    settings: dict[str, Any] = {key: cfg.translator[key] for key in ("task", "batch_size", "candidates")}
    settings |= {"seed": cfg.seed, **training_numerics(cfg), "format": 1}
    return inputs.store.get("pix2pix", settings, [inputs.train_fingerprint], lambda directory: _train(cfg, inputs, directory))


def load_pix2pix(path: Path) -> ModeSeekingPix2PixTask:
    """Read a checkpoint."""
    task = ModeSeekingPix2PixTask.load_from_checkpoint(path, weights_only=True, map_location="cpu")
    return task.eval()


def _train(cfg: DictConfig, inputs: Inputs, directory: Path) -> None:
    records = inputs.manifest.split("train")
    torch.manual_seed(derive_seed(cfg.seed, "translator"))
    task: ModeSeekingPix2PixTask = build(cfg.translator.task, "translator.task")
    hparams = task.hparams
    if hparams["structure"]:
        task.use_thresholds(thresholds(records, hparams["structure_method"]))
    schedule = GanSchedule(
        crop=hparams["size"],
        batch_size=cfg.translator.batch_size,
        samples_per_image=task.samples_per_image,
        epochs=int(hparams["n_epochs"] + hparams["n_epochs_decay"]),
        candidates=cfg.translator.candidates,
        job="pix2pix",
    )
    knows = "masks and structure maps" if hparams["structure"] else "masks alone"
    again = " (resumed)" if (directory / LAST).is_file() else ""
    console.print(
        f"Training Pix2Pix on {knows}{again}: {schedule.epochs} epochs of {len(records)} images, crops of {schedule.crop} px; "
        f"mode seeking {hparams['lambda_mode_seeking']:g}, L1 {hparams['lambda_l1']:g}"
    )
    fit_gan(cfg, inputs, directory, task, schedule)
