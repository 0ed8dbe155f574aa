"""Slices of tiny scans in memory: an ellipse of a head, inside it bright squares of one class or two; scans of patients."""

import numpy as np

from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.data.spec import ImageSpec

SIDE = 48
# The first patient has two scans; the last slice of each is empty.
SCANS = (("a1", "a", "train"), ("a2", "a", "train"), ("b", "b", "val"), ("c", "c", "test"), ("d", "d", "test"))


def slice_spec(*classes):
    return ImageSpec(
        channels=("FLAIR", "T1w"),
        value_range=(0, 4095),
        labels="classes",
        classes=classes or ("lesion",),
        objects="bright",
        context=("outline",),
        upright=True,
        standard=(0.4, 0.1),
    )


def tiny_slice(seed, n_classes=1, empty=False):
    """Image uint16 (H, W, 2) and label map int32 (H, W) with the outline as context, one more than classes."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    distance = np.hypot(rows / 22, columns / 18)
    label_map = np.where(distance < 0.7, n_classes + 1, 0).astype(np.int32)
    for value in range(1, n_classes + 1) if not empty else ():
        top, left = rng.integers(16, 26, 2)
        label_map[top : top + 5, left : left + 4] = value
    # Air, scalp, skull, brain; each class brighter than the last one.
    levels = np.select([distance > 1, distance > 0.9, distance > 0.8], [0.05, 0.9, 0.15], 0.4)
    inside = (label_map > 0) & (label_map <= n_classes)
    levels = np.where(inside, 0.5 + 0.1 * label_map, levels)[..., None] + rng.normal(0, 0.01, (SIDE, SIDE, 2))
    return (levels.clip(0, 1) * 4095).astype(np.uint16), label_map


def slice_samples(scan, group, split, spec, n_slices=3):
    made = []
    for number in range(n_slices):
        seed = sum(map(ord, scan)) * 10 + number
        pair = ArrayPair(*tiny_slice(seed, len(spec.classes), empty=number == n_slices - 1), f"{scan}_{number:03d}")
        name = f"{scan}_{number:03d}"
        made.append(Sample(name, split, group, *pair.sha256, pair, spec=spec, volume=scan, slice=number))
    return made


def slice_manifest(*classes):
    spec = slice_spec(*classes)
    return Manifest(tuple(sample for scan in SCANS for sample in slice_samples(*scan, spec)))
