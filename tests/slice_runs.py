"""Runs on slices of tiny scans: a net to train, and the floor."""

from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.augment import TrainingAugmentation
from rbc_lightning.data.mix import Mix
from rbc_lightning.runs.labels import RunLabels
from rbc_lightning.runs.recipe import TrainedSegmenter
from rbc_lightning.segmenters.model import Model, TrainingSettings
from rbc_lightning.tracking.curves import CsvTracking

NET = {"_target_": "rbc_lightning.segmenters.unet.nets.PlainUNet", "base_channels": 2, "in_channels": None, "n_outputs": None}
TASK = {
    "_target_": "rbc_lightning.segmenters.segmentation.SegmentationTask",
    "loss": {"_target_": "rbc_lightning.segmenters.losses.CrossEntropyDice"},
    "cell_size": None,
    "objects": None,
}
FLOOR = Model(
    "global_threshold",
    {"_target_": "torch.nn.Identity"},
    {
        "_target_": "rbc_lightning.segmenters.threshold.global_threshold.GlobalThresholdTask",
        "global_threshold": None,
        "objects": None,
    },
)


def labels(model):
    return RunLabels("scans", {"model": {"name": model.name}})


def trained(manifest, steps=4):
    model = Model("plain", NET, TASK)
    return TrainedSegmenter(
        data=manifest.fingerprint(),
        mix=Mix(real=6, synthetic=0, augmented=0),
        model=model,
        training=TrainingSettings(steps=steps, steps_per_epoch=2, batch_size=2, crop=None),
        augmentation=TrainingAugmentation(),
        synthetic=None,
        protocol="held_out",
        seed=0,
        trainer=TrainerSettings(progress_bar=False, precision="32-true"),
        manifest=manifest,
        tracking=CsvTracking(),
        labels=labels(model),
    )
