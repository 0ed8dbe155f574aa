"""What training and use of a generator share: padding to the networks' multiple, and the generator's input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rbc_lightning.core.seeds import Seed


def reflect_pad(x: Tensor, multiple: int) -> Tensor:
    """Mirror the lower and right part of `x` until height and width are multiples of `multiple`; see `extend`."""
    height, width = (-(-side // multiple) * multiple for side in x.shape[-2:])
    return extend(x, height, width)


def extend(x: Tensor, height: int, width: int) -> Tensor:
    """Continue `x` (..., H, W) of any dtype, label maps too, to a size, bouncing between its borders without repeating them.

    What is larger stays; cropping undoes it.
    """
    for axis, padded in ((-2, height), (-1, width)):
        length = x.shape[axis]
        if padded > length:
            index = torch.arange(padded, device=x.device) % max(2 * (length - 1), 1)
            x = x.index_select(axis, torch.where(index < length, index, 2 * (length - 1) - index))
    return x


def generator_input(condition: Tensor, style: Tensor, noise: Tensor | None = None) -> Tensor:
    """Stack condition (B, 3, H, W), style (B, S, H, W), constant over every instance, and noise: float32 (B, C, H, W)."""
    return torch.cat([part.float() for part in (condition, style, noise) if part is not None], dim=1)


def shrink_pair(image: Tensor, label_map: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Make image (B, C, H, W) and label map (B, H, W) smaller by a factor of at least 1, sides rounded.

    The image by antialiased interpolation, ids by the nearest pixel: small cells may vanish.
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

    Returns:
        float32 (B, channels, H, W) of the size and on the device of `like` (..., H, W); None for no channels.
    """
    if not channels:
        return None
    shape = (channels, *like.shape[-2:])
    draws = [np.random.default_rng(seed).standard_normal(shape, dtype=np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(draws)).to(like.device)
