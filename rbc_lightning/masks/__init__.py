"""Cell shapes, layouts and the mask sampler of S3 section 4.1: NumPy and Numba only."""

from rbc_lightning.masks.adhesion import adhesion_map
from rbc_lightning.masks.layout import LayoutStatistics
from rbc_lightning.masks.sampler import MaskSampler, SampledMask
from rbc_lightning.masks.shapes import ShapeBank

__all__ = ["LayoutStatistics", "MaskSampler", "SampledMask", "ShapeBank", "adhesion_map"]
