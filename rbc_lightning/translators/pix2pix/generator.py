"""A Pix2Pix generator in training and in use: its settings, its input, and images of any size by overlapping tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from rbc_lightning.core.tiles import tile_windows
from rbc_lightning.data.spec import RGB, ImageSpec
from rbc_lightning.translators.conditioning import extend, seeded_noise
from rbc_lightning.translators.pix2pix.nets import UNetGenerator
from rbc_lightning.translators.pix2pix.structures.maps import structure_channels

# Tiles that are generated at once.
_BATCH = 4


@dataclass(frozen=True)
class StructureSettings:
    """What a trained generator needs to be built and used again: arguments of `ModeSeekingPix2PixTask`.

    Args:
        alike: class -> class as which the generator is told it, see `ModeSeekingPix2PixTask`.
        noise: keep dropout at work in use, as Isola et al. do: two images of one condition differ in nothing else.
    """

    size: int
    structure: bool
    structure_method: str | float
    latent_channels: int
    base_channels: int
    n_downsample: int
    kernel_size: int
    dropout: float
    n_dropout: int | None
    first_dropout: int
    norm: Any
    bias_before_norm: bool
    image: Mapping[str, Any] = field(default_factory=dict)
    alike: Mapping[str, str] = field(default_factory=dict)
    noise: bool = True

    @property
    def spec(self) -> ImageSpec:
        """What the numbers of its images mean."""
        return ImageSpec(**self.image)

    @classmethod
    def of(cls, hparams: Mapping[str, Any]) -> StructureSettings:
        """Those among the arguments of a task."""
        return cls(**{entry.name: hparams[entry.name] for entry in fields(cls) if entry.name in hparams})

    def build_generator(self) -> UNetGenerator:
        """A generator of these sizes, with fresh weights."""
        sizes = ("base_channels", "n_downsample", "kernel_size", "dropout", "n_dropout", "first_dropout")
        return UNetGenerator(
            in_channels=mask_channels(self.spec) + self.structure + self.latent_channels,
            out_channels=self.spec.n_channels,
            **{name: getattr(self, name) for name in (*sizes, "norm", "bias_before_norm")},
        )


def mask_channels(spec: ImageSpec) -> int:
    """Planes of the mask in the condition: one of cells, three of the colours of classes, more of more than 7 classes."""
    return 1 if spec.labels == "instances" else max(3, len(spec.classes).bit_length())


def mask_planes(label_map: Tensor, spec: ImageSpec, alike: Mapping[str, str] | None = None) -> Tensor:
    """The mask of label maps (B, H, W) as planes of -1 and 1, float32 (B, `mask_channels`, H, W).

    Cells are one plane. Class c has the corner of the colour cube that the bits of c name, red the lowest, as Novoselov and
    Smirnov 2024 give their generator masks in colours: 1 red, 2 green, 3 yellow, 4 blue; background is black. Of more
    classes than the cube has corners the next bits have planes of their own. A class of `alike` has the colour of another.

    Raises:
        ValueError: a value that no class has.
    """
    if spec.labels == "instances":
        return (label_map > 0).float()[:, None] * 2 - 1
    if (largest := int(label_map.max())) > len(spec.classes):
        raise ValueError(f"a label map holds the value {largest}; expected 0 to {len(spec.classes)}: {', '.join(spec.classes)}")
    if alike:
        values = [0, *(spec.classes.index(alike.get(name, name)) + 1 for name in spec.classes)]
        label_map = torch.tensor(values, device=label_map.device)[label_map.long()]
    planes = torch.arange(mask_channels(spec), device=label_map.device)
    bits = label_map[:, None] >> planes[:, None, None] & 1
    return bits.float() * 2 - 1


def condition_channels(
    label_map: Tensor,
    image: Tensor | None,
    thresholds: Sequence[float] | None,
    spec: ImageSpec = RGB,
    alike: Mapping[str, str] | None = None,
) -> Tensor:
    """Planes of the condition, float32 (B, C, H, W) of -1 and 1: those of the mask, and the structure map of the image.

    Args:
        label_map: integer (B, H, W), 0 = background.
        image: float32 (B, C, H, W) in [0, 1]; only read for structure maps.
        thresholds: one grey level per image; None leaves structure maps out.
        spec: what the images' numbers mean.
        alike: see `mask_planes`.
    """
    mask = mask_planes(label_map, spec, alike)
    if thresholds is None or image is None:
        return mask
    return torch.cat((mask, structure_channels(image, thresholds, spec)), dim=1)


def latent_codes(seeds: Sequence[int], channels: int, like: Tensor) -> Tensor:
    """Standard normal codes (B, channels), one seed each; NumPy draws the same ones on every device."""
    draws = seeded_noise(seeds, channels, torch.empty(len(seeds), 1, 1))
    return like.new_zeros(len(seeds), 0) if draws is None else draws[:, :, 0, 0].to(like)


def with_codes(condition: Tensor, codes: Tensor) -> Tensor:
    """Condition (B, C, H, W) with every code (B, Z) as Z constant planes behind it."""
    planes = codes[:, :, None, None].expand(-1, -1, *condition.shape[-2:])
    return torch.cat((condition, planes), dim=1)


def blend_tiles(generate: Callable[[Tensor], Tensor], x: Tensor, size: int, out_channels: int) -> Tensor:
    """Evaluate a generator on (1, C, H, W) tile by tile: float32 (1, out_channels, H, W).

    `generate` takes (B, C, size, size) and returns (B, out_channels, size, size). What is smaller than one tile is mirrored
    beyond its lower and right edge.
    """
    height, width = x.shape[-2:]
    rows, columns = max(height, size), max(width, size)
    x = extend(x, rows, columns)
    total, weight = x.new_zeros(1, out_channels, rows, columns), x.new_zeros(1, 1, rows, columns)
    # Weights that fall towards a tile's edges, where it knows least of what is beside it; never 0.
    ramp = torch.minimum(torch.arange(1, size + 1), torch.arange(size, 0, -1)).float().to(x.device)
    window = ramp[:, None] * ramp
    windows = tile_windows(rows, columns, size, size - size // 2)
    for first in range(0, len(windows), _BATCH):
        tiles = windows[first : first + _BATCH]
        images = generate(torch.cat([x[..., tile.rows, tile.columns] for tile in tiles])).float()
        for tile, image in zip(tiles, images, strict=True):
            total[..., tile.rows, tile.columns].add_(image * window)
            weight[..., tile.rows, tile.columns].add_(window)
    return (total / weight)[..., :height, :width]
