"""Generators of `style="modulated"`, stage 1 and 2; see `rbc_lightning.nets.modulation` for what sets them apart."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rbc_lightning.nets.modulation import ModulatedBlock, Modulation


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

    def __init__(self, in_channels: int, base_channels: int = 16, n_downsample: int = 3, n_blocks: int = 6) -> None:
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
        in_channels: see `ModulatedTrunk`, also for the next three.
        base_channels: width at full resolution.
        n_downsample: halvings.
        n_blocks: residual blocks.
        out_channels: image channels.
        first_colour_channel: where in the input the `out_channels` mean colours (-1 to 1) begin.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 3,
        base_channels: int = 16,
        n_downsample: int = 3,
        n_blocks: int = 6,
        first_colour_channel: int = 3,
    ) -> None:
        super().__init__(in_channels, base_channels, n_downsample, n_blocks)
        self.colours = slice(first_colour_channel, first_colour_channel + out_channels)
        self.to_image = nn.Conv2d(base_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Generate an image.

        Args:
            x: float (B, in_channels, H, W).

        Returns:
            float (B, out_channels, H, W) in [-1, 1].
        """
        return torch.tanh(self.to_image(self.features(x)).float() + _mean_colour(x[:, self.colours]))


class ModulatedEnhancer(ModulatedTrunk):
    """Stage 2: the trunk on the halved input, refined beside features of the full-size input.

    As in `LocalEnhancer` the trunk has twice `base_channels`, and stage 1 fills all of it by name; blocks at half size and
    one more level up are new.

    Args:
        in_channels: see `ModulatedTrunk`; the last channel is white noise.
        out_channels: image channels.
        base_channels: width at full resolution.
        n_downsample: halvings inside the trunk; height and width must be multiples of `2**(n_downsample + 1)`.
        n_blocks_global: residual blocks of the trunk.
        n_blocks_local: residual blocks at half size.
        first_colour_channel: see `ModulatedGenerator`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 3,
        base_channels: int = 8,
        n_downsample: int = 3,
        n_blocks_global: int = 6,
        n_blocks_local: int = 3,
        first_colour_channel: int = 3,
    ) -> None:
        width = 2 * base_channels
        super().__init__(in_channels, width, n_downsample, n_blocks_global)
        self.colours = slice(first_colour_channel, first_colour_channel + out_channels)
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
        return torch.tanh(self.local_to_image(y).float() + _mean_colour(x[:, self.colours]))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")


def _mean_colour(colours: Tensor) -> Tensor:
    """What tanh turns into the instances' mean colours, outlines softened; 0.97 keeps pure black and white finite."""
    soft = F.avg_pool2d(colours.detach().float(), 3, stride=1, padding=1, count_include_pad=False)
    return torch.atanh(0.97 * soft)
