"""FCN-8s on a VGG16 trunk (Bailo et al. 2019, Sec. 5.2; Long, Shelhamer and Darrell 2015), trainable from scratch."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rbc_lightning.segmenters.shapes import check_counts, check_image, pad_to_multiple

Padding = Literal["same", "caffe"]

VGG16_BLOCKS: tuple[tuple[int, int], ...] = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and number of 3x3 convolutions of VGG16's five blocks."""
FC_CHANNELS = 4096
STRIDE = 32
# The released nets pad the input by 100 and cut the surplus away again, at these pixels of pool4, pool3 and the output.
CAFFE_INPUT_PAD, CAFFE_CROPS = 100, (5, 9, 31)
# Up to 512 channels gradients were seen right, from 1024 on wrong, see `ScoreConv`.
_THOUSANDS = 1000


class TrunkFeatures(NamedTuple):
    """Feature maps (B, C, h, w) of the trunk: after pool3 (stride 8), after pool4 (16), after fc7 (32)."""

    pool3: Tensor
    pool4: Tensor
    fc7: Tensor


def scaled(channels: int, width: float) -> int:
    """Number of channels at a width factor, at least 1."""
    return max(1, round(channels * width))


class VGG16Trunk(nn.Module):
    """VGG16's convolutions, and its first two fully connected layers as convolutions (fc6 7x7, fc7 1x1).

    Arguments are those of `FCN8s`: "same" padding pads fc6 by 3, "caffe" the first convolution by 100 and fc6 not at all.
    """

    def __init__(
        self,
        width: float = 1.0,
        batch_norm: bool = True,
        dropout: float = 0.5,
        padding: Padding = "same",
        fc_channels: int | None = None,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        check_counts(in_channels=in_channels)
        if not (math.isfinite(width) and width > 0):
            raise ValueError(f"width must be a positive factor such as 1.0 or 0.25, got {width}.")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {dropout}.")
        if padding not in get_args(Padding):
            raise ValueError(f"padding must be 'same' or 'caffe', got {padding!r}.")
        if fc_channels is not None and fc_channels < 1:
            raise ValueError(f"fc_channels must be at least 1 or None, got {fc_channels}.")
        caffe = padding == "caffe"
        self.blocks = nn.ModuleList()
        previous = in_channels
        for index, (channels, n_convs) in enumerate(VGG16_BLOCKS):
            first_padding = CAFFE_INPUT_PAD if caffe and index == 0 else 1
            layers: list[nn.Module] = []
            for conv in range(n_convs):
                layers += _conv(previous, scaled(channels, width), 3, first_padding if conv == 0 else 1, batch_norm)
                previous = scaled(channels, width)
            self.blocks.append(nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=caffe)))
        # fc6 and fc7 hold nine tenths of VGG16's parameters: a narrow net can spare them first.
        fc = scaled(FC_CHANNELS, width * width) if fc_channels is None else fc_channels
        self.fc = nn.Sequential(
            *_conv(previous, fc, 7, 0 if caffe else 3, batch_norm),
            nn.Dropout(dropout),
            *_conv(fc, fc, 1, 0, batch_norm),
            nn.Dropout(dropout),
        )
        self.out_channels = (scaled(256, width), scaled(512, width), fc)

    def forward(self, image: Tensor) -> TrunkFeatures:
        """Features of an image batch (B, in_channels, H, W); for "same" padding H and W are multiples of 32."""
        features: list[Tensor] = []
        for block in self.blocks:
            image = block(image)
            features.append(image)
        return TrunkFeatures(pool3=features[2], pool4=features[3], fc7=self.fc(image))


class ScoreConv(nn.Conv2d):
    """A 1x1 convolution from many channels to few maps, in single precision on a CPU if the channels are thousands.

    In bf16 on processors with AMX, oneDNN's backward pass of such a layer writes beyond its memory: gradients are wrong by
    several per cent, or the process dies (seen in PyTorch 2.15.0 with oneDNN 3.13.3). It costs next to nothing.
    """

    def __init__(self, in_channels: int, n_maps: int) -> None:
        super().__init__(in_channels, n_maps, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, n_maps, H, W) of features (B, in_channels, H, W)."""
        if x.device.type != "cpu" or self.in_channels < _THOUSANDS:
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return F.conv2d(x.float(), self.weight.float(), cast("Tensor", self.bias).float())


class SkipDecoder(nn.Module):
    """Scores three feature maps by 1x1 convolutions and adds them up, by x2, x2 and x8 transposed convolutions.

    Args:
        in_channels: Channels after pool3, pool4 and fc7 (`VGG16Trunk.out_channels`).
        padding: "same" keeps scales aligned by padding, "caffe" by the released nets' crops.
        learn_upsampling: Train the transposed convolutions, which start as bilinear interpolation. The released
            nets keep them frozen.
    """

    def __init__(
        self, in_channels: tuple[int, int, int], n_classes: int, padding: Padding = "same", learn_upsampling: bool = True
    ) -> None:
        super().__init__()
        self.padding = padding
        pool3, pool4, fc7 = in_channels
        self.score_pool3 = ScoreConv(pool3, n_classes)
        self.score_pool4 = ScoreConv(pool4, n_classes)
        self.score_fc7 = ScoreConv(fc7, n_classes)
        self.upscore_fc7 = _bilinear_upsampling(n_classes, 2, padding)
        self.upscore_pool4 = _bilinear_upsampling(n_classes, 2, padding)
        self.upscore_pool3 = _bilinear_upsampling(n_classes, 8, padding)
        if not learn_upsampling:
            for layer in (self.upscore_fc7, self.upscore_pool4, self.upscore_pool3):
                layer.requires_grad_(False)

    def forward(self, features: TrunkFeatures, size: tuple[int, int]) -> Tensor:
        """Logits (B, n_classes, H, W) for `size` = (H, W), the image's size before any padding."""
        pool4, pool3, output = CAFFE_CROPS if self.padding == "caffe" else (0, 0, 0)
        fused = self.upscore_fc7(self.score_fc7(features.fc7))
        fused = self.upscore_pool4(fused + _crop(self.score_pool4(features.pool4), pool4, fused.shape[-2:]))
        fused = fused + _crop(self.score_pool3(features.pool3), pool3, fused.shape[-2:])
        return _crop(self.upscore_pool3(fused), output, size)


class FCN8s(nn.Module):
    """Fully convolutional network with skips at strides 8 and 16, after Long et al. 2015 (Bailo et al. 2019, Sec. 5.2).

    At width 1 without batch norm it has the released net's parameters: 134,265,699 for one class.
    All convolutions start from He's normal initialisation: with the zero-initialised score layers of the
    released solver, which expects pretrained weights, training from scratch does not start.
    A ValueError refuses arguments out of range.

    Args:
        n_classes: Channels of the logits; 1 for foreground against background.
        width: Factor on every channel number; 0.25 (2.6 million parameters) is right for two CPU cores.
        batch_norm: Put a batch norm between every trunk convolution and its ReLU.
        dropout: Dropout probability after fc6 and fc7.
        padding: "same" (cheap) or "caffe" (the released nets' 100 px border and crops).
        fc_channels: Channels of fc6 and fc7; None means 4096 times the square of `width`: 256 at width 0.25.
        learn_upsampling: Train the bilinear transposed convolutions.
        decoder_channels: None for the paper's decoder, which upsamples the logits themselves: eight rows share one row of
            scores. With a number, an extension of ours, so many channels are upsampled and put together to logits by a
            ReLU and a 1x1 convolution at the image's resolution.
    """

    def __init__(
        self,
        n_classes: int = 1,
        width: float = 1.0,
        batch_norm: bool = True,
        dropout: float = 0.5,
        padding: Padding = "same",
        fc_channels: int | None = None,
        learn_upsampling: bool = True,
        decoder_channels: int | None = None,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        check_counts(n_classes=n_classes)
        self.padding, self.in_channels = padding, in_channels
        self.trunk = VGG16Trunk(width, batch_norm, dropout, padding, fc_channels, in_channels)
        self.decoder = SkipDecoder(self.trunk.out_channels, decoder_channels or n_classes, padding, learn_upsampling)
        self.head = decoder_head(decoder_channels, n_classes)
        initialize(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, n_classes, H, W) of standardised images (B, in_channels, H, W), else a ValueError."""
        check_image(self, image, self.in_channels)
        height, width = image.shape[-2:]
        if self.padding == "same":
            image = pad_to_multiple(image, STRIDE)
        logits: Tensor = self.head(self.decoder(self.trunk(image), (height, width)))
        return logits


def decoder_head(channels: int | None, n_maps: int) -> nn.Module:
    """What puts a decoder's channels together to `n_maps` logits; nothing for a decoder of the logits themselves."""
    if channels is not None and channels < 1:
        raise ValueError(f"decoder_channels must be at least 1 or None, got {channels}.")
    return nn.Sequential() if channels is None else nn.Sequential(nn.ReLU(), nn.Conv2d(channels, n_maps, 1))


def initialize(module: nn.Module) -> None:
    """He's normal initialisation of all convolutions; transposed convolutions keep their bilinear weights."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def bilinear_kernel(factor: int) -> Tensor:
    """Weights (2 * factor, 2 * factor) with which a transposed convolution of stride `factor` is bilinear."""
    size = 2 * factor
    ramp = 1 - (torch.arange(size) - (size - 1) / 2).abs() / factor
    return ramp[:, None] * ramp[None, :]


def _bilinear_upsampling(n_classes: int, factor: int, padding: Padding) -> nn.ConvTranspose2d:
    margin = factor // 2 if padding == "same" else 0
    layer = nn.ConvTranspose2d(n_classes, n_classes, 2 * factor, stride=factor, padding=margin, bias=False)
    # Each class is upsampled by itself at the start; the weights between classes exist, as in the released net.
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(n_classes), range(n_classes)] = bilinear_kernel(factor)
    return layer


def _conv(in_channels: int, out_channels: int, kernel: int, padding: int, batch_norm: bool) -> list[nn.Module]:
    # A bias in front of a batch norm would be cancelled by it.
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=not batch_norm)
    norm: list[nn.Module] = [nn.BatchNorm2d(out_channels)] if batch_norm else []
    return [conv, *norm, nn.ReLU(inplace=True)]


def _crop(features: Tensor, offset: int, size: torch.Size | tuple[int, ...]) -> Tensor:
    return features[..., offset : offset + size[0], offset : offset + size[1]]
