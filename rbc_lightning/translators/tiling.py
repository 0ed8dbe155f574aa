"""Generating in tiles: an image of any size, equal to the one generated in one piece, in memory bounded by the tile.

Every tile is evaluated with as much of its surroundings as its pixels depend on, and only its own pixels are kept. The
margin is the receptive radius, measured on the network, and tiles lie on its sampling grids. So there is no seam and nothing
to blend, unless something averages over the image: in the public networks the instance norms. Their statistics are pooled
over all tiles, layer by layer (see `SharedStatistics`), which is exact but costs a sweep over the tiles for each norm, up to
that norm. To keep it cheap, the public networks are cut where activations are small: down path, each residual block and up
path are evaluated one after the other over the whole image, with margins of a few pixels instead of the whole network's
hundred. What passes between them lies in the CPU's memory, with the default sizes a third of the input in stage 1 and two
thirds in stage 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby, pairwise, product
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from rbc_lightning.translators.pix2pixhd.layers import check_multiple
from rbc_lightning.translators.pix2pixhd.nets import GlobalGenerator, LocalEnhancer, ResidualBlock
from rbc_lightning.translators.receptive_field import receptive_radius
from rbc_lightning.translators.shared_statistics import SharedStatistics

_CPU_BUDGET = 4 * 2**30  # bytes; fixed, so that the same machine gives the same pixels whatever else it does
_CUDA_SHARE = 0.8  # of the free memory
_SMALLEST = 128  # pixels: smaller tiles would be nearly all margin


@torch.inference_mode()
def paint_tiled(generator: nn.Module, x: Tensor, tile: int, multiple: int) -> Tensor:
    """Evaluate a generator tile by tile, one image after the other.

    Args:
        generator: maps (B, C, H, W) to (B, K, H, W); in evaluation mode.
        x: (B, C, H, W) on any device; tiles of it are moved to the generator's.
        tile: side of what a tile adds to the image, pixels, before its margin; rounded down to the multiple.
        multiple: of which height and width are multiples; divides all sampling grids of the generator.

    Returns:
        (B, K, H, W) on the CPU, equal to `generator(x)` to float rounding.
    """
    if tile < 1:
        raise ValueError(f"tile must be at least 1 pixel, got {tile}")
    check_multiple(x, multiple)
    return torch.cat([_paint_one(generator, image[None], tile, multiple) for image in x])


def tile_for_memory(generator: nn.Module, memory: float, shape: tuple[int, int, int, int], multiple: int) -> int | None:
    """Decide between one piece and tiles.

    On a GPU four fifths of its free memory may be used, elsewhere 4 GiB. `memory` is what a generator takes per pixel in bytes,
    see `receptive_field.bytes_per_pixel`, and `shape` that of its whole input (B, C, H, W).

    Returns:
        None if all images fit at once, else the largest side of a tile that fits with its margins, pixels; at least 128.
    """
    n_images, channels, height, width = shape
    pixels = _budget(next(generator.parameters()).device) / memory
    if n_images * height * width <= pixels:
        return None
    margin = multiple * receptive_radius(generator, channels, multiple)
    return max(_SMALLEST, math.isqrt(int(pixels)) - 2 * margin)


def _budget(device: torch.device) -> float:
    if device.type != "cuda":
        return _CPU_BUDGET
    # What PyTorch holds in reserve is free for us, though not for the driver.
    reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return _CUDA_SHARE * (torch.cuda.mem_get_info(device)[0] + reserve)


def _paint_one(generator: nn.Module, x: Tensor, tile: int, multiple: int) -> Tensor:
    if isinstance(generator, GlobalGenerator):
        return _chain(generator.model, x, tile)
    if isinstance(generator, LocalEnhancer):
        coarse = _chain(generator.model, generator.downsample(x), tile)
        return _chain(generator.model1_2, _chain(generator.model1_1, x, tile) + coarse, tile)
    return _tiled(generator, x, max(1, tile // multiple), multiple, multiple)


def _chain(chain: nn.Sequential, x: Tensor, tile: int) -> Tensor:
    """Evaluate residual blocks one by one, and what lies between them as a whole each."""
    for is_block, modules in groupby(chain, lambda module: isinstance(module, ResidualBlock)):
        # A block has up to sixteen times the channels of the full resolution: a quarter of the side takes the same memory.
        for part in modules if is_block else [nn.Sequential(*modules)]:
            down, up = _stride(part, nn.Conv2d), _stride(part, nn.ConvTranspose2d)
            side = max(1, tile // 4) if is_block else max(1, tile // max(down, up))
            x = _tiled(part, x, side, down, up)
    return x


def _stride(network: nn.Module, kind: type[nn.Conv2d] | type[nn.ConvTranspose2d]) -> int:
    return math.prod(module.stride[0] for module in network.modules() if isinstance(module, kind))


class _Span(NamedTuple):
    """A tile along one axis, in units: what it adds to the image, its piece with the margins, and its own part of the piece."""

    own: slice
    piece: slice
    window: slice


def _spans(length: int, side: int, margin: int) -> Iterator[_Span]:
    """Cut `length` units into nearly equal tiles of at most `side`; at the image's ends there is no margin."""
    n_tiles = -(-length // side)
    ends = [index * length // n_tiles for index in range(n_tiles + 1)]
    for start, stop in pairwise(ends):
        first = max(0, start - margin)
        yield _Span(slice(start, stop), slice(first, min(length, stop + margin)), slice(start - first, stop - first))


def _pixels(rows: slice, columns: slice, unit: int) -> tuple[slice, slice]:
    return slice(rows.start * unit, rows.stop * unit), slice(columns.start * unit, columns.stop * unit)


def _tiled(network: nn.Module, x: Tensor, side: int, unit_in: int, unit_out: int) -> Tensor:
    """Evaluate a network that turns `unit_in` input pixels into `unit_out` output pixels, in tiles of `side` units.

    Returns:
        (1, C, H, W) on the CPU.
    """
    device = next(network.parameters()).device
    height, width = x.shape[-2] // unit_in, x.shape[-1] // unit_in
    if max(height, width) <= side:
        return cast(Tensor, network(x.to(device))).cpu()
    margin = receptive_radius(network, x.shape[1], unit_in)
    tiles = list(product(_spans(height, side, margin), _spans(width, side, margin)))

    def piece(rows: _Span, columns: _Span) -> Tensor:
        return x[(..., *_pixels(rows.piece, columns.piece, unit_in))].to(device)

    shared = SharedStatistics(network)
    for _ in range(shared.n_norms):
        for rows, columns in tiles:
            shared.gather(piece(rows, columns), _pixels(rows.window, columns.window, unit_in))
        shared.settle()
    whole: Tensor | None = None
    for rows, columns in tiles:
        painted = shared(piece(rows, columns))
        if whole is None:
            whole = torch.empty((1, painted.shape[1], height * unit_out, width * unit_out), dtype=painted.dtype)
        own, window = _pixels(rows.own, columns.own, unit_out), _pixels(rows.window, columns.window, unit_out)
        whole[(..., *own)] = painted[(..., *window)]
    return cast(Tensor, whole)
