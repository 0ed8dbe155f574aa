"""What training and painting share: padding to the networks' multiple, and the generator's input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Seed = int | np.random.SeedSequence


def reflect_pad(x: Tensor, multiple: int) -> Tensor:
    """Mirror the lower and right part of `x` until height and width are multiples of `multiple`.

    Works for label maps too, and for paddings wider than the image; undone by cropping to the old size.

    Args:
        x: (..., H, W) of any dtype.
        multiple: at least 1.

    Returns:
        (..., H', W') with H <= H' < H + multiple.
    """
    for axis in (-2, -1):
        length = x.shape[axis]
        padded = -(-length // multiple) * multiple
        if padded != length:
            x = x.index_select(axis, mirrored_index(length, padded, x.device))
    return x


def generator_input(condition: Tensor, style: Tensor, noise: Tensor | None = None) -> Tensor:
    """Stack what the generator sees.

    Args:
        condition: (B, 3, H, W), see `ops.labels.semantic_condition`.
        style: (B, C, H, W), constant over every instance.
        noise: (B, N, H, W) or None.

    Returns:
        float32 (B, 3 + C + N, H, W).
    """
    parts = [condition, style] if noise is None else [condition, style, noise]
    return torch.cat([part.float() for part in parts], dim=1)


def shrink_pair(image: Tensor, label_map: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Make image and label map smaller: the image by antialiased interpolation, ids by the nearest pixel.

    Small cells may vanish from the label map.

    Args:
        image: float (B, 3, H, W).
        label_map: integer (B, H, W).
        factor: at least 1; 1 changes nothing.

    Returns:
        (B, 3, H / factor, W / factor) and (B, H / factor, W / factor), rounded.
    """
    if factor == 1:
        return image, label_map
    height, width = (max(1, round(side / factor)) for side in label_map.shape[-2:])
    small = F.interpolate(image, size=(height, width), mode="bilinear", antialias=True)
    rows, columns = (
        ((torch.arange(new, device=label_map.device) + 0.5) * (old / new)).long()
        for new, old in zip((height, width), label_map.shape[-2:], strict=True)
    )
    return small, label_map[..., rows[:, None], columns]


def seeded_noise(seeds: Sequence[Seed], channels: int, like: Tensor) -> Tensor | None:
    """White noise, one seed per image: NumPy draws the same numbers on every device and in every process.

    Args:
        seeds: B of them.
        channels: 0 for no noise.
        like: (B, ..., H, W), whose size and device the noise takes.

    Returns:
        float32 (B, channels, H, W); None for no channels.
    """
    if not channels:
        return None
    shape = (channels, *like.shape[-2:])
    draws = [np.random.default_rng(seed).standard_normal(shape, dtype=np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(draws)).to(like.device)


def mirrored_index(length: int, padded: int, device: torch.device) -> Tensor:
    """Indices 0..length-1 and on to `padded` of them, bouncing between the two ends without repeating them."""
    period = max(2 * (length - 1), 1)
    index = torch.arange(padded, device=device) % period
    return torch.where(index < length, index, period - index)
