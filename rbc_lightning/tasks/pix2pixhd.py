"""Training of pix2pixHD stage 1: generator, encoder and discriminator together (S3 4.2, 5.1)."""

from __future__ import annotations

from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rbc_lightning.nets.pix2pixhd import MultiscaleDiscriminator, init_conv_weights
from rbc_lightning.nets.style_networks import CONDITION_CHANNELS, PaintingSettings, StyleForm
from rbc_lightning.ops.gan_losses import (
    GanLoss,
    check_gan_loss,
    discriminator_losses,
    feature_matching_loss,
    generator_loss,
)
from rbc_lightning.ops.labels import instance_table, semantic_condition
from rbc_lightning.tasks.conditioning import generator_input, reflect_pad
from rbc_lightning.tasks.gan_guard import CollapseGuard


class Pix2PixHDTask(pl.LightningModule):
    """Train a label map -> image translator.

    A batch holds `image` float32 (B, 3, H, W) in [0, 1], `label_map` int64 (B, H, W), 0 = background, and `sample_id`
    (B strings). Logs `train/g_gan`, `train/g_feature` (times lambda), `train/d_real`, `train/d_fake`.

    Args:
        style: "modulated" or "concat" (the public form); see `PaintingSettings`, also for the next six.
        base_channels: generator width at full resolution.
        n_downsample: halvings in the generator.
        n_blocks: residual blocks at the lowest resolution.
        feature_channels: learned style channels per instance.
        encoder_channels: width of the encoder's first layer.
        encoder_downsample: halvings in the encoder.
        discriminator_channels: width of each discriminator's first layer.
        discriminator_layers: stride-2 layers of each discriminator.
        discriminator_scales: number of discriminators (S3: 2).
        gan_loss: "lsgan", "log" or "hinge".
        lambda_feature: weight of feature matching.
        learning_rate: Adam's, of both optimisers.
        beta1: Adam's first momentum.
        beta2: Adam's second momentum.
        n_epochs: epochs at the full learning rate.
        n_epochs_decay: further epochs over which it falls linearly to zero.
        ema_decay: decay per step of the running mean of generator and encoder that paints later; 0 = off.
    """

    def __init__(
        self,
        style: StyleForm = "modulated",
        base_channels: int = 16,
        n_downsample: int = 3,
        n_blocks: int = 6,
        feature_channels: int = 3,
        encoder_channels: int = 16,
        encoder_downsample: int = 3,
        discriminator_channels: int = 16,
        discriminator_layers: int = 3,
        discriminator_scales: int = 2,
        gan_loss: GanLoss = "lsgan",
        lambda_feature: float = 10.0,
        learning_rate: float = 2e-4,
        beta1: float = 0.5,
        beta2: float = 0.999,
        n_epochs: int = 60,
        n_epochs_decay: int = 60,
        ema_decay: float = 0.0,
    ) -> None:
        super().__init__()
        self.settings = PaintingSettings(
            style, base_channels, n_downsample, n_blocks, feature_channels, encoder_channels, encoder_downsample
        )
        self.gan_loss = check_gan_loss(gan_loss)
        _check_range("lambda_feature", lambda_feature, 0.0)
        _check_range("n_epochs + n_epochs_decay", n_epochs + n_epochs_decay, 1)
        _check_range("ema_decay", ema_decay, 0.0, 1.0)
        _check_range("beta1", beta1, 0.0, 1.0)
        _check_range("beta2", beta2, 0.0, 1.0)
        if learning_rate <= 0:
            raise ValueError(f"learning_rate must be positive, got {learning_rate}")
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.generator = init_conv_weights(self.settings.build_generator())
        self.encoder = init_conv_weights(self.settings.build_encoder())
        self.discriminator = init_conv_weights(
            MultiscaleDiscriminator(CONDITION_CHANNELS + 3, discriminator_channels, discriminator_layers, discriminator_scales)
        )
        self.average = _running_mean(self.generator, self.encoder, ema_decay) if ema_decay else None
        self.guard = CollapseGuard()

    def configure_optimizers(self) -> tuple[list[Adam], list[LambdaLR]]:
        """Adam for generator and encoder together, Adam for the discriminator, both constant and then linear."""
        hparams = self.hparams
        painters = [*self.generator.parameters(), *self.encoder.parameters()]
        optimizers = [
            Adam(parameters, hparams["learning_rate"], betas=(hparams["beta1"], hparams["beta2"]))
            for parameters in (painters, [*self.discriminator.parameters()])
        ]
        return optimizers, [LambdaLR(optimizer, self._learning_rate_factor) for optimizer in optimizers]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Step generator and encoder, then the discriminator, from one forward pass of each network.

        The generated image is cut from the generator's graph before the discriminator sees it, and the gradient is
        carried across the cut by hand. So neither step touches the other's gradients, and two discriminator passes
        do the work of the reference's three.
        """
        optimizer_g, optimizer_d = cast(list[Any], self.optimizers())
        label_map = reflect_pad(batch["label_map"], self.settings.multiple)
        image = reflect_pad(batch["image"], self.settings.multiple) * 2 - 1
        condition = semantic_condition(label_map)
        fake = self(condition, self.encoder(image, label_map)).float()

        seen = fake.detach().requires_grad_()
        on_real = self.discriminator(torch.cat((condition, image), dim=1))
        on_fake = self.discriminator(torch.cat((condition, seen), dim=1))
        gan = generator_loss(on_fake, self.gan_loss)
        feature = feature_matching_loss(on_real, on_fake) * self.hparams["lambda_feature"]
        d_real, d_fake = discriminator_losses(on_real, on_fake, self.gan_loss)
        losses = {"g_gan": gan, "g_feature": feature, "d_real": d_real, "d_fake": d_fake}
        self.guard.check(losses, seen, batch["sample_id"])

        (gradient,) = torch.autograd.grad(gan + feature, seen, retain_graph=True)
        optimizer_g.zero_grad()
        self.manual_backward(fake, gradient)
        optimizer_g.step()
        optimizer_d.zero_grad()
        self.manual_backward((d_real + d_fake) / 2)
        optimizer_d.step()
        if self.average is not None:
            self.average.update_parameters(_pair(self.generator, self.encoder))
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()}, batch_size=len(image))

    def forward(self, condition: Tensor, style: Tensor) -> Tensor:
        """Paint with fresh noise: condition (B, 3, H, W) and style (B, C, H, W) to an image in [-1, 1]."""
        noise = None
        if self.settings.noise_channels:
            shape = (len(condition), self.settings.noise_channels, *condition.shape[2:])
            noise = torch.randn(shape, device=condition.device)
        return cast(Tensor, self.generator(generator_input(condition, style, noise)))

    def on_train_epoch_end(self) -> None:
        """Move both learning rates on, once per epoch as in the reference."""
        for scheduler in cast(list[LambdaLR], self.lr_schedulers()):
            scheduler.step()

    def painting_networks(self) -> tuple[nn.Module, nn.Module]:
        """Return generator and encoder as they should be used: the running means where they are kept."""
        if self.average is None:
            return self.generator, self.encoder
        module = cast(nn.ModuleDict, self.average.module)
        return module["generator"], module["encoder"]

    @torch.inference_mode()
    def encode_instances(self, image: Tensor, label_map: Tensor) -> Tensor:
        """Style vector of every instance of one image.

        Args:
            image: float32 (3, H, W) in [0, 1].
            label_map: integer (H, W).

        Returns:
            float32 (N, C), N = largest id + 1; row 0 is the background, rows of absent ids are zero.
        """
        ids = reflect_pad(label_map[None], self.settings.multiple).to(self.device)
        padded = reflect_pad(image[None], self.settings.multiple).to(self.device) * 2 - 1
        _, encoder = self.painting_networks()
        return instance_table(encoder(padded, ids), ids)[0].cpu()

    def _learning_rate_factor(self, epoch: int) -> float:
        """Share of the full rate in this epoch, counted from 0 (the reference counts from 1)."""
        decay = int(self.hparams["n_epochs_decay"])
        return 1.0 - max(0, epoch - int(self.hparams["n_epochs"])) / decay if decay else 1.0


def _pair(generator: nn.Module, encoder: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict({"generator": generator, "encoder": encoder})


def _running_mean(generator: nn.Module, encoder: nn.Module, decay: float) -> AveragedModel:
    average = AveragedModel(_pair(generator, encoder), multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]  # torch
    average.requires_grad_(False)
    return average


def _check_range(name: str, value: float, low: float, high: float | None = None) -> None:
    if value < low or (high is not None and value >= high):
        expected = f"at least {low}" if high is None else f"in [{low}, {high})"
        raise ValueError(f"{name} must be {expected}, got {value}")
