"""What is measured of one pair, real or generated; all comparisons are made from these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.files import write_arrays
from rbc_lightning.data.conversions import to_levels
from rbc_lightning.data.spec import Image, ImageSpec, LabelMap
from rbc_lightning.evaluation.fcn_score import view
from rbc_lightning.evaluation.pair_quality.patches import Patches, cells_of, find_patches
from rbc_lightning.evaluation.realism import cell_crops
from rbc_lightning.metrics.label_maps import Overlap, overlap
from rbc_lightning.segmenters.segmentation import SegmentationTask

SIDE = 64
"""Pixels along both sides of the small images that are compared as wholes."""

Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class MeasuredPair:
    """One pair.

    Attributes:
        shape: height and width, int64 (2,).
        mask: where something is labelled, packed bits.
        found: where the FCN-score network finds something, packed bits; empty where it was not asked.
        small: the image averaged over areas, float32 (`SIDE`, `SIDE`, C), grey levels.
        crops: of its cells or patches, see `cell_crops`, float32 (n, 16, 16, C).
        patches: float64 (4, m), the rows of `Patches`.
    """

    shape: NDArray[np.int64]
    mask: Bits
    found: Bits
    small: NDArray[np.float32]
    crops: NDArray[np.float32]
    patches: NDArray[np.float64]

    @property
    def table(self) -> Patches:
        """Its patches."""
        return Patches(*self.patches)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is labelled."""
        return not self.mask.any()

    def agreement(self, other: MeasuredPair | None = None) -> Overlap:
        """What the network finds in its image against its own mask, or against another pair's of the same size."""
        return overlap(self._unpack(self.found), self._unpack((other or self).mask))

    def mask_distance(self, other: MeasuredPair) -> float:
        """1 - Dice of two masks of the same size over what unrelated masks so large have: 0 = the same, 1 = unrelated."""
        both = overlap(self._unpack(self.mask), self._unpack(other.mask))
        # So many pixels of two masks fall together by chance: the product of their sizes over all pixels.
        by_chance = 2 * both.prediction * both.target / int(self.shape.prod())
        unlike = 1 - by_chance / max(1, both.prediction + both.target)
        return (1 - both.dice) / unlike if unlike > 0 else 0.0

    def save(self, path: Path) -> None:
        """Write it, atomically."""
        write_arrays(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> MeasuredPair:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**arrays)

    def _unpack(self, bits: Bits) -> NDArray[np.bool_]:
        height, width = self.shape
        return np.unpackbits(bits, count=height * width).reshape(height, width).astype(np.bool_)


def measure_pair(image: Image, label_map: LabelMap, spec: ImageSpec, network: SegmentationTask | None = None) -> MeasuredPair:
    """Measure an image (H, W, C) with its label map (H, W), context in it or not; `network` is an `FcnScoreNetwork`'s."""
    found: NDArray[Any] = np.zeros(0, dtype=np.bool_)
    if network is not None:
        found = view(network, image, spec).probability > network.threshold
    small = cv2.resize(to_levels(image, spec), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    cells = cells_of(label_map, spec)
    return MeasuredPair(
        shape=np.array(label_map.shape, dtype=np.int64),
        mask=np.packbits(cells > 0),
        found=np.packbits(found),
        # OpenCV drops the axis of a single channel.
        small=small.reshape(SIDE, SIDE, -1).astype(np.float32),
        crops=cell_crops(image, cells),
        patches=np.stack(find_patches(image, label_map, spec)).astype(np.float64),
    )


def smalls(pairs: Sequence[MeasuredPair]) -> NDArray[np.float32]:
    """The small images of pairs, float32 (n, `SIDE`, `SIDE`, C)."""
    return np.stack([pair.small for pair in pairs])
