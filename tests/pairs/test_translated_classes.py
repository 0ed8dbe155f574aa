"""Pairs of slices: painted from masks with their context, of which targets alone are kept."""

import numpy as np
import pytest
from head_slices import SLICES, slice_manifest, slice_samples
from translator_helpers import Flat, FlatRecipe

from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.lineage import Ancestor
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.mix import Mix
from rbc_lightning.errors import InputError
from rbc_lightning.masks.sources import RealMasks
from rbc_lightning.pairs.synthetic_set import SyntheticSet
from rbc_lightning.pairs.translated import TranslatedPairs

SEEN = []


class Noting(Flat):
    """Notes the values that it is asked to paint."""

    def paint(self, label_map, seed, style=None):
        SEEN.append(set(np.unique(label_map).tolist()))
        return super().paint(label_map, seed, style)


class NotingRecipe(FlatRecipe):
    def assembler(self, store):
        return lambda checkpoint: Noting(self.level, self.train.spec)


@pytest.fixture
def pairs():
    SEEN.clear()
    train = slice_samples(4)
    given = {"train": train.with_context(), "seed": 0}
    translator = NotingRecipe(**given, trainer=TrainerSettings(progress_bar=False))
    return TranslatedPairs(train=train, seed=0, masks=RealMasks(**given), translator=translator)


def test_sets_hold_targets_alone(tmp_path, pairs):
    store = Store(tmp_path, str)
    samples = store.make(SyntheticSet(pairs=pairs, count=3, manifest=slice_manifest()))
    assert len(SEEN) == 3
    assert all(seen == {0, 1, 2, 3} for seen in SEEN)
    for sample in samples:
        assert sample.spec == SLICES
        assert set(np.unique(sample.loader.label_map())) == {0, 1}
        assert sample.lineage.trained_on == tuple(sorted(slice_samples(4).ancestors))


def test_pairs_of_a_held_out_patient_are_refused(tmp_path, pairs):
    test = slice_samples(2, "test", 2)
    manifest = Manifest((*slice_samples(2), *test))
    assert Ancestor.of(test.samples[0]) in pairs.train.ancestors
    with pytest.raises(InputError, match="scan_1_000"):
        Store(tmp_path, str).make(SyntheticSet(pairs=pairs, count=1, manifest=manifest))


def test_pairs_made_while_training_leave_targets_to_the_segmenter(tmp_path, pairs):
    manifest = slice_manifest()
    draw, paint = pairs.online(Store(tmp_path, str), manifest)
    settings = {"augment": None, "crop": 32, "batch_size": 2, "steps_per_epoch": 2, "seed": 0}
    data = PairDataModule(manifest, draw, Mix(real=0, synthetic=4, augmented=0), paint=paint, **settings)
    batch = next(iter(data.train_dataloader()))
    assert batch["label_map"].max() > 1
    painted = data.on_after_batch_transfer(batch, 0)
    assert any({2, 3} & seen for seen in SEEN)
    assert set(painted["label_map"].unique().tolist()) <= {0, 1}
