"""Losses for segmentation."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Pooling = Literal["batch", "image"]


def soft_dice_loss(logits: Tensor, target: Tensor, eps: float = 1.0, pooling: Pooling = "batch") -> Tensor:
    """One minus the soft Dice score with squared denominator, pooled over all pixels of the batch by default.

    S3 equation 8 on probabilities: `1 - (2 * sum(p * t) + eps) / (sum(p^2) + sum(t^2) + eps)` with p = sigmoid
    of the logits. On binary p it is one minus the Dice score. Pooled over the batch, a crop without cells costs
    what its false foreground costs, and is no term of its own; where there is nothing at all, p = 0 has loss 0.

    Args:
        logits: Float (B, ...) of any floating dtype; the sums are taken in float32.
        target: The same shape, boolean or 0/1.
        eps: Pixels added to numerator and denominator: keeps empty images defined (loss 0 if p is 0, towards 1 as
            false foreground grows) and is negligible beside a cell.
        pooling: "batch" takes the sums over the whole batch; "image" over each image, and averages the losses.

    Returns:
        Scalar float32 in [0, 1].

    Raises:
        ValueError: If the shapes differ, `eps` is not positive, or `pooling` is unknown.
    """
    if logits.shape != target.shape:
        raise ValueError(f"logits and target must have one shape, got {tuple(logits.shape)} and {tuple(target.shape)}.")
    if eps <= 0:
        raise ValueError(f"eps must be positive, got {eps}.")
    if pooling not in ("batch", "image"):
        raise ValueError(f"pooling must be 'batch' or 'image', got {pooling!r}.")
    # Under bf16 autocast sums over 1e5 pixels would keep three digits: leave autocast for the loss.
    with torch.autocast(device_type=logits.device.type, enabled=False):
        first_summed = 0 if pooling == "batch" else 1
        probability = logits.float().sigmoid().flatten(first_summed)
        truth = target.float().flatten(first_summed)
        overlap = (probability * truth).sum(-1)
        total = probability.square().sum(-1) + truth.square().sum(-1)
        return (1 - (2 * overlap + eps) / (total + eps)).mean()
