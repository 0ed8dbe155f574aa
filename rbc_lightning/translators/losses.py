"""Adversarial and feature matching losses over the outputs of a multi-scale PatchGAN.

Every function takes the discriminator's output: per scale the list of its layer outputs, the last one the logits.
Losses are summed over scales and averaged within a scale, as in the public pix2pixHD.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

GanLoss = Literal["lsgan", "log", "hinge"]
ScaleOutputs = Sequence[Sequence[Tensor]]
"""Per scale, the layer outputs (B, C, h, w); the last one are the logits (B, 1, h, w)."""
# Of VGG19's relu1_1 ... relu5_1, as in the public implementation.
_PERCEPTUAL_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


def check_gan_loss(name: str) -> GanLoss:
    """Return `name` if it is a known form of the adversarial loss, else raise a `ValueError`."""
    if name not in get_args(GanLoss):
        raise ValueError(f"unknown gan_loss {name!r}: choose one of {', '.join(get_args(GanLoss))}")
    return cast(GanLoss, name)


def generator_loss(fake: ScaleOutputs, kind: GanLoss = "lsgan") -> Tensor:
    """What the generator minimises so that its images pass as real, a float32 scalar.

    Args:
        fake: discriminator outputs on generated images.
        kind: "lsgan" (MSE to 1), "log" (Bailo et al. 2019, eq. 5, in its non-saturating form, on logits) or "hinge".
    """
    return _over_scales(fake, kind, real=True, generator=True)


def discriminator_losses(real: ScaleOutputs, fake: ScaleOutputs, kind: GanLoss = "lsgan") -> tuple[Tensor, Tensor]:
    """The loss on real and on generated images, float32 scalars; the discriminator minimises half the sum of the two."""
    return _over_scales(real, kind, real=True), _over_scales(fake, kind, real=False)


def feature_matching_loss(real: ScaleOutputs, fake: ScaleOutputs) -> Tensor:
    """Mean absolute difference of the hidden discriminator features (Bailo et al. 2019, eq. 6), the logits left out.

    Weighted as in the public implementation: 4 / number of hidden layers, and 1 / number of scales. The reference's
    4 / (n_layers + 1) is the same number. No lambda; the real features are taken as constants. A float32 scalar.
    """
    total = fake[0][0].new_zeros((), dtype=torch.float32)
    for real_layers, fake_layers in zip(real, fake, strict=True):
        n_hidden = len(fake_layers) - 1
        for target, feature in zip(real_layers[:-1], fake_layers[:-1], strict=True):
            total = total + F.l1_loss(feature.float(), target.detach().float()) * (4.0 / n_hidden)
    return total / len(fake)


def perceptual_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Weighted mean absolute difference of VGG19 features: 1/32, 1/16, 1/8, 1/4, 1 from relu1_1 to relu5_1.

    No lambda; the real features are taken as constants, so they may be computed without a graph. Either side has five maps
    (B, C, h, w), see `VGG19Features`. A float32 scalar.
    """
    shapes = [[tuple(feature.shape) for feature in side] for side in (real, fake)]
    if shapes[0] != shapes[1] or len(shapes[0]) != len(_PERCEPTUAL_WEIGHTS):
        raise ValueError(f"expected {len(_PERCEPTUAL_WEIGHTS)} feature maps of equal shapes, got {shapes[0]} and {shapes[1]}")
    terms = [
        weight * F.l1_loss(feature.float(), target.detach().float())
        for weight, target, feature in zip(_PERCEPTUAL_WEIGHTS, real, fake, strict=True)
    ]
    return torch.stack(terms).sum()


def _over_scales(outputs: ScaleOutputs, kind: GanLoss, real: bool, generator: bool = False) -> Tensor:
    """Sum over scales of how far the logits are from real or generated."""
    return torch.stack([_loss(layers[-1].float(), kind, real, generator) for layers in outputs]).sum()


def _loss(logits: Tensor, kind: GanLoss, real: bool, generator: bool) -> Tensor:
    if kind == "lsgan":
        return F.mse_loss(logits, torch.full_like(logits, float(real)))
    right = logits if real else -logits
    if kind == "log":
        return F.softplus(-right).mean()
    # Hinge: the discriminator stops at the margin, the generator pushes on.
    return -right.mean() if generator else F.relu(1 - right).mean()
