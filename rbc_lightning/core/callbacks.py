"""Lightning callbacks: reproducible epochs, a guard against NaN, progress for terminals and for log files."""

import time
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, RichProgressBar, WeightAveraging

from rbc_lightning.core.progress import console
from rbc_lightning.errors import TrainingStopped

_LINES = 20


class SeedEachEpoch(pl.Callback):
    """Start every epoch's random numbers (dropout, noise) from (seed, epoch): resuming changes nothing."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed PyTorch's generators on every device; each process of a distributed training has its own stream."""
        # Not at the start of the epoch: Lightning leaves that hook out for the first epoch of a resumed training.
        if batch_idx == 0:
            torch.manual_seed((self.seed * 1_000_003 + trainer.current_epoch + trainer.global_rank * 2**55) % 2**63)


class LossGuard(pl.Callback):
    """Stop with the batch named as soon as a training loss is not finite."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check the loss that the step returned."""
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if isinstance(loss, torch.Tensor) and not torch.isfinite(loss).all():
            raise TrainingStopped(
                f"loss is {float(loss)} at step {trainer.global_step} on samples {', '.join(batch['sample_id'])}; expected a "
                "finite number: lower the learning rate, or look at these images"
            )


class SettledCheckpoint(ModelCheckpoint):
    """Keep the best weights among those of the later part of a training.

    Args:
        after: share of the steps before which nothing is kept, from 0 to below 1.
        settings: those of `ModelCheckpoint`.
    """

    def __init__(self, after: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._after = after

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights if they are the best, and the time has come."""
        if self._is_due(trainer):
            super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Likewise: Lightning saves after one or the other."""
        if self._is_due(trainer):
            super().on_train_epoch_end(trainer, pl_module)

    def _is_due(self, trainer: pl.Trainer) -> bool:
        return trainer.global_step >= self._after * trainer.max_steps


class EpochLines(pl.Callback):
    """About `_LINES` lines a training, each with the step and the last values: progress for a log file."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say where the training stands, and what was logged last."""
        done, total = trainer.current_epoch + 1, _epochs(trainer)
        if not trainer.is_global_zero or (done < total and done % max(1, total // _LINES)):
            return
        shown = {name: value for name, value in sorted(trainer.callback_metrics.items()) if not name.startswith("drawn/")}
        values = "  ".join(f"{name} {float(value):.3f}" for name, value in shown.items())
        seconds = time.monotonic() - self._started
        print(f"  epoch {done}/{total}  {seconds:.0f} s  {values}", flush=True)


def running_mean(decay: float, device: str | None = None) -> WeightAveraging:
    """Keep a running mean of weights and of batch norm's statistics, updated at every step, and validate and save that.

    Args:
        decay: share of the old mean in the new one, in (0, 1).
        device: of the mean; None for the CPU.
    """
    # Lightning's own callback for this holds a function that cannot be sent to the processes of a distributed training.
    return WeightAveraging(device=device, avg_fn=partial(_decayed, decay))


def _decayed(decay: float, mean: torch.Tensor, current: torch.Tensor, _n_averaged: object) -> torch.Tensor:
    with torch.no_grad():
        return decay * mean + (1 - decay) * current


def progress_bar() -> pl.Callback:
    """A rich progress bar on a terminal; lines where the output goes to a file."""
    return RichProgressBar(leave=False) if console.is_terminal else EpochLines()


def _epochs(trainer: pl.Trainer) -> int:
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        return trainer.max_epochs
    return -(-trainer.max_steps // max(1, int(trainer.num_training_batches)))
