"""Less memory in training: recompute activations in the backward pass."""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from rbc_lightning.nets.modulation import ModulatedBlock, Modulation
from rbc_lightning.nets.pix2pixhd import ResidualBlock

_KINDS = (ModulatedBlock, Modulation, ResidualBlock)


def checkpoint_blocks(network: nn.Module) -> nn.Module:
    """Let the blocks of a generator keep their inputs only and compute the rest again in the backward pass.

    Names of tensors, outputs and gradients stay the same. Residual and modulated blocks are wrapped, and the whole runs
    of layers of the public generators.

    Args:
        network: changed in place.

    Returns:
        The network itself.
    """
    runs = [child for child in network.children() if isinstance(child, nn.Sequential)]
    for module in network.modules():
        if isinstance(module, _KINDS) or module in runs:
            module.forward = partial(checkpoint, module.forward, use_reentrant=False)  # type: ignore[method-assign]  # on purpose
    return network
