"""Weights of pix2pixHD networks: the initialisation, and reading the public implementation's files."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

_WITHOUT_FEATURES = re.compile(r"^layer(\d+)\.(\d+)\.(weight|bias)$")


def init_conv_weights(module: nn.Module, generator: torch.Generator | None = None) -> nn.Module:
    """Draw every convolution's weights from N(0, 0.02), in place; biases keep PyTorch's default.

    Args:
        module: any network.
        generator: source of the draws; the global one if None.

    Returns:
        The module itself.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02, generator=generator)
    return module


def load_reference_weights(module: nn.Module, state_dict: Mapping[str, Tensor], partial: bool = False) -> list[str]:
    """Copy tensors of the public pix2pixHD implementation into one of our networks, by name.

    Discriminators saved without feature matching (`layer{s}.{0,2,5,8,11}`) are read too.

    Args:
        module: a network of `rbc_lightning.nets.pix2pixhd`.
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
    faults = [
        f"{name}: expected shape {tuple(target[name].shape)}, got {tuple(source[name].shape)}"
        for name in shared
        if target[name].shape != source[name].shape
    ]
    if not partial:
        faults += [f"{name}: missing, expected shape {tuple(target[name].shape)}" for name in target.keys() - source]
        faults += [f"{name}: unexpected, shape {tuple(source[name].shape)}" for name in source.keys() - target]
    elif not shared:
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
