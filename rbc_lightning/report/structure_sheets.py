"""Sheets of structure maps: images beside what is dark in them, and new maps beside what is painted from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.report.style_sheets import save_picture_rows

Structure = NDArray[np.bool_] | NDArray[np.integer[Any]]
"""A structure map (H, W), dark where not 0."""
# Neither black nor white, which pictures of masks are made of.
_DARK, _LIGHT = 60, 235


@dataclass(frozen=True)
class StructureRow:
    """One image of a preview.

    Attributes:
        sample_id: written at the left.
        image: uint8 (H, W, 3).
        maps: its structure maps (H, W) by their captions, in the order to show them.
    """

    sample_id: str
    image: NDArray[np.uint8]
    maps: Mapping[str, Structure]


def save_structure_preview(path: Path, rows: Sequence[StructureRow]) -> None:
    """Save images, each beside its structure maps with their captions, as PNG, atomically (S4 Fig. 3).

    Args:
        path: file to write.
        rows: one per image, with as many maps as the first.

    Raises:
        ValueError: no rows, numbers of maps that differ, or a map of another size than its image.
    """
    for row in rows:
        for caption, structure in row.maps.items():
            if structure.shape != row.image.shape[:2]:
                raise ValueError(
                    f"{caption} of {row.sample_id}: expected a map of the image's size {row.image.shape[:2]}, got "
                    f"{structure.shape}"
                )
    pictures = [[row.image, *map(structure_picture, row.maps.values())] for row in rows]
    titles = [["image", *row.maps] for row in rows]
    save_picture_rows(path, pictures, titles, [row.sample_id for row in rows])


def save_structure_sheet(path: Path, painted: Sequence[NDArray[np.uint8]], structures: Sequence[Structure]) -> None:
    """Save one mask painted again and again as PNG, atomically, each image below the structure map it was painted from.

    Args:
        path: file to write.
        painted: uint8 (H, W, 3).
        structures: a map (H, W) for each; none for a translator that takes no structure maps.

    Raises:
        ValueError: no images, or another number of maps.
    """
    rows = [list(map(structure_picture, structures))] if structures else []
    titles = [[f"new structure {number}" for number in range(1, len(painted) + 1)]] if structures else []
    save_picture_rows(path, [*rows, painted], [*titles, [f"painted {number}" for number in range(1, len(painted) + 1)]])


def structure_picture(structure: Structure) -> NDArray[np.uint8]:
    """A structure map (H, W) as a grey picture, uint8 (H, W, 3)."""
    grey = np.where(np.asarray(structure, dtype=np.bool_), _DARK, _LIGHT).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
