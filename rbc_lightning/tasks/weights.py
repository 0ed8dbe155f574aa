"""Reading stored networks: what does not fit is named tensor by tensor."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rbc_lightning.errors import InputError


def read_content(path: Path, expected: Collection[str], device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a file of tensors and plain values.

    Args:
        path: of a file written by `torch.save`.
        expected: names of its entries.
        device: where the tensors go.

    Returns:
        The file's dict.

    Raises:
        InputError: no such file, or without these entries.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read ({reason}): make the translator again with stage=translator") from error
    found = set(content) if isinstance(content, dict) else set()
    if missing := sorted(set(expected) - found):
        raise InputError(f"{path} holds no {', '.join(missing)}: make the translator again with stage=translator")
    return dict(content)


def load_exactly(module: nn.Module, tensors: Mapping[str, Tensor], name: str, path: Path) -> None:
    """Fill a network with stored tensors.

    Args:
        module: filled in place; untouched where anything does not fit.
        tensors: its state dict.
        name: of the network, for the error.
        path: of the file, for the error.

    Raises:
        InputError: a tensor is missing, superfluous or of another shape; all of them are named.
    """
    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    got = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    wrong = [
        f"{name}.{key} expected {_shape(expected.get(key))}, got {_shape(got.get(key))}"
        for key in [*expected, *(key for key in got if key not in expected)]
        if expected.get(key) != got.get(key)
    ]
    if wrong:
        raise InputError(
            f"{path} does not fit the settings it was stored with, in {len(wrong)} tensors: {'; '.join(wrong)}. "
            "Make the translator again with stage=translator"
        )
    module.load_state_dict(dict(tensors))


def _shape(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else str(shape)
