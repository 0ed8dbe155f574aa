"""Training of pix2pixHD (Wang et al. 2018; Bailo et al. 2019, Sec. 4.2, 5.1).

Stage 1 trains generator, encoder and discriminator, stage 2 the enhancer around that generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from rbc_lightning.core.labels import paint_table, semantic_condition
from rbc_lightning.translators.adversarial import AdversarialTask, Generated, averaged
from rbc_lightning.translators.conditioning import generator_input, reflect_pad, seeded_noise, shrink_pair
from rbc_lightning.translators.losses import GanLoss
from rbc_lightning.translators.pix2pixhd.adversary import Adversary, MultiscaleDiscriminator
from rbc_lightning.translators.pix2pixhd.layers import check_range
from rbc_lightning.translators.pix2pixhd.settings import CONDITION_CHANNELS, NetSettings, StyleForm, checkpoint_blocks
from rbc_lightning.translators.weights import init_conv_weights, load_reference_weights


class Pix2PixHDTask(AdversarialTask):
    """Train a label map -> image translator.

    A batch holds `image` float32 (B, C, H, W) in [0, 1], `label_map` int64 (B, H, W), 0 = background, `sample_id`
    (B strings), `noise_seed` int64 (B,). Logs `train/g_gan`, `train/g_feature` (times lambda), `train/d_real`,
    `train/d_fake`, with the perceptual term `train/g_perceptual`.

    Stage 1 trains generator and encoder together. Stage 2 trains the enhancer around that generator on the styles which
    the encoder of stage 1 gave to every training cell; call `start_from` and `use_styles` first.

    Args:
        style, stage, base_channels, n_downsample, n_blocks, n_blocks_local, feature_channels, encoder_channels,
            encoder_downsample, image_channels: see `NetSettings`.
        shrink: images are made smaller by this factor first, in stage 1 of 2 (Bailo et al.: 1.875, 1920x1200 to 1024x640).
        discriminator_channels: width of each discriminator's first layer.
        discriminator_layers: stride-2 layers of each discriminator.
        discriminator_scales: number of discriminators (Bailo et al.: 2; the public stage 2: 3).
        gan_loss: "lsgan", "log" or "hinge".
        lambda_feature: weight of feature matching.
        perceptual: VGG19 weights of the perceptual term: None = term off, "imagenet", or a local file; needs 3 image channels.
        lambda_perceptual: its weight.
        pool_size: earlier generated images that the discriminator is shown again; 0 = off.
        diff_augment: differentiable augmentation of what the discriminator sees, "color,translation,cutout"; empty = off.
        learning_rate, beta1, beta2, n_epochs, n_epochs_decay: see `AdversarialTask`.
        n_epochs_fix_global: first epochs of stage 2 in which the generator of stage 1 stays as it is.
        ema_decay: decay per step of the running mean of generator and encoder, which is what is used later; 0 = off.
        channels_last: keep images in the memory order that tensor cores want.
        compile: compile the generator; costs about a minute at the start.
        checkpoint_activations: recompute the generator's activations in the backward pass instead of keeping them.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self,
        style: StyleForm = "modulated",
        stage: int = 1,
        base_channels: int = 16,
        n_downsample: int = 3,
        n_blocks: int = 6,
        n_blocks_local: int = 3,
        feature_channels: int = 3,
        encoder_channels: int = 16,
        encoder_downsample: int = 3,
        shrink: float = 1.0,
        discriminator_channels: int = 16,
        discriminator_layers: int = 3,
        discriminator_scales: int = 2,
        gan_loss: GanLoss = "lsgan",
        lambda_feature: float = 10.0,
        perceptual: str | None = None,
        lambda_perceptual: float = 10.0,
        pool_size: int = 0,
        diff_augment: str = "",
        learning_rate: float = 2e-4,
        beta1: float = 0.5,
        beta2: float = 0.999,
        n_epochs: int = 60,
        n_epochs_decay: int = 60,
        n_epochs_fix_global: int = 0,
        ema_decay: float = 0.0,
        channels_last: bool = False,
        compile: bool = False,
        checkpoint_activations: bool = False,
        image_channels: int = 3,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.settings = NetSettings(**{field.name: self.hparams[field.name] for field in fields(NetSettings)})
        self.check_schedule()
        check_range(
            0, lambda_feature=lambda_feature, lambda_perceptual=lambda_perceptual, n_epochs_fix_global=n_epochs_fix_global
        )
        check_range(0.0, 1.0, ema_decay=ema_decay)
        check_range(1.0, shrink=shrink)
        if stage == 2 and shrink != 1:
            raise ValueError(f"shrink must be 1 in stage 2, which works at full size; got {shrink}")
        self.generator = init_conv_weights(self.settings.build_generator())
        self.encoder = init_conv_weights(self.settings.build_encoder())
        discriminator = MultiscaleDiscriminator(
            CONDITION_CHANNELS + image_channels, discriminator_channels, discriminator_layers, discriminator_scales
        )
        init_conv_weights(discriminator)
        self.adversary = Adversary(
            discriminator, gan_loss, lambda_feature, perceptual, lambda_perceptual, pool_size, diff_augment, image_channels
        )
        if stage == 2:
            self.encoder.requires_grad_(False)
        self.average: AveragedModel | None = None
        if ema_decay:
            self.average = averaged(_pair(self.generator, self.encoder), ema_decay)
        if checkpoint_activations:
            checkpoint_blocks(self.generator)
        if channels_last:
            self.generator.to(memory_format=torch.channels_last)
            discriminator.to(memory_format=torch.channels_last)
        # Outside the module tree, else the compiled copy would enter checkpoints under other names.
        self._paint = [torch.compile(self.generator) if compile else self.generator]
        self._styles: dict[str, Tensor] = {}

    def start_from(self, first: Pix2PixHDTask) -> list[str]:
        """Take over what a finished stage 1 learned: the encoder, the trunk of the generator, the discriminators.

        A further discriminator starts fresh at the new full resolution, as in the reference. Returns the names of the
        generator's tensors that were filled.
        """
        if (first.settings.stage, self.settings.stage) != (1, 2):
            raise ValueError(f"stage 2 starts from stage 1, got {self.settings.stage} from {first.settings.stage}")
        generator, encoder = first.painting_networks()
        load_reference_weights(self.encoder, encoder.state_dict())
        filled = load_reference_weights(self.generator, generator.state_dict(), partial=True)
        load_reference_weights(self.adversary.discriminator, first.adversary.discriminator.state_dict(), partial=True)
        if self.average is not None:
            self.average.module.load_state_dict(_pair(self.generator, self.encoder).state_dict())
        return filled

    def use_styles(self, tables: Mapping[str, NDArray[np.float32]]) -> None:
        """Give stage 2 its styles: by sample_id a table (N, S) with one row per id of the label map."""
        self._styles = {name: torch.from_numpy(table) for name, table in tables.items()}

    def trained_parameters(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Generator and encoder together, and the discriminator.

        One optimiser for the whole of stage 2: parameters without a gradient are passed over, so the trunk joins when it is
        released and the enhancer keeps its moments.
        """
        generating = [*self.generator.parameters()]
        if self.settings.stage == 1:
            generating += self.encoder.parameters()
        return generating, [*self.adversary.discriminator.parameters()]

    def generate(self, batch: dict[str, Any]) -> Generated:
        """Images in the styles that the encoder finds in the real ones, or in stage 2 in the stored styles."""
        image, label_map = shrink_pair(batch["image"], batch["label_map"], self.hparams["shrink"])
        label_map = reflect_pad(label_map, self.settings.multiple)
        image = reflect_pad(image, self.settings.multiple) * 2 - 1
        condition = semantic_condition(label_map)
        style = self._stored_style(batch, label_map) if self.settings.stage == 2 else self.encoder(image, label_map)
        return Generated(self(condition, style, batch["noise_seed"]), len(image), (condition, image))

    def losses(self, batch: dict[str, Any], generated: Generated, seen: Tensor) -> dict[str, Tensor]:
        """See `Adversary.forward`."""
        condition, image = generated.given
        losses: dict[str, Tensor] = self.adversary(condition, image, seen, batch["noise_seed"].tolist())
        return losses

    def after_steps(self) -> None:
        """Move the running means."""
        if self.average is not None:
            self.average.update_parameters(_pair(self.generator, self.encoder))

    def forward(self, condition: Tensor, style: Tensor, noise_seeds: Tensor) -> Tensor:
        """Condition (B, 3, H, W), style (B, S, H, W) and one seed per image (B,) to images (B, C, H, W) in [-1, 1]."""
        noise = seeded_noise(noise_seeds.tolist(), self.settings.noise_channels, condition)
        x = generator_input(condition, style, noise)
        if self.hparams["channels_last"]:
            x = x.to(memory_format=torch.channels_last)
        (paint,) = self._paint
        if self.settings.stage == 1:
            return cast(Tensor, paint(x))
        return cast(Tensor, paint(x, train_trunk=self.current_epoch >= self.hparams["n_epochs_fix_global"]))

    def painting_networks(self) -> tuple[nn.Module, nn.Module]:
        """Return generator and encoder as they should be used: the running means where they are kept."""
        if self.average is None:
            return self.generator, self.encoder
        module = cast(nn.ModuleDict, self.average.module)
        return module["generator"], module["encoder"]

    def _stored_style(self, batch: dict[str, Any], label_map: Tensor) -> Tensor:
        """Each image's stored table (N, S) laid over its label map (B, H, W)."""
        missing = [name for name in batch["sample_id"] if name not in self._styles]
        if missing:
            raise ValueError(f"no stored styles for {', '.join(missing)}: call use_styles with every training sample")
        rows = [self._styles[name] for name in batch["sample_id"]]
        table = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(label_map.device)
        return paint_table(table, label_map)


def _pair(generator: nn.Module, encoder: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict({"generator": generator, "encoder": encoder})
