"""A trained Pix2Pix: label maps and structure maps in, images of any size out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rbc_lightning.errors import InputError
from rbc_lightning.nets.pix2pix_unet import UNetGenerator
from rbc_lightning.tasks.conditioning import mirrored_index
from rbc_lightning.tasks.files import replacing
from rbc_lightning.tasks.mode_seeking_pix2pix import ModeSeekingPix2PixTask
from rbc_lightning.tasks.structure_condition import latent_codes, with_codes
from rbc_lightning.tasks.weights import load_exactly, read_content

WEIGHTS_FILE = "structure_generator.pt"

Seed = int | np.random.SeedSequence
# Tiles that are painted at once.
_BATCH = 4


@dataclass(frozen=True)
class StructureSettings:
    """What a trained generator needs to be built and used again; see `ModeSeekingPix2PixTask`.

    Attributes:
        noise: keep dropout at work while painting, as Isola et al. do: the only thing that tells two images of one
            condition apart.
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
    noise: bool = True

    def build_generator(self) -> UNetGenerator:
        """A generator of these sizes, with fresh weights."""
        generator = UNetGenerator(
            in_channels=1 + self.structure + self.latent_channels,
            base_channels=self.base_channels,
            n_downsample=self.n_downsample,
            kernel_size=self.kernel_size,
            dropout=self.dropout,
            n_dropout=self.n_dropout,
            first_dropout=self.first_dropout,
            norm=self.norm,
            bias_before_norm=self.bias_before_norm,
        )
        generator.keep_dropout = self.noise
        return generator


class StructureTranslator:
    """A generator that paints a mask and its structure map.

    It was trained on crops of `settings.size`, and its lowest level has one pixel there: larger images are painted in
    tiles of that very side, which overlap by half and are blended, smaller ones are mirrored beyond their edge.

    Args:
        settings: of the generator.
        generator: trained.
    """

    def __init__(self, settings: StructureSettings, generator: nn.Module) -> None:
        self.settings = settings
        self.generator = generator.eval()

    @classmethod
    def from_task(cls, task: ModeSeekingPix2PixTask, noise: bool = True) -> StructureTranslator:
        """Take over a trained task's generator."""
        names = {field.name for field in fields(StructureSettings)} - {"noise"}
        settings = StructureSettings(**{name: task.hparams[name] for name in names}, noise=noise)
        generator = settings.build_generator().to(task.device)
        generator.load_state_dict(task.generator.state_dict())
        return cls(settings, generator)

    def save(self, directory: str | Path) -> None:
        """Write the generator into `directory`, atomically."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        content = {"settings": asdict(self.settings), "generator": self.generator.state_dict()}
        with replacing(folder / WEIGHTS_FILE) as file:
            torch.save(content, file)

    @classmethod
    def load(cls, directory: str | Path, device: str | torch.device = "cpu") -> StructureTranslator:
        """Read what `save` wrote.

        Raises:
            InputError: no such file, or its tensors do not fit its settings.
        """
        path = Path(directory) / WEIGHTS_FILE
        content = read_content(path, ("settings", "generator"), device)
        try:
            settings = StructureSettings(**content["settings"])
            generator = settings.build_generator().to(device)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{path} holds other settings ({error}): make the translator again with stage=translator"
            ) from error
        load_exactly(generator, content["generator"], "generator", path)
        return cls(settings, generator)

    @torch.inference_mode()
    def paint(self, label_map: NDArray[np.integer], structure: NDArray[np.integer] | None, seed: Seed) -> NDArray[np.uint8]:
        """Paint one label map.

        Args:
            label_map: integer (H, W), 0 = background; any size.
            structure: (H, W), 0 or 1, dark = 1; None for a generator without structure maps.
            seed: of latent codes and dropout; the same one gives the same image.

        Returns:
            uint8 (H, W, 3), RGB.

        Raises:
            TypeError: the label map is not of an integer type.
            ValueError: it is not (H, W), or the structure map is of another size, or missing where one is needed.
            InputError: the label map holds a negative id.
        """
        condition = self._condition(label_map, structure)
        height, width = condition.shape[-2:]
        sequence = _as_sequence(seed)
        codes = latent_codes([int(sequence.generate_state(1)[0])], self.settings.latent_channels, condition)
        padded = _at_least(condition, self.settings.size)
        total = torch.zeros(1, 3, *padded.shape[-2:], device=condition.device)
        weight = torch.zeros(1, 1, *padded.shape[-2:], device=condition.device)
        window = _window(self.settings.size, condition.device)
        with _seeded(condition.device, sequence.spawn(1)[0]):
            for corners in _batches(_corners(padded.shape[-2:], self.settings.size)):
                tiles = torch.cat([_tile(padded, corner, self.settings.size) for corner in corners])
                painted = self.generator(with_codes(tiles, codes.expand(len(tiles), -1))).float()
                for corner, image in zip(corners, painted, strict=True):
                    _tile(total, corner, self.settings.size).add_(image * window)
                    _tile(weight, corner, self.settings.size).add_(window)
        image = ((total / weight + 1) / 2).clamp(0, 1)[0, :, :height, :width]
        return (image.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()

    def _condition(self, label_map: NDArray[np.integer], structure: NDArray[np.integer] | None) -> Tensor:
        array = np.asarray(label_map)
        if array.dtype.kind not in "iu":
            raise TypeError(f"expected an integer label map, got dtype {array.dtype}")
        if array.ndim != 2 or array.size == 0:
            raise ValueError(f"expected a label map (H, W), got shape {array.shape}")
        if array.min() < 0:
            raise InputError(f"the label map holds id {array.min()}; expected 0 = background and 1..n = cells")
        planes = [array > 0]
        if self.settings.structure:
            if structure is None or np.shape(structure) != array.shape:
                got = "none" if structure is None else f"shape {np.shape(structure)}"
                raise ValueError(f"expected a structure map of the label map's shape {array.shape}, got {got}")
            planes.append(np.asarray(structure) > 0)
        device = next(self.generator.parameters()).device
        return torch.from_numpy(np.stack(planes).astype(np.float32) * 2 - 1)[None].to(device)


def _at_least(x: Tensor, size: int) -> Tensor:
    """Mirror what is smaller than one tile beyond its lower and right edge."""
    for axis in (-2, -1):
        if x.shape[axis] < size:
            x = x.index_select(axis, mirrored_index(x.shape[axis], size, x.device))
    return x


def _corners(shape: tuple[int, ...] | torch.Size, size: int) -> list[tuple[int, int]]:
    """Upper left corners of tiles that overlap by half and end with the image."""
    rows, columns = ([*range(0, length - size, size // 2), length - size] for length in shape)
    return [(row, column) for row in rows for column in columns]


def _batches(corners: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(corners), _BATCH):
        yield corners[start : start + _BATCH]


def _tile(x: Tensor, corner: tuple[int, int], size: int) -> Tensor:
    return x[..., corner[0] : corner[0] + size, corner[1] : corner[1] + size]


def _window(size: int, device: torch.device) -> Tensor:
    """Weights that fall towards a tile's edges, where it knows least of what is beside it; never 0."""
    ramp = torch.minimum(torch.arange(1, size + 1), torch.arange(size, 0, -1)).float().to(device)
    return ramp[:, None] * ramp


@contextmanager
def _seeded(device: torch.device, sequence: np.random.SeedSequence) -> Iterator[None]:
    """Start the generator that dropout draws from afresh, and leave all of them as they were."""
    seed = int(sequence.generate_state(1, np.uint64)[0] >> 1)
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng([device] if on_gpu else []):
        # Not `torch.manual_seed`: it would seed the generators of other devices as well, which nobody restores.
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)
        yield


def _as_sequence(seed: Seed) -> np.random.SeedSequence:
    """Start afresh from a seed: spawning from the caller's own object would change what its next spawn returns."""
    if isinstance(seed, np.random.SeedSequence):
        return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
    return np.random.SeedSequence(seed)
