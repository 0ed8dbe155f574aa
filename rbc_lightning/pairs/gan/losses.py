"""Objectives of pair GANs, of the critic's scores: DCGAN's, Wasserstein's, and the penalty on its gradient.

All are float32 scalars of scores (B,) of any floating dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Objective = Literal["log", "wasserstein"]


def critic_loss(real: Tensor, fake: Tensor, objective: Objective) -> Tensor:
    """What the critic minimises.

    Args:
        real: scores of real pairs.
        fake: of generated ones.
        objective: "log", -log D of the real and -log(1 - D) of the others, D the sigmoid of a score (Goodfellow et al. 2014);
            "wasserstein", the mean of the generated ones minus that of the real (Arjovsky et al. 2017).
    """
    if objective == "wasserstein":
        return fake.float().mean() - real.float().mean()
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def generator_loss(fake: Tensor, objective: Objective) -> Tensor:
    """What the generator minimises: minus the mean score, or -log D, which does not saturate; see `critic_loss`."""
    return -fake.float().mean() if objective == "wasserstein" else F.softplus(-fake.float()).mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mixed: Tensor) -> Tensor:
    """Mean of (norm of the critic's gradient - 1)^2 at points between pairs (Gulrajani et al. 2017, eq. 3).

    In float32 whatever autocast says: in bf16 a norm near 1 has two digits. The norm is over all pixels and channels of a pair.

    Args:
        critic: of pairs (B, C, S, S); without batch norm, else a gradient would be none of a single pair.
        real: (B, C, S, S).
        fake: as many generated ones.
        mixed: (B,) in [0, 1], the share of the real pair in each point.
    """
    with torch.autocast(device_type=real.device.type, enabled=False):
        share = mixed.float()[:, None, None, None]
        between = (share * real.detach().float() + (1 - share) * fake.detach().float()).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
        return penalty
