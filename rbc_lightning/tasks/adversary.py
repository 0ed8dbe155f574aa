"""The discriminator's side of pix2pixHD: what it sees of real and generated images, and the losses made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from rbc_lightning.nets.vgg19 import VGG19Features
from rbc_lightning.ops.diff_augment import augment, draw_augmentations, parse_policy
from rbc_lightning.ops.gan_losses import (
    GanLoss,
    ScaleOutputs,
    check_gan_loss,
    discriminator_losses,
    feature_matching_loss,
    generator_loss,
    perceptual_loss,
)
from rbc_lightning.tasks.image_pool import ImagePool


class Adversary(nn.Module):
    """Discriminator with its losses and options.

    Args:
        discriminator: of `condition` and image stacked.
        gan_loss: "lsgan", "log" or "hinge".
        lambda_feature: weight of feature matching.
        perceptual: None, or where VGG19's weights come from; see `VGG19Features.load`.
        lambda_perceptual: weight of the perceptual term.
        pool_size: generated images kept to show the discriminator again; 0 = off.
        diff_augment: words of `rbc_lightning.ops.diff_augment`; empty = off.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        gan_loss: str = "lsgan",
        lambda_feature: float = 10.0,
        perceptual: str | None = None,
        lambda_perceptual: float = 10.0,
        pool_size: int = 0,
        diff_augment: str = "",
    ) -> None:
        super().__init__()
        self.gan_loss: GanLoss = check_gan_loss(gan_loss)
        self.lambda_feature, self.lambda_perceptual = lambda_feature, lambda_perceptual
        parse_policy(diff_augment)  # refuses unknown words
        self.policy = diff_augment
        self.discriminator = discriminator
        self.pool = ImagePool(pool_size)
        self.vgg = VGG19Features.load(perceptual) if perceptual else None

    def forward(self, condition: Tensor, image: Tensor, fake: Tensor, seeds: Sequence[int]) -> dict[str, Tensor]:
        """All losses of one step.

        Args:
            condition: (B, 3, H, W).
            image: real (B, 3, H, W) in [-1, 1].
            fake: generated, cut from the generator's graph.
            seeds: one per image, of augmentation and pool.

        Returns:
            Scalars: `g_gan`, `g_feature`, with VGG `g_perceptual` (the generator minimises their sum; the lambdas are in
            them), `d_real`, `d_fake` (the discriminator minimises half their sum).
        """
        on_real = self._judge(condition, image, seeds)
        on_fake = self._judge(condition, fake, seeds)
        losses = {
            "g_gan": generator_loss(on_fake, self.gan_loss),
            "g_feature": feature_matching_loss(on_real, on_fake) * self.lambda_feature,
        }
        if self.vgg is not None:
            losses["g_perceptual"] = perceptual_loss(self.vgg(image), self.vgg(fake)) * self.lambda_perceptual
        if self.pool.size:
            pooled = self.pool(torch.cat((condition, fake.detach()), dim=1), seeds)
            on_fake = self._judge(pooled[:, : condition.shape[1]], pooled[:, condition.shape[1] :], seeds)
        losses["d_real"], losses["d_fake"] = discriminator_losses(on_real, on_fake, self.gan_loss)
        return losses

    def _judge(self, condition: Tensor, image: Tensor, seeds: Sequence[int]) -> ScaleOutputs:
        if self.policy:
            parameters = draw_augmentations(seeds, self.policy, *image.shape[-2:])
            image, condition = augment(parameters, image, condition)
        return cast(ScaleOutputs, self.discriminator(torch.cat((condition, image), dim=1)))
