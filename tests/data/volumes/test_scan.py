from dataclasses import replace
from pathlib import Path

import pytest

from rbc_lightning.data.volumes.scan import Scan, check_scans
from rbc_lightning.errors import InputError

SCAN = Scan("a", "p", "train", (Path("a_FLAIR.nii"), Path("a_T1w.nii")), Path("a_dseg.nii"))


def test_files_are_those_of_channels_and_mask():
    assert [path.name for path in SCAN.files] == ["a_FLAIR.nii", "a_T1w.nii", "a_dseg.nii"]
    assert replace(SCAN, labels=None).files == SCAN.images


def test_two_scans_of_a_patient_are_fine_in_one_split():
    scans = SCAN, replace(SCAN, scan_id="b", images=(Path("b_FLAIR.nii"), Path("a_T1w.nii")))
    assert check_scans(iter(scans)) == scans


def test_a_patient_in_two_splits_is_refused():
    with pytest.raises(InputError, match="patient 'p' is in two splits: scan 'a' in train, 'b' in test; expected one: mend"):
        check_scans([SCAN, replace(SCAN, scan_id="b", split="test", images=(Path("b.nii"),))])


def test_a_name_given_twice_is_refused():
    with pytest.raises(InputError, match=r"scan 'a' stands twice \(a_FLAIR\.nii\)"):
        check_scans([SCAN, SCAN])


def test_the_files_of_one_scan_are_no_second_one():
    with pytest.raises(
        InputError, match=r"scans 'a' and 'b' are one, with the image a_FLAIR\.nii; expected files of its own for"
    ):
        check_scans([SCAN, replace(SCAN, scan_id="b")])
