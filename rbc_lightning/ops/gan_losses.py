"""Adversarial and feature matching losses over the outputs of a multi-scale PatchGAN.

Every function takes the discriminator's output: per scale the list of its layer outputs, the last one the logits.
Losses are summed over scales and averaged within a scale, as in the public pix2pixHD.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

GanLoss = Literal["lsgan", "log", "hinge"]
ScaleOutputs = Sequence[Sequence[Tensor]]
"""Per scale, the layer outputs (B, C, h, w); the last one are the logits (B, 1, h, w)."""
# Of VGG19's relu1_1 ... relu5_1, as in the public implementation.
_PERCEPTUAL_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


def check_gan_loss(name: str) -> GanLoss:
    """Return `name` if it is a known form of the adversarial loss.

    Raises:
        ValueError: it is not.
    """
    for known in get_args(GanLoss):
        if name == known:
            return known  # type: ignore[no-any-return]  # get_args is untyped, its values are the literals
    raise ValueError(f"unknown gan_loss {name!r}: choose one of {', '.join(get_args(GanLoss))}")


def generator_loss(fake: ScaleOutputs, kind: GanLoss = "lsgan") -> Tensor:
    """What the generator minimises so that its images pass as real.

    Args:
        fake: discriminator outputs on generated images.
        kind: "lsgan" (MSE to 1), "log" (S3 eq. 5 in its non-saturating form, on logits) or "hinge".

    Returns:
        Scalar float32.
    """
    return torch.stack([_towards_real(layers[-1].float(), kind, generator=True) for layers in fake]).sum()


def discriminator_losses(real: ScaleOutputs, fake: ScaleOutputs, kind: GanLoss = "lsgan") -> tuple[Tensor, Tensor]:
    """What the discriminator minimises; the training loss is half the sum of the two.

    Args:
        real: discriminator outputs on real images.
        fake: discriminator outputs on generated images, detached from the generator.
        kind: see `generator_loss`.

    Returns:
        Two float32 scalars: the loss on real and on generated images.
    """
    on_real = torch.stack([_towards_real(layers[-1].float(), kind, generator=False) for layers in real]).sum()
    on_fake = torch.stack([_towards_fake(layers[-1].float(), kind) for layers in fake]).sum()
    return on_real, on_fake


def feature_matching_loss(real: ScaleOutputs, fake: ScaleOutputs) -> Tensor:
    """Mean absolute difference of the hidden discriminator features (S3 eq. 6), the logits left out.

    Weighted as in the public implementation: 4 / number of hidden layers, and 1 / number of scales. The reference's
    4 / (n_layers + 1) is the same number. No lambda; the real features are taken as constants.

    Args:
        real: discriminator outputs on real images.
        fake: discriminator outputs on generated images, of the same shapes.

    Returns:
        Scalar float32.
    """
    total = fake[0][0].new_zeros((), dtype=torch.float32)
    for real_layers, fake_layers in zip(real, fake, strict=True):
        n_hidden = len(fake_layers) - 1
        for target, feature in zip(real_layers[:-1], fake_layers[:-1], strict=True):
            total = total + F.l1_loss(feature.float(), target.detach().float()) * (4.0 / n_hidden)
    return total / len(fake)


def perceptual_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Weighted mean absolute difference of VGG19 features: 1/32, 1/16, 1/8, 1/4, 1 from relu1_1 to relu5_1.

    No lambda; the real features are taken as constants, so they may be computed without a graph.

    Args:
        real: the five feature maps (B, C, h, w) of real images, see `nets.vgg19.VGG19Features`.
        fake: those of generated images, of the same shapes.

    Returns:
        Scalar float32.

    Raises:
        ValueError: not five maps a side, or their shapes differ.
    """
    shapes = [[tuple(feature.shape) for feature in side] for side in (real, fake)]
    if shapes[0] != shapes[1] or len(shapes[0]) != len(_PERCEPTUAL_WEIGHTS):
        raise ValueError(f"expected {len(_PERCEPTUAL_WEIGHTS)} feature maps of equal shapes, got {shapes[0]} and {shapes[1]}")
    terms = [
        weight * F.l1_loss(feature.float(), target.detach().float())
        for weight, target, feature in zip(_PERCEPTUAL_WEIGHTS, real, fake, strict=True)
    ]
    return torch.stack(terms).sum()


def _towards_real(logits: Tensor, kind: GanLoss, generator: bool) -> Tensor:
    if kind == "lsgan":
        return F.mse_loss(logits, torch.ones_like(logits))
    if kind == "log":
        return F.softplus(-logits).mean()
    # Hinge: the discriminator stops at the margin, the generator pushes on.
    return -logits.mean() if generator else F.relu(1 - logits).mean()


def _towards_fake(logits: Tensor, kind: GanLoss) -> Tensor:
    if kind == "lsgan":
        return F.mse_loss(logits, torch.zeros_like(logits))
    if kind == "log":
        return F.softplus(logits).mean()
    return F.relu(1 + logits).mean()
