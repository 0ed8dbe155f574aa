"""What the trainings of all GANs share: flipped crops of the train split, checkpoints, resuming."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.core.training import LAST, build_trainer, fit_or_resume, last_checkpoint
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.mix import MixStream
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
    transforms: Mapping[str, Mapping[str, Any]] | None = None,
    focus: float = 0,
    stream: MixStream | None = None,
) -> None:
    """Train a GAN's task in `directory`, going on from its last checkpoint if there is one.

    Args:
        phase: says on what, and how.
        directory: of checkpoints and curves.
        task: as it is to be trained.
        job: name of the training for loggers.
        crop: side of the training crops, pixels; None for whole images.
        samples_per_image: samples of the train split that one generated image of a step takes.
        transforms: of image and label map after their mirror image, as `build_augmentation` takes them.
        focus: share of the crops that lie about something labelled.
        stream: what is drawn; None: every sample in turn.
    """
    seed, train = derive_seed(phase.seed, "translator"), phase.train
    batch_size = phase.batch_size * samples_per_image
    whole_batches = len(train) - len(train) % batch_size
    # A pass goes through all samples, however many of them an epoch takes.
    data = PairDataModule.flipped(
        train,
        # A batch across two passes may hold one image twice, which makes no pair.
        per_pass=whole_batches if samples_per_image > 1 and whole_batches else len(train),
        crop=crop,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch(phase.epoch_images, phase.batch_size),
        seed=seed,
        num_workers=phase.trainer.num_workers,
        transforms=transforms,
        focus=focus,
        stream=stream,
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


def candidate_epochs(candidates: int, epochs: int) -> list[int]:
    """After which of `epochs`, counted from 1, a training keeps candidates: evenly spread over the second half.

    The last epoch is no candidate, since it is kept anyway. Of few epochs, the last ones before it.
    """
    before_end = (max(turn, epochs * turn // (2 * (candidates + 1))) for turn in range(candidates, 0, -1))
    return [epochs - each for each in before_end if each < epochs]


def _candidates(directory: Path, candidates: int, epochs: int) -> list[ModelCheckpoint]:
    return [_LateCheckpoint(directory / _CANDIDATES, candidate_epochs(candidates, epochs))] if candidates else []


class _LateCheckpoint(ModelCheckpoint):
    """Keep the weights after certain epochs, counted from 1."""

    def __init__(self, directory: Path, epochs: Collection[int]) -> None:
        super().__init__(
            dirpath=directory,
            filename="{epoch:04d}",
            save_top_k=-1,
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            save_weights_only=True,
            enable_version_counter=False,
        )
        self.epochs = frozenset(epochs)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401 (Lightning's own types)
        """Save after the epochs asked for."""
        if trainer.current_epoch + 1 in self.epochs:
            super().on_train_epoch_end(trainer, pl_module)
