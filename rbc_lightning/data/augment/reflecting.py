"""Transforms that bring mirror images of cells into the frame, and tell where.

What comes in from outside the frame is the reflected smear. Of the masks that these transforms move, a label map is int32,
and the numbers of mirror images (0: the true image) are uint8.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

# See `data.augment.transforms`.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations as A


def _mark_mirrored(moved: NDArray[np.uint8], rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.uint8]:
    """Number the mirror images that a transform brought into the frame.

    Args:
        moved: what an earlier transform numbered, moved by this one.
        rows: where each pixel lay before, in pixels; what lies outside of the frame was reflected.
        columns: likewise.
    """
    height, width = moved.shape
    row, column = (np.clip(np.floor((place + 0.5) / side), -1, 1) for place, side in ((rows, height), (columns, width)))
    # Nine places, the frame itself being 0; two transforms bring 81.
    return np.asarray(9 * moved + (3 * row + column).astype(np.int64) % 9, dtype=np.uint8)


class ReflectingAffine(A.Affine):  # type: ignore[misc]  # albumentations has no types
    """Scale, turn, shear or shift."""

    def apply_to_mask(self, mask: NDArray[Any], matrix: NDArray[Any], **params: Any) -> NDArray[Any]:  # noqa: ANN401
        """Move it, and number what came in from outside the frame."""
        moved: NDArray[Any] = super().apply_to_mask(mask, matrix=matrix, **params)
        if mask.dtype != np.uint8:
            return moved
        columns, rows = np.meshgrid(np.arange(moved.shape[1]), np.arange(moved.shape[0]))
        back = np.linalg.inv(np.vstack([matrix[:2], [0, 0, 1]]))
        before = (back[row, 0] * columns + back[row, 1] * rows + back[row, 2] for row in (1, 0))
        return _mark_mirrored(moved, *before)


class ReflectingElastic(A.ElasticTransform):  # type: ignore[misc]  # albumentations has no types
    """Bend."""

    def apply_to_mask(self, mask: NDArray[Any], map_x: NDArray[Any], map_y: NDArray[Any], **params: Any) -> NDArray[Any]:  # noqa: ANN401
        """Bend it, and number what came in from outside the frame."""
        moved: NDArray[Any] = super().apply_to_mask(mask, map_x=map_x, map_y=map_y, **params)
        return moved if mask.dtype != np.uint8 else _mark_mirrored(moved, map_y, map_x)


REFLECTING = (ReflectingAffine, ReflectingElastic)
