"""A trained Pix2Pix: label maps and structure maps in, images of any size out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rbc_lightning.core.files import replacing, write_json
from rbc_lightning.core.seeds import Seed, afresh
from rbc_lightning.data.conversions import from_unit, to_rgb
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.spec import Image
from rbc_lightning.errors import InputError
from rbc_lightning.masks import SampledMask
from rbc_lightning.masks.bank.measure import check_label_map
from rbc_lightning.translators.base import LoadContext, Translator
from rbc_lightning.translators.pix2pix.generator import StructureSettings, blend_tiles, latent_codes, mask_planes, with_codes
from rbc_lightning.translators.pix2pix.nets import UNetGenerator
from rbc_lightning.translators.pix2pix.structures.bank import StructureBank
from rbc_lightning.translators.pix2pix.structures.maps import structure_of
from rbc_lightning.translators.pix2pix.structures.recipe import StructureBankRecipe
from rbc_lightning.translators.pix2pix.task import ModeSeekingPix2PixTask
from rbc_lightning.translators.weights import load_exactly, read_content

if TYPE_CHECKING:
    from rich.table import Table

    from rbc_lightning.evaluation.held_out import HeldOut

WEIGHTS_FILE = "structure_generator.pt"
_N_STRUCTURES = 6  # structure maps that images of one mask are shown with


class StructureTranslator(Translator):
    """A generator that paints a mask and its structure map; styles do not apply.

    It was trained on crops of `settings.size`, and its lowest level has one pixel there: larger images are painted in
    tiles of that very side, which overlap by half and are blended, smaller ones are mirrored beyond their edge. What a mask
    leaves open is a structure map put together from the training cells.

    Args:
        settings: of the generator.
        generator: trained.
        bank: structure crops of the shape bank's cells; None for a generator without structure maps.
    """

    def __init__(self, settings: StructureSettings, generator: nn.Module, bank: StructureBank | None = None) -> None:
        self.settings, self.spec, self.bank = settings, settings.spec, bank
        self.generator = generator.eval()
        self.generator.keep_dropout = settings.noise  # type: ignore[assignment]  # a plain attribute of the module

    @classmethod
    def from_task(
        cls, task: ModeSeekingPix2PixTask, noise: bool = True, bank: StructureBank | None = None
    ) -> StructureTranslator:
        """Take over a trained task's generator."""
        settings = replace(task.settings, noise=noise)
        generator = settings.build_generator().to(task.device)
        generator.load_state_dict(task.generator.state_dict())
        return cls(settings, generator, bank)

    def save(self, directory: Path) -> None:
        """Write the generator into `directory`, atomically; the structures stay with the data set."""
        content = {"settings": asdict(self.settings), "generator": self.generator.state_dict()}
        with replacing(directory / WEIGHTS_FILE) as file:
            torch.save(content, file)

    @classmethod
    def load(cls, directory: Path, context: LoadContext) -> StructureTranslator:
        """Read what `save` wrote; structure maps are put together from the training cells of the run.

        Raises:
            InputError: no such file, or its tensors do not fit its settings; or it makes other images than the run's.
        """
        settings, generator = read_generator(directory, context.device)
        context.refuse_other_images(directory, settings.spec)
        recipe = StructureBankRecipe.of(context.train, settings.structure_method)
        return cls(settings, generator, context.store.make(recipe) if settings.structure else None)

    def sheets(self, samples: Sequence[Sample], directory: Path, seed: int) -> tuple[Path, ...]:
        """See `Translator`; and `structures.png`: images of the first mask with several structure maps (Allender, Fig. 5)."""
        from rbc_lightning.report.figures.style_sheets import save_structure_sheet

        sheets, path = super().sheets(samples, directory, seed), directory / "structures.png"
        mask, seeds = samples[0].load_label_map(), range(seed, seed + _N_STRUCTURES)
        structures = [structure for structure in (self.draw_structure(mask, s) for s in seeds) if structure is not None]
        save_structure_sheet(path, [self.picture(mask, s) for s in seeds], structures)
        return (*sheets, path)

    def pictures(self, sample: Sample, seed: int) -> dict[str, NDArray[np.uint8]]:
        """See `Translator`; with the structure map of the image, and with a new one."""
        # Drawing needs libraries that nothing else here does.
        from rbc_lightning.report.figures.style_sheets import structure_picture

        label_map = sample.load_label_map()
        if self.bank is None:
            return {"generated": self.picture(label_map, seed)}
        structure = structure_of(sample, sample.load_image(), self.settings.structure_method)
        return {
            "structure of the image": structure_picture(structure),
            "generated with it": to_rgb(self.paint_with(label_map, structure, seed), self.spec),
            "generated with a new structure": self.picture(label_map, seed),
        }

    def measure(self, held_out: HeldOut, directory: Path, seed: int) -> Table:
        """See `Translator`; writes `condition_response.json`."""
        from rbc_lightning.translators.pix2pix.condition_response import RESPONSE_FILE, measure_response

        response = measure_response(self, held_out, seed)
        write_json(directory / RESPONSE_FILE, asdict(response))
        return response.table()

    def draw_structure(self, label_map: NDArray[np.integer], seed: Seed) -> NDArray[np.uint8] | None:
        """The structure map, uint8 (H, W), that `paint` lays beside a label map; None where it lays none.

        Every cell borrows that of a training cell of its size.
        """
        return None if self.bank is None else self.bank.borrow_structures(label_map, _split(seed)[0])

    def paint(self, label_map: NDArray[np.integer], seed: Seed, style: str | None = None) -> Image:  # noqa: ARG002 (the interface's)
        """See `Translator`; with the structure map of `draw_structure`."""
        return self.paint_with(label_map, self.draw_structure(label_map, seed), _split(seed)[1])

    def paint_sampled(self, mask: SampledMask, seed: Seed, style: str, index: int) -> Image:  # noqa: ARG002 (the interface's)
        """See `Translator`; every cell brings the structure of the training cell that it is a copy of, where that is known."""
        if self.bank is None or mask.poses is None:
            return self.paint(mask.label_map, seed, style)
        structure_seed, paint_seed = _split(seed)
        return self.paint_with(mask.label_map, self.bank.render(mask, structure_seed), paint_seed)

    @torch.inference_mode()
    def paint_with(self, label_map: NDArray[np.integer], structure: NDArray[np.integer] | None, seed: Seed) -> Image:
        """Paint one label map with a given structure map (H, W) of 0 and 1; None for a generator without structure maps.

        The seed is that of latent codes and dropout. A `ValueError` refuses a structure map of another size.
        """
        condition = self._condition(label_map, structure)
        sequence = afresh(seed)
        codes = latent_codes([int(sequence.generate_state(1)[0])], self.settings.latent_channels, condition)

        def generate(tiles: Tensor) -> Tensor:
            image: Tensor = self.generator(with_codes(tiles, codes.expand(len(tiles), -1)))
            return image

        with _seeded(condition.device, sequence.spawn(1)[0]):
            blended = blend_tiles(generate, condition, self.settings.size, self.spec.n_channels)
        image = ((blended + 1) / 2)[0].permute(1, 2, 0)
        return from_unit(image.cpu().numpy(), self.spec)

    def _condition(self, label_map: NDArray[np.integer], structure: NDArray[np.integer] | None) -> Tensor:
        array = check_label_map(label_map)
        mask = mask_planes(torch.from_numpy(array)[None], self.spec, self.settings.alike)
        if self.settings.structure:
            if structure is None or np.shape(structure) != array.shape:
                got = "none" if structure is None else f"shape {np.shape(structure)}"
                raise ValueError(f"expected a structure map of the label map's shape {array.shape}, got {got}")
            plane = torch.from_numpy(np.asarray(structure) > 0).float()[None, None] * 2 - 1
            mask = torch.cat((mask, plane), dim=1)
        return mask.to(next(self.generator.parameters()).device)


def read_generator(directory: Path, device: str | torch.device = "cpu") -> tuple[StructureSettings, UNetGenerator]:
    """Read the generator that `StructureTranslator.save` wrote; raises as `StructureTranslator.load`."""
    path = directory / WEIGHTS_FILE
    content = read_content(path, ("settings", "generator"), device)
    try:
        settings = StructureSettings(**content["settings"])
        generator = settings.build_generator().to(device)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} holds other settings ({error}): make the translator again with stage=translator") from error
    load_exactly(generator, content["generator"], "generator", path)
    return settings, generator


def _split(seed: Seed) -> tuple[np.random.SeedSequence, np.random.SeedSequence]:
    """Seeds of structure map and painting."""
    first, second = afresh(seed).spawn(2)
    return first, second


@contextmanager
def _seeded(device: torch.device, sequence: np.random.SeedSequence) -> Iterator[None]:
    """Seed the generator that dropout draws from, and restore all of them afterwards."""
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
