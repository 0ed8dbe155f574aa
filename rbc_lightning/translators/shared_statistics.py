"""Instance norm over an image that is computed in pieces.

An `nn.InstanceNorm2d` takes mean and variance from what it is given. Given a tile it would take the tile's, and the level
of the generated image would jump from tile to tile. Here the statistics of all tiles are pooled, each pixel counted once,
and every tile is normalised with these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

Window = tuple[slice, slice]
"""Rows and columns, in pixels."""


def instance_norms(network: nn.Module) -> list[nn.InstanceNorm2d]:
    """The norms whose result depends on the size of the piece; those with running statistics share them already."""
    norms = (module for module in network.modules() if isinstance(module, nn.InstanceNorm2d))
    return [norm for norm in norms if not norm.track_running_stats]


@contextmanager
def replaced_norms(network: nn.Module, normalise: Callable[[nn.InstanceNorm2d, Tensor], Tensor]) -> Iterator[None]:
    """Let every instance norm compute `normalise(norm, x)`, until the context ends, also by an exception.

    Parameters, buffers and names of the network stay as they are.
    """
    norms = instance_norms(network)
    try:
        for norm in norms:
            # On the instance, where it hides the class's method without becoming part of the state dict.
            vars(norm)["forward"] = partial(normalise, norm)
        yield
    finally:
        for norm in norms:
            vars(norm).pop("forward", None)


class _Reached(Exception):
    """Ends the evaluation of a tile: what comes after needs statistics that are not known yet."""


class SharedStatistics:
    """Statistics of a network's instance norms over the tiles of one image, gathered layer by layer.

    A layer's statistics rest on how the layers before it were normalised, so they are gathered in order of evaluation: in
    each sweep over the tiles every tile is evaluated up to the first layer whose statistics are still open, and no
    further. After as many sweeps as there are norms all statistics are those of the whole image, to float rounding.
    Gathering all layers in every sweep, each normalised with the statistics of the sweep before, looks cheaper but does
    not converge: an error in one layer's variance is amplified by every layer after it.

    Args:
        network: has instance norms.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.n_norms = len(instance_norms(network))
        self._settled: dict[nn.InstanceNorm2d, tuple[Tensor, Tensor]] = {}
        # Pixels, and sums of values and of their squares, of which mean and variance of all tiles follow: double, (B, C, 1, 1).
        self._sums: dict[nn.InstanceNorm2d, tuple[int, Tensor, Tensor]] = {}
        self._window: tuple[Window, tuple[int, int]] | None = None

    def gather(self, piece: Tensor, window: Window) -> None:
        """Add a tile to the statistics of the first open layer.

        Args:
            piece: (B, C, h, w), the tile with its surroundings.
            window: the part of it that counts, whose border must coincide with that of pixels of every layer.
        """
        self._window = window, (piece.shape[-2], piece.shape[-1])
        try:
            self(piece)
        except _Reached:
            pass
        finally:
            self._window = None

    def settle(self) -> None:
        """Close the layer that was gathered: from now on tiles are normalised there with the statistics of all."""
        for norm, (count, total, squares) in self._sums.items():
            mean = total / count
            self._settled[norm] = mean.float(), (squares / count - mean**2).float()
        self._sums = {}

    def __call__(self, piece: Tensor) -> Tensor:
        """Evaluate the network on a tile with the settled statistics."""
        with replaced_norms(self.network, self._normalise):
            output: Tensor = self.network(piece)
        return output

    def _normalise(self, norm: nn.InstanceNorm2d, x: Tensor) -> Tensor:
        if norm not in self._settled:
            if self._window is None:
                raise RuntimeError(f"{self.n_norms} layers need statistics, {len(self._settled)} are settled: gather first")
            self._add(norm, x[(..., *_scaled(*self._window, (x.shape[-2], x.shape[-1])))])
            raise _Reached
        mean, variance = self._settled[norm]
        scale = torch.rsqrt(variance + norm.eps)
        if norm.weight is not None:
            scale = scale * norm.weight.view(1, -1, 1, 1)
        normalised = (x.float() - mean).mul_(scale)
        if norm.bias is not None:
            normalised += norm.bias.view(1, -1, 1, 1)
        return normalised.to(x.dtype)

    def _add(self, norm: nn.InstanceNorm2d, x: Tensor) -> None:
        variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0, keepdim=True)
        count, mean = x.shape[-2] * x.shape[-1], mean.double()
        total, squares = count * mean, count * (variance.double() + mean**2)
        if norm in self._sums:
            before = self._sums[norm]
            count, total, squares = count + before[0], total + before[1], squares + before[2]
        self._sums[norm] = count, total, squares


def _scaled(window: Window, size: tuple[int, int], layer: tuple[int, int]) -> Window:
    """Scale a window of a piece of `size` pixels to a layer of `layer` pixels."""
    scaled = []
    for span, whole, own in zip(window, size, layer, strict=True):
        ends = span.start * own, span.stop * own
        if any(end % whole for end in ends):
            raise ValueError(
                f"a window from {span.start} to {span.stop} of {whole} pixels ends within a pixel of a layer of {own} pixels: "
                "align the tiles on the network's strides"
            )
        scaled.append(slice(ends[0] // whole, ends[1] // whole))
    return scaled[0], scaled[1]
