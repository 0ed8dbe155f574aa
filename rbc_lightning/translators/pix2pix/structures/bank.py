"""`StructureBank`: new structure maps for new masks, cut from real ones (Allender et al. leave open where they come from)."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.files import read_arrays, write_arrays
from rbc_lightning.core.seeds import Seed, afresh
from rbc_lightning.masks.bank.measure import check_label_map
from rbc_lightning.masks.sampler.sampled import SampledMask
from rbc_lightning.translators.pix2pix.structures import kernels
from rbc_lightning.translators.pix2pix.structures.crops import DIRECTIONS, Bytes, Crops, Floats, Ints, Labels, measure_stretch
from rbc_lightning.translators.pix2pix.structures.cuts import cut, first_bytes, first_pixels
from rbc_lightning.translators.pix2pix.structures.kernels import Images
from rbc_lightning.translators.pix2pix.structures.matching import borrowed_maps, pose_maps

FORMAT_VERSION = 1
FIELDS = ("codes", "sizes", "centers", "moments", "free", "dark", "image_sizes", "seam_share")
# Images drawn to fill the background: if a fifth of them is free, this leaves one pixel in a million.
_MAX_DRAWS = 64
# Sets the draws for a structure map apart from those for a mask of the same seed.
_STREAM = 4
_NO_STRETCH = np.empty((0, DIRECTIONS))


@dataclass(frozen=True)
class StructureBank:
    """The structure map of every shape of a `ShapeBank`, and of the background of the images they come from.

    A structure map is binary, 1 where the image is dark (Allender et al., Sec. 3); of bright objects, where it is bright.

    Args:
        crops: a shape each, with the pixels around it.
        moments: float64 (n_shapes, 6), see `cuts.shape_moments`.
        images: an image each that has free background.
        seam_share: of the background between dark cells that touch or nearly do, the dark share.

    Raises:
        ValueError: the arrays do not fit together.
    """

    crops: Crops
    moments: Floats
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

        Raises:
            TypeError: a label map is not of an integer type.
            ValueError: the two of a pair differ in size, or a structure map is not binary.
        """
        return cls(*cut(samples, free_standing))

    def __len__(self) -> int:
        return len(self.moments)

    def render(self, mask: SampledMask, seed: Seed) -> Bytes:
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
            ValueError: the mask does not go with this bank, a pose cannot be inverted, or the seed is negative.
        """
        if mask.poses is None or mask.shape_index is None:
            raise ValueError("the mask does not say which shapes its cells are copies of; expected one from the mask sampler")
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

    def borrow_structures(self, label_map: NDArray[np.integer], seed: Seed) -> Bytes:
        """Draw a structure map for any label map: each cell borrows the crop of a shape of similar size.

        The ellipse of inertia of the shape is laid on the cell's, round cells turned at random; the rest is as in `render`. A
        `ValueError` refuses cells for a bank without shapes.
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
        write_arrays(Path(path), {name: np.asarray(part) for name, part in zip(FIELDS, parts, strict=True)}, FORMAT_VERSION)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "StructureBank":
        """Read a bank that `save` wrote; raises as `core.files.read_arrays`."""
        arrays = read_arrays(Path(path), FORMAT_VERSION, FIELDS, "structure bank", "StructureBank.from_samples")
        codes, sizes, centers, moments, free, dark, image_sizes, seam_share = (arrays[field] for field in FIELDS)
        crops = Crops(codes, first_pixels(sizes)[:-1], sizes, centers)
        return cls(crops, moments, Images(free, dark, first_bytes(image_sizes)[:-1], image_sizes), float(seam_share))

    def _paint(self, labels: Labels, crop_of: Ints, maps: Floats, stretch: Floats, rng: np.random.Generator) -> Bytes:
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


def _generator(seed: Seed) -> np.random.Generator:
    """A stream of its own, so that a mask and its structure may share a seed."""
    root = afresh(seed)
    return np.random.default_rng(np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, _STREAM)))


def _mirrored(rng: np.random.Generator, length: int, source: int) -> Ints:
    """Positions 0..source-1 for 0..length-1: a random start, to and fro, so that nothing is cut at the ends."""
    place = (np.arange(length) + rng.integers(2 * source)) % (2 * source)
    return np.asarray(np.minimum(place, 2 * source - 1 - place), np.int64)
