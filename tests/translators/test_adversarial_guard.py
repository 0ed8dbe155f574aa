"""When a GAN training is stopped."""

import pytest
import torch

from rbc_lightning.errors import TrainingStopped
from rbc_lightning.translators.adversarial import CollapseGuard


def test_guard_names_the_batch():
    guard = CollapseGuard(patience=3)
    good = {"g_gan": torch.tensor(1.0), "d_real": torch.tensor(0.3), "d_fake": torch.tensor(0.2)}
    noise, flat = torch.randn(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.3)
    guard.check(good, noise, ["a"])
    for bad in (float("nan"), float("inf")):
        with pytest.raises(TrainingStopped, match="g_gan not finite on batch smear_7, smear_9"):
            guard.check(good | {"g_gan": torch.tensor(bad)}, noise, ["smear_7", "smear_9"])
    for image in (flat, flat, noise, flat, flat):  # never three in a row
        guard.check(good, image, ["a"])
    with pytest.raises(TrainingStopped, match=r"one flat colour for 3 steps, last on batch smear_3"):
        guard.check(good, flat, ["smear_3"])
    pinned = good | {"d_real": torch.tensor(0.0), "d_fake": torch.tensor(0.0)}
    guard = CollapseGuard(patience=2)
    guard.check(pinned, noise, ["a"])
    with pytest.raises(TrainingStopped, match=r"loss has been zero for 2 steps, last on batch smear_4"):
        guard.check(pinned, noise, ["smear_4"])
    with pytest.raises(ValueError, match="patience must be at least 1 step, got 0"):
        CollapseGuard(patience=0)


def test_guard_of_an_objective_without_bound_and_of_pairs():
    losses = {"g_loss": torch.tensor(1.0), "d_loss": torch.tensor(-3.0)}
    noise = torch.randn(2, 3, 8, 8)
    guard = CollapseGuard(patience=2, rate="pairs.task.optimizer.lr", width="pairs.task.base_channels", bounded=())
    for _ in range(3):
        guard.check(losses, noise, ["a"], torch.tensor(0.2))
    guard.check(losses, noise, ["a"], torch.tensor(1e-3))
    with pytest.raises(
        TrainingStopped, match=r"one and the same image for 2 steps, last on batch b: lower pairs\.task\.optimizer"
    ):
        guard.check(losses, noise, ["b"], torch.tensor(1e-3))
    guard = CollapseGuard(patience=1, width="pairs.task.base_channels", bounded=("d_loss",))
    with pytest.raises(TrainingStopped, match=r"zero for 1 steps, last on batch c: .*lower pairs\.task\.base_channels"):
        guard.check(losses | {"d_loss": torch.tensor(0.0)}, noise, ["c"])
