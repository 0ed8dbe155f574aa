import shutil

import nibabel as nib
import numpy as np
import pytest
from volume_samples import write_nifti, write_scans

from rbc_lightning.app import compose
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.plain import plain
from rbc_lightning.commands.predict_splits import reader_of, splits_of, tell_seen
from rbc_lightning.data.readers.brain_phantom.reader import write_brains
from rbc_lightning.data.volumes.unlabelled import find_unlabelled

CHANNELS = ("FLAIR", "T1w")


@pytest.fixture
def scans(tmp_path):
    return write_scans(tmp_path / "scans")


@pytest.fixture
def told(compose_tiny, tmp_path, scans):
    """The splits that are told of the scans in a folder, and the configuration of the run."""

    def call(place, *overrides):
        cfg = compose_tiny(tmp_path, "data=mri", "data.validation_fraction=0.34", *overrides, root=scans)
        found, _ = find_unlabelled(place, CHANNELS)
        return splits_of(found, reader_of(plain(cfg.data)), plain(cfg)), cfg

    return call


@pytest.mark.parametrize("overrides", [(), ("protocol=paper",), ("data.folds=3", "data.fold=1", "seed=3")])
def test_the_splits_are_those_of_the_run(told, scans, overrides):
    splits, cfg = told(scans, *overrides)
    assert splits == {sample.volume: sample.split for sample in Experiment(cfg).manifest.samples}
    assert len(splits) == 7


def test_of_some_real_slices_alone_all_patients_of_train_count(told, scans):
    assert told(scans, "data.n_real_images=6")[0] == told(scans)[0]


def test_a_scan_is_known_by_its_bytes_and_not_by_its_name(told, scans, tmp_path):
    for channel in CHANNELS:
        for old, new in (("sub-05", "a"), ("sub-01", "sub-06"), ("sub-02", "b")):
            (tmp_path / "in").mkdir(exist_ok=True)
            shutil.copy(scans / old / f"{old}_{channel}.nii.gz", tmp_path / "in" / f"{new}_{channel}.nii.gz")
    changed = tmp_path / "in" / "b_FLAIR.nii.gz"
    image = nib.load(changed)
    write_nifti(changed, np.asarray(image.dataobj) + np.int16(1), image.affine)
    splits, _ = told(tmp_path / "in")
    of_run, _ = told(scans)
    assert splits == {"a": "test", "b": "new", "sub-06": of_run["sub-01"]}


def test_where_the_data_set_is_gone_it_is_told(told, scans, tmp_path, capsys):
    shutil.copytree(scans, tmp_path / "in")
    shutil.rmtree(scans)
    assert told(tmp_path / "in")[0] == {}
    said = " ".join(capsys.readouterr().out.split())
    assert "note: whether any of the scans was trained on cannot be told:" in said
    assert "no such folder" in said


def test_scans_of_the_phantom_are_known_where_it_was_drawn(tmp_path):
    small = ("data.n_train=3", "data.n_test=1", "data.n_external=1", "data.coarseness=5", "data.phantom_seed=3")
    root = tmp_path / "artifacts"
    trained = plain(compose(["scale=tiny", "data=mri_phantom", f"artifacts_dir={root}", *small]))
    reader = reader_of(trained["data"])
    drawn = root / "brain_phantom" / reader.phantom.key
    write_brains(drawn, {"train": 3, "test": 1, "external": 1}, 3, 5.0)
    found, _ = find_unlabelled(drawn, CHANNELS)
    splits = splits_of(found, reader, trained)
    assert [splits[f"sub-{number}"] for number in ("1001", "2001")] == ["test", "external"]
    assert sorted(splits[f"sub-000{number}"] for number in (1, 2, 3)) == ["train", "train", "val"]


def test_what_the_run_was_fitted_to_is_named(capsys):
    tell_seen({"a": "test", "b": "new"})
    assert not capsys.readouterr().out
    tell_seen({"a": "test", "b": "train", "c": "val"})
    assert "note: fitted to by this run (train or val): b, c; what" in " ".join(capsys.readouterr().out.split())


def test_a_run_on_images_has_no_reader_of_scans(compose_tiny, tmp_path):
    assert reader_of(plain(compose_tiny(tmp_path).data)) is None
