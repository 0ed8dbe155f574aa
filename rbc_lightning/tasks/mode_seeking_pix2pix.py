"""Training of the mode-seeking Pix2Pix on masks and structure maps (S4, Allender et al.), and of plain Pix2Pix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from rbc_lightning.nets.pix2pix_discriminators import LinearDiscriminator, PatchDiscriminator
from rbc_lightning.nets.pix2pix_unet import UNetGenerator
from rbc_lightning.ops.gan_losses import GanLoss, check_gan_loss, discriminator_losses, generator_loss
from rbc_lightning.ops.mode_seeking import mode_seeking_loss
from rbc_lightning.ops.structure_maps import check_method
from rbc_lightning.tasks.gan_guard import CollapseGuard
from rbc_lightning.tasks.structure_condition import condition_channels, latent_codes, with_codes

SecondInput = Literal["condition", "latent"]


class ModeSeekingPix2PixTask(pl.LightningModule):
    """Train a (mask, structure map) -> image translator: adversarial + L1 + mode-seeking term (S4 eq. 5).

    A batch holds `image` float32 (n, 3, size, size) in [0, 1], `label_map` int64 (n, size, size), 0 = background,
    `sample_id` (n strings), `noise_seed` int64 (n,). With `second="condition"` and the term on, its first half is painted
    and judged, and its second half gives the other conditions of the term; n is then even. Call `use_thresholds` first
    where structure maps are used. Logs `train/g_gan`, `train/g_l1`, `train/g_mode_seeking` (with their weights),
    `train/d_real`, `train/d_fake`, and `train/distance`, the mean absolute difference of the two images of a pair.

    Args:
        size: side of the training crops, pixels.
        structure: put structure maps beside the masks; without, the mask is all that the generator knows.
        structure_method: how an image's threshold is found, see `ops.structure_maps.structure_threshold`.
        conditional: show the discriminator the condition as well (S4 4.2; Isola et al.); S4 shows the image alone.
        second: what the two images of a pair differ in: the "condition" (S4 eq. 4), or a "latent" code for one condition
            (Mao et al. 2019, where the discriminator judges both images).
        lambda_mode_seeking: weight of the mode-seeking term (S4: 10); 0 = off.
        lambda_l1: weight of the mean absolute difference to the real image (S4: 10; Isola et al.: 100).
        latent_channels: planes of noise, each one number per image, beside the condition; needed for `second="latent"`.
        base_channels: generator width at half resolution (S4: 64); see `UNetGenerator`, also for the next seven.
        n_downsample: halvings; 2**n_downsample is `size` in the papers.
        kernel_size: 5 (S4) or 4 (Isola et al.), of generator and discriminator.
        dropout: its probability.
        n_dropout: up blocks with dropout; None for all.
        first_dropout: the first of them; 0 is the innermost.
        norm: "instance" or "batch".
        bias_before_norm: a bias in convolutions that a norm follows.
        discriminator: "linear" (S4: one logit an image) or "patch" (Isola et al.).
        discriminator_channels: its width.
        discriminator_strides: of the patch discriminator's convolutions.
        discriminator_padding: of the patch discriminator's convolutions, pixels, or "same".
        gan_loss: "log" (S4 eq. 2, the generator's part in its non-saturating form), "lsgan" or "hinge".
        learning_rate: Adam's, of both optimisers.
        beta1: Adam's first momentum.
        beta2: Adam's second momentum.
        n_epochs: epochs at the full learning rate.
        n_epochs_decay: further epochs over which it falls linearly to zero.

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
    ) -> None:
        super().__init__()
        for name, value in (("lambda_mode_seeking", lambda_mode_seeking), ("lambda_l1", lambda_l1)):
            if value < 0:
                raise ValueError(f"{name} must be at least 0, got {value}")
        for name, value in (("learning_rate", learning_rate), ("n_epochs + n_epochs_decay", n_epochs + n_epochs_decay)):
            if value <= 0:
                raise ValueError(f"{name} must be positive, got {value}")
        _check_second(second, latent_channels, lambda_mode_seeking)
        _check_size(size, n_downsample)
        if structure:
            check_method(structure_method)
        if discriminator not in ("linear", "patch"):
            raise ValueError(f"discriminator must be linear or patch, got {discriminator!r}")
        check_gan_loss(gan_loss)
        # Plain numbers, whatever list a configuration gives: checkpoints hold nothing else.
        discriminator_strides = tuple(discriminator_strides)
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.generator = UNetGenerator(
            in_channels=1 + structure + latent_channels,
            base_channels=base_channels,
            n_downsample=n_downsample,
            kernel_size=kernel_size,
            dropout=dropout,
            n_dropout=n_dropout,
            first_dropout=first_dropout,
            norm=norm,
            bias_before_norm=bias_before_norm,
        )
        judged = 3 + (1 + structure if conditional else 0)
        self.discriminator: nn.Module = (
            LinearDiscriminator(judged, discriminator_channels, size, kernel_size, norm)
            if discriminator == "linear"
            else PatchDiscriminator(
                judged,
                discriminator_channels,
                discriminator_strides,
                kernel_size,
                discriminator_padding,
                norm,
                bias_before_norm,
            )
        )
        if isinstance(self.discriminator, PatchDiscriminator) and size < self.discriminator.min_side:
            raise ValueError(
                f"size must be at least {self.discriminator.min_side} with these discriminator_strides, got {size}"
            )
        self._thresholds: dict[str, float] = {}
        self.guard = CollapseGuard()

    @property
    def samples_per_image(self) -> int:
        """Samples that one painted and judged image of a batch takes."""
        return 2 if self.hparams["lambda_mode_seeking"] and self.hparams["second"] == "condition" else 1

    def use_thresholds(self, thresholds: Mapping[str, float]) -> None:
        """Give every training image's structure threshold, grey levels by sample_id; a crop takes its image's."""
        self._thresholds = dict(thresholds)

    def configure_optimizers(self) -> tuple[list[Adam], list[LambdaLR]]:
        """Adam for each network, constant and then linear."""
        hparams = self.hparams
        optimizers = [
            Adam(network.parameters(), hparams["learning_rate"], betas=(hparams["beta1"], hparams["beta2"]), fused=True)
            for network in (self.generator, self.discriminator)
        ]
        return optimizers, [LambdaLR(optimizer, self._learning_rate_factor) for optimizer in optimizers]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Step the generator, then the discriminator, from one forward pass of each.

        The generated images are cut from the generator's graph before the discriminator sees them, and the gradient is
        carried across the cut by hand: neither step touches the other's gradients.
        """
        optimizer_g, optimizer_d = cast(list[Any], self.optimizers())
        n_real = self._n_real(batch)
        real = batch["image"][:n_real] * 2 - 1
        condition, codes = self._inputs(batch)
        fake = self(condition, codes).float()

        seen = fake.detach().requires_grad_()
        # Both images of a pair of latent codes are judged (Mao et al.); of a pair of conditions the first.
        n_judged = len(fake) if self.hparams["second"] == "latent" else n_real
        on_real = self._judge(condition[:n_real], real)
        on_fake = self._judge(condition[:n_judged], seen[:n_judged])
        losses = {"g_gan": generator_loss(on_fake, self.hparams["gan_loss"])}
        losses["g_l1"] = F.l1_loss(seen[:n_real], real) * self.hparams["lambda_l1"]
        if len(fake) > n_real:
            differing = codes if self.hparams["second"] == "latent" else condition
            term = mode_seeking_loss(seen[:n_real], seen[n_real:], differing[:n_real], differing[n_real:])
            losses["g_mode_seeking"] = term * self.hparams["lambda_mode_seeking"]
        losses["d_real"], losses["d_fake"] = discriminator_losses(on_real, on_fake, self.hparams["gan_loss"])
        self.guard.check(losses, seen[:n_real], batch["sample_id"])

        generator_total = torch.stack([loss for name, loss in losses.items() if name.startswith("g_")]).sum()
        (gradient,) = torch.autograd.grad(generator_total, seen, retain_graph=True)
        optimizer_g.zero_grad()
        self.manual_backward(fake, gradient)
        optimizer_g.step()
        optimizer_d.zero_grad()
        self.manual_backward((losses["d_real"] + losses["d_fake"]) / 2, inputs=[*self.discriminator.parameters()])
        optimizer_d.step()
        logged = {f"train/{name}": value.detach() for name, value in losses.items()}
        if len(fake) > n_real:
            logged["train/distance"] = (seen[:n_real] - seen[n_real:]).detach().abs().mean()
        self.log_dict(logged, batch_size=n_real)

    def forward(self, condition: Tensor, codes: Tensor) -> Tensor:
        """Paint: condition (B, C, H, W) in [-1, 1] and latent codes (B, Z) to images (B, 3, H, W) in [-1, 1]."""
        return cast(Tensor, self.generator(with_codes(condition, codes)))

    def on_train_epoch_end(self) -> None:
        """Move both learning rates on, once per epoch."""
        for scheduler in cast(list[LambdaLR], self.lr_schedulers()):
            scheduler.step()

    def _n_real(self, batch: dict[str, Any]) -> int:
        """Images that are painted and judged."""
        n_samples = len(batch["image"])
        if n_samples % self.samples_per_image:
            raise ValueError(
                f"a batch of {n_samples} samples cannot be split into pairs; expected an even number where two conditions "
                "are compared"
            )
        return n_samples // self.samples_per_image

    def _inputs(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Conditions and latent codes; both halves of a pair, one behind the other."""
        thresholds = [self._threshold(name) for name in batch["sample_id"]] if self.hparams["structure"] else None
        condition = condition_channels(batch["label_map"], batch["image"], thresholds)
        latent, seeds = self.hparams["latent_channels"], batch["noise_seed"].tolist()
        codes = latent_codes(seeds, latent, condition)
        if self.hparams["second"] == "latent" and self.hparams["lambda_mode_seeking"]:
            # Beside the seed itself, which another image may have drawn: a stream of its own.
            other = latent_codes([seed ^ (1 << 62) for seed in seeds], latent, condition)
            return condition.repeat(2, 1, 1, 1), torch.cat((codes, other))
        return condition, codes

    def _threshold(self, sample_id: str) -> float:
        if sample_id not in self._thresholds:
            raise ValueError(f"no structure threshold for {sample_id}: call use_thresholds with every training sample")
        return self._thresholds[sample_id]

    def _judge(self, condition: Tensor, image: Tensor) -> list[list[Tensor]]:
        """Logits in the form that the GAN losses take: one scale, one layer."""
        x = torch.cat((condition, image), dim=1) if self.hparams["conditional"] else image
        return [[self.discriminator(x)]]

    def _learning_rate_factor(self, epoch: int) -> float:
        decay = int(self.hparams["n_epochs_decay"])
        return 1.0 - max(0, epoch - int(self.hparams["n_epochs"])) / decay if decay else 1.0


def _check_second(second: str, latent_channels: int, weight: float) -> None:
    if second not in ("condition", "latent"):
        raise ValueError(f"second must be condition or latent, got {second!r}")
    least = int(second == "latent" and weight > 0)
    if latent_channels < least:
        raise ValueError(f'latent_channels must be at least {least} with second="{second}", got {latent_channels}')


def _check_size(size: int, n_downsample: int) -> None:
    multiple = 2 ** max(n_downsample, 0)
    if size < 1 or size % multiple:
        raise ValueError(
            f"size must be a multiple of {multiple} pixels with n_downsample={n_downsample}, got {size}: take "
            f"{max(multiple, size - size % multiple)}, or fewer halvings"
        )
