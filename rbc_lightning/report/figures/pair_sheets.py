"""Sheets of synthetic and real pairs: images alone, and with the outlines of their masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.labels import label_map_to_contours
from rbc_lightning.report.figures.runs import color_labels, save_grid

# A shown image has at least so many pixels along its longer side: an outline is then thinner than a small lesion.
_LONGEST = 256

Array = TypeVar("Array", bound=NDArray[np.integer[Any]])


class ShownPair(NamedTuple):
    """A pair as shown: its pictures, uint8 (H, W, 3), one or one for each channel; its targets (H, W); a title."""

    pictures: tuple[NDArray[np.uint8], ...]
    label_map: NDArray[np.integer]
    title: str


def save_sheet_of_pairs(path: Path, *rows: Sequence[ShownPair]) -> None:
    """Save rows of pairs: for each the pictures, then the first one again with the outlines of its mask.

    Raises:
        ValueError: a row without a pair.
    """
    tiles: list[list[NDArray[np.uint8]]] = []
    titles: list[list[str]] = []
    for row in rows:
        if not row:
            raise ValueError("expected at least one pair in each row of a sheet, got none")
        for number in range(len(row[0].pictures)):
            tiles.append([_enlarged(pair.pictures[number]) for pair in row])
            titles.append([pair.title for pair in row] if number == 0 else [])
        tiles.append([outlined(pair) for pair in row])
        titles.append([])
    save_grid(path, tiles, titles, tile=(2.2, 0.3))


def outlined(pair: ShownPair) -> NDArray[np.uint8]:
    """The first picture, enlarged, with a thin outline of every cell or class in its own colour."""
    labels = _enlarged(pair.label_map)
    drawn = _enlarged(pair.pictures[0])
    contours = label_map_to_contours(labels)
    drawn[contours] = color_labels(labels)[contours]
    return drawn


def _enlarged(array: Array) -> Array:
    """A copy, every pixel repeated so often that the longer side is long enough."""
    times = -(-_LONGEST // max(array.shape[:2]))
    return cast(Array, np.repeat(np.repeat(array, times, axis=0), times, axis=1))
