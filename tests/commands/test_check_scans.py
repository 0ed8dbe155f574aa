from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from volume_samples import tiny_preparation, write_nifti, write_scans

from rbc_lightning.app import compose, run
from rbc_lightning.commands import check_scans
from rbc_lightning.core.store import Store
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.readers.nifti import NiftiReader
from rbc_lightning.errors import InputError

PREPARATION, SETTINGS = tiny_preparation(), ("channels", "classes", "targets", "outline", "side", "spacing")


@pytest.fixture
def scans(tmp_path):
    return write_scans(tmp_path / "scans")


@pytest.fixture
def check(tmp_path, scans, compose_tiny):
    def call(*overrides):
        return run(compose_tiny(tmp_path, "stage=check", "data=mri", "translator=pix2pix", *overrides, root=scans))

    return call


def test_splits_are_described_by_scans_and_every_scan_is_drawn(check, capsys, monkeypatch):
    monkeypatch.setattr(check_scans, "_ROWS", 3)
    result = check("data.validation_fraction=0.34")
    said = capsys.readouterr().out
    assert "mri: scans by split" in said
    assert "training slices show no lesion" in said
    assert "look like one field" not in said
    pages = sorted(path.name for path in result.preview.parent.glob("check_mri*.png"))
    assert pages == ["check_mri.png", "check_mri_2.png", "check_mri_3.png"]
    assert Image.open(result.preview).size[1] > Image.open(result.preview.with_stem("check_mri_3")).size[1]
    shown = f"{result.preview}, check_mri_2.png, check_mri_3.png"
    assert result.summary().startswith(f"{result.n_samples} samples are in order; look at {shown}")


def test_a_row_has_scans_patients_slices_lesions_and_their_volume(scans, tmp_path, capsys):
    reader = NiftiReader(name="mri", root=scans, **{name: getattr(PREPARATION, name) for name in SETTINGS})
    manifest = reader.read(Store(tmp_path / "store"))
    examined = check_scans.examine_scans(reader, Store(tmp_path / "store"))
    table = check_scans.scan_table("mri", manifest, examined.scans)
    rows = [
        dict(zip([column.header for column in table.columns], row, strict=True))
        for row in zip(*(c.cells for c in table.columns), strict=True)
    ]
    lesions = {one.scan.scan_id: one for one in examined.scans}
    test = [lesions[f"sub-0{k}"] for k in (5, 6)]
    assert [row["split"] for row in rows] == ["train", "test", "external"]
    assert [(row["scans"], row["patients"]) for row in rows] == [("4", "3"), ("2", "2"), ("1", "1")]
    assert rows[1]["slices"] == "12"
    assert (
        rows[1]["lesions"]
        == f"{np.mean([len(one.lesions) for one in test]):.0f} +- {np.std([len(one.lesions) for one in test]):.0f}"
    )
    assert rows[1]["ml"] == f"{np.mean([one.ml for one in test]):.1f} +- {np.std([one.ml for one in test]):.1f}"
    spec = replace(manifest.spec, classes=("core", "rim of it"), context=())
    other = Manifest(tuple(replace(sample, spec=spec) for sample in manifest.samples))
    titles = [column.header for column in check_scans.scan_table("mri", other, examined.scans).columns]
    assert titles == ["split", "scans", "patients", "slices", "labelled", "patches", "ml"]
    # Without files, patches of the label maps are counted, here the same, and there is no volume.
    bare = check_scans.scan_table("mri", manifest, ())
    assert list(bare.columns[6].cells) == ["-"] * 3
    assert [sample.volume for sample in check_scans.telling_slices(manifest)][:2] == ["sub-01", "sub-02"]


def test_findings_stand_before_the_error_that_ends_the_check(check, scans, capsys):
    mask = scans / "sub-02" / "sub-02_dseg.nii.gz"
    image = nib.load(mask)
    write_nifti(mask, np.where(np.asarray(image.dataobj) == 2, 7, np.asarray(image.dataobj))[:, ::-1], image.affine)
    with pytest.raises(InputError, match="value 7"):
        check()
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: sub-02: unknown values in the mask, 7" in said
    assert "warning: sub-02: the mask fits its image better mirrored front to back" in said


def test_a_phantom_is_examined_and_drawn_as_scans_on_disk_are(tmp_path, capsys):
    small = ("data.n_train=2", "data.n_test=1", "data.n_external=1", "data.coarseness=5", "data.phantom_seed=3")
    place = (f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs")
    result = run(compose(["stage=check", "scale=tiny", "data=mri_phantom", *small, *place]))
    table = capsys.readouterr().out.split("scans by split")[1]
    rows = [line.split("│") for line in table.splitlines() if "│" in line]
    assert [float(row[-2].split()[0]) > 0 for row in rows] == [True] * 4
    width, height = Image.open(result.preview).size
    # Four rows of three planes.
    assert (result.preview.name, 0.5 < width / height < 0.8) == ("check_mri_phantom.png", True)


def test_warnings_are_counted_at_the_end(check, scans):
    mask = scans / "sub-01" / "sub-01_dseg.nii.gz"
    image = nib.load(mask)
    write_nifti(mask, np.asarray(image.dataobj)[::-1], image.affine)
    assert "but 1 warning above; look at" in check().summary()
