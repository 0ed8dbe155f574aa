"""VGG19 up to relu5_1, frozen: the features of the perceptual loss (Bailo et al. 2019, Sec. 4.2)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn

from rbc_lightning.translators.weights import misfits

# Of torchvision's `vgg19().features`: where relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 stand.
_TAPS = (1, 6, 11, 20, 29)
# Four poolings halve the image before relu5_1.
_SMALLEST = 16


class VGG19Features:
    """The features of torchvision's VGG19; no module, so that no checkpoint of a module that has one holds its weights.

    Args:
        state_dict: tensors `features.N.weight` and `features.N.bias` under torchvision's names, N up to 28; whatever else
            the file holds (later layers, the classifier) is left out.

    Raises:
        ValueError: tensors are missing or of another shape; each one is listed.
    """

    def __init__(self, state_dict: Mapping[str, Tensor]) -> None:
        # torchvision takes seconds to import, and only this term needs it.
        from torchvision.models import vgg19

        # On the meta device nothing is drawn or allocated: the weights are given, and every later draw stays what it was.
        with torch.device("meta"):
            self.layers: nn.Sequential = vgg19(init_weights=False).features[: _TAPS[-1] + 1]
        expected = self.layers.state_dict()
        if faults := misfits({f"features.{name}": tensor for name, tensor in expected.items()}, state_dict, partial=True):
            listing = "\n  ".join(faults)
            raise ValueError(f"{len(faults)} tensors are not those of torchvision's vgg19:\n  {listing}")
        weights = {name: state_dict[f"features.{name}"].detach().float() for name in expected}
        self.layers.load_state_dict(weights, assign=True)
        self.layers.requires_grad_(False).eval()

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
            content = _fetch() if source == "imagenet" else _read(Path(source))
            if not isinstance(content, Mapping):
                raise ValueError(f"expected a state dict, got a {type(content).__name__}")
            return cls(content)
        except ValueError as error:
            raise ValueError(f"VGG19 weights from {source!r}: {error}") from error

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Return the features relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 of (B, 3, H, W) in [-1, 1].

        The image is taken as it is: the public pix2pixHD does not normalise it either.

        Returns:
            Five maps of 64, 128, 256, 512, 512 channels; the k-th has H, W halved k - 1 times, rounded down.
        """
        if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[2:]) < _SMALLEST:
            raise ValueError(f"expected images (B, 3, H, W) of at least {_SMALLEST} pixels a side, got {tuple(image.shape)}")
        features: list[Tensor] = []
        x = image
        for index, layer in enumerate(self.layers.to(image.device)):
            x = layer(x)
            if index in _TAPS:
                features.append(x)
        return features


def _fetch() -> object:
    """The ImageNet weights from torch hub's cache, or from the network the first time."""
    from torchvision.models import VGG19_Weights

    weights = VGG19_Weights.IMAGENET1K_V1
    try:
        return weights.get_state_dict(check_hash=True, map_location="cpu", weights_only=True)
    except (OSError, HTTPException) as error:
        raise OSError(
            f"VGG19 ImageNet weights: no copy in {torch.hub.get_dir()}/checkpoints, and {weights.url} could not be fetched "
            f"({error}); instead of 'imagenet' give the path of a local copy of that file, or switch the VGG term off"
        ) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"damaged file; delete it from {torch.hub.get_dir()}/checkpoints and try again") from error


def _read(path: Path) -> object:
    if not path.is_file():
        raise FileNotFoundError(
            f"VGG19 weights: no file {path}; expected 'imagenet' or the path of a .pth state dict with torchvision's names"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError("damaged, or more than tensors in it; expected a state dict written by torch.save") from error
