from dataclasses import replace

import pytest
from evaluation_helpers import sample
from pair_helpers import CropSource, GivenSource
from tiny_data import disc_smear

from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.errors import InputError
from rbc_lightning.evaluation.pair_quality.recipe import MeasuredPairs
from rbc_lightning.evaluation.pair_quality.result import PairQuality
from rbc_lightning.pairs.base import Pair


def new_pair(index):
    return Pair(*disc_smear(40 + index))


def recipe(place, give=new_pair, name="new", **changes):
    source = GivenSource(train=place.train, seed=0, name=name, give=give)
    return MeasuredPairs(**{"pairs": source, "network": place.recipe, "count": 3, **changes})


def test_it_is_made_once_and_read_back(place):
    drawn = []

    def give(index):
        drawn.append(index)
        return new_pair(index)

    quality = place.store.make(recipe(place, give))
    assert (quality.n, quality.n_train, quality.n_val) == (3, 7, 5)
    assert drawn == [0, 1, 2]
    again = place.store.make(recipe(place, give))
    assert again.to_json() == quality.to_json()
    assert drawn == [0, 1, 2]
    directory = place.store.path(recipe(place))
    assert sorted(path.name for path in directory.iterdir()) == ["lineage.json", "pair_quality.json"]


def test_an_interrupted_measurement_goes_on_with_the_next_pair(place):
    drawn = []

    def give(index):
        if index == 2 and drawn[-1:] != [2]:
            drawn.append(index)
            raise KeyboardInterrupt
        drawn.append(index)
        return new_pair(index)

    broken = recipe(place, give, "broken")
    with pytest.raises(KeyboardInterrupt):
        place.store.make(broken)
    assert broken.done_units(place.store.path(broken).with_suffix(".partial")) == 2
    quality = place.store.make(broken)
    assert drawn == [0, 1, 2, 2]
    assert quality.to_json() == place.store.make(recipe(place)).to_json()


def test_a_source_of_training_pairs_is_told(place):
    def copy(index):
        return Pair(place.train.samples[index].load_image(), place.train.samples[index].load_label_map())

    quality = place.store.make(recipe(place, copy, "copies", count=7))
    assert quality.near_1 == 1
    assert quality.nearest[0].train_id in place.train.ids
    assert quality.nearest[0].rmse == 0


def test_crops_are_compared_with_crops_and_copies_found_at_their_place(place):
    """Also cells from where no crop was drawn."""

    def copy(index):
        if index == 2:
            return Pair(*(array[:64, :64].copy() for array in disc_smear(90)))
        sample = place.train.samples[index]
        cut = (array[5 + index : 69 + index, 21:85][:, ::-1].copy() for array in (sample.load_image(), sample.load_label_map()))
        return Pair(*cut)

    source = CropSource(train=place.train, seed=0, name="crops", give=copy, window=64)
    made = recipe(place, pairs=source, count=9)
    assert made.work().units == 9 + 9 + 9
    made = recipe(place, pairs=source)
    quality = place.store.make(made)
    assert (quality.window, quality.n, quality.n_train, quality.n_val) == (64, 3, 7, 5)
    found = {entry.pair: entry for entry in quality.nearest}
    for index in (0, 1):
        assert found[index].train_id == place.train.ids[index]
        assert found[index].corner == (5 + index, 21)
        assert found[index].flipped == (False, True)
        assert (found[index].rmse, found[index].distance) == pytest.approx((0, 0), abs=2e-3)
    assert found[2].distance > 0.1
    assert quality.novelty.cells < 0.01 < quality.novelty_val.cells
    assert len(quality.novelty_val.nearest_values) == 5
    assert quality.near_1 == pytest.approx(2 / 3)
    assert PairQuality.from_json(quality.to_json()) == PairQuality.from_json(place.store.make(made).to_json())


def test_pairs_that_descend_from_held_out_samples_are_refused(place):
    held_out = Manifest((*place.val.samples, sample(99, "train")))
    source = GivenSource(train=Samples(place.val.samples), seed=0, name="held out", give=new_pair)
    leaking = MeasuredPairs(pairs=source, network=place.recipe, count=3, manifest=held_out)
    with pytest.raises(InputError, match=r"the pair source .* 'smear_07'"):
        place.store.make(leaking)


def test_what_decides_the_numbers(place):
    plain = recipe(place)
    others = [
        recipe(place, name="other"),
        recipe(place, count=4),
        recipe(place, network=place.network(40, 20)),
        replace(plain, pairs=replace(plain.pairs, seed=1)),
    ]
    assert len({plain.key, *(other.key for other in others)}) == 5
    assert replace(plain, manifest=Manifest(place.val.samples)).key == plain.key
    assert plain.work().units == 3 + 7 + 5
