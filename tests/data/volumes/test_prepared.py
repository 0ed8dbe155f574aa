import shutil
from collections import Counter

import numpy as np
import pytest
from volume_samples import AFFINE, ROWS, SHAPE, tiny_preparation, tiny_scan, write_nifti, write_scan, write_scans, write_table

from rbc_lightning.core.store import Store
from rbc_lightning.data import checked
from rbc_lightning.data.manifest import Samples
from rbc_lightning.data.volumes import prepared
from rbc_lightning.data.volumes.layouts import find_scans
from rbc_lightning.data.volumes.nifti import read_labels
from rbc_lightning.data.volumes.prepared import prepare_scans
from rbc_lightning.errors import InputError

CHANNELS = ("FLAIR", "T1w")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(checked, "_RESTED_NS", 0)
    return write_scans(tmp_path / "scans", ROWS[3:])


def read(folder, store=None, **changes):
    store = store or Store(folder.parent / "store", lambda text: None)
    return prepare_scans(find_scans(folder, CHANNELS), tiny_preparation(**changes), store)


def test_every_slice_is_a_sample_of_its_scan_and_patient(folder):
    manifest = read(folder)
    assert Counter(sample.split for sample in manifest.samples) == {"train": 6, "test": 12, "external": 6}
    sample = manifest.samples[6]
    assert (sample.sample_id, sample.volume, sample.slice, sample.group) == ("sub-05_000", "sub-05", 0, "p5")
    assert (sample.spec.spacing, sample.size) == ((4.5, 4.5), (40, 40))
    assert sample.place == (0, (4.5, 4.5, 20.0))
    assert manifest.samples[11].place == (5, (4.5, 4.5, 20.0))
    assert sample.where == f"{folder / 'sub-05' / 'sub-05_FLAIR.nii.gz'}, slice 0"
    assert manifest.spec.context == ("ventricles", "rim", "brain")


def test_slices_hold_images_targets_and_context(folder):
    samples = [sample for sample in read(folder).samples if sample.volume == "sub-05"]
    labels = read_labels(folder / "sub-05" / "sub-05_dseg.nii.gz").array
    for index, sample in enumerate(samples):
        image, label_map = sample.load_image(), sample.load_label_map()
        assert (image.shape, image.dtype) == ((40, 40, 2), np.uint16)
        assert (label_map == 1).sum() == (labels[..., index] == 1).sum() == sample.loader.targets
        assert label_map.max() <= 1
        with_context = sample.with_context().load_label_map()
        assert [(with_context == value).sum() for value in (2, 3)] == [(labels[..., index] == value).sum() for value in (2, 3)]
        assert sample.marked(("rim",)).sum() == (labels[..., index] == 3).sum()
        assert sample.marked(("lesion", "ventricles")).sum() == np.isin(labels[..., index], (1, 2)).sum()
    # Lesions are bright in the first channel, anterior is on top.
    image, lesion = samples[2].load_image(), samples[2].load_label_map() == 1
    assert image[lesion][:, 0].mean() > image[..., 0].mean() + 500
    columns, rows = np.nonzero(labels[..., 2] == 1)
    assert np.nonzero(lesion)[0].mean() == pytest.approx(SHAPE[1] - 1 - rows.mean())
    assert np.nonzero(lesion)[1].mean() == pytest.approx(columns.mean() + 3)


def test_the_second_start_reads_no_volume(folder, monkeypatch):
    first = read(folder)
    store = Store(folder.parent / "store", lambda text: None)
    read(folder, store)  # writes what has passed
    for name in ("read_volume", "read_labels", "brain_mask"):
        monkeypatch.setattr(prepared, name, None)
    monkeypatch.setattr(checked, "file_sha256", None)
    monkeypatch.setattr(np, "load", None)
    second = read(folder)
    assert second.fingerprint() == first.fingerprint()


def test_another_split_or_group_prepares_nothing_again(folder, monkeypatch):
    first = read(folder)
    monkeypatch.setattr(prepared, "brain_mask", None)
    write_table(folder, [(name, group, "train") for name, group, _ in ROWS[3:]])
    second = read(folder)
    assert {sample.split for sample in second.samples} == {"train"}
    assert [sample.image_sha256 for sample in second.samples] == [sample.image_sha256 for sample in first.samples]
    assert second.fingerprint() != first.fingerprint()


def test_a_changed_file_or_preparation_makes_other_slices(folder):
    keys = {Samples(read(folder, **changes).samples).key for changes in ({}, {"side": 44}, {"outline": None})}
    write_scan(folder, "sub-05", 99)
    keys.add(Samples(read(folder).samples).key)
    assert len(keys) == 4
    assert len(list((folder.parent / "store" / "volumes").glob("*/slices.csv"))) == 4


def test_where_the_scans_lie_does_not_matter(folder):
    first = Samples(read(folder).samples).key
    shutil.move(folder, folder.with_name("elsewhere"))
    assert Samples(read(folder.with_name("elsewhere")).samples).key == first


def test_sizes_may_differ_between_scans_where_no_side_is_asked_for(folder):
    write_scan(folder, "sub-06", 1, shape=(30, 36, 5))
    sizes = {sample.volume: sample.load_image().shape[:2] for sample in read(folder, side=None).samples}
    assert (sizes["sub-05"], sizes["sub-06"]) == ((40, 34), (36, 30))


def test_empty_slices_of_two_patients_are_not_taken_for_one_image(folder):
    for name, *_ in ROWS[3:]:
        flair, t1, labels = tiny_scan(ROWS.index((name, *_)))
        for what, array in (("FLAIR", flair), ("T1w", t1), ("dseg", labels)):
            array[..., 0] = 0
            write_nifti(folder / name / f"{name}_{what}.nii.gz", array)
    manifest = read(folder, strip=True)
    assert manifest.samples[0].load_image().max() == 0
    assert len({sample.image_sha256 for sample in manifest.samples}) == len(manifest.samples)


def test_scans_of_one_brain_are_one_group_or_refused(folder):
    """Byte for byte, as a patient of a public set whose images are those of another."""
    for what in ("FLAIR", "T1w"):
        shutil.copy(folder / "sub-05" / f"sub-05_{what}.nii.gz", folder / "sub-06" / f"sub-06_{what}.nii.gz")
    with pytest.raises(
        InputError, match=r"sub-06_FLAIR.nii.gz: byte for byte .*sub-05_FLAIR.nii.gz, yet one is of patient 'p6'"
    ):
        read(folder)
    write_table(folder, [(name, "p", "train") for name, *_ in ROWS[3:]])
    read(folder)


def spoil(path, change, **header):
    flair, t1, labels = tiny_scan(4)
    arrays = {"FLAIR": flair, "T1w": t1, "dseg": labels}
    write_nifti(path, change(arrays[path.name.split("_")[1].split(".")[0]]), header.pop("affine", AFFINE), **header)


def with_nan(array):
    array = array.astype(np.float32)
    array[3, 3, 3] = np.nan
    return array


MOVED = AFFINE.copy()
MOVED[2, 3] += 0.5


@pytest.mark.parametrize(
    ("name", "change", "header", "message"),
    [
        ("T1w", with_nan, {}, "1 voxels are not finite"),
        ("FLAIR", np.zeros_like, {}, "every voxel is 0; expected an image"),
        ("T1w", lambda array: array[:-1], {}, "33 x 40 x 6 voxels, but sub-05_FLAIR.nii.gz has 34 x 40 x 6"),
        ("dseg", lambda array: array[..., :5], {}, "34 x 40 x 5 voxels, but sub-05_FLAIR.nii.gz has 34 x 40 x 6"),
        ("dseg", np.array, {"affine": MOVED}, "its corners lie up to 0.5 mm from those of sub-05_FLAIR.nii.gz"),
        ("dseg", np.array, {"affine": AFFINE @ np.diag([-1, 1, 1, 1])}, "its corners lie up to"),
        ("dseg", lambda array: array * 0.4, {}, "no whole numbers, such as 0.4"),
        ("dseg", lambda array: array * 3, {}, r"voxels of value 6; expected 0, 1 \(lesion\)"),
        ("FLAIR", lambda array: np.stack([array, array], -1), {}, "34 x 40 x 6 x 2, 2 volumes in one file"),
    ],
)
def test_what_is_wrong_with_a_scan_is_told_in_one_line_before_anything_is_written(folder, name, change, header, message):
    path = folder / "sub-05" / f"sub-05_{name}.nii.gz"
    spoil(path, change, **header)
    with pytest.raises(InputError, match=message) as caught:
        read(folder)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert not (folder.parent / "store").exists()


def test_a_mask_without_any_lesion_is_fine_and_a_scan_without_mask_is_not(folder):
    spoil(folder / "sub-05" / "sub-05_dseg.nii.gz", np.zeros_like)
    assert sum(sample.loader.targets for sample in read(folder).samples if sample.volume == "sub-05") == 0
    (folder / "sub-05" / "sub-05_dseg.nii.gz").unlink()
    with pytest.raises(InputError, match="no mask of scan 'sub-05'"):
        read(folder)


def test_masks_scaled_by_a_tool_are_read(folder):
    spoil(folder / "sub-05" / "sub-05_dseg.nii.gz", lambda array: array * 0.98800001)
    expected = tiny_scan(4)[2]
    found = [sample.loader.targets for sample in read(folder).samples if sample.volume == "sub-05"]
    assert found == [int((expected[..., index] == 1).sum()) for index in range(SHAPE[2])]


def test_one_mask_of_two_patients_is_refused_unless_it_is_empty(folder):
    empty = np.zeros(SHAPE, np.uint8)
    for name in ("sub-05", "sub-06"):
        write_nifti(folder / name / f"{name}_dseg.nii.gz", empty)
    read(folder)
    write_scan(folder, "sub-05", 4)
    shutil.copy(folder / "sub-05" / "sub-05_dseg.nii.gz", folder / "sub-06" / "sub-06_dseg.nii.gz")
    with pytest.raises(InputError, match=r"sub-06_dseg.nii.gz: byte for byte .*sub-05_dseg.nii.gz, yet one is of patient 'p6'"):
        read(folder)
