"""Layers of the networks: cheaper forms of PyTorch's own, with the same results, parameters and names; instance pooling.

And the checks that the networks of all translators share.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rbc_lightning.core.labels import instance_table, paint_table


class InstanceNorm(nn.InstanceNorm2d):
    """`nn.InstanceNorm2d` without running statistics, computed as a group norm of one channel per group.

    PyTorch's instance norm goes through batch norm: on the CPU its forward pass takes four times as long, and its backward
    pass is silently wrong for a gradient in channels_last order (seen in 2.15 on the CPU; the tests hold the two apart).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W) over every channel of every image; with `affine=True` scale and shift it, too."""
        return F.group_norm(x, x.shape[1], self.weight, self.bias, self.eps)


class ImageConv(nn.Conv2d):
    """Convolution to a few channels (an image), which computes four pixels at once on the CPU.

    CPU kernels compute 16 channels at a time, so three cost as much as 16. Here the kernel is laid out at the four offsets of
    a 2 x 2 block of pixels: 12 channels of stride 2 that `pixel_shuffle` puts in place. The sums are the same ones.
    Stride 1 and no padding only; odd heights and widths go the ordinary way.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H - k + 1, W - k + 1)."""
        height, width = (side - kernel + 1 for side, kernel in zip(x.shape[-2:], self.kernel_size, strict=True))
        if x.device.type != "cpu" or self.bias is None or height % 2 or width % 2:
            return super().forward(x)
        shifted = [F.pad(self.weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
        weight = torch.stack(shifted, dim=1).flatten(0, 1)
        return F.pixel_shuffle(F.conv2d(x, weight, self.bias.repeat_interleave(4), stride=2), 2)


def pool_instances(features: Tensor, label_map: Tensor) -> Tensor:
    """Replace every channel of (B, C, H, W) by its mean over each instance of (B, H, W), background included.

    The same as `core.labels.instance_mean`, in plain PyTorch on every device: in a training step, where convolutions take all
    the time, the other's compiled loop would gain less than one percent.
    """
    return paint_table(instance_table(features, label_map), label_map)


def check_range(low: float, high: float = math.inf, **values: float) -> None:
    """Raise a `ValueError` that names the first value that is not in [low, high)."""
    for name, value in values.items():
        if not low <= value < high:
            expected = f"at least {low}" if high == math.inf else f"in [{low}, {high})"
            raise ValueError(f"{name} must be {expected}, got {value}")


def check_multiple(x: Tensor, multiple: int) -> None:
    """Raise a `ValueError` unless the sides of (..., H, W) are positive multiples; it names the size to pad to."""
    height, width = x.shape[-2:]
    if height % multiple or width % multiple or 0 in (height, width):
        padded = [max(1, -(-side // multiple)) * multiple for side in (height, width)]
        raise ValueError(
            f"height and width must be multiples of {multiple}, got {height} x {width}: reflect-pad to "
            f"{padded[0]} x {padded[1]} and crop back, or cut it into tiles"
        )
