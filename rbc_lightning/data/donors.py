"""Real cells cut out of training images, with the colours that they are told apart from: what copy-paste pastes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from rbc_lightning.data.crops import Image, LabelMap
from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.data.manifest import Record
from rbc_lightning.errors import InputError

MARGIN = 6
"""Pixels around a cell that are cut out with it: room for its soft edge, and for the background it stands on."""
GUARD = 3
"""Pixels next to a cell that are not taken for background: its blurred edge, and the ring of defocus."""
MAX_CONTACT = 0.1
"""Largest share of a cell's surroundings that other cells may take: a neighbour hides part of its outline."""
MIN_BACKGROUND = 50
"""Pixels from which a background colour is measured; with fewer the whole image's stands in."""
COLOUR_PIXELS = 2**17
"""About so many pixels of an image are looked at for its colours."""

Triple = NDArray[np.float32]
Box = tuple[slice, slice]


@dataclass(frozen=True)
class Colour:
    """Colours of an image: `background` (3,) in grey levels; `stain` (3,), mean optical density of its cells, if any."""

    background: Triple
    stain: Triple | None


@dataclass(frozen=True)
class DonorCell:
    """A cell cut out of its image.

    Attributes:
        pixels: uint8 (h, w, 3).
        labels: uint8 (h, w): 1 the cell, 2 other cells, 0 background.
        background: Colour of the background around it, float32 (3,), grey levels.
        stain: Mean optical density of the cells of its image, float32 (3,).
        sample_id: The image's.
    """

    pixels: Image
    labels: NDArray[np.uint8]
    background: Triple
    stain: Triple
    sample_id: str


def check_donors(donors: Sequence[Record]) -> None:
    """Refuse donors that are not real training samples.

    Raises:
        InputError: names the sample at fault; or there is none.
    """
    for record in donors:
        if record.split != "train" or record.origin != "real":
            raise InputError(
                f"copy-paste would cut cells from {record.sample_id!r} ({record.origin}, split {record.split!r}); expected "
                "real samples of the train split only"
            )
    if not donors:
        raise InputError("copy-paste has no sample to cut cells from; expected at least one real training sample")


def read_donor_cells(donors: Sequence[Record], max_cells: int, seed: int) -> list[DonorCell]:
    """Cut cells out of the donors, an equal number of each as far as it has them.

    Cells cut by the image's border are left out, and so are those that neighbours touch on more than a tenth of their
    outline, unless an image has no other.

    Args:
        donors: real training records.
        max_cells: largest number of cells kept.
        seed: decides which.

    Raises:
        InputError: no donor has a whole cell.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, len(donors)]))
    chosen = [donors[index] for index in rng.permutation(len(donors))[:max_cells]]
    cells = [cell for record in chosen for cell in _cut(record, max_cells // len(chosen), rng)]
    if not cells:
        raise InputError(
            f"none of the {len(chosen)} training images has a cell for copy-paste that the border does not cut; "
            "take another augment=..."
        )
    return cells


def density(pixels: Image, background: Triple) -> Triple:
    """Optical density relative to a background: the log of background over transmitted light, float32 of the same shape."""
    # One grey level more on both sides: black has a density, too.
    ratio: Triple = (background + 1) / (pixels.astype(np.float32) + 1)
    return np.log(ratio)


def image_colour(image: Image, label_map: LabelMap) -> Colour:
    """Measure an image's background (median) and stain (mean density over cells) on a regular part of its pixels.

    Args:
        image: uint8 (H, W, 3).
        label_map: int32 (H, W).
    """
    background = _background(image, label_map)
    if background is None:
        # Cells everywhere: the brightest pixels are the nearest to background.
        background = np.percentile(image.reshape(-1, 3), 95, axis=0).astype(np.float32)
    step = max(1, int(np.sqrt(label_map.size / COLOUR_PIXELS)))
    inside = image[::step, ::step][label_map[::step, ::step] > 0]
    inside = inside if len(inside) else image[label_map > 0]
    return Colour(background, density(inside, background).mean(0) if len(inside) else None)


def _background(image: Image, label_map: LabelMap) -> Triple | None:
    """Median colour of what is background beyond doubt; None if that is hardly anything."""
    near_cells = cv2.dilate((label_map > 0).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=GUARD)
    step = max(1, int(np.sqrt(label_map.size / COLOUR_PIXELS)))
    pixels = image[::step, ::step][near_cells[::step, ::step] == 0]
    return np.median(pixels, axis=0).astype(np.float32) if len(pixels) >= MIN_BACKGROUND else None


def _cut(record: Record, count: int, rng: np.random.Generator) -> list[DonorCell]:
    """Cut up to `count` cells out of one image."""
    image, label_map = read_image(record.image_path), read_label_map(record.label_path)
    height, width = label_map.shape
    boxes = {
        cell: (rows, columns)
        for cell, (rows, columns) in enumerate(find_objects(label_map), start=1)
        if rows.start > 0 and columns.start > 0 and rows.stop < height and columns.stop < width
    }
    drawn = [int(cell) for cell in rng.permutation(np.array(list(boxes), dtype=np.int64))]
    free = [cell for cell in drawn if _contact(label_map, boxes[cell], cell) <= MAX_CONTACT]
    colour = image_colour(image, label_map)
    if colour.stain is None:
        return []
    cells = []
    for cell in (free or drawn)[:count]:
        window = _widen(boxes[cell], MARGIN)
        ids = label_map[window]
        labels = np.where(ids == cell, 1, np.where(ids > 0, 2, 0)).astype(np.uint8)
        around = _widen(boxes[cell], 3 * MARGIN)
        background = _background(image[around], label_map[around])
        background = colour.background if background is None else background
        # A copy: a view would keep the whole image in memory.
        cells.append(DonorCell(image[window].copy(), labels, background, colour.stain, record.sample_id))
    return cells


def _contact(label_map: LabelMap, box: Box, cell: int) -> float:
    """Share of the pixels up to two away from a cell that belong to other cells."""
    ids = label_map[_widen(box, 2)]
    near = cv2.dilate((ids == cell).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    ring = near & (ids != cell)
    return float((ids[ring] > 0).mean())


def _widen(box: Box, margin: int) -> Box:
    rows, columns = (slice(max(0, side.start - margin), side.stop + margin) for side in box)
    return rows, columns
