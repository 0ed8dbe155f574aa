"""A threshold as a model: tested as every other, trained on nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from rbc_lightning.metrics.instances import Instances
from rbc_lightning.metrics.registry import Metric
from rbc_lightning.segmenters.base import BaseTask
from rbc_lightning.segmenters.illumination import Objects
from rbc_lightning.segmenters.threshold.cells import find_cells

LEAST_AREA, LARGEST_HOLE = 0.05, 0.5
"""Shares of a mean cell's area: a smaller patch is no cell, a larger hole is ground that a ring of cells surrounds."""
SPLIT = 0.25
"""Least distance between the middles of two touching cells, over the diameter of a cell."""


class UntrainedTask(BaseTask):
    """A task without a network: the `net` it is given is not called, and it is tested as it is built."""

    monitor = "val/dice"
    validated = ("dice",)
    learns: ClassVar[bool] = False
    finds: str | None = None
    """The one of several classes that it finds; None where it finds all there is."""


class ThresholdTask(UntrainedTask):
    """Finds cells by a background-corrected threshold and a watershed, see `find_cells`: what a data set gives for nothing.

    Nothing is fitted. Sizes that are None follow from the mean diameter of the training cells.
    Images are searched whole whatever `tile` says: one channel at a time in single precision needs little memory.
    A ValueError refuses arguments out of range.

    Args:
        cell_size: Mean diameter of a cell, pixels.
        background_sigma: Of the Gaussian that smooths the background, pixels; None: the cell size.
        max_hole_area: Largest hole that is filled, pixels; None: half a mean cell's area.
        min_area: Smallest patch that is a cell, pixels; None: a twentieth of a mean cell's area.
        split_distance: Least distance between the middles of two touching cells, pixels; None: a quarter of the cell size.
        net, metrics, objects: See `UntrainedTask` and `BaseTask`.
    """

    def __init__(
        self,
        net: nn.Module,
        cell_size: float | None = None,
        background_sigma: float | None = None,
        max_hole_area: int | None = None,
        min_area: int | None = None,
        split_distance: float | None = None,
        metrics: Mapping[str, Metric] | None = None,
        objects: Objects = "dark",
    ) -> None:
        super().__init__(net, metrics=metrics, objects=objects)
        given = {
            "background_sigma": background_sigma,
            "max_hole_area": max_hole_area,
            "min_area": min_area,
            "split_distance": split_distance,
        }
        for name, value in {"cell_size": cell_size, **given}.items():
            # No hole and no speck need be too small.
            if value is not None and not (value > 0 or (name.endswith("area") and value == 0)):
                raise ValueError(f"{name} must be a positive number of pixels or None, got {value}.")
        unknown = [name for name, value in given.items() if value is None]
        if unknown and cell_size is None:
            raise ValueError(f"{unknown[0]} needs a number of pixels, or cell_size to follow from; both are None.")
        size = cell_size or 0.0
        area = np.pi / 4 * size**2
        self.background_sigma = size if background_sigma is None else background_sigma
        self.max_hole_area = round(LARGEST_HOLE * area) if max_hole_area is None else max_hole_area
        self.min_area = round(LEAST_AREA * area) if min_area is None else min_area
        self.split_distance = SPLIT * size if split_distance is None else split_distance

    def predict_instances(self, image: Tensor) -> Instances:
        """Cells of one image, float (C, H, W) in [0, 1], with their label map."""
        return find_cells(
            image.detach().float().cpu().numpy().transpose(1, 2, 0),
            objects=self.objects,
            background_sigma=self.background_sigma,
            max_hole_area=self.max_hole_area,
            min_area=self.min_area,
            split_distance=self.split_distance,
        )
