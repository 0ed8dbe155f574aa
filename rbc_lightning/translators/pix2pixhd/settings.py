"""Generator and encoder of either style form, built from one set of plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import Literal, get_args

from torch import nn
from torch.utils.checkpoint import checkpoint

from rbc_lightning.translators.pix2pixhd.modulated_nets import (
    ColourEncoder,
    ModulatedBlock,
    ModulatedEnhancer,
    ModulatedGenerator,
    Modulation,
)
from rbc_lightning.translators.pix2pixhd.nets import GlobalGenerator, InstanceEncoder, LocalEnhancer, ResidualBlock

StyleForm = Literal["modulated", "concat"]

CONDITION_CHANNELS = 3
"""Of the condition: background, cell, edge. The image has channels of its own."""


@dataclass(frozen=True)
class NetSettings:
    """Sizes of generator and encoder.

    Attributes:
        style: "modulated" (styles set scale and shift at every level, mean colours beside learned features, a noise
            channel for texture) or "concat" (the public pix2pixHD: styles are input channels).
        stage: 1 = the global generator; 2 = the enhancer around it, for images of twice the size (Bailo et al. 2019,
            Sec. 4.2).
        base_channels: width of the stage-1 generator at full resolution (Bailo et al.: 16). The enhancer's own layers have
            half of it, since its trunk is that generator.
        n_downsample: halvings in the stage-1 generator.
        n_blocks: residual blocks at the lowest resolution.
        n_blocks_local: residual blocks that stage 2 adds.
        feature_channels: learned style channels per instance.
        encoder_channels: width of the encoder's first layer.
        encoder_downsample: halvings in the encoder.
        image_channels: of the images.
    """

    style: StyleForm = "modulated"
    stage: int = 1
    base_channels: int = 16
    n_downsample: int = 3
    n_blocks: int = 6
    n_blocks_local: int = 3
    feature_channels: int = 3
    encoder_channels: int = 16
    encoder_downsample: int = 3
    image_channels: int = 3

    def __post_init__(self) -> None:
        if self.style not in get_args(StyleForm):
            raise ValueError(f"unknown style {self.style!r}: choose one of {', '.join(get_args(StyleForm))}")
        for field in fields(self):
            value, least = getattr(self, field.name), 0 if field.name.startswith("n_blocks") else 1
            if field.name != "style" and (not isinstance(value, int) or value < least):
                raise ValueError(f"{field.name} must be an integer of at least {least}, got {value!r}")
        if self.stage not in (1, 2):
            raise ValueError(f"stage must be 1 or 2, got {self.stage}")
        if self.stage == 2 and self.base_channels % 2:
            raise ValueError(f"base_channels must be even, since stage 2 takes half of it; got {self.base_channels}")

    @property
    def noise_channels(self) -> int:
        """Channels of white noise in the generator's input."""
        return 1 if self.style == "modulated" else 0

    @property
    def style_channels(self) -> int:
        """Length of an instance's style vector: the learned part, after the mean colour where there is one."""
        return self.feature_channels + (self.image_channels if self.style == "modulated" else 0)

    @property
    def in_channels(self) -> int:
        """Of the generator: condition, style and noise."""
        return CONDITION_CHANNELS + self.style_channels + self.noise_channels

    @property
    def multiple(self) -> int:
        """Height and width of the networks' input must be multiples of this."""
        return int(2 ** max(self.n_downsample + self.stage - 1, self.encoder_downsample))

    def build_generator(self) -> nn.Module:
        """Return the generator: (B, in_channels, H, W) to (B, image_channels, H, W) in [-1, 1]."""
        channels, halvings = (self.in_channels, self.image_channels), self.n_downsample
        if self.stage == 1:
            kind = ModulatedGenerator if self.style == "modulated" else GlobalGenerator
            return kind(*channels, self.base_channels, halvings, self.n_blocks)
        enhancer = ModulatedEnhancer if self.style == "modulated" else LocalEnhancer
        return enhancer(*channels, self.base_channels // 2, halvings, self.n_blocks, self.n_blocks_local)

    def build_encoder(self) -> nn.Module:
        """Return the encoder: image (B, image channels, H, W) in [-1, 1] and label map to (B, style channels, H, W)."""
        kind = ColourEncoder if self.style == "modulated" else InstanceEncoder
        return kind(self.image_channels, self.feature_channels, self.encoder_channels, self.encoder_downsample)


def checkpoint_blocks(network: nn.Module) -> nn.Module:
    """Let the blocks of a generator keep their inputs only and compute the rest again in the backward pass, in place.

    Names of tensors, outputs and gradients stay the same. Residual and modulated blocks are wrapped, and the whole runs
    of layers of the public generators.
    """
    runs = [child for child in network.children() if isinstance(child, nn.Sequential)]
    for module in network.modules():
        if isinstance(module, ModulatedBlock | Modulation | ResidualBlock) or module in runs:
            module.forward = partial(checkpoint, module.forward, use_reentrant=False)  # type: ignore[method-assign]  # on purpose
    return network
