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

    @property
    def unit(self):
        return self.sample_id

    @property
    def image_sha256(self):
        return sha256(self.image.tobytes()).hexdigest()

    def rgb(self):
        return self.image

    def load_label_map(self):
        return self.label_map


def make_samples(*names):
    return tuple(MadeUpSample(name, *disc_smear(seed=number)) for number, name in enumerate(names))


def truth_found(label_map, boxes_alone=False):
    boxes = label_map_to_boxes(label_map)
    return Instances(boxes, np.ones(len(boxes), dtype=np.float32), None if boxes_alone else label_map)


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
        return {sample.sample_id: truth_found(sample.label_map, run.model in self.boxes_alone) for sample in samples}


def write_weights(directory, content=b"weights"):
    (directory / "checkpoints").mkdir()
    (directory / "checkpoints" / "best.ckpt").write_bytes(content)
