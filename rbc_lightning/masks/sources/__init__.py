"""Sources of label maps."""

from rbc_lightning.masks.sources.base import Draw, FolderOfMasks, LabelMapSource
from rbc_lightning.masks.sources.real import RealMasks
from rbc_lightning.masks.sources.sampled import CROWDED, SampledMasks, SamplerSettings

__all__ = ["CROWDED", "Draw", "FolderOfMasks", "LabelMapSource", "RealMasks", "SampledMasks", "SamplerSettings"]
