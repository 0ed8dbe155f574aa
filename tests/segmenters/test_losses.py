"""Soft Dice loss against numbers worked out by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rbc_lightning.metrics.label_maps import dice_score
from rbc_lightning.segmenters.losses import CrossEntropyDice, SoftDice


def logit(*probabilities):
    return torch.tensor([math.log(p / (1 - p)) for p in probabilities])


def test_by_hand_with_squared_denominator():
    # p.t = 0.8 + 0.5 = 1.3; |p|^2 = 0.64 + 0.25 + 0.04 = 0.93; |t|^2 = 2.
    logits, target = logit(0.8, 0.5, 0.2)[None], torch.tensor([[1.0, 1.0, 0.0]])
    assert SoftDice(1e-9)(logits, target).item() == pytest.approx(1 - 2.6 / 2.93, abs=1e-6)
    assert SoftDice()(logits, target).item() == pytest.approx(1 - 3.6 / 3.93, abs=1e-6)


def test_pooling_over_the_batch_and_over_images():
    # Image 1: p.t 0.8, |p|^2 0.64, |t|^2 1. Image 2: p.t 0, |p|^2 0.25, |t|^2 0.
    logits, target = logit(0.8, 0.5)[:, None], torch.tensor([[1], [0]])
    assert SoftDice()(logits, target).item() == pytest.approx(1 - 2.6 / 2.89, abs=1e-6)
    per_image = ((1 - 2.6 / 2.64) + (1 - 1 / 1.25)) / 2
    assert SoftDice(pooling="image")(logits, target).item() == pytest.approx(per_image, abs=1e-6)


def plain_dice_loss(probabilities, target):
    """The public code's loss over the whole batch, pixel by pixel: 1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1)."""
    overlap = total = 0.0
    for p, t in zip(probabilities.flatten().tolist(), target.flatten().tolist(), strict=True):
        overlap, total = overlap + p * t, total + p + t
    return 1 - (2 * overlap + 1) / (total + 1)


def test_without_squares_by_hand_and_against_the_plain_twin():
    # p.t = 0.8 + 0.5 = 1.3; |p| = 1.5; |t| = 2.
    logits, target = logit(0.8, 0.5, 0.2)[None], torch.tensor([[1.0, 1.0, 0.0]])
    assert SoftDice(squared=False)(logits, target).item() == pytest.approx(1 - 3.6 / 4.5, abs=1e-6)
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(3, 5, 4, generator=generator), torch.rand(3, 5, 4, generator=generator) > 0.8
    assert SoftDice(squared=False)(logits, target).item() == pytest.approx(plain_dice_loss(logits.sigmoid(), target), abs=1e-6)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_certain_predictions_give_one_minus_the_dice_score(pixels):
    prediction, target = torch.tensor(pixels)[None].unbind(-1)
    loss = SoftDice(1e-6)(torch.where(prediction, 100.0, -200.0), target)
    assert loss.item() == pytest.approx(1 - dice_score(prediction, target), abs=1e-5)


def test_empty_images_cost_their_false_foreground_only():
    target = torch.zeros(2, 4, 4)
    assert SoftDice()(torch.full((2, 4, 4), -200.0), target).item() == 0
    # 32 pixels of p = 0.5: |p|^2 = 8, loss = 1 - 1 / 9.
    assert SoftDice()(torch.zeros(2, 4, 4), target).item() == pytest.approx(8 / 9)


def test_gradient_raises_foreground_and_lowers_background():
    logits = torch.zeros(1, 2, requires_grad=True)
    SoftDice()(logits, torch.tensor([[True, False]])).backward()
    assert logits.grad[0, 0] < 0 < logits.grad[0, 1]


def test_gradient_is_that_of_the_formula():
    logits = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    target = torch.rand(2, 3, 3) > 0.5
    (gradient,) = torch.autograd.grad(SoftDice()(logits, target), logits)
    step = torch.zeros_like(logits)
    step[1, 2, 0] = 1e-2
    difference = SoftDice()(logits + step, target) - SoftDice()(logits - step, target)
    assert difference.item() / 2e-2 == pytest.approx(gradient[1, 2, 0].item(), rel=1e-2)


def test_sums_are_in_float32_under_bf16_autocast():
    # 2^17 pixels, all right: bf16 sums would stop growing at 256.
    logits = torch.full((1, 256, 512), 20.0, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = SoftDice()(logits, torch.ones(1, 256, 512))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eps": 0.0}, "eps must be positive, got 0.0"),
        ({"pooling": "pixel"}, "pooling must be 'batch' or 'image', got 'pixel'"),
    ],
)
def test_bad_arguments_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SoftDice(**settings)


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"one shape, got \(1, 2\) and \(2, 1\)"):
        SoftDice()(torch.zeros(1, 2), torch.zeros(2, 1))


def test_of_several_classes_it_is_the_mean_without_background():
    # Two pixels: of class 1 with p .5, .3, .2, of background with p .8, .1, .1.
    logits = torch.tensor([[0.5, 0.3, 0.2], [0.8, 0.1, 0.1]]).log().T[None]
    target = torch.tensor([[1, 0]])
    first = 1 - (2 * 0.3 + 1) / (0.3**2 + 0.1**2 + 1 + 1)
    second = 1 - 1 / (0.2**2 + 0.1**2 + 1)
    assert SoftDice()(logits, target).item() == pytest.approx((first + second) / 2, abs=1e-6)
    entropy = -(math.log(0.3) + math.log(0.8)) / 2
    assert CrossEntropyDice()(logits, target).item() == pytest.approx(entropy + (first + second) / 2, abs=1e-6)
    assert CrossEntropyDice(dice_weight=0.0)(logits, target).item() == pytest.approx(entropy, abs=1e-6)


def test_of_one_class_cross_entropy_is_binary():
    logits, target = logit(0.8, 0.4)[None], torch.tensor([[1.0, 0.0]])
    entropy = -(math.log(0.8) + math.log(0.6)) / 2
    dice = 1 - (2 * 0.8 + 1) / (0.64 + 0.16 + 1 + 1)
    assert CrossEntropyDice(dice_weight=2.0)(logits, target).item() == pytest.approx(entropy + 2 * dice, abs=1e-6)


@pytest.mark.parametrize("arguments", [{"dice_weight": -1}, {"eps": 0}, {"pooling": "volume"}])
def test_arguments_out_of_range_of_the_sum_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=name):
        CrossEntropyDice(**arguments)
