"""Cell shapes, layouts and the mask sampler of Bailo et al. 2019, Sec. 4.1: NumPy, Numba and SciPy only."""

from rbc_lightning.masks.bank.shapes import ShapeBank
from rbc_lightning.masks.fitting.fitted import FittedSampler
from rbc_lightning.masks.fitting.search import fit_sampler
from rbc_lightning.masks.sampler.adhesion import adhesion_map
from rbc_lightning.masks.sampler.sampled import SampledMask
from rbc_lightning.masks.sampler.sampler import CountModel, MaskSampler, SizeModel
from rbc_lightning.masks.statistics.compare import LayoutCard, layout_card
from rbc_lightning.masks.statistics.layout import ImageLayout, LayoutStatistics

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
    "adhesion_map",
    "fit_sampler",
    "layout_card",
]
