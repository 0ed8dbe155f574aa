"""What networks check of their arguments, of images, and of files with weights."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def check_counts(**counts: int) -> None:
    """Refuse numbers below 1, by a ValueError."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}.")


def check_image(net: nn.Module, image: Tensor, in_channels: int) -> None:
    """Refuse what is no batch of images (B, in_channels, H, W), by a ValueError."""
    if image.ndim != 4 or image.shape[1] != in_channels:
        expected = f"(B, {in_channels}, H, W)"
        raise ValueError(f"{type(net).__name__} takes images of shape {expected}, got {tuple(image.shape)}.")


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column of (B, C, H, W) until H and W are multiples of `multiple`."""
    height, width = image.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    return F.pad(image, (0, right, 0, bottom), mode="replicate") if bottom or right else image


def read_state_dict(path: Path, names: str) -> dict[str, Tensor]:
    """Read a state dict, of torch.save or .safetensors; `names` are the words that could stand in the place of a path.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged, or no state dict.
    """
    # segmentation-models-pytorch, whose weights are published as safetensors, brings the library along.
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise FileNotFoundError(f"weights: no file {path}; expected {names}, null or the path of a state dict")
    try:
        safe = path.suffix == ".safetensors"
        content = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"weights {path} are damaged, or more than tensors; expected a state dict") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"weights {path} hold a {type(content).__name__}; expected a state dict")
    return dict(content)
