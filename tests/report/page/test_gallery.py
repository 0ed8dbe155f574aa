"""Test images with layers, for runs written by hand and predictions that are the truth."""

import io
import json

import numpy as np
import pytest
from page_samples import Access, make_samples, make_slices, write_weights
from PIL import Image
from run_records import changed, write_fold, write_run

from rbc_lightning.errors import InputError
from rbc_lightning.report.page import page as report_page
from rbc_lightning.report.page.content import Page
from rbc_lightning.report.page.gallery import add_gallery, choose_run
from rbc_lightning.report.page.overlays import agreement_overlay
from rbc_lightning.study.choose import group_runs
from rbc_lightning.study.collect import collect_runs
from rbc_lightning.study.table2 import build_table2


@pytest.fixture
def access():
    return Access(make_samples("x", "y"))


@pytest.fixture
def runs_dir(tmp_path):
    """FCN-8s, which is chosen by Dice, and a detector, with weights."""
    root = tmp_path / "runs"
    for column in ("rd", "rd_sd"):
        write_run(root, f"fcn8s_{column}", column, by_image={"count_error": {"x": 0.5, "y": float("nan")}})
        write_weights(root / f"fcn8s_{column}", column.encode())
    images = {"x": 0.7, "y": 0.6}
    by_image = {"count_error": {"x": 0.25, "y": 0.5}}
    write_run(root, "rcnn_rd", "rd", model="faster_rcnn", headline="test/ap50", images=images, by_image=by_image)
    write_weights(root / "rcnn_rd")
    return root


@pytest.fixture
def gather(access, runs_dir, tmp_path):
    access.boxes_alone = ("faster_rcnn",)

    def call(most=None, score=None, models=None):
        groups = group_runs(collect_runs(runs_dir).runs, "smears")
        table = build_table2(groups, score)
        runs = {model: columns for model, columns in groups.runs.items() if models is None or model in models}
        access.predicted.clear()
        page = Page("title", table)
        samples = add_gallery(page, access.as_run_access(), runs, tmp_path / "cache", most)
        assert [sample.sample_id for sample in samples] == [image.sample_id for image in page.gallery]
        return page

    return call


def test_every_test_image_has_its_truth_and_a_layer_of_each_model(gather, access):
    page = gather()
    assert len(access.predicted) == 4
    assert [image.sample_id for image in page.gallery] == ["x", "y"]
    for image, dice, ap50 in zip(page.gallery, (0.9, 0.8), (0.7, 0.6), strict=True):
        assert (image.width, image.height) == (128, 96)
        truth, boxes, mask = image.layers
        assert (truth.name, truth.score, truth.n_cells) == ("truth", None, 9)
        assert (boxes.name, boxes.score_name, boxes.score, boxes.n_cells) == ("faster_rcnn, RD", "AP50", ap50, 9)
        # The synthetic column has as many seeds, and comes before RD alone.
        assert (mask.name, mask.score_name, mask.score, mask.n_cells) == ("fcn8s, RD+SD", "Dice", dice, None)
        assert {Image.open(io.BytesIO(one.overlay)).size for one in image.layers} == {(128, 96)}
    assert page.sources[1] == "predictions of fcn8s: RD+SD, seed 0, best weights of fcn8s_rd_sd"
    assert page.missing == []
    # Equal hashes are equal samples.
    assert len(access.read) == 1


def test_layers_have_no_score_where_single_images_have_none(gather, runs_dir):
    for name in ("fcn8s_rd", "fcn8s_rd_sd", "rcnn_rd"):
        record = json.loads((runs_dir / name / "metrics.json").read_text())
        record |= {"test/ap": 0.5, "left_out": {"ap": {"image x": 0.4, "image y": 0.6}}}
        (runs_dir / name / "metrics.json").write_text(json.dumps(record))
    layers = [layer for image in gather(score="ap").gallery for layer in image.layers]
    assert {layer.score for layer in layers} == {None}


def test_layers_have_the_score_of_the_table_and_its_direction(gather):
    first, second = (image.layers[2] for image in gather(score="count_error").gallery)
    assert (first.score_name, first.score, first.higher_is_better) == ("Counting error", 0.5, False)
    assert second.score is None


def test_large_images_are_shown_smaller_with_their_layers(gather, access):
    (sample, _) = access.samples
    large = type(sample)("x", np.tile(sample.image, (20, 20, 1)), np.tile(sample.label_map, (20, 20)))
    access.samples = (large,)
    (image,) = gather().gallery
    assert (image.width, image.height) == (1600, 1200)
    assert {Image.open(io.BytesIO(one.overlay)).size for one in image.layers} == {(1600, 1200)}


def test_what_was_predicted_once_is_read_again(gather, access):
    first = gather()
    assert len(access.predicted) == 4
    again = gather()
    assert access.predicted == []
    assert again.gallery == first.gallery


def test_other_weights_settings_or_numerics_are_predicted_with_anew(gather, access, runs_dir):
    gather()
    (runs_dir / "fcn8s_rd_sd" / "checkpoints" / "best.ckpt").write_bytes(b"others")
    gather()
    assert access.predicted == [("fcn8s_rd_sd", "x"), ("fcn8s_rd_sd", "y")]
    write_run(
        runs_dir,
        "stricter",
        "rd_sd",
        settings=changed(model__task__learning_rate=0.5),
        by_image={"count_error": {"x": 0.5, "y": 0.5}},
    )
    write_weights(runs_dir / "stricter", b"others")
    gather(models=["fcn8s"])
    assert access.predicted == [("stricter", "x"), ("stricter", "y")]
    access.precision = "bf16-mixed"
    gather(models=["faster_rcnn"])
    assert access.predicted == [("rcnn_rd", "x"), ("rcnn_rd", "y")]


def test_a_damaged_cache_is_made_anew(gather, access, tmp_path):
    before = gather()
    for number, path in enumerate(sorted((tmp_path / "cache").iterdir())):
        path.write_bytes((b"", b"PK", path.read_bytes()[:-40], b"\x93NUMPY")[number])
    after = gather()
    assert len(access.predicted) == 4
    assert after.gallery == before.gallery


def test_without_weights_the_layer_is_left_out_with_the_reason(gather, runs_dir):
    (runs_dir / "rcnn_rd" / "checkpoints" / "best.ckpt").unlink()
    page = gather()
    assert [one.name for one in page.gallery[0].layers] == ["truth", "fcn8s, RD+SD"]
    (line,) = page.missing
    assert line.startswith("gallery, faster_rcnn: no predictions: rcnn_rd has no checkpoints/best.ckpt any more")
    # Another run of the model stands for it as long as there is one.
    (runs_dir / "fcn8s_rd_sd" / "checkpoints" / "best.ckpt").unlink()
    assert [one.name for one in gather().gallery[0].layers] == ["truth", "fcn8s, RD"]


def test_without_data_there_is_no_gallery_and_the_reason_is_given(gather, access):
    def gone(run):
        raise InputError("/data: no such directory; set data.root to the data set")

    access.tested = gone
    page = gather()
    assert page.gallery == []
    assert page.missing[0] == ("gallery, faster_rcnn: no predictions: /data: no such directory; set data.root to the data set")


def test_fewer_images_and_models_are_shown_when_asked_for(gather, access):
    page = gather(most=1, models=["faster_rcnn"])
    assert [[one.name for one in image.layers] for image in page.gallery] == [["truth", "faster_rcnn, RD"]]
    assert len(access.predicted) == 1
    nothing = gather(most=0)
    assert (nothing.gallery, nothing.missing, access.predicted) == ([], [], [])


def test_the_full_mix_stands_for_a_model_else_the_column_with_most_seeds(tmp_path):
    for column, seeds in (("rd", (0, 1)), ("rd_aug", (0,)), ("rd_sd", (0, 1))):
        for seed in seeds:
            write_run(tmp_path, f"{column}_{seed}", column, seed)
    columns = group_runs(collect_runs(tmp_path).runs, "smears").runs["fcn8s"]
    assert choose_run(columns).directory.name == "rd_sd_0"
    write_weights(tmp_path / "rd_1")
    assert choose_run(columns).directory.name == "rd_1"
    write_run(tmp_path, "all", "rd_sd_aug")
    write_weights(tmp_path / "all")
    assert choose_run(group_runs(collect_runs(tmp_path).runs, "smears").runs["fcn8s"]).directory.name == "all"


def test_over_folds_the_run_of_each_shows_its_own_test_images(tmp_path):
    root = tmp_path / "runs"
    for fold, names in enumerate(("ab", "cd")):
        write_fold(root, "rd", 0, fold, dict(zip(names, (0.5, 0.6), strict=True)), folds=2)
        write_weights(root / f"rd_seed0_fold{fold}", f"{fold}".encode())
    groups = group_runs(collect_runs(root).runs, "smears")
    page, access = Page("title", build_table2(groups)), Access()
    own = {f"rd_seed0_fold{fold}": make_samples(*names) for fold, names in enumerate(("ab", "cd"))}
    access.tested = lambda run: own[run.directory.name]
    add_gallery(page, access.as_run_access(), groups.runs, tmp_path / "cache")
    assert [(image.sample_id, len(image.layers)) for image in page.gallery] == [(name, 2) for name in "abcd"]
    assert [image.layers[1].score for image in page.gallery] == [0.5, 0.6, 0.5, 0.6]
    assert page.sources[1] == "predictions of fcn8s: RD, seed 0, fold 1, best weights of rd_seed0_fold1"


def test_of_scans_the_fullest_slices_are_shown_with_their_classes(tmp_path):
    root, scans = tmp_path / "runs", {"s0": 0.5, "s1": 0.6}
    by_image = {"nothing_mean_dice": dict.fromkeys(scans, 0.0), "dice_lesion": scans, "dice_rim": scans}
    titles = {name: {"title": f"Dice of {name[5:]}", "higher_is_better": True} for name in ("dice_lesion", "dice_rim")}
    by_image["dice"] = scans
    write_run(root, "unet", "rd", headline="test/mean_dice", images=scans, by_image=by_image, metrics=titles)
    write_weights(root / "unet")
    groups = group_runs(collect_runs(root).runs, "smears")
    access = Access(make_slices("s0", "s1"))
    page = Page("title", build_table2(groups))
    add_gallery(page, access.as_run_access(), groups.runs, tmp_path / "cache")
    assert [image.sample_id for image in page.gallery] == [f"{scan}_{k:03d}" for scan in scans for k in (2, 3, 4)]
    assert len(access.predicted) == 6
    for image in page.gallery:
        truth, found = image.layers
        assert (truth.n_cells, found.n_cells, found.score) == (None, None, scans[image.sample_id[:2]])
        # What was found is the truth, in the same colours.
        assert found.overlay == truth.overlay
    drawn = report_page.render(page)
    assert "Test scans" in drawn
    assert "</i>lesion</li>" in drawn
    assert "Test images" not in drawn
    few = Page("title", page.table)
    add_gallery(few, access.as_run_access(), groups.runs, tmp_path / "cache", most=1)
    assert {image.sample_id[:2] for image in few.gallery} == {"s0"}


def test_of_one_class_the_layer_shows_where_answer_and_truth_agree(tmp_path):
    scans = {"s0": 0.5}
    by_image = {"nothing_mean_dice": {"s0": 0.0}, "dice_lesion": scans}
    write_run(tmp_path / "runs", "unet", "rd", images=scans, by_image=by_image)
    write_weights(tmp_path / "runs" / "unet")
    groups = group_runs(collect_runs(tmp_path / "runs").runs, "smears")
    access, page = Access(make_slices("s0")), Page("title", build_table2(groups))
    add_gallery(page, access.as_run_access(), groups.runs, tmp_path / "cache")
    by_name = {sample.sample_id: sample.label_map > 0 for sample in access.samples}
    for image in page.gallery:
        there = by_name[image.sample_id]
        assert image.layers[1].overlay == agreement_overlay(there, there)
        assert image.layers[1].n_cells is None
