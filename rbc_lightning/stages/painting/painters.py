"""Whatever paints label maps, behind one interface: Pix2PixHD with its styles, Pix2Pix with its structure maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import Tensor

from rbc_lightning.masks import SampledMask
from rbc_lightning.masks.structures import StructureBank
from rbc_lightning.stages.inputs import Inputs, derive_seed
from rbc_lightning.stages.painting.structures import get_structure_bank
from rbc_lightning.tasks.structure_translator import WEIGHTS_FILE as STRUCTURE_WEIGHTS
from rbc_lightning.tasks.structure_translator import StructureTranslator
from rbc_lightning.tasks.translator import STYLES_FILE, SURFACES_FILE, WEIGHTS_FILE, Translator

Seed = int | np.random.SeedSequence
Pixels = NDArray[np.uint8]


class Painter(Protocol):
    """Paints label maps; the same seed gives the same image."""

    def paint(self, label_map: NDArray[np.integer], seed: Seed, style_mode: str | None = None) -> Pixels:
        """Paint any label map (H, W) as uint8 (H, W, 3)."""
        ...

    def paint_sampled(self, mask: SampledMask, seed: Seed, style: str, index: int) -> Pixels:
        """Paint pair number `index` of a synthetic set, whose cells are known by shape and pose."""
        ...

    def paint_batch(self, label_maps: Tensor, seeds: Sequence[Seed], style_mode: str | None = None) -> Tensor:
        """Paint label maps int64 (B, H, W) as float32 (B, 3, H, W) in [0, 1]."""
        ...


class StylePainter:
    """Pix2PixHD: what a mask leaves open is a style drawn from the training cells.

    Args:
        translator: trained.
        stream: seed of the order in which the training images' stains take turns.
    """

    def __init__(self, translator: Translator, stream: int) -> None:
        self.translator = translator
        self.stream = stream

    def paint(self, label_map: NDArray[np.integer], seed: Seed, style_mode: str | None = None) -> Pixels:
        """See `Painter`."""
        return self.translator.paint(label_map, seed, style_mode)

    def paint_sampled(self, mask: SampledMask, seed: Seed, style: str, index: int) -> Pixels:
        """See `Painter`; with the style "per_image" the stains of the training images take turns."""
        if style == "per_image":
            style = self.translator.style_bank.source_in_turn(index, self.stream)
        return self.translator.paint(mask.label_map, seed, style)

    def paint_batch(self, label_maps: Tensor, seeds: Sequence[Seed], style_mode: str | None = None) -> Tensor:
        """See `Painter`."""
        return self.translator.paint_batch(label_maps, seeds, style_mode)


class StructurePainter:
    """Pix2Pix: what a mask leaves open is a structure map put together from the training cells; styles do not apply.

    Args:
        translator: trained.
        bank: structure crops of the shape bank's cells; None for a translator without structure maps.
    """

    def __init__(self, translator: StructureTranslator, bank: StructureBank | None) -> None:
        self.translator = translator
        self.bank = bank

    def draw_structure(self, label_map: NDArray[np.integer], seed: Seed) -> Pixels | None:
        """The structure map, uint8 (H, W), dark = 1, that `paint` lays beside a label map; None where it lays none.

        Every cell borrows that of a training cell of its size.
        """
        return None if self.bank is None else self.bank.dress(label_map, _split(seed)[0])

    def paint(self, label_map: NDArray[np.integer], seed: Seed, style_mode: str | None = None) -> Pixels:  # noqa: ARG002 (the interface's)
        """See `Painter`; with the structure map of `draw_structure`."""
        return self.translator.paint(label_map, self.draw_structure(label_map, seed), _split(seed)[1])

    def paint_sampled(self, mask: SampledMask, seed: Seed, style: str, index: int) -> Pixels:  # noqa: ARG002 (the interface's)
        """See `Painter`; every cell brings the structure of the training cell that it is a copy of."""
        structure_seed, paint_seed = _split(seed)
        structure = None if self.bank is None else self.bank.render(mask, structure_seed)
        return self.translator.paint(mask.label_map, structure, paint_seed)

    def paint_batch(self, label_maps: Tensor, seeds: Sequence[Seed], style_mode: str | None = None) -> Tensor:
        """See `Painter`; structures are borrowed, since a label map alone does not tell what its cells are copies of."""
        images = [self.paint(ids, seed, style_mode) for ids, seed in zip(label_maps.cpu().numpy(), seeds, strict=True)]
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def device_of(cfg: DictConfig) -> str:
    """The device that paints: the trainer's."""
    return "cuda" if cfg.trainer.accelerator == "gpu" and torch.cuda.is_available() else "cpu"


def deciding_files(directory: Path) -> list[Path]:
    """The files of a translator's directory that decide what it paints, those that are needed first.

    A translator may go without surfaces; of others, missing ones are listed too, for the error that they are worth.
    """
    if (directory / STRUCTURE_WEIGHTS).is_file():
        return [directory / STRUCTURE_WEIGHTS]
    surfaces = directory / SURFACES_FILE
    return [directory / WEIGHTS_FILE, directory / STYLES_FILE, *([surfaces] if surfaces.is_file() else [])]


def load_painter(directory: Path, cfg: DictConfig, inputs: Inputs, device: str) -> StylePainter | StructurePainter:
    """The translator of a directory, of either kind; structure maps come from the train split of `inputs`.

    Raises:
        InputError: what lies there does not fit together.
    """
    if (directory / STRUCTURE_WEIGHTS).is_file():
        return structure_painter(StructureTranslator.load(directory, device), inputs)
    return StylePainter(Translator.load(directory, device), derive_seed(cfg.seed, "synthetic"))


def structure_painter(translator: StructureTranslator, inputs: Inputs) -> StructurePainter:
    """A trained Pix2Pix with the structure maps of the train split, if it takes any."""
    settings = translator.settings
    return StructurePainter(translator, get_structure_bank(inputs, settings.structure_method) if settings.structure else None)


def _split(seed: Seed) -> tuple[np.random.SeedSequence, np.random.SeedSequence]:
    """Seeds of structure map and painting."""
    # Afresh, since spawning from the caller's own object would change what its next spawn returns.
    given = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    first, second = np.random.SeedSequence(given.entropy, spawn_key=given.spawn_key).spawn(2)
    return first, second
