"""Kernels that paint a structure map: cells from crops, what lies beside and between them, background from images."""

from typing import NamedTuple

import numpy as np

from rbc_lightning.masks.jit import kernel
from rbc_lightning.translators.pix2pix.structures.crops import (
    Bytes,
    Crops,
    Floats,
    Ints,
    Labels,
    agreed,
    beside_crop,
    inside_crop,
    place_stretched,
)

# A seam lies right between two cells; darkness counts further, because outlines are often light by a pixel or two.
LABEL_REACH = 1
DARKNESS_REACH = 3
JOIN_REACH = 2
# Marks pixels to darken at the end.
JOINED = np.uint8(2)


class Images(NamedTuple):
    """Background of real images as bits, lowest first; every image starts at a whole byte.

    Attributes:
        free: uint8 (bytes,), background away from all cells.
        dark: uint8 (bytes,), the structure map.
        starts: int64 (n,), the first byte of each image.
        sizes: int64 (n, 2), height and width.
    """

    free: Bytes
    dark: Bytes
    starts: Ints
    sizes: Ints


@kernel
def paint_cells(label_map: Labels, crop_of: Ints, maps: Floats, stretch: Floats, crops: Crops, structure: Bytes) -> None:
    """Give every pixel of every cell the structure of its crop.

    Args:
        label_map: int32 (H, W).
        crop_of: int64 (n,), the crop of label i + 1.
        maps: float64 (n, 2, 3), matrix and offset that take image coordinates to those of the crop, from its centre.
        stretch: float64 (n or 0, DIRECTIONS), see `measure_stretch`; none leaves the maps as they are.
        crops: the crops.
        structure: uint8 (H, W), written where there are cells.
    """
    # Fields are taken out of the tuple here: inside the loop each access would count references.
    codes, starts, sizes, centers = crops.codes, crops.starts, crops.sizes, crops.centers
    for row in range(label_map.shape[0]):
        for column in range(label_map.shape[1]):
            cell = label_map[row, column] - 1
            if cell >= 0:
                c = crop_of[cell]
                y, x = place_stretched(row, column, cell, maps, stretch)
                value = agreed(centers[c, 0] + y, centers[c, 1] + x, codes, starts[c], sizes[c, 0], sizes[c, 1])
                if value < 0:
                    value = inside_crop(y, x, codes, starts[c], sizes[c, 0], sizes[c, 1], centers[c, 0], centers[c, 1])
                structure[row, column] = value


@kernel
def paint_edges(
    label_map: Labels,
    crop_of: Ints,
    maps: Floats,
    stretch: Floats,
    crops: Crops,
    joined: Floats,
    seam_share: float,
    structure: Bytes,
    holes: Labels,
) -> int:
    """Paint the background next to cells and list the rest.

    Two cells with a line of background between them are joined or not: two uniform numbers added modulo 1 are uniform again,
    and independent from pair to pair. The line between joined cells is dark where they are. Background beside one cell takes
    what lay beside its crop.

    Arguments are those of `paint_cells`, whose cells are painted already, and `joined`, float64 (n,), a number in [0, 1) for
    each cell; `seam_share`, the share of the pairs of cells that are joined; and `holes`, int32 (H * W,), which takes the flat
    indices of the pixels not painted here. How many these are is returned.
    """
    height, width = label_map.shape
    codes, starts, sizes, centers = crops.codes, crops.starts, crops.sizes, crops.centers
    near = np.zeros(width + 2, np.int32)
    n_holes = 0
    for row in range(height):
        up, down = max(row - 1, 0), min(row + 1, height - 1)
        # Whole rows at once: most of the background is far from any cell.
        for column in range(width):
            near[column + 1] = label_map[up, column] | label_map[row, column] | label_map[down, column]
        for column in range(width):
            if label_map[row, column] > 0:
                continue
            value = -1
            if near[column] | near[column + 1] | near[column + 2]:
                low, high = labels_near(label_map, row, column)
                if low != high:
                    value = int((joined[low - 1] + joined[high - 1]) % 1.0 < seam_share)
                    if value and dark_around(label_map, structure, row, column):
                        join(label_map, structure, row, column)
                    else:
                        value = 0
                else:
                    c = crop_of[low - 1]
                    y, x = place_stretched(row, column, low - 1, maps, stretch)
                    value = beside_crop(y, x, codes, starts[c], sizes[c, 0], sizes[c, 1], centers[c, 0], centers[c, 1])
            if value < 0:
                holes[n_holes] = row * width + column
                n_holes += 1
            else:
                structure[row, column] = value
    return n_holes


@kernel
def labels_near(label_map: Labels, row: int, column: int) -> tuple[int, int]:
    """Lowest and highest label up to `LABEL_REACH` pixels from a pixel, 0 for none."""
    height, width = label_map.shape
    low, high = 0, 0
    for y in range(max(row - LABEL_REACH, 0), min(row + LABEL_REACH + 1, height)):
        for x in range(max(column - LABEL_REACH, 0), min(column + LABEL_REACH + 1, width)):
            label = label_map[y, x]
            if label > 0:
                low = label if low == 0 else min(low, label)
                high = max(high, label)
    return low, high


@kernel
def dark_around(label_map: Labels, structure: Bytes, row: int, column: int) -> bool:
    """Whether at least half of the cells' pixels up to `DARKNESS_REACH` pixels from a pixel are dark."""
    height, width = label_map.shape
    pixels, dark = 0, 0
    for y in range(max(row - DARKNESS_REACH, 0), min(row + DARKNESS_REACH + 1, height)):
        for x in range(max(column - DARKNESS_REACH, 0), min(column + DARKNESS_REACH + 1, width)):
            if label_map[y, x] > 0:
                pixels += 1
                dark += structure[y, x] & 1
    return 2 * dark >= pixels


@kernel
def join(label_map: Labels, structure: Bytes, row: int, column: int) -> None:
    """Darken the outlines of the cells next to a pixel between them, by a bit that `dark_around` does not see."""
    height, width = label_map.shape
    for y in range(max(row - JOIN_REACH, 0), min(row + JOIN_REACH + 1, height)):
        for x in range(max(column - JOIN_REACH, 0), min(column + JOIN_REACH + 1, width)):
            if label_map[y, x] > 0:
                structure[y, x] |= JOINED


@kernel
def fill_holes(holes: Labels, n_holes: int, rows: Ints, columns: Ints, image: int, images: Images, structure: Bytes) -> int:
    """Fill the holes that lie on free background of an image; return how many are left, moved to the front.

    ``rows`` (H,) and ``columns`` (W,) say which row and column of the image each of the structure map's comes from.
    """
    width = structure.shape[1]
    free, dark = images.free, images.dark
    first, image_width = 8 * images.starts[image], images.sizes[image, 1]
    left, row = 0, 0
    for hole in range(n_holes):
        place = holes[hole]
        # Holes are in order: no division is needed to find their row.
        while place >= (row + 1) * width:
            row += 1
        column = place - row * width
        index = first + rows[row] * image_width + columns[column]
        if (free[index >> 3] >> (index & 7)) & 1:
            structure[row, column] = (dark[index >> 3] >> (index & 7)) & 1
        else:
            holes[left] = place
            left += 1
    return left


@kernel
def survey_background(label_map: Labels, structure: Bytes, owner: Labels) -> tuple[int, int]:
    """Find out to whom the background near cells belongs, and how often cells are joined.

    Args:
        label_map: int32 (H, W).
        structure: uint8 (H, W) of 0 and 1.
        owner: int32 (H, W) of zeros; takes the label of background pixels near one cell, and -1 between several.

    Returns:
        How many pixels lie between cells that are dark around them, and how many of these are dark themselves.
    """
    seams, dark_seams = 0, 0
    for row in range(label_map.shape[0]):
        for column in range(label_map.shape[1]):
            if label_map[row, column] > 0:
                continue
            low, high = labels_near(label_map, row, column)
            owner[row, column] = low if low == high else -1
            if low != high and dark_around(label_map, structure, row, column):
                seams += 1
                dark_seams += structure[row, column]
    return seams, dark_seams
