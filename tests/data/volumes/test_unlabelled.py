import pytest

from rbc_lightning.data.volumes.layouts import find_scans
from rbc_lightning.data.volumes.unlabelled import find_unlabelled
from rbc_lightning.errors import InputError

CHANNELS = ("FLAIR", "T1w")


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def described(root, channels=CHANNELS, place=""):
    scans, errors = find_unlabelled(root / place, channels)
    told = {
        scan.scan_id: [str(path.relative_to(root)) if path else None for path in (*scan.images, scan.labels)] for scan in scans
    }
    return told, [str(error) for error in errors]


def test_files_of_one_folder_that_agree_but_for_the_channel_are_a_scan(tmp_path):
    touch(
        tmp_path,
        "sub-1/anat/sub-1_FLAIR.nii.gz",
        "sub-1/anat/sub-1_space-FLAIR_T1w.nii.gz",
        "b_flair.nii",
        "b_T1.nii",
        "b_dseg.nii",
    )
    touch(tmp_path, "notes.txt", "._b_flair.nii", "sub-1/anat/sub-1_dseg.nii.gz")
    told, errors = described(tmp_path)
    assert told == {
        "b": ["b_flair.nii", "b_T1.nii", "b_dseg.nii"],
        "sub-1": [f"sub-1/anat/sub-1_{name}.nii.gz" for name in ("FLAIR", "space-FLAIR_T1w", "dseg")],
    }
    assert errors == []


def test_a_scan_without_a_channel_is_an_error_beside_the_others_and_none_needs_a_mask(tmp_path):
    touch(tmp_path, "a_FLAIR.nii.gz", "a_T1w.nii.gz", "b_FLAIR.nii.gz")
    told, (error,) = described(tmp_path)
    assert told == {"a": ["a_FLAIR.nii.gz", "a_T1w.nii.gz", None]}
    assert "no channel T1w of scan 'b'" in error


def test_a_file_stands_for_its_scan(tmp_path):
    touch(tmp_path, "a_FLAIR.nii.gz", "a_T1w.nii.gz", "b_FLAIR.nii.gz", "b_T1w.nii.gz")
    assert list(described(tmp_path, place="b_FLAIR.nii.gz")[0]) == ["b"]


def test_with_one_channel_any_name_but_a_mask_will_do(tmp_path):
    touch(tmp_path, "a.nii.gz", "b_FLAIR.nii.gz", "a_mask.nii.gz", "b_dseg.nii.gz")
    told, _ = described(tmp_path, ("FLAIR",))
    assert told == {"a": ["a.nii.gz", "a_mask.nii.gz"], "b": ["b_FLAIR.nii.gz", "b_dseg.nii.gz"]}


def test_the_layouts_of_nnunet_and_of_the_challenge(tmp_path):
    touch(tmp_path, *(f"n/imagesTs/{case}_000{k}.nii.gz" for case in "cd" for k in (0, 1)), "n/labelsTs/c.nii.gz")
    assert described(tmp_path / "n", place="imagesTs")[0] == {
        "c": ["imagesTs/c_0000.nii.gz", "imagesTs/c_0001.nii.gz", "labelsTs/c.nii.gz"],
        "d": ["imagesTs/d_0000.nii.gz", "imagesTs/d_0001.nii.gz", None],
    }
    touch(tmp_path, "w/GE3T/100/pre/FLAIR.nii.gz", "w/GE3T/100/pre/T1.nii.gz", "w/GE3T/100/wmh.nii.gz")
    names = ("pre/FLAIR.nii.gz", "pre/T1.nii.gz", "wmh.nii.gz")
    assert described(tmp_path / "w")[0] == {"GE3T_100": [f"GE3T/100/{name}" for name in names]}


def test_two_scans_of_one_name_are_told_apart_by_their_folders(tmp_path):
    touch(tmp_path, *(f"{site}/x_{channel}.nii.gz" for site in "ab" for channel in CHANNELS))
    assert sorted(described(tmp_path)[0]) == ["a_x", "b_x"]


def test_a_case_of_the_challenge_is_called_as_in_a_data_set_wherever_it_is_asked_for_from(tmp_path):
    cases = ("training/Utrecht/0", "test/Singapore/4", "test/Amsterdam/GE3T/4", "additional/x/5")
    touch(tmp_path, *(f"{case}/{name}.nii.gz" for case in cases for name in ("pre/FLAIR", "pre/T1", "wmh")))
    assert sorted(described(tmp_path)[0]) == ["Amsterdam_GE3T_4", "Singapore_4", "Utrecht_0", "additional_x_5"]
    assert {scan.scan_id for scan in find_scans(tmp_path, CHANNELS)} == set(described(tmp_path)[0])
    assert sorted(described(tmp_path, place="test")[0]) == ["Amsterdam_GE3T_4", "Singapore_4"]
    assert list(described(tmp_path, place="test/Singapore")[0]) == ["4"]
    for place in ("", "/pre", "/pre/FLAIR.nii.gz"):
        told, _ = described(tmp_path, place=f"test/Singapore/4{place}")
        assert list(told) == ["4"]
        assert told["4"][-1] == "test/Singapore/4/wmh.nii.gz"
    touch(tmp_path, *(f"test/Utrecht/0/{name}.nii.gz" for name in ("pre/FLAIR", "pre/T1", "wmh")))
    assert {"test_Utrecht_0_pre", "training_Utrecht_0_pre"} < set(described(tmp_path)[0])


def test_participants_of_two_sites_are_called_by_site_and_name(tmp_path):
    touch(tmp_path, *(f"{site}/sub-1/anat/sub-1_{channel}.nii.gz" for site in "ab" for channel in CHANNELS))
    assert sorted(described(tmp_path)[0]) == ["a_sub-1", "b_sub-1"]


def test_a_mask_is_of_the_scan_whose_whole_name_it_has(tmp_path):
    touch(tmp_path, *(f"sub-{k}_{name}.nii.gz" for k in (1, 10) for name in (*CHANNELS, "dseg")))
    assert [files[-1] for files in described(tmp_path)[0].values()] == ["sub-10_dseg.nii.gz", "sub-1_dseg.nii.gz"]


def test_a_folder_called_as_a_file_is_none(tmp_path):
    touch(tmp_path, "a_FLAIR.nii.gz", "a_T1w.nii.gz", "out/a_FLAIR.nii.gz/lesions.csv", "b_T1w.nii.gz/lesions.csv")
    assert list(described(tmp_path)[0]) == ["a"]
    assert list(described(tmp_path, place="a_FLAIR.nii.gz")[0]) == ["a"]


@pytest.mark.parametrize("name", ["series/IM0001.dcm", "series/IM0001", "series/1.2.840.5"])
def test_dicom_is_refused_with_what_converts_it(tmp_path, name):
    touch(tmp_path, name)
    (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    for place in ("", "series", name):
        with pytest.raises(InputError, match=r"series: DICOM files .*dcm2niix"):
            find_unlabelled(tmp_path / place, CHANNELS)


def test_nothing_to_be_found_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        find_unlabelled(tmp_path / "none", CHANNELS)
    touch(tmp_path, "a.nii.gz", "b.png")
    with pytest.raises(InputError, match="no scan; expected NIfTI files named as FLAIR, T1w"):
        find_unlabelled(tmp_path, CHANNELS)


def test_what_the_challenge_made_its_images_from_is_left_out(tmp_path):
    touch(tmp_path, "0/pre/FLAIR.nii.gz", "0/orig/FLAIR.nii.gz", "0/wmh.nii.gz", "1/orig/FLAIR.nii.gz")
    told, errors = described(tmp_path, ("FLAIR",))
    assert told == {"0": ["0/pre/FLAIR.nii.gz", "0/wmh.nii.gz"], "1_orig": ["1/orig/FLAIR.nii.gz", None]}
    assert errors == []
