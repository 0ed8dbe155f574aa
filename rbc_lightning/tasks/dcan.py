"""Detection from segmentation: objectness and contours of cells, S3 section 5.4, after DCAN (Chen et al. 2016)."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rbc_lightning.nets.dcan import DCAN
from rbc_lightning.ops.contours import contour_band
from rbc_lightning.ops.instances import Instances, split_cells
from rbc_lightning.ops.seg_losses import soft_dice_loss
from rbc_lightning.tasks.base import Batch, Schedule
from rbc_lightning.tasks.segmentation import SegmentationTask, standardize

ContourLoss = Literal["dice", "bce"]
CONTOUR_SHARE = 1 / 15
"""Radius of a contour over the diameter of a cell: 3 pixels of 46."""
GROWTH = 3
"""Pixels that a cell grows by at most, over the radius of the contour."""
CORE_AREA = 0.035
"""Patches under this share of a mean cell's area are no cells: less than `SPECK_AREA`, for a cell without its rim is small."""
AUXILIARY_DECAY, AUXILIARY_FLOOR = 10.0, 1e-3
"""DCAN divides the weight of its auxiliary losses by ten every `auxiliary_steps` steps, down to a thousandth."""


class ContourTask(SegmentationTask):
    """Trains a network for cells and for their contours, so that cells which touch come apart.

    The loss is the plain sum of the loss of the objectness and that of the contour (S3 5.4). The target of the contour is a
    band around every border of the *instance* map, between two touching cells as well. A cell is a patch of objectness
    without contour; the contour's width is given back to it afterwards.

    A `DCAN` with auxiliary classifiers is trained as the original was: their losses are added with a weight that starts at
    1 and decays.

    Logged beside what `SegmentationTask` logs: `val/ap50`, by which weights are chosen, `train/objectness`, `train/contour`.

    Args:
        net: Network from (B, 3, H, W) to logits (B, 2, H, W): objectness, contour.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay.
        schedule: See `BaseTask`.
        threshold: Objectness above which a pixel is a cell's.
        contour_threshold: Probability of contour below which it stays so.
        contour_radius: Half width of the contour in pixels; None for a fifteenth of the cell size, at least 1.
        contour_loss: "dice", or "bce" (binary cross entropy), kinder to thin lines.
        cell_size: Mean diameter of a cell in pixels.
        tile: See `SegmentationTask`.
        auxiliary_steps: Steps after which the weight of auxiliary losses falls to a tenth.

    Raises:
        ValueError: If an argument is out of its range.
    """

    monitor: ClassVar[str] = "val/ap50"
    outputs: ClassVar[int] = 2

    def __init__(
        self,
        net: nn.Module,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-4,
        schedule: Schedule = "one_cycle",
        threshold: float = 0.5,
        contour_threshold: float = 0.1,
        contour_radius: int | None = None,
        contour_loss: ContourLoss = "dice",
        cell_size: float | None = None,
        tile: int | None = None,
        auxiliary_steps: int = 10_000,
    ) -> None:
        super().__init__(net, learning_rate, weight_decay, schedule, threshold, cell_size, tile)
        if not 0 < contour_threshold <= 1:
            raise ValueError(f"contour_threshold must lie in (0, 1], got {contour_threshold}.")
        if contour_loss not in get_args(ContourLoss):
            raise ValueError(f"contour_loss must be one of {', '.join(get_args(ContourLoss))}, got {contour_loss!r}.")
        if contour_radius is None and cell_size is None:
            raise ValueError("contour_radius needs a number of pixels, or cell_size to follow from; both are None.")
        if contour_radius is not None and contour_radius < 1:
            raise ValueError(f"contour_radius must be at least 1 pixel or None, got {contour_radius}.")
        if auxiliary_steps < 1:
            raise ValueError(f"auxiliary_steps must be at least 1, got {auxiliary_steps}.")
        self.contour_threshold, self.contour_loss, self.auxiliary_steps = contour_threshold, contour_loss, auxiliary_steps
        self.contour_radius = max(1, round((cell_size or 0) * CONTOUR_SHARE)) if contour_radius is None else contour_radius

    def loss(self, logits: Tensor, label_map: Tensor) -> Tensor:
        """Sum of the losses of objectness and contour."""
        objectness, contour = self._losses(logits, label_map)
        return objectness + contour

    def training_step(self, batch: Batch) -> Tensor:
        """Loss of one batch, with the auxiliary classifiers' where the network has some."""
        label_map = batch["label_map"]
        auxiliary: tuple[Tensor, ...] = ()
        if isinstance(self.net, DCAN) and self.net.auxiliary:
            image = standardize(batch["image"]).contiguous(memory_format=torch.channels_last)
            logits, auxiliary = self.net.forward_with_auxiliary(image)
        else:
            logits = self(batch["image"])
        objectness, contour = self._losses(logits.float(), label_map)
        loss = objectness + contour
        for deep in auxiliary:
            loss = loss + self.auxiliary_weight * self.loss(deep.float(), label_map)
        parts = {"train/loss": loss, "train/objectness": objectness, "train/contour": contour}
        self.log_dict(parts, batch_size=len(label_map))
        return loss

    def validation_step(self, batch: Batch) -> None:
        """Log the loss, collect the images' overlaps and cells."""
        logits = self(batch["image"])
        self._validate(logits, batch["label_map"])
        maps = logits.sigmoid().cpu().numpy()
        for one, label_map in zip(maps, batch["label_map"].cpu().numpy(), strict=True):
            self._val_cells.update(self.read_cells(one), label_map)

    def on_validation_epoch_end(self) -> None:
        """Log `val/dice` and `val/ap50`."""
        super().on_validation_epoch_end()
        self.log("val/ap50", self._val_cells.ap50, sync_dist=True)

    def read_cells(self, maps: NDArray[np.float32]) -> Instances:
        """Cells of objectness and contour (2, H, W)."""
        return split_cells(
            maps[0],
            maps[1],
            object_threshold=self.threshold,
            contour_threshold=self.contour_threshold,
            smooth_radius=self.contour_radius,
            # A ring of cells may surround background: only what is smaller than half a cell is a hole in one.
            max_hole_area=None if self.cell_size is None else round(np.pi / 8 * self.cell_size**2),
            min_area=self.min_area,
            # A low threshold makes wide contours; what they took is given back as far as the objectness reaches.
            grow=GROWTH * self.contour_radius,
            grow_inside_objects=True,
        )

    @property
    def min_area(self) -> int:
        """Area in pixels under which what is left of a cell without its contour is none."""
        return self._area(CORE_AREA)

    @property
    def auxiliary_weight(self) -> float:
        """Weight of the auxiliary losses at the present step."""
        return max(AUXILIARY_FLOOR, AUXILIARY_DECAY ** -(self.global_step // self.auxiliary_steps))

    def _losses(self, logits: Tensor, label_map: Tensor) -> tuple[Tensor, Tensor]:
        objectness = soft_dice_loss(logits[:, 0], label_map > 0)
        target = contour_band(label_map, self.contour_radius)
        if self.contour_loss == "dice":
            return objectness, soft_dice_loss(logits[:, 1], target)
        return objectness, F.binary_cross_entropy_with_logits(logits[:, 1], target.float())
