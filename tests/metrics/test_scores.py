"""Scores of images by all registered metrics: rows of hand-made images, and that the whole is what the pure functions say."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from oracles.random_detections import random_detections

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.metrics.average_precision import average_precision
from rbc_lightning.metrics.coco import coco_average_precision
from rbc_lightning.metrics.instances import Instances, Prediction
from rbc_lightning.metrics.label_maps import aggregated_jaccard_index, panoptic_quality
from rbc_lightning.metrics.registry import REGISTRY, Metric, choose_metrics
from rbc_lightning.metrics.scores import Scores

CELLS = [metric for metric in REGISTRY.values() if metric.name not in ("dice", "dice_pooled", "iou")]
BOXES = [metric for metric in REGISTRY.values() if not metric.needs_label_map]
SHAPE = (40, 60)


def squares(*corners, side=10):
    canvas = np.zeros(SHAPE, dtype=np.int32)
    for index, (row, column) in enumerate(corners, start=1):
        canvas[row : row + side, column : column + side] = index
    return canvas


def as_found(label_map, scores, threshold=0.5):
    return Prediction(Instances(label_map_to_boxes(label_map), np.array(scores, dtype=np.float32), label_map), None, threshold)


NOTHING = Prediction(Instances(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(SHAPE, np.int32)))
THREE = squares((0, 0), (0, 20), (0, 40))


def test_a_row_by_hand():
    # Two true cells perfectly found, the second below the threshold; a false alarm between them.
    found = as_found(squares((0, 0), (0, 20), (20, 20)), [0.9, 0.3, 0.5])
    row = Scores(CELLS).update(found, THREE)
    assert row == pytest.approx(
        {
            "ap50": (1 + 2 / 3) / 3,
            "n_true": 3,
            "n_found": 2,
            "count_error": 1 / 3,
            # Of the cells kept, one is right and one is not; two true cells are missed.
            "aji": 100 / (100 + 200 + 100),
            "pq": 1 / (1 + 1 / 2 + 2 / 2),
        }
    )


def test_the_threshold_is_inclusive_and_can_be_chosen():
    rows = {t: Scores(CELLS).update(as_found(THREE, [0.9, 0.3, 0.5], t), THREE) for t in (0.0, 0.3, 0.5, 0.6, 1.0)}
    assert [row["n_found"] for row in rows.values()] == [3, 3, 2, 1, 0]
    assert rows[1.0]["aji"] == 0.0
    assert rows[1.0]["ap50"] == 1.0


def test_over_images_by_hand():
    scores = Scores(CELLS)
    # Ranked together: right 0.9, wrong 0.8, right 0.7, right 0.6 of 4 targets: 1, 3/4, 3/4 and one missed.
    scores.update(as_found(squares((0, 0), (25, 25)), [0.9, 0.8]), squares((0, 0)))
    scores.update(as_found(squares((0, 0), (0, 20)), [0.7, 0.6]), THREE)
    assert scores.compute() == pytest.approx(
        {
            "ap50": (1 + 3 / 4 + 3 / 4) / 4,
            "ap50_11_point": (3 * 1 + 5 * 3 / 4) / 11,
            # The same at every IoU threshold, since the boxes are exact: recalls 0 to 0.25, and on to 0.75.
            "ap": (26 * 1 + 50 * 3 / 4) / 101,
            "count_error": (1 + 1 / 3) / 2,
            "aji": (100 / 200 + 200 / 300) / 2,
            "pq": (1 / 1.5 + 2 / 2.5) / 2,
        }
    )


def test_perfect_images_of_any_dtype_score_one():
    scores = Scores(CELLS)
    for dtype in (np.uint16, np.int32, np.int64):
        # Ids with gaps in the truth: names only.
        scores.update(as_found(THREE, [0.9, 0.8, 0.7]), (THREE * 7).astype(dtype))
    assert scores.compute() == {"ap50": 1.0, "ap50_11_point": 1.0, "ap": 1.0, "count_error": 0.0, "aji": 1.0, "pq": 1.0}


def test_boxes_alone_have_no_aji():
    scores, alone = Scores(BOXES), Prediction(replace(as_found(THREE, [0.9, 0.8, 0.7]).cells, label_map=None))
    assert list(scores.update(alone, THREE)) == ["ap50", "n_true", "n_found", "count_error"]
    assert scores.compute() == {"ap50": 1.0, "ap50_11_point": 1.0, "ap": 1.0, "count_error": 0.0}


def test_dice_and_iou_are_means_over_images_and_dice_is_pooled_as_well():
    found, true = squares((0, 0), side=6), squares((0, 3), side=6)
    scores = Scores(REGISTRY.values())
    # 18 pixels of 36 and 36 in both, then 100 of 100, then nothing at all.
    assert scores.update(as_found(found, [0.9]), true)["dice"] == pytest.approx(36 / 72)
    assert scores.update(as_found(squares((0, 0)), [0.9]), squares((0, 0)))["iou"] == 1.0
    scores.update(NOTHING, np.zeros(SHAPE, dtype=np.int64))
    whole = scores.compute()
    assert whole["dice"] == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert whole["iou"] == pytest.approx((18 / 54 + 1 + 1) / 3)
    assert whole["dice_pooled"] == pytest.approx(2 * 118 / 272)


def test_columns_and_values_keep_their_order():
    scores = Scores(REGISTRY.values())
    row = scores.update(as_found(THREE, [0.9, 0.8, 0.7]), THREE)
    assert list(row) == ["dice", "iou", "ap50", "n_true", "n_found", "count_error", "aji", "pq"]
    whole = ["dice", "dice_pooled", "iou", "ap50", "ap50_11_point", "ap", "count_error", "aji", "pq"]
    assert list(scores.compute()) == whole


@pytest.mark.parametrize("units", ["aabbb", "abcde", "abcab"])
def test_without_a_unit_is_what_the_other_images_alone_give(units):
    images = []
    for prediction, target in zip(*random_detections(4, "whole pixels", n_images=5), strict=True):
        boxes, confidence = (prediction[name].astype(np.float32) for name in ("boxes", "scores"))
        found = Instances(boxes, confidence, painted(boxes))
        images.append((Prediction(found, found.label_map > 0), painted(target["boxes"])))
    metrics = (*REGISTRY.values(), Metric("most", "most cells", None, cells_found, None, max))
    scores = Scores(metrics)
    for image in images:
        scores.update(*image)
    without = scores.left_out(units)
    assert list(without) == ["dice_pooled", "ap50", "ap50_11_point", "ap", "most"]
    assert all(list(by_unit) == sorted(set(units)) for by_unit in without.values())
    for unit in units:
        anew = Scores(metrics)
        for image, other in zip(images, units, strict=True):
            if other != unit:
                anew.update(*image)
        assert {name: by_unit[unit] for name, by_unit in without.items()} == {name: anew.compute()[name] for name in without}
    assert len(set(without["ap"].values())) == len(set(units))


def cells_found(prediction, truth):
    return len(prediction.cells)


def test_without_a_unit_by_hand():
    scores = Scores(BOXES)
    # Of patient p one cell found, then a false alarm above another; of patient q one found of two.
    scores.update(as_found(squares((0, 0)), [0.9]), squares((0, 0)))
    scores.update(as_found(squares((0, 0), (20, 0)), [0.6, 0.8]), squares((0, 0)))
    scores.update(as_found(squares((0, 0)), [0.7]), squares((0, 0), (0, 20)))
    # Without q: right, wrong, right of two. Without p: one right of two.
    assert scores.left_out(["p", "p", "q"]) == {
        "ap50": {"p": pytest.approx(1 / 2), "q": pytest.approx((1 + 2 / 3) / 2)},
        "ap50_11_point": {"p": pytest.approx(6 / 11), "q": pytest.approx((6 + 5 * 2 / 3) / 11)},
        "ap": {"p": pytest.approx(51 / 101), "q": pytest.approx((51 + 50 * 2 / 3) / 101)},
    }
    assert scores.left_out(["p", "p", "p"]) == {}
    with pytest.raises(ValueError, match="expected the unit of each of 3 images, got 2"):
        scores.left_out(["p", "q"])


def test_metrics_that_share_a_function_share_the_work():
    calls = []

    def count(prediction, truth):
        calls.append(None)
        return len(prediction.cells)

    metrics = (Metric("cells", "cells", None, count), Metric("most", "most cells", None, count, None, max))
    scores = Scores(metrics)
    assert scores.update(as_found(THREE, [0.9, 0.8, 0.7]), THREE) == {"cells": 3.0}
    scores.update(NOTHING, THREE)
    assert scores.compute() == {"cells": 1.5, "most": 3.0}
    assert len(calls) == 2


def test_empty_images():
    scores = Scores(CELLS)
    row = scores.update(NOTHING, np.zeros(SHAPE, dtype=np.int64))
    assert row == {"ap50": 1.0, "n_true": 0, "n_found": 0, "count_error": 0.0, "aji": 1.0, "pq": 1.0}
    assert scores.compute()["ap"] == scores.compute()["ap50"] == 1.0
    row = scores.update(as_found(THREE, [0.9, 0.8, 0.7]), np.zeros(SHAPE, dtype=np.int64))
    assert row == {"ap50": 0.0, "n_true": 0, "n_found": 3, "count_error": 3.0, "aji": 0.0, "pq": 0.0}
    row = scores.update(NOTHING, THREE)
    assert row == {"ap50": 0.0, "n_true": 3, "n_found": 0, "count_error": 1.0, "aji": 0.0, "pq": 0.0}


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_is_what_the_pure_functions_say(seed):
    predictions, targets = random_detections(seed, "whole pixels")
    scores, rows, maps = Scores(CELLS), [], []
    for prediction, target in zip(predictions, targets, strict=True):
        true, pred = (painted(entry["boxes"]) for entry in (target, prediction))
        target["boxes"] = label_map_to_boxes(true)
        found = Instances(prediction["boxes"].astype(np.float32), prediction["scores"].astype(np.float32), pred)
        rows.append(scores.update(Prediction(found, score_threshold=0.004), true))
        dropped = np.flatnonzero(found.scores < 0.004) + 1
        maps.append((np.where(np.isin(pred, dropped), 0, pred), true))
    whole = scores.compute()
    assert whole["ap50"] == average_precision(predictions, targets)
    assert whole["ap50_11_point"] == average_precision(predictions, targets, interpolation="11-point")
    assert whole["ap"] == coco_average_precision(predictions, targets)
    assert 0 < whole["ap"] < whole["ap50"] < 1
    assert whole["aji"] == pytest.approx(np.mean([aggregated_jaccard_index(*pair) for pair in maps]))
    assert whole["pq"] == pytest.approx(np.mean([panoptic_quality(*pair).pq for pair in maps]))
    assert whole["count_error"] == pytest.approx(np.mean([row["count_error"] for row in rows]))


def painted(boxes):
    canvas = np.zeros((80, 80), dtype=np.int32)
    for index, (x1, y1, x2, y2) in enumerate(boxes.clip(0, 80).astype(int), start=1):
        canvas[y1:y2, x1:x2] = index
    return canvas


def test_a_row_given_back_is_the_callers_own():
    scores = Scores(CELLS)
    scores.update(as_found(THREE, [0.9, 0.8, 0.7]), THREE)["count_error"] = 99.0
    assert scores.compute()["count_error"] == 0.0


def test_no_images_is_an_error():
    with pytest.raises(ValueError, match="No image was added"):
        Scores(CELLS).compute()


def test_a_refused_image_leaves_nothing_behind():
    scores, found = Scores(CELLS), as_found(THREE, [0.9, 0.8, 0.7])
    cells = found.cells
    with pytest.raises(ValueError, match=r"one shape, got \(40, 60\) and \(30, 60\)"):
        scores.update(found, THREE[:30])
    with pytest.raises(TypeError, match="expected an integer label map, got dtype float64"):
        scores.update(found, THREE.astype(float))
    with pytest.raises(ValueError, match="expected ids from 0 to 3 for 3 cells found, got ids from 0 to 6"):
        scores.update(Prediction(replace(cells, label_map=THREE * 2)), THREE)
    with pytest.raises(ValueError, match="one score per box"):
        scores.update(Prediction(replace(cells, scores=cells.scores[:2])), THREE)
    with pytest.raises(ValueError, match="No image was added"):
        scores.compute()


def test_images_that_were_dealt_out_are_put_together_as_one_would_have_seen_them():
    rng = np.random.default_rng(0)
    images = [(as_found(THREE, rng.random(3)), np.roll(THREE, shift, 1), f"i{shift}") for shift in range(5)]
    metrics = list(REGISTRY.values())

    def scored(chosen):
        scores = Scores(metrics)
        for prediction, truth, name in chosen:
            scores.update(prediction, truth, name, loss=float(name[1:]))
        return scores

    whole = scored(images)
    assert whole.compute()["loss"] == 2.0
    # Sent from process to process.
    dealt = pickle.loads(pickle.dumps([scored(images[rank::2]).images for rank in range(2)]))
    for parts in (dealt, [whole.images] * 3):
        joined = Scores(metrics)
        joined.join(parts)
        assert [image.name for image in joined.images] == [name for *_, name in images]
        assert joined.compute() == whole.compute()


def slice_of(scan, number, found, true):
    found = np.array([found], dtype=np.int32)
    prediction = Prediction(Instances(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)), found > 0, classes=found)
    return {"prediction": prediction, "label_map": np.array([true], dtype=np.int32), "name": f"{scan}_{number}", "volume": scan}


# In both, found, true: of scan a 2, 3, 4 and then 0, 1, 0; of scan b 1, 1, 1.
SLICES = [
    slice_of("a", 0, [1, 1, 1, 0, 0], [1, 1, 0, 1, 1]),
    slice_of("b", 0, [0, 0, 1, 0, 0], [0, 0, 1, 0, 0]),
    slice_of("a", 1, [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]),
]


def scored_slices(slices=SLICES):
    scores = Scores(choose_metrics(True, {}, ("lesion",)).values())
    for entry in slices:
        scores.update(**entry, loss=float(entry["name"][-1]))
    return scores


def test_slices_count_as_one_scan_by_hand():
    scores = scored_slices()
    rows = scores.rows()
    assert [row["sample_id"] for row in rows] == ["a", "b"]
    assert (rows[0]["dice"], rows[0]["iou"], rows[0]["accuracy"]) == (4 / 8, 2 / 6, 6 / 10)
    assert (rows[1]["dice"], rows[1]["nothing_mean_dice"]) == (1.0, 0.0)
    whole = scores.compute()
    # The mean over scans, not over slices; pixels pooled over all.
    assert (whole["dice"], whole["dice_lesion"], whole["dice_pooled"]) == (0.75, 0.75, pytest.approx(6 / 10))
    assert whole["loss"] == pytest.approx((0.5 + 0) / 2)


def test_without_a_patient_whose_scans_are_two():
    scores = scored_slices([*SLICES, slice_of("c", 0, [1, 0, 0, 0, 0], [0, 1, 0, 0, 0])])
    left = scores.left_out(["p", "q", "p"])
    assert left == {"dice_pooled": {"p": 1.0, "q": pytest.approx(2 * 2 / (5 + 5))}}
    with pytest.raises(ValueError, match="expected the unit of each of 3 images, got 4"):
        scores.left_out(["p", "q", "p", "p"])


def test_what_cannot_be_put_together_is_not_measured_on_scans():
    scores = Scores([*REGISTRY.values()])
    row = scores.update(as_found(THREE, [0.9, 0.8, 0.7]), THREE, "a_0", "a")
    assert list(row) == [name for name in scores.rows()[0] if name != "sample_id"] == ["dice", "iou"]
    assert list(scores.compute()) == ["dice", "dice_pooled", "iou"]


def test_slices_that_were_dealt_out_are_the_scans_that_one_process_would_have_seen():
    dealt = pickle.loads(pickle.dumps([scored_slices(SLICES[rank::2]).images for rank in range(2)]))
    joined = scored_slices([])
    joined.join(dealt)
    assert [image.name for image in joined.images] == ["a_0", "b_0", "a_1"]
    assert joined.compute() == scored_slices().compute()
    assert joined.rows() == scored_slices().rows()
