"""How the model of a run, or of a member of one, is trained: its data, and its attempts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger

from rbc_lightning.core.progress import tell
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.stream import tell_of_empty
from rbc_lightning.pairs.synthetic_set import synthetic_samples
from rbc_lightning.segmenters.base import BaseTask
from rbc_lightning.segmenters.model import Model
from rbc_lightning.segmenters.restarts import StartAgain
from rbc_lightning.segmenters.training import fit, is_begun
from rbc_lightning.study.tables import COLUMNS

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store
    from rbc_lightning.runs.recipe import TrainedSegmenter


def begin(run: TrainedSegmenter, directory: Path, store: Store, model: Model) -> tuple[BaseTask, PairDataModule]:
    """Task with new weights, and data, of the present attempt."""
    seed = run.training_seed(directory)
    torch.manual_seed(seed)
    return model.build(), data_of(run, store, seed)


def train(
    run: TrainedSegmenter,
    directory: Path,
    store: Store,
    model: Model,
    task: BaseTask,
    data: PairDataModule,
    loggers: Sequence[Logger],
) -> tuple[pl.Trainer, float | None, PairDataModule]:
    """Train on the mix; gives what `fit` does, and what was trained on: after a restart, draws of another seed."""
    tell(
        f"{'Resuming' if is_begun(directory) else 'Training'} {model.name} on {COLUMNS.get(run.mix.column, 'a mix')}: "
        f"{run.mix.real} real, {run.mix.synthetic} synthetic, {run.mix.augmented} augmented samples; "
        f"{run.training.steps} steps with batches of {run.training.batch_size}"
    )
    seed, chooses = run.training_seed(directory), run.chooses_thresholds
    try:
        fitted = fit(run.trainer, run.training, directory, task, data, seed=seed, loggers=loggers, chooses_thresholds=chooses)
    except StartAgain:
        return train(run, directory, store, model, *begin(run, directory, store, model), loggers)
    return *fitted, data


def data_of(run: TrainedSegmenter, store: Store, seed: int) -> PairDataModule:
    """The datamodule of the mix, its synthetic pairs made or found."""
    train = run.manifest.split("train")
    # Donor cells are not read for a mix that pastes none.
    augment = run.augmentation.build(train, seed, run.manifest.spec) if run.mix.augmented else None
    if note := tell_of_empty(train):
        tell(note)
    synthetic, paint = synthetic_samples(run.synthetic, store, run.manifest)
    return PairDataModule(
        run.manifest,
        synthetic,
        run.mix,
        augment=augment,
        crop=run.training.crop,
        focus=run.training.focus,
        batch_size=run.training.batch_size,
        steps_per_epoch=run.training.steps_per_epoch,
        seed=seed,
        num_workers=run.trainer.num_workers,
        paint=paint,
        select_on="test" if run.protocol == "paper" else "val",
        ignored=run.ignored,
    )
