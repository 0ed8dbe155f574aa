"""Foreground segmentation of smears: any network that gives one logit per pixel, trained on one minus Dice."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from rbc_lightning.ops.metrics import Overlap, OverlapScores
from rbc_lightning.ops.seg_losses import soft_dice_loss
from rbc_lightning.tasks.base import BaseTask, Schedule

Batch = dict[str, Any]

IMAGE_STD_FLOOR = 0.02
"""Smallest standard deviation divided by; a field without cells has about this much noise."""


class SegmentationTask(BaseTask):
    """Trains and tests a network for cells against background; one minus soft Dice, S3 section 5.2.

    A batch is a dict: `image` float32 (B, 3, H, W) in [0, 1], `label_map` int64 (B, H, W) with 0 = background,
    `sample_id` and `origin` lists of str. The target is `label_map > 0`.

    Logged are `train/loss`; `val/loss` and `val/dice` (mean over images); `test/dice` and `test/iou` (means over
    images) and `test/dice_pooled` (all pixels of the test split). After a test, `per_image` holds one row per image:
    sample_id, dice, iou. Test on one device: the rows are those of this process.

    Args:
        net: Network from (B, 3, H, W) to one logit per pixel (B, 1, H, W).
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay.
        schedule: See `BaseTask`.
        threshold: Probability above which a pixel is foreground.

    Raises:
        ValueError: If an argument is out of its range.
    """

    monitor: ClassVar[str] = "val/dice"
    mode: ClassVar[Literal["min", "max"]] = "max"

    def __init__(
        self,
        net: nn.Module,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-4,
        schedule: Schedule = "one_cycle",
        threshold: float = 0.5,
    ) -> None:
        # channels_last halves the time of a step in bf16 on a CPU and is never slower on a GPU.
        super().__init__(net.to(memory_format=torch.channels_last), learning_rate, weight_decay, schedule)
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie strictly between 0 and 1, got {threshold}.")
        self.threshold = threshold
        self._val_scores = OverlapScores()
        self._test_scores = OverlapScores()

    def forward(self, image: Tensor) -> Tensor:
        """Logits float32 (B, H, W) of images (B, 3, H, W) in [0, 1].

        Raises:
            ValueError: If the network gives more than one logit per pixel.
        """
        logits: Tensor = self.net(standardize(image).contiguous(memory_format=torch.channels_last))
        if logits.shape[1] != 1:
            raise ValueError(f"SegmentationTask needs a network with 1 output channel, this one has {logits.shape[1]}.")
        return logits[:, 0].float()

    def training_step(self, batch: Batch) -> Tensor:
        """Loss of one batch."""
        loss = soft_dice_loss(self(batch["image"]), batch["label_map"] > 0)
        self.log("train/loss", loss, batch_size=len(batch["image"]))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start the validation scores afresh."""
        self._val_scores = OverlapScores()

    def validation_step(self, batch: Batch) -> None:
        """Log the loss, collect the images' overlaps."""
        logits, target = self(batch["image"]), batch["label_map"] > 0
        self.log("val/loss", soft_dice_loss(logits, target), batch_size=len(target), sync_dist=True)
        for predicted, true in zip(self._foreground(logits), target, strict=True):
            self._val_scores.update(predicted, true)

    def on_validation_epoch_end(self) -> None:
        """Log `val/dice`, the mean over images."""
        self.log("val/dice", self._val_scores.dice_mean, sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Start the test scores and rows afresh."""
        self._test_scores = OverlapScores()
        self.per_image = []

    def test_step(self, batch: Batch) -> None:
        """Collect the overlap and the row of each image."""
        predicted, target = self._foreground(self(batch["image"])), batch["label_map"] > 0
        for sample_id, mask, true in zip(batch["sample_id"], predicted, target, strict=True):
            counts: Overlap = self._test_scores.update(mask, true)
            self.per_image.append({"sample_id": sample_id, "dice": counts.dice, "iou": counts.iou})

    def on_test_epoch_end(self) -> None:
        """Log the three test scores."""
        scores = self._test_scores
        self.log("test/dice", scores.dice_mean)
        self.log("test/dice_pooled", scores.pooled.dice)
        self.log("test/iou", scores.iou_mean)

    def predict_step(self, batch: Batch) -> Tensor:
        """Probability of foreground, float32 (B, H, W)."""
        return torch.sigmoid(self(batch["image"]))

    def _foreground(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits) > self.threshold


def standardize(image: Tensor) -> Tensor:
    """Subtract each image's mean and divide by its standard deviation, channel by channel, over its own pixels.

    Stain and background differ more between smears than cells differ from background within one
    (the spread of mean intensity between images is a tenth of the full range), so that an image is its own best
    reference. Nothing is learnt or stored: a network sees the same input in training, test and prediction.

    Args:
        image: Float (B, C, H, W) in [0, 1].

    Returns:
        Float32 of the same shape; a constant image gives zeros.
    """
    image = image.float()
    std, mean = torch.std_mean(image, dim=(2, 3), keepdim=True, correction=0)
    return (image - mean) / std.clamp_min(IMAGE_STD_FLOOR)
