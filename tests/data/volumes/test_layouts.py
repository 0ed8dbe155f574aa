import json

import pytest
from volume_samples import described, touch, triple, write_scan, write_table

from rbc_lightning.data.volumes.layouts import find_scans, told_classes
from rbc_lightning.errors import InputError

CHANNELS = ("FLAIR", "T1w")


def nnunet(root, **changes):
    for case in ("ms_1", "ms_2"):
        touch(root, *(f"imagesTr/{case}_{number:04d}.nii.gz" for number in range(3)), f"labelsTr/{case}.nii.gz")
    content = {"channel_names": {"0": "T1", "1": "FLAIR", "2": "T2"}, "labels": {"background": 0, "lesion": 1}}
    (root / "dataset.json").write_text(json.dumps({**content, "file_ending": ".nii.gz", **changes}))
    return root


def test_nnunets_layout(tmp_path):
    nnunet(tmp_path)
    touch(tmp_path, "imagesTs/ms_3_0000.nii.gz", "imagesTs/ms_3_0001.nii.gz")
    expected = ("ms_1", "train", "imagesTr/ms_1_0001.nii.gz", "imagesTr/ms_1_0000.nii.gz", "labelsTr/ms_1.nii.gz")
    assert described(tmp_path)["ms_1"] == expected
    assert set(described(tmp_path)) == {"ms_1", "ms_2"}
    touch(tmp_path, "labelsTs/ms_3.nii.gz")
    assert described(tmp_path)["ms_3"][:2] == ("ms_3", "test")
    write_table(tmp_path, [("ms_1", "p", "train"), ("ms_2", "p", "train")])
    assert [found[:2] for found in described(tmp_path).values()] == [("p", "train"), ("p", "train"), ("ms_3", "test")]


def test_nnunets_older_names_of_channels(tmp_path):
    nnunet(tmp_path, channel_names=None, modality={"0": "FLAIR", "1": "T1w"})
    assert described(tmp_path)["ms_2"][2:4] == ("imagesTr/ms_2_0000.nii.gz", "imagesTr/ms_2_0001.nii.gz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"channel_names": {"0": "T2", "1": "FLAIR"}},
            r"dataset\.json: no channel T1w among T2, FLAIR; .* or take data\.channels=\[FLAIR\], which every scan has",
        ),
        ({"channel_names": None}, r"dataset\.json: cannot be read .*expected \"channel_names\": {\"0\": \"FLAIR\"}"),
        ({"file_ending": ".nrrd"}, r"files ending in \.nrrd; expected \.nii\.gz or \.nii: convert them"),
    ],
)
def test_a_bad_description_of_nnunet_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        find_scans(nnunet(tmp_path, **changes), CHANNELS)


def test_missing_files_of_nnunet_are_named(tmp_path):
    (nnunet(tmp_path) / "labelsTr" / "ms_2.nii.gz").unlink()
    with pytest.raises(InputError, match=r"labelsTr/ms_2\.nii\.gz: no such file; expected the mask of ms_2_0001\.nii\.gz"):
        find_scans(tmp_path, CHANNELS)
    (tmp_path / "imagesTr" / "ms_1_0000.nii.gz").unlink()
    with pytest.raises(InputError, match=r"imagesTr/ms_1_0000\.nii\.gz: no such file; expected channel T1w"):
        find_scans(tmp_path, CHANNELS)
    (tmp_path / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"dataset\.json: no such file, yet there is imagesTr/"):
        find_scans(tmp_path, CHANNELS)


@pytest.mark.parametrize("prefix", ["", "training/"])
def test_the_layout_of_the_wmh_challenge(tmp_path, prefix):
    files = ("pre/FLAIR.nii.gz", "pre/T1.nii.gz", "wmh.nii.gz")
    touch(
        tmp_path, *(f"{prefix}Utrecht/0/{name}" for name in (*files, "pre/3DT1.nii.gz", "orig/FLAIR.nii.gz", "orig/T1.nii.gz"))
    )
    touch(tmp_path, *(f"test/GE3T/100/{name}" for name in files))
    assert described(tmp_path) == {
        "Utrecht_0": ("Utrecht_0", "train", *(f"{prefix}Utrecht/0/{name}" for name in files)),
        "GE3T_100": ("GE3T_100", "test", *(f"test/GE3T/100/{name}" for name in files)),
    }
    write_table(tmp_path, [("Utrecht_0", "p", "external")])
    assert described(tmp_path)["Utrecht_0"][:2] == ("p", "external")


def test_rows_of_no_case_are_refused(tmp_path):
    nnunet(tmp_path / "a")
    touch(tmp_path / "a", "imagesTs/ms_3_0000.nii.gz")
    write_table(tmp_path / "a", [("ms_1", "p", "train"), ("ms_3", "q", "test")])
    assert described(tmp_path / "a")["ms_1"][:2] == ("p", "train")
    touch(tmp_path / "b", "0/pre/FLAIR.nii.gz", "0/pre/T1.nii.gz", "0/wmh.nii.gz")
    for name, cases in (("a", "ms_1, ms_2, ms_3"), ("b", "0")):
        write_table(tmp_path / name, [("7", "p", "train")])
        with pytest.raises(InputError, match=rf"no files of participant '7'; expected .* among {cases}: mend the table"):
            find_scans(tmp_path / name, CHANNELS)


@pytest.mark.parametrize("name", ["participants.csv", "participants.xlsx", "Participants.txt"])
def test_a_table_that_would_not_be_read_is_refused(tmp_path, name):
    touch(tmp_path, *triple("sub-1/sub-1_"), name)
    with pytest.raises(
        InputError, match=rf"{name}: not read; expected participants\.tsv, columns parted by tabs: save it so, or"
    ):
        find_scans(tmp_path, CHANNELS)
    write_table(tmp_path, [("sub-1", "p", "train")])
    assert set(described(tmp_path)) == {"sub-1"}


def test_the_channels_that_every_scan_has_are_named_where_another_is_missing(tmp_path):
    for name in ("sub-1", "sub-2"):
        write_scan(tmp_path, name, 0)
    (tmp_path / "sub-2" / "sub-2_T1w.nii.gz").unlink()
    with pytest.raises(
        InputError,
        match=r"no channel T1w .*: rename or add it, name .*, or take data\.channels=\[FLAIR\], which every scan has$",
    ):
        find_scans(tmp_path, CHANNELS)
    (tmp_path / "sub-1" / "sub-1_FLAIR.nii.gz").unlink()
    with pytest.raises(InputError, match=r"or leave the scan out$"):
        find_scans(tmp_path, CHANNELS)


def test_folders_without_scans_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder; point data\.root at a folder of scans"):
        find_scans(tmp_path / "nowhere", CHANNELS)
    with pytest.raises(InputError, match=r"no scan; expected folders such as sub-01/ with sub-01_FLAIR\.nii\.gz"):
        find_scans(tmp_path, CHANNELS)
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "IM0001").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InputError, match=r"series: DICOM files \(IM0001\); convert it to \.nii\.gz with dcm2niix"):
        find_scans(tmp_path, CHANNELS)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"background": 0, "lesion": 1, "core": 2}, {1: "lesion", 2: "core"}),
        ({"0": "background", "1": "lesion"}, {1: "lesion"}),
        ({"background": 0, "whole": [1, 2]}, None),
        (None, None),
    ],
)
def test_nnunet_tells_what_values_are(tmp_path, labels, told):
    assert told_classes(nnunet(tmp_path, labels=labels)) == told


def test_the_wmh_challenge_has_other_pathology_as_2(tmp_path):
    assert told_classes(tmp_path) is None
    touch(tmp_path, "Utrecht/0/pre/FLAIR.nii.gz")
    assert told_classes(tmp_path) == {1: "lesion", 2: None}
