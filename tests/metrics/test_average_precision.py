import numpy as np
import pytest
import torch
from oracles.random_detections import LAYOUTS, random_detections
from oracles.voc_average_precision import voc_average_precision
from torchmetrics.detection import MeanAveragePrecision

from rbc_lightning.metrics.average_precision import average_precision, box_iou
from rbc_lightning.metrics.coco import coco_average_precision

A, B, C, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [90, 90, 99, 99]


def found(*pairs):
    return [{"boxes": np.array([box for box, _ in pairs]).reshape(-1, 4), "scores": np.array([score for _, score in pairs])}]


def truth(*boxes):
    return [{"boxes": np.array(boxes, dtype=float).reshape(-1, 4)}]


@pytest.mark.parametrize(
    ("detections", "area", "eleven"),
    [
        # (found, precision) after each detection: (1, 1) (1, 1/2) (2, 2/3); recall ends at 2/3.
        ([(A, 0.9), (FAR, 0.8), (B, 0.7)], (1 + 2 / 3) / 3, (4 * 1 + 3 * 2 / 3) / 11),
        # A second box on A is a false alarm: (1, 1) (1, 1/2) (2, 2/3) (3, 3/4); the envelope lifts 2/3 to 3/4.
        ([(A, 0.9), (A, 0.8), (B, 0.7), (C, 0.6)], (1 + 3 / 4 + 3 / 4) / 3, (4 * 1 + 7 * 3 / 4) / 11),
        # The wrong one first: (0, 0) (1, 1/2).
        ([(FAR, 0.9), (C, 0.1)], (1 / 2) / 3, (4 * 1 / 2) / 11),
        # Equal scores are one step, (2, 2/3), in whatever order they come.
        ([(A, 0.5), (FAR, 0.5), (B, 0.5)], (2 * 2 / 3) / 3, (7 * 2 / 3) / 11),
        ([(FAR, 0.5), (A, 0.5), (B, 0.5)], (2 * 2 / 3) / 3, (7 * 2 / 3) / 11),
        ([(C, 0.2), (B, 0.4), (A, 0.3)], 1.0, 1.0),
        ([], 0.0, 0.0),
    ],
)
def test_average_precision_by_hand(detections, area, eleven):
    assert average_precision(found(*detections), truth(A, B, C)) == pytest.approx(area)
    assert average_precision(found(*detections), truth(A, B, C), interpolation="11-point") == pytest.approx(eleven)


def test_eleven_points_reach_a_recall_of_three_tenths_exactly():
    boxes = [[20 * i, 0, 20 * i + 10, 10] for i in range(10)]
    detections = found(*((box, 1 - i / 10) for i, box in enumerate(boxes[:3])))
    assert average_precision(detections, truth(*boxes), interpolation="11-point") == pytest.approx(4 / 11)


def test_an_overlap_must_exceed_the_threshold():
    half = [0, 0, 10, 5]
    assert box_iou(np.array([half], dtype=float), np.array([A], dtype=float)) == 0.5
    assert average_precision(found((half, 1.0)), truth(A)) == 0
    assert average_precision(found((half, 1.0)), truth(A), iou_threshold=0.49) == 1


def test_a_detection_counts_for_its_best_target_only():
    # The box of lower score overlaps A most, which is taken: VOC does not pass it on to B.
    beside = [6, 0, 16, 10]
    detections = found(([5, 0, 15, 10], 0.9), ([4, 0, 14, 10], 0.8))
    assert average_precision(detections, truth(A, beside), iou_threshold=0.2) == pytest.approx(1 / 2)


def test_images_are_ranked_together():
    # Ranked: right, wrong, right: 1 and 2/3. The mean over the two images would be (1 + 1/2) / 2.
    predictions = found((A, 0.9)) + found((FAR, 0.8), (B, 0.7))
    assert average_precision(predictions, truth(A) + truth(B)) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize(("predictions", "expected"), [(found(), 1.0), (found((A, 0.1)), 0.0)])
def test_without_targets_silence_is_right(predictions, expected):
    assert average_precision(predictions, truth()) == expected
    assert average_precision([], []) == 1.0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.75])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_agrees_with_the_plain_walk_through_the_ranking(seed, threshold, layout):
    predictions, targets = random_detections(seed, layout)
    plain_predictions = [{name: values.tolist() for name, values in entry.items()} for entry in predictions]
    for name, eleven in (("area", False), ("11-point", True)):
        plain = voc_average_precision(plain_predictions, targets, threshold, eleven)
        assert 0 < plain < 1
        assert average_precision(predictions, targets, threshold, name) == pytest.approx(plain, abs=1e-12)


def test_a_hand_made_curve():
    # Ten targets; 1, 2, 3, 4, 5, 6 of them are found at ranks 1, 2, 4, 7, 8, 10, the other ranks are false alarms.
    # The envelope of 1, 1, 3/4, 4/7, 5/8, 6/10 lifts the fourth to 5/8.
    boxes, ranks = [[20 * i, 0, 20 * i + 10, 10] for i in range(10)], [1, 2, 4, 7, 8, 10]
    missed = [300, 300, 310, 310]
    detections = found(*((boxes[ranks.index(r)] if r in ranks else missed, 1 - r / 100) for r in range(1, 11)))
    assert average_precision(detections, truth(*boxes)) == pytest.approx((1 + 1 + 3 / 4 + 5 / 8 + 5 / 8 + 6 / 10) / 10)
    eleven = (3 * 1 + 3 / 4 + 2 * 5 / 8 + 6 / 10) / 11
    assert average_precision(detections, truth(*boxes), interpolation="11-point") == pytest.approx(eleven)


def test_a_thousand_boxes_and_more_all_count_and_tensors_are_fine():
    corner = np.stack(np.meshgrid(np.arange(40), np.arange(30)), axis=-1).reshape(-1, 2) * 40.0
    boxes = np.concatenate((corner, corner + 35), axis=1)
    predictions = [{"boxes": torch.from_numpy(boxes), "scores": torch.linspace(0, 1, len(boxes)).bfloat16()}]
    assert average_precision(predictions, [{"boxes": torch.from_numpy(boxes)}]) == 1.0
    assert average_precision(predictions, [{"boxes": torch.from_numpy(np.concatenate((boxes, boxes + 5000)))}]) == 0.5


def test_agrees_with_torchmetrics_where_the_two_definitions_meet():
    # On targets well apart VOC and COCO match alike; area and 101 recall points read one curve up to 1/101 differently.
    # 397 is prime: torchmetrics rounds its recall points to single precision, so that none may be met exactly.
    rng = np.random.default_rng(0)
    corner = torch.tensor([[60.0 * (i % 20), 60.0 * (i // 20)] for i in range(397)])
    true = torch.cat((corner, corner + torch.tensor(rng.uniform(30, 50, (397, 2)), dtype=torch.float32)), dim=1)
    moved = true[:300] + torch.tensor(rng.normal(0, 5, (300, 4)), dtype=torch.float32)
    prediction = {"boxes": moved, "scores": torch.tensor(rng.random(300)), "labels": torch.zeros(300, dtype=torch.int64)}
    target = {"boxes": true, "labels": torch.zeros(397, dtype=torch.int64)}
    # Torchmetrics wants three limits and looks at no more than the last: the largest count must lie below it.
    metric = MeanAveragePrecision(max_detection_thresholds=[1, 100, 2000], backend="faster_coco_eval")
    theirs = metric(preds=[prediction], target=[target])
    assert 0.3 < theirs["map_50"] < 0.7
    assert average_precision([prediction], [target]) == pytest.approx(float(theirs["map_50"]), abs=0.01)
    assert coco_average_precision([prediction], [target], [0.5]) == pytest.approx(float(theirs["map_50"]), abs=1e-6)
    assert coco_average_precision([prediction], [target]) == pytest.approx(float(theirs["map"]), abs=1e-6)


@pytest.mark.parametrize(
    ("predictions", "targets", "options", "message"),
    [
        (found(), [], {}, "one entry per image in both lists, got 1 and 0"),
        ([{"boxes": [[1, 2, 3]], "scores": [1]}], truth(A), {}, r"shape \(N, 4\), got \(1, 3\)"),
        ([{"boxes": [A], "scores": [1, 2]}], truth(A), {}, r"one score per box, got scores of shape \(2,\) for 1 boxes"),
        ([{"boxes": [A], "scores": [float("nan")]}], truth(A), {}, "scores must be finite, got nan"),
        (found((A, 1)), truth(A), {"iou_threshold": 1.0}, r"iou_threshold must lie in \[0, 1\), got 1.0"),
        (found((A, 1)), truth(A), {"interpolation": "coco"}, "must be one of area, 11-point, got 'coco'"),
    ],
)
def test_bad_arguments_are_named(predictions, targets, options, message):
    with pytest.raises(ValueError, match=message):
        average_precision(predictions, targets, **options)
