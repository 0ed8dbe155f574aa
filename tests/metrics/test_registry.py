"""Every registered metric against its function, and metrics that come from elsewhere."""

import pickle

import numpy as np
import pytest

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.metrics.average_precision import average_precision
from rbc_lightning.metrics.classes import class_dice, class_iou, count_pixels
from rbc_lightning.metrics.coco import coco_average_precision
from rbc_lightning.metrics.instances import Instances, Prediction
from rbc_lightning.metrics.label_maps import aggregated_jaccard_index, count_error, dice_score, overlap, panoptic_quality
from rbc_lightning.metrics.registry import REGISTRY, Metric, choose_metrics, register
from rbc_lightning.metrics.scores import Scores

SCANS = ("h95", "h95_worst", "avd", "lesion_recall", "lesion_f1")


def cells_at_random(seed):
    """An image's prediction and truth: squares moved by a pixel or two, some missed, some invented."""
    rng = np.random.default_rng(seed)
    true, found = np.zeros((2, 60, 80), dtype=np.int32)
    for index, (row, column) in enumerate(np.argwhere(np.ones((5, 7))) * 11 + 2, start=1):
        if rng.random() < 0.8:
            true[row : row + 8, column : column + 8] = index
        if rng.random() < 0.8:
            down, right = rng.integers(0, 3, 2)
            found[row + down : row + down + 8, column + right : column + right + 8] = index
    for label_map in (true, found):
        label_map[:] = np.unique(label_map, return_inverse=True)[1].reshape(label_map.shape)
    scores = rng.random(found.max()).astype(np.float32)
    return Prediction(Instances(label_map_to_boxes(found), scores, found), rng.random((60, 80)) < 0.5), true


@pytest.fixture(scope="module")
def images():
    return [cells_at_random(seed) for seed in range(3)]


def of_image(name, prediction, true):
    """The value of one image by the pure function."""
    kept = prediction.cells.at_least(0.5)
    boxes = [prediction.cells.as_detections()], [{"boxes": label_map_to_boxes(true)}]
    return {
        "dice": lambda: dice_score(prediction.mask, true > 0),
        "iou": lambda: overlap(prediction.mask, true > 0).iou,
        "ap50": lambda: average_precision(*boxes),
        "n_true": lambda: true.max(),
        "n_found": lambda: len(kept),
        "count_error": lambda: count_error(len(kept), true.max()),
        "aji": lambda: aggregated_jaccard_index(kept.label_map, true),
        "pq": lambda: panoptic_quality(kept.label_map, true).pq,
    }[name]()


def over_images(name, images):
    """The value over images where it is not the mean of those of one."""
    boxes = (
        [prediction.cells.as_detections() for prediction, _ in images],
        [{"boxes": label_map_to_boxes(true)} for _, true in images],
    )
    return {
        "dice_pooled": lambda: dice_score(
            *(np.stack(masks) for masks in zip(*((p.mask, t > 0) for p, t in images), strict=True))
        ),
        "ap50": lambda: average_precision(*boxes),
        "ap50_11_point": lambda: average_precision(*boxes, interpolation="11-point"),
        "ap": lambda: coco_average_precision(*boxes),
    }[name]()


@pytest.mark.parametrize("name", REGISTRY)
def test_a_metric_is_what_its_function_says(name, images):
    metric = REGISTRY[name]
    scores = Scores([metric])
    rows = [scores.update(*image) for image in images]
    if metric.value is None:
        assert rows == [{}] * 3
    else:
        expected = [of_image(name, *image) for image in images]
        assert [row[name] for row in rows] == pytest.approx(expected, abs=1e-12)
        assert len(set(expected)) > 1
    whole = scores.compute()
    if metric.aggregate is None:
        assert whole == {}
    elif metric.aggregate == "mean":
        assert whole == {name: pytest.approx(np.mean(expected), abs=1e-12)}
    else:
        assert whole == {name: pytest.approx(over_images(name, images), abs=1e-12)}


def test_the_registry_tells_title_and_direction():
    assert {name: metric.higher_is_better for name, metric in REGISTRY.items()} == {
        **dict.fromkeys(["dice", "dice_pooled", "iou", "ap50", "ap50_11_point", "ap", "aji", "pq"], True),
        **dict.fromkeys(["n_true", "n_found"], None),
        "count_error": False,
    }
    assert (REGISTRY["dice"].title, REGISTRY["ap50"].title) == ("Dice", "AP50")


def test_metrics_can_be_sent_to_other_processes(images):
    copies = pickle.loads(pickle.dumps(REGISTRY))
    for name, copy in copies.items():
        assert Scores([copy]).update(*images[0]) == Scores([REGISTRY[name]]).update(*images[0])


def count(prediction, truth):
    return len(prediction.cells)


def test_a_task_has_what_it_can_compute_and_what_it_is_given():
    own = Metric("own", "own", True, count)
    assert list(choose_metrics(True, {"own": own})) == [*REGISTRY, "own"]
    assert list(choose_metrics(False, {})) == ["ap50", "ap50_11_point", "ap", "n_true", "n_found", "count_error"]


def test_what_is_registered_is_computed_by_every_task(monkeypatch):
    monkeypatch.delitem(REGISTRY, "pq")
    metric = register(Metric("pq", "mine", True, count))
    assert choose_metrics(False, {})["pq"] is metric
    with pytest.raises(ValueError, match="a metric 'pq' is registered already; give yours another name"):
        register(metric)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"own": count}, "metrics.own is a function; expected a Metric, or a function that gives one"),
        ({"own": Metric("other", "own", True, count)}, "metrics.own gives a metric named 'other'.*: take metrics.other"),
        ({"dice": Metric("dice", "own", True, count)}, "metrics.dice: there is a column of this name already"),
        ({"group": Metric("group", "own", True, count)}, "metrics.group: there is a column of this name already"),
        (
            {"own": Metric("own", "own", True, count, needs_label_map=True)},
            "metrics.own needs label maps, this task finds boxes",
        ),
    ],
)
def test_what_is_no_further_metric_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        choose_metrics(False, given)


def classes_at_random(seed, n_classes=2):
    rng = np.random.default_rng(seed)
    true, found = rng.integers(0, n_classes + 1, (2, 8, 9)).astype(np.int32)
    return Prediction(lambda: pytest.fail("no cells are asked for"), found > 0, classes=found), true


def test_data_of_classes_have_metrics_of_classes():
    metrics = choose_metrics(True, {}, ("core", "the rim"))
    means = ["accuracy", "mean_iou", "mean_dice", "mean_iou_background", "mean_dice_background"]
    nothing = [f"nothing_{name}" for name in means]
    assert list(metrics) == ["dice", "dice_pooled", "iou", "dice_core", "dice_the_rim", *means, *nothing, *SCANS]
    assert metrics["dice_the_rim"].title == "Dice of the rim"
    assert [metrics[name].higher_is_better for name in (*means, *nothing)] == [True] * 5 + [None] * 5
    pickle.dumps(metrics)


def test_metrics_of_classes_are_what_their_functions_say():
    scores = Scores(choose_metrics(True, {}, ("core", "rim")).values())
    prediction, true = classes_at_random(0)
    row = scores.update(prediction, true)
    counts = count_pixels(prediction.classes, true, 2)
    assert row["dice"] == dice_score(prediction.classes > 0, true > 0)
    assert (row["dice_core"], row["dice_rim"]) == tuple(class_dice(counts)[1:])
    assert row["accuracy"] == np.mean(prediction.classes == true)
    assert row["mean_dice"] == np.mean(class_dice(counts)[1:])
    assert row["mean_iou_background"] == np.mean(class_iou(counts))
    assert row["nothing_accuracy"] == np.mean(true == 0)
    assert row["nothing_mean_dice"] == 0.0
    assert row["nothing_mean_dice_background"] == pytest.approx(2 * np.mean(true == 0) / (1 + np.mean(true == 0)) / 3)
    assert scores.compute()["mean_dice"] == row["mean_dice"]


def test_a_class_in_neither_map_is_found():
    empty = np.zeros((4, 4), dtype=np.int32)
    row = Scores(choose_metrics(True, {}, ("core",)).values()).update(Prediction(lambda: None, empty > 0, classes=empty), empty)
    assert row == dict.fromkeys(row, 1.0)


def test_classes_of_one_column_and_a_task_without_classes_are_refused():
    with pytest.raises(ValueError, match="two metrics would be named 'dice_pooled'; give the classes pooled other names"):
        choose_metrics(True, {}, ("pooled",))
    with pytest.raises(ValueError, match="there is a column of this name already"):
        choose_metrics(True, {"accuracy": Metric("accuracy", "own", True, count)}, ("core",))
    metrics = choose_metrics(True, {}, ("core",))
    with pytest.raises(ValueError, match="the prediction has no classes"):
        Scores([metrics["accuracy"]]).update(*cells_at_random(0))
