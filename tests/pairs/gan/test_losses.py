import math

import pytest
import torch

from rbc_lightning.pairs.gan.losses import critic_loss, generator_loss, gradient_penalty


def test_objectives_by_hand():
    real, fake = torch.tensor([0.0, 2.0]), torch.tensor([1.0, -1.0])
    assert critic_loss(real, fake, "wasserstein").item() == pytest.approx(0 - 1)
    assert generator_loss(fake, "wasserstein").item() == 0

    def log_sigmoid(score):
        return -math.log1p(math.exp(-score))

    of_real, of_fake = -(log_sigmoid(0) + log_sigmoid(2)) / 2, -(log_sigmoid(-1) + log_sigmoid(1)) / 2
    assert critic_loss(real, fake, "log").item() == pytest.approx(of_real + of_fake)
    assert generator_loss(fake, "log").item() == pytest.approx(-(log_sigmoid(1) + log_sigmoid(-1)) / 2)


def test_the_penalty_of_a_plane_is_its_slope_everywhere():
    """f(x) = w x has the gradient w: (|w| - 1)^2."""
    weight = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    real, fake = torch.randn(4, 2, 3, 3), torch.randn(4, 2, 3, 3)
    penalty = gradient_penalty(lambda x: (x * weight).sum(dim=(1, 2, 3)), real, fake, torch.rand(4))
    assert penalty.item() == pytest.approx((weight.norm().item() - 1) ** 2, rel=1e-6)


def test_the_penalty_of_a_bowl_is_taken_between_the_pairs():
    """f(x) = |x|^2 / 2 has the gradient x, at the points asked for; its weight has the gradient that follows."""
    real, fake, mixed = torch.full((2, 1, 2, 2), 3.0), torch.full((2, 1, 2, 2), 1.0), torch.tensor([0.25, 1.0])
    scale = torch.ones((), requires_grad=True)
    penalty = gradient_penalty(lambda x: scale * x.square().sum(dim=(1, 2, 3)) / 2, real, fake, mixed)
    norms = torch.tensor([2 * 1.5, 2 * 3.0])
    assert penalty.item() == pytest.approx((norms - 1).square().mean().item())
    penalty.backward()
    assert scale.grad.item() == pytest.approx((2 * (norms - 1) * norms).mean().item())


def test_the_penalty_is_in_float32_under_autocast():
    weight = torch.nn.Conv2d(1, 1, 3)
    real, fake, mixed = torch.randn(2, 1, 5, 5), torch.randn(2, 1, 5, 5), torch.tensor([0.3, 0.6])
    expected = gradient_penalty(lambda x: weight(x).sum(dim=(1, 2, 3)), real, fake, mixed)
    with torch.autocast("cpu", torch.bfloat16):
        found = gradient_penalty(lambda x: weight(x).sum(dim=(1, 2, 3)), real.bfloat16().float(), fake, mixed)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
