"""The networks of `style="modulated"`: styles that survive normalisation.

pix2pixHD concatenates style and condition at the input and removes their level again by instance norm, in the generator
and in the encoder. Here condition and style set scale and shift after every normalisation (SPADE; Park et al. 2019), the
normalisation is that of each pixel's own feature vector (Karras et al. 2018), and an instance's mean colour stands beside
what the encoder learns. Nothing averages over the image: a pixel depends on its surroundings only, whatever the size.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rbc_lightning.translators.pix2pixhd.layers import pool_instances

_FIRST_COLOUR = 3  # channel of the input where the instances' mean colours (-1 to 1) begin, behind the condition


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


class ModulatedTrunk(nn.Module):
    """Features from coarse to fine, the input modulating every level at its own resolution.

    There is no way down: the lowest level starts from the averaged input, since each level sees the input anyway.
    Convolutions run before the pixels are interpolated, which is cheap and leaves no checkerboard. The full resolution
    has no normalisation: what the input says arrives there unchanged.

    Args:
        in_channels: condition, style and noise channels together.
        base_channels: width at full resolution; doubles with every halving.
        n_downsample: halvings; height and width must be multiples of `2**n_downsample`.
        n_blocks: residual blocks at the lowest resolution.
    """

    def __init__(self, in_channels: int, base_channels: int, n_downsample: int, n_blocks: int) -> None:
        super().__init__()
        self.n_downsample = n_downsample
        widths = [base_channels * 2**k for k in reversed(range(n_downsample + 1))]
        self.stem = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(ModulatedBlock(widths[0], in_channels) for _ in range(n_blocks))
        self.narrowing = nn.ModuleList(nn.Conv2d(wide, narrow, 3, padding=1) for wide, narrow in pairwise(widths))
        self.modulations = nn.ModuleList(Modulation(width, in_channels) for width in widths[1:-1])
        self.detail = nn.Conv2d(in_channels, base_channels, 3, padding=1)

    def features(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, base_channels, H, W)."""
        maps = [x]
        for _ in range(self.n_downsample):
            maps.append(F.avg_pool2d(maps[-1], 2))
        y = self.stem(maps[-1])
        for block in self.blocks:
            y = block(y, maps[-1])
        for narrow, modulation, level in zip(self.narrowing, self.modulations, reversed(maps[1:-1]), strict=False):
            y = F.relu(modulation(_double(narrow(y)), level))
        # The gradient of the style stops here: at full resolution it would cost more than all other levels together.
        return F.relu(_double(self.narrowing[-1](y)) + self.detail(x.detach()))


class ModulatedGenerator(ModulatedTrunk):
    """Stage 1: paint the *difference* to every instance's mean colour.

    So stains are right from the first step, and training goes into rim, pallor and texture.

    Args:
        in_channels, base_channels, n_downsample, n_blocks: see `ModulatedTrunk`.
        out_channels: image channels.
    """

    def __init__(self, in_channels: int, out_channels: int, base_channels: int, n_downsample: int, n_blocks: int) -> None:
        super().__init__(in_channels, base_channels, n_downsample, n_blocks)
        self.to_image = nn.Conv2d(base_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Generate images (B, out_channels, H, W) in [-1, 1] from float (B, in_channels, H, W)."""
        return _around_mean_colour(self.to_image(self.features(x)), x)


class ModulatedEnhancer(ModulatedTrunk):
    """Stage 2: the trunk on the halved input, refined beside features of the full-size input.

    As in `LocalEnhancer` the trunk has twice `base_channels`, and stage 1 fills all of it by name; blocks at half size and
    one more level up are new.

    Args:
        in_channels, out_channels: see `ModulatedGenerator`; the last channel is white noise.
        base_channels: width at full resolution.
        n_downsample: halvings inside the trunk; height and width must be multiples of `2**(n_downsample + 1)`.
        n_blocks: residual blocks of the trunk.
        n_blocks_local: residual blocks at half size.
    """

    def __init__(
        self, in_channels: int, out_channels: int, base_channels: int, n_downsample: int, n_blocks: int, n_blocks_local: int
    ) -> None:
        width = 2 * base_channels
        super().__init__(in_channels, width, n_downsample, n_blocks)
        self.local_entry = nn.Conv2d(in_channels, width, 4, 2, padding=1)
        self.local_blocks = nn.ModuleList(ModulatedBlock(width, in_channels) for _ in range(n_blocks_local))
        self.local_narrowing = nn.Conv2d(width, base_channels, 3, padding=1)
        self.local_detail = nn.Conv2d(in_channels, base_channels, 3, padding=1)
        self.local_to_image = nn.Conv2d(base_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, train_trunk: bool = True) -> Tensor:
        """Generate an image; `train_trunk=False` leaves the trunk out of the graph. Shapes as in stage 1."""
        # Averaged noise would be half as strong as the noise that the trunk was trained with.
        half = torch.cat((F.avg_pool2d(x[:, :-1], 2), x[:, -1:, ::2, ::2]), dim=1)
        with torch.set_grad_enabled(train_trunk and torch.is_grad_enabled()):
            y = self.features(half)
        y = y + self.local_entry(x)
        for block in self.local_blocks:
            y = block(y, half)
        y = F.relu(_double(self.local_narrowing(y)) + self.local_detail(x))
        return _around_mean_colour(self.local_to_image(y), x)


class ColourEncoder(nn.Module):
    """Style of an instance: its mean colour, then a few learned channels.

    No normalisation, so the level of an image reaches the features; strided only, since all is averaged anyway.

    Args:
        in_channels, feature_channels, base_channels: see `InstanceEncoder`.
        n_downsample: stride-2 layers.
    """

    def __init__(self, in_channels: int, feature_channels: int, base_channels: int, n_downsample: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = [in_channels, *(base_channels * 2**level for level in range(n_downsample))]
        for inputs, width in pairwise(widths):
            layers += [nn.Conv2d(inputs, width, 3, 2, padding=1), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*layers, nn.Conv2d(widths[-1], feature_channels, 3, padding=1), nn.Tanh())

    def forward(self, image: Tensor, label_map: Tensor) -> Tensor:
        """Encode; shapes as in `InstanceEncoder.forward`, with the mean colour (-1 to 1) as the first channels."""
        learned = F.interpolate(self.model(image).float(), size=image.shape[-2:], mode="nearest")
        return pool_instances(torch.cat((image.float(), learned), dim=1), label_map)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")


def _around_mean_colour(difference: Tensor, x: Tensor) -> Tensor:
    """The image (B, C, H, W): the instances' mean colours of the input `x`, outlines softened, and the difference to them."""
    colours = x[:, _FIRST_COLOUR : _FIRST_COLOUR + difference.shape[1]].detach().float()
    soft = F.avg_pool2d(colours, 3, stride=1, padding=1, count_include_pad=False)
    # 0.97 keeps pure black and white finite.
    return torch.tanh(difference.float() + torch.atanh(0.97 * soft))
