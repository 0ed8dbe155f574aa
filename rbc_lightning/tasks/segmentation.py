"""Segmentation of smears: networks that give maps of logits, trained on one minus Dice, and the cells read from them."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rbc_lightning.ops.illumination import flatten_illumination
from rbc_lightning.ops.instance_scores import InstanceScores
from rbc_lightning.ops.instances import Instances, split_cells
from rbc_lightning.ops.metrics import OverlapScores
from rbc_lightning.ops.seg_losses import soft_dice_loss
from rbc_lightning.ops.tiles import tile_windows
from rbc_lightning.tasks.base import BaseTask, Batch, Schedule

IMAGE_STD_FLOOR = 0.02
"""Smallest standard deviation divided by; a field without cells has about this much noise."""
SPECK_AREA = 0.1
"""Patches of foreground under this share of a mean cell's area are no cells."""
TILE_OVERLAP = 128
"""Pixels shared by two tiles: the seam in the middle lies two strides of FCN-8s from either border."""


class SegmentationTask(BaseTask):
    """Trains and tests a network for cells against background; one minus soft Dice, S3 section 5.2.

    A batch is a dict: `image` float32 (B, 3, H, W) in [0, 1], `label_map` int64 (B, H, W) with 0 = background,
    `sample_id` and `origin` lists of str. The target is `label_map > 0`.

    Logged are `train/loss`; `val/loss` and `val/dice` (mean over images); of the test split `test/dice` and `test/iou`
    (means over images), `test/dice_pooled` (all pixels), and what `InstanceScores` tells of the cells read from the maps,
    `test/ap50` among it. After a test, `per_image` holds one row per image: sample_id, dice, iou, and the cells' scores. Test
    on one device: the rows are those of this process.

    Args:
        net: Network from (B, 3, H, W) to logits per pixel (B, outputs, H, W); here one output.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay.
        schedule: See `BaseTask`.
        threshold: Probability above which a pixel is foreground.
        cell_size: Mean diameter of a cell in pixels, from which the smallest patch follows that is a cell; None keeps all.
        tile: Images with a longer side are predicted in tiles of this side, pixels; None for whole images.

    Raises:
        ValueError: If an argument is out of its range.
    """

    monitor: ClassVar[str] = "val/dice"
    mode: ClassVar[Literal["min", "max"]] = "max"
    outputs: ClassVar[int] = 1

    def __init__(
        self,
        net: nn.Module,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-4,
        schedule: Schedule = "one_cycle",
        threshold: float = 0.5,
        cell_size: float | None = None,
        tile: int | None = None,
    ) -> None:
        # channels_last halves the time of a step in bf16 on a CPU and is never slower on a GPU.
        super().__init__(net.to(memory_format=torch.channels_last), learning_rate, weight_decay, schedule)
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie strictly between 0 and 1, got {threshold}.")
        if cell_size is not None and not cell_size > 0:
            raise ValueError(f"cell_size must be a positive diameter in pixels or None, got {cell_size}.")
        if tile is not None and tile < 2 * TILE_OVERLAP:
            raise ValueError(f"tile must be at least {2 * TILE_OVERLAP} pixels or None, got {tile}.")
        self.threshold, self.cell_size, self.tile = threshold, cell_size, tile
        self._val_overlap, self._test_overlap = OverlapScores(), OverlapScores()
        self._val_cells, self._test_cells = InstanceScores(), InstanceScores()

    def forward(self, image: Tensor) -> Tensor:
        """Logits float32 (B, outputs, H, W) of images (B, 3, H, W) in [0, 1].

        Raises:
            ValueError: If the network has another number of outputs.
        """
        return self.logits(standardize(image))

    def logits(self, standardized: Tensor) -> Tensor:
        """Logits of images that are standardised already; see `forward`."""
        logits: Tensor = self.net(standardized.contiguous(memory_format=torch.channels_last))
        if logits.shape[1] != self.outputs:
            raise ValueError(
                f"{type(self).__name__} needs a network with {self.outputs} output channel{'s' * (self.outputs > 1)}, this "
                f"one has {logits.shape[1]}."
            )
        return logits.float()

    def loss(self, logits: Tensor, label_map: Tensor) -> Tensor:
        """One minus soft Dice of the foreground."""
        return soft_dice_loss(logits[:, 0], label_map > 0)

    def training_step(self, batch: Batch) -> Tensor:
        """Loss of one batch."""
        loss = self.loss(self(batch["image"]), batch["label_map"])
        self.log("train/loss", loss, batch_size=len(batch["image"]))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start the validation scores afresh."""
        self._val_overlap, self._val_cells = OverlapScores(), InstanceScores()

    def validation_step(self, batch: Batch) -> None:
        """Log the loss, collect the images' overlaps."""
        self._validate(self(batch["image"]), batch["label_map"])

    def on_validation_epoch_end(self) -> None:
        """Log `val/dice`, the mean over images."""
        self.log("val/dice", self._val_overlap.dice_mean, sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Start the test scores and rows afresh."""
        self._test_overlap, self._test_cells = OverlapScores(), InstanceScores()
        self.per_image = []

    def test_step(self, batch: Batch) -> None:
        """Collect the overlap, the cells and the row of each image."""
        for sample_id, image, label_map in zip(batch["sample_id"], batch["image"], batch["label_map"], strict=True):
            maps = self.predict_maps(image)
            counts = self._test_overlap.update(maps[0] > self.threshold, label_map > 0)
            cells = self._test_cells.update(self.read_cells(maps.detach().cpu().numpy()), label_map.cpu().numpy())
            self.per_image.append({"sample_id": sample_id, "dice": counts.dice, "iou": counts.iou, **cells})

    def on_test_epoch_end(self) -> None:
        """Log the scores of the test split."""
        overlap = self._test_overlap
        self.log("test/dice", overlap.dice_mean)
        self.log("test/dice_pooled", overlap.pooled.dice)
        self.log("test/iou", overlap.iou_mean)
        self.log_dict({f"test/{name}": value for name, value in self._test_cells.compute().items()})

    def predict_step(self, batch: Batch) -> Tensor:
        """Probability of foreground, float32 (B, H, W)."""
        return torch.stack([self.predict_maps(image)[0] for image in batch["image"]])

    def predict_maps(self, image: Tensor) -> Tensor:
        """Probabilities float32 (outputs, H, W) of one image (3, H, W) in [0, 1], in tiles if it is larger than `tile`.

        Every tile is standardised by the mean and deviation of the whole image; of the overlap of two tiles the first
        gives the outer 64 pixels, the second the rest.
        """
        standard = standardize(image[None])
        height, width = image.shape[-2:]
        if self.tile is None or max(height, width) <= self.tile:
            return torch.sigmoid(self.logits(standard)[0])
        maps = torch.empty(self.outputs, height, width, device=image.device)
        for rows, columns in tile_windows(height, width, self.tile, TILE_OVERLAP):
            found = self.logits(standard[..., rows, columns])[0].sigmoid()
            top, left = (TILE_OVERLAP // 2 if side.start > 0 else 0 for side in (rows, columns))
            maps[:, rows.start + top : rows.stop, columns.start + left : columns.stop] = found[:, top:, left:]
        return maps

    def predict_instances(self, image: Tensor) -> Instances:
        """Cells of one image, float32 (3, H, W) in [0, 1], with their label map."""
        return self.read_cells(self.predict_maps(image).detach().cpu().numpy())

    def read_cells(self, maps: NDArray[np.float32]) -> Instances:
        """Cells of probability maps (outputs, H, W): here each patch of foreground is one."""
        return split_cells(maps[0], object_threshold=self.threshold, max_hole_area=0, min_area=self.min_area)

    @property
    def min_area(self) -> int:
        """Area in pixels under which a patch is no cell."""
        return self._area(SPECK_AREA)

    def _area(self, share: float) -> int:
        return 0 if self.cell_size is None else round(share * np.pi / 4 * self.cell_size**2)

    def _validate(self, logits: Tensor, label_map: Tensor) -> None:
        self.log("val/loss", self.loss(logits, label_map), batch_size=len(label_map), sync_dist=True)
        for predicted, true in zip(self._foreground(logits), label_map > 0, strict=True):
            self._val_overlap.update(predicted, true)

    def _foreground(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits[:, 0]) > self.threshold


def standardize(image: Tensor) -> Tensor:
    """Even out each image's light, subtract its mean and divide by its standard deviation, channel by channel.

    Stain and background differ more between smears than cells differ from background within one
    (the spread of mean intensity between images is a tenth of the full range), and in a pale smear a corner that the lamp
    does not reach is as dark as a cell, so that an image is its own best reference. Nothing is learnt or stored: a network
    sees the same input in training, test and prediction.

    Args:
        image: Float (B, C, H, W) in [0, 1].

    Returns:
        Float32 of the same shape; a constant image gives zeros.
    """
    image = flatten_illumination(image.float())
    std, mean = torch.std_mean(image, dim=(2, 3), keepdim=True, correction=0)
    return (image - mean) / std.clamp_min(IMAGE_STD_FLOOR)
