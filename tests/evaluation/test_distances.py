import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from rbc_lightning.evaluation.distances import channel_wasserstein, discrepancy, kernel_distance_over_splits, polynomial_kernel


def kernel_distance(first, second):
    return discrepancy(*(polynomial_kernel(a, b) for a, b in ((first, first), (second, second), (first, second))))


def test_wasserstein_by_hand():
    # Channel 0: sorted 0 1 3 against 5 6 8, all moved by 5. Channel 1: 0 0 0 against 0 0 3, a third moved by 3.
    first = np.array([[3, 0], [0, 0], [1, 0]], dtype=float)
    second = np.array([[5, 3], [8, 0], [6, 0]], dtype=float)
    assert channel_wasserstein(first, second) == pytest.approx((5 + 1) / 2)
    # Sets of different size: 0 and 4 (half each) against 1: a move by 1 and a move by 3, half each.
    assert channel_wasserstein(np.array([[0.0], [4.0]]), np.array([[1.0]])) == pytest.approx(2)


def test_kernel_by_hand():
    kernel = polynomial_kernel(np.array([[1.0, 2.0]]), np.array([[2.0, 1.0], [0.0, 0.0]]))
    # (4 / 2 + 1)^3 and 1.
    assert kernel.tolist() == [[27.0, 1.0]]


def test_kernel_distance_by_hand():
    # d = 1: within 0, 1: k(0, 1) = 1; within 2, 3: k(2, 3) = 343; across: 1, 1, 27, 64.
    distance = kernel_distance(np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]]))
    assert distance == pytest.approx(1 + 343 - 2 * (1 + 1 + 27 + 64) / 4)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_kernel_distance_agrees_with_torchmetrics(shift):
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(60, 8)), rng.normal(size=(60, 8)) + shift
    theirs = poly_mmd(torch.from_numpy(first), torch.from_numpy(second))
    assert kernel_distance(first, second) == pytest.approx(float(theirs), abs=1e-12)


def test_kernel_distance_is_unbiased():
    rng = np.random.default_rng(0)
    values = [kernel_distance(rng.normal(size=(12, 3)), rng.normal(size=(9, 3))) for _ in range(600)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(600)
    assert min(values) < 0


def images(rng, n, shift=0.0, windows=6):
    """Windows that scatter about a value of their image, as those of a smear do."""
    return [rng.normal(size=(1, 4)) + 0.3 * rng.normal(size=(windows, 4)) + shift for _ in range(n)]


def test_other_images_like_real_ones_have_the_distance_of_real_halves():
    rng = np.random.default_rng(1)
    same = [kernel_distance_over_splits(images(rng, 8), images(rng, 8), seed=0, n_splits=10) for _ in range(80)]
    distance, halves = np.mean([s.distance for s in same]), np.mean([s.halves for s in same])
    # With so few images, both are far from zero, and by the same amount.
    assert halves > 0.3
    assert distance == pytest.approx(halves, rel=0.15)
    moved = kernel_distance_over_splits(images(rng, 8), images(rng, 8, shift=1.0), seed=0)
    assert moved.distance > 3 * moved.halves
    assert moved.deviation > 0


def test_two_images_have_one_split():
    rng = np.random.default_rng(2)
    real, other = images(rng, 2), images(rng, 2)
    result = kernel_distance_over_splits(real, other, seed=0, n_splits=40)
    assert result.halves == pytest.approx(kernel_distance(real[0], real[1]))
    assert result.halves_deviation == pytest.approx(0, abs=1e-12)
    either = [kernel_distance(real[0], other[1]), kernel_distance(real[1], other[0])]
    assert min(either) < result.distance < max(either)
    assert result == kernel_distance_over_splits(real, other, seed=0, n_splits=40)
    assert result != kernel_distance_over_splits(real, other, seed=1, n_splits=40)


@pytest.mark.parametrize(("n", "windows"), [(1, 6), (3, 1)])
def test_one_image_has_no_halves_and_one_window_no_pair(n, windows):
    sets = (images(np.random.default_rng(seed), n, windows=windows) for seed in (0, 1))
    assert np.isnan(kernel_distance_over_splits(*sets, seed=0)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: channel_wasserstein(np.zeros((0, 3)), np.zeros((2, 3))), r"at least 1 row .* got shape \(0, 3\)"),
        (lambda: channel_wasserstein(np.zeros((2, 3)), np.zeros((2, 2))), "as many columns, got 3 and 2"),
        (lambda: kernel_distance_over_splits([], [np.zeros((2, 3))], seed=0), "as many other images as real ones, got 1 and 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
