"""Detection of cells: Faster R-CNN, trained on the boxes of label maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import nms

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.core.tiles import Tile, tile_windows
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.metrics.registry import Metric
from rbc_lightning.segmenters.base import BaseTask, Batch
from rbc_lightning.segmenters.faster_rcnn.nets import FasterRCNN
from rbc_lightning.segmenters.illumination import Objects
from rbc_lightning.segmenters.optimizers import ADAMW, ONE_CYCLE, MakeOptimizer, MakeSchedule

_SLACK = 1.1
"""By which the box found of the largest cell may be larger than the true one."""


class DetectionTask(BaseTask):
    """Trains and tests a box detector (Bailo et al. 2019, Sec. 5.3).

    The targets are the boxes of the label map's cells. Logged beside what `BaseTask` logs: `train/loss`, the sum of the
    network's losses, which are logged beside it. A ValueError refuses arguments out of range.

    Args:
        min_visible: Cells whose box is narrower or lower than this many pixels are no training targets: remnants at the
            border of a crop.
        score_threshold: Detections from this score on are counted as cells.
        overlap: Of neighbouring tiles, pixels; None: the least allowed, twice the network's cell size or what the largest
            box needs.
        largest_box: Longer side of the largest box to be found, pixels, so that it is whole in a tile wherever it lies;
            None: no larger than 1.75 times the network's cell size.
        optimizer, schedule, tile, metrics, objects: See `BaseTask`.
    """

    has_label_maps: ClassVar[bool] = False
    net: FasterRCNN

    def __init__(
        self,
        net: FasterRCNN,
        optimizer: MakeOptimizer = ADAMW,
        schedule: MakeSchedule | None = ONE_CYCLE,
        min_visible: int = 3,
        score_threshold: float = 0.5,
        tile: int | None = None,
        overlap: int | None = None,
        largest_box: float | None = None,
        metrics: Mapping[str, Metric] | None = None,
        objects: Objects = "dark",
    ) -> None:
        super().__init__(net, optimizer, schedule, metrics, objects, tile)
        if min_visible < 0:
            raise ValueError(f"min_visible must not be negative, got {min_visible}.")
        if not 0 < score_threshold < 1:
            raise ValueError(f"score_threshold must lie strictly between 0 and 1, got {score_threshold}.")
        if largest_box is not None and not largest_box > 0:
            raise ValueError(f"largest_box must be a positive number of pixels or None, got {largest_box}.")
        two_cells = round(2 * net.cell_size)
        self.margin = two_cells // 16
        least = max(two_cells, math.ceil((largest_box or 0) * _SLACK) + 2 * self.margin + 1)
        self.overlap = least if overlap is None else overlap
        if self.overlap < least:
            raise ValueError(
                f"overlap must be at least {least} px, two cells or more for the largest box, lest a cell be whole in no tile; "
                f"got {overlap}."
            )
        if tile is not None and tile <= self.overlap:
            raise ValueError(f"tile must be larger than the overlap of {self.overlap} px, got {tile}.")
        self.min_visible, self.score_threshold = min_visible, score_threshold
        self.least_tile = max(self.least_tile, self.overlap + 1)

    def training_step(self, batch: Batch) -> Tensor:
        """Sum of the losses of one batch."""
        image = batch["image"]
        targets = [{"boxes": self._target(label_map).to(image.device)} for label_map in batch["label_map"].cpu().numpy()]
        losses: dict[str, Tensor] = self.net(self.standardize(image), targets)
        loss = torch.stack(list(losses.values())).sum()
        values = {f"train/{name}": value.detach() for name, value in losses.items()}
        self.log_dict({"train/loss": loss, **values}, batch_size=len(image))
        return loss

    @torch.no_grad()
    def predict_instances(self, image: Tensor) -> Instances:
        """Boxes and scores of one image, float (C, H, W) in [0, 1], best first; in tiles if it is larger than `tile`.

        Tiles are standardised with the whole image's mean and deviation, so that they look as they would in it.
        """
        if self.net.training:
            raise ValueError("the network is in training mode; call eval() before predict_instances().")
        standard = self.standardize(image[None])[0]
        height, width = image.shape[-2:]
        if self.tile is None or max(height, width) <= self.tile:
            return _instances(self.net([standard])[0])
        windows = tile_windows(height, width, self.tile, self.overlap)
        # One by one: the point of tiles is to need little memory.
        parts = [_instances(self.net([standard[:, rows, columns]])[0]) for rows, columns in windows]
        return merge_tiles(parts, windows, (height, width), self.net.nms_threshold, margin=self.margin)

    def _target(self, label_map: NDArray[np.int64]) -> Tensor:
        boxes = torch.from_numpy(label_map_to_boxes(label_map))
        return boxes[((boxes[:, 2:] - boxes[:, :2]) >= self.min_visible).all(dim=1)]


def merge_tiles(
    parts: Sequence[Instances], windows: Sequence[Tile], size: tuple[int, int], nms_threshold: float, margin: float = 0.0
) -> Instances:
    """Unite the boxes found in overlapping tiles, each cell once.

    A box at a tile's border that lies inside the image is of a cut cell, and dropped: where tiles overlap by twice the
    margin more than a cell measures, the cell is whole in another tile. Boxes of one cell found in several tiles overlap
    nearly wholly, and non-maximum suppression keeps the best of those with a higher IoU than `nms_threshold`.

    The parts are in the coordinates of their tiles; the result, best first and without label map, in those of the image of
    `size` (height, width). A box within `margin` pixels of a border counts as touching it.
    """
    boxes, scores = [np.empty((0, 4), np.float32)], [np.empty(0, np.float32)]
    for part, (rows, columns) in zip(parts, windows, strict=True):
        start, stop = np.array([columns.start, rows.start]), np.array([columns.stop, rows.stop])
        moved = part.boxes + np.concatenate([start, start]).astype(np.float32)
        clear = (start == 0) | (moved[:, :2] > start + margin), (stop == size[::-1]) | (moved[:, 2:] < stop - margin)
        whole = np.concatenate(clear, axis=1).all(axis=1)
        boxes.append(moved[whole])
        scores.append(part.scores[whole])
    all_boxes, all_scores = np.concatenate(boxes), np.concatenate(scores)
    kept = nms(torch.from_numpy(all_boxes), torch.from_numpy(all_scores), nms_threshold).numpy()
    return Instances(all_boxes[kept], all_scores[kept])


def _instances(detections: dict[str, Tensor]) -> Instances:
    return Instances(detections["boxes"].float().cpu().numpy(), detections["scores"].float().cpu().numpy())
