"""Cell shapes, layouts and the mask sampler of Bailo et al. 2019, Sec. 4.1: NumPy, Numba and SciPy only."""

from rbc_lightning.masks.bank.shapes import ShapeBank
from rbc_lightning.masks.sampler.adhesion import adhesion_map
from rbc_lightning.masks.sampler.sampled import SampledMask
from rbc_lightning.masks.sampler.sampler import MaskSampler
from rbc_lightning.masks.statistics.card import LayoutCard, layout_card
from rbc_lightning.masks.statistics.layout import LayoutStatistics

__all__ = ["LayoutCard", "LayoutStatistics", "MaskSampler", "SampledMask", "ShapeBank", "adhesion_map", "layout_card"]
