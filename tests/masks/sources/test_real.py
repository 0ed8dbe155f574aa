import pickle

import numpy as np
import pytest
from oracles.label_map_node import LabelMapNode
from oracles.mask_checks import check
from oracles.mask_layouts import blob_map, disc_map
from scipy import ndimage

from rbc_lightning.core.build import build
from rbc_lightning.core.store import Store
from rbc_lightning.errors import InputError
from rbc_lightning.masks.sources import RealMasks

MAPS = (blob_map(0), blob_map(1, height=80, width=90))


def source(maps=MAPS, seed=0, **values):
    return RealMasks(train=LabelMapNode("blobs", maps), seed=seed, **values)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, str)


@pytest.mark.parametrize("move", ["cyclic", "mirrored", "none"])
def test_masks_keep_every_promise_and_their_size(store, move):
    draw = source(move=move).open(store)
    masks = [draw(seed) for seed in range(12)]
    for mask in masks:
        check(mask)
        for label in range(1, mask.placed + 1):
            assert ndimage.label(mask.label_map == label)[1] == 1
    assert {mask.label_map.shape for mask in masks} == {(96, 128), (80, 90)}
    assert len({mask.label_map.tobytes() for mask in masks}) == 12
    assert masks[0].poses is None
    assert masks[0].shape_index is None


def test_the_same_seed_gives_the_same_mask_in_every_process(store):
    draw = source().open(store)
    there = pickle.loads(pickle.dumps(draw))
    seed = np.random.SeedSequence([1, 2], spawn_key=(0,))
    np.testing.assert_array_equal(draw(seed).label_map, there(seed).label_map)
    np.testing.assert_array_equal(draw(0).label_map, source(seed=5).open(store)(0).label_map)
    assert (draw(np.random.SeedSequence([1, 3])).label_map.tobytes()) != draw(seed).label_map.tobytes()


def test_without_any_change_the_maps_themselves_are_drawn(store):
    maps = (disc_map([(10, 20), (30, 8)], 6, 40, 40), disc_map([(8, 8), (20, 30), (40, 10)], 5, 50, 40))
    draw = source(maps, move="none", turn=0, mirror=False, bend=0).open(store)
    drawn = {draw(seed).label_map.tobytes() for seed in range(20)}
    assert drawn == {label_map.tobytes() for label_map in maps}


def test_only_the_train_split_is_read(store):
    # Discs of 5 pixels to train on, of 9 held out.
    train = (disc_map([(20, 20), (20, 60), (60, 30)], 5, 80, 80),)
    draw = source(train, move="cyclic", bend=0).open(store)
    areas = np.concatenate([np.bincount(draw(seed).label_map.ravel())[1:] for seed in range(10)])
    assert areas.max() <= 1.15 * (train[0] == 1).sum()


def test_bent_cells_differ_in_shape_and_not_in_size(store):
    train = (disc_map([(20 + 30 * row, 20 + 30 * column) for row in range(5) for column in range(5)], 9, 160, 160),)
    draw = source(train, move="none", turn=0, mirror=False, bend=0.2, bend_length=1.5).open(store)
    areas = np.concatenate([np.bincount(draw(seed).label_map.ravel())[1:] for seed in range(6)])
    assert np.std(areas) > 0.05 * areas.mean()
    assert areas.mean() == pytest.approx((train[0] == 1).sum(), rel=0.05)


def test_which_settings_decide_the_key():
    one = source()
    assert source(seed=3).key == one.key
    assert source(bend=0).key == source(bend=0, bend_length=9).key
    others = [
        source(move="cyclic"),
        source(turn=90),
        source(mirror=False),
        source(bend=0),
        source(bend_length=3),
        RealMasks(train=LabelMapNode("others"), seed=0),
    ]
    assert len({one.key, *(other.key for other in others)}) == 7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"move": "up"}, r"masks\.move=up; expected one of cyclic, mirrored, none"),
        ({"turn": 200}, r"masks\.turn=200; expected an angle from 0"),
        ({"bend": 0.6}, r"masks\.bend=0\.6; expected .* quarter of masks\.bend_length=2\.0"),
        ({"bend": -0.1}, r"masks\.bend=-0\.1"),
    ],
)
def test_bad_settings_are_refused(values, message):
    spec = {"_target_": "rbc_lightning.masks.sources.RealMasks", **values}
    with pytest.raises(InputError, match=message):
        build(spec, "masks", train=LabelMapNode("blobs", MAPS), seed=0)


def test_a_train_split_without_cells_is_refused(store):
    with pytest.raises(InputError, match="label maps hold no cell; expected some"):
        source((np.zeros((8, 8), np.int32),)).open(store)
