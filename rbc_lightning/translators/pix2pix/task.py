"""Training of the mode-seeking Pix2Pix on masks and structure maps (Allender et al.), and of plain Pix2Pix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rbc_lightning.translators.adversarial import AdversarialTask, Generated
from rbc_lightning.translators.losses import GanLoss, check_gan_loss, discriminator_losses, generator_loss
from rbc_lightning.translators.pix2pix.discriminators import LinearDiscriminator, PatchDiscriminator
from rbc_lightning.translators.pix2pix.generator import (
    StructureSettings,
    condition_channels,
    latent_codes,
    mask_channels,
    with_codes,
)
from rbc_lightning.translators.pix2pix.mode_seeking import mode_seeking_loss
from rbc_lightning.translators.pix2pix.structures.maps import check_method
from rbc_lightning.translators.pix2pixhd.layers import check_range

SecondInput = Literal["condition", "latent"]


class ModeSeekingPix2PixTask(AdversarialTask):
    """Train a (mask, structure map) -> image translator: adversarial + L1 + mode-seeking term (Allender et al., eq. 5).

    A batch holds `image` float32 (n, C, size, size) in [0, 1], `label_map` int64 (n, size, size), 0 = background, whose mask
    the generator is given by `mask_planes`,
    `sample_id` (n strings), `noise_seed` int64 (n,). With `second="condition"` and the term on, its first half is generated
    and shown to the discriminator, and its second half gives the other conditions of the term; n is then even. Call
    `use_thresholds` first where structure maps are used. Logs `train/g_gan`, `train/g_l1`, `train/g_mode_seeking` (with
    their weights), `train/d_real`, `train/d_fake`, and `train/distance`, the mean absolute difference of the two images of a
    pair.

    Args:
        size: side of the training crops, pixels.
        structure: put structure maps beside the masks; without, the mask is all that the generator knows.
        structure_method: see `structures.maps.structure_threshold`.
        conditional: show the discriminator the condition as well (Isola et al.); Allender et al. show the image alone.
        second: what the two images of a pair differ in: the "condition" (Allender et al., eq. 4), or a "latent" code for one
            condition (Mao et al. 2019, where the discriminator sees both images).
        lambda_mode_seeking: weight of the mode-seeking term (Allender et al.: 10); 0 = off.
        lambda_l1: weight of the mean absolute difference to the real image (Allender et al.: 10; Isola et al.: 100).
        l1_balance: from 0, every pixel counts alike in it, towards 1, every class of an image does, see `class_weights`: for
            classes of few pixels, whose colour the generator else takes from what the discriminator lets pass.
        latent_channels: planes of noise, each one number per image, beside the condition; needed for `second="latent"`.
        base_channels, n_downsample, kernel_size, dropout, n_dropout, first_dropout, norm, bias_before_norm: see
            `UNetGenerator`; kernel size and norm are those of the discriminator, too.
        discriminator: "linear" (Allender et al.: one logit an image) or "patch" (Isola et al.).
        discriminator_channels: its width.
        discriminator_strides, discriminator_padding: of the patch discriminator, see there.
        gan_loss: "log" (Allender et al., eq. 2, the generator's part in its non-saturating form), "lsgan" or "hinge".
        learning_rate, beta1, beta2, n_epochs, n_epochs_decay: see `AdversarialTask`.
        image: arguments of the data set's `ImageSpec`; none for 8-bit RGB with dark objects.
        alike: class -> class as which both networks are told it, such as {lesion: bright}: images then hold no other mark of
            it than real ones do, which a segmenter would learn instead.

    Raises:
        ValueError: an argument out of its range, or crops of a size that a network cannot take.
    """

    def __init__(
        self,
        size: int = 256,
        structure: bool = True,
        structure_method: str | float = "otsu",
        conditional: bool = False,
        second: SecondInput = "condition",
        lambda_mode_seeking: float = 10.0,
        lambda_l1: float = 10.0,
        l1_balance: float = 0.0,
        latent_channels: int = 0,
        base_channels: int = 64,
        n_downsample: int = 8,
        kernel_size: int = 5,
        dropout: float = 0.5,
        n_dropout: int | None = 3,
        first_dropout: int = 0,
        norm: Literal["instance", "batch"] = "instance",
        bias_before_norm: bool = True,
        discriminator: Literal["linear", "patch"] = "linear",
        discriminator_channels: int = 64,
        discriminator_strides: Sequence[int] = (2, 2, 2, 1, 1),
        discriminator_padding: int | Literal["same"] = 1,
        gan_loss: GanLoss = "log",
        learning_rate: float = 2e-4,
        beta1: float = 0.5,
        beta2: float = 0.999,
        n_epochs: int = 100,
        n_epochs_decay: int = 0,
        image: Mapping[str, Any] | None = None,
        alike: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        check_range(0, lambda_mode_seeking=lambda_mode_seeking, lambda_l1=lambda_l1)
        check_range(0, 1, l1_balance=l1_balance)
        if second not in ("condition", "latent"):
            raise ValueError(f"second must be condition or latent, got {second!r}")
        least, multiple = int(second == "latent" and lambda_mode_seeking > 0), 2 ** max(n_downsample, 0)
        if latent_channels < least:
            raise ValueError(f'latent_channels must be at least {least} with second="{second}", got {latent_channels}')
        if size < 1 or size % multiple:
            raise ValueError(
                f"size must be a multiple of {multiple} pixels with n_downsample={n_downsample}, got {size}: take "
                f"{max(multiple, size - size % multiple)}, or fewer halvings"
            )
        # Plain values, whatever a configuration gives: checkpoints hold nothing else.
        image, alike, discriminator_strides = dict(image or {}), dict(alike or {}), tuple(discriminator_strides)
        self.save_hyperparameters()
        self.check_schedule()
        self.settings = StructureSettings.of(self.hparams)
        self.spec = self.settings.spec
        known = self.spec.classes if self.spec.labels == "classes" else ()
        if unknown := [name for pair in alike.items() for name in pair if name not in known]:
            there = ", ".join(known) or "none here"
            raise ValueError(f"alike names {unknown[0]!r}; expected classes of the label maps: {there}")
        if structure:
            check_method(structure_method, self.spec)
        if discriminator not in ("linear", "patch"):
            raise ValueError(f"discriminator must be linear or patch, got {discriminator!r}")
        check_gan_loss(gan_loss)
        self.generator = self.settings.build_generator()
        seen = mask_channels(self.spec) + structure if conditional else 0
        channels = self.spec.n_channels + seen, discriminator_channels
        self.discriminator: nn.Module = (
            LinearDiscriminator(*channels, size, kernel_size, norm)
            if discriminator == "linear"
            else PatchDiscriminator(
                *channels, discriminator_strides, kernel_size, discriminator_padding, norm, bias_before_norm
            )
        )
        least = getattr(self.discriminator, "min_side", size)
        if size < least:
            raise ValueError(f"size must be at least {least} with these discriminator_strides, got {size}")
        self._thresholds: dict[str, float] = {}

    @property
    def samples_per_image(self) -> int:
        """Samples that one generated image of a batch takes."""
        return 2 if self.hparams["lambda_mode_seeking"] and self.hparams["second"] == "condition" else 1

    def use_thresholds(self, thresholds: Mapping[str, float]) -> None:
        """Give every training image's structure threshold, grey levels by sample_id; a crop takes its image's."""
        self._thresholds = dict(thresholds)

    def trained_parameters(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """All of the generator's, all of the discriminator's."""
        return [*self.generator.parameters()], [*self.discriminator.parameters()]

    def generate(self, batch: dict[str, Any]) -> Generated:
        """Generate an image per condition; of pairs the first images, then the second."""
        n_samples = len(batch["image"])
        if n_samples % self.samples_per_image:
            raise ValueError(
                f"a batch of {n_samples} samples cannot be split into pairs; expected an even number where two conditions "
                "are compared"
            )
        condition, codes = self._inputs(batch)
        return Generated(self(condition, codes), n_samples // self.samples_per_image, (condition, codes))

    def losses(self, batch: dict[str, Any], generated: Generated, seen: Tensor) -> dict[str, Tensor]:
        """Adversarial, L1 and mode-seeking losses of the generator, and those of the discriminator."""
        (condition, codes), n_real = generated.given, generated.n_images
        latent = self.hparams["second"] == "latent"
        real = batch["image"][:n_real] * 2 - 1
        # The discriminator sees both images of a pair of latent codes (Mao et al.); of a pair of conditions the first.
        n_shown = len(seen) if latent else n_real
        on_real = self._discriminate(condition[:n_real], real)
        on_fake = self._discriminate(condition[:n_shown], seen[:n_shown])
        losses = {"g_gan": generator_loss(on_fake, self.hparams["gan_loss"])}
        losses["g_l1"] = self._l1(seen[:n_real], real, batch["label_map"][:n_real]) * self.hparams["lambda_l1"]
        if len(seen) > n_real:
            differing = codes if latent else condition
            term = mode_seeking_loss(seen[:n_real], seen[n_real:], differing[:n_real], differing[n_real:])
            losses["g_mode_seeking"] = term * self.hparams["lambda_mode_seeking"]
        losses["d_real"], losses["d_fake"] = discriminator_losses(on_real, on_fake, self.hparams["gan_loss"])
        return losses

    def measures(self, generated: Generated, seen: Tensor) -> dict[str, Tensor]:
        """`distance` of the two images of a pair."""
        n_real = generated.n_images
        return {"distance": (seen[:n_real] - seen[n_real:]).detach().abs().mean()} if len(seen) > n_real else {}

    def forward(self, condition: Tensor, codes: Tensor) -> Tensor:
        """Paint: condition (B, C, H, W) in [-1, 1] and latent codes (B, Z) to images (B, C, H, W) in [-1, 1]."""
        return cast(Tensor, self.generator(with_codes(condition, codes)))

    def _inputs(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Conditions and latent codes; both halves of a pair, one behind the other."""
        thresholds = None
        if self.hparams["structure"]:
            if missing := [name for name in batch["sample_id"] if name not in self._thresholds]:
                raise ValueError(f"no structure threshold for {missing[0]}: call use_thresholds with every training sample")
            thresholds = [self._thresholds[name] for name in batch["sample_id"]]
        condition = condition_channels(batch["label_map"], batch["image"], thresholds, self.spec, self.hparams["alike"])
        latent, seeds = self.hparams["latent_channels"], batch["noise_seed"].tolist()
        codes = latent_codes(seeds, latent, condition)
        if self.hparams["second"] == "latent" and self.hparams["lambda_mode_seeking"]:
            # Beside the seed itself, which another image may have drawn: a stream of its own.
            other = latent_codes([seed ^ (1 << 62) for seed in seeds], latent, condition)
            return condition.repeat(2, 1, 1, 1), torch.cat((codes, other))
        return condition, codes

    def _l1(self, seen: Tensor, real: Tensor, label_map: Tensor) -> Tensor:
        balance = self.hparams["l1_balance"]
        if not balance:
            return F.l1_loss(seen, real)
        values = label_map if self.spec.labels == "classes" else (label_map > 0).long()
        return ((seen - real).abs() * class_weights(values, balance).to(seen.dtype)[:, None]).mean()

    def _discriminate(self, condition: Tensor, image: Tensor) -> list[list[Tensor]]:
        """Logits in the form that the GAN losses take: one scale, one layer."""
        x = torch.cat((condition, image), dim=1) if self.hparams["conditional"] else image
        return [[self.discriminator(x)]]


def class_weights(label_map: Tensor, balance: float) -> Tensor:
    """Weights float64 (B, H, W) with mean 1 in each image: a class that fills n of its pixels has n**-balance for each.

    Args:
        label_map: int64 (B, H, W), 0 = background, a class as any other.
        balance: 0: all pixels alike; towards 1: all classes of an image alike.
    """
    weights = []
    for values in label_map:
        counts = torch.bincount(values.flatten()).clamp(min=1).double()
        weight = counts.pow(-balance)[values]
        weights.append(weight / weight.mean())
    return torch.stack(weights)
