import csv

import nibabel as nib
import numpy as np
import pytest
from brain_helpers import subject

from rbc_lightning.core.build import build
from rbc_lightning.core.store import Store
from rbc_lightning.data.readers.brain_phantom import reader as reader_module
from rbc_lightning.data.readers.brain_phantom import write_brains
from rbc_lightning.data.readers.brain_phantom.placement import draw_placement
from rbc_lightning.data.readers.brain_phantom.subject import Subject
from rbc_lightning.errors import InputError

SPEC = {
    "_target_": "rbc_lightning.data.readers.brain_phantom.BrainPhantomReader",
    "name": "mri_phantom",
    "n_train": 2,
    "n_test": 1,
    "n_external": 1,
    "coarseness": 4,
    "phantom_seed": 0,
    "outline": "brain",
    "side": 64,
    "spacing": 3.6,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store whose phantom has subjects that other tests draw as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader_module, "draw_subject", lambda spec, seed, number: subject(number, spec.tumour))
        yield Store(tmp_path_factory.mktemp("store"), lambda line: None)


@pytest.fixture
def boxes(monkeypatch):
    """Instead of heads, small volumes that tell the arguments apart."""

    def draw(spec, seed, number):
        rng = np.random.default_rng([seed, number])
        flair, t1w, labels = rng.integers(0, 100, (3, 4, 5, 6))
        place = draw_placement(rng, (spec.in_plane, spec.in_plane, 7.0), labels.shape)
        return Subject(labels.astype(np.uint8), flair.astype(np.int16), t1w.astype(np.int16), place)

    monkeypatch.setattr(reader_module, "draw_subject", draw)


def test_the_phantom_is_drawn_once_and_read_as_slices_of_patients(store):
    reader = build(SPEC, "data")
    manifest = reader.read(store)
    assert {s.volume: s.split for s in manifest.samples} == {
        "sub-0001": "train",
        "sub-0002": "train",
        "sub-1001": "test",
        "sub-2001": "external",
    }
    assert all(s.group == s.volume for s in manifest.samples)
    assert reader.groups() == {s.group: s.split for s in manifest.samples}
    spec = manifest.spec.with_context()
    assert (spec.channels, spec.classes) == (("FLAIR", "T1w"), ("lesion", "ventricles", "rim", "brain"))
    assert manifest.spec.classes == ("lesion",)
    assert manifest.samples[0].load_image().shape == (64, 64, 2)
    assert {value for s in manifest.samples for value in np.unique(s.load_label_map())} == {0, 1}
    with (store.path(reader.phantom) / "participants.tsv").open(newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    assert rows[3] == {"participant_id": "sub-2001", "group": "sub-2001", "split": "external", "site": "thin_3T"}
    before = [path.stat().st_mtime_ns for path in sorted(store.path(reader.phantom).rglob("*.nii.gz"))]
    assert reader.read(store).fingerprint() == manifest.fingerprint()
    assert before == [path.stat().st_mtime_ns for path in sorted(store.path(reader.phantom).rglob("*.nii.gz"))]
    few = build({**SPEC, "slices_per_patient": 3}, "data")
    assert len(few.narrow(manifest).split("train")) == 6
    assert len(few.narrow(manifest).split("test")) == len(manifest.split("test"))
    assert reader.overrides() == ["data=mri_phantom"]


def test_a_tumour_is_three_classes_to_find(store):
    reader = build({**SPEC, "tumour": True, "n_external": 0}, "data")
    spec = reader.read(store).spec
    assert (spec.classes, spec.context[-1]) == (("oedema", "core", "enhancing"), "brain")


def test_more_subjects_and_a_killed_attempt_leave_earlier_ones_to_the_byte(tmp_path, boxes):
    few, more = {"train": 1, "test": 1}, {"train": 2, "test": 1, "external": 1}
    write_brains(tmp_path / "a", few, 3, 5.0)
    write_brains(tmp_path / "b", {"train": 1}, 3, 5.0)
    first = tmp_path / "b" / "sub-0001"
    (first / "sub-0001_dseg.nii.gz").unlink()
    calls = []
    write_brains(tmp_path / "b", more, 3, 5.0, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for path in (tmp_path / "a").rglob("*.nii.gz"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_files_hold_small_integers_and_the_slope_of_their_scanner(tmp_path, boxes):
    write_brains(tmp_path, {"train": 1}, 0, 5.0)
    image = nib.load(tmp_path / "sub-0001" / "sub-0001_FLAIR.nii.gz")
    assert image.get_data_dtype() == np.int16
    assert image.header.get_xyzt_units()[0] == "mm"
    assert np.array_equal(image.get_sform(), image.affine)
    assert nib.load(tmp_path / "sub-0001" / "sub-0001_dseg.nii.gz").get_data_dtype() == np.uint8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_train": 1}, "data.n_train=1; expected a whole number of at least 2"),
        ({"n_test": 0}, "data.n_test=0; expected a whole number of at least 1"),
        ({"n_test": 1000}, "data.n_test=1000; expected at most 999 subjects of a split"),
        ({"phantom_seed": -1}, "data.phantom_seed=-1; expected a whole number of at least 0"),
        ({"coarseness": 0.5}, r"data.coarseness=0.5; expected a number from 1 to 6"),
    ],
)
def test_settings_are_checked_when_the_reader_is_built(settings, message):
    with pytest.raises(InputError, match=message):
        build({**SPEC, **settings}, "data")


def test_its_scans_are_read_with_all_its_settings(tmp_path):
    reader = build({**SPEC, "folds": 3, "fold": 1, "slices_per_patient": 5}, "data").at(tmp_path)
    assert (reader.root, reader.name, reader.folds, reader.fold, reader.slices_per_patient) == (tmp_path, SPEC["name"], 3, 1, 5)
    preparation = reader.preparation
    assert (preparation.channels, preparation.targets, preparation.side) == (("FLAIR", "T1w"), ("lesion",), 64)


def test_the_key_follows_from_the_settings_of_the_scans_alone():
    key = build(SPEC, "data").phantom.key
    assert build({**SPEC, "side": 32, "outline": None, "name": "other"}, "data").phantom.key == key
    changed = {"n_train": 3, "n_test": 2, "n_external": 2, "coarseness": 5, "tumour": True, "phantom_seed": 1}
    assert len({key, *(build({**SPEC, name: value}, "data").phantom.key for name, value in changed.items())}) == 7
