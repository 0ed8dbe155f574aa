"""Scores of classes: by hand, against a plain twin and scikit-learn, and the table that no one set of classes can give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.classes_pixel_by_pixel import class_scores_plainly, mean_plainly
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from rbc_lightning.metrics.classes import accuracy, class_dice, class_iou, count_pixels, mean_present, nothing_found

# Values: true 0 0 0 0 1 1 1 2, given 0 0 0 1 1 1 2 0.
TRUTH = np.array([[0, 0, 0, 0], [1, 1, 1, 2]], dtype=np.int32)
FOUND = np.array([[0, 0, 0, 1], [1, 1, 2, 0]], dtype=np.int32)


def test_by_hand():
    counts = count_pixels(FOUND, TRUTH, 3)
    assert counts.tolist() == [[3, 1, 0, 0], [0, 2, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert accuracy(counts) == 5 / 8
    assert class_dice(counts) == pytest.approx([6 / 8, 4 / 6, 0, np.nan], nan_ok=True)
    assert class_iou(counts) == pytest.approx([3 / 5, 2 / 4, 0, np.nan], nan_ok=True)
    # Class 3 is in neither map, and in no mean.
    assert mean_present(class_dice(counts), background=False) == pytest.approx((4 / 6 + 0) / 2)
    assert mean_present(class_dice(counts), background=True) == pytest.approx((6 / 8 + 4 / 6 + 0) / 3)
    assert mean_present(class_iou(counts), background=False) == pytest.approx((2 / 4 + 0) / 2)


def test_the_answer_background_by_hand():
    counts = nothing_found(count_pixels(FOUND, TRUTH, 3))
    assert counts.tolist() == [[4, 0, 0, 0], [3, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert accuracy(counts) == 4 / 8
    assert mean_present(class_dice(counts), background=True) == pytest.approx((8 / 12 + 0 + 0) / 3)
    assert mean_present(class_dice(counts), background=False) == 0.0


def test_nothing_found_of_nothing_is_right():
    empty = np.zeros((4, 4), dtype=np.uint8)
    counts = count_pixels(empty, empty, 2)
    assert accuracy(counts) == 1.0
    for values in (class_dice(counts), class_iou(counts)):
        assert (mean_present(values, background=False), mean_present(values, background=True)) == (1.0, 1.0)
    wrong = count_pixels(empty, np.full_like(empty, 2), 2)
    assert mean_present(class_dice(wrong), background=False) == 0.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_against_masks_and_scikit_learn(seed, n_classes):
    rng = np.random.default_rng(seed)
    truth, found = rng.integers(0, rng.integers(1, n_classes + 2, 2)[:, None, None], (2, 5, 6))
    counts = count_pixels(found, truth, n_classes)
    plain, iou, dice = class_scores_plainly(found, truth, n_classes)
    assert accuracy(counts) == pytest.approx(plain) == pytest.approx(accuracy_score(truth.ravel(), found.ravel()))
    for background in (True, False):
        assert mean_present(class_iou(counts), background=background) == pytest.approx(mean_plainly(iou, background))
        assert mean_present(class_dice(counts), background=background) == pytest.approx(mean_plainly(dice, background))
    # Without `labels` scikit-learn has the values that either map has as well.
    flat = truth.ravel(), found.ravel()
    assert mean_present(class_iou(counts), background=True) == pytest.approx(jaccard_score(*flat, average="macro"))
    assert mean_present(class_dice(counts), background=True) == pytest.approx(f1_score(*flat, average="macro"))
    # On one set of classes Dice is never below IoU.
    assert mean_present(class_dice(counts), background=True) >= mean_present(class_iou(counts), background=True) - 1e-12


def test_dice_below_iou_is_the_answer_background_on_two_sets_of_classes():
    """Novoselov and Smirnov 2024, Table 1, without augmentation: accuracy .87 to .92, IoU .37 to .43, Dice .25 to .27."""
    slices = np.zeros((100, 100), dtype=np.int32)
    slices[:10] = np.repeat([1, 2, 3], [40, 40, 20])  # a tenth is tumour, of three classes
    nothing = np.zeros_like(slices)
    tumour_or_not, three = count_pixels(nothing, (slices > 0).astype(int), 1), count_pixels(nothing, slices, 3)
    assert accuracy(tumour_or_not) == accuracy(three) == 0.9
    iou = mean_present(class_iou(tumour_or_not), background=True)
    dice = mean_present(class_dice(three), background=True)
    assert (iou, dice) == (pytest.approx(0.9 / 2), pytest.approx(2 * 0.9 / 1.9 / 4))
    assert dice < iou
    assert (round(dice, 2), round(iou, 2)) == (0.24, 0.45)


@pytest.mark.parametrize(
    ("found", "truth", "error", "message"),
    [
        (FOUND.astype(float), TRUTH, TypeError, "expected an integer label map, got found of dtype float64"),
        (FOUND, TRUTH * 2, ValueError, "expected values from 0 to 2, the number of classes, got truth with values from 0 to 4"),
        (FOUND - 1, TRUTH, ValueError, "got found with values from -1 to 1"),
        (FOUND[:1], TRUTH, ValueError, r"found and truth must have one shape, got \(1, 4\) and \(2, 4\)"),
    ],
)
def test_what_cannot_be_counted_is_refused(found, truth, error, message):
    with pytest.raises(error, match=message):
        count_pixels(found, truth, 2)
