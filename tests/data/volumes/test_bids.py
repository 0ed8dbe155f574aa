import pytest
from volume_samples import described, touch, triple, write_scan, write_table

from rbc_lightning.data.volumes.bids import unlisted
from rbc_lightning.data.volumes.layouts import find_scans
from rbc_lightning.errors import InputError

CHANNELS = ("FLAIR", "T1w")


def test_a_folder_with_a_table(tmp_path):
    for name in ("sub-1", "sub-2", "sub-3", "sub-unlisted"):
        touch(tmp_path, *triple(f"{name}/{name}_"))
    # Masks of others: no participant is called so.
    touch(tmp_path, "bank/ljubljana01.nii.gz", "sourcedata/sub-1/sub-1_FLAIR.nii.gz")
    rows = [("sub-1", "p", "train"), ("2", "p", "train"), ("sub-3", "q", "external")]
    write_table(tmp_path, rows)
    assert described(tmp_path) == {
        "sub-1": ("p", "train", *triple("sub-1/sub-1_")),
        "2": ("p", "train", *triple("sub-2/sub-2_")),
        "sub-3": ("q", "external", *triple("sub-3/sub-3_")),
    }
    assert unlisted(tmp_path) == ["sub-unlisted"]


def test_without_a_table_every_participant_is_a_group_of_train(tmp_path):
    touch(tmp_path, *triple("sub-2/anat/sub-2_"), "sub-1_FLAIR.nii.gz", "sub-1_T1w.nii.gz")
    touch(tmp_path, "derivatives/lesions/sub-1/anat/sub-1_space-flair_label-lesion_mask.nii.gz")
    assert described(tmp_path) == {
        "sub-1": (
            *("sub-1", "train", "sub-1_FLAIR.nii.gz", "sub-1_T1w.nii.gz"),
            "derivatives/lesions/sub-1/anat/sub-1_space-flair_label-lesion_mask.nii.gz",
        ),
        "sub-2": ("sub-2", "train", *triple("sub-2/anat/sub-2_")),
    }
    assert unlisted(tmp_path) == []


def test_sessions_are_scans_of_one_group(tmp_path):
    for session in ("ses-1", "ses-2"):
        touch(tmp_path, *triple(f"sub-1/{session}/anat/sub-1_{session}_"))
    touch(tmp_path, *triple("sub-1_ses-3_"), *triple("sub-12_"))
    assert {name: found[:2] for name, found in described(tmp_path).items()} == {
        "sub-1_ses-1": ("sub-1", "train"),
        "sub-1_ses-2": ("sub-1", "train"),
        "sub-1_ses-3": ("sub-1", "train"),
        "sub-12": ("sub-12", "train"),
    }
    write_table(tmp_path, [("sub-1", "test", "2"), ("sub-12", "train", "")], ("participant_id", "split", "session_id"))
    assert {name: found[:2] for name, found in described(tmp_path).items()} == {
        "sub-1_ses-2": ("sub-1", "test"),
        "sub-12": ("sub-12", "train"),
    }


def test_the_table_wins_over_names(tmp_path):
    touch(tmp_path, *triple("a/a_"), "a/other_FLAIR.nii.gz", "elsewhere/truth.nii.gz")
    write_table(tmp_path, [("a", "a/other_FLAIR.nii.gz", "elsewhere/truth.nii.gz")], ("participant_id", "flair", "mask"))
    assert described(tmp_path)["a"][2:] == ("a/other_FLAIR.nii.gz", "a/a_T1w.nii.gz", "elsewhere/truth.nii.gz")


def test_sessions_of_one_patient_in_two_splits_are_refused(tmp_path):
    for session in ("ses-1", "ses-2"):
        touch(tmp_path, *triple(f"sub-1/{session}/sub-1_{session}_"))
    rows = [("sub-1", "ses-1", "train"), ("sub-1", "ses-2", "test")]
    write_table(tmp_path, rows, ("participant_id", "session_id", "split"))
    with pytest.raises(
        InputError, match="patient 'sub-1' is in two splits: scan 'sub-1_ses-1' in train, 'sub-1_ses-2' in test"
    ):
        find_scans(tmp_path, CHANNELS)


def test_a_missing_channel_or_mask_names_the_scan(tmp_path):
    write_scan(tmp_path, "sub-1", 0, n_lesions=0)
    (tmp_path / "sub-1" / "sub-1_T1w.nii.gz").unlink()
    with pytest.raises(
        InputError, match=r"sub-1: no channel T1w of scan 'sub-1' among sub-1_FLAIR\.nii\.gz, sub-1_dseg\.nii\.gz;"
    ):
        find_scans(tmp_path, CHANNELS)
    (tmp_path / "sub-1" / "sub-1_dseg.nii.gz").unlink()
    with pytest.raises(InputError, match="no mask of scan 'sub-1'"):
        find_scans(tmp_path, ("FLAIR",))


def test_a_row_without_files_names_those_that_there_are(tmp_path):
    for name in ("sub-01", "sub-02"):
        touch(tmp_path, *triple(f"{name}/ses-01/{name}_ses-01_"))
    # A spreadsheet takes 01 for a number.
    write_table(tmp_path, [("1", "p", "test")])
    with pytest.raises(
        InputError, match=r"no files of participant '1'; expected a folder, .* among sub-01, sub-02: mend the table"
    ):
        find_scans(tmp_path, CHANNELS)
    write_table(tmp_path, [("01", "1")], ("participant_id", "session_id"))
    with pytest.raises(InputError, match=r"no files of session '1' of '01'; expected one of ses-01: mend the table"):
        find_scans(tmp_path, CHANNELS)


def test_names_of_participants_and_sessions_are_compared_without_case(tmp_path):
    names = [name.upper() for name in triple("sub-1/ses-a/sub-1_ses-a_")]
    touch(tmp_path, *names)
    assert described(tmp_path) == {"SUB-1_SES-A": ("SUB-1", "train", *names)}
    write_table(tmp_path, [("sub-1", "a", "test")], ("participant_id", "session_id", "split"))
    assert described(tmp_path) == {"sub-1_ses-a": ("sub-1", "test", *names)}
    assert unlisted(tmp_path) == []


def test_one_scan_in_two_rows_is_refused(tmp_path):
    touch(tmp_path, *triple("sub-1/sub-1_"))
    write_table(tmp_path, [("sub-1", "p", "train"), ("1", "p", "train")])
    with pytest.raises(InputError, match=r"scans 'sub-1' and '1' are one, with the image .*sub-1_FLAIR\.nii\.gz"):
        find_scans(tmp_path, CHANNELS)


def test_dicom_of_a_participant_is_refused(tmp_path):
    (tmp_path / "sub-1").mkdir()
    (tmp_path / "sub-1" / "0001.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InputError, match="dcm2niix"):
        find_scans(tmp_path, CHANNELS)
