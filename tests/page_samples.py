"""Samples and access to them as a report asks for, made up: no data set, no network."""

from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from tiny_data import disc_smear

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.report.page.gallery import RunAccess


@dataclass(frozen=True)
class MadeUpSample:
    sample_id: str
    image: np.ndarray = field(repr=False)
    label_map: np.ndarray = field(repr=False)
    volume: str | None = None

    @property
    def unit(self):
        return self.volume or self.sample_id

    @property
    def image_sha256(self):
        return sha256(self.image.tobytes()).hexdigest()

    def rgb(self):
        return self.image

    def load_label_map(self):
        return self.label_map


def make_samples(*names):
    return tuple(MadeUpSample(name, *disc_smear(seed=number)) for number, name in enumerate(names))


def make_slices(*scans, n_slices=6):
    """Slices of scans with two classes, most of them in slices 2 to 4."""
    made = []
    for number, scan in enumerate(scans):
        for k in range(n_slices):
            image, cells = disc_smear(seed=10 * number + k, count=1 if k in (0, 5) else 3 + k)
            made.append(MadeUpSample(f"{scan}_{k:03d}", image, np.where(cells > 2, 2, cells).astype(np.int32), scan))
    return tuple(made)


def truth_found(label_map, boxes_alone=False, has_classes=False):
    boxes = label_map_to_boxes(label_map)
    classes = np.arange(1, len(boxes) + 1, dtype=np.int32) if has_classes else None
    return Instances(boxes, np.ones(len(boxes), dtype=np.float32), None if boxes_alone else label_map, classes)


class Access:
    """A `RunAccess` that finds the truth, and counts what it is asked for."""

    def __init__(self, tested=(), pairs=()):
        self.samples, self.synthetic = tested, pairs
        self.read, self.predicted = [], []
        self.precision = "32-true"
        self.boxes_alone = ()

    def as_run_access(self):
        return RunAccess(self.tested, self.predict, lambda run: {"precision": self.precision}, lambda directory: self.synthetic)

    def tested(self, run):
        self.read.append(run.directory.name)
        return self.samples

    def predict(self, run, samples):
        self.predicted += [(run.directory.name, sample.sample_id) for sample in samples]
        return {
            sample.sample_id: truth_found(sample.label_map, run.model in self.boxes_alone, sample.volume is not None)
            for sample in samples
        }


def write_weights(directory, content=b"weights"):
    (directory / "checkpoints").mkdir()
    (directory / "checkpoints" / "best.ckpt").write_bytes(content)
