"""What training and painting share: padding to the networks' multiple, and the generator's input."""

from __future__ import annotations

import torch
from torch import Tensor

from rbc_lightning.ops.labels import semantic_condition


def reflect_pad(x: Tensor, multiple: int) -> Tensor:
    """Mirror the lower and right part of `x` until height and width are multiples of `multiple`.

    Works for label maps too, and for paddings wider than the image; undone by cropping to the old size.

    Args:
        x: (..., H, W) of any dtype.
        multiple: at least 1.

    Returns:
        (..., H', W') with H <= H' < H + multiple.
    """
    height, width = x.shape[-2:]
    if height % multiple:
        x = x.index_select(-2, _mirrored(height, multiple, x.device))
    if width % multiple:
        x = x.index_select(-1, _mirrored(width, multiple, x.device))
    return x


def generator_input(condition: Tensor, style: Tensor, noise: Tensor | None = None) -> Tensor:
    """Stack what the generator sees.

    Args:
        condition: (B, 3, H, W), see `semantic_condition`.
        style: (B, C, H, W), constant over every instance.
        noise: (B, N, H, W) or None.

    Returns:
        float32 (B, 3 + C + N, H, W).
    """
    parts = [condition, style] if noise is None else [condition, style, noise]
    return torch.cat([part.float() for part in parts], dim=1)


def _mirrored(length: int, multiple: int, device: torch.device) -> Tensor:
    """Indices 0..length-1 and on, bouncing between the two ends without repeating them."""
    padded = -(-length // multiple) * multiple
    period = max(2 * (length - 1), 1)
    index = torch.arange(padded, device=device) % period
    return torch.where(index < length, index, period - index)


__all__ = ["generator_input", "reflect_pad", "semantic_condition"]
