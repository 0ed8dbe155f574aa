"""What a Pix2Pix generator is told: mask, structure map, latent code; the same in training and in painting."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rbc_lightning.ops.structure_maps import structure_channels
from rbc_lightning.tasks.conditioning import seeded_noise


def condition_channels(label_map: Tensor, image: Tensor | None, thresholds: Sequence[float] | None) -> Tensor:
    """What the generator is told: the mask of all cells and, with thresholds, the structure map of the image.

    Args:
        label_map: integer (B, H, W), 0 = background.
        image: float32 (B, 3, H, W) in [0, 1]; only read for structure maps.
        thresholds: one grey level per image; None leaves structure maps out.

    Returns:
        float32 (B, 1 or 2, H, W), -1 or 1.
    """
    mask = (label_map > 0).float()[:, None] * 2 - 1
    if thresholds is None or image is None:
        return mask
    return torch.cat((mask, structure_channels(image, thresholds)), dim=1)


def latent_codes(seeds: Sequence[int], channels: int, like: Tensor) -> Tensor:
    """Standard normal codes (B, channels), one seed each; NumPy draws the same ones on every device."""
    draws = seeded_noise(seeds, channels, torch.empty(len(seeds), 1, 1))
    return like.new_zeros(len(seeds), 0) if draws is None else draws[:, :, 0, 0].to(like)


def with_codes(condition: Tensor, codes: Tensor) -> Tensor:
    """Condition (B, C, H, W) with every code (B, Z) as Z constant planes behind it."""
    planes = codes[:, :, None, None].expand(-1, -1, *condition.shape[-2:])
    return torch.cat((condition, planes), dim=1)
