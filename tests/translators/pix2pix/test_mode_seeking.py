"""The mode-seeking loss by hand; the numbers of collapse on sets made to be collapsed or diverse."""

from itertools import combinations

import cv2
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from rbc_lightning.translators.pix2pix.mode_seeking import (
    collapse_index,
    mean_absolute_pairwise_difference,
    mode_seeking_loss,
    texture_correlation,
)

N, SIZE = 6, 96


def test_loss_by_hand():
    # First pair: a = mean(1, 3) = 2, b = mean(2, 0, 0, 2) = 1. Second pair: a = 0.5, b = 2.
    outputs = torch.tensor([[1.0, 3.0], [0.5, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 0.5]])
    conditions = torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, 1]]), torch.tensor([[-1.0, 1, 1, -1], [-1, -1, -1, -1]])
    expected = (1 / (2 + 0.1 * 1) + 2 / (0.5 + 0.1 * 2)) / 2
    assert mode_seeking_loss(*outputs, *conditions, epsilon=0.1).item() == pytest.approx(expected, rel=1e-6)
    assert mode_seeking_loss(*outputs, *conditions).item() == pytest.approx((0.5 + 4) / 2, rel=1e-4)
    assert mode_seeking_loss(*outputs[::-1], *conditions[::-1], epsilon=0.1).item() == pytest.approx(expected, rel=1e-6)


def test_loss_equals_the_form_of_the_original_with_latent_codes():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 3, 3, 8, 8, generator=generator)
    codes = torch.randn(2, 3, 5, generator=generator)
    ratios = [(first[i] - second[i]).abs().mean() / (codes[0, i] - codes[1, i]).abs().mean() for i in range(3)]
    expected = sum(1 / (ratio + 1e-5) for ratio in ratios) / 3
    torch.testing.assert_close(mode_seeking_loss(first, second, *codes), expected)


def test_equal_outputs_give_the_largest_finite_value_and_equal_conditions_none():
    same, other = torch.full((1, 3, 4, 4), 0.3, requires_grad=True), torch.full((1, 3, 4, 4), 0.3, requires_grad=True)
    conditions = torch.ones(1, 2, 4, 4), -torch.ones(1, 2, 4, 4)
    loss = mode_seeking_loss(same, other, *conditions)
    assert loss.item() == pytest.approx(1e5)
    loss.backward()
    assert torch.isfinite(same.grad).all()
    # Equal conditions: with different outputs, and 0 / 0 with equal ones.
    for second in (other + 1, other):
        nothing = mode_seeking_loss(same, second, conditions[0], conditions[0])
        assert nothing.item() == 0
        same.grad = None
        nothing.backward()
        assert not same.grad.any()


def test_gradient_in_both_branches_by_hand():
    first, second = torch.tensor([[0.5, -0.5]], requires_grad=True), torch.tensor([[0.0, 0.5]], requires_grad=True)
    mode_seeking_loss(first, second, torch.tensor([[1.0]]), torch.tensor([[-1.0]]), epsilon=0.5).backward()
    # a = 0.75, b = 2: d/da b / (a + b / 2) = -2 / 1.75^2; each of two values moves a by 1/2 in the direction of its sign.
    slope = 2 / 1.75**2 / 2
    assert first.grad[0].tolist() == pytest.approx([-slope, slope])
    assert second.grad[0].tolist() == pytest.approx([slope, -slope])


def test_gradcheck_in_all_four():
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(2, 5, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    assert gradcheck(mode_seeking_loss, tensors)


def test_loss_is_float32_under_autocast():
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(1, 3, 16, 16, generator=generator).bfloat16()
    second = first + 0.01
    conditions = torch.ones(1, 2, 16, 16), torch.zeros(1, 2, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = mode_seeking_loss(first, second.bfloat16(), *conditions)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, mode_seeking_loss(first.float(), second.bfloat16().float(), *conditions))


def test_loss_refuses_other_shapes():
    a, b = torch.zeros(2, 3, 4, 4), torch.zeros(2, 2, 4, 4)
    for bad in ((a, a[:1], b, b), (a, a, b, b[..., :2]), (a, a, b[:1], b[:1]), (a[:0], a[:0], b[:0], b[:0])):
        with pytest.raises(ValueError, match="expected two outputs of one shape and as many conditions of one shape, got"):
            mode_seeking_loss(*bad)
    with pytest.raises(ValueError, match="epsilon must be positive, got 0"):
        mode_seeking_loss(a, a, b, b, epsilon=0)


def masks():
    """Other discs in every image, two of them touching."""
    rng = np.random.default_rng(7)
    maps = []
    for _ in range(N):
        label_map = np.zeros((SIZE, SIZE), dtype=np.int32)
        for index in range(6):
            row, column = rng.integers(10, SIZE - 10, 2).tolist()
            cv2.circle(label_map, (column, row), int(rng.integers(9, 14)), index + 1, -1)
        maps.append(label_map)
    return maps


def texture(seed, strength=12.0):
    blobs = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(SIZE, SIZE, 3)), (0, 0), 1.5)
    return blobs * strength / blobs.std()


def painted(textures, shifts):
    """Every mask in two flat colours, brighter or darker from image to image, with a texture on top."""
    images = []
    for label_map, values, shift in zip(MASKS, textures, shifts, strict=True):
        flat = np.where(label_map[..., None] > 0, [105.0, 100.0, 130.0], [190.0, 185.0, 180.0]) + shift
        images.append((flat + values).round().clip(0, 255).astype(np.uint8))
    return images


MASKS = masks()
SHIFTS = [-20, 10, 0, 25, -10, 5]
DIVERSE = painted([texture(seed) for seed in range(N)], SHIFTS)
REAL = painted([texture(100 + seed) for seed in range(N)], SHIFTS)
COLLAPSED = painted([texture(0)] * N, SHIFTS)
FLAT = painted([0.0] * N, SHIFTS)


def test_pairwise_distance_by_hand_and_by_loop():
    images = np.array([[[[0, 10, 20]]], [[[4, 10, 20]]], [[[0, 10, 8]]]], dtype=np.uint8)
    # 4/3, 12/3, 16/3; uint8 must not wrap around.
    assert mean_absolute_pairwise_difference(images) == pytest.approx((4 + 12 + 16) / 9)
    assert mean_absolute_pairwise_difference(images / 2) == pytest.approx((4 + 12 + 16) / 18)
    loop = np.mean([np.abs(a.astype(int) - b).mean() for a, b in combinations(REAL, 2)])
    assert mean_absolute_pairwise_difference(REAL) == pytest.approx(loop)
    assert mean_absolute_pairwise_difference([REAL[0]] * 3) == 0


def test_collapse_index_by_hand():
    reals = np.array([[[[10]]], [[[30]]], [[[50]]]], dtype=np.uint8)
    # Pairs of the real ones: 20, 40, 20; of the outputs: 5, 10, 5.
    outputs = np.array([[[[10]]], [[[15]]], [[[20]]]], dtype=np.uint8)
    assert collapse_index(outputs, reals) == pytest.approx(0.75)
    assert collapse_index(reals, reals) == 0
    assert collapse_index(reals, outputs) == 0
    assert collapse_index([outputs[0]] * 3, reals) == 1


def test_collapse_index_of_textures_by_hand():
    # One row: two pixels of background, two of cells; shared by both pictures but for the last pixel.
    maps = np.array([[[0, 0, 1, 1, 1]], [[0, 0, 1, 1, 0]]])
    reals = np.array([[[10, 12, 50, 50, 9]], [[70, 70, 90, 96, 200]]], dtype=np.uint8)[..., None]
    outputs = np.array([[[10, 10, 50, 50, 9]], [[70, 70, 90, 92, 200]]], dtype=np.uint8)[..., None]
    # Centred, the reals differ by 1, 1 in the background and 3, 3 in the cells; the outputs by 0, 0 and 1, 1.
    assert collapse_index(outputs, reals, maps, margin=0) == pytest.approx(1 - 0.5 / 2)


def test_masks_and_colours_hide_a_collapse_that_the_texture_shows():
    assert collapse_index(COLLAPSED, REAL) < 0.3
    assert collapse_index(COLLAPSED, REAL, MASKS) > 0.95
    assert collapse_index(DIVERSE, REAL, MASKS) < 0.05
    assert collapse_index(FLAT, REAL, MASKS) == 1


def test_textures_of_half_a_collapse_correlate_by_half():
    shared = texture(0)
    half = painted([(shared + texture(seed)) / 2**0.5 for seed in range(1, N + 1)], SHIFTS)
    assert texture_correlation(COLLAPSED, MASKS) == pytest.approx(1, abs=0.02)
    assert texture_correlation(half, MASKS) == pytest.approx(0.5, abs=0.08)
    assert texture_correlation(DIVERSE, MASKS) == pytest.approx(0, abs=0.05)
    assert texture_correlation(FLAT, MASKS) == 1


def test_correlation_sees_a_weak_texture_that_distances_cannot_tell_from_a_blurred_one():
    weak_same = painted([texture(0, strength=4)] * N, SHIFTS)
    weak_other = painted([texture(seed, strength=4) for seed in range(N)], SHIFTS)
    assert collapse_index(weak_other, REAL, MASKS) > 0.5
    assert texture_correlation(weak_other, MASKS) < 0.05
    assert texture_correlation(weak_same, MASKS) > 0.95


def test_uneven_light_shared_by_all_images_is_no_texture():
    slope = np.linspace(-25, 25, SIZE)[:, None, None]
    lit = painted([slope + texture(seed) for seed in range(N)], SHIFTS)
    assert texture_correlation(lit, MASKS) < 0.05
    assert texture_correlation(lit, MASKS, sigma=1000.0) > 0.3


def test_the_margin_keeps_outlines_out():
    # Rims two pixels deep, as a translator that blurs outlines would leave them.
    kernel = np.ones((3, 3), np.uint8)
    rims = [cv2.morphologyEx((m > 0).astype(np.uint8), cv2.MORPH_GRADIENT, kernel)[..., None] * 60.0 for m in MASKS]
    rimmed = painted([texture(0) + rim for rim in rims], SHIFTS)
    assert texture_correlation(rimmed, MASKS, margin=0) < 0.6
    assert texture_correlation(rimmed, MASKS, margin=3) > 0.75


def test_one_flat_picture_among_textured_ones_counts_as_different():
    assert texture_correlation([FLAT[0], DIVERSE[1]], MASKS[:2]) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_absolute_pairwise_difference(REAL[:1]), r"two or more pictures of one shape .* got 1 of"),
        (lambda: mean_absolute_pairwise_difference([REAL[0], REAL[1][:9]]), "two or more pictures of one shape"),
        (lambda: collapse_index(REAL, REAL[:3]), "6 outputs .* and 3 reals .* one real image of the same shape per output"),
        (lambda: collapse_index(REAL, [REAL[0]] * N), "the real images do not differ"),
        (lambda: collapse_index(REAL, REAL, MASKS[:3]), r"expected 6 label maps of shape \(96, 96\), got 3"),
        (lambda: collapse_index(REAL, REAL, MASKS, margin=-1), "margin must be at least 0, got -1"),
        (lambda: texture_correlation(REAL, MASKS, margin=200), "no pixel is cell in two pictures"),
        (lambda: texture_correlation(REAL, MASKS, sigma=0), "sigma must be positive, got 0"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
