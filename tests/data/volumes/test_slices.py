import pickle
from collections import Counter

import numpy as np
import pytest
from plain_samples import plain_manifest
from volume_samples import tiny_preparation, write_scans

from rbc_lightning.core.store import Store
from rbc_lightning.data.splits import cut_validation
from rbc_lightning.data.volumes.layouts import find_scans
from rbc_lightning.data.volumes.prepared import prepare_scans
from rbc_lightning.data.volumes.slices import narrow_slices


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    root = tmp_path_factory.mktemp("slices")
    scans = find_scans(write_scans(root / "scans"), ("FLAIR", "T1w"))
    return prepare_scans(scans, tiny_preparation(), Store(root / "store", lambda text: None))


def counts(manifest):
    return Counter(sample.split for sample in manifest.samples)


def test_a_loader_goes_to_workers_and_reads_one_slice(manifest):
    sample = pickle.loads(pickle.dumps(manifest.samples[2]))
    assert sample == manifest.samples[2]
    image, label_map = sample.load_image(), sample.load_label_map()
    np.testing.assert_array_equal(image, np.load(sample.loader.directory / "sub-01_image.npy")[2])
    assert image.flags.writeable
    assert type(image) is type(label_map) is np.ndarray
    assert sample.size == label_map.shape == (40, 40)


def test_training_slices_without_brain_are_dropped_others_stay(manifest):
    brains = {sample.sample_id: sample.loader.brain for sample in manifest.samples}
    half = narrow_slices(manifest, 0.5, None)
    largest = {sample.volume: 0 for sample in manifest.samples}
    for sample in manifest.samples:
        largest[sample.volume] = max(largest[sample.volume], brains[sample.sample_id])
    expected = [s.sample_id for s in manifest.samples if s.split != "train" or brains[s.sample_id] >= 0.5 * largest[s.volume]]
    assert [sample.sample_id for sample in half.samples] == expected
    assert counts(half)["test"] == counts(manifest)["test"] == 12
    assert counts(half)["train"] < counts(manifest)["train"]


def test_so_many_slices_of_each_patient_are_those_with_most_target(manifest):
    narrow = narrow_slices(manifest, 0.1, 3, "most")
    kept = Counter(sample.group for sample in narrow.samples if sample.split == "train")
    # Two scans of p2 share its three.
    assert kept == {"p1": 3, "p2": 3, "p4": 3}
    targets = {
        sample.sample_id: sample.loader.targets
        for sample in manifest.samples
        if sample.group == "p2" and sample.split == "train"
    }
    chosen = {name for name in narrow.ids("train") if name in targets}
    assert min(targets[name] for name in chosen) >= max(count for name, count in targets.items() if name not in chosen)
    assert narrow_slices(manifest, 0.1, 3, "most").fingerprint() == narrow.fingerprint()


def test_so_many_slices_of_each_patient_are_spread_over_the_brain(manifest):
    every = [sample for sample in narrow_slices(manifest, 0.1, None).samples if sample.split == "train"]
    narrow = narrow_slices(manifest, 0.1, 3)
    for group in ("p1", "p2", "p4"):
        names = [sample.sample_id for sample in every if sample.group == group]
        # The middles of three equal parts, whatever is in them.
        expected = [names[(2 * part + 1) * len(names) // 6] for part in range(3)]
        assert [sample.sample_id for sample in narrow.samples if sample.group == group and sample.split == "train"] == expected
    assert narrow_slices(manifest, 0.1, 100).ids("train") == tuple(sample.sample_id for sample in every)


def test_validation_keeps_every_slice(manifest):
    cut = cut_validation(manifest, 0.3, seed=1)
    assert counts(narrow_slices(cut, 0.9, 1))["val"] == counts(cut)["val"] >= 6


def test_samples_of_another_kind_are_no_slices():
    with pytest.raises(TypeError, match="a slice of a prepared scan was expected"):
        narrow_slices(plain_manifest(), 0.1, None)
