"""What networks check of their arguments and images."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def check_counts(**counts: int) -> None:
    """Refuse numbers below 1, by a ValueError."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}.")


def check_image(net: nn.Module, image: Tensor, in_channels: int) -> None:
    """Refuse what is no batch of images (B, in_channels, H, W), by a ValueError."""
    if image.ndim != 4 or image.shape[1] != in_channels:
        expected = f"(B, {in_channels}, H, W)"
        raise ValueError(f"{type(net).__name__} takes images of shape {expected}, got {tuple(image.shape)}.")


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column of (B, C, H, W) until H and W are multiples of `multiple`."""
    height, width = image.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    return F.pad(image, (0, right, 0, bottom), mode="replicate") if bottom or right else image
