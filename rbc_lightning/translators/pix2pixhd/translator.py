"""A trained pix2pixHD: label maps in, images out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rbc_lightning.core.files import replacing
from rbc_lightning.core.labels import paint_table, semantic_condition
from rbc_lightning.core.seeds import Seed, afresh, derive_seed
from rbc_lightning.data.conversions import from_unit
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.spec import RGB, Image, ImageSpec
from rbc_lightning.errors import InputError
from rbc_lightning.masks import SampledMask
from rbc_lightning.masks.bank.measure import check_label_map
from rbc_lightning.translators.base import LoadContext, Translator
from rbc_lightning.translators.conditioning import generator_input, reflect_pad, seeded_noise
from rbc_lightning.translators.pix2pixhd.backgrounds import BackgroundTextures
from rbc_lightning.translators.pix2pixhd.instance_styles import CELL, weights_hash
from rbc_lightning.translators.pix2pixhd.settings import NetSettings
from rbc_lightning.translators.pix2pixhd.styles import StyleBank
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask
from rbc_lightning.translators.receptive_field import bytes_per_pixel
from rbc_lightning.translators.tiling import paint_tiled, tile_for_memory
from rbc_lightning.translators.weights import load_exactly, read_content

WEIGHTS_FILE = "generator.pt"
STYLES_FILE = "styles.npz"
BACKGROUNDS_FILE = "backgrounds.npz"

TileSide = int | Literal["auto"] | None
"""Pixels; "auto" = one piece where memory allows, else the largest tiles that fit; None = one piece."""


class Pix2PixHDTranslator(Translator):
    """Generator, style bank and background textures.

    Args:
        settings: sizes of the networks.
        generator: trained, its input as `settings` says.
        encoder: the one the style bank was made with; kept so that new images can be encoded.
        style_bank: styles to draw from.
        backgrounds: textures laid over every image; None leaves it as the generator made it.
        spec: channels and value range of the images.
        order_seed: of the order in which the training images' stains take turns, see `paint_sampled`.

    Raises:
        ValueError: the bank comes from another encoder.
    """

    def __init__(
        self,
        settings: NetSettings,
        generator: nn.Module,
        encoder: nn.Module,
        style_bank: StyleBank,
        backgrounds: BackgroundTextures | None = None,
        spec: ImageSpec = RGB,
        order_seed: int = 0,
    ) -> None:
        if style_bank.encoder_hash != weights_hash(encoder):
            raise ValueError("the style bank was made with another encoder: gather the styles again")
        self.settings, self.spec, self.order_seed = settings, spec, order_seed
        self.generator, self.encoder = generator.eval(), encoder.eval()
        self.style_bank, self.backgrounds = style_bank, backgrounds

    @classmethod
    def from_task(
        cls, task: Pix2PixHDTask, style_bank: StyleBank, backgrounds: BackgroundTextures | None = None, spec: ImageSpec = RGB
    ) -> Pix2PixHDTranslator:
        """Take a trained task's networks, the running means where it keeps them."""
        return cls(task.settings, *task.painting_networks(), style_bank, backgrounds, spec)

    def save(self, directory: Path) -> None:
        """Write `generator.pt`, `styles.npz` and, if there are any, backgrounds into `directory`, each file atomically."""
        content = {
            "settings": asdict(self.settings),
            "spec": asdict(self.spec),
            "generator": self.generator.state_dict(),
            "encoder": self.encoder.state_dict(),
        }
        # The weights last: a directory with weights is whole.
        self.style_bank.save(directory / STYLES_FILE)
        if self.backgrounds is not None:
            self.backgrounds.save(directory / BACKGROUNDS_FILE)
        with replacing(directory / WEIGHTS_FILE) as file:
            torch.save(content, file)

    @classmethod
    def load(cls, directory: Path, context: LoadContext | None = None) -> Pix2PixHDTranslator:
        """Read what `save` wrote; without a context onto the CPU.

        Raises:
            InputError: no translator there, its tensors do not fit its settings, or its styles belong to another encoder; or it
                makes other images than the run's.
        """
        path, device = directory / WEIGHTS_FILE, context.device if context else "cpu"
        content = read_content(path, ("settings", "spec", "generator", "encoder"), device)
        try:
            settings, spec = NetSettings(**content["settings"]), ImageSpec(**content["spec"])
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{path} holds other settings ({error}): make the translator again with stage=translator"
            ) from error
        if context:
            context.refuse_other_images(directory, spec)
        generator, encoder = settings.build_generator().to(device), settings.build_encoder().to(device)
        load_exactly(generator, content["generator"], "generator", path)
        load_exactly(encoder, content["encoder"], "encoder", path)
        bank = StyleBank.load(directory / STYLES_FILE, weights_hash(encoder))
        textures = directory / BACKGROUNDS_FILE
        backgrounds = BackgroundTextures.load(textures) if textures.is_file() else None
        order_seed = derive_seed(context.seed, "synthetic") if context else 0
        return cls(settings, generator, encoder, bank, backgrounds, spec, order_seed)

    def paint(self, label_map: NDArray[np.integer], seed: Seed, style: str | None = None, tile: TileSide = "auto") -> Image:
        """See `Translator`; for styles `StyleBank.sample`, with None for "per_image", and for `tile` `paint_batch`."""
        ids = torch.from_numpy(check_label_map(label_map).astype(np.int64))[None]
        image = self.paint_batch(ids, [seed], style, tile)[0]
        return from_unit(image.permute(1, 2, 0).cpu().numpy(), self.spec)

    def paint_sampled(self, mask: SampledMask, seed: Seed, style: str, index: int) -> Image:
        """See `Translator`; with the style "per_image" the stains of the training images take turns."""
        if style == "per_image":
            style = self.style_bank.source_in_turn(index, self.order_seed)
        return self.paint(mask.label_map, seed, style)

    def sheets(self, samples: Sequence[Sample], directory: Path, seed: int) -> tuple[Path, ...]:
        """See `Translator`; and `styles.png` with the first label map in the style of every cluster (Bailo et al., Fig. 6)."""
        from rbc_lightning.report.figures.style_sheets import save_style_sheet

        sheets, path = super().sheets(samples, directory, seed), directory / "styles.png"
        first, clusters = samples[0].load_label_map(), range(len(self.style_bank.clusters_of(CELL)))
        save_style_sheet(path, first, {f"cluster:{k}": self.picture(first, seed, f"cluster:{k}") for k in clusters})
        return (*sheets, path)

    def pictures(self, sample: Sample, seed: int) -> dict[str, NDArray[np.uint8]]:
        """See `Translator`: one style for all cells, and one for each."""
        label_map = sample.load_label_map()
        return {style: self.picture(label_map, seed, style) for style in ("per_image", "per_cell")}

    @torch.inference_mode()
    def paint_batch(
        self, label_maps: Tensor, seeds: Sequence[Seed], style: str | None = None, tile: TileSide = "auto"
    ) -> Tensor:
        """See `Translator`; the images are on the translator's device when generated in one piece, else on the CPU.

        Args:
            label_maps: int64 (B, H, W).
            seeds: one per label map, of styles, noise and background.
            style: see `paint`.
            tile: side of the tiles that the generator is run on, pixels, without their margins. "auto" takes one
                piece where memory allows and in the largest tiles that fit otherwise; None takes one piece. The images
                are the same, see `paint_tiled`.
        """
        if len(seeds) != len(label_maps):
            raise ValueError(f"expected one seed per label map, got {len(seeds)} for {len(label_maps)}")
        height, width = label_maps.shape[-2:]
        ids = reflect_pad(label_maps, self.settings.multiple)
        if min(ids.shape[-2:]) == self.settings.multiple:
            # The deepest level would be one pixel wide, which instance norm cannot take.
            ids = reflect_pad(label_maps, 2 * self.settings.multiple)
        side = self._tile_side(tile, ids)
        # What spans the whole image lives where the whole image is generated, else in the larger memory.
        ids = ids.to(next(self.generator.parameters()).device if side is None else "cpu")
        styles, noises, grounds = zip(*(afresh(seed).spawn(3) for seed in seeds), strict=True)
        # Drawn for the whole images, so that a seed means the same image for every tile.
        drawn = paint_table(self._style_table(ids, styles, style or "per_image"), ids)
        x = generator_input(semantic_condition(ids), drawn, seeded_noise(noises, self.settings.noise_channels, ids))
        image = self.generator(x) if side is None else paint_tiled(self.generator, x, side, self.settings.multiple)
        image = ((image.float() + 1) / 2)[..., :height, :width]
        return self._add_backgrounds(image, ids[..., :height, :width] == 0, grounds).clamp(0, 1)

    @cached_property
    def _memory(self) -> float:
        """Bytes that the generator takes per pixel."""
        return bytes_per_pixel(self.generator, self.settings.in_channels, self.settings.multiple)

    def _tile_side(self, tile: TileSide, ids: Tensor) -> int | None:
        if tile is None:
            return None
        if tile == "auto":
            n_images, height, width = ids.shape
            shape = (n_images, self.settings.in_channels, height, width)
            return tile_for_memory(self.generator, self._memory, shape, self.settings.multiple)
        if not isinstance(tile, int) or tile < 1:
            raise ValueError(f'tile must be a number of pixels, "auto" or None, got {tile!r}')
        return tile

    def _add_backgrounds(self, image: Tensor, ground: Tensor, seeds: Sequence[np.random.SeedSequence]) -> Tensor:
        """Lay the texture of a training image with a similar background over each image (B, C, H, W)."""
        if self.backgrounds is None:
            return image
        added = []
        for one, pixels, seed in zip(image, ground, seeds, strict=True):
            # Without a pixel of background the whole image stands for it.
            background = one[:, pixels if pixels.any() else torch.ones_like(pixels)].mean(dim=1)
            added.append(self.backgrounds.render(background.double().cpu().numpy(), pixels.cpu().numpy(), seed))
        return image + torch.from_numpy(np.stack(added)).to(image)

    def _style_table(self, ids: Tensor, seeds: Sequence[Seed], mode: str) -> Tensor:
        """Draw styles (B, N, C): as many per image as it has ids, so that an image depends on its own seed only."""
        counts = (ids.flatten(1).amax(dim=1) + 1).tolist()
        table = np.zeros((len(ids), max(counts), self.settings.style_channels), dtype=np.float32)
        for row, count, seed in zip(table, counts, seeds, strict=True):
            row[:count] = self.style_bank.sample(count, seed, mode)
        return torch.from_numpy(table).to(ids.device)
