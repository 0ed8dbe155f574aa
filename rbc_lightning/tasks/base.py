"""What all tasks with one network and one optimiser share: optimiser, schedule, the record of what was drawn."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from typing import Any, ClassVar, Literal, get_args

import pytorch_lightning as pl
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from rbc_lightning.ops.instances import Instances

Batch = dict[str, Any]

Schedule = Literal["one_cycle", "cosine", "constant"]
WARMUP_FRACTION = 0.15
"""Part of a one-cycle run in which the learning rate rises."""

KINDS = ("real", "synthetic", "augmented")


class BaseTask(pl.LightningModule):
    """One network trained by AdamW under a learning-rate schedule that ends with the run.

    Each epoch logs how many samples of each kind it really trained on: `drawn/real`, `drawn/synthetic`, `drawn/augmented`.

    The class attributes `monitor` and `mode` name the logged value by which weights are chosen and its direction;
    the checkpoint callback reads them.

    Args:
        net: The network to train.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay of weights with more than one dimension; biases and norms have none.
        schedule: "one_cycle" (rise, then cosine to zero), "cosine" (to zero), or "constant".

    Raises:
        ValueError: If an argument is out of its range.
    """

    monitor: ClassVar[str] = "val/loss"
    mode: ClassVar[Literal["min", "max"]] = "min"

    def __init__(
        self, net: nn.Module, learning_rate: float, weight_decay: float = 0.0, schedule: Schedule = "one_cycle"
    ) -> None:
        super().__init__()
        if not (math.isfinite(learning_rate) and learning_rate > 0):
            raise ValueError(f"learning_rate must be positive, got {learning_rate}.")
        if not (math.isfinite(weight_decay) and weight_decay >= 0):
            raise ValueError(f"weight_decay must not be negative, got {weight_decay}.")
        if schedule not in get_args(Schedule):
            raise ValueError(f"schedule must be one of {', '.join(get_args(Schedule))}, got {schedule!r}.")
        self.net = net
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        # Filled by a test: one row per image, `sample_id` and the image's scores.
        self.per_image: list[dict[str, float | str]] = []

    @abstractmethod
    def predict_instances(self, image: Tensor) -> Instances:
        """Find the cells of one image, float32 (3, H, W) in [0, 1], on the task's device; the task in evaluation mode."""

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:  # noqa: ANN401 (Lightning's)
        """Log the kinds of samples that this step was trained on, summed over the epoch and over all processes."""
        counts = Counter(kinds(batch))
        for kind in KINDS:
            self.log(f"drawn/{kind}", float(counts[kind]), on_step=False, on_epoch=True, reduce_fx="sum", sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW over the trainable parameters, and the schedule stepped once per optimiser step.

        Raises:
            ValueError: If the schedule needs the run's length and the trainer sets none.
        """
        trainable = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in trainable if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = AdamW(groups, lr=self.learning_rate)
        if self.schedule == "constant":
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self._scheduler(optimizer), "interval": "step"},
        }

    def _scheduler(self, optimizer: AdamW) -> LRScheduler:
        total_steps = self.trainer.estimated_stepping_batches
        if not math.isfinite(total_steps):
            raise ValueError(
                f"schedule {self.schedule!r} needs the length of the run: set max_steps or max_epochs of the trainer, "
                "or take schedule 'constant'."
            )
        if self.schedule == "cosine":
            return CosineAnnealingLR(optimizer, T_max=int(total_steps))
        return OneCycleLR(optimizer, self.learning_rate, total_steps=int(total_steps), pct_start=WARMUP_FRACTION)


def kinds(batch: Batch) -> list[str]:
    """The kind of every sample of a batch, one of `KINDS`: whatever was augmented counts as augmented alone."""
    # At once: each element of a tensor on a GPU would be fetched by itself.
    augmented = batch["augmented"].tolist() if "augmented" in batch else [False] * len(batch["origin"])
    return ["augmented" if changed else origin for origin, changed in zip(batch["origin"], augmented, strict=True)]
