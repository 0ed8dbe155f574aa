"""Dice and IoU against counting by hand and against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score

from rbc_lightning.metrics.label_maps import Overlap, dice_score, overlap


def mask(text: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in text.split()])


PREDICTION, TARGET = mask("##. .#. ..."), mask(".## .#. #..")  # 3 and 4 pixels, 2 in both


def test_by_hand():
    assert overlap(PREDICTION, TARGET) == Overlap(both=2, prediction=3, target=4)
    assert dice_score(PREDICTION, TARGET) == pytest.approx(4 / 7)
    assert overlap(PREDICTION, TARGET).iou == pytest.approx(2 / 5)


def test_tensors_give_the_same_as_arrays():
    assert overlap(torch.from_numpy(PREDICTION), torch.from_numpy(TARGET)) == overlap(PREDICTION, TARGET)


def test_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    for density in (0.05, 0.5, 0.95):
        prediction, target = rng.random((2, 20, 30)) < density
        assert dice_score(prediction, target) == pytest.approx(f1_score(target.ravel(), prediction.ravel()))
        assert overlap(prediction, target).iou == pytest.approx(jaccard_score(target.ravel(), prediction.ravel()))


@pytest.mark.parametrize(("prediction", "target", "expected"), [("..", "..", 1.0), ("#.", "..", 0.0), ("..", ".#", 0.0)])
def test_empty_masks(prediction, target, expected):
    assert dice_score(mask(prediction), mask(target)) == expected
    assert overlap(mask(prediction), mask(target)).iou == expected


def test_counts_do_not_overflow_or_round_on_large_images():
    everything = torch.ones(5000, 5000, dtype=torch.bool)
    assert overlap(everything, everything) == Overlap(25_000_000, 25_000_000, 25_000_000)


def test_bad_masks_are_refused():
    with pytest.raises(TypeError, match=r"prediction must be a boolean mask.*float32"):
        dice_score(torch.rand(2, 2), torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"target must be a boolean mask.*uint8"):
        overlap(PREDICTION, TARGET.astype(np.uint8))
    with pytest.raises(ValueError, match=r"one shape, got \(3, 3\) and \(2, 3\)"):
        dice_score(PREDICTION, TARGET[:2])
