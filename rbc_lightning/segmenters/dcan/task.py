"""Detection from segmentation: objectness and contours of cells (Bailo et al. 2019, Sec. 5.4; Chen et al. 2016)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rbc_lightning.core.instance_means import check_integer
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.metrics.registry import Metric
from rbc_lightning.segmenters.base import Batch
from rbc_lightning.segmenters.illumination import Objects
from rbc_lightning.segmenters.losses import Loss
from rbc_lightning.segmenters.optimizers import ADAMW, ONE_CYCLE, MakeOptimizer, MakeSchedule, check_factory
from rbc_lightning.segmenters.postprocess import split_cells
from rbc_lightning.segmenters.segmentation import SOFT_DICE, SegmentationTask
from rbc_lightning.segmenters.shapes import check_counts

CONTOUR_SHARE = 1 / 15
"""Radius of a contour over the diameter of a cell: 3 pixels of 46."""
GROWTH = 3
"""Pixels that a cell grows by at most, over the radius of the contour."""
CONTOUR = 0.1
"""Where the threshold of the contour starts, if it is to be chosen: low, for wide contours part cells, which then grow."""
AUXILIARY_DECAY, AUXILIARY_FLOOR = 10.0, 1e-3
"""DCAN divides the weight of its auxiliary losses by ten every `auxiliary_steps` steps, down to a thousandth."""


class ContourTask(SegmentationTask):
    """Trains a network for cells and for their contours, so that cells which touch come apart.

    The loss is the plain sum of the loss of the objectness and that of the contour (Sec. 5.4). The target of the contour is a
    band around every border of the *instance* map, between two touching cells as well. A cell is a patch of objectness
    without contour; the contour's width is given back to it afterwards.

    A network with auxiliary classifiers (`auxiliary`, `forward_with_auxiliary`, as `DCAN`) is trained as the original was:
    their losses are added with a weight that starts at 1 and decays.

    Logged beside what `SegmentationTask` logs: `val/ap50`, by which weights are chosen, `train/objectness`, `train/contour`.
    A ValueError refuses arguments out of range.

    Args:
        net: Network from (B, C, H, W) to logits (B, 2, H, W): objectness, contour.
        contour_loss: Of the contour; binary cross entropy (torch.nn.BCEWithLogitsLoss) is kinder to thin lines.
        threshold: Objectness above which a pixel is a cell's; None: chosen on validation, together with the next.
        contour_threshold: Probability of contour below which it stays so; None: chosen on validation.
        contour_radius: Half width of the contour in pixels; None for a fifteenth of the cell size, at least 1.
        auxiliary_steps: Steps after which the weight of auxiliary losses falls to a tenth.
        loss, cell_size, optimizer, schedule, tile, metrics, objects: See `SegmentationTask`; `loss` is of the objectness.
    """

    monitor = "val/ap50"
    validated: tuple[str, ...] = ("dice", "ap50")
    takes_classes: ClassVar[bool] = False
    outputs = 2
    thresholds: tuple[str, ...] = ("threshold", "contour_threshold")
    # Fewer than of one threshold alone: thirty pairs of values take 4 s for a field of 1920 x 1200 with 600 cells.
    grid: ClassVar[tuple[float, ...]] = (0.3, 0.4, 0.5, 0.6, 0.7)
    contour_grid: ClassVar[tuple[float, ...]] = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7)
    least_area: ClassVar[float] = 0.035
    """Less than elsewhere, for a cell without its rim is small."""

    def __init__(
        self,
        net: nn.Module,
        loss: Loss = SOFT_DICE,
        contour_loss: Loss = SOFT_DICE,
        optimizer: MakeOptimizer = ADAMW,
        schedule: MakeSchedule | None = ONE_CYCLE,
        threshold: float | None = None,
        contour_threshold: float | None = None,
        contour_radius: int | None = None,
        cell_size: float | None = None,
        tile: int | None = None,
        auxiliary_steps: int = 10_000,
        metrics: Mapping[str, Metric] | None = None,
        objects: Objects = "dark",
    ) -> None:
        super().__init__(net, loss, optimizer, schedule, threshold, cell_size, tile, metrics, objects)
        check_factory("contour_loss", contour_loss, "logits", "target")
        if contour_threshold is not None and not 0 < contour_threshold <= 1:
            raise ValueError(f"contour_threshold must lie in (0, 1] or be None, got {contour_threshold}.")
        if contour_radius is None and cell_size is None:
            raise ValueError("contour_radius needs a number of pixels, or cell_size to follow from; both are None.")
        if contour_radius is not None and contour_radius < 1:
            raise ValueError(f"contour_radius must be at least 1 pixel or None, got {contour_radius}.")
        check_counts(auxiliary_steps=auxiliary_steps)
        self.contour_loss, self.auxiliary_steps = contour_loss, auxiliary_steps
        self.contour_threshold = CONTOUR if contour_threshold is None else contour_threshold
        if contour_threshold is None:
            self.to_choose["contour_threshold"] = self.contour_grid
        self.contour_radius = max(1, round((cell_size or 0) * CONTOUR_SHARE)) if contour_radius is None else contour_radius

    def total_loss(self, logits: Tensor, label_map: Tensor) -> Tensor:
        """Sum of the losses of objectness and contour."""
        return torch.add(*self._losses(logits, label_map))

    def training_step(self, batch: Batch) -> Tensor:
        """Loss of one batch, with the auxiliary classifiers' where the network has some."""
        label_map = batch["label_map"]
        net: Any = self.net
        if getattr(net, "auxiliary", False):
            image = self.standardize(batch["image"]).contiguous(memory_format=torch.channels_last)
            logits, auxiliary = net.forward_with_auxiliary(image)
        else:
            logits, auxiliary = self(batch["image"]), ()
        objectness, contour = self._losses(logits.float(), label_map)
        loss = objectness + contour
        for deep in auxiliary:
            loss = loss + self.auxiliary_weight * self.total_loss(deep.float(), label_map)
        parts = {"train/loss": loss, "train/objectness": objectness, "train/contour": contour}
        self.log_dict(parts, batch_size=len(label_map))
        return loss

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
    def auxiliary_weight(self) -> float:
        """Weight of the auxiliary losses at the present step."""
        return max(AUXILIARY_FLOOR, AUXILIARY_DECAY ** -(self.global_step // self.auxiliary_steps))

    def _losses(self, logits: Tensor, label_map: Tensor) -> tuple[Tensor, Tensor]:
        objectness = self.loss(logits[:, 0], (label_map > 0).float())
        target = contour_band(label_map, self.contour_radius)
        return objectness, self.contour_loss(logits[:, 1], target.float())


def contour_band(label_map: Tensor, radius: int = 3) -> Tensor:
    """Mark the pixels whose disc of `radius` holds more than one id: 2 * radius wide, half on either side of each border.

    A border parts a cell from another cell or from the background; the image border parts nothing. The disc is the
    Euclidean one, `dx^2 + dy^2 <= radius^2`, as in the paper; at radius 1, the least, the band equals
    `labels.instance_edges`. Label maps are integer (..., H, W), on any device, bands bool.

    Raises:
        TypeError: The label map is no integer tensor.
    """
    check_integer(label_map)
    height, width = label_map.shape[-2:]
    band = torch.zeros(label_map.shape, dtype=torch.bool, device=label_map.device)
    # Comparing shifted copies takes 3 ms for 4 x 256 x 256 at radius 3; max-pooling ids takes seven times as long.
    for down, right in _half_disc(radius):
        if down >= height or abs(right) >= width:
            continue
        # Columns that have a neighbour `right` columns further on, and those neighbours.
        first = slice(max(0, -right), min(width, width - right))
        second = slice(max(0, right), min(width, width + right))
        above, below = (..., slice(height - down), first), (..., slice(down, None), second)
        differ = label_map[above] != label_map[below]
        # The disc is symmetric: each of the two pixels lies in the other's.
        band[above] |= differ
        band[below] |= differ
    return band


def _half_disc(radius: int) -> list[tuple[int, int]]:
    """Offsets (rows, columns) in the disc, one of each pair of opposite ones."""
    reach = [math.isqrt(radius * radius - down * down) for down in range(radius + 1)]
    return [(down, right) for down, far in enumerate(reach) for right in range(-far, far + 1) if down > 0 or right > 0]
