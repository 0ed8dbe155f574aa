"""Random changes of images and label maps."""

from rbc_lightning.data.augment.transforms import TrainingAugmentation

__all__ = ["TrainingAugmentation"]
