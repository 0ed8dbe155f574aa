"""Losses of maps of logits: functions of logits and target, which `_target_` in a model's task names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of float32 logits (B, H, W) and a float32 target of 0 and 1 of the same shape: a scalar, as torch.nn.BCEWithLogitsLoss.

Of several classes: of logits (B, K + 1, H, W) and an int64 target (B, H, W) of 0..K, as torch.nn.CrossEntropyLoss.
"""


@dataclass(frozen=True)
class SoftDice:
    """One minus the soft Dice score with squared denominator, pooled over all pixels of the batch by default.

    Bailo et al. 2019, Eq. 8, on probabilities: `1 - (2 * sum(p * t) + eps) / (sum(p^2) + sum(t^2) + eps)` with p = sigmoid
    of the logits; without the squares it is the loss of Li et al. 2018 (arXiv 1802.05203). On binary p it is one minus the
    Dice score. Pooled over the batch, a crop without cells costs what its false foreground costs, and is no term of its own;
    where there is nothing at all, p = 0 has loss 0. Of several classes it is the mean over all but background, p their
    softmax. Of several processes each pools its share of the batch.
    A ValueError refuses arguments out of range.

    Args:
        eps: Pixels added to numerator and denominator: keeps empty images defined (loss 0 if p is 0, towards 1 as
            false foreground grows) and is negligible beside a cell.
        pooling: "batch" takes the sums over the whole batch; "image" over each image, and averages the losses.
        squared: Whether probabilities are squared in the denominator.
    """

    eps: float = 1.0
    pooling: Literal["batch", "image"] = "batch"
    squared: bool = True

    def __post_init__(self) -> None:
        if self.eps <= 0:
            raise ValueError(f"eps must be positive, got {self.eps}.")
        if self.pooling not in ("batch", "image"):
            raise ValueError(f"pooling must be 'batch' or 'image', got {self.pooling!r}.")

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, scalar float32 in [0, 1], of logits (B, ...) of any floating dtype and a target, boolean or 0 and 1.

        Or of logits (B, K + 1, ...) and an integer target (B, ...) of 0..K.
        """
        if logits.ndim == target.ndim + 1:
            every = logits.float().softmax(1).unbind(1)[1:]
            return torch.stack([self._of(p, target == value) for value, p in enumerate(every, start=1)]).mean()
        if logits.shape != target.shape:
            raise ValueError(f"logits and target must have one shape, got {tuple(logits.shape)} and {tuple(target.shape)}.")
        return self._of(logits.float().sigmoid(), target)

    def _of(self, probability: Tensor, target: Tensor) -> Tensor:
        # Under bf16 autocast sums over 1e5 pixels would keep three digits: leave autocast for the loss.
        with torch.autocast(device_type=probability.device.type, enabled=False):
            first_summed = 0 if self.pooling == "batch" else 1
            probability = probability.flatten(first_summed)
            truth = target.float().flatten(first_summed)
            overlap = (probability * truth).sum(-1)
            # The truth is 0 or 1, which are their own squares.
            total = (probability.square() if self.squared else probability).sum(-1) + truth.sum(-1)
            return (1 - (2 * overlap + self.eps) / (total + self.eps)).mean()


@dataclass(frozen=True)
class CrossEntropyDice:
    """Cross entropy, the mean over pixels, plus a multiple of `SoftDice`; of one class binary cross entropy.

    Args:
        dice_weight: Of the Dice loss, not negative, else a ValueError.
        eps, pooling: See `SoftDice`.
    """

    dice_weight: float = 1.0
    eps: float = 1.0
    pooling: Literal["batch", "image"] = "batch"

    def __post_init__(self) -> None:
        if self.dice_weight < 0:
            raise ValueError(f"dice_weight must not be negative, got {self.dice_weight}.")
        SoftDice(self.eps, self.pooling)

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, scalar float32, of logits and target as `SoftDice` takes them."""
        dice = SoftDice(self.eps, self.pooling)(logits, target)
        with torch.autocast(device_type=logits.device.type, enabled=False):
            if logits.ndim == target.ndim:
                entropy = F.binary_cross_entropy_with_logits(logits.float(), target.float())
            else:
                entropy = F.cross_entropy(logits.float(), target)
        return entropy + self.dice_weight * dice
