"""Samples in memory of several kinds, and a tiny Pix2Pix recipe over them."""

from tiny_data import disc_smear

from rbc_lightning.core.build import build
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.data.spec import RGB, ImageSpec
from rbc_lightning.masks import SampledMask
from rbc_lightning.masks.sources import LabelMapSource

GREY_16 = ImageSpec(channels=("dapi",), value_range=(0, 65535), objects="bright")
TWO_16 = ImageSpec(channels=("dapi", "actin"), value_range=(0, 4095), objects="bright")
TASK = {
    "_target_": "rbc_lightning.translators.pix2pix.task.ModeSeekingPix2PixTask",
    "size": 32,
    "base_channels": 4,
    "n_downsample": 3,
    "discriminator_channels": 4,
    "n_epochs": 1,
}


def pair_of(seed, spec=RGB):
    """Discs on a ground, (H, W, C) in the kind of `spec`, and their label map."""
    image, label_map = disc_smear(seed, height=64, width=80, radius=8, count=6)
    if spec == RGB:
        return image, label_map
    levels = 255 - image if spec.objects == "bright" else image
    return (levels[..., : spec.n_channels] * (spec.value_range[1] / 255)).astype(spec.dtype), label_map


def make_samples(n=4, spec=RGB, split="train", first=0):
    samples = []
    for index in range(first, first + n):
        name = f"s{index}"
        loader = ArrayPair(*pair_of(index, spec), f"memory/{name}")
        samples.append(Sample(name, split, name, *loader.sha256, loader, spec=spec))
    return tuple(samples)


def make_manifest(spec=RGB):
    return Manifest(make_samples(4, spec) + make_samples(1, spec, "val", 4) + make_samples(1, spec, "test", 5))


def make_train(spec=RGB, n=4):
    return Samples(make_samples(n, spec))


def pix2pix_recipe(train=None, trainer=None, chooser=None, **settings):
    """As the configuration group builds it; `task` holds changes of the tiny task's arguments."""
    spec = {
        "_target_": "rbc_lightning.translators.pix2pix.recipe.Pix2PixRecipe",
        "_recursive_": False,
        **settings,
        "task": {**TASK, **settings.get("task", {})},
    }
    given = {"seed": spec.pop("seed", 0), "trainer": trainer or TrainerSettings(progress_bar=False), "tracking": None}
    return build(spec, "translator", train=make_train() if train is None else train, chooser=chooser, **given)


class OwnMasks(LabelMapSource):
    """The training label maps in turn, as masks of which no more is known."""

    def open(self, store):
        label_maps = self.train.label_maps()
        return lambda seed: SampledMask.from_label_map(label_maps[seed.generate_state(1)[0] % len(label_maps)])
