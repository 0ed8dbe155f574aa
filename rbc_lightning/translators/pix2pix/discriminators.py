"""Discriminators of pix2pix: one logit per image (Allender et al.), or one per patch (Isola et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Literal, cast

from torch import Tensor, nn

from rbc_lightning.translators.pix2pix.nets import Norm, init_weights, make_norm, widening
from rbc_lightning.translators.pix2pixhd.layers import check_range

_LINEAR_STRIDES = (2, 2, 2, 1)
_SLOPE = 0.2


class LinearDiscriminator(nn.Module):
    """Four convolutions (strides 2, 2, 2, 1) and one linear logit for the whole image (Allender et al., Tab. 2).

    Every convolution has a bias, all but the first a norm, and LeakyReLU(0.2) follows: with the task's defaults 4,832,641
    parameters at 3 channels of 256 pixels, with the linear layer's 524,289 that the table prints as 0. The paper's sees the
    image alone; with the condition's channels beside the image's it is the conditional one of its ablation.

    The linear layer sums over half a million features, so its N(0, 0.02) weights make logits of about -20 to 20 at
    the start: the first steps of the log loss are large ones.

    Args:
        in_channels: channels of the image, or of condition and image together (5 in the ablation).
        base_channels: width of the first layer; doubles with every layer.
        size: side of the square images in pixels, a multiple of 8: the linear layer fits one size only.
        kernel_size: odd side of the kernels in pixels.
        norm: see `UNetGenerator`.
    """

    def __init__(self, in_channels: int, base_channels: int, size: int, kernel_size: int, norm: Norm) -> None:
        super().__init__()
        check_range(1, in_channels=in_channels, base_channels=base_channels, kernel_size=kernel_size)
        if size < 16 or size % 8:
            raise ValueError(f"size must be a multiple of 8 pixels and at least 16, got {size}")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        self.expected = (in_channels, size, size)
        widths = [in_channels, *widening(base_channels, len(_LINEAR_STRIDES))]
        layers: list[nn.Module] = []
        for j, stride in enumerate(_LINEAR_STRIDES):
            layers.append(nn.Conv2d(widths[j], widths[j + 1], kernel_size, stride, padding=kernel_size // 2))
            layers += [make_norm(norm, widths[j + 1])] if j else []
            layers.append(nn.LeakyReLU(_SLOPE))
        self.features = nn.Sequential(*layers)
        self.linear = nn.Linear(widths[-1] * (size // 8) ** 2, 1)
        init_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 1), high for real, of float (B, in_channels, size, size) in [-1, 1]; a `ValueError` for other shapes."""
        if x.ndim != 4 or tuple(x.shape[1:]) != self.expected:
            shape = ", ".join(map(str, self.expected))
            raise ValueError(
                f"LinearDiscriminator was built for inputs of shape (B, {shape}), got {tuple(x.shape)}; "
                "give it crops of that size, or build it with another size or in_channels"
            )
        return cast(Tensor, self.linear(self.features(x).flatten(1)))


class PatchDiscriminator(nn.Module):
    """Convolutions to a map of logits, one for each patch of the image.

    With the task's defaults, `kernel_size=4, bias_before_norm=False` it is the 70 x 70 PatchGAN of Isola et al.: 2,768,705
    parameters at 6 channels, 256 x 256 pixels to 30 x 30 logits. Novoselov and Smirnov 2024: `kernel_size=4,
    strides=(2, 2, 2, 2, 2, 1), padding="same"` (6,965,441 parameters, 8 x 8 logits); with `strides=(2, 2, 2, 2, 1, 1)`, as
    in the tutorial that they follow, 16 x 16.
    LeakyReLU(0.2) after all but the last convolution, a norm before it after all but the first and the last.

    Args:
        in_channels: channels of condition and image together, or of the image.
        base_channels: width of the first layer; doubles with every layer up to eight times as much.
        strides: one per convolution, at least two; the last one makes the logits.
        kernel_size: side of the kernels in pixels, at least the largest stride.
        padding: zeros on every side, in pixels; or "same", as TensorFlow pads sides that the stride divides: kernel minus
            stride in all, the odd one at the bottom and on the right.
        norm: see `UNetGenerator`.
        bias_before_norm: give convolutions a bias where a norm follows; the first and the last always have one.
    """

    def __init__(
        self,
        in_channels: int,
        base_channels: int,
        strides: Sequence[int],
        kernel_size: int,
        padding: int | Literal["same"],
        norm: Norm,
        bias_before_norm: bool,
    ) -> None:
        super().__init__()
        check_range(1, in_channels=in_channels, base_channels=base_channels)
        if len(strides) < 2 or not 1 <= min(strides) <= max(strides) <= kernel_size:
            raise ValueError(f"strides must be two or more numbers from 1 to kernel_size={kernel_size}, got {tuple(strides)}")
        if padding != "same" and not (isinstance(padding, int) and 0 <= padding < kernel_size):
            raise ValueError(f'padding must be "same" or a number from 0 to {kernel_size - 1}, got {padding!r}')
        self.in_channels = in_channels
        totals = [kernel_size - stride if padding == "same" else 2 * padding for stride in strides]
        self.min_side = _min_side(list(zip(strides, totals, strict=True)), kernel_size)
        widths = [in_channels, *widening(base_channels, len(strides) - 1), 1]
        last = len(strides) - 1
        layers: list[nn.Module] = []
        for j, (stride, total) in enumerate(zip(strides, totals, strict=True)):
            normed = 0 < j < last
            layers += [nn.ZeroPad2d((0, 1, 0, 1))] if total % 2 else []
            bias = bias_before_norm or not normed
            layers.append(nn.Conv2d(widths[j], widths[j + 1], kernel_size, stride, padding=total // 2, bias=bias))
            layers += [make_norm(norm, widths[j + 1])] if normed else []
            layers += [nn.LeakyReLU(_SLOPE)] if j < last else []
        self.model = nn.Sequential(*layers)
        init_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 1, h, w), high for real, of float (B, in_channels, H, W) in [-1, 1]; a `ValueError` for small ones."""
        if x.ndim != 4 or x.shape[1] != self.in_channels or min(x.shape[2:]) < self.min_side:
            raise ValueError(
                f"PatchDiscriminator takes inputs of shape (B, {self.in_channels}, H, W) "
                f"with H and W of at least {self.min_side} pixels, got {tuple(x.shape)}"
            )
        return cast(Tensor, self.model(x))


def _min_side(layers: Sequence[tuple[int, int]], kernel_size: int) -> int:
    """Smallest side that leaves one logit, and 2 x 2 positions wherever a norm needs them; layers as (stride, padding)."""

    def fits(side: int) -> bool:
        for j, (stride, padding) in enumerate(layers):
            side = (side + padding - kernel_size) // stride + 1
            if side < (2 if 0 < j < len(layers) - 1 else 1):
                return False
        return True

    return next(side for side in count(1) if fits(side))
