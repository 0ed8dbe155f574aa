"""Label maps of classes as masks: values kept, upright ones neither moved nor upended."""

from dataclasses import replace

import numpy as np
import pytest
from head_slices import SLICES, slice_samples

from rbc_lightning.core.label_files import write_label_map
from rbc_lightning.core.store import Store
from rbc_lightning.errors import InputError
from rbc_lightning.masks.sources import FolderOfMasks, RealMasks, SampledMasks

TRAIN = slice_samples(3).with_context()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, str)


def test_values_of_classes_are_kept_and_no_piece_is_dropped(store):
    maps = [np.zeros((40, 40), np.int32)]
    maps[0][5:8, 5:8], maps[0][30:33, 30:33], maps[0][18:24, 18:24] = 2, 2, 3
    draw = RealMasks(train=TRAIN, seed=0, turn=0, mirror=False, bend=0).open(store)
    draw.args[0][:] = maps
    mask = draw(0)
    np.testing.assert_array_equal(mask.label_map, maps[0])
    assert (mask.placed, mask.not_placed) == (0, 0)


def test_an_upright_map_keeps_its_place_and_its_top(store):
    draw = RealMasks(train=TRAIN, seed=0).open(store)
    masks = [draw(seed).label_map for seed in range(20)]
    assert all(set(np.unique(mask)) <= {0, 1, 2, 3} for mask in masks)
    for mask in masks:
        brain, lesion = np.argwhere(mask > 0), np.argwhere(mask == 1)
        # The lesion is in the lower half of every training map, and the head in the middle.
        assert np.abs(brain.mean(axis=0) - (23, 24)).max() < 5
        assert lesion[:, 0].mean() > brain[:, 0].mean()
    sides = {bool(np.argwhere(mask == 1)[:, 1].mean() > 24) for mask in masks}
    assert len(sides) == 2
    assert len({mask.tobytes() for mask in masks}) == 20


def test_only_what_has_an_effect_decides_the_key():
    one = RealMasks(train=TRAIN, seed=0)
    assert RealMasks(train=TRAIN, seed=0, move="cyclic", turn=45).key == one.key
    assert RealMasks(train=TRAIN, seed=0, turn=5).key != one.key
    assert RealMasks(train=TRAIN, seed=0, mirror=False).key != one.key


def test_maps_that_are_not_upright_are_moved_whole(store):
    flat = slice_samples(2, spec=replace(SLICES, upright=False)).with_context()
    draw = RealMasks(train=flat, seed=0, move="cyclic", turn=0, mirror=False, bend=0).open(store)
    counts = {tuple(np.bincount(draw(seed).label_map.ravel(), minlength=4)) for seed in range(8)}
    assert counts == {tuple(np.bincount(one.ravel(), minlength=4)) for one in flat.label_maps()}


def test_a_folder_of_classes_keeps_its_values(store, tmp_path):
    label_map = np.zeros((16, 16), np.int32)
    label_map[3:6, 3:6], label_map[8:12, 8:12] = 1, 3
    write_label_map(tmp_path / "maps" / "a.png", label_map)
    draw = FolderOfMasks(train=TRAIN, seed=0, path=tmp_path / "maps").open(store)
    np.testing.assert_array_equal(draw(0).label_map, label_map)


def test_a_sampler_of_cells_is_refused():
    with pytest.raises(InputError, match=r"masks=sampled lays out single cells.* classes; take masks=real"):
        SampledMasks(train=TRAIN, seed=0)
