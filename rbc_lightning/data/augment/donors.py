"""Real cells cut out of training images, with the colours of their surroundings: what copy-paste pastes."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from rbc_lightning.data.conversions import to_levels
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.spec import RGB, Image, ImageSpec, LabelMap
from rbc_lightning.errors import InputError

MARGIN = 6  # pixels around a cell that are cut out with it: room for its soft edge, and for the background it stands on
GUARD = 3  # pixels next to a cell that are not taken for background: its blurred edge, and the ring of defocus
MAX_CONTACT = 0.1  # largest share of a cell's surroundings that other cells may take: a neighbour hides part of its outline
MIN_BACKGROUND = 50  # pixels from which a background colour is measured; with fewer the whole image's stands in
COLOUR_PIXELS = 2**17  # about so many pixels of an image are looked at for its colours

Colours = NDArray[np.float32]
"""Values of all channels, in grey levels of 1/255 of the value range or as densities, float32 (..., C)."""
Box = tuple[slice, slice]


@dataclass(frozen=True)
class Colour:
    """Colours of an image: `background` (C,) in grey levels; `stain` (C,), mean density of its cells, if any."""

    background: Colours
    stain: Colours | None


@dataclass(frozen=True)
class DonorCell:
    """A cell cut out of its image."""

    pixels: Image  # (h, w, C), as in its image
    labels: NDArray[np.uint8]  # (h, w): 1 the cell, 2 other cells, 0 background
    background: Colours  # of the background around it, (C,), grey levels
    stain: Colours  # mean density of the cells of its image, (C,)
    sample_id: str  # the image's


def read_donor_cells(donors: Sequence[Sample], max_cells: int, seed: int) -> list[DonorCell]:
    """Cut up to `max_cells` cells out of the donors, an equal number of each as far as it has them; the seed decides which.

    Cells cut by the image's border are left out, and so are those that neighbours touch on more than a tenth of their
    outline, unless an image has no other. An `InputError` refuses a donor that is no real training sample with instances,
    no donor at all, and donors without a whole cell.
    """
    for sample in donors:
        if sample.split != "train" or sample.origin != "real":
            raise InputError(
                f"copy-paste would cut cells from {sample.sample_id!r} ({sample.origin}, split {sample.split!r}); expected "
                "real samples of the train split only"
            )
        if sample.spec.labels != "instances":
            raise InputError(
                f"copy-paste cuts out single cells, and the label map of {sample.sample_id!r} holds {sample.spec.labels}; "
                "expected instances: take another augment=..."
            )
    if not donors:
        raise InputError("copy-paste has no sample to cut cells from; expected at least one real training sample")
    rng = np.random.default_rng(np.random.SeedSequence([seed, len(donors)]))
    chosen = [donors[index] for index in rng.permutation(len(donors))[:max_cells]]
    cells = [cell for sample in chosen for cell in _cut(sample, max_cells // len(chosen), rng)]
    if not cells:
        raise InputError(
            f"none of the {len(chosen)} training images has a cell for copy-paste that the border does not cut; "
            "take another augment=..."
        )
    return cells


def density(pixels: Image, background: Colours, spec: ImageSpec = RGB) -> Colours:
    """How far pixels are from a background, float32 of the same shape: the log of the ratio, positive in cells.

    For dark objects this is the optical density, background over transmitted light; for bright ones light over background.
    """
    # One grey level more on both sides: black has a density, too.
    ratio: Colours = (background + 1) / (to_levels(pixels, spec) + 1)
    return np.log(ratio) if spec.objects == "dark" else -np.log(ratio)


def image_colour(image: Image, label_map: LabelMap, spec: ImageSpec = RGB) -> Colour:
    """Measure an image's background (median) and stain (mean density over cells) on a regular part of its pixels."""
    background = _background(image, label_map, spec)
    if background is None:
        # Cells everywhere: the pixels least like cells are the nearest to background.
        least = np.percentile(image.reshape(-1, image.shape[2]), 95 if spec.objects == "dark" else 5, axis=0)
        background = to_levels(least, spec)
    step = max(1, int(np.sqrt(label_map.size / COLOUR_PIXELS)))
    inside = image[::step, ::step][label_map[::step, ::step] > 0]
    inside = inside if len(inside) else image[label_map > 0]
    return Colour(background, density(inside, background, spec).mean(0) if len(inside) else None)


def _background(image: Image, label_map: LabelMap, spec: ImageSpec) -> Colours | None:
    """Median colour of what is background beyond doubt; None if that is hardly anything."""
    near_cells = cv2.dilate((label_map > 0).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=GUARD)
    step = max(1, int(np.sqrt(label_map.size / COLOUR_PIXELS)))
    pixels = image[::step, ::step][near_cells[::step, ::step] == 0]
    return to_levels(np.median(pixels, axis=0), spec) if len(pixels) >= MIN_BACKGROUND else None


def _cut(sample: Sample, count: int, rng: np.random.Generator) -> list[DonorCell]:
    """Cut up to `count` cells out of one image."""
    image, label_map = sample.load_image(), sample.load_label_map()
    height, width = label_map.shape
    boxes = {
        cell: (rows, columns)
        for cell, (rows, columns) in enumerate(find_objects(label_map), start=1)
        if rows.start > 0 and columns.start > 0 and rows.stop < height and columns.stop < width
    }
    drawn = [int(cell) for cell in rng.permutation(np.array(list(boxes), dtype=np.int64))]
    free = [cell for cell in drawn if _contact(label_map, boxes[cell], cell) <= MAX_CONTACT]
    colour = image_colour(image, label_map, sample.spec)
    if colour.stain is None:
        return []
    cells = []
    for cell in (free or drawn)[:count]:
        window = _widen(boxes[cell], MARGIN)
        ids = label_map[window]
        labels = np.where(ids == cell, 1, np.where(ids > 0, 2, 0)).astype(np.uint8)
        around = _widen(boxes[cell], 3 * MARGIN)
        background = _background(image[around], label_map[around], sample.spec)
        background = colour.background if background is None else background
        # A copy: a view would keep the whole image in memory.
        cells.append(DonorCell(image[window].copy(), labels, background, colour.stain, sample.sample_id))
    return cells


def _contact(label_map: LabelMap, box: Box, cell: int) -> float:
    """Share of the pixels up to two away from a cell that belong to other cells."""
    ids = label_map[_widen(box, 2)]
    near = cv2.dilate((ids == cell).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return float((ids[near & (ids != cell)] > 0).mean())


def _widen(box: Box, margin: int) -> Box:
    rows, columns = (slice(max(0, side.start - margin), side.stop + margin) for side in box)
    return rows, columns
