from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from volume_samples import CLASSES, ROWS, tiny_scan, write_nifti, write_scans

from rbc_lightning.core.store import Store
from rbc_lightning.data.readers.nifti import NiftiReader
from rbc_lightning.data.readers.nifti.reader import LEAST_BRAIN
from rbc_lightning.errors import InputError

REAL = Path(__file__).resolve().parents[5] / "shared" / "mri"


def reader(root, **changes):
    plain = {"name": "mri", "channels": ["FLAIR", "T1w"], "classes": CLASSES, "targets": ["lesion"], "outline": "brain"}
    return NiftiReader(root=root, **{**plain, "side": 40, **changes})


def test_scans_are_read_as_slices(tmp_path):
    made = reader(str(write_scans(tmp_path / "scans")), channels=["t1w"], targets=None, outline=None)
    manifest = made.read(Store(tmp_path / "store", lambda text: None))
    assert Counter(sample.split for sample in manifest.samples) == {"train": 24, "test": 12, "external": 6}
    assert (manifest.spec.channels, manifest.spec.classes, manifest.spec.context) == (("t1w",), tuple(CLASSES.values()), ())
    assert made.groups() == {sample.group: sample.split for sample in manifest.samples}


@pytest.mark.parametrize("root", [2024, float("nan")])
def test_a_folder_may_be_called_by_a_number(root):
    assert reader(root).root == Path(str(root))


def test_narrowing_keeps_what_is_asked_for(tmp_path):
    made = reader(write_scans(tmp_path / "scans", ROWS[:3]), slices_per_patient=2)
    manifest = made.narrow(made.read(Store(tmp_path / "store", lambda text: None)))
    assert Counter(sample.group for sample in manifest.samples) == {"p1": 2, "p2": 2}
    assert min(sample.loader.brain for sample in manifest.samples) > LEAST_BRAIN * 500


def test_participants_without_a_row_are_told(tmp_path):
    root = write_scans(tmp_path / "scans", ROWS[:2])
    (root / "sub-99").mkdir()
    made = reader(root)
    manifest = made.read(Store(tmp_path / "store", lambda text: None))
    left_out = "note: sub-99 is not in participants.tsv and takes no part"
    assert made.notes(manifest) == [left_out]
    told = replace(made, classes=None).notes(manifest)
    assert told[0] == left_out
    assert "taken for 1 lesion (what is segmented and scored), 2 ventricles, 3 rim" in told[1]
    assert "set data.classes, such as 'data.classes={1: lesion, 2: null}'" in told[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slices_chosen": "best"}, r"data\.slices_chosen=best; expected one of spread, most"),
        ({"slices_per_patient": 0}, r"data\.slices_per_patient=0; expected a whole number"),
        ({"targets": ["tumour"]}, "data.targets: 'tumour'"),
        ({"channels": []}, "channels"),
        ({"channels": "FLAIR"}, r"data\.channels=FLAIR; expected a list, such as \[FLAIR,T1w\]"),
        ({"targets": "lesion"}, r"data\.targets=lesion; expected a list, such as \[lesion\], or null"),
        (
            {"classes": ["lesion"]},
            r"data\.classes=\['lesion'\]; expected whole numbers with names, such as {1: lesion, 2: null}",
        ),
        ({"classes": {"lesion": 1}}, r"data\.classes={'lesion': 1}; expected whole numbers with names"),
        ({"classes": {1: 2}}, r"data\.classes={1: 2}; expected whole numbers with names"),
    ],
)
def test_bad_settings_are_refused_by_name(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        reader(tmp_path, **changes)


def test_classes_are_those_of_the_table_alone(tmp_path):
    assert reader(tmp_path, classes=None).preparation.names == ("lesion", "ventricles", "rim", "brain")
    made = reader(tmp_path, classes={"1": "core", "4": "enhancing", 2: None}, targets=None)
    assert made.preparation.classes == {1: "core", 4: "enhancing", 2: None}
    assert made.preparation.names == ("core", "enhancing", "brain")


def test_values_that_are_others_by_the_layout_are_refused(tmp_path):
    flair, t1, labels = tiny_scan(0)
    for name, array in (("pre/FLAIR", flair), ("pre/T1", t1), ("wmh", labels)):
        write_nifti(tmp_path / "Utrecht" / "0" / f"{name}.nii.gz", array)
    with pytest.raises(InputError, match=r"2: null \(null: background\), .*; set 'data.classes=\{1: lesion, 2: null\}'$"):
        reader(tmp_path, classes=None).scans()
    assert len(reader(tmp_path, classes={1: "lesion", 2: None}).scans()) == 1
    assert reader(tmp_path, classes=None, targets=None).preparation.names == ("lesion", "ventricles", "rim", "brain")


@pytest.mark.parametrize(
    ("ignore", "message"),
    [
        (["lesion"], r"data.ignore: 'lesion'; expected classes of masks that are no targets \(ventricles, rim\), or null"),
        (["brain"], "data.ignore: 'brain'; expected classes of masks"),
        ("rim", r"data.ignore=rim; expected a list, such as \[rim\]"),
    ],
)
def test_what_cannot_be_ignored_is_refused(ignore, message):
    assert reader("scans", ignore=["rim"]).ignore == ("rim",)
    with pytest.raises(InputError, match=message):
        reader("scans", ignore=ignore)


def test_the_command_names_the_folder(tmp_path):
    assert reader(tmp_path).overrides() == ["data=mri", "data.name=mri", f"data.root={tmp_path}"]


@pytest.mark.skipif(not (REAL / "participants.tsv").is_file(), reason="the shared brain scans are not beside the checkout")
def test_the_shared_scans_are_read(tmp_path):
    manifest = reader(REAL, side=64, spacing=3.6).read(Store(tmp_path / "store", lambda text: None))
    volumes = {sample.volume: (sample.split, sample.group) for sample in manifest.samples}
    assert Counter(split for split, _ in volumes.values()) == {"train": 7, "test": 4, "external": 2}
    assert volumes["sub-107130"] == volumes["sub-112776"] == ("train", "tabriz-107130")
    with_lesion = Counter(sample.split for sample in manifest.samples if sample.loader.targets)
    assert with_lesion == {"train": 73, "test": 44, "external": 55}
