"""U-Nets: that of segmentation-models-pytorch on any of its encoders, and the plain one of Ronneberger et al. 2015."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rbc_lightning.segmenters.shapes import check_counts, check_image, pad_to_multiple, read_state_dict

DEPTH = 5
"""Times the encoders halve the image; inputs are padded to multiples of 2 to this power."""
PLAIN_DEPTH = 4
"""Times that the plain U-Net halves the image."""
TIMM_PREFIXES = ("tu-", "timm-")


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) with an encoder of segmentation-models-pytorch, or of timm by the prefix `tu-`.

    Without weights nothing is loaded and nothing reaches for the network. Decoder and head start from He's and Glorot's
    initialisation, the encoder from that of its own family. Those of timm made for one image size take that size only.

    Args:
        encoder: Name such as "resnet18", "efficientnet-b0", "mit_b0", "tu-convnext_tiny".
        n_outputs: Channels of the logits; 1 for foreground, 2 for objectness and contour.
        decoder_channels: Channels of the decoder's five blocks, coarse to fine.
        weights: None; or "imagenet", from the local cache or else the network; or the path of a state dict of the encoder
            (.pth of torch.save, or .safetensors).
        in_channels: Channels of the image; with another number than 3 the library adapts ImageNet's first convolution.

    Raises:
        ValueError: An argument out of its range, an encoder nobody knows, weights that do not fit.
        OSError: No such file of weights; or the named ones are not in the cache and cannot be fetched.
    """

    def __init__(
        self,
        encoder: str = "resnet18",
        n_outputs: int = 1,
        decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
        weights: str | None = None,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        check_counts(n_outputs=n_outputs, in_channels=in_channels)
        if len(decoder_channels) != DEPTH or min(decoder_channels) < 1:
            raise ValueError(f"decoder_channels must be {DEPTH} numbers of at least 1, got {tuple(decoder_channels)}.")
        self.in_channels = in_channels
        maps = {"decoder_channels": list(decoder_channels), "classes": n_outputs, "in_channels": in_channels}
        self.unet = _build(encoder, maps, pretrained=weights == "imagenet")
        if weights is not None and weights != "imagenet":
            _load(self.unet.get_submodule("encoder"), encoder, Path(weights))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, n_outputs, H, W) of standardised images (B, in_channels, H, W), else a ValueError."""
        check_image(self, image, self.in_channels)
        height, width = image.shape[-2:]
        logits: Tensor = self.unet(pad_to_multiple(image, 2**DEPTH))
        return logits[..., :height, :width]


class PlainUNet(nn.Module):
    """U-Net as Ronneberger et al. 2015 drew it, padded and with batch norm: the "base version" of Novoselov and Smirnov 2024.

    Two 3x3 convolutions, each with batch norm and ReLU, at five scales, 2x2 max pooling between them; 2x2 transposed
    convolutions and skips on the way up; a 1x1 convolution to the logits. Images of any size are padded to multiples of 16.

    Args:
        base_channels: Channels at full size, doubled at each of the four halvings: 64 to 1024.
        n_outputs: Channels of the logits; 1 for foreground.
        in_channels: Channels of the image.

    Raises:
        ValueError: An argument below 1.
    """

    def __init__(self, base_channels: int = 64, n_outputs: int = 1, in_channels: int = 3) -> None:
        super().__init__()
        check_counts(base_channels=base_channels, n_outputs=n_outputs, in_channels=in_channels)
        self.in_channels = in_channels
        widths = [base_channels * 2**level for level in range(PLAIN_DEPTH + 1)]
        before = [in_channels, *widths[:-1]]
        self.down = nn.ModuleList(_two_convolutions(*pair) for pair in zip(before, widths, strict=True))
        self.pool = nn.MaxPool2d(2)
        coarse_to_fine = widths[::-1]
        pairs = list(pairwise(coarse_to_fine))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for coarse, fine in pairs)
        self.up = nn.ModuleList(_two_convolutions(2 * fine, fine) for _, fine in pairs)
        self.head = nn.Conv2d(base_channels, n_outputs, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer is not self.head:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, n_outputs, H, W) of standardised images (B, in_channels, H, W), else a ValueError."""
        check_image(self, image, self.in_channels)
        height, width = image.shape[-2:]
        features, skips = pad_to_multiple(image, 2**PLAIN_DEPTH), []
        for level, block in enumerate(self.down):
            features = block(self.pool(features) if level else features)
            skips.append(features)
        for enlarge, block, skip in zip(self.enlarge, self.up, skips[-2::-1], strict=True):
            features = block(torch.cat((skip, enlarge(features)), dim=1))
        logits: Tensor = self.head(features)
        return logits[..., :height, :width]


def _two_convolutions(in_channels: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        # A bias in front of a batch norm would be cancelled by it.
        layers += [nn.Conv2d(channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU(True)]
    return nn.Sequential(*layers)


def _build(encoder: str, maps: dict[str, Any], pretrained: bool) -> nn.Module:
    # The library takes four seconds to import, which runs without a U-Net need not wait for.
    import segmentation_models_pytorch as smp

    known = smp.encoders.get_encoder_names()
    if encoder not in known and not encoder.startswith(TIMM_PREFIXES):
        close = get_close_matches(encoder, known, n=5, cutoff=0) or known[:5]
        raise ValueError(
            f"no encoder is called {encoder!r}; there are {', '.join(close)} and {len(known) - len(close)} more of "
            "segmentation-models-pytorch, and timm's by the prefix 'tu-'."
        )
    # The library asks for True instead of a name where the name of a timm model names its weights too.
    weights = (True if encoder.startswith(TIMM_PREFIXES[0]) else "imagenet") if pretrained else None
    try:
        net: nn.Module = smp.Unet(encoder, encoder_weights=weights, **maps)
    except OSError as error:
        raise OSError(
            f"ImageNet weights of encoder {encoder!r}: not in the local cache, and not to be fetched ({_one_line(error)}); "
            "instead of 'imagenet' give the path of a state dict of that encoder, or null to train from scratch."
        ) from error
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"no U-Net can be built on encoder {encoder!r}, weights {weights!r}: {_one_line(error)}") from error
    return net


def _load(module: nn.Module, encoder: str, path: Path) -> None:
    content = read_state_dict(path, "'imagenet'")
    try:
        # Encoders drop the classifier's entries from the dict they are given.
        module.load_state_dict(content)
    except RuntimeError as error:
        raise ValueError(f"weights of encoder {encoder!r} from {path}: {_one_line(error)}") from error


def _one_line(error: Exception, limit: int = 300) -> str:
    """The message on one line, cut where a list of tensors grows too long to read."""
    line = " ".join(str(error.args[0] if error.args else error).split())
    return line if len(line) <= limit else f"{line[:limit]} ..."
