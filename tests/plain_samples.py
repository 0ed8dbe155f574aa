"""Samples without files, and samples of another kind: two channels of 16 bits, bright objects on a dark ground; slices."""

from pathlib import Path

import numpy as np
from tiny_data import disc_smear

from rbc_lightning.data.lineage import Ancestor, Lineage
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import ArrayPair, FilePair, Sample
from rbc_lightning.data.spec import ImageSpec

TWO_CHANNELS = ImageSpec(channels=("nuclei", "actin"), value_range=(0, 65535), objects="bright")
TWELVE_BITS = ImageSpec(channels=("grey",), value_range=(100, 4095))
LESIONS = ImageSpec(
    ("FLAIR", "T1w"),
    (0, 4095),
    "classes",
    ("lesion",),
    "bright",
    context=["ventricles", "brain"],
    upright=True,
    standard=[0.4, 0.1],
)


def plain_ancestor(name):
    """The `plain_sample` of a name, as ancestor."""
    return Ancestor(name, f"image {name}", f"labels {name}")


def plain_sample(name, split="train", group=None, origin="real", trained_on=None):
    """A row whose files do not exist."""
    lineage = Lineage("0/0", "c0ffee", "beef", tuple(map(plain_ancestor, trained_on))) if trained_on is not None else None
    files = FilePair(Path(f"{name}.png"), Path(f"{name}.png"))
    return Sample(name, split, group or name, f"image {name}", f"labels {name}", files, origin, lineage)


def plain_manifest(n=10):
    return Manifest((*(plain_sample(f"r{i}") for i in range(n)), plain_sample("t0", "test")))


def fluorescent_pair(seed, **size):
    """uint16 (H, W, 2) with discs brighter than the ground, and their label map."""
    image, label_map = disc_smear(seed, **size)
    return (65535 - 257 * image[..., :2].astype(np.uint16)).astype(np.uint16), label_map


def fluorescent_sample(name, seed, split="train", spec=TWO_CHANNELS):
    pair = ArrayPair(*fluorescent_pair(seed), where=f"memory of {name}")
    return Sample(name, split, f"patient_{name}", *pair.sha256, pair, spec=spec)
