"""Blocks and encoder of `style="modulated"`: styles that survive normalisation.

pix2pixHD concatenates style and condition at the input and removes their level again by instance norm, in the generator
and in the encoder. Here condition and style set scale and shift after every normalisation (SPADE; Park et al. 2019), the
normalisation is that of each pixel's own feature vector (Karras et al. 2018), and an instance's mean colour stands beside
what the encoder learns. Nothing averages over the image: a pixel depends on its surroundings only, whatever the size.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rbc_lightning.nets.instance_pooling import pool_instances


class Modulation(nn.Module):
    """Normalise every pixel's feature vector, then scale and shift it by a 3x3 convolution of the resized input.

    Args:
        channels: of the features.
        map_channels: of condition, style and noise together.
    """

    def __init__(self, channels: int, map_channels: int) -> None:
        super().__init__()
        self.scale_shift = nn.Conv2d(map_channels, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        """Modulate `x` (B, channels, H, W) by `maps` (B, map_channels, H, W)."""
        scale, shift = self.scale_shift(maps).chunk(2, dim=1)
        # In single precision: squares of bf16 features lose the small ones.
        length = x.float().square().mean(dim=1, keepdim=True)
        return cast(Tensor, x * torch.rsqrt(length + 1e-6).to(x.dtype) * (1 + scale) + shift)


class ModulatedBlock(nn.Module):
    """Residual block: twice modulation, ReLU, 3x3 convolution."""

    def __init__(self, channels: int, map_channels: int) -> None:
        super().__init__()
        self.modulations = nn.ModuleList(Modulation(channels, map_channels) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor, maps: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        y = x
        for modulation, conv in zip(self.modulations, self.convs, strict=True):
            y = conv(F.relu(modulation(y, maps)))
        return x + y


class ColourEncoder(nn.Module):
    """Style of an instance: its mean colour, then a few learned channels.

    No normalisation, so the level of an image reaches the features; strided only, since all is averaged anyway.

    Args:
        in_channels: image channels.
        feature_channels: learned channels.
        base_channels: width of the first layer.
        n_downsample: stride-2 layers.
    """

    def __init__(self, in_channels: int = 3, feature_channels: int = 3, base_channels: int = 16, n_downsample: int = 2) -> None:
        super().__init__()
        self.multiple = 2**n_downsample
        self.style_channels = in_channels + feature_channels
        layers: list[nn.Module] = []
        width, inputs = base_channels, in_channels
        for _ in range(n_downsample):
            layers += [nn.Conv2d(inputs, width, 3, 2, padding=1), nn.LeakyReLU(0.2)]
            inputs, width = width, 2 * width
        self.model = nn.Sequential(*layers, nn.Conv2d(inputs, feature_channels, 3, padding=1), nn.Tanh())

    def forward(self, image: Tensor, label_map: Tensor) -> Tensor:
        """Encode; shapes as in `InstanceEncoder.forward`, with the mean colour (-1 to 1) as the first channels."""
        learned = F.interpolate(self.model(image).float(), size=image.shape[-2:], mode="nearest")
        return pool_instances(torch.cat((image.float(), learned), dim=1), label_map)
