"""Pairs of a pair GAN as a source: keys, draws, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pair_gan_helpers import EXACT, FORMS, gan_pairs, slices, smears
from slice_samples import slice_samples, slice_spec

from rbc_lightning.core.store import Store
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.errors import InputError

SAME = {
    "name": {"name": "other"},
    "loader processes": {"trainer": replace(EXACT, num_workers=2)},
    "a default written out": {"task": {"diff_augment": ""}},
    "crops of the segmenter": {"crop": 32},
}
OTHER = {
    "seed of pairs": {"seed": 1},
    "seed of the training": {"gan_seed": 1},
    "samples": {"train": slices("a", "b", "c")},
    "precision": {"trainer": replace(EXACT, precision="bf16-mixed")},
    "batch": {"batch_size": 4},
    "steps": {"steps": 6},
    "height": {"height": False},
    "share": {"labelled": 0.5},
    "focus": {"focus": 0.5},
    "context": {"context": True},
    "specks": {"speck": 0},
    "form": {"task": FORMS["wgan"]},
    "width": {"task": {"base_channels": 8}},
}


@pytest.mark.parametrize("change", SAME)
def test_what_has_no_effect_makes_no_other_key(change):
    assert gan_pairs(**SAME[change]).key == gan_pairs().key


def test_what_has_an_effect_makes_another_key():
    keys = [gan_pairs(**change).key for change in ({}, *OTHER.values())]
    assert len(set(keys)) == len(keys)
    assert len({gan_pairs(smears(), height=height).key for height in (True, False)}) == 1


def test_one_training_serves_all_pairs_of_it():
    first, *others = (gan_pairs(**change) for change in ({}, OTHER["seed of pairs"], OTHER["specks"]))
    assert {one.phase.key for one in others} == {first.phase.key}
    assert first.translator_key == first.phase.key
    assert [node.kind for node in first.walk()] == ["samples", "pair_gan", "pairs"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("pairs"), str)


def test_a_pair_follows_from_its_number_alone(store):
    source = gan_pairs(speck=0)
    draw, again = source.open(store), source.open(store)
    pairs = [draw(index) for index in range(4)]
    assert np.array_equal(again(2).image, pairs[2].image)
    assert np.array_equal(again(2).label_map, pairs[2].label_map)
    assert pairs[0].image.shape == (32, 32, 2)
    assert pairs[0].image.dtype == np.uint16
    assert pairs[0].image.max() <= 4095
    assert len({pair.image.tobytes() for pair in pairs}) == 4
    assert set(np.unique(pairs[0].label_map)) <= {0, 1}
    other = gan_pairs(speck=0, seed=1).open(store)(0)
    assert not np.array_equal(other.image, pairs[0].image)


def test_heights_are_drawn_as_in_training(store, monkeypatch):
    source = gan_pairs(labelled=0.5)
    task, seen = store.make(source.phase), []
    network = task.drawing_network
    forward = type(network).forward
    monkeypatch.setattr(
        type(network), "forward", lambda net, noise, condition: seen.append(float(condition)) or forward(net, noise, condition)
    )
    draw = source.open(store)
    for index in range(400):
        draw(index)
    # Of each scan four slices, of which the highest alone shows nothing.
    counts = {height: seen.count(height) / 400 for height in set(seen)}
    assert sorted(counts) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert counts[1.0] == pytest.approx(0.5, abs=0.08)


def test_smears_have_cells_and_no_height(store):
    source = gan_pairs(smears(), task={"contour": True, **FORMS["dcgan"]}, speck=0)
    assert not source.phase.conditioned
    pair = source.open(store)(1)
    assert pair.image.shape == (32, 32, 3)
    assert pair.image.dtype == np.uint8
    found = np.unique(pair.label_map)
    assert found.tolist() == list(range(len(found)))


def test_crops_stand_for_as_many_slices_as_have_their_pixels():
    whole = slices("a", "b")
    assert {sample.size for sample in whole} == {(48, 48)}
    # 48 * 48 pixels are 2.25 times 32 * 32.
    assert [gan_pairs(whole, task={"size": size}).count_for(10) for size in (48, 32)] == [10, 20]


def test_running_means_draw(store):
    source = gan_pairs(steps=6)
    task = store.make(source.phase)
    assert task.drawing_network is task.average.module
    assert any(not torch.equal(a, b) for a, b in zip(task.generator.parameters(), task.average.parameters(), strict=True))
    plain = gan_pairs(steps=2, task={"ema_decay": 0})
    task = store.make(plain.phase)
    assert task.drawing_network is task.generator


def test_held_out_samples_are_refused(store):
    spec = slice_spec()
    held_out = slice_samples("b", "b", "val", spec, 4)
    manifest = Manifest((*slice_samples("a", "a", "train", spec, 4), *held_out))
    with pytest.raises(InputError, match="the pair source descends from sample 'b_000', which is in the val split"):
        gan_pairs().refuse_held_out(store, manifest)
    train = Samples(tuple(slice_samples("a", "a", "train", spec, 4)))
    assert gan_pairs(train).trained_on(store) == train.ancestors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, r"pairs\.steps=0; expected a whole number of at least 1"),
        ({"steps": 5}, r"pairs\.steps=5 is no multiple of pairs\.steps_per_epoch=2; take pairs\.steps=6"),
        ({"height": None}, r"pairs\.height=None; expected one of True, False"),
        ({"context": "no"}, r"pairs\.context=no; expected one of True, False"),
        ({"batch_size": 0}, r"pairs\.batch_size=0; expected a whole number of at least 1"),
        ({"speck": -1}, r"pairs\.speck=-1; expected a whole number of at least 0"),
        ({"labelled": 1}, r"pairs\.labelled=1; expected a share above 0 and below 1, or null"),
        ({"focus": 2}, r"pairs\.focus=2; expected a share from 0 to 1"),
        ({"task": {"size": 50}}, r"pairs\.task: size must be 4 to 16 times 8, 16, .*got 50"),
        ({"task": {"size": None}}, r"pairs\.task\.size=None; expected a whole number of at least 1.*training\.crop"),
        (
            {"task": {"size": 32}, "crop": 64},
            r"pairs\.task\.size=32 px, while segmenters are trained on crops of 64 \(training\.crop\).*take training\.crop=32",
        ),
        ({"widht": 3}, r"pairs\.widht=3 is no setting of GanPairs; it has task, name, steps"),
    ],
)
def test_a_bad_setting_is_one_line(settings, message):
    with pytest.raises(InputError, match=message) as error:
        gan_pairs(**settings)
    assert "\n" not in str(error.value)
