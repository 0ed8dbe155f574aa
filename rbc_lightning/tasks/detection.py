"""Detection of cells: Faster R-CNN, trained on the boxes of label maps."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from rbc_lightning.nets.faster_rcnn import FasterRCNN
from rbc_lightning.ops.boxes import check_boxes, merge_tiles
from rbc_lightning.ops.instance_scores import InstanceScores
from rbc_lightning.ops.instances import Instances
from rbc_lightning.ops.labels import label_map_to_boxes
from rbc_lightning.ops.tiles import tile_windows
from rbc_lightning.tasks.base import BaseTask, Batch, Schedule
from rbc_lightning.tasks.segmentation import standardize


class DetectionTask(BaseTask):
    """Trains and tests a box detector; S3 section 5.3.

    A batch is a dict: `image` float32 (B, 3, H, W) in [0, 1], `label_map` int64 (B, H, W) with 0 = background,
    `sample_id` and `origin` lists of str. The targets are the boxes of the label map's cells.

    Logged are `train/loss`, the sum of the four losses that are logged beside it; `val/ap50`; `test/ap50`,
    `test/ap50_11_point`, `test/ap` and `test/count_error`, see `InstanceScores`. After a test, `per_image` holds one
    row per image. Test on one device: the rows are those of this process.

    Args:
        net: The detector.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay.
        schedule: See `BaseTask`.
        min_visible: Cells whose box is narrower or lower than this many pixels are no training targets: remnants at the
            border of a crop.
        score_threshold: Detections from this score on are counted as cells.
        tile: Side in pixels of the square tiles in which larger images are searched; None: never cut.
        overlap: Of neighbouring tiles, pixels; None: twice the network's cell size, the least allowed.

    Raises:
        ValueError: If an argument is out of its range.
    """

    monitor: ClassVar[str] = "val/ap50"
    mode: ClassVar[Literal["min", "max"]] = "max"
    net: FasterRCNN

    def __init__(
        self,
        net: FasterRCNN,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        schedule: Schedule = "one_cycle",
        min_visible: int = 3,
        score_threshold: float = 0.5,
        tile: int | None = None,
        overlap: int | None = None,
    ) -> None:
        super().__init__(net.to(memory_format=torch.channels_last), learning_rate, weight_decay, schedule)
        if min_visible < 0:
            raise ValueError(f"min_visible must not be negative, got {min_visible}.")
        if not 0 < score_threshold < 1:
            raise ValueError(f"score_threshold must lie strictly between 0 and 1, got {score_threshold}.")
        least = round(2 * net.cell_size)
        self.overlap = least if overlap is None else overlap
        if self.overlap < least:
            raise ValueError(
                f"overlap must be at least two cells ({least} px), lest a cell be whole in no tile; got {overlap}."
            )
        if tile is not None and tile <= self.overlap:
            raise ValueError(f"tile must be larger than the overlap of {self.overlap} px, got {tile}.")
        self.tile, self.min_visible, self.score_threshold = tile, min_visible, score_threshold
        self._scores = InstanceScores(score_threshold)

    def losses(self, image: Tensor, boxes: list[Tensor]) -> dict[str, Tensor]:
        """The detector's losses by name.

        Args:
            image: Float (B, 3, H, W) in [0, 1].
            boxes: Per image float (n, 4) as (x1, y1, x2, y2) in pixels, n may be 0.

        Raises:
            ValueError: If a box lies outside its image.
        """
        height, width = image.shape[-2:]
        for found in boxes:
            check_boxes(found, height, width)
        losses: dict[str, Tensor] = self.net(standardize(image), [{"boxes": found} for found in boxes])
        return losses

    def training_step(self, batch: Batch) -> Tensor:
        """Sum of the losses of one batch."""
        boxes = [self._target(label_map).to(batch["image"].device) for label_map in batch["label_map"].cpu()]
        losses = self.losses(batch["image"], boxes)
        loss = torch.stack(list(losses.values())).sum()
        values = {f"train/{name}": value.detach() for name, value in losses.items()}
        self.log_dict({"train/loss": loss, **values}, batch_size=len(boxes))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start the validation scores afresh."""
        self._scores = InstanceScores(self.score_threshold)

    def validation_step(self, batch: Batch) -> None:
        """Collect the images' detections."""
        self._score(batch)

    def on_validation_epoch_end(self) -> None:
        """Log `val/ap50`."""
        self.log("val/ap50", self._scores.ap50, sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Start the test scores and rows afresh."""
        self._scores = InstanceScores(self.score_threshold)
        self.per_image = []

    def test_step(self, batch: Batch) -> None:
        """Collect the detections and the row of each image."""
        rows = self._score(batch)
        self.per_image += [{"sample_id": name, **row} for name, row in zip(batch["sample_id"], rows, strict=True)]

    def on_test_epoch_end(self) -> None:
        """Log the test scores."""
        self.log_dict({f"test/{name}": value for name, value in self._scores.compute().items()})

    def predict_step(self, batch: Batch) -> list[Instances]:
        """The cells of each image."""
        return [self.predict_instances(image) for image in batch["image"]]

    @torch.no_grad()
    def predict_instances(self, image: Tensor) -> Instances:
        """Find the cells of one image, in overlapping tiles if it is larger than `tile`.

        Tiles are standardised with the whole image's mean and deviation, so that they look as they would in it.

        Args:
            image: Float (3, H, W) in [0, 1].

        Returns:
            Boxes and scores, best first; no label map.
        """
        if self.net.training:
            raise ValueError("the network is in training mode; call eval() before predict_instances().")
        standard = standardize(image[None])[0]
        height, width = image.shape[-2:]
        if self.tile is None or max(height, width) <= self.tile:
            return _instances(self.net([standard])[0])
        windows = tile_windows(height, width, self.tile, self.overlap)
        # One by one: the point of tiles is to need little memory.
        parts = [_instances(self.net([standard[:, rows, columns]])[0]) for rows, columns in windows]
        margin = self.overlap // 16
        return merge_tiles(parts, windows, (height, width), self.net.nms_threshold, margin)

    def _target(self, label_map: Tensor) -> Tensor:
        boxes = torch.from_numpy(label_map_to_boxes(label_map.numpy()))
        return boxes[((boxes[:, 2:] - boxes[:, :2]) >= self.min_visible).all(dim=1)]

    def _score(self, batch: Batch) -> list[dict[str, float]]:
        label_maps = batch["label_map"].cpu().numpy()
        found = self.predict_step(batch)
        return [self._scores.update(cells, label_map) for cells, label_map in zip(found, label_maps, strict=True)]


def _instances(detections: dict[str, Tensor]) -> Instances:
    return Instances(detections["boxes"].float().cpu().numpy(), detections["scores"].float().cpu().numpy())
