"""Pairs in memory, a small FCN-score network, and translators whose quality is known."""

from dataclasses import replace

import numpy as np
from tiny_data import disc_smear

from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.manifest import Samples
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.data.spec import RGB
from rbc_lightning.evaluation.fcn_score import FcnScoreNetwork
from rbc_lightning.segmenters.model import Model, TrainingSettings

SEED = derive_seed(0, "preview")


def sample(index, split, spec=RGB, pair=None):
    loader = ArrayPair(*(pair or disc_smear(100 + index)), f"memory/{index}")
    return Sample(f"smear_{index:02d}", split, f"slide_{index}", *loader.sha256, loader, spec=spec)


def fcn8s(name="fcn8s", **net):
    size = {"width": 0.0625, "decoder_channels": 4, "batch_norm": True, "dropout": 0.1, **net}
    return Model(
        name,
        {"_target_": "rbc_lightning.segmenters.fcn8s.nets.FCN8s", "in_channels": None, "n_classes": 1, **size},
        {
            "_target_": "rbc_lightning.segmenters.segmentation.SegmentationTask",
            "optimizer": {"_target_": "rbc_lightning.segmenters.optimizers.AdamW", "lr": 1e-2, "weight_decay": 1e-4},
            "schedule": {"_target_": "rbc_lightning.segmenters.optimizers.OneCycle"},
            "threshold": 0.5,
            "objects": None,
        },
    )


class Place:
    """Samples, a store, and the recipe of a network."""

    def __init__(self, directory):
        self.store = Store(directory / "artifacts", str)
        self.train = Samples(tuple(sample(index, "train") for index in range(7)))
        self.val = Samples(tuple(sample(index, "val") for index in range(7, 12)))
        self.pairs = [(one.load_image(), one.load_label_map()) for one in self.val]
        self.recipe = self.network(60, 20)

    def network(self, steps, steps_per_epoch, **changes):
        values = {
            "model": fcn8s(),
            "training": TrainingSettings(steps, steps_per_epoch, batch_size=4, crop=64, ema_decay=0.5),
            "train": self.train,
            "val": self.val,
            "seed": 0,
            "trainer": TrainerSettings(progress_bar=False),
        }
        return FcnScoreNetwork(**{**values, **changes})

    def shorter(self, recipe):
        return replace(recipe, training=replace(recipe.training, steps=2, steps_per_epoch=2))


class Painter:
    """Returns the real image of a mask, changed by a function of (image, label map, number of the image)."""

    def __init__(self, place, change=lambda image, label_map, number: image):
        self.place, self.change, self.seeds, self.turns = place, change, [], []

    def paint_sampled(self, mask, seed, style, index):
        assert style == "per_image"
        label_map = mask.label_map
        (image,) = [image for image, known in self.place.pairs if np.array_equal(known, label_map)]
        self.seeds.append(tuple(seed.generate_state(2)))
        self.turns.append(index)
        return self.change(image, label_map, len(self.seeds) - 1)


def darker(image, label_map, number):
    return (image.astype(int) - 10 * (number % 4)).astype(np.uint8)
