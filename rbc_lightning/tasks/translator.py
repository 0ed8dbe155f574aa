"""A trained translator: label maps in, images out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rbc_lightning.errors import InputError
from rbc_lightning.nets.receptive_field import bytes_per_pixel
from rbc_lightning.nets.style_networks import CONDITION_CHANNELS, PaintingSettings
from rbc_lightning.ops.labels import paint_table, semantic_condition
from rbc_lightning.tasks.conditioning import generator_input, reflect_pad, seeded_noise
from rbc_lightning.tasks.files import replacing
from rbc_lightning.tasks.instance_styles import weights_hash
from rbc_lightning.tasks.pix2pixhd import Pix2PixHDTask
from rbc_lightning.tasks.styles import Seed, StyleBank
from rbc_lightning.tasks.surfaces import SurfaceBank
from rbc_lightning.tasks.tiling import paint_tiled, tile_for_memory
from rbc_lightning.tasks.weights import load_exactly, read_content

WEIGHTS_FILE = "generator.pt"
STYLES_FILE = "styles.npz"
SURFACES_FILE = "surfaces.npz"

TileSide = int | Literal["auto"] | None
"""Pixels; "auto" = one piece where memory allows, else the largest tiles that fit; None = one piece."""


class Translator:
    """Generator and style bank, ready to paint.

    Args:
        settings: sizes of the networks.
        generator: trained, its input as `settings` says.
        encoder: the one the style bank was made with; kept so that new images can be encoded.
        style_bank: styles to draw from.
        style_mode: default of `paint`; see `StyleBank.sample`.
        surfaces: grain and illumination laid over every image; None leaves it as the generator made it.

    Raises:
        ValueError: the bank comes from another encoder.
    """

    def __init__(
        self,
        settings: PaintingSettings,
        generator: nn.Module,
        encoder: nn.Module,
        style_bank: StyleBank,
        style_mode: str = "per_image",
        surfaces: SurfaceBank | None = None,
    ) -> None:
        if style_bank.encoder_hash != weights_hash(encoder):
            raise ValueError("the style bank was made with another encoder: gather the styles again")
        self.settings = settings
        self.generator = generator.eval()
        self.encoder = encoder.eval()
        self.style_bank = style_bank
        self.style_mode = style_mode
        self.surfaces = surfaces

    @classmethod
    def from_task(
        cls,
        task: Pix2PixHDTask,
        style_bank: StyleBank,
        style_mode: str = "per_image",
        surfaces: SurfaceBank | None = None,
    ) -> Translator:
        """Take a trained task's networks, the running means where it keeps them."""
        generator, encoder = task.painting_networks()
        return cls(task.settings, generator, encoder, style_bank, style_mode, surfaces)

    def save(self, directory: str | Path) -> None:
        """Write `generator.pt`, `styles.npz` and, if there are any, `surfaces.npz` into `directory`, each atomically."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "settings": asdict(self.settings),
            "style_mode": self.style_mode,
            "generator": self.generator.state_dict(),
            "encoder": self.encoder.state_dict(),
        }
        # The weights last: a directory with weights is whole.
        self.style_bank.save(folder / STYLES_FILE)
        if self.surfaces is not None:
            self.surfaces.save(folder / SURFACES_FILE)
        with replacing(folder / WEIGHTS_FILE) as file:
            torch.save(content, file)

    @classmethod
    def load(cls, directory: str | Path, device: str | torch.device = "cpu") -> Translator:
        """Read what `save` wrote.

        Raises:
            InputError: no translator there, its tensors do not fit its settings, or its styles belong to another encoder.
        """
        folder = Path(directory)
        for name in (WEIGHTS_FILE, STYLES_FILE):
            if not (folder / name).is_file():
                raise InputError(f"{folder} holds no {name}: train a translator first with stage=translator")
        path = folder / WEIGHTS_FILE
        content = read_content(path, ("settings", "style_mode", "generator", "encoder"), device)
        try:
            settings = PaintingSettings(**content["settings"])
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{path} holds other settings ({error}): make the translator again with stage=translator"
            ) from error
        generator, encoder = settings.build_generator().to(device), settings.build_encoder().to(device)
        load_exactly(generator, content["generator"], "generator", path)
        load_exactly(encoder, content["encoder"], "encoder", path)
        bank = StyleBank.load(folder / STYLES_FILE, weights_hash(encoder))
        surfaces = SurfaceBank.load(folder / SURFACES_FILE) if (folder / SURFACES_FILE).is_file() else None
        return cls(settings, generator, encoder, bank, content["style_mode"], surfaces)

    def paint(
        self, label_map: NDArray[np.integer], seed: Seed, style_mode: str | None = None, tile: TileSide = "auto"
    ) -> NDArray[np.uint8]:
        """Paint one label map.

        Args:
            label_map: integer (H, W), 0 = background; any size.
            seed: of styles and noise; the same one gives the same image.
            style_mode: overrides the default; see `StyleBank.sample`.
            tile: see `paint_batch`.

        Returns:
            uint8 (H, W, 3), RGB.

        Raises:
            TypeError, ValueError: not an integer array (H, W).
        """
        array = np.asarray(label_map)
        if array.dtype.kind not in "iu":
            raise TypeError(f"expected an integer label map, got dtype {array.dtype}")
        if array.ndim != 2 or array.size == 0:
            raise ValueError(f"expected a label map (H, W), got shape {array.shape}")
        if array.min() < 0:
            raise InputError(f"the label map holds id {array.min()}; expected 0 = background and 1..n = cells")
        image = self.paint_batch(torch.from_numpy(array.astype(np.int64))[None], [seed], style_mode, tile)[0]
        return (image.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()

    @torch.inference_mode()
    def paint_batch(
        self, label_maps: Tensor, seeds: Sequence[Seed], style_mode: str | None = None, tile: TileSide = "auto"
    ) -> Tensor:
        """Paint several label maps of one size.

        Args:
            label_maps: int64 (B, H, W).
            seeds: one per label map.
            style_mode: overrides the default.
            tile: side of the tiles that the generator is run on, pixels, without their margins. "auto" paints in one
                piece where memory allows and in the largest tiles that fit otherwise; None paints in one piece. The images
                are the same, see `paint_tiled`.

        Returns:
            float32 (B, 3, H, W) in [0, 1]; on the translator's device when painted in one piece, else on the CPU.

        Raises:
            ValueError: not as many seeds as label maps, or `tile` none of these.
        """
        if len(seeds) != len(label_maps):
            raise ValueError(f"expected one seed per label map, got {len(seeds)} for {len(label_maps)}")
        height, width = label_maps.shape[-2:]
        ids = reflect_pad(label_maps, self.settings.multiple)
        if min(ids.shape[-2:]) == self.settings.multiple:
            # The deepest level would be one pixel wide, which instance norm cannot take.
            ids = reflect_pad(label_maps, 2 * self.settings.multiple)
        side = self._tile_side(tile, ids)
        # What spans the whole image lives where the whole image is painted, else in the larger memory.
        ids = ids.to(self._device if side is None else "cpu")
        styles, noises, surfaces = zip(*(_as_sequence(seed).spawn(3) for seed in seeds), strict=True)
        image = self._generate(self._input(ids, styles, noises, style_mode), side)
        image = ((image.float() + 1) / 2)[..., :height, :width]
        return self._add_surface(image, ids[..., :height, :width] == 0, surfaces).clamp(0, 1)

    @property
    def _device(self) -> torch.device:
        return next(self.generator.parameters()).device

    @cached_property
    def _memory(self) -> float:
        """Bytes that the generator takes per pixel."""
        return bytes_per_pixel(self.generator, self._in_channels, self.settings.multiple)

    @property
    def _in_channels(self) -> int:
        return CONDITION_CHANNELS + self.settings.style_channels + self.settings.noise_channels

    def _tile_side(self, tile: TileSide, ids: Tensor) -> int | None:
        if tile is None:
            return None
        if tile == "auto":
            n_images, height, width = ids.shape
            shape = (n_images, self._in_channels, height, width)
            return tile_for_memory(self.generator, self._memory, shape, self.settings.multiple)
        if not isinstance(tile, int) or tile < 1:
            raise ValueError(f'tile must be a number of pixels, "auto" or None, got {tile!r}')
        return tile

    def _input(self, ids: Tensor, styles: Sequence[Seed], noises: Sequence[Seed], style_mode: str | None) -> Tensor:
        """Draw for the whole images, so that a seed means the same image for every tile."""
        style = paint_table(self._style_table(ids, styles, style_mode), ids)
        noise = seeded_noise(noises, self.settings.noise_channels, ids)
        return generator_input(semantic_condition(ids), style, noise)

    def _generate(self, x: Tensor, side: int | None) -> Tensor:
        if side is None:
            return cast(Tensor, self.generator(x))
        return paint_tiled(self.generator, x, side, self.settings.multiple)

    def _add_surface(self, image: Tensor, ground: Tensor, seeds: Sequence[np.random.SeedSequence]) -> Tensor:
        """Lay light, dirt and grain of a training image with a similar background over each image (B, 3, H, W)."""
        if self.surfaces is None:
            return image
        added = []
        for painted, pixels, seed in zip(image, ground, seeds, strict=True):
            # Without a pixel of background the whole image stands for it.
            background = painted[:, pixels if pixels.any() else torch.ones_like(pixels)].mean(dim=1)
            added.append(self.surfaces.render(background.double().cpu().numpy(), pixels.cpu().numpy(), seed))
        return image + torch.from_numpy(np.stack(added)).to(image)

    def _style_table(self, ids: Tensor, seeds: Sequence[Seed], mode: str | None) -> Tensor:
        """Draw styles (B, N, C): as many per image as it has ids, so that an image depends on its own seed only."""
        counts = (ids.flatten(1).amax(dim=1) + 1).tolist()
        table = np.zeros((len(ids), max(counts), self.settings.style_channels), dtype=np.float32)
        for row, count, seed in zip(table, counts, seeds, strict=True):
            row[:count] = self.style_bank.sample(count, seed, mode or self.style_mode)
        return torch.from_numpy(table).to(ids.device)


def _as_sequence(seed: Seed) -> np.random.SeedSequence:
    """Start afresh from a seed: spawning from the caller's own object would change what its next spawn returns."""
    if isinstance(seed, np.random.SeedSequence):
        return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
    return np.random.SeedSequence(seed)
