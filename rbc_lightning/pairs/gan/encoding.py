"""A pair of image and label map as one array, and back (a channel for each of both, as Bowles et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from skimage.measure import label as connected_components
from skimage.segmentation import watershed
from torch import Tensor

from rbc_lightning.core.labels import instance_edges
from rbc_lightning.data.conversions import from_unit
from rbc_lightning.data.spec import Image, ImageSpec, LabelMap


@dataclass(frozen=True)
class PairCode:
    """How a pair becomes float32 (C, S, S) in [-1, 1]: the channels of the image, then those of the mask.

    The image's value range becomes [-1, 1] whole: of standardised scans z-scores as they are stored, nothing is cut. Of data
    of classes each class has a channel, -1 or 1. Cells have one for all of them, and come back as its connected patches.

    Args:
        spec: of image and label map.
        contour: of cells, one more channel with the two outermost pixels of each, by which touching ones come apart.
    """

    spec: ImageSpec
    contour: bool = False

    def __post_init__(self) -> None:
        if self.contour and self.spec.labels == "classes":
            raise ValueError("contour=true parts cells that touch, and these label maps hold classes; take contour=false")

    @property
    def n_masks(self) -> int:
        """Channels that say what is labelled, without contours."""
        return len(self.spec.class_names) or 1

    @property
    def channels(self) -> int:
        """Channels of a pair."""
        return self.spec.n_channels + self.n_masks + self.contour

    def encode(self, image: Tensor, label_map: Tensor) -> Tensor:
        """Pairs float32 (B, channels, H, W) of images (B, C, H, W) in [0, 1] and label maps int64 (B, H, W)."""
        names = self.spec.class_names
        masks = [label_map == value for value in range(1, len(names) + 1)] if names else [label_map > 0]
        if self.contour:
            # Marked on both sides of a border: inside the cell a line of one pixel, made two pixels wide.
            wide = F.max_pool2d(instance_edges(label_map).float()[:, None], 3, 1, 1)[:, 0]
            masks.append((wide > 0) & (label_map > 0))
        return torch.cat((image.float(), torch.stack(masks, dim=1).float()), dim=1) * 2 - 1

    def labelled(self, pairs: Tensor) -> Tensor:
        """Where pairs (B, channels, H, W) show something labelled, bool (B, H, W)."""
        first = self.spec.n_channels
        return (pairs[:, first : first + self.n_masks] > 0).any(dim=1)

    def decode(self, pair: NDArray[np.floating], speck: int = 0) -> tuple[Image, LabelMap]:
        """Image (H, W, C) of the spec's range and type, and label map int32 (H, W), of a pair (channels, H, W).

        A mask is where its channel is above 0; of several classes the largest one counts.

        Args:
            pair: as `encode` makes them.
            speck: 8-connected patches of a class, and cells, of fewer pixels are left out.
        """
        first = self.spec.n_channels
        image = from_unit((pair[:first].transpose(1, 2, 0) + 1) / 2, self.spec)
        masks = pair[first : first + self.n_masks]
        classes = np.where(masks.max(axis=0) > 0, masks.argmax(axis=0) + 1, 0).astype(np.int32)
        if self.spec.labels == "classes":
            patches = connected_components(classes, background=0, connectivity=2)
            return image, np.where(_large(patches, speck), classes, np.int32(0))
        cells = _parted(classes > 0, pair[-1] > 0) if self.contour else connected_components(classes, connectivity=2)
        _, ids = np.unique(np.where(_large(cells, speck), cells, 0), return_inverse=True)
        # Numbered from 0, which is background where there is any.
        ids = ids.reshape(cells.shape) + int(not (cells == 0).any())
        return image, ids.astype(np.int32)


def _large(patches: NDArray[np.integer], least: int) -> NDArray[np.bool_]:
    """Where patches, numbered from 1, have at least so many pixels; True on the background."""
    large = np.bincount(patches.ravel()) >= least
    large[0] = True
    return np.asarray(large[patches])


def _parted(mask: NDArray[np.bool_], contour: NDArray[np.bool_]) -> NDArray[np.integer]:
    """Cells of a mask whose inner parts contours separate: each pixel belongs to the nearest inner part of its patch."""
    cores = connected_components(mask & ~contour, connectivity=1)
    cells = watershed(np.zeros(mask.shape), cores, mask=mask)
    # A cell that is contour alone.
    thin = connected_components(mask & (cells == 0), connectivity=2)
    return np.asarray(np.where(thin > 0, thin + cells.max(initial=0), cells))
