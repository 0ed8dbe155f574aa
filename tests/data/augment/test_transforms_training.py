"""The configuration group `augment`."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from plain_samples import TWO_CHANNELS, fluorescent_pair, fluorescent_sample
from tiny_data import disc_smear

from rbc_lightning.core.build import build
from rbc_lightning.core.files import content_hash, to_plain
from rbc_lightning.data.augment import TrainingAugmentation
from rbc_lightning.data.augment.copy_paste import CopyPaste, CopyPasteSettings
from rbc_lightning.data.augment.transforms import FLIPS, build_augmentation
from rbc_lightning.data.readers.folder import read_folder
from rbc_lightning.data.sample import FilePair
from rbc_lightning.data.spec import RGB
from rbc_lightning.data.splits import cut_validation
from rbc_lightning.errors import InputError

TARGET = "rbc_lightning.data.augment.TrainingAugmentation"
CONF = Path(__file__).parents[3] / "conf" / "augment"


@pytest.fixture(scope="module")
def manifest(tiny_folder):
    return cut_validation(read_folder(tiny_folder), 0.2, seed=0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cells": [4, 2]}, r"augment.copy_paste: cells must be \[smallest, largest\] number of cells.*got \[4, 2\]"),
        ({"cells": [0, 0]}, "the largest at least 1"),
        ({"p": 1.5}, r"p must lie in \[0, 1\], got 1.5"),
        ({"max_overlap": -0.1}, r"max_overlap must lie in \[0, 1\], got -0.1"),
        ({"feather": -1}, r"feather must lie in \[0, inf\], got -1"),
        ({"max_donor_cells": 0}, "max_donor_cells must be at least 1, got 0"),
        ({"number": 3}, "expected null, or a mapping with some of cells, max_overlap, feather"),
        (0.5, "augment.copy_paste=0.5; expected null"),
    ],
)
def test_bad_settings_are_refused_when_the_group_is_built(parameters, message):
    with pytest.raises(InputError, match=message):
        build({"_target_": TARGET, "transforms": {}, "copy_paste": parameters}, "augment")


def test_bad_transforms_are_refused_when_the_group_is_built():
    with pytest.raises(InputError, match="Unknown augmentation 'blur'; known are"):
        build({"_target_": TARGET, "transforms": {"blur": {"p": 1}}}, "augment")
    with pytest.raises(InputError, match=r"augment.strength=3 is no setting of .*; it has transforms, copy_paste"):
        build({"_target_": TARGET, "strength": 3}, "augment")


def test_every_configuration_builds_and_without_pasting_is_the_transforms_alone(manifest):
    image, labels = disc_smear(seed=9)
    for path in CONF.glob("*.yaml"):
        settings = yaml.safe_load(path.read_text())
        augment = build(settings, "augment").build(manifest.split("train"), 0, RGB)
        changed, moved = augment(image, labels, 4)
        if settings["copy_paste"] is None:
            expected = build_augmentation(settings["transforms"])(image, labels, 4)
            assert np.array_equal(changed, expected[0])
            assert np.array_equal(moved, expected[1])
        else:
            assert len(np.unique(moved)) > len(np.unique(labels))


def test_donor_images_are_not_read_where_nothing_is_pasted(manifest):
    gone = replace(manifest.split("train")[0], loader=FilePair(Path("nowhere.png"), Path("nowhere.png")))
    TrainingAugmentation().build([gone], 0, RGB)
    with pytest.raises(InputError, match=r"nowhere\.png: no such file"):
        TrainingAugmentation(copy_paste={}).build([gone], 0, RGB)


def test_cells_are_pasted_before_the_transforms_each_with_a_seed_of_its_own(manifest):
    image, labels = disc_smear(seed=9)
    train = manifest.split("train")
    both = TrainingAugmentation(FLIPS, {"p": 1.0}).build(train, 3, RGB)
    paste, flips = CopyPaste(train, CopyPasteSettings(p=1.0), 3), build_augmentation(FLIPS)
    first, second = map(int, np.random.SeedSequence(7).generate_state(2))
    for made, expected in zip(both(image, labels, 7), flips(*paste(image, labels, first), second), strict=True):
        assert np.array_equal(made, expected)


def test_two_channels_of_16_bits_are_augmented(manifest):
    donors = [fluorescent_sample(name, seed) for seed, name in enumerate("abc")]
    image, labels = fluorescent_pair(5)
    augment = TrainingAugmentation(FLIPS, {"p": 1.0, "cells": [3, 5]}).build(donors, 0, TWO_CHANNELS)
    changed, moved = augment(image, labels, 1)
    assert (changed.shape, changed.dtype) == (image.shape, np.uint16)
    assert moved.max() > labels.max()
    with pytest.raises(InputError, match=r"augment\.transforms\.grayscale needs three channels"):
        TrainingAugmentation({"grayscale": {"p": 1}}).build(donors, 0, TWO_CHANNELS)


def test_what_decides_is_plain_values():
    decisive = TrainingAugmentation({"affine": {"scale": (0.8, 1.2)}}, {"cells": [1, 3]}).decisive()
    assert decisive == to_plain(decisive)
    assert decisive["transforms"] == {"affine": {"scale": [0.8, 1.2]}}
    assert decisive["copy_paste"] == {**asdict(CopyPasteSettings()), "cells": [1, 3]}


def test_all_that_decides_enters_keys():
    def key(*settings):
        return content_hash(TrainingAugmentation(*settings).decisive())

    assert key(FLIPS) == key(dict(FLIPS), None)
    assert key({}, {}) == key({}, {"p": 0.5, "cells": [5, 20]}) != key({})
    # The order of the transforms decides, too.
    backwards = dict(reversed(FLIPS.items()))
    assert len({key(), key(FLIPS), key(backwards), key({**FLIPS, "vertical_flip": {"p": 1}}), key({}, {"p": 1})}) == 5
