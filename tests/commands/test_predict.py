"""What a user gets from `stage=predict`: label maps, boxes, overlays and a table, for folders good and bad."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
import yaml
from faster_coco_eval import COCO
from PIL import Image
from tiny_data import disc_smear
from training_helpers import read_rows

from rbc_lightning.app import run
from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.errors import InputError


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("predict")


def own_copy(trained, place, name):
    """A run to which predictions may be added."""
    (source,) = (trained / "runs").glob(f"{name}_seed0_*")
    return shutil.copytree(source, place / source.name)


@pytest.fixture(scope="module")
def segmenter(trained, place):
    return own_copy(trained, place, "folder_rd_fcn8s")


@pytest.fixture(scope="module")
def detector(trained, place):
    return own_copy(trained, place, "folder_rd_faster_rcnn")


@pytest.fixture
def predict(tmp_path, compose_tiny):
    def call(trained, images, *overrides):
        base = ("stage=predict", f"predict.run={trained}", f"predict.images={images}", f"predict.output={tmp_path}/out")
        return run(compose_tiny(tmp_path, *base, *overrides))

    return call


def read_coco(path):
    """A COCO file as an independent reader sees it, and its annotations by file name."""
    coco = COCO(str(path))
    names = {image["id"]: image["file_name"] for image in coco.dataset["images"]}
    return coco, {name: coco.loadAnns(coco.getAnnIds(imgIds=[image_id])) for image_id, name in names.items()}


def test_every_cell_has_an_id_a_box_and_a_row(segmenter, predict, tiny_folder, tmp_path):
    result = predict(segmenter, tiny_folder / "images")
    assert (result.count, result.skipped, result.output) == (7, (), tmp_path / "out")
    assert result.summary() == f"63 cells in 7 images, in {tmp_path}/out (labels/, overlays/, boxes.json, cells.csv)"
    coco, boxes = read_coco(tmp_path / "out" / "boxes.json")
    rows = read_rows(tmp_path / "out" / "cells.csv")
    assert list(rows[0]) == ["image", "cell", "center_row", "center_column", "area", "major_axis", "minor_axis", "score"]
    assert len(coco.dataset["annotations"]) == len(rows) == result.cells == 63
    for path in sorted((tiny_folder / "labels").glob("*.png")):
        found = np.array(Image.open(tmp_path / "out" / "labels" / path.name)).astype(int)
        assert np.unique(found).tolist() == list(range(10))
        image = np.array(Image.open(tiny_folder / "images" / path.name))
        overlay = np.array(Image.open(tmp_path / "out" / "overlays" / path.name))
        changed = (overlay != image).any(axis=2)
        assert changed.any()
        assert not changed[found == 0].any()
        true = read_label_map(path)
        own = [row for row in rows if row["image"] == path.name]
        assert [int(row["cell"]) for row in own] == list(range(1, 10))
        for cell, row, box in zip(range(1, 10), own, boxes[path.name], strict=True):
            mask = found == cell
            center = np.argwhere(mask).mean(axis=0)
            assert [float(row["center_row"]), float(row["center_column"])] == pytest.approx(center, abs=0.006)
            assert float(row["area"]) == box["area"] == mask.sum()
            np.testing.assert_array_equal(coco.annToMask(box), mask)
            left, top, width, height = (int(value) for value in box["bbox"])
            assert mask[top : top + height, left : left + width].sum() == mask.sum()
            assert (width, height) == tuple(np.ptp(np.argwhere(mask), axis=0)[::-1] + 1)
            assert float(row["score"]) == box["score"] >= 0.5
            # And it is a cell: of the discs, the one in its middle, nearly whole.
            disc = true == true[tuple(center.round().astype(int))]
            assert (mask & disc).sum() / (mask | disc).sum() > 0.8


def test_a_run_of_16_bit_images_finds_the_cells_of_such_images(trained, place, predict, tiny_folder, tmp_path):
    run_of_8 = own_copy(trained, place / "deep", "folder_rd_fcn8s")
    config = yaml.safe_load((run_of_8 / "config.yaml").read_text())
    config["data"]["value_range"] = [0, 4080]
    (run_of_8 / "config.yaml").write_text(yaml.safe_dump(config))
    image = cv2.imread(str(tiny_folder / "images" / "smear_00.png"))
    (tmp_path / "deep").mkdir()
    cv2.imwrite(str(tmp_path / "deep" / "a.png"), image.astype(np.uint16) * 16)
    cv2.imwrite(str(tmp_path / "deep" / "shallow.png"), image)
    result = predict(run_of_8, tmp_path / "deep")
    assert (result.cells, result.skipped) == (9, ("shallow.png",))


def test_a_broken_file_is_named_and_the_rest_is_done(segmenter, predict, tiny_folder, tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("smear_05.png", "smear_06.png"):
        shutil.copy(tiny_folder / "images" / name, images)
    whole = (images / "smear_05.png").read_bytes()
    (images / "half [2].png").write_bytes(whole[: len(whole) // 2])
    (images / "no image.tif").write_bytes(b"no image")
    (images / "._smear_05.png").write_bytes(b"what some systems keep beside an image")
    (images / "notes.txt").write_text("no image, and not meant as one")
    result = predict(segmenter, images)
    assert (result.count, result.cells, result.skipped) == (2, 18, ("half [2].png", "no image.tif"))
    assert result.summary().endswith("; skipped half [2].png, no image.tif")
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("skipped: ")]
    assert [line.split(": ")[1] for line in said] == [str(images / "half [2].png"), str(images / "no image.tif")]
    assert all("cannot be read as an image" in line for line in said)
    for kind in ("labels", "overlays"):
        assert sorted(path.name for path in (tmp_path / "out" / kind).iterdir()) == ["smear_05.png", "smear_06.png"]
    assert set(read_coco(tmp_path / "out" / "boxes.json")[1]) == {"smear_05.png", "smear_06.png"}
    assert {row["image"] for row in read_rows(tmp_path / "out" / "cells.csv")} == {"smear_05.png", "smear_06.png"}


def test_tiles_give_what_the_whole_image_gives(segmenter, predict, tmp_path, monkeypatch):
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(disc_smear(seed=1, height=300, width=460, count=60)[0]).save(images / "large.png")
    seen, original = [], torch.nn.Conv2d.forward
    monkeypatch.setattr(torch.nn.Conv2d, "forward", lambda net, image: seen.append(image.shape[2:]) or original(net, image))
    results = []
    for tile in ("null", "256"):
        seen.clear()
        result = predict(segmenter, images, f"predict.tile={tile}", f"predict.output={tmp_path}/{tile}")
        assert [tuple(shape) for shape in seen] == ([(300, 460)] if tile == "null" else [(256, 256)] * 6)
        assert result.cells == 60
        results.append(tmp_path / tile)
    for name in ("labels/large.png", "cells.csv", "boxes.json"):
        assert (results[0] / name).read_bytes() == (results[1] / name).read_bytes()


def test_a_detector_gives_boxes_alone(detector, predict, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    image, _ = disc_smear(seed=1, height=130, width=300, count=12)
    Image.fromarray(image).save(images / "large.png")
    result = predict(detector, images, "predict.score=0.3", "predict.tile=256")
    assert not (tmp_path / "out" / "labels").exists()
    assert "labels/" not in result.summary()
    (found,) = read_coco(tmp_path / "out" / "boxes.json")[1].values()
    rows = read_rows(tmp_path / "out" / "cells.csv")
    assert len(found) == len(rows) == result.cells > 0
    for box, row in zip(found, rows, strict=True):
        left, top, width, height = box["bbox"]
        assert min(left, top) >= 0
        assert (left + width, top + height) <= (300, 130)
        assert box["score"] == float(row["score"]) >= 0.3
        assert float(row["center_column"]) == pytest.approx(left + width / 2 - 0.5, abs=0.02)
        assert float(row["area"]) == pytest.approx(np.pi / 4 * box["area"], rel=0.01)
    overlay = np.array(Image.open(tmp_path / "out" / "overlays" / "large.png"))
    assert (overlay != image).any()


def test_cells_of_a_low_score_are_left_out(detector, predict, tiny_folder, tmp_path):
    def scores(least):
        count = predict(detector, tiny_folder / "images", f"predict.score={least}").cells
        found = [float(row["score"]) for row in read_rows(tmp_path / "out" / "cells.csv")]
        assert len(found) == count == len(json.loads((tmp_path / "out" / "boxes.json").read_text())["annotations"])
        return sorted(found)

    every = scores(0)
    middle = (every[len(every) // 2 - 1] + every[len(every) // 2]) / 2
    assert scores(middle) == [score for score in every if score >= middle]
    assert 0 < len(scores(middle)) < len(every)
    assert scores(1) == []


def test_two_files_of_one_stem_keep_both_results(segmenter, predict, tiny_folder, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    # The last is named as the result of the first might be.
    for source, name in (("smear_00", "field.png"), ("smear_01", "field.bmp"), ("smear_02", "field_png.png")):
        Image.open(tiny_folder / "images" / f"{source}.png").save(images / name)
    predict(segmenter, images)
    for kind in ("labels", "overlays"):
        assert sorted(path.name for path in (tmp_path / "out" / kind).iterdir()) == [
            "field.bmp.png",
            "field.png.png",
            "field_png.png.png",
        ]
    maps = {path.read_bytes() for path in (tmp_path / "out" / "labels").iterdir()}
    assert len(maps) == 3
    assert {row["image"] for row in read_rows(tmp_path / "out" / "cells.csv")} == {"field.png", "field.bmp", "field_png.png"}


def test_results_go_into_the_run_directory_unless_told_otherwise(segmenter, predict, tiny_folder):
    result = predict(segmenter, tiny_folder / "images", "predict.output=null")
    assert result.output == segmenter / "predictions" / "data_images"
    assert len(list((result.output / "labels").iterdir())) == 7


def test_other_weights_of_the_same_model_are_used(segmenter, predict, tiny_folder, tmp_path):
    content = torch.load(segmenter / "checkpoints" / "best.ckpt", weights_only=True)
    content["state_dict"] = {name: torch.ones_like(value) for name, value in content["state_dict"].items()}
    torch.save(content, tmp_path / "other.ckpt")
    given = predict(segmenter, tiny_folder / "images", f"predict.checkpoint={segmenter}/checkpoints/best.ckpt")
    other = predict(segmenter, tiny_folder / "images", f"predict.checkpoint={tmp_path}/other.ckpt")
    assert given.cells == 63 != other.cells


def reshaped(content):
    return {"state_dict": {name: value[None] for name, value in content["state_dict"].items()}}


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path, _: None, r"no checkpoint of a training \(FileNotFoundError\)"),
        (lambda path, _: path.mkdir(), r"no checkpoint of a training \(IsADirectoryError\)"),
        (lambda path, _: path.write_bytes(b""), r"no checkpoint of a training \(EOFError\)"),
        (lambda path, _: path.write_text("weights"), r"no checkpoint of a training \(UnpicklingError\)"),
        (lambda path, _: path.write_bytes(b"]x"), r"no checkpoint of a training \(\w+Error\)"),
        (lambda path, known: path.write_bytes(known.read_bytes()[:-100]), r"no checkpoint of a training \(\w+Error\)"),
        (lambda path, _: torch.save(torch.ones(3), path), r"no checkpoint of a training \(it has no state_dict\)"),
        (lambda path, _: torch.save({"state_dict": [1]}, path), r"no checkpoint of a training \(it has no state_dict\)"),
        (lambda path, _: torch.save({"state_dict": {}}, path), r"weights of another model than fcn8s \(2 tensors differ"),
        (
            lambda path, known: torch.save(reshaped(torch.load(known, weights_only=True)), path),
            r"weights of another model than fcn8s \(2 tensors differ, first net\.weight\)",
        ),
    ],
)
def test_a_checkpoint_that_is_none_is_one_line(segmenter, predict, tiny_folder, tmp_path, write, message):
    write(tmp_path / "given.ckpt", segmenter / "checkpoints" / "best.ckpt")
    with pytest.raises(InputError, match=rf"given\.ckpt: {message}.*; take the checkpoint of a run with the same model"):
        predict(segmenter, tiny_folder / "images", f"predict.checkpoint={tmp_path}/given.ckpt")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_another_model_is_one_line(segmenter, detector, predict, tiny_folder, tmp_path):
    with pytest.raises(InputError, match=r"best\.ckpt: weights of another model than fcn8s \(\d+ tensors differ, first net\."):
        predict(segmenter, tiny_folder / "images", f"predict.checkpoint={detector}/checkpoints/best.ckpt")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("predict.images=null", r"predict\.images has no value; expected a directory: set predict\.images=\.\.\."),
        ("predict.run=null", r"predict\.run has no value; expected a directory"),
        ("predict.run=nowhere", r"nowhere: no finished run \(no metrics\.json\); expected a run directory that stage=train"),
        ("predict.images=nowhere", r"nowhere: not a directory with images; expected files ending in \.png"),
        ("predict.tile=255", r"predict\.tile=255; expected 256 pixels or more"),
        ("predict.tile=large", r"predict\.tile=large; expected 256 pixels or more"),
        ("predict.score=1.5", r"predict\.score=1\.5; expected a number from 0"),
        ("predict.score=high", r"predict\.score=high; expected a number from 0"),
        ("trainer.accelerator=tpu", r"trainer\.accelerator=tpu; expected one of cpu, gpu"),
    ],
)
def test_a_bad_setting_is_one_line_before_anything_is_written(segmenter, predict, tiny_folder, tmp_path, override, message):
    with pytest.raises(InputError, match=message):
        predict(segmenter, tiny_folder / "images", override)
    assert not list(tmp_path.iterdir())


def test_a_run_without_its_configuration_is_one_line(segmenter, predict, tiny_folder, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copy(segmenter / "metrics.json", tmp_path / "run")
    with pytest.raises(InputError, match=r"run: no finished run \(no config\.yaml\)"):
        predict(tmp_path / "run", tiny_folder / "images")


def test_tiles_must_be_larger_than_what_they_share(place, predict, compose_tiny, tiny_folder):
    wide = ("+experiment=rd", "model=faster_rcnn", "model.net.cell_size=150", "training.steps=2")
    trained = run(compose_tiny(place / "wide", *wide))
    with pytest.raises(InputError, match=r"predict\.tile=280; expected 301 pixels or more \(tiles overlap\)"):
        predict(trained.directory, tiny_folder / "images", "predict.tile=280")
