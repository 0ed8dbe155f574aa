"""`SampledMask`: a layout of cells with what is known of them, and colours for cells of a plain label map."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks.bank.measure import cell_moments, central_moments, check_label_map, contact_pairs

_MOST_COLORS = 255


@dataclass(frozen=True)
class SampledMask:
    """One layout of cells, sampled or given as a label map.

    Attributes:
        label_map: int32 (H, W), 0 = background, 1..n = cells in the order of placing, contiguous.
        colors: uint8 (H, W), palette index 1..n_colors, 0 = background; cells that touch never share one.
        centers: int64 (n, 2), row and column of each cell's location l_i.
        z_order: int64 (n,), 0 = lowest; where cells overlap, the higher one is seen.
        shape_index: int32 (n,), which shape of the bank each cell is; None where no bank was sampled.
        poses: float64 (n, 2, 2), how it was turned, flipped and scaled: the shape's point q, row and column from its centre
            in pixels, lies at centers[i] + poses[i] @ q; None where unknown.
        asked: how many cells were to be placed.
        by_fallback: how many found a place only by the uniform last resort.
        places_tried: how many places were drawn in all.
    """

    label_map: NDArray[np.int32]
    colors: NDArray[np.uint8]
    centers: NDArray[np.int64]
    z_order: NDArray[np.int64]
    shape_index: NDArray[np.int32] | None
    poses: NDArray[np.float64] | None
    asked: int
    by_fallback: int
    places_tried: int

    @classmethod
    def from_label_map(
        cls, label_map: NDArray[np.int32], labelled: Literal["instances", "classes"] = "instances"
    ) -> "SampledMask":
        """A mask from a label map alone, int32 (H, W) with contiguous ids: centres are rounded centroids, poses unknown.

        One of classes keeps its values and has no cells.

        Raises:
            ValueError: not a label map, or more than 255 colours are needed.
        """
        labels = check_label_map(label_map)
        if labelled == "classes":
            nothing = np.zeros((0, 2), np.int64)
            return cls(labels, labels.astype(np.uint8), nothing, nothing[:, 0], None, None, 0, 0, 0)
        n = int(labels.max())
        moments = central_moments(cell_moments(labels, n))[1:]
        centers = np.floor(moments[:, 1:3] + 0.5).astype(np.int64)
        return cls(labels, color_cells(labels), centers, np.arange(n), None, None, n, 0, 0)

    @property
    def placed(self) -> int:
        """How many cells are in the mask."""
        return len(self.centers)

    @property
    def not_placed(self) -> int:
        """How many cells found no place."""
        return self.asked - self.placed


def color_cells(label_map: NDArray[np.int32], n_colors: int = 8) -> NDArray[np.uint8]:
    """Colour the cells of a label map (H, W) such that no two in each other's 8-neighbourhood share a colour.

    In order of id, which have no gaps, each cell takes the first colour free of those beginning with its own turn of the
    palette, 1..``n_colors``; further colours are added where a cell finds none free.

    Returns:
        uint8 (H, W), 0 = background.

    Raises:
        ValueError: more than 255 colours are needed.
    """
    n = int(label_map.max(initial=0))
    beside: list[set[int]] = [set() for _ in range(n + 1)]
    for low, high in np.unique(contact_pairs(label_map, 0), axis=0).tolist():
        beside[high].add(low)
    palette = np.zeros(n + 1, np.uint8)
    for label in range(1, n + 1):
        taken = {int(palette[other]) for other in beside[label]}
        turn = (1 + (label - 1 + step) % n_colors for step in range(n_colors))
        further = range(n_colors + 1, _MOST_COLORS + 1)
        color = next((c for c in (*turn, *further) if c not in taken), 0)
        if color == 0:
            raise ValueError(f"cell {label} touches cells of all {_MOST_COLORS} colours; split it, or give fewer cells")
        palette[label] = color
    return np.asarray(palette[label_map])
