from dataclasses import dataclass

import numpy as np
from oracles.label_map_node import LabelMapNode
from oracles.mask_layouts import disc_map

from rbc_lightning.core.store import Store
from rbc_lightning.masks import SampledMask
from rbc_lightning.masks.sources import LabelMapSource

TRAIN = LabelMapNode("discs", (np.zeros((8, 9), np.int32), *[disc_map([(5, 5)], 2, 12, 14)] * 2))


@dataclass(frozen=True, kw_only=True)
class OneDisc(LabelMapSource):
    """All that a source from outside has to define."""

    radius: int = 3

    def open(self, store):
        return lambda seed: SampledMask.from_label_map(disc_map([(6, 7)], self.radius, 12, 14))


@dataclass(frozen=True, kw_only=True)
class OtherDisc(OneDisc):
    pass


def test_a_source_has_a_description_and_draws(tmp_path):
    source, store = OneDisc(train=TRAIN, seed=0), Store(tmp_path, str)
    assert source.about(store) == "3 training label maps"
    assert source.open(store)(0).placed == 1


def test_class_settings_and_samples_decide_the_key():
    one = OneDisc(train=TRAIN, seed=0)
    others = [
        OneDisc(train=TRAIN, seed=0, radius=2),
        OneDisc(train=TRAIN, seed=1),
        OneDisc(train=LabelMapNode("b"), seed=0),
        OtherDisc(train=TRAIN, seed=0),
    ]
    assert len({one.key, *(other.key for other in others)}) == 5
    assert one.kind == "masks"
