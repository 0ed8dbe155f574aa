"""What a source of pairs is, whatever it makes."""

from dataclasses import dataclass

import numpy as np
import pytest
from pix2pix_helpers import make_manifest, make_train
from slice_samples import slice_samples, slice_spec

from rbc_lightning.core.seeds import pair_seeds
from rbc_lightning.core.store import Store
from rbc_lightning.data.manifest import Samples
from rbc_lightning.errors import InputError
from rbc_lightning.pairs.base import Pair, PairSource


@dataclass(frozen=True, kw_only=True)
class Noise(PairSource):
    """Images of noise with one object."""

    level: int = 9

    def open(self, store):
        def draw(index):
            rng = np.random.default_rng(pair_seeds(self.seed, index)[0])
            label_map = np.zeros((16, 16), np.int32)
            label_map[4:9, 5:8] = 1
            return Pair(rng.integers(0, self.level, (16, 16, 3)).astype(np.uint8), label_map)

        return draw


@dataclass(frozen=True, kw_only=True)
class Other(Noise):
    pass


def test_a_source_needs_no_more_than_open(tmp_path):
    source = Noise(train=make_train(), seed=3)
    draw = source.open(Store(tmp_path, str))
    first, again, other = draw(0), draw(0), draw(1)
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    assert first.not_placed == 0


def test_pairs_are_compared_with_whole_samples_and_their_context():
    train = Samples(tuple(slice_samples("a", "a", "train", slice_spec())))
    source = Noise(train=train, seed=3)
    view = source.views(train)
    assert source.window is None
    for index, sample in enumerate(train):
        image, label_map = view(index).load()
        assert view(index).sample.sample_id == sample.sample_id
        assert np.array_equal(image, sample.load_image())
        assert np.array_equal(label_map, sample.loader.label_map())


def test_a_source_descends_from_the_training_samples_alone(tmp_path):
    store, source, manifest = Store(tmp_path, str), Noise(train=make_train(), seed=3), make_manifest()
    assert source.trained_on(store) == make_train().ancestors
    source.refuse_held_out(store, manifest)
    with pytest.raises(InputError, match="the pair source descends from sample 's4', which is in the val split"):
        Noise(train=make_train(n=5), seed=3).refuse_held_out(store, manifest)


def test_class_settings_seed_and_samples_decide_the_key():
    train = make_train()
    first = Noise(train=train, seed=3)
    others = [
        Other(train=train, seed=3),
        Noise(train=train, seed=4),
        Noise(train=train, seed=3, level=8),
        Noise(train=make_train(n=3), seed=3),
    ]
    assert len({one.key for one in (first, *others)}) == 5
    assert first.key == Noise(train=make_train(), seed=3).key == first.translator_key


def test_pairs_that_are_made_whole_cannot_be_made_while_training(tmp_path):
    with pytest.raises(
        InputError, match=r"synthetic\.mode=online cannot make the pairs of Noise; take synthetic\.mode=offline"
    ):
        Noise(train=make_train(), seed=3).online(Store(tmp_path, str), make_manifest())
