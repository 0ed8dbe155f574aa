"""The five measures of scans put together from slices: by hand, and equal to those of the volume itself."""

import numpy as np
import pytest

from rbc_lightning.metrics.instances import Instances, Prediction
from rbc_lightning.metrics.lesions import wmh_scores
from rbc_lightning.metrics.registry import choose_metrics
from rbc_lightning.metrics.scans import SlicePlace, cut_lesions, stack_lesions
from rbc_lightning.metrics.scores import Scores

SPACING = (1.0, 2.0, 5.0)
NAMES = ["h95", "h95_worst", "avd", "lesion_recall", "lesion_f1"]
NO_CELLS = Instances(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def predicted(classes):
    return Prediction(NO_CELLS, classes > 0, classes=classes)


def scored(scans, classes=("lesion",), ignored=None):
    """Scores of scans, by name truth and prediction (Z, Y, X), slices from the top down."""
    metrics = choose_metrics(True, {}, classes)
    scores = Scores(metrics[name] for name in ("dice", *NAMES))
    for name, (truth, found) in scans.items():
        for index in reversed(range(len(truth))):
            mask = None if ignored is None else ignored[index]
            scores.update(predicted(found[index]), truth[index], f"{name}_{index}", name, SlicePlace(index, SPACING), mask)
    return scores


def empty():
    return np.zeros((3, 6, 6), dtype=np.int64)


def one_scan():
    """True: a voxel at (0, 1, 1) and a lesion of four in slice 2; found: two of these four, three false ones in slice 0."""
    truth, found = empty(), empty()
    truth[0, 1, 1], truth[2, 2:4, 2:4] = 1, 1
    found[2, 2, 2:4], found[0, 5, 0:3] = 1, 1
    return truth, found


def test_by_hand():
    # AVD: 5 against 5 voxels. One of two lesions is touched, one of two findings touches: recall 1/2, F1 1/2.
    row = scored({"a": one_scan()}).rows()[0]
    assert row["dice"] == pytest.approx(2 * 2 / 10)
    assert (row["avd"], row["lesion_recall"], row["lesion_f1"]) == (0.0, 0.5, 0.5)
    # Rows are 2 mm: the false voxels lie 4 rows from the true one, at columns 0, 1, 2: sqrt(65), 8, sqrt(65); its own two 0.
    # Of 0, 0, 8, sqrt(65), sqrt(65) the 95th percentile is sqrt(65); of true to found it is less: 8, 0, 0, 2, 2.
    assert row["h95"] == row["h95_worst"] == pytest.approx(65**0.5)


def test_slices_in_any_order_are_the_volume():
    rng = np.random.default_rng(0)
    truth, found = (rng.random((2, 4, 8, 8)) < 0.2).astype(np.int64)
    row = scored({"a": (truth, found)}).rows()[0]
    expected = wmh_scores(truth, found, SPACING)
    assert [row[name] for name in ("dice", "h95", "avd", "lesion_recall", "lesion_f1")] == pytest.approx(list(expected))


def test_a_missing_slice_between_others_is_empty():
    """Lesions in slices 0 and 2 do not become one where slice 1 was not scored."""
    slices = [cut_lesions(predicted(each), each) for each in np.ones((2, 1, 1), dtype=np.int64)]
    scan = stack_lesions(slices, [SlicePlace(4, SPACING), SlicePlace(2, SPACING)])
    assert len(scan.ml) == 2
    assert scan.ml.tolist() == pytest.approx([0.01, 0.01])
    assert scan.touched.all()


def test_slices_of_two_grids_are_refused():
    pixel = cut_lesions(predicted(np.ones((1, 1), np.int64)), np.ones((1, 1), np.int64))
    with pytest.raises(ValueError, match="differ in size or spacing"):
        stack_lesions([pixel, pixel], [SlicePlace(0, SPACING), SlicePlace(1, (1.0, 1.0, 1.0))])


def test_what_is_not_defined_stays_so_and_is_counted():
    """Of a missed scan H95 is not defined, its worst value is the diagonal; of one without anything neither is AVD."""
    scores = scored({"a": one_scan(), "missed": (one_scan()[0], empty()), "healthy": (empty(), empty())})
    missed, healthy = scores.rows()[1:]
    assert np.isnan(missed["h95"])
    assert missed["h95_worst"] == pytest.approx((5**2 + 10**2 + 10**2) ** 0.5)
    assert (missed["avd"], missed["lesion_recall"], missed["lesion_f1"]) == (100.0, 0.0, 0.0)
    assert np.isnan(healthy["h95"])
    assert np.isnan(healthy["avd"])
    assert (healthy["h95_worst"], healthy["lesion_recall"], healthy["lesion_f1"]) == (0.0, 1.0, 1.0)
    whole = scores.compute()
    assert whole["h95"] == pytest.approx(65**0.5)
    assert whole["undefined_h95"] == 2
    assert whole["undefined_avd"] == 1
    assert whole["h95_worst"] == pytest.approx((65**0.5 + 15 + 0) / 3)
    assert np.isnan(scored({"missed": (one_scan()[0], empty())}).compute()["h95"])


def test_they_are_of_the_first_of_several_classes():
    truth, found = one_scan()
    other = np.where(truth == 0, 2, truth)
    row = scored({"a": (other, found)}, ("lesion", "rim")).rows()[0]
    assert row["lesion_recall"] == 0.5
    assert choose_metrics(True, {}, ("lesion", "rim"))["h95"].title == "H95, mm (lesion)"


def test_under_what_is_ignored_no_prediction_counts():
    truth, found = one_scan()
    ignored = np.zeros(truth.shape, dtype=bool)
    ignored[0, 5] = True
    row = scored({"a": (truth, found)}, ignored=ignored).rows()[0]
    assert row["dice"] == pytest.approx(2 * 2 / 7)
    assert (row["avd"], row["lesion_f1"]) == (60.0, pytest.approx(2 / 3))


def test_without_places_they_are_not_measured():
    metrics = choose_metrics(True, {}, ("lesion",))
    scores = Scores([metrics["dice"], metrics["h95"]])
    assert list(scores.update(predicted(empty()[0]), empty()[0], "a_0", "a")) == ["dice"]
    assert list(scores.compute()) == ["dice"]
    assert scores.units("h95") == {}


def test_units_are_of_whole_scans():
    scores = scored({"a": one_scan()})
    (scan,) = scores.units("h95").values()
    assert scan.ml.tolist() == pytest.approx([0.01, 0.04])
    assert scan.touched.tolist() == [False, True]
