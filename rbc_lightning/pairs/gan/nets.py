"""Generator and critic of pairs, the bodies of DCGAN (Radford et al. 2016, arXiv 1511.06434), the same for every objective.

A pair is float32 (C, S, S) in [-1, 1]: the channels of the image, and behind them those of the mask.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from rbc_lightning.core.processes import rank_and_size
from rbc_lightning.translators.weights import init_conv_weights

Norm = Literal["batch", "layer", "none"]
Upsampling = Literal["nearest", "transposed"]
_LEAST = 4
_SLOPE = 0.2


def halvings(size: int) -> tuple[int, int]:
    """Side of the coarsest maps and how often it doubles to `size` pixels: 64 = 4 x 2^4, 208 = 13 x 2^4.

    Raises:
        ValueError: it would double less than three times.
    """
    start, times = size, 0
    while start % 2 == 0 and start // 2 >= _LEAST:
        start, times = start // 2, times + 1
    if times < 3 or start > 4 * _LEAST:
        raise ValueError(f"size must be 4 to 16 times 8, 16, 32, ... pixels, such as 32, 64, 128 or 208, got {size}")
    return start, times


class PairGenerator(nn.Module):
    """Noise to pairs: a transposed convolution to the coarsest maps, then doublings, norm and ReLU; tanh.

    Args:
        channels: of a pair.
        size: its side, pixels; see `halvings`.
        latent: numbers of noise.
        base_channels: width before the last doubling; it doubles towards the coarsest maps, up to eight times as much.
        norm: of all but the last layer.
        upsampling: how maps double: "transposed", by 4 x 4 transposed convolutions as DCGAN's, or "nearest", by repeated pixels
            and a 3 x 3 convolution, which has no grid to unlearn (Odena et al. 2016, doi 10.23915/distill.00003).
        conditioned: on a number beside the noise, such as the height of a slice.

    Raises:
        ValueError: a size that does not halve, see `halvings`, or a number below 1.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        latent: int,
        base_channels: int,
        norm: Norm = "batch",
        upsampling: Upsampling = "transposed",
        *,
        conditioned: bool = False,
    ) -> None:
        super().__init__()
        _check_positive(channels=channels, latent=latent, base_channels=base_channels)
        start, times = halvings(size)
        widths = _widths(base_channels, times)[::-1]
        self.latent, self.conditioned = latent, conditioned
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent + conditioned, widths[0], start, bias=norm == "none")]
        for wide, narrow in pairwise(widths):
            layers += [*_normed(wide, norm), nn.ReLU(inplace=True)]
            layers += _doubling(wide, narrow, norm, upsampling)
        layers += [*_normed(widths[-1], norm), nn.ReLU(inplace=True)]
        layers += [*_doubling(widths[-1], channels, norm, upsampling), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        init_conv_weights(self)

    def forward(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """Pairs (B, C, S, S) in [-1, 1] of noise (B, latent) and, where it is conditioned, numbers (B,)."""
        if (condition is None) == self.conditioned:
            raise ValueError("expected a number for each pair beside the noise" if self.conditioned else "expected noise alone")
        if condition is not None:
            noise = torch.cat((noise, condition[:, None].to(noise.dtype)), dim=1)
        return cast(Tensor, self.layers(noise[:, :, None, None]))


class PairCritic(nn.Module):
    """Pairs to one number each: halvings by 4 x 4 convolutions, norm on all but the first, LeakyReLU, a last convolution.

    Args:
        channels, size, base_channels, conditioned: see `PairGenerator`; the condition is one more channel, constant.
        norm: "batch" makes a score depend on the other pairs of the batch, so that a gradient penalty is none of each pair.
    """

    def __init__(
        self, channels: int, size: int, base_channels: int, norm: Norm = "batch", *, conditioned: bool = False
    ) -> None:
        super().__init__()
        _check_positive(channels=channels, base_channels=base_channels)
        start, times = halvings(size)
        widths = _widths(base_channels, times)
        self.conditioned = conditioned
        layers: list[nn.Module] = [nn.Conv2d(channels + conditioned, widths[0], 4, 2, 1, bias=norm == "none")]
        layers.append(nn.LeakyReLU(_SLOPE, inplace=True))
        for narrow, wide in pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=norm == "none"), *_normed(wide, norm)]
            layers.append(nn.LeakyReLU(_SLOPE, inplace=True))
        layers.append(nn.Conv2d(widths[-1], 1, start, bias=norm == "none"))
        self.layers = nn.Sequential(*layers)
        init_conv_weights(self)

    def forward(self, pairs: Tensor, condition: Tensor | None = None) -> Tensor:
        """Scores (B,), without a bound, of pairs (B, C, S, S) and, where it is conditioned, numbers (B,)."""
        if (condition is None) == self.conditioned:
            raise ValueError("expected a number for each pair" if self.conditioned else "expected pairs alone")
        if condition is not None:
            plane = condition[:, None, None, None].to(pairs.dtype).expand(-1, 1, *pairs.shape[2:])
            pairs = torch.cat((pairs, plane), dim=1)
        return cast(Tensor, self.layers(pairs)).flatten()


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm of the whole batch, however many processes share it; PyTorch's own is for GPUs alone."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, H, W); all processes of a training have to ask together."""
        _, size = rank_and_size()
        if size == 1 or not self.training:
            return super().forward(input)
        x = input.float()
        mean = all_reduce(x.mean(dim=(0, 2, 3))) / size  # type: ignore[no-untyped-call]  # torch
        apart = x - mean[:, None, None]
        variance = all_reduce(apart.square().mean(dim=(0, 2, 3))) / size  # type: ignore[no-untyped-call]  # torch
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.momentum is not None
            assert self.num_batches_tracked is not None
            count = x.numel() // x.shape[1] * size
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            self.num_batches_tracked.add_(1)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalized: Tensor = apart * scale[:, None, None] + self.bias[:, None, None]
        return normalized.to(input.dtype)


def _doubling(wide: int, narrow: int, norm: Norm, upsampling: Upsampling) -> list[nn.Module]:
    bias = norm == "none"
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=bias)]
    return [nn.Upsample(scale_factor=2), nn.Conv2d(wide, narrow, 3, 1, 1, bias=bias)]


def _widths(base_channels: int, times: int) -> list[int]:
    return [base_channels * min(8, 2**index) for index in range(times)]


def _normed(channels: int, norm: Norm) -> list[nn.Module]:
    if norm == "none":
        return []
    return [SharedBatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(1, channels)]


def _check_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
