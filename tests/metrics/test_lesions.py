"""The five measures: the challenge's own numbers, by hand, and an oracle voxel by voxel."""

from pathlib import Path

import numpy as np
import pytest

from rbc_lightning.metrics.lesions import LesionCounts, by_size, hausdorff_95, wmh_scores

CASES = Path(__file__).parents[3] / "shared" / "reference" / "wmh_metric_cases.npz"
needs_cases = pytest.mark.skipif(not CASES.is_file(), reason=f"no {CASES.name} in ../shared/reference")
UNIT = (1.0, 1.0, 1.0)


@needs_cases
def test_the_challenges_own_numbers():
    """Eight volumes measured by its script, the reference stored as float32; where it raises, NaN."""
    cases = np.load(CASES)
    names = cases["names"].tolist()
    assert len(names) == 8
    for name in names:
        spacing = tuple(cases[f"{name}__spacing"].tolist())
        scores = wmh_scores(cases[f"{name}__reference"], cases[f"{name}__result"], spacing)
        np.testing.assert_allclose(scores, cases[f"{name}__expected"], rtol=0, atol=1e-6, err_msg=name)


def volume(*places, shape=(3, 8, 8), value=1):
    made = np.zeros(shape, np.uint8)
    for place in places:
        made[place] = value
    return made


def test_two_lesions_one_found_and_one_false():
    """True: 4 and 1 voxels; found: 2 of the 4, and 3 elsewhere. Dice 2 * 2 / (5 + 5)."""
    truth = volume((1, slice(1, 3), slice(1, 3)), (1, 6, 6))
    found = volume((1, 1, slice(1, 3)), (0, 7, slice(0, 3))).astype(bool)
    scores = wmh_scores(truth, found, UNIT)
    assert scores.dice == pytest.approx(0.4)
    assert scores.avd == 0
    assert scores.lesion_recall == 0.5
    assert scores.lesion_f1 == 0.5


def test_distances_are_of_each_direction_and_in_mm():
    """A voxel and three at 0, 2 and 4 voxels from it along y: farthest 4, the 95th percentile of 0, 2, 4 is 3.8; y is 2 mm."""
    one, three = volume((1, 2, 2)).astype(bool), volume((1, [2, 4, 6], 2)).astype(bool)
    assert hausdorff_95(one, three, (1.0, 2.0, 5.0)) == pytest.approx(2 * 3.8)
    assert hausdorff_95(three, one, (1.0, 2.0, 5.0)) == pytest.approx(2 * 3.8)


def test_what_touches_at_a_corner_is_one_lesion_and_is_touched_at_any_voxel():
    truth = volume((0, 1, 1), (1, 2, 2), (2, 3, 3), (0, 7, 7))
    assert wmh_scores(truth, volume((1, 2, 2)).astype(bool), UNIT).lesion_recall == 0.5


def test_under_other_pathology_no_answer_counts():
    truth = volume((1, 1, 1)) + volume((1, 5, slice(0, 8)), value=2)
    found = volume((1, 1, 1), (1, 5, slice(0, 8))).astype(bool)
    assert tuple(wmh_scores(truth, found, UNIT)) == (1, 0, 0, 1, 1)


def test_what_is_not_defined_is_nan():
    nothing, some = volume().astype(bool), volume((1, 1, 1))
    np.testing.assert_equal(tuple(wmh_scores(some, nothing, UNIT)), (0.0, np.nan, 100.0, 0.0, 0.0))
    np.testing.assert_equal(tuple(wmh_scores(volume(), some > 0, UNIT)), (0.0, np.nan, np.nan, 1.0, 0.0))
    np.testing.assert_equal(tuple(wmh_scores(volume(), nothing, UNIT)), (np.nan, np.nan, np.nan, 1.0, 1.0))
    whole = np.ones((3, 8, 8), np.uint8)
    assert np.isnan(wmh_scores(whole, whole > 0, UNIT).h95)


def test_lesions_by_size():
    """Of 1, 2 and 4 voxels of 0.5 ml; the first and the last are found. A lesion at a limit is in the range above it."""
    truth = volume((0, 0, 0), (0, 4, slice(0, 2)), (2, slice(5, 7), slice(5, 7)))
    found = volume((0, 0, 0), (2, 6, 6)).astype(bool)
    assert by_size(truth, found, (10.0, 10.0, 5.0), [1.0, 1.5]) == (LesionCounts(1, 1), LesionCounts(1, 0), LesionCounts(1, 1))
    assert by_size(volume(), found, UNIT, [1.0]) == (LesionCounts(0, 0), LesionCounts(0, 0))


@pytest.mark.parametrize(("dtype", "least"), [(np.float32, 0.5), (np.float64, 0.5), (np.uint8, 1), (np.int16, 1), (bool, 1)])
def test_what_of_a_result_is_lesion(dtype, least):
    """From 0.5 or 1; what is above 1000, as a background of 1024, is none."""
    truth = volume((1, 1, 1), (1, 1, 2))
    result = np.zeros(truth.shape, dtype)
    result[1, 1, 1], result[1, 1, 2] = least, least
    if dtype is not bool:
        result[0, 0, 0] = 0.49
    if dtype not in (bool, np.uint8):
        result[2, 7, 7] = 1001
    assert tuple(wmh_scores(truth, result, UNIT)) == (1, 0, 0, 1, 1)


@pytest.mark.parametrize(
    ("reference", "result", "spacing", "error", "text"),
    [
        (np.zeros((2, 3, 3)), np.zeros((2, 3, 3), bool), UNIT, TypeError, "a reference of integers"),
        (np.zeros((2, 3, 3), int), np.full((2, 3, 3), "no"), UNIT, TypeError, "a result of numbers"),
        (np.zeros((2, 3, 3), int), np.zeros((2, 3, 4), bool), UNIT, ValueError, "of one shape"),
        (np.zeros((3, 3), int), np.zeros((3, 3), bool), UNIT, ValueError, r"\(Z, Y, X\)"),
        (np.zeros((2, 3, 3), int), np.zeros((2, 3, 3), bool), (1.0, 0.0, 1.0), ValueError, "three positive numbers of mm"),
    ],
)
def test_bad_input(reference, result, spacing, error, text):
    with pytest.raises(error, match=text):
        wmh_scores(reference, result, spacing)
