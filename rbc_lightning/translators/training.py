"""What the trainings of all GAN translators share: flipped crops of the train split, checkpoints, resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.core.training import LAST, build_trainer, fit_or_resume, last_checkpoint
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.tracking.base import opened
from rbc_lightning.translators.phases import AdversarialPhase, steps_per_epoch

_CANDIDATES = Path("checkpoints") / "candidates"


def fit_gan(
    phase: AdversarialPhase[Any],
    directory: Path,
    task: pl.LightningModule,
    *,
    job: str,
    crop: int | None,
    samples_per_image: int = 1,
) -> None:
    """Train a translator's task in `directory`, going on from its last checkpoint if there is one.

    Args:
        phase: says on what, and how.
        directory: of checkpoints and curves.
        task: as it is to be trained.
        job: name of the training for loggers.
        crop: side of the training crops, pixels; None for whole images.
        samples_per_image: samples of the train split that one generated image takes.
    """
    seed, train = derive_seed(phase.seed, "translator"), phase.train
    batch_size = phase.batch_size * samples_per_image
    whole_batches = len(train) - len(train) % batch_size
    data = PairDataModule.flipped(
        train,
        # A batch across two passes may hold one image twice, which makes no pair.
        per_pass=whole_batches if samples_per_image > 1 and whole_batches else len(train),
        crop=crop,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch(len(train), phase.batch_size),
        seed=seed,
        num_workers=phase.trainer.num_workers,
    )
    # The candidate before last.ckpt: a run killed in between repeats the epoch instead of losing the candidate.
    callbacks = [*_candidates(directory, phase.candidates, phase.epochs), last_checkpoint((directory / LAST).parent)]
    with opened(phase.tracking, directory, job=job, tags=[phase.name]) as loggers:
        trainer = build_trainer(
            phase.trainer,
            directory,
            seed=seed,
            callbacks=callbacks,
            loggers=loggers,
            max_epochs=phase.epochs,
            limit_val_batches=0,
        )
        fit_or_resume(trainer, task, data, directory / LAST)


def kept_checkpoints(directory: Path) -> list[Path]:
    """Checkpoints of a finished training in the order in which they were kept; the last one is the end of it."""
    return [*sorted((directory / _CANDIDATES).glob("*.ckpt")), directory / LAST]


def _candidates(directory: Path, candidates: int, epochs: int) -> list[ModelCheckpoint]:
    if candidates == 0:
        return []
    every = max(1, epochs // (2 * (candidates + 1)))
    first = epochs - every * (candidates + 1)
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
