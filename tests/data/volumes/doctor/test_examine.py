from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from volume_samples import AFFINE, CLASSES, tiny_preparation, tiny_scan, write_nifti, write_scan

from rbc_lightning.data.volumes.doctor.examine import compare, examine
from rbc_lightning.data.volumes.layouts import find_scans
from rbc_lightning.data.volumes.scan import Scan

REAL = Path(__file__).resolve().parents[5] / "shared" / "mri"
PREPARATION = tiny_preparation()


def scan_of(folder, name="s1", group=None, split="train"):
    files = [folder / name / f"{name}_{what}.nii.gz" for what in ("FLAIR", "T1w", "dseg")]
    return Scan(name, group or name, split, tuple(files[:2]), files[2])


@pytest.fixture
def scan(tmp_path):
    write_scan(tmp_path, "s1", 0)
    return scan_of(tmp_path)


def lines(scan):
    return [finding.line() for finding in examine(scan, PREPARATION).findings]


def rewrite(path, change=lambda array: array, affine=None):
    image = nib.load(path)
    write_nifti(path, change(np.asarray(image.dataobj)), image.affine if affine is None else affine)


def test_a_sound_scan_has_no_finding_and_its_lesions_are_listed(scan):
    examined = examine(scan, PREPARATION)
    assert examined.findings == ()
    labels = tiny_scan(0)[2]
    assert examined.ml == pytest.approx((labels == 1).sum() * 4.5 * 4.5 * 20 / 1000)
    assert sum(lesion.voxels for lesion in examined.lesions) == (labels == 1).sum()
    assert (examined.names, examined.slices) == (frozenset(CLASSES.values()), 6)
    assert examined.spacing == (4.5, 4.5, 20)


def test_a_mirrored_mask_is_told_though_headers_agree(scan):
    rewrite(scan.labels, lambda mask: mask[::-1])
    (line,) = lines(scan)
    assert "the mask fits its image better mirrored left to right" in line


def test_a_mask_whose_header_lies_is_told_by_its_grid_alone_as_its_voxels_fit(scan):
    mirrored = AFFINE.copy()
    mirrored[0, [0, 3]] = 4.5, 76 - 4.5 * 33
    rewrite(scan.labels, affine=mirrored)
    (line,) = lines(scan)
    assert "mask lies up to" in line
    assert "mirrored along x" in line


def test_files_that_cannot_be_read_are_findings_and_the_rest_is_examined(scan):
    whole = scan.images[1].read_bytes()
    scan.images[1].write_bytes(whole[: len(whole) // 2])
    rewrite(scan.labels, lambda mask: np.where(mask == 3, 9, mask))
    said = lines(scan)
    assert any(str(scan.images[1]) in line and "cannot be read" in line for line in said)
    assert any("unknown values in the mask, 9" in line for line in said)
    scan.images[0].unlink()
    examined = examine(scan, PREPARATION)
    assert any("no such file" in finding.text for finding in examined.findings)
    assert examined.candidate is None


def test_channels_of_two_grids_a_mask_between_integers_and_one_without_anything_are_told(scan, tmp_path):
    rewrite(scan.images[1], lambda image: image[1:])
    rewrite(scan.labels, lambda mask: mask * np.float32(0.4))
    said = " ".join(lines(scan))
    assert "FLAIR has 34 x 40 x 6 voxels, T1w 33 x 40 x 6" in said
    assert "values between integers in the mask" in said
    write_scan(tmp_path, "s2", 1)
    rewrite(scan_of(tmp_path, "s2").labels, lambda mask: mask * 0)
    assert [line for line in lines(scan_of(tmp_path, "s2")) if "the mask is empty" in line]


def test_of_all_scans_copies_under_two_names_are_found_and_a_set_without_flair_is_told(tmp_path):
    for name, seed in (("s1", 0), ("s2", 1), ("s3", 0)):
        write_scan(tmp_path, name, seed)
    examined = [examine(scan_of(tmp_path, name), PREPARATION) for name in ("s1", "s2", "s3")]
    found = [finding for finding in compare(examined, PREPARATION) if finding.grave]
    assert [finding.scans for finding in found if "identical" in finding.text] == [("s1", "s3")]
    (note,) = compare(examined[:1], tiny_preparation(channels=("T1w",)))
    assert "no channel is called FLAIR" in note.text


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the scans of ../shared/mri")
def test_real_scans_have_no_finding_and_two_of_one_brain_are_found_when_named_two_patients():
    scans = find_scans(REAL, PREPARATION.channels)
    scans = [replace(scan, group=scan.scan_id) for scan in scans]
    scans = [scan for scan in scans if scan.scan_id in ("sub-107130", "sub-112776", "sub-104252")]
    examined = [examine(scan, PREPARATION) for scan in scans]
    assert [finding.line() for one in examined for finding in one.findings] == []
    graves = [finding for finding in compare(examined, PREPARATION) if finding.grave]
    assert [finding.scans for finding in graves] == [("sub-107130", "sub-112776")]


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the scans of ../shared/mri")
def test_a_real_mask_mirrored_is_found(tmp_path):
    scan = next(scan for scan in find_scans(REAL, PREPARATION.channels) if scan.scan_id == "sub-106639")
    mask = nib.load(scan.labels)
    labels = write_nifti(tmp_path / "dseg.nii.gz", np.asarray(mask.dataobj)[::-1], mask.affine)
    (finding,) = examine(replace(scan, labels=labels), PREPARATION).findings
    assert "fits its image better mirrored left to right" in finding.text
