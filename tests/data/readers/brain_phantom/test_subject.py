import numpy as np
import pytest
from brain_helpers import COARSE, ml, subject

from rbc_lightning.data.readers.brain_phantom import BrainSpec, draw_subject

THREE = (1, 2, 1001)


def test_the_same_seed_draws_the_same_and_another_does_not():
    again = draw_subject(BrainSpec(coarseness=COARSE), 0, 1)
    for name in ("labels", "flair", "t1w"):
        assert np.array_equal(getattr(again, name), getattr(subject(1), name))
    assert np.array_equal(again.placement.affine, subject(1).placement.affine)
    for other in (subject(2), subject(1, seed=1)):
        assert not np.array_equal(other.placement.affine, again.placement.affine)
        assert other.flair.shape != again.flair.shape or (other.flair != again.flair).any()


def test_the_two_scanners_have_thick_and_thin_slices():
    thick, thin = subject(1), subject(2001)
    assert thick.labels.shape[:2] == (51, 62)
    assert 17 <= thick.labels.shape[2] <= 22
    assert thin.labels.shape[2] == 47
    assert np.linalg.norm(thin.placement.affine[:3, 2]) == pytest.approx(3)
    assert (thick.labels.dtype, thick.flair.dtype, thick.t1w.dtype) == (np.uint8, np.int16, np.int16)
    assert set(np.unique(thick.labels)) == {0, 1, 2, 3}


@pytest.mark.parametrize("numbers", [(1, 2), (2001,)])
def test_contrasts_come_out_as_measured_on_real_scans(numbers):
    """Multiples of the brain's median over a few scans, whose bias blurs them: lesions bright, ventricles dark in both."""
    found = []
    for number in numbers:
        drawn = subject(number)
        inside = drawn.labels > 0
        row = []
        for volume in (drawn.flair, drawn.t1w):
            # White and grey matter around what is labelled: the middle of the head.
            middle = volume[tuple(slice(n // 4, -n // 4) for n in volume.shape)]
            brain = np.median(middle[~inside[tuple(slice(n // 4, -n // 4) for n in volume.shape)]])
            row += [np.median(volume[drawn.labels == value]) / brain for value in (1, 2, 3)]
        found.append(row)
    lesion, ventricle, rim, lesion_t1, ventricle_t1, _ = np.mean(found, axis=0)
    assert 1.15 < lesion < 1.7
    assert 0.2 < ventricle < 0.6
    assert 1.0 < rim < 1.45
    assert rim < lesion
    assert lesion_t1 < 1.1
    assert ventricle_t1 < 0.8


def test_volumes_of_labels_are_those_of_patients():
    lesions, ventricles, rims = np.array([[ml(subject(k), value) for value in (1, 2, 3)] for k in THREE]).T
    assert 3 < np.median(lesions) < 30
    assert 8 < np.median(ventricles) < 60
    assert 0.3 < np.median(rims) < 16


def test_slices_of_one_subject_are_alike_so_that_a_split_by_slice_leaks():
    """A neighbouring slice tells a lesion's place: the nearest slice of the same subject overlaps, that of others does not."""
    own, others = [], []
    for number in THREE:
        lesion = subject(number).labels == 1
        for z in range(1, lesion.shape[2]):
            if lesion[..., z].sum() > 4:
                own.append(dice(lesion[..., z], lesion[..., z - 1]))
                for other in THREE:
                    stack = subject(other).labels == 1
                    if other != number and z < stack.shape[2]:
                        others.append(dice(lesion[..., z], stack[..., z]))
    assert np.mean(own) > 2 * np.mean(others)


def dice(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())
