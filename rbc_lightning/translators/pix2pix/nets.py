"""The U-Net generator of pix2pix (Isola et al. 2017), and the forms of it by Allender et al. and by Novoselov and Smirnov."""

from __future__ import annotations

from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rbc_lightning.translators.pix2pixhd.layers import InstanceNorm, check_multiple, check_range
from rbc_lightning.translators.weights import init_conv_weights

Norm = Literal["instance", "batch"]
_SLOPE = 0.2
_INIT_STD = 0.02


class UNetGenerator(nn.Module):
    """Strided convolutions down to 1x1, transposed ones up again, with the maps of the way down joined on the way up.

    The task's defaults are the appendix of Allender et al. (85,020,163 parameters at 2 input channels). The public code of
    Isola et al.: `kernel_size=4, first_dropout=1, bias_before_norm=False` (54,413,955 at 3). Novoselov and Smirnov 2024:
    `kernel_size=4, dropout=0.3, n_dropout=None` (54,419,459 at 3): a bias in every layer; norms on all but the first,
    innermost and last. LeakyReLU(0.2) before all but the first convolution down, ReLU before those up, tanh at the end.

    **Instance norm is these papers' batch norm.** Their batch size is 1 and their code normalises by the statistics of the
    batch in training and in use: which is instance norm with a trained scale and shift, at any batch size.
    `norm="batch"` uses running statistics once in eval mode, so images then differ from those of training.
    The innermost layer has no norm since a 1x1 map minus its mean is zero, whatever the input.

    **Other sizes than that of the training crops** are the caller's business: tile the image or pad it. A larger input is
    not equivalent although the layers would take it. At a crop of `2**n_downsample` pixels the innermost convolution sees
    2x2 positions, so most of its 5x5 kernel only ever saw zero padding and keeps its random start; a larger input is the
    first to use these weights. The norms, too, then average over another field.

    **Dropout is these papers' only noise.** Set the attribute `keep_dropout` to True to have it in eval mode as well, which
    changes nothing else; it draws from PyTorch's global generator, so `torch.manual_seed` fixes the image.

    Args:
        in_channels: channels of the condition (Allender et al.: mask and structure map).
        out_channels: image channels.
        base_channels: width of the first layer; doubles with every layer up to eight times as much.
        n_downsample: halvings, at least 2; height and width must be multiples of `2**n_downsample`.
        kernel_size: side of the kernels in pixels, at least 2. Padding keeps every layer at exactly half or double size.
        dropout: probability of zeroing a value, in [0, 1).
        n_dropout: layers up with dropout, counted from `first_dropout`; None means all, the last one never has it.
        first_dropout: first layer up with dropout, 0 the one that leaves the 1x1 map (Allender et al.); 1 in the public code.
        norm: "instance" or "batch", with a trained scale and shift each.
        bias_before_norm: give convolutions a bias where a norm follows, as Allender et al. count them. False takes it away
            from the first and the innermost layer as well, as the public code does; only the last one keeps it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_channels: int,
        n_downsample: int,
        kernel_size: int,
        dropout: float,
        n_dropout: int | None,
        first_dropout: int,
        norm: Norm,
        bias_before_norm: bool,
    ) -> None:
        super().__init__()
        check_range(1, in_channels=in_channels, out_channels=out_channels, base_channels=base_channels)
        check_range(2, n_downsample=n_downsample, kernel_size=kernel_size)
        check_range(0, first_dropout=first_dropout, n_dropout=0 if n_dropout is None else n_dropout)
        check_range(0, 1, dropout=dropout)
        self.in_channels = in_channels
        self.multiple = 2**n_downsample
        self.dropout = dropout
        self.keep_dropout = False
        layers_up = range(n_downsample - 1)
        self.dropped = frozenset(layers_up[first_dropout:] if n_dropout is None else layers_up[first_dropout:][:n_dropout])
        widths = widening(base_channels, n_downsample)
        self.downs = nn.ModuleList(_layers_down(in_channels, widths, kernel_size, norm, bias_before_norm))
        self.ups = nn.ModuleList(_layers_up(out_channels, widths, kernel_size, norm, bias_before_norm))
        init_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Generate images (B, out_channels, H, W) from conditions (B, in_channels, H, W), both float in [-1, 1].

        Raises:
            ValueError: another shape, or sides that are no multiples of `2**n_downsample`.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"UNetGenerator takes inputs of shape (B, {self.in_channels}, H, W), got {tuple(x.shape)}")
        check_multiple(x, self.multiple)
        skips: list[Tensor] = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        skips.pop()
        for level, up in enumerate(self.ups):
            x = up(x)
            if level in self.dropped:
                x = F.dropout(x, self.dropout, training=self.training or self.keep_dropout)
            if skips:
                x = torch.cat([x, skips.pop()], dim=1)
        return torch.tanh(x)


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """Build a norm with scale and shift by its name."""
    if norm not in get_args(Norm):
        raise ValueError(f"unknown norm {norm!r}: choose one of {', '.join(get_args(Norm))}")
    return InstanceNorm(channels, affine=True) if norm == "instance" else nn.BatchNorm2d(channels)


def init_weights(module: nn.Module) -> nn.Module:
    """Draw weights of convolutions and linear layers from N(0, 0.02), scales of norms from N(1, 0.02); all shifts are 0.

    In place, from PyTorch's global generator, as in the public code of pix2pix.
    """
    init_conv_weights(module)
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, _INIT_STD)
        elif isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d):
            nn.init.normal_(layer.weight, 1.0, _INIT_STD)
        bias = getattr(layer, "bias", None)
        if bias is not None:
            nn.init.zeros_(cast(Tensor, bias))
    return module


def widening(base_channels: int, n_layers: int) -> list[int]:
    """Widths of layers that double, up to eight times the first."""
    return [base_channels * min(2**level, 8) for level in range(n_layers)]


def _layers_down(in_channels: int, widths: list[int], kernel_size: int, norm: Norm, bias: bool) -> list[nn.Sequential]:
    """Activation, convolution of stride 2, norm; the first without activation, first and innermost without norm."""
    layers = []
    innermost = len(widths) - 1
    for level, width in enumerate(widths):
        inputs = widths[level - 1] if level else in_channels
        parts: list[nn.Module] = [nn.LeakyReLU(_SLOPE)] if level else []
        parts.append(nn.Conv2d(inputs, width, kernel_size, stride=2, padding=(kernel_size - 1) // 2, bias=bias))
        if 0 < level < innermost:
            parts.append(make_norm(norm, width))
        layers.append(nn.Sequential(*parts))
    return layers


def _layers_up(out_channels: int, widths: list[int], kernel_size: int, norm: Norm, bias: bool) -> list[nn.Sequential]:
    """ReLU, transposed convolution of stride 2, norm; the last one without norm and always with a bias."""
    padding = (kernel_size - 1) // 2
    layers = []
    for level in reversed(range(len(widths))):
        # All but the innermost map arrive together with the map of the same size from the way down.
        inputs = widths[level] * (1 if level == len(widths) - 1 else 2)
        outputs = widths[level - 1] if level else out_channels
        up = nn.ConvTranspose2d(
            inputs, outputs, kernel_size, stride=2, padding=padding, output_padding=kernel_size % 2, bias=bias or not level
        )
        layers.append(nn.Sequential(nn.ReLU(), up, *([make_norm(norm, outputs)] if level else [])))
    return layers
