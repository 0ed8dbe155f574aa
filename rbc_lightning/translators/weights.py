"""Weights of networks: the initialisation, stored ones and published ones; what does not fit is named tensor by tensor."""

from __future__ import annotations

import pickle
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from rbc_lightning.errors import InputError

_WITHOUT_FEATURES = re.compile(r"^layer(\d+)\.(\d+)\.(weight|bias)$")


def init_conv_weights(module: nn.Module, generator: torch.Generator | None = None) -> nn.Module:
    """Draw every convolution's weights from N(0, 0.02), in place; biases keep PyTorch's default. Returns the module."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02, generator=generator)
    return module


def read_content(path: Path, expected: Collection[str], device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a dict of tensors and plain values that `torch.save` wrote; an `InputError` where it lacks what is expected."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read ({reason}): make the translator again with stage=translator") from error
    found = set(content) if isinstance(content, dict) else set()
    if missing := sorted(set(expected) - found):
        raise InputError(f"{path} holds no {', '.join(missing)}: make the translator again with stage=translator")
    return dict(content)


def read_stored_arrays(path: Path, names: Collection[str], what: str) -> dict[str, Any]:
    """Read arrays by name from an .npz file; an `InputError` where it is none, or lacks one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise InputError(f"{path} holds no {what} ({error}); make the translator again with stage=translator") from error


def load_exactly(module: nn.Module, tensors: Mapping[str, Tensor], name: str, path: Path) -> None:
    """Fill a network with the stored tensors of its state dict; untouched where anything does not fit.

    Raises:
        InputError: a tensor is missing, superfluous or of another shape; all are named, with the network and the file.
    """
    if wrong := misfits(module.state_dict(), tensors):
        listing = "; ".join(f"{name}.{fault}" for fault in wrong)
        raise InputError(
            f"{path} does not fit the settings it was stored with, in {len(wrong)} tensors: {listing}. "
            "Make the translator again with stage=translator"
        )
    module.load_state_dict(dict(tensors))


def misfits(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], partial: bool = False) -> list[str]:
    """What is missing in `given`, of another shape than expected, or unless `partial` unexpected; a phrase each."""
    faults: list[str] = []
    for name, tensor in expected.items():
        found = given.get(name)
        if not isinstance(found, Tensor):
            faults.append(f"{name}: missing, expected shape {tuple(tensor.shape)}")
        elif found.shape != tensor.shape:
            faults.append(f"{name}: expected shape {tuple(tensor.shape)}, got {tuple(found.shape)}")
    unexpected = [] if partial else [name for name in given if name not in expected]
    return faults + [f"{name}: unexpected, shape {tuple(given[name].shape)}" for name in unexpected]


def load_reference_weights(module: nn.Module, state_dict: Mapping[str, Tensor], partial: bool = False) -> list[str]:
    """Copy tensors of the public pix2pixHD implementation into one of our networks, by name.

    Discriminators saved without feature matching (`layer{s}.{0,2,5,8,11}`) are read too.

    Args:
        module: a network of `pix2pixhd`.
        state_dict: tensors under the public names, as in the files `*_net_G.pth`, `*_net_D.pth`, `*_net_E.pth`.
        partial: take what both sides share, as when a stage-1 generator fills the trunk of a stage-2 one. Tensors of
            one name must still agree in shape.

    Returns:
        The names of the tensors that were copied, in the module's order.

    Raises:
        ValueError: a tensor is missing, unexpected or of another shape; each one is listed. Nothing is copied then.
    """
    source = {_with_features(name): tensor for name, tensor in state_dict.items()}
    target = module.state_dict()
    shared = [name for name in target if name in source]
    faults = misfits({name: target[name] for name in (shared if partial else target)}, source, partial)
    if partial and not shared:
        faults.append("no tensor name is shared")
    if faults:
        listing = "\n  ".join(sorted(faults))
        raise ValueError(
            f"these weights do not fit {type(module).__name__} ({len(faults)} tensors); "
            f"build it with the widths and depths of the checkpoint:\n  {listing}"
        )
    module.load_state_dict({name: source[name] for name in shared}, strict=False)
    return shared


def _with_features(name: str) -> str:
    """Translate a discriminator key saved without feature matching: conv k sits at 0, 2, 5, 8, 11 of its scale."""
    match = _WITHOUT_FEATURES.match(name)
    if match is None:
        return name
    scale, position, kind = match.groups()
    return f"scale{scale}_layer{(int(position) + 1) // 3}.0.{kind}"
