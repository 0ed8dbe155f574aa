"""What a network needs around a pixel, and what memory it takes: measured on a small input, whatever the network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rbc_lightning.translators.shared_statistics import replaced_norms

_LONGEST = 512  # units of the probe: longer than twice the radius of any network in use
_HEIGHT = 4  # units: reflect padding by 3 pixels needs more than 3
_LIVE_TENSORS = 8  # peak over the largest layer's output: 3.6 to 5.7 measured in stage 1, 8.2 in stage 2


@torch.inference_mode()
def receptive_radius(network: nn.Module, in_channels: int, unit: int = 1) -> int:
    """How far from an output pixel the input still matters, instance norms having fixed statistics.

    One column of units is set to NaN, which every layer hands on to all pixels that it reaches, whatever the weights.

    Args:
        network: takes (1, in_channels, H, W), height and width multiples of `unit`, and changes both by the same factor.
        in_channels: of its input.
        unit: input pixels after which the network's sampling grids repeat (the product of its strides).

    Returns:
        Units: whatever lies further outside a block of whole units leaves the block's output unchanged.
    """
    device = next(network.parameters()).device
    length = 32
    # Without cuDNN, whose Fourier transforms would carry NaN across the whole image.
    with replaced_norms(network, lambda _norm, x: x), torch.backends.cudnn.flags(enabled=False):
        while length <= _LONGEST:
            probe = torch.zeros(1, in_channels, _HEIGHT * unit, length * unit, device=device)
            middle = length // 2
            probe[..., middle * unit : (middle + 1) * unit] = math.nan
            reached = network(probe).isnan().any(dim=1).any(dim=1)[0].reshape(length, -1).any(dim=1).nonzero()
            first, last = int(reached.min()), int(reached.max())
            if first > 0 and last < length - 1:
                return max(middle - first, last - middle)
            length *= 2
    raise ValueError(f"the network sees further than {_LONGEST // 2 * unit} pixels: it cannot be evaluated in tiles")


@torch.inference_mode()
def bytes_per_pixel(network: nn.Module, in_channels: int, multiple: int) -> float:
    """Estimate the memory that a forward pass without gradients takes per input pixel, bytes.

    The largest output of any layer, times the number of such tensors that live at a time. Small layers' scratch memory
    is not counted, so the estimate holds for images of a megapixel and more. The network takes (1, in_channels, H, W), H and
    W being multiples of `multiple`.
    """
    largest = 0

    def note(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal largest
        largest = max(largest, output.numel() * output.element_size())

    side = _HEIGHT * multiple
    leaves = [module for module in network.modules() if not any(module.children())]
    handles = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        network(torch.zeros(1, in_channels, side, side, device=next(network.parameters()).device))
    finally:
        for handle in handles:
            handle.remove()
    return _LIVE_TENSORS * largest / side**2
