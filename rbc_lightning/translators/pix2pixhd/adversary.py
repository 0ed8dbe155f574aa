"""The discriminator's side of pix2pixHD: its networks, what they see of real and generated images, and the losses of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from rbc_lightning.translators.diff_augment import augment, draw_augmentations, parse_policy
from rbc_lightning.translators.image_pool import ImagePool
from rbc_lightning.translators.losses import (
    GanLoss,
    ScaleOutputs,
    check_gan_loss,
    discriminator_losses,
    feature_matching_loss,
    generator_loss,
    perceptual_loss,
)
from rbc_lightning.translators.pix2pixhd.layers import InstanceNorm, check_range
from rbc_lightning.translators.pix2pixhd.vgg19 import VGG19Features

_MAX_CHANNELS = 512  # width at which the reference stops doubling


class Adversary(nn.Module):
    """Discriminator of condition and image stacked, with its losses and options; see `Pix2PixHDTask`.

    Raises:
        ValueError: an argument out of its range, or a perceptual term for images that have not three channels.
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
        image_channels: int = 3,
    ) -> None:
        super().__init__()
        self.gan_loss: GanLoss = check_gan_loss(gan_loss)
        self.lambda_feature, self.lambda_perceptual = lambda_feature, lambda_perceptual
        parse_policy(diff_augment)  # refuses unknown words
        if perceptual and image_channels != 3:
            raise ValueError(
                f"perceptual={perceptual} needs images of 3 channels, which VGG19 was trained on, got {image_channels}: take "
                "perceptual=null"
            )
        self.policy = diff_augment
        self.discriminator = discriminator
        self.pool = ImagePool(pool_size)
        self.vgg = VGG19Features.load(perceptual) if perceptual else None

    def forward(self, condition: Tensor, image: Tensor, fake: Tensor, seeds: Sequence[int]) -> dict[str, Tensor]:
        """All losses of one step.

        Args:
            condition: (B, 3, H, W).
            image: real (B, C, H, W) in [-1, 1].
            fake: generated, cut from the generator's graph.
            seeds: one per image, of augmentation and pool.

        Returns:
            See `AdversarialTask.losses`: `g_gan`, `g_feature`, with VGG `g_perceptual` (lambdas included), `d_real`, `d_fake`.
        """
        on_real = self._discriminate(condition, image, seeds)
        on_fake = self._discriminate(condition, fake, seeds)
        losses = {
            "g_gan": generator_loss(on_fake, self.gan_loss),
            "g_feature": feature_matching_loss(on_real, on_fake) * self.lambda_feature,
        }
        if self.vgg is not None:
            losses["g_perceptual"] = perceptual_loss(self.vgg(image), self.vgg(fake)) * self.lambda_perceptual
        if self.pool.size:
            pooled = self.pool(torch.cat((condition, fake.detach()), dim=1), seeds)
            on_fake = self._discriminate(pooled[:, : condition.shape[1]], pooled[:, condition.shape[1] :], seeds)
        losses["d_real"], losses["d_fake"] = discriminator_losses(on_real, on_fake, self.gan_loss)
        return losses

    def _discriminate(self, condition: Tensor, image: Tensor, seeds: Sequence[int]) -> ScaleOutputs:
        if self.policy:
            parameters = draw_augmentations(seeds, self.policy, *image.shape[-2:])
            image, condition = augment(parameters, image, condition)
        return cast(ScaleOutputs, self.discriminator(torch.cat((condition, image), dim=1)))


class MultiscaleDiscriminator(nn.Module):
    """PatchGANs of one shape on the image and its average-pooled halves.

    Module names follow the public implementation (`scale{s}_layer{j}`), where the *highest* s sees the full resolution:
    a third discriminator then joins at a new full resolution and the trained ones keep theirs.

    Args:
        in_channels: channels of the condition and the image together.
        base_channels: width of the first layer; doubles up to 512.
        n_layers: stride-2 layers per discriminator.
        n_scales: number of discriminators.
    """

    def __init__(self, in_channels: int, base_channels: int = 64, n_layers: int = 3, n_scales: int = 2) -> None:
        super().__init__()
        check_range(1, base_channels=base_channels, n_layers=n_layers, n_scales=n_scales)
        self.n_scales = n_scales
        self.n_stages = n_layers + 2
        for scale in range(n_scales):
            for j, stage in enumerate(_patchgan_stages(in_channels, base_channels, n_layers)):
                self.add_module(f"scale{scale}_layer{j}", stage)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """Logits and features of float (B, in_channels, H, W) at every scale, the finest first; see `losses.ScaleOutputs`."""
        outputs: list[list[Tensor]] = []
        for scale in reversed(range(self.n_scales)):
            layers = [x]
            for j in range(self.n_stages):
                layers.append(self.get_submodule(f"scale{scale}_layer{j}")(layers[-1]))
            outputs.append(layers[1:])
            x = self.pool(x) if scale else x
        return outputs


def _patchgan_stages(in_channels: int, base_channels: int, n_layers: int) -> list[nn.Sequential]:
    """First layer without norm, n_layers - 1 strided ones, one of stride 1, then the logits; padding 2 throughout."""
    stages = [nn.Sequential(nn.Conv2d(in_channels, base_channels, 4, 2, padding=2), nn.LeakyReLU(0.2))]
    width = base_channels
    for stride in [2] * (n_layers - 1) + [1]:
        wider = min(2 * width, _MAX_CHANNELS)
        stages.append(nn.Sequential(nn.Conv2d(width, wider, 4, stride, padding=2), InstanceNorm(wider), nn.LeakyReLU(0.2)))
        width = wider
    stages.append(nn.Sequential(nn.Conv2d(width, 1, 4, 1, padding=2)))
    return stages
