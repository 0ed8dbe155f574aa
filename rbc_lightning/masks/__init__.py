"""Cell shapes, layouts and the mask sampler of S3 section 4.1: NumPy, Numba and SciPy only."""

from rbc_lightning.masks.adhesion import adhesion_map
from rbc_lightning.masks.card import LayoutCard, layout_card
from rbc_lightning.masks.density import CountModel, SizeModel
from rbc_lightning.masks.fit import fit_sampler
from rbc_lightning.masks.fitted import FittedSampler
from rbc_lightning.masks.layout import ImageLayout, LayoutStatistics
from rbc_lightning.masks.sampler import MaskSampler, SampledMask
from rbc_lightning.masks.shapes import ShapeBank
from rbc_lightning.masks.structures import StructureBank

__all__ = [
    "CountModel",
    "FittedSampler",
    "ImageLayout",
    "LayoutCard",
    "LayoutStatistics",
    "MaskSampler",
    "SampledMask",
    "ShapeBank",
    "SizeModel",
    "StructureBank",
    "adhesion_map",
    "fit_sampler",
    "layout_card",
]
