"""Slices of heads in memory: two contrasts of 16 bits, a brain with ventricles and bright lesions, on one scan each patient."""

import numpy as np

from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.data.spec import ImageSpec

SLICES = ImageSpec(
    channels=("FLAIR", "T1w"),
    value_range=(0, 4095),
    labels="classes",
    classes=("lesion",),
    objects="bright",
    context=("ventricles", "brain"),
    upright=True,
    standard=(0.4, 0.1),
)
SIDE = 48


def slice_pair(seed, spec=SLICES):
    """uint16 (48, 48, C) and its label map: 1 lesion, 2 ventricles, 3 brain; darker at the bottom."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    label_map = np.zeros((SIDE, SIDE), np.int32)
    height, width = rng.uniform((17, 13), (20, 16))
    label_map[((rows - 23) / height) ** 2 + ((columns - 24) / width) ** 2 < 1] = 3
    label_map[((rows - 20) / 7) ** 2 + ((columns - 24) / 4) ** 2 < 1] = 2
    row, column = rng.integers(30, 36), rng.integers(16, 32)
    label_map[np.hypot(rows - row, columns - column) < 3] = 1
    levels = np.array([[200, 200], [2600, 1300], [700, 500], [1600, 1800]])[label_map][..., : spec.n_channels]
    image = levels - 5 * rows[..., None] + rng.normal(0, 30, levels.shape)
    return image.clip(0, 4095).astype(np.uint16), label_map


def slice_sample(index, split="train", spec=SLICES):
    loader = ArrayPair(*slice_pair(index, spec), f"memory/scan_{index}")
    scan, number = f"scan_{index // 2}", index % 2
    name = f"{scan}_{number:03d}"
    return Sample(name, split, scan, *loader.sha256, loader, spec=spec, volume=scan, slice=number)


def slice_samples(count=4, split="train", first=0, spec=SLICES):
    return Samples(tuple(slice_sample(index, split, spec) for index in range(first, first + count)))


def slice_manifest():
    return Manifest((*slice_samples(4), *slice_samples(2, "val", 4), *slice_samples(2, "test", 6)))


class Copier:
    """Returns the real image of a mask with its context, moved by so many of its values; for translators."""

    def __init__(self, samples, move=0):
        self.samples, self.move = samples, move

    def paint_sampled(self, mask, seed, style, index):
        maps = self.samples.with_context().label_maps()
        (found,) = [i for i, known in enumerate(maps) if np.array_equal(known, mask.label_map)]
        return (self.samples.samples[found].load_image().astype(int) + self.move).clip(0, 4095).astype(np.uint16)
