"""The collector of detection scores: rows of hand-made images, and that the whole is what the pure functions say."""

import numpy as np
import pytest
from oracles.random_detections import random_detections

from rbc_lightning.ops.average_precision import average_precision
from rbc_lightning.ops.coco_average_precision import coco_average_precision
from rbc_lightning.ops.instance_metrics import aggregated_jaccard_index, panoptic_quality
from rbc_lightning.ops.instance_scores import InstanceScores
from rbc_lightning.ops.instances import Instances
from rbc_lightning.ops.labels import label_map_to_boxes

SHAPE = (40, 60)


def squares(*corners, side=10):
    canvas = np.zeros(SHAPE, dtype=np.int32)
    for index, (row, column) in enumerate(corners, start=1):
        canvas[row : row + side, column : column + side] = index
    return canvas


def as_found(label_map, scores, with_map=True):
    boxes = label_map_to_boxes(label_map)
    return Instances(boxes, np.array(scores, dtype=np.float32), label_map if with_map else None)


NOTHING = Instances(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(SHAPE, np.int32))
THREE = squares((0, 0), (0, 20), (0, 40))


def test_a_row_by_hand():
    # Two true cells perfectly found, the second below the threshold; a false alarm between them.
    found = as_found(squares((0, 0), (0, 20), (20, 20)), [0.9, 0.3, 0.5])
    row = InstanceScores().update(found, THREE)
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
    found = as_found(THREE, [0.9, 0.3, 0.5])
    assert [InstanceScores(t).update(found, THREE)["n_found"] for t in (0.0, 0.3, 0.5, 0.6, 1.0)] == [3, 3, 2, 1, 0]
    assert InstanceScores(1.0).update(found, THREE)["aji"] == 0.0
    assert InstanceScores(1.0).update(found, THREE)["ap50"] == 1.0


def test_over_images_by_hand():
    scores = InstanceScores()
    # Ranked together: right 0.9, wrong 0.8, right 0.7, right 0.6 of 4 targets: 1, 3/4, 3/4 and one missed.
    scores.update(as_found(squares((0, 0), (25, 25)), [0.9, 0.8]), squares((0, 0)))
    scores.update(as_found(squares((0, 0), (0, 20)), [0.7, 0.6]), THREE)
    assert scores.ap50 == pytest.approx((1 + 3 / 4 + 3 / 4) / 4)
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
    scores = InstanceScores()
    for dtype in (np.uint16, np.int32, np.int64):
        # Ids with gaps in the truth: names only.
        scores.update(as_found(THREE, [0.9, 0.8, 0.7]), (THREE * 7).astype(dtype))
    assert scores.compute() == {"ap50": 1.0, "ap50_11_point": 1.0, "ap": 1.0, "count_error": 0.0, "aji": 1.0, "pq": 1.0}


def test_without_label_maps_in_every_image_there_is_no_aji():
    scores = InstanceScores()
    assert {"aji", "pq"} <= scores.update(as_found(THREE, [0.9, 0.8, 0.7]), THREE).keys()
    assert scores.update(as_found(THREE, [0.9, 0.8, 0.7], with_map=False), THREE).keys() == {
        "ap50",
        "n_true",
        "n_found",
        "count_error",
    }
    assert scores.compute() == {"ap50": 1.0, "ap50_11_point": 1.0, "ap": 1.0, "count_error": 0.0}


def test_empty_images():
    scores = InstanceScores()
    row = scores.update(NOTHING, np.zeros(SHAPE, dtype=np.int64))
    assert row == {"ap50": 1.0, "n_true": 0, "n_found": 0, "count_error": 0.0, "aji": 1.0, "pq": 1.0}
    assert scores.compute()["ap"] == scores.ap50 == 1.0
    row = scores.update(as_found(THREE, [0.9, 0.8, 0.7]), np.zeros(SHAPE, dtype=np.int64))
    assert row == {"ap50": 0.0, "n_true": 0, "n_found": 3, "count_error": 3.0, "aji": 0.0, "pq": 0.0}
    row = scores.update(NOTHING, THREE)
    assert row == {"ap50": 0.0, "n_true": 3, "n_found": 0, "count_error": 1.0, "aji": 0.0, "pq": 0.0}


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_is_what_the_pure_functions_say(seed):
    predictions, targets = random_detections(seed, "whole pixels")
    scores, rows, maps = InstanceScores(score_threshold=0.004), [], []
    for prediction, target in zip(predictions, targets, strict=True):
        true, pred = (painted(entry["boxes"]) for entry in (target, prediction))
        target["boxes"] = label_map_to_boxes(true)
        found = Instances(prediction["boxes"].astype(np.float32), prediction["scores"].astype(np.float32), pred)
        rows.append(scores.update(found, true))
        dropped = np.flatnonzero(found.scores < 0.004) + 1
        maps.append((np.where(np.isin(pred, dropped), 0, pred), true))
    whole = scores.compute()
    assert scores.ap50 == whole["ap50"] == average_precision(predictions, targets)
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
    scores = InstanceScores()
    scores.update(as_found(THREE, [0.9, 0.8, 0.7]), THREE)["count_error"] = 99.0
    assert scores.compute()["count_error"] == 0.0


def test_no_images_is_an_error():
    with pytest.raises(ValueError, match="No image was added"):
        InstanceScores().compute()
    with pytest.raises(ValueError, match="No image was added"):
        _ = InstanceScores().ap50


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_the_scores_is_refused(threshold):
    with pytest.raises(ValueError, match=rf"score_threshold must lie in \[0, 1\], got {threshold}"):
        InstanceScores(threshold)


def test_a_refused_image_leaves_nothing_behind():
    scores, found = InstanceScores(), as_found(THREE, [0.9, 0.8, 0.7])
    with pytest.raises(ValueError, match=r"one shape, got \(40, 60\) and \(30, 60\)"):
        scores.update(found, THREE[:30])
    with pytest.raises(TypeError, match="expected an integer label map, got dtype float64"):
        scores.update(found, THREE.astype(float))
    with pytest.raises(ValueError, match="expected ids from 0 to 3 for 3 cells found, got ids from 0 to 6"):
        scores.update(Instances(found.boxes, found.scores, THREE * 2), THREE)
    with pytest.raises(ValueError, match="one score per box"):
        scores.update(Instances(found.boxes, found.scores[:2], THREE), THREE)
    with pytest.raises(ValueError, match="No image was added"):
        scores.compute()
