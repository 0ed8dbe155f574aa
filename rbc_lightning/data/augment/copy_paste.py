"""Copy-paste of real cells: more and other layouts without a generator, the baseline that a GAN has to beat.

The idea is that of Ghiasi et al. (2021), "Simple copy-paste is a strong data augmentation method for instance segmentation".
Red cells are transparent, so here a cell is not laid over the host image but its absorption is added to it: Beer-Lambert's
law makes both its colour and its edge fit, whatever lamp and stain the two smears had.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.augment.crops import check_pair
from rbc_lightning.data.augment.donors import Colour, Colours, DonorCell, density, image_colour, read_donor_cells
from rbc_lightning.data.conversions import from_levels, to_levels
from rbc_lightning.data.sample import Sample, common_spec
from rbc_lightning.data.spec import Image, LabelMap

PLACES_TRIED = 20  # places tried for a cell before it is given up: in a full field there is no room
STAIN_LIMITS = (0.5, 2.0)
"""Bounds of the factor, in each channel, that fits a cell's stain to the host's: farther away hues go wrong."""
LEAST_DENSITY = -0.1
"""Bright rims of defocus have a little less than none; brighter than that is stray light, and would glow on a white host."""
LEAST_STAIN = 0.02  # added to numerator and denominator of that factor, so that densities near zero do not blow it up
MAX_DEBRIS = 0.5  # share of a mean cell's density from which a place without a label is no background: a leucocyte, a parasite


@dataclass(frozen=True)
class _Stamp:
    """A donor cell turned for pasting: pixels float32 (h, w, C), soft share (h, w) in [0, 1], mask (h, w), h = w odd."""

    pixels: NDArray[np.float32]
    share: NDArray[np.float32]
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class CopyPasteSettings:
    """How cells are pasted; a `ValueError` refuses values out of their range."""

    cells: tuple[int, int] = (5, 20)  # smallest and largest number pasted in one call, both included
    max_overlap: float = 0.1  # largest share of a pasted cell that may lie on cells already there
    feather: float = 1.0  # standard deviation of the soft edge in pixels; 0 for a hard one
    # Add the cell's optical density, relative to its own surroundings, to the host's; False lays its pixels over the host's,
    # as is always done with bright objects, which give light and absorb none.
    match_background: bool = True
    match_stain: bool = True  # with it, scale the density by the ratio of the mean cell of host and donor image
    p: float = 0.5  # probability that a call pastes at all
    max_donor_cells: int = 2000  # kept, an equal share of each donor image

    def __post_init__(self) -> None:
        cells = tuple(self.cells)
        if len(cells) != 2 or any(not isinstance(n, int) for n in cells) or not 0 <= cells[0] <= cells[1] or cells[1] < 1:
            raise ValueError(f"cells must be [smallest, largest] number of cells, the largest at least 1, got {list(cells)}")
        for name, limit in (("max_overlap", 1.0), ("p", 1.0), ("feather", math.inf)):
            value = getattr(self, name)
            if not 0 <= value <= limit or math.isinf(value):
                raise ValueError(f"{name} must lie in [0, {limit:g}], got {value}")
        if self.max_donor_cells < 1:
            raise ValueError(f"max_donor_cells must be at least 1, got {self.max_donor_cells}")


class CopyPaste:
    """Pastes whole real cells of training images into a sample, each mirrored and turned by any angle.

    The donors are read once, when it is made, and refused as `read_donor_cells` says; the seed decides which cells are kept.
    """

    def __init__(self, donors: Sequence[Sample], settings: CopyPasteSettings | None = None, seed: int = 0) -> None:
        self.settings, self.spec = settings or CopyPasteSettings(), common_spec(donors)
        self.adds_density = self.settings.match_background and self.spec.objects == "dark"
        self.donors = read_donor_cells(donors, self.settings.max_donor_cells, seed)
        self._stains = np.array([donor.stain for donor in self.donors])

    def __call__(self, image: Image, label_map: LabelMap, seed: int) -> tuple[Image, LabelMap]:
        """Paste cells into copies of an image (H, W, C) and its label map int32 (H, W), 0 = background; the seed decides which.

        The ids stay as they are: where a pasted cell meets one that is there, the pixels stay with the latter, as transmitted
        light does not show which lies on top. Each pasted cell has an id above those that were there, in one piece.
        What is no pair is refused, see `check_pair`.
        """
        check_pair(image, label_map, self.spec)
        rng = np.random.default_rng(seed)
        image, label_map = image.copy(), label_map.copy()
        places = np.flatnonzero(label_map == 0)
        if rng.random() >= self.settings.p or not len(places):
            return image, label_map
        colour = image_colour(image, label_map, self.spec)
        fitting = self._fitting(colour)
        next_id = int(label_map.max()) + 1
        for _ in range(int(rng.integers(self.settings.cells[0], self.settings.cells[1] + 1))):
            stamp = self._turn(self.donors[int(rng.choice(fitting))], colour, rng)
            for place in rng.choice(places, PLACES_TRIED):
                centre = divmod(int(place), label_map.shape[1])
                if self._paste(image, label_map, stamp, centre, next_id, colour):
                    next_id += 1
                    break
        return image, label_map

    def _fitting(self, host: Colour) -> NDArray[np.intp]:
        """Which donor cells the host's stain is within reach of; all of them where none is, or where it does not matter."""
        everything = np.arange(len(self.donors))
        if host.stain is None or not (self.adds_density and self.settings.match_stain):
            return everything
        factors = _stain_factor(host.stain, self._stains)
        fitting = np.flatnonzero(((factors >= STAIN_LIMITS[0]) & (factors <= STAIN_LIMITS[1])).all(1))
        return fitting if len(fitting) else everything

    def _turn(self, donor: DonorCell, host: Colour, rng: np.random.Generator) -> _Stamp:
        """Mirror and turn a donor cell: as optical density fitted to the host's stain, or as plain pixels."""
        share, pixels = self._soft_share(donor), to_levels(donor.pixels, self.spec)
        if self.adds_density:
            pixels = np.maximum(density(donor.pixels, donor.background, self.spec), LEAST_DENSITY)
            if self.settings.match_stain and host.stain is not None:
                pixels *= np.clip(_stain_factor(host.stain, donor.stain), *STAIN_LIMITS)
        height, width = share.shape
        side = 2 * math.ceil(math.hypot(height, width) / 2) + 1
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), float(rng.uniform(0, 360)), 1.0)
        turn[:, 2] += (side - width) / 2, (side - height) / 2
        if rng.random() < 0.5:
            turn[0] = (0, 0, side - 1) - turn[0]

        def warp(values: NDArray[Any], interpolation: int, border: int = cv2.BORDER_CONSTANT) -> NDArray[np.float32]:
            turned = cv2.warpAffine(values, turn, (side, side), flags=interpolation, borderMode=border)
            # OpenCV drops the axis of a single channel.
            return np.asarray(turned, dtype=np.float32).reshape(side, side, *values.shape[2:])

        mask = warp((donor.labels == 1).astype(np.float32), cv2.INTER_LINEAR) > 0.5
        # Bilinear interpolation would smooth the camera noise of the cell away.
        return _Stamp(warp(pixels, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE), warp(share, cv2.INTER_LINEAR), mask)

    def _soft_share(self, donor: DonorCell) -> NDArray[np.float32]:
        """Share of the donor's pixels in the result (h, w): 1 in the cell, soft at its edge, 0 on the donor's other cells."""
        share: NDArray[Any] = (donor.labels == 1).astype(np.uint8)
        if self.adds_density:
            # The absorbing edge reaches a little beyond the outline, and beyond that there is nothing to add anyway.
            share = np.asarray(cv2.dilate(share, np.ones((3, 3), np.uint8), iterations=math.ceil(self.settings.feather)))
        share[donor.labels == 2] = 0
        if not self.settings.feather:
            return share.astype(np.float32)
        return np.asarray(cv2.GaussianBlur(share.astype(np.float32), (0, 0), self.settings.feather), dtype=np.float32)

    def _paste(
        self, image: Image, label_map: LabelMap, stamp: _Stamp, centre: tuple[int, int], cell: int, colour: Colour
    ) -> bool:
        """Paste in place with the stamp's centre at (row, column), if the cell fits there."""
        reach = stamp.mask.shape[0] // 2
        top, left = centre[0] - reach, centre[1] - reach
        inner = tuple(slice(max(0, -low), size - low) for low, size in zip((top, left), label_map.shape, strict=True))
        outer = tuple(slice(max(0, low), low + 2 * reach + 1) for low in (top, left))
        mask, ids = stamp.mask[inner], label_map[outer]
        visible = mask & (ids == 0)
        if not visible.any() or (mask & (ids > 0)).sum() > self.settings.max_overlap * mask.sum():
            return False
        # Background and one piece make two components; a cell cut in two by another one would be two cells.
        if cv2.connectedComponents(visible.astype(np.uint8), connectivity=4)[0] != 2:
            return False
        if colour.stain is not None:
            covered = density(image[outer][visible], colour.background, self.spec).mean()
            if covered > MAX_DEBRIS * colour.stain.mean():
                return False
        share, pixels, host = stamp.share[inner][..., None], stamp.pixels[inner], to_levels(image[outer], self.spec)
        if self.adds_density:
            mixed = (host + 1) * np.exp(-share * pixels) - 1
        else:
            share = share * (ids == 0)[..., None]
            mixed = share * pixels + (1 - share) * host
        image[outer] = from_levels(mixed, self.spec)
        ids[visible] = cell
        return True


def _stain_factor(host: Colours, donor: Colours) -> Colours:
    """Factor on a donor's density that gives its mean cell the density of the host's, for each channel."""
    return np.asarray((host + LEAST_STAIN) / (donor + LEAST_STAIN))
