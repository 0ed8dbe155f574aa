"""PatchGAN discriminators on an image pyramid (pix2pixHD; Wang et al. 2018)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from rbc_lightning.nets.fast_layers import InstanceNorm

MAX_CHANNELS = 512
"""Width at which the reference stops doubling."""


class MultiscaleDiscriminator(nn.Module):
    """PatchGANs of one shape on the image and its average-pooled halves.

    Module names follow the public implementation (`scale{s}_layer{j}`), where the *highest* s sees the full resolution:
    a third discriminator then joins at a new full resolution and the trained ones keep theirs.

    Args:
        in_channels: channels of the condition and the image together.
        base_channels: width of the first layer; doubles up to 512.
        n_layers: stride-2 layers per discriminator.
        n_scales: number of discriminators.
    """

    def __init__(self, in_channels: int, base_channels: int = 64, n_layers: int = 3, n_scales: int = 2) -> None:
        super().__init__()
        for name, value in (("base_channels", base_channels), ("n_layers", n_layers), ("n_scales", n_scales)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.n_scales = n_scales
        self.n_stages = n_layers + 2
        for scale in range(n_scales):
            for j, stage in enumerate(_patchgan_stages(in_channels, base_channels, n_layers)):
                self.add_module(f"scale{scale}_layer{j}", stage)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """Judge `x` at every scale.

        Args:
            x: float (B, in_channels, H, W).

        Returns:
            Per scale (0 = full resolution) the outputs of all layers; the last one are the logits (B, 1, h, w).
        """
        outputs: list[list[Tensor]] = []
        for scale in reversed(range(self.n_scales)):
            outputs.append(self._judge(x, scale))
            if scale:
                x = cast(Tensor, self.pool(x))
        return outputs

    def _judge(self, x: Tensor, scale: int) -> list[Tensor]:
        layers: list[Tensor] = []
        for j in range(self.n_stages):
            x = self.get_submodule(f"scale{scale}_layer{j}")(x)
            layers.append(x)
        return layers


def _patchgan_stages(in_channels: int, base_channels: int, n_layers: int) -> list[nn.Sequential]:
    """First layer without norm, n_layers - 1 strided ones, one of stride 1, then the logits; padding 2 throughout."""

    def stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        conv = nn.Conv2d(inputs, outputs, 4, stride, padding=2)
        return nn.Sequential(conv, InstanceNorm(outputs), nn.LeakyReLU(0.2))

    stages = [nn.Sequential(nn.Conv2d(in_channels, base_channels, 4, 2, padding=2), nn.LeakyReLU(0.2))]
    width = base_channels
    for stride in [2] * (n_layers - 1) + [1]:
        wider = min(2 * width, MAX_CHANNELS)
        stages.append(stage(width, wider, stride))
        width = wider
    stages.append(nn.Sequential(nn.Conv2d(width, 1, 4, 1, padding=2)))
    return stages
