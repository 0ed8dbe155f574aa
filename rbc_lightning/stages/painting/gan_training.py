"""What the trainings of all translators share: flipped crops of the train split, checkpoints, resuming."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ModelCheckpoint

from rbc_lightning.data.augment import build_augmentation
from rbc_lightning.data.datamodule import SmearDataModule
from rbc_lightning.data.mix import Mix
from rbc_lightning.stages.inputs import Inputs, derive_seed
from rbc_lightning.stages.tracking.loggers import build_loggers, close_loggers
from rbc_lightning.stages.training import build_trainer, fit_or_resume, last_checkpoint

LAST = Path("checkpoints") / "last.ckpt"
_CANDIDATES = Path("checkpoints") / "candidates"
# Flips only, as S3 5.1: they keep a smear a smear.
_FLIPS = {"horizontal_flip": {"p": 0.5}, "vertical_flip": {"p": 0.5}}


@dataclass(frozen=True)
class GanSchedule:
    """How long a translator is trained, and on what.

    Attributes:
        crop: side of the training crops, pixels; None for whole images.
        batch_size: images that an optimiser step paints.
        samples_per_image: samples of the train split that one painted image takes.
        epochs: passes in which as many images are painted as the train split has.
        candidates: checkpoints kept before the last one, spread over the second half of the training.
        job: name of the training for loggers.
    """

    crop: int | None
    batch_size: int
    epochs: int
    job: str
    samples_per_image: int = 1
    candidates: int = 0


def fit_gan(cfg: DictConfig, inputs: Inputs, directory: Path, task: pl.LightningModule, schedule: GanSchedule) -> None:
    """Train a translator's task in `directory`, going on from its last checkpoint if there is one."""
    records = inputs.manifest.split("train")
    seed = derive_seed(cfg.seed, "translator")
    batch_size = schedule.batch_size * schedule.samples_per_image
    whole_batches = len(records) - len(records) % batch_size
    # A batch across two passes may hold one image twice, which makes no pair.
    per_pass = whole_batches if schedule.samples_per_image > 1 and whole_batches else len(records)
    data = SmearDataModule(
        inputs.manifest,
        (),
        Mix(real=0, synthetic=0, augmented=per_pass),
        augment=build_augmentation(_FLIPS),
        crop=schedule.crop,
        batch_size=batch_size,
        steps_per_epoch=max(1, len(records) // schedule.batch_size),
        seed=seed,
        num_workers=cfg.trainer.num_workers,
    )
    loggers = build_loggers(cfg, directory, job=schedule.job, tags=[cfg.translator.name, cfg.data.name])
    trainer = build_trainer(
        cfg,
        directory,
        seed=seed,
        # The candidate first: a training killed between the two would resume behind it.
        callbacks=[*_candidates(directory, schedule), last_checkpoint((directory / LAST).parent)],
        loggers=loggers,
        max_epochs=schedule.epochs,
        limit_val_batches=0,
    )
    try:
        fit_or_resume(trainer, task, data, directory / LAST)
    finally:
        close_loggers(loggers)


def kept_checkpoints(directory: Path) -> list[Path]:
    """Checkpoints of a finished training in the order in which they were kept; the last one is the end of it."""
    return [*sorted((directory / _CANDIDATES).glob("*.ckpt")), directory / LAST]


def _candidates(directory: Path, schedule: GanSchedule) -> list[ModelCheckpoint]:
    if schedule.candidates == 0:
        return []
    every = max(1, schedule.epochs // (2 * (schedule.candidates + 1)))
    first = schedule.epochs - every * (schedule.candidates + 1)
    return [_LateCheckpoint(directory / _CANDIDATES, first_epoch=first, every=every)]


class _LateCheckpoint(ModelCheckpoint):
    """Keep every n-th epoch after a first one; weights only."""

    def __init__(self, directory: Path, first_epoch: int, every: int) -> None:
        super().__init__(
            dirpath=directory,
            filename="{epoch:04d}",
            save_top_k=-1,
            every_n_epochs=every,
            save_on_train_epoch_end=True,
            save_weights_only=True,
            enable_version_counter=False,
        )
        self.first_epoch = first_epoch

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401 (Lightning's own types)
        """Save unless it is too early, or the last epoch, which is kept anyway."""
        if self.first_epoch < trainer.current_epoch + 1 < trainer.max_epochs:
            super().on_train_epoch_end(trainer, pl_module)
