import pytest

from rbc_lightning.data.volumes.names import canonical, find_images, find_mask, nifti_files, refuse_foreign
from rbc_lightning.errors import InputError

CHANNELS = ("FLAIR", "T1w")


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"0")
    return nifti_files(folder)


@pytest.mark.parametrize(
    "names",
    [
        ("sub-1_FLAIR.nii.gz", "sub-1_T1w.nii.gz"),
        ("FLAIR.nii.gz", "T1.nii.gz"),
        ("sub-1_flair.nii", "sub-1_t1W.NII"),
        ("anat/sub-1_acq-thick_run-1_FLAIR.nii.gz", "anat/sub-1_space-flair_desc-preproc_T1w.nii.gz"),
        # An original beside what is registered to the FLAIR, whatever the case of its name.
        ("sub-1_FLAIR.nii.gz", "sub-1_space-flair_T1w.nii.gz", "sub-1_T1w.nii.gz"),
        ("sub-1_FLAIR.nii.gz", "sub-1_space-FLAIR_T1w.nii.gz", "sub-1_T1w.nii.gz", "sub-1_space-MNI_T1w.nii.gz"),
    ],
)
def test_channels_are_found_by_name(tmp_path, names):
    files = touch(tmp_path, *names, "sub-1_bold.nii.gz", "sub-1_dseg.nii.gz", "._sub-1_FLAIR.nii.gz", "T1.json")
    assert find_images(files, CHANNELS, "sub-1", tmp_path) == tuple(tmp_path / name for name in names[:2])
    assert find_images(files, ("T1", "flair"), "sub-1", tmp_path) == (tmp_path / names[1], tmp_path / names[0])


@pytest.mark.parametrize(
    "name",
    [
        "sub-1_dseg.nii.gz",
        "sub-1_label-lesion_mask.nii",
        "sub-1_space-flair_desc-Lesion_MASK.nii.gz",
        "wmh.nii.gz",
        "lesions.nii.gz",
        "derivatives/sub-1_FLAIR_seg-manual.nii.gz",
    ],
)
def test_a_mask_is_found_by_name_and_is_none_of_the_brain(tmp_path, name):
    files = touch(tmp_path, "sub-1_FLAIR.nii.gz", name, "sub-1_desc-brain_mask.nii.gz", "sub-1_label-GM_mask.nii.gz")
    assert find_mask(files, "sub-1", tmp_path) == tmp_path / name


def test_a_missing_channel_is_named_with_what_there_is(tmp_path):
    files = touch(tmp_path, "a_FLAIR.nii.gz", "a_T2w.nii.gz")
    message = (
        r"no channel T1w of scan 'a' among a_FLAIR\.nii\.gz, a_T2w\.nii\.gz; expected T1w\.nii\.gz or <name>_T1w\.nii\.gz:"
    )
    with pytest.raises(InputError, match=message):
        find_images(files, CHANNELS, "a", tmp_path)
    with pytest.raises(InputError, match="no channel FLAIR of scan 'a' nor any other NIfTI file"):
        find_images([], CHANNELS, "a", tmp_path)
    files = touch(tmp_path, *(f"a_{index}.nii.gz" for index in range(9)))
    with pytest.raises(InputError, match="and 5 more; expected"):
        find_images(files, CHANNELS, "a", tmp_path)


def test_a_missing_mask_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no mask of scan 'a' among a_FLAIR\.nii\.gz; expected <name>_dseg\.nii\.gz"):
        find_mask(touch(tmp_path, "a_FLAIR.nii.gz"), "a", tmp_path)


def test_of_two_files_none_is_guessed(tmp_path):
    files = touch(tmp_path, "FLAIR.nii.gz", "a_FLAIR.nii.gz", "a_dseg.nii.gz", "b/a_label-lesion_mask.nii.gz")
    with pytest.raises(InputError, match="2 files for the channel FLAIR of scan 'a': FLAIR"):
        find_images(files, CHANNELS, "a", tmp_path)
    with pytest.raises(InputError, match=r"2 files for the mask of scan 'a': a_dseg\.nii\.gz, b/a_label-lesion_mask\.nii\.gz;"):
        find_mask(files, "a", tmp_path)


def test_given_files_need_no_name(tmp_path):
    files = touch(tmp_path, "x.nii.gz", "a_T1w.nii.gz")
    found = find_images(files, CHANNELS, "a", tmp_path, {"flair": files[1]})
    assert found == (files[1], files[0])


@pytest.mark.parametrize("name", ["IM0001", "a.dcm", "a.IMA"])
def test_dicom_is_named_with_what_converts_it(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    with pytest.raises(InputError, match=rf"{tmp_path}.*convert it to \.nii\.gz with dcm2niix"):
        refuse_foreign([tmp_path / name])
    with pytest.raises(InputError, match="dcm2niix"):
        find_images([], CHANNELS, "a", tmp_path)


def test_other_files_are_no_scans(tmp_path):
    touch(tmp_path, "README", "a.json", "b.tsv")
    refuse_foreign(tmp_path.iterdir())
    (tmp_path / "c.nrrd").write_bytes(b"0")
    with pytest.raises(InputError, match=r"c\.nrrd: not NIfTI; convert it to \.nii\.gz with 3D Slicer"):
        refuse_foreign(sorted(tmp_path.iterdir()))


def test_names_are_compared_without_case():
    assert canonical(" T1W") == canonical("t1") == "t1"
    assert canonical("FLAIR") == "flair"
