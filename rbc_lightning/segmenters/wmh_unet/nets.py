"""The U-Net of Li et al. 2018, winner of the WMH segmentation challenge of 2017 as an ensemble of three."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rbc_lightning.segmenters.shapes import check_counts, check_image, pad_to_multiple

Convolutions = tuple[tuple[int, int], ...]

DOWN: tuple[Convolutions, ...] = (
    ((64, 5), (64, 5)),
    ((96, 3), (96, 3)),
    ((128, 3), (128, 3)),
    ((256, 3), (256, 4)),
    ((512, 3), (512, 3)),
)
"""Channels and kernel of the convolutions at each scale on the way down, fine to coarse."""
UP = (256, 128, 96, 64)
"""Channels of the two 3x3 convolutions at each scale on the way up."""


class WmhUNet(nn.Module):
    """U-Net with 19 convolutions, the first two 5x5, without normalisation (Li et al. 2018, arXiv 1802.05203, and their code).

    Each convolution but the last, 1x1, is followed by a ReLU; 2x2 max pooling leads down, pixels repeated 2x2 lead up, to
    which the skips are appended. Weights start from Glorot's uniform initialisation, biases from 0. At width 1 it has 8,742,209
    parameters for two channels. Images of any size are padded to multiples of 16, where the public code crops the skips and
    leaves a border of the image without features; for sizes that are multiples the two are the same.

    Args:
        width: Factor on every channel number; 1 is the paper's.
        n_outputs: Channels of the logits; 1 for foreground.
        in_channels: Channels of the image: FLAIR and T1 in the paper.

    Raises:
        ValueError: An argument out of its range.
    """

    def __init__(self, width: float = 1.0, n_outputs: int = 1, in_channels: int = 2) -> None:
        super().__init__()
        check_counts(n_outputs=n_outputs, in_channels=in_channels)
        if not (math.isfinite(width) and width > 0):
            raise ValueError(f"width must be a positive factor such as 1.0 or 0.25, got {width}.")
        self.in_channels = in_channels
        down = [_scaled(block, width) for block in DOWN]
        up = [_scaled(((channels, 3), (channels, 3)), width) for channels in UP]
        skips = [block[-1][0] for block in down]
        before_up = [below + skip for below, skip in zip([skips[-1], *(b[-1][0] for b in up)], skips[-2::-1], strict=False)]
        self.down = nn.ModuleList(_convolutions(*pair) for pair in zip([in_channels, *skips[:-1]], down, strict=True))
        self.up = nn.ModuleList(_convolutions(*pair) for pair in zip(before_up, up, strict=True))
        self.head = nn.Conv2d(up[-1][-1][0], n_outputs, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, n_outputs, H, W) of standardised images (B, in_channels, H, W), else a ValueError."""
        check_image(self, image, self.in_channels)
        height, width = image.shape[-2:]
        features, skips = pad_to_multiple(image, 2 ** len(self.up)), []
        for level, block in enumerate(self.down):
            features = block(F.max_pool2d(features, 2) if level else features)
            skips.append(features)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            features = block(torch.cat((F.interpolate(features, scale_factor=2.0, mode="nearest"), skip), dim=1))
        logits: Tensor = self.head(features)
        return logits[..., :height, :width]


def _scaled(block: Convolutions, width: float) -> Convolutions:
    return tuple((max(1, round(channels * width)), kernel) for channels, kernel in block)


def _convolutions(in_channels: int, block: Convolutions) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels, kernel in block:
        # An even kernel needs one row and column more behind than before, as in the public code.
        layers += [nn.ZeroPad2d((0, 1, 0, 1))] if kernel % 2 == 0 else []
        layers += [nn.Conv2d(in_channels, channels, kernel, padding=(kernel - 1) // 2), nn.ReLU(True)]
        in_channels = channels
    return nn.Sequential(*layers)
