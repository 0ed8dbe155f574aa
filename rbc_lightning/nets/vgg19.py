"""VGG19 up to relu5_1, frozen: the features of the perceptual loss (S3 4.2)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Convolutions of each block under torchvision's numbers (`features.N`), and their width.
_BLOCKS = ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28,))
_WIDTHS = (64, 128, 256, 512, 512)
# Four poolings halve the image before relu5_1.
_SMALLEST = 16


class VGG19Features(nn.Module):
    """The trunk of torchvision's VGG19, kept out of every checkpoint.

    The weights are parameters without gradient, so they move with `.to()` and with the module that owns this one. They are
    neither saved in a state dict nor asked for when one is loaded: a training checkpoint stays small, and the file of
    weights stays the one place they come from.

    Args:
        state_dict: tensors `features.N.weight` and `features.N.bias` under torchvision's names, N up to 28; whatever else
            the file holds (later layers, the classifier) is left out.

    Raises:
        ValueError: tensors are missing or of another shape; each one is listed.
    """

    def __init__(self, state_dict: Mapping[str, Tensor]) -> None:
        super().__init__()
        _check_weights(state_dict)
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                _FrozenConv(state_dict[f"features.{number}.weight"], state_dict[f"features.{number}.bias"]) for number in block
            )
            for block in _BLOCKS
        )
        self.eval()

    @classmethod
    def load(cls, source: str) -> VGG19Features:
        """Read the weights by name or from a file.

        Args:
            source: "imagenet" for torchvision's `VGG19_Weights.IMAGENET1K_V1`, from torch hub's cache or else the network;
                anything else is the path of a .pth state dict.

        Raises:
            OSError: no such file; or the named weights are not in the cache and cannot be fetched.
            ValueError: the file is damaged, holds no state dict, or its tensors do not fit; each one is listed.
        """
        try:
            return cls(_fetch() if source == "imagenet" else _read(Path(source)))
        except ValueError as error:
            raise ValueError(f"VGG19 weights from {source!r}: {error}") from error

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the features relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1.

        Args:
            image: (B, 3, H, W) in [-1, 1], taken as it is: the public pix2pixHD does not normalise it either.

        Returns:
            Five maps of 64, 128, 256, 512, 512 channels; the k-th has H, W halved k - 1 times, rounded down.

        Raises:
            ValueError: the image has not three channels, or is smaller than 16 pixels.
        """
        if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < _SMALLEST:
            raise ValueError(f"expected images (B, 3, H, W) of at least {_SMALLEST} pixels a side, got {tuple(image.shape)}")
        features: list[Tensor] = []
        x = image
        for level, block in enumerate(self.blocks):
            if level:
                x = F.max_pool2d(x, 2)
            for position, conv in enumerate(cast(nn.ModuleList, block)):
                # In place on the convolution's own output, which no gradient needs.
                x = F.relu(conv(x), inplace=True)
                if position == 0:
                    features.append(x)
        return features

    def train(self, mode: bool = True) -> VGG19Features:  # noqa: ARG002  # nn.Module's signature
        """Stay in evaluation mode, whatever the owner does."""
        super().train(False)
        return self


class _FrozenConv(nn.Module):
    """A 3x3 convolution with given weights and no entry in state dicts."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        # Copies, not nn.Conv2d: its initialisation would draw from the global generator and shift every later draw.
        self.weight = nn.Parameter(weight.detach().float().clone(), requires_grad=False)
        self.bias = nn.Parameter(bias.detach().float().clone(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=1)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Save nothing."""

    def _load_from_state_dict(self, *args: object) -> None:
        """Expect nothing, also where `strict` is asked for."""


def _fetch() -> Mapping[str, Tensor]:
    """The ImageNet weights from torch hub's cache, or from the network the first time."""
    # torchvision takes seconds to import, and only this branch needs it.
    from torchvision.models import VGG19_Weights

    weights = VGG19_Weights.IMAGENET1K_V1
    try:
        return _check_tensors(weights.get_state_dict(check_hash=True, map_location="cpu", weights_only=True))
    except (OSError, HTTPException) as error:
        raise OSError(
            f"VGG19 ImageNet weights: no copy in {torch.hub.get_dir()}/checkpoints, and {weights.url} could not be fetched "
            f"({error}); instead of 'imagenet' give the path of a local copy of that file, or switch the VGG term off"
        ) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"damaged file; delete it from {torch.hub.get_dir()}/checkpoints and try again") from error


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(
            f"VGG19 weights: no file {path}; expected 'imagenet' or the path of a .pth state dict with torchvision's names"
        )
    try:
        return _check_tensors(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError("damaged, or more than tensors in it; expected a state dict written by torch.save") from error


def _check_tensors(content: object) -> Mapping[str, Tensor]:
    if not isinstance(content, Mapping):
        raise ValueError(f"expected a state dict, got a {type(content).__name__}")
    return content


def _check_weights(state_dict: Mapping[str, Tensor]) -> None:
    faults: list[str] = []
    in_channels = 3
    for block, width in zip(_BLOCKS, _WIDTHS, strict=True):
        for number in block:
            for kind, shape in (("weight", (width, in_channels, 3, 3)), ("bias", (width,))):
                found = state_dict.get(f"features.{number}.{kind}")
                if not isinstance(found, Tensor):
                    faults.append(f"features.{number}.{kind}: missing, expected shape {shape}")
                elif tuple(found.shape) != shape:
                    faults.append(f"features.{number}.{kind}: expected shape {shape}, got {tuple(found.shape)}")
            in_channels = width
    if faults:
        listing = "\n  ".join(faults)
        raise ValueError(f"{len(faults)} tensors are not those of torchvision's vgg19:\n  {listing}")
