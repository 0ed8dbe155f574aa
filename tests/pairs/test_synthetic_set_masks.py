"""Label maps on disk: those of the pairs of the same numbers, extended in place."""

from dataclasses import replace

import numpy as np
from pix2pix_helpers import OwnMasks, make_train

from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.core.seeds import pair_seeds
from rbc_lightning.core.store import Store
from rbc_lightning.masks.sources import SampledMasks, SamplerSettings
from rbc_lightning.pairs.synthetic_set import MaskSet

MASKS = OwnMasks(train=make_train(), seed=0)


def test_label_maps_are_those_of_the_pairs(tmp_path):
    store, recipe = Store(tmp_path, str), MaskSet(masks=MASKS, seed=3, count=2)
    paths = store.make(recipe)
    assert [str(path.relative_to(store.path(recipe))) for path in paths] == ["labels/mask_00000.png", "labels/mask_00001.png"]
    draw = MASKS.open(store)
    for index, path in enumerate(paths):
        assert np.array_equal(read_label_map(path), draw(pair_seeds(3, index)[0]).label_map)


def test_a_larger_set_extends_a_smaller_one(tmp_path):
    store, small, large = Store(tmp_path, str), MaskSet(masks=MASKS, seed=3, count=1), MaskSet(masks=MASKS, seed=3, count=4)
    (path,) = store.make(small)
    written = path.stat().st_mtime_ns
    assert small.key == large.key
    assert large.done_units(store.path(large)) == 1
    assert not large.is_complete(store.path(large))
    assert len(store.make(large)) == 4
    assert path.stat().st_mtime_ns == written
    assert large.key != MaskSet(masks=MASKS, seed=4, count=4).key


class ManyIds(OwnMasks):
    """The own masks with an id beyond 16 bits in every second one, which PNG cannot hold."""

    def open(self, store):
        draw = super().open(store)

        def drawn(seed):
            mask = draw(seed)
            label_map = mask.label_map.copy()
            label_map[0, 0] = 70_000 * (seed.entropy[-1] % 2)
            return replace(mask, label_map=label_map)

        return drawn


def test_more_ids_than_16_bits_hold_are_found_again(tmp_path):
    store, recipe = Store(tmp_path, str), MaskSet(masks=ManyIds(train=make_train(), seed=0), seed=3, count=2)
    paths = store.make(recipe)
    assert [path.name for path in paths] == ["mask_00000.png", "mask_00001.tif"]
    draw = recipe.masks.open(store)
    for index, path in enumerate(paths):
        drawn = draw(pair_seeds(3, index)[0]).label_map
        assert np.array_equal(read_label_map(path, contiguous=False), drawn)
    written = [path.stat().st_mtime_ns for path in paths]
    assert recipe.done_units(store.path(recipe)) == 2
    assert store.make(replace(recipe, count=4))[:2] == paths
    assert [path.stat().st_mtime_ns for path in paths] == written


def test_cells_without_a_place_are_reported(tmp_path, capsys):
    masks = SampledMasks(train=make_train(), seed=0, sampler=SamplerSettings(count_mean=60, count_std=0))
    Store(tmp_path, str).make(MaskSet(masks=masks, seed=0, count=2))
    assert "of 120 cells found no place: sampler=adhesion with a smaller sampler.count_mean" in capsys.readouterr().out
