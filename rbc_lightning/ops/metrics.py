"""Dice and IoU of binary masks: pure functions, and a small accumulator for per-image and pooled values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

Mask = np.ndarray[Any, np.dtype[np.bool_]] | Tensor


class Overlap(NamedTuple):
    """Pixel counts of two masks: in both, in the prediction, in the target."""

    both: int
    prediction: int
    target: int

    @property
    def dice(self) -> float:
        """Dice score of the counts; 1.0 if both masks are empty."""
        total = self.prediction + self.target
        return 2 * self.both / total if total else 1.0

    @property
    def iou(self) -> float:
        """Intersection over union of the counts; 1.0 if both masks are empty."""
        union = self.prediction + self.target - self.both
        return self.both / union if union else 1.0


def overlap(prediction: Mask, target: Mask) -> Overlap:
    """Count the foreground pixels of two boolean masks of one shape, NumPy arrays or tensors.

    Raises:
        TypeError: If a mask is not boolean.
        ValueError: If the shapes differ.
    """
    for name, mask in (("prediction", prediction), ("target", target)):
        if mask.dtype not in (torch.bool, np.bool_):
            raise TypeError(f"{name} must be a boolean mask (compare with a threshold first), got dtype {mask.dtype}.")
    if prediction.shape != target.shape:
        raise ValueError(f"prediction and target must have one shape, got {tuple(prediction.shape)} and {tuple(target.shape)}.")
    both = prediction & target
    return Overlap(int(both.sum()), int(prediction.sum()), int(target.sum()))


def dice_score(prediction: Mask, target: Mask) -> float:
    """Dice score over all pixels given, 2 |A and B| / (|A| + |B|) (S3 equation 8); 1.0 if both masks are empty.

    Args:
        prediction: Boolean mask of any shape; pass one image for the score of an image.
        target: Boolean mask of the same shape.

    Returns:
        Score in [0, 1].

    Raises:
        TypeError: If a mask is not boolean.
        ValueError: If the shapes differ.
    """
    return overlap(prediction, target).dice


def iou_score(prediction: Mask, target: Mask) -> float:
    """Intersection over union over all pixels given, |A and B| / |A or B|; 1.0 if both masks are empty.

    Arguments, result and errors are those of `dice_score`.
    """
    return overlap(prediction, target).iou


@dataclass
class OverlapScores:
    """Collects image by image; gives scores averaged over images and scores of all pixels pooled.

    The mean gives every image the same weight, however many cells it has; the pooled score gives it to every pixel.
    """

    images: list[Overlap] = field(default_factory=list)

    def update(self, prediction: Mask, target: Mask) -> Overlap:
        """Add one image's masks (H, W) and return its counts."""
        self.images.append(overlap(prediction, target))
        return self.images[-1]

    @property
    def dice_mean(self) -> float:
        """Dice score averaged over images.

        Raises:
            ValueError: If no image was added.
        """
        return float(np.mean([image.dice for image in self._non_empty()]))

    @property
    def iou_mean(self) -> float:
        """Intersection over union averaged over images; raises as `dice_mean`."""
        return float(np.mean([image.iou for image in self._non_empty()]))

    @property
    def pooled(self) -> Overlap:
        """Counts summed over images: `pooled.dice` and `pooled.iou` are the pooled scores; raises as `dice_mean`."""
        return Overlap(*np.sum(self._non_empty(), axis=0).tolist())

    def _non_empty(self) -> list[Overlap]:
        if not self.images:
            raise ValueError("No image was added, so there is no score: call update() first.")
        return self.images
