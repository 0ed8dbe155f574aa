import math

import pytest
import torch

from rbc_lightning.translators.losses import (
    check_gan_loss,
    discriminator_losses,
    feature_matching_loss,
    generator_loss,
    perceptual_loss,
)


def _scales(*logits):
    """Discriminator outputs without hidden layers: one logit map per scale."""
    return [[torch.tensor(values, dtype=torch.float32)] for values in logits]


LOG2 = math.log(2)


@pytest.mark.parametrize(
    ("kind", "generator", "on_real", "on_fake"),
    [
        # logits 0 and 2 at one scale, 1 at the other; means within a scale are summed
        ("lsgan", (1 + 1) / 2 + 0, (1 + 1) / 2 + 0, (0 + 4) / 2 + 1),
        (
            "log",
            (LOG2 + math.log1p(math.exp(-2))) / 2 + math.log1p(math.exp(-1)),
            (LOG2 + math.log1p(math.exp(-2))) / 2 + math.log1p(math.exp(-1)),
            (LOG2 + math.log1p(math.exp(2))) / 2 + math.log1p(math.exp(1)),
        ),
        ("hinge", -1 - 1, (1 + 0) / 2 + 0, (1 + 3) / 2 + 2),
    ],
)
def test_losses_by_hand(kind, generator, on_real, on_fake):
    outputs = _scales([0.0, 2.0], [1.0])
    assert generator_loss(outputs, kind).item() == pytest.approx(generator, rel=1e-6)
    real, fake = discriminator_losses(outputs, outputs, kind)
    assert real.item() == pytest.approx(on_real, rel=1e-6)
    assert fake.item() == pytest.approx(on_fake, rel=1e-6)


def test_feature_matching_by_hand_without_the_logits():
    # two hidden layers and logits; two scales
    real = [[torch.tensor([1.0]), torch.tensor([2.0, 2.0]), torch.tensor([9.0])] for _ in range(2)]
    fake = [[torch.tensor([3.0]), torch.tensor([2.0, 5.0]), torch.tensor([0.0])] for _ in range(2)]
    per_scale = (2.0 + 1.5) * 4 / 2
    assert feature_matching_loss(real, fake).item() == pytest.approx(2 * per_scale / 2)


def test_feature_matching_moves_the_generated_side_only():
    real = [[torch.tensor([1.0], requires_grad=True), torch.tensor([0.0])]]
    fake = [[torch.tensor([3.0], requires_grad=True), torch.tensor([0.0])]]
    feature_matching_loss(real, fake).backward()
    assert real[0][0].grad is None
    assert fake[0][0].grad.tolist() == [4.0]


def test_log_form_is_finite_on_extreme_logits():
    real, fake = discriminator_losses(_scales([-1000.0]), _scales([1000.0]), "log")
    assert (real.item(), fake.item()) == (1000.0, 1000.0)


def test_unknown_form_is_refused():
    assert check_gan_loss("hinge") == "hinge"
    with pytest.raises(ValueError, match="unknown gan_loss 'wgan': choose one of lsgan, log, hinge"):
        check_gan_loss("wgan")


def _maps(*values, **kwargs):
    return [torch.tensor(value, **kwargs).reshape(1, 1, 1, -1) for value in values]


def test_perceptual_loss_by_hand():
    real = _maps([0.0, 0.0], [1.0, 1.0], [2.0], [0.0], [-1.0, 0.0])
    fake = _maps([1.0, 3.0], [1.0, 0.0], [6.0], [-2.0], [0.0, 0.5])
    # mean differences 2, 0.5, 4, 2, 0.75
    expected = 2 / 32 + 0.5 / 16 + 4 / 8 + 2 / 4 + 0.75
    loss = perceptual_loss(real, fake)
    assert loss.item() == pytest.approx(expected)
    assert loss.shape == ()
    half = perceptual_loss([x.bfloat16() for x in real], [x.bfloat16() for x in fake])
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(expected)


def test_perceptual_loss_moves_the_generated_side_only():
    real = _maps(*[[1.0, 2.0]] * 5, requires_grad=True)
    leaves = [torch.full((1, 1, 1, 2), 3.0, requires_grad=True) for _ in range(5)]
    perceptual_loss(real, leaves).backward()
    # half of the weight: a mean over two
    assert [leaf.grad.flatten().tolist() for leaf in leaves] == [[w / 2] * 2 for w in (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1)]
    with pytest.raises(RuntimeError, match="does not require grad"):
        perceptual_loss(real, [leaf.detach() for leaf in leaves]).backward()


def test_perceptual_loss_wants_five_maps_of_equal_shapes():
    with pytest.raises(ValueError, match=r"expected 5 feature maps of equal shapes, got \[\(1, 1, 1, 1\)\]"):
        perceptual_loss(_maps([1.0]), _maps([1.0]))
    with pytest.raises(ValueError, match="of equal shapes"):
        perceptual_loss(_maps(*[[1.0]] * 5), _maps(*[[1.0, 2.0]] * 5))
