"""The networks of pix2pixHD (Wang et al. 2018; Bailo et al. 2019, Sec. 4.2).

They equal the public ones down to the names of their tensors. Modules keep the public numbering inside `model`, `model1_1`
and `model1_2`, so published checkpoints load by name.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from rbc_lightning.translators.pix2pixhd.layers import ImageConv, InstanceNorm, check_multiple, pool_instances


class ResidualBlock(nn.Module):
    """Two reflect-padded 3x3 convolutions with instance norm, added to the input; no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = ([nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), InstanceNorm(channels)] for _ in range(2))
        self.conv_block = nn.Sequential(*first, nn.ReLU(), *second)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return x + cast(Tensor, self.conv_block(x))


class GlobalGenerator(nn.Module):
    """Stage-1 generator: 7x7 in, strided convolutions down, residual blocks, transposed convolutions up, 7x7 and tanh.

    Args:
        in_channels: condition and style channels together.
        out_channels: image channels.
        base_channels: width of the first layer (Bailo et al.: 16); doubles with every downsampling.
        n_downsample: halvings; height and width must be multiples of `2**n_downsample`.
        n_blocks: residual blocks at the lowest resolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int = 3, base_channels: int = 64, n_downsample: int = 4, n_blocks: int = 9
    ) -> None:
        super().__init__()
        self.multiple = 2**n_downsample
        trunk = _global_trunk(in_channels, base_channels, n_downsample, n_blocks)
        self.model = nn.Sequential(*trunk, *_to_image(base_channels, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Generate images (B, out_channels, H, W) in [-1, 1] from float (B, in_channels, H, W)."""
        check_multiple(x, self.multiple)
        return cast(Tensor, self.model(x))


class LocalEnhancer(nn.Module):
    """Stage-2 generator: the global trunk on the halved input, added to features of the full-size input.

    The trunk is built with twice `base_channels`: a stage-1 net of 16 filters fills a stage-2 net of 8.

    Args:
        in_channels, out_channels: see `GlobalGenerator`.
        base_channels: width of the first full-size layer.
        n_downsample: halvings inside the trunk; height and width must be multiples of `2**(n_downsample + 1)`.
        n_blocks: residual blocks of the trunk.
        n_blocks_local: residual blocks after the sum.
    """

    def __init__(
        self, in_channels: int, out_channels: int, base_channels: int, n_downsample: int, n_blocks: int, n_blocks_local: int
    ) -> None:
        super().__init__()
        self.multiple = 2 ** (n_downsample + 1)
        width = 2 * base_channels
        self.model = nn.Sequential(*_global_trunk(in_channels, width, n_downsample, n_blocks))
        self.model1_1 = nn.Sequential(*_stem(in_channels, base_channels), *_down(base_channels))
        blocks = [ResidualBlock(width) for _ in range(n_blocks_local)]
        self.model1_2 = nn.Sequential(*blocks, *_up(width), *_to_image(base_channels, out_channels))
        self.downsample = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)

    def forward(self, x: Tensor, train_trunk: bool = True) -> Tensor:
        """Generate an image; shapes as in `GlobalGenerator.forward`. `train_trunk=False` leaves the trunk out of the graph."""
        check_multiple(x, self.multiple)
        with torch.set_grad_enabled(train_trunk and torch.is_grad_enabled()):
            coarse = self.model(self.downsample(x))
        return cast(Tensor, self.model1_2(self.model1_1(x) + coarse))


class InstanceEncoder(nn.Module):
    """Feature encoder E: an image becomes a few channels, each constant over every instance.

    Args:
        in_channels: image channels.
        feature_channels: style channels.
        base_channels: width of the first layer.
        n_downsample: halvings, each undone on the way up.
    """

    def __init__(self, in_channels: int = 3, feature_channels: int = 3, base_channels: int = 16, n_downsample: int = 4) -> None:
        super().__init__()
        self.multiple = 2**n_downsample
        trunk = _global_trunk(in_channels, base_channels, n_downsample, n_blocks=0)
        self.model = nn.Sequential(*trunk, *_to_image(base_channels, feature_channels))

    def forward(self, image: Tensor, label_map: Tensor) -> Tensor:
        """Encode the style of every instance, background included.

        Args:
            image: float (B, in_channels, H, W) in [-1, 1].
            label_map: integer (B, H, W).

        Returns:
            float32 (B, feature_channels, H, W) in [-1, 1], constant over each instance.
        """
        check_multiple(image, self.multiple)
        return pool_instances(self.model(image), label_map)


def _global_trunk(in_channels: int, base_channels: int, n_downsample: int, n_blocks: int) -> list[nn.Module]:
    """Everything of the global generator up to its last three modules (pad, 7x7, tanh)."""
    layers, widths = _stem(in_channels, base_channels), [base_channels * 2**level for level in range(n_downsample + 1)]
    for width in widths[:-1]:
        layers += _down(width)
    layers += [ResidualBlock(widths[-1]) for _ in range(n_blocks)]
    for width in widths[:0:-1]:
        layers += _up(width)
    return layers


def _stem(in_channels: int, width: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), nn.Conv2d(in_channels, width, 7), InstanceNorm(width), nn.ReLU()]


def _down(width: int) -> list[nn.Module]:
    return [nn.Conv2d(width, 2 * width, 3, 2, padding=1), InstanceNorm(2 * width), nn.ReLU()]


def _up(width: int) -> list[nn.Module]:
    conv = nn.ConvTranspose2d(width, width // 2, 3, 2, padding=1, output_padding=1)
    return [conv, InstanceNorm(width // 2), nn.ReLU()]


def _to_image(width: int, out_channels: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), ImageConv(width, out_channels, 7), nn.Tanh()]
