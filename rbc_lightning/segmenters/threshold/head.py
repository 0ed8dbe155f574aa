"""The inside of a head in a slice, from the slice alone: where a threshold that knows nothing else may look for lesions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

DEPTH = 0.3
"""Width of the rim over the radius of a disc of the head's area, 27 of 90 mm: scalp, skull, fluid, and cortex at its folds."""


def inner_head(image: NDArray[np.floating], standard: Sequence[float]) -> NDArray[np.bool_]:
    """The largest body in front of the air, its holes filled, without its rim.

    Scalp is brighter than any lesion in FLAIR and T1, so that without this no threshold finds lesions. Nothing is learnt, and
    eyes, muscles and meninges stay where they lie deep enough.

    Args:
        image: (C, H, W) in [0, 1].
        standard: mean and deviation of the brain, as `ImageSpec.standard`.

    Returns:
        bool (H, W).
    """
    grey = image.mean(axis=0)
    # Half-way between air, the darkest there is, and brain.
    body = ndimage.binary_fill_holes(grey > (grey.min() + standard[0]) / 2)
    patches, count = ndimage.label(body)
    if not count:
        return np.zeros(grey.shape, np.bool_)
    head = patches == 1 + np.bincount(patches.ravel())[1:].argmax()
    depth = ndimage.distance_transform_edt(np.pad(head, 1))[1:-1, 1:-1]
    return np.asarray(depth > DEPTH * np.sqrt(head.sum() / np.pi))
