"""Stop a GAN training that has gone wrong, with the batch named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rbc_lightning.errors import TrainingStopped


class CollapseGuard:
    """Watch losses and images step by step.

    Args:
        patience: consecutive bad steps after which a flat image or an unbeatable discriminator counts as collapse.
        flat: standard deviation over pixels, in [-1, 1] units, below which an image counts as one flat colour.
        pinned: discriminator loss below which the generator gets nothing to learn from.
    """

    def __init__(self, patience: int = 200, flat: float = 5e-3, pinned: float = 1e-5) -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1 step, got {patience}")
        self.patience = patience
        self.flat = flat
        self.pinned = pinned
        self._flat_steps = 0
        self._pinned_steps = 0

    def check(self, losses: Mapping[str, Tensor], fake: Tensor, sample_ids: Sequence[str]) -> None:
        """Raise if this step shows that training cannot go on.

        Args:
            losses: scalars by name; `d_real` and `d_fake` among them.
            fake: generated images (B, 3, H, W) in [-1, 1].
            sample_ids: of the batch.

        Raises:
            TrainingStopped: a loss is not finite; or the images have been flat, or the discriminator's loss zero, for
                `patience` steps.
        """
        spread = fake.detach().float().std(dim=(2, 3)).max()
        # One transfer for everything: on a GPU each .item() would wait for the device.
        *values, flatness = torch.stack([*(loss.detach().float() for loss in losses.values()), spread]).tolist()
        by_name = dict(zip(losses, values, strict=True))
        where = f"batch {', '.join(sample_ids)}"
        bad = [name for name, value in by_name.items() if value - value != 0]
        if bad:
            raise TrainingStopped(
                f"{', '.join(bad)} not finite on {where}; look at these images, or lower translator.task.learning_rate"
            )
        self._flat_steps = self._flat_steps + 1 if flatness < self.flat else 0
        self._pinned_steps = self._pinned_steps + 1 if by_name["d_real"] + by_name["d_fake"] < self.pinned else 0
        if self._flat_steps >= self.patience:
            raise TrainingStopped(
                f"the generator has painted one flat colour for {self.patience} steps, last on {where}: lower "
                "translator.task.learning_rate, or take another seed"
            )
        if self._pinned_steps >= self.patience:
            raise TrainingStopped(
                f"the discriminator's loss has been zero for {self.patience} steps, last on {where}: the generator "
                "learns nothing more; lower translator.task.discriminator_channels"
            )
