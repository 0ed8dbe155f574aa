"""What a user gets from `stage=predict` with a run on scans: masks on their grids, lesions, pictures, Dice."""

import csv
import shutil

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from volume_samples import AFFINE, tiny_scan, write_nifti, write_scans

from rbc_lightning.app import run
from rbc_lightning.data.volumes.lesions import COLUMNS
from rbc_lightning.errors import InputError

# A network that sees one pixel; the values of the file are others than those of label maps.
SMALL = (
    "model=fcn8s",
    "model.net._target_=torch.nn.Conv2d",
    "model.net.n_classes=1",
    "model.net.decoder_channels=1",
    *(f"~model.net.{name}" for name in ("n_classes", "width", "batch_norm", "dropout", "decoder_channels")),
    *("model.net.in_channels=2", "+model.net.out_channels=1", "+model.net.kernel_size=1", "model.task.optimizer.lr=0.1"),
    *("training.steps=30", "training.steps_per_epoch=30", "training.crop=32", "data.validation_fraction=0.34"),
    *("data.side=null", "data.spacing=null", "model.task.threshold=0.4"),
)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = write_scans(tmp_path_factory.mktemp("scans"))
    for mask in folder.rglob("*_dseg.nii.gz"):
        image = nib.load(mask)
        labels = np.asarray(image.dataobj)
        write_nifti(mask, np.where(labels == 1, 7, labels), image.affine)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, compose_tiny, scans):
    place = tmp_path_factory.mktemp("trained")
    classes = "data.classes={7: lesion, 2: ventricles, 3: rim, 1: null}"
    return run(compose_tiny(place, "+experiment=rd", "data=mri", classes, *SMALL, root=scans)).directory


@pytest.fixture
def predict(tmp_path, compose_tiny, trained):
    def call(images):
        base = ("stage=predict", f"predict.run={trained}", f"predict.images={images}", f"predict.output={tmp_path}/out")
        return run(compose_tiny(tmp_path, *base))

    return call


def table(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_rows_of_the_test_are_reproduced(predict, trained, scans, tmp_path, capsys):
    result = predict(scans)
    rows = {row["scan"]: row for row in table(tmp_path / "out" / "scans.csv")}
    tested = table(trained / "per_image.csv")
    assert [row["sample_id"] for row in tested] == ["sub-05", "sub-06"]
    for row in tested:
        assert float(row["dice"]) == pytest.approx(result.dice[row["sample_id"]], abs=1e-12)
        assert float(rows[row["sample_id"]]["dice_lesion"]) == pytest.approx(float(row["dice"]), abs=5e-5)
    assert min(result.dice[name] for name in ("sub-05", "sub-06")) > 0.8
    assert list(rows) == [f"sub-0{k}" for k in range(1, 8)]
    splits = {name: row["split"] for name, row in rows.items()}
    assert [splits[f"sub-0{k}"] for k in (5, 6, 7)] == ["test", "test", "external"]
    assert {splits[f"sub-0{k}"] for k in (1, 2, 3, 4)} == {"train", "val"}
    assert (
        f"lesions, {result.ml:.1f} ml, in 7 scans, in {tmp_path}/out (labels/, overlays/, lesions.csv, scans.csv); mean Dice 0."
        in (result.summary())
    )
    # Neither what it was fitted to, nor another scanner, has a part in the mean of the test.
    mean = (result.dice["sub-05"] + result.dice["sub-06"]) / 2
    assert result.summary().endswith(
        f"; mean Dice {mean:.2f} over 2 test scans, {result.dice['sub-07']:.2f} over 1 external scan"
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "sub-05 (test): Dice 0." in said
    assert "note: fitted to by this run (train or val): sub-01, sub-02, sub-03, sub-04; what" in said


def test_masks_lie_on_the_grid_of_their_image_in_the_values_of_its_masks(predict, scans, tmp_path):
    image = nib.load(scans / "sub-05" / "sub-05_FLAIR.nii.gz")
    orientation = np.array([[2, 1], [0, -1], [1, 1]], dtype=float)
    for channel in ("FLAIR", "T1w"):
        turned = nib.load(scans / "sub-05" / f"sub-05_{channel}.nii.gz").as_reoriented(orientation)
        turned.set_qform(turned.affine, code=1)
        turned.set_sform(turned.affine, code=4)
        for name, made in (("turned", turned), ("plain", nib.load(scans / "sub-05" / f"sub-05_{channel}.nii.gz"))):
            (tmp_path / "in").mkdir(exist_ok=True)
            nib.save(made, tmp_path / "in" / f"{name}_{channel}.nii.gz")
    predict(tmp_path / "in")
    found = {name: nib.load(tmp_path / "out" / "labels" / f"{name}.nii.gz") for name in ("turned", "plain")}
    like = nib.load(tmp_path / "in" / "turned_FLAIR.nii.gz")
    assert found["turned"].affine.tobytes() == like.affine.tobytes()
    for field in ("qform_code", "sform_code", "pixdim", "xyzt_units", "srow_x", "quatern_b"):
        np.testing.assert_array_equal(found["turned"].header[field], like.header[field])
    assert found["plain"].get_data_dtype() == np.uint8
    plain = np.asarray(found["plain"].dataobj)
    assert plain.shape == image.shape
    assert np.unique(plain).tolist() == [0, 7]
    np.testing.assert_array_equal(
        np.asarray(found["turned"].dataobj), np.asarray(found["plain"].as_reoriented(orientation).dataobj)
    )


def test_lesions_have_their_place_in_mm_and_voxels(predict, scans, tmp_path):
    result = predict(scans / "sub-05" / "sub-05_FLAIR.nii.gz")
    assert result.scans == ("sub-05",)
    rows = table(tmp_path / "out" / "lesions.csv")
    assert list(rows[0]) == ["scan", *COLUMNS]
    assert {row["class"] for row in rows} == {"lesion"}
    mask = nib.load(tmp_path / "out" / "labels" / "sub-05.nii.gz")
    labels = np.asarray(mask.dataobj)
    assert sum(int(row["voxels"]) for row in rows) == (labels == 7).sum()
    assert len(rows) == result.lesions
    for row in rows:
        voxel = [float(row[f"center_{axis}"]) for axis in "xyz"]
        mm = [float(row[f"center_{way}_mm"]) for way in ("right", "front", "up")]
        assert nib.affines.apply_affine(mask.affine, voxel) == pytest.approx(mm, abs=0.2)
        assert float(row["volume_ml"]) == pytest.approx(int(row["voxels"]) * 4.5 * 4.5 * 20 / 1000, abs=1e-3)
    overlay = np.array(Image.open(tmp_path / "out" / "overlays" / "sub-05.png").convert("RGB")).astype(int)
    assert (np.abs(overlay - (213, 94, 0)).sum(axis=2) < 40).sum() > 50


def test_scans_that_the_run_was_fitted_to_have_no_mean(predict, scans):
    result = predict(scans / "sub-01")
    assert result.summary().endswith("; no mean Dice, since the run was fitted to all scans with a mask")


def test_the_place_of_a_scan_is_named_without_its_suffix_and_its_folder_can_be_predicted_later(
    compose_tiny, trained, scans, tmp_path
):
    def place(images):
        base = ("stage=predict", f"predict.run={run_of}", f"predict.images={images}")
        return run(compose_tiny(tmp_path, *base)).output.relative_to(run_of)

    run_of = shutil.copytree(trained, tmp_path / trained.name)
    folder = shutil.copytree(scans / "sub-05", run_of / "predictions" / "case")
    assert str(place(folder / "sub-05_FLAIR.nii.gz")) == "predictions/case_sub-05_FLAIR"
    (folder / "sub-05_x_FLAIR.nii.gz").mkdir()
    assert str(place(folder)) == "predictions/predictions_case"
    for old, new in (("sub-05_FLAIR", "FLAIR"), ("sub-05_T1w", "T1")):
        (tmp_path / "w" / "4" / "pre").mkdir(parents=True, exist_ok=True)
        shutil.copy(scans / "sub-05" / f"{old}.nii.gz", tmp_path / "w" / "4" / "pre" / f"{new}.nii.gz")
    assert str(place(tmp_path / "w" / "4" / "pre" / "FLAIR.nii.gz")) == "predictions/4_FLAIR"


def test_a_model_that_marks_half_the_brain_is_warned_of(predict, scans, capsys, monkeypatch):
    predict(scans / "sub-05")
    assert "warning" not in capsys.readouterr().out

    def everywhere(task, image, spec, precision):
        return np.ones(image.shape[:2], np.uint8)

    monkeypatch.setattr("rbc_lightning.commands.predict_scans.find_classes", everywhere)
    predict(scans / "sub-05")
    assert "warning: sub-05: what is found is larger than half of the brain" in " ".join(capsys.readouterr().out.split())


def test_a_voxel_size_that_no_head_has_is_warned_of(predict, tmp_path, capsys):
    flair, t1, _ = tiny_scan(0)
    for name, array in (("FLAIR", flair), ("T1w", t1)):
        write_nifti(tmp_path / "in" / f"a_{name}.nii.gz", array, AFFINE * [10, 10, 10, 1])
    predict(tmp_path / "in")
    assert "warning: a: head or brain has" in " ".join(capsys.readouterr().out.split())


def test_what_is_damaged_or_incomplete_is_named_and_skipped_and_leaves_nothing(predict, scans, tmp_path, capsys):
    for name in ("sub-04", "sub-05", "sub-06"):
        shutil.copytree(scans / name, tmp_path / "in" / name)
    (tmp_path / "in" / "sub-04" / "sub-04_T1w.nii.gz").unlink()
    flair = tmp_path / "in" / "sub-05" / "sub-05_FLAIR.nii.gz"
    flair.write_bytes(flair.read_bytes()[:2000])
    (tmp_path / "in" / "sub-06" / "sub-06_dseg.nii.gz").write_bytes(b"no mask")
    result = predict(tmp_path / "in")
    said = " ".join(capsys.readouterr().out.split())
    assert (result.scans, len(result.skipped), dict(result.dice)) == (("sub-06",), 2, {})
    assert "no channel T1w of scan 'sub-04'" in said
    assert "sub-05_FLAIR.nii.gz: cannot be read" in said
    assert "note: no Dice of sub-06" in said
    assert "; skipped " in result.summary()
    assert sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file()) == [
        *("lesions.csv", "scans.csv", "sub-06.nii.gz", "sub-06.png")
    ]
    assert table(tmp_path / "out" / "scans.csv")[0]["dice"] == ""


def test_a_folder_without_a_scan_is_refused_before_anything_is_written(predict, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="no scan; expected NIfTI files named as FLAIR, T1w"):
        predict(tmp_path / "in")
    assert not (tmp_path / "out").exists()


def test_where_no_scan_can_be_segmented_nothing_is_written(predict, tmp_path):
    flair, t1, _ = tiny_scan(0)
    write_nifti(tmp_path / "in" / "a_FLAIR.nii.gz", flair)
    with pytest.raises(InputError, match=r"no channel T1w of scan 'a' among a_FLAIR"):
        predict(tmp_path / "in")
    write_nifti(tmp_path / "in" / "b_FLAIR.nii.gz", flair)
    write_nifti(tmp_path / "in" / "b_T1w.nii.gz", t1[..., :-1])
    with pytest.raises(InputError, match=r"no channel T1w of scan 'a' .*; and 1 more such scans"):
        predict(tmp_path / "in")
    assert not (tmp_path / "out").exists()
