"""`StructureBank`: new structure maps for new masks, cut from real ones (the input that S4 leaves open)."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks import structure_kernels as kernels
from rbc_lightning.masks.archive import read_arrays, write_arrays
from rbc_lightning.masks.measure import check_label_map
from rbc_lightning.masks.sampler import SampledMask
from rbc_lightning.masks.structure_crops import CELL, DARK, DIRECTIONS, Crops, measure_stretch
from rbc_lightning.masks.structure_cuts import Cutter, first_bytes, first_pixels
from rbc_lightning.masks.structure_kernels import Images
from rbc_lightning.masks.structure_matching import Maps, borrowed_maps, pose_maps

FORMAT_VERSION = 1
FIELDS = ("codes", "sizes", "centers", "moments", "free", "dark", "image_sizes", "seam_share")
# Images drawn to fill the background: if a fifth of them is free, this leaves one pixel in a million.
_MAX_DRAWS = 64
# Sets the draws for a structure map apart from those for a mask of the same seed.
_STREAM = 4
_NO_STRETCH = np.empty((0, DIRECTIONS))

Seed = int | np.random.SeedSequence


@dataclass(frozen=True)
class StructureBank:
    """The structure map of every shape of a `ShapeBank`, and of the background of the images they come from.

    A structure map is binary, dark = 1 (S4 section 3).

    Args:
        crops: a shape each, with the pixels around it.
        moments: float64 (n_shapes, 6), see `structure_cuts.shape_moments`.
        images: an image each that has free background.
        seam_share: of the background between dark cells that touch or nearly do, the dark share.

    Raises:
        ValueError: the arrays do not fit together.
    """

    crops: Crops
    moments: NDArray[np.float64]
    images: Images
    seam_share: float

    def __post_init__(self) -> None:
        lengths = len(self.crops.sizes), len(self.crops.centers), len(self.moments)
        if len(set(lengths)) > 1:
            raise ValueError(f"expected a size, a centre and moments for every shape, got {lengths}")
        pixels, n_bytes = int(first_pixels(self.crops.sizes)[-1]), int(first_bytes(self.images.sizes)[-1])
        found = len(self.crops.codes), len(self.images.free), len(self.images.dark)
        if found != (pixels, n_bytes, n_bytes):
            raise ValueError(f"expected {pixels} pixels of crops and {n_bytes} bytes of either plane of images, got {found}")

    @classmethod
    def from_samples(
        cls, samples: Iterable[tuple[NDArray[np.integer], NDArray[np.integer] | NDArray[np.bool_]]], free_standing: bool
    ) -> "StructureBank":
        """Cut up label maps and their structure maps; shape i is shape i of `ShapeBank.from_label_maps`.

        Args:
            samples: pairs of an integer (H, W) label map, 0 = background, and a structure map of the same size, bool or 0
                and 1, dark = 1; in the order in which the shape bank got the label maps.
            free_standing: as for the shape bank.

        Returns:
            The bank; it may hold no shape or no background, see `render`.

        Raises:
            TypeError: a label map is not of an integer type.
            ValueError: the two of a pair differ in size, or a structure map is not binary.
        """
        cutter = Cutter(free_standing)
        for label_map, structure in samples:
            cutter.add(label_map, structure)
        return cls(*cutter.parts())

    def __len__(self) -> int:
        return len(self.moments)

    def mask(self, index: int) -> NDArray[np.bool_]:
        """The shape of a crop, cropped to it, as `ShapeBank.mask` gives it: bool (h, w)."""
        shape = self._codes(index) & CELL > 0
        rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
        return shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    def crop(self, index: int) -> NDArray[np.bool_]:
        """The structure of a shape and of the background beside it: bool (h, w), the shape with a margin of one pixel."""
        return self._codes(index) & DARK > 0

    def render(self, mask: SampledMask, seed: Seed) -> NDArray[np.uint8]:
        """Draw the structure map of a sampled mask.

        Every pixel of a cell takes the structure of its shape, turned, flipped and scaled as the shape was. Background
        comes from real background: an image at random, shifted and mirrored, and further ones where that shows a cell or its
        surroundings. A bank without any free background leaves it 0. A line of background between two cells is dark where
        they are, as often as in the real maps.

        Args:
            mask: a mask sampled from the shape bank over the same label maps.
            seed: any integer >= 0, or a seed sequence; decides the background and the lines between cells.

        Returns:
            uint8 (H, W), dark = 1.

        Raises:
            ValueError: the mask has shapes that this bank lacks, arrays of different lengths, a pose that cannot be
                inverted, or a negative seed.
        """
        n = int(mask.label_map.max(initial=0))
        lengths = len(mask.centers), len(mask.poses), len(mask.shape_index)
        if min(lengths) < n:
            raise ValueError(f"expected a centre, a pose and a shape for each of {n} labels, got {lengths}")
        shapes = mask.shape_index.astype(np.int64)
        if len(shapes) and not 0 <= shapes.min() <= shapes.max() < len(self):
            raise ValueError(
                f"the mask has shapes {shapes.min()} to {shapes.max()}, the structure bank {len(self)} of them; expected a "
                "bank made from the same label maps, with the same free_standing, as the mask's shape bank"
            )
        maps = pose_maps(mask.centers, mask.poses)
        return self._paint(check_label_map(mask.label_map), shapes, maps, _NO_STRETCH, _generator(seed))

    def dress(self, label_map: NDArray[np.integer], seed: Seed) -> NDArray[np.uint8]:
        """Draw a structure map for any label map: each cell borrows the crop of a shape of similar size.

        The ellipse of inertia of the shape is laid on the cell's, round cells turned at random; the rest is as in `render`.

        Args:
            label_map: integer (H, W), 0 = background.
            seed: any integer >= 0, or a seed sequence.

        Returns:
            uint8 (H, W), dark = 1.

        Raises:
            TypeError: the label map is not of an integer type.
            ValueError: no label map, or one with cells for a bank without shapes; a negative seed.
        """
        labels, rng = check_label_map(label_map), _generator(seed)
        if len(self) == 0:
            if labels.any():
                raise ValueError("the structure bank has no shapes; expected one from label maps with whole cells")
            return self._paint(labels, np.empty(0, np.int64), np.empty((0, 2, 3)), _NO_STRETCH, rng)
        crop_of, maps = borrowed_maps(labels, self.moments, self.crops.centers, rng)
        stretch = measure_stretch(labels, crop_of, maps, self.crops)
        return self._paint(labels, crop_of, maps, stretch, rng)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the bank as a compressed .npz file, atomically; its folder must exist."""
        crops, images = self.crops, self.images
        parts = (crops.codes, crops.sizes, crops.centers, self.moments, images.free, images.dark, images.sizes, self.seam_share)
        write_arrays(Path(path), FORMAT_VERSION, {name: np.asarray(part) for name, part in zip(FIELDS, parts, strict=True)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "StructureBank":
        """Read a bank that `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a structure bank of this version.
        """
        arrays = read_arrays(Path(path), FORMAT_VERSION, FIELDS, "structure bank", "StructureBank.from_samples")
        codes, sizes, centers, moments, free, dark, image_sizes, seam_share = (arrays[field] for field in FIELDS)
        crops = Crops(codes, first_pixels(sizes)[:-1], sizes, centers)
        return cls(crops, moments, Images(free, dark, first_bytes(image_sizes)[:-1], image_sizes), float(seam_share))

    def _paint(
        self,
        labels: NDArray[np.int32],
        crop_of: NDArray[np.int64],
        maps: Maps,
        stretch: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """Paint cells, then what lies beside them, then the rest."""
        structure = np.zeros(labels.shape, np.uint8)
        holes = np.empty(labels.size, np.int32)
        source = (crop_of, maps, stretch, self.crops)
        kernels.paint_cells(labels, *source, structure)
        n = kernels.paint_edges(labels, *source, rng.random(len(crop_of)), self.seam_share, structure, holes)
        for _ in range(_MAX_DRAWS if len(self.images.sizes) else 0):
            if n == 0:
                break
            image = int(rng.integers(len(self.images.sizes)))
            height, width = self.images.sizes[image].tolist()
            rows, columns = _mirrored(rng, labels.shape[0], height), _mirrored(rng, labels.shape[1], width)
            n = kernels.fill_holes(holes, n, rows, columns, image, self.images, structure)
        return np.minimum(structure, 1, out=structure)

    def _codes(self, index: int) -> NDArray[np.uint8]:
        height, width = self.crops.sizes[index].tolist()
        return self.crops.codes[self.crops.starts[index] :][: height * width].reshape(height, width)


def _generator(seed: Seed) -> np.random.Generator:
    """A stream of its own, so that a mask and its structure may share a seed."""
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    return np.random.default_rng(np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, _STREAM)))


def _mirrored(rng: np.random.Generator, length: int, source: int) -> NDArray[np.int64]:
    """Positions 0..source-1 for 0..length-1: a random start, to and fro, so that nothing is cut at the ends."""
    place = (np.arange(length) + rng.integers(2 * source)) % (2 * source)
    return np.asarray(np.minimum(place, 2 * source - 1 - place), np.int64)
