"""COCO's average precision against faster-coco-eval below its cap, and by hand above."""

import numpy as np
import pytest
import torch
from faster_coco_eval import COCO, COCOeval_faster
from oracles.random_detections import LAYOUTS, random_detections

from rbc_lightning.metrics.average_precision import average_precision
from rbc_lightning.metrics.coco import COCO_IOU_THRESHOLDS, coco_average_precision

A, B, C, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [90, 90, 99, 99]


def found(*pairs):
    return [{"boxes": np.array([box for box, _ in pairs]).reshape(-1, 4), "scores": np.array([score for _, score in pairs])}]


def truth(*boxes):
    return [{"boxes": np.array(boxes, dtype=float).reshape(-1, 4)}]


def grid(count):
    index = np.arange(count)
    corner = np.stack((index % 40, index // 40), axis=1) * 45.0
    return np.concatenate((corner, corner + 40), axis=1)


def reference(predictions, targets):
    """faster-coco-eval's AP at every default threshold, all sizes of boxes, up to 2,000 detections in an image."""

    def xywh(box):
        x1, y1, x2, y2 = np.asarray(box, dtype=float).tolist()
        return {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "category_id": 1}

    images = [{"id": image + 1, "width": 2000, "height": 2000} for image in range(len(targets))]
    true = [xywh(box) | {"image_id": i, "iscrowd": 0} for i, t in enumerate(targets, start=1) for box in t["boxes"]]
    for identity, annotation in enumerate(true, start=1):
        annotation["id"] = identity
    detected = [
        xywh(box) | {"image_id": i, "score": float(score)}
        for i, p in enumerate(predictions, start=1)
        for box, score in zip(p["boxes"], p["scores"], strict=True)
    ]
    coco = COCO({"images": images, "annotations": true, "categories": [{"id": 1, "name": "cell"}]})
    evaluation = COCOeval_faster(coco, coco.loadRes(detected), iouType="bbox")
    evaluation.params.maxDets = [1, 100, 2000]
    evaluation.evaluate()
    evaluation.accumulate()
    assert evaluation.params.areaRngLbl[0] == "all"
    return evaluation.eval["precision"][:, :, 0, 0, 2].mean(axis=1)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_agrees_with_faster_coco_eval(seed, layout):
    predictions, targets = random_detections(seed, layout)
    theirs = reference(predictions, targets)
    for threshold, expected in zip(COCO_IOU_THRESHOLDS, theirs, strict=True):
        assert coco_average_precision(predictions, targets, [threshold]) == pytest.approx(expected, abs=1e-6)
    assert 0.1 < theirs.mean() < 0.9
    assert coco_average_precision(predictions, targets) == pytest.approx(theirs.mean(), abs=1e-6)


def test_agrees_with_faster_coco_eval_on_crowded_images_and_float32():
    predictions, targets = random_detections(0, "dense", n_images=5, most_cells=300)
    for entry in (*predictions, *targets):
        entry["boxes"] = entry["boxes"].astype(np.float32)
    assert max(len(entry["boxes"]) for entry in predictions) > 450
    theirs = reference(predictions, targets)
    assert coco_average_precision(predictions, targets, [0.5]) == pytest.approx(theirs[0], abs=1e-6)
    assert coco_average_precision(predictions, targets) == pytest.approx(theirs.mean(), abs=1e-6)
    tensors = [{name: torch.from_numpy(values) for name, values in entry.items()} for entry in predictions]
    assert coco_average_precision(tensors, targets) == coco_average_precision(predictions, targets)


def test_equal_scores_rank_as_in_faster_coco_eval():
    predictions, targets = random_detections(3, "dense")
    for entry in predictions:
        entry["scores"] = np.round(entry["scores"] * 300) / 4
    theirs = reference(predictions, targets)
    assert coco_average_precision(predictions, targets) == pytest.approx(theirs.mean(), abs=1e-6)


@pytest.mark.parametrize("count", [300, 1200])
def test_every_perfect_box_counts_and_a_duplicate_costs(count):
    boxes = grid(count)
    predictions = [{"boxes": boxes, "scores": np.linspace(1, 0.5, count)}]
    assert coco_average_precision(predictions, [{"boxes": boxes}]) == 1.0
    assert coco_average_precision(predictions, [{"boxes": boxes}], [0.5]) == 1.0
    assert average_precision(predictions, [{"boxes": boxes}]) == 1.0
    assert average_precision(predictions, [{"boxes": boxes}], interpolation="11-point") == 1.0

    # The first box again, ranked after it: from the second true box on, k right ones stand among k + 1. Precision grows
    # with k, so that the envelope is 1 up to a recall of 1 / count and count / (count + 1) from there.
    again = [{"boxes": np.concatenate((boxes[:1], boxes)), "scores": np.append(0.9999, predictions[0]["scores"])}]
    late = count / (count + 1)
    assert average_precision(again, [{"boxes": boxes}]) == pytest.approx((1 + (count - 1) * late) / count)
    assert average_precision(again, [{"boxes": boxes}], interpolation="11-point") == pytest.approx((1 + 10 * late) / 11)
    assert coco_average_precision(again, [{"boxes": boxes}]) == pytest.approx((1 + 100 * late) / 101)

    # Ranked last of all it costs nothing, as in every definition of average precision.
    again[0]["scores"][0] = 0.1
    assert coco_average_precision(again, [{"boxes": boxes}]) == 1.0


def test_a_hand_made_curve():
    # Ten targets, right and wrong in turn; found 1, 2, 3, 4, 5, 6 of them at ranks 1, 2, 4, 7, 8, 10. The envelope of
    # 1, 1, 3/4, 4/7, 5/8, 6/10 is 1, 1, 3/4, 5/8, 5/8, 6/10, read at 1 + 20, 10, 20 and 10 of the recall points.
    boxes, ranks = grid(10), [1, 2, 4, 7, 8, 10]
    detections = [(boxes[ranks.index(rank)] if rank in ranks else FAR, 1 - rank / 100) for rank in range(1, 11)]
    expected = (21 + 10 * 3 / 4 + 20 * 5 / 8 + 10 * 6 / 10) / 101
    assert coco_average_precision(found(*detections), truth(*boxes)) == pytest.approx(expected)


def test_a_detection_takes_the_best_target_that_is_still_free():
    # Where VOC counts a second hit on A, COCO passes the box of lower score on to its neighbour.
    beside = [6, 0, 16, 10]
    detections = found(([4, 0, 14, 10], 0.8), ([5, 0, 15, 10], 0.9))
    assert coco_average_precision(detections, truth(A, beside), [0.2]) == 1.0
    # At 0.5 only the neighbour, with 8/12 and 9/11, is near enough: the better box has it.
    assert coco_average_precision(detections, truth(A, beside), [0.5]) == pytest.approx(51 / 101)


def test_an_overlap_equal_to_the_threshold_is_a_hit():
    half = found(([0, 0, 10, 5], 1.0))
    assert coco_average_precision(half, truth(A), [0.5]) == 1.0
    assert coco_average_precision(half, truth(A), [0.5001]) == 0.0
    assert coco_average_precision(half, truth(A)) == pytest.approx(0.1)
    assert coco_average_precision(found((A, 1.0)), truth(A), [1.0]) == 1.0


def test_images_are_ranked_together():
    # Ranked right, wrong, right: 1 up to a recall of 1/2 and 2/3 beyond.
    predictions = found((A, 0.9)) + found((FAR, 0.8), (B, 0.7))
    assert coco_average_precision(predictions, truth(A) + truth(B)) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_empty_images():
    assert coco_average_precision([], []) == coco_average_precision(found(), truth()) == 1.0
    assert coco_average_precision(found((A, 0.1)), truth()) == 0.0
    assert coco_average_precision(found(), truth(A)) == 0.0
    assert coco_average_precision(found(([5, 5, 5, 9], 0.1)), truth(A)) == 0.0


@pytest.mark.parametrize(
    ("predictions", "targets", "thresholds", "message"),
    [
        (found(), [], [0.5], "one entry per image in both lists, got 1 and 0"),
        (found((A, float("inf"))), truth(A), [0.5], "scores must be finite, got inf"),
        (found((A, 1)), truth(A), [], r"at least one IoU threshold, each in \(0, 1\], got \[\]"),
        (found((A, 1)), truth(A), [0.5, 1.1], r"got \[0.5, 1.1\]"),
        (found((A, 1)), truth(A), [0.0], r"got \[0.0\]"),
        (found((A, 1)), truth(A), 0.5, "got 0.5"),
    ],
)
def test_bad_arguments_are_named(predictions, targets, thresholds, message):
    with pytest.raises(ValueError, match=message):
        coco_average_precision(predictions, targets, thresholds)
