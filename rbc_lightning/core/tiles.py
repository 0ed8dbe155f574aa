"""Cutting large images into overlapping tiles."""

from __future__ import annotations

from typing import NamedTuple


class Tile(NamedTuple):
    """Where a tile lies: `image[..., rows, columns]`."""

    rows: slice
    columns: slice


def tile_windows(height: int, width: int, tile: int, overlap: int) -> list[Tile]:
    """Cover an image exactly by square tiles, row by row.

    Tiles are as few as possible. Along an axis all but the last begin `tile - overlap` apart; the last is moved inward,
    to end with the image, so that neighbours overlap by `overlap` pixels or more. An axis shorter than a tile has one, as
    long as the axis.

    Args:
        height: Of the image, pixels.
        width: Of the image, pixels.
        tile: Side of a tile, pixels.
        overlap: Least overlap of neighbours, pixels, less than `tile`.

    Raises:
        ValueError: If an argument is out of its range.
    """
    if min(height, width, tile) < 1:
        raise ValueError(f"expected positive sizes, got an image of {height} x {width} and tiles of {tile} px.")
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap must lie in [0, {tile}), the side of a tile; got {overlap}.")
    rows, columns = _intervals(height, tile, overlap), _intervals(width, tile, overlap)
    return [Tile(row, column) for row in rows for column in columns]


def _intervals(length: int, tile: int, overlap: int) -> list[slice]:
    last = max(length - tile, 0)
    starts = [*range(0, last, tile - overlap), last]
    return [slice(start, min(start + tile, length)) for start in starts]
