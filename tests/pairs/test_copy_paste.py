"""Pairs without a generator: cells pasted into real images."""

import numpy as np
import pytest
from pix2pix_helpers import TWO_16, make_train
from slice_samples import slice_manifest

from rbc_lightning.core.build import build
from rbc_lightning.core.store import Store
from rbc_lightning.data.manifest import Samples
from rbc_lightning.data.spec import RGB
from rbc_lightning.errors import InputError

SPEC = {"_target_": "rbc_lightning.pairs.copy_paste.CopyPastePairs", "cells": [1, 3]}


def source(train=None, seed=0, **settings):
    train = make_train() if train is None else train
    return build({**SPEC, **settings}, "pairs", train=train, seed=seed, style="per_image", masks=None, translator=None)


@pytest.mark.parametrize("spec", [RGB, TWO_16], ids=lambda spec: "_".join(spec.channels))
def test_a_training_image_gets_further_cells(tmp_path, spec):
    train = make_train(spec)
    draw = source(train).open(Store(tmp_path, str))
    pairs, hosts = [draw(index) for index in range(4)], set()
    for pair in pairs:
        (host,) = [s for s in train if (s.load_label_map()[pair.label_map <= 6] == pair.label_map[pair.label_map <= 6]).all()]
        hosts.add(host.sample_id)
        assert pair.image.shape == host.load_image().shape
        assert pair.image.dtype == spec.dtype
        changed = (pair.image != host.load_image()).any(axis=2)
        assert changed[pair.label_map > 6].mean() > 0.9 or not (pair.label_map > 6).any()
    assert max(pair.label_map.max() for pair in pairs) > 6
    assert len(hosts) > 1
    assert np.array_equal(draw(2).image, pairs[2].image)


def test_settings_are_checked_and_decide_the_key():
    with pytest.raises(InputError, match=r"pairs: cells must be \[smallest, largest\] number of cells.*got \[3, 1\]"):
        source(cells=[3, 1])
    with pytest.raises(InputError, match=r"pairs\.p=0\.5 is no setting of CopyPastePairs; it has cells, max_overlap, feather"):
        source(p=0.5)
    assert source().p == 1.0
    keys = {source(**change).key for change in ({}, {"cells": [1, 4]}, {"max_overlap": 0.2}, {"seed": 1})}
    assert len(keys) == 4


def test_label_maps_of_classes_have_no_cells_to_cut_out():
    with pytest.raises(InputError, match="pairs=copy_paste cuts out single cells, and these label maps hold classes; take"):
        source(Samples(slice_manifest().split("train")))
