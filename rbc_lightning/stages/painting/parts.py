"""What a translator is put together from, for each kind: trained checkpoints, and what belongs to the training images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rbc_lightning.data.dataset import SmearDataset
from rbc_lightning.stages.inputs import Inputs, derive_seed
from rbc_lightning.stages.painting.gan import get_gan, load_task
from rbc_lightning.stages.painting.gan_training import kept_checkpoints
from rbc_lightning.stages.painting.painters import StructurePainter, StylePainter, device_of, structure_painter
from rbc_lightning.stages.painting.pix2pix import get_pix2pix, load_pix2pix
from rbc_lightning.tasks.structure_translator import StructureTranslator
from rbc_lightning.tasks.styles import StyleBank
from rbc_lightning.tasks.surfaces import SurfaceBank
from rbc_lightning.tasks.translator import Translator


@dataclass(frozen=True)
class Parts:
    """A finished training, and how to make a painter of one of its checkpoints.

    Attributes:
        key: of the training.
        settings: of what is put beside the weights, for the store's key.
        checkpoints: those kept, the last one is the end of the training.
        assemble: a painter with the weights of a checkpoint.
    """

    key: str
    settings: dict[str, Any]
    checkpoints: Callable[[], list[Path]]
    assemble: Callable[[Path], StylePainter | StructurePainter]


def style_parts(cfg: DictConfig, inputs: Inputs) -> Parts:
    """Pix2PixHD: generator and encoder, the styles of the training cells, the surfaces."""
    gan = get_gan(cfg, inputs)
    samples = SmearDataset(inputs.manifest.split("train"))
    surfaces: list[SurfaceBank | None] = []

    def assemble(checkpoint: Path) -> StylePainter:
        if not surfaces:
            fit = cfg.translator.surface
            surfaces.append(SurfaceBank.fit(samples[index] for index in range(len(samples))) if fit else None)
        task = load_task(checkpoint).to(device_of(cfg))
        # Styles come from stage 1: they are what stage 2 was trained on.
        encoding = gan.load_first().to(device_of(cfg)) if task.settings.stage == 2 else task
        bank = StyleBank.fit(
            encoding,
            (samples[index] for index in range(len(samples))),
            n_clusters=cfg.translator.n_clusters,
            seed=derive_seed(cfg.seed, "translator"),
        )
        translator = Translator.from_task(task, bank, surfaces=surfaces[0])
        return StylePainter(translator, derive_seed(cfg.seed, "synthetic"))

    settings = {"n_clusters": cfg.translator.n_clusters, "surface": cfg.translator.surface}
    return Parts(gan.key, settings, gan.candidates, assemble)


def structure_parts(cfg: DictConfig, inputs: Inputs) -> Parts:
    """Pix2Pix: the generator alone; structure maps are drawn from the data set that is painted for."""
    trained = get_pix2pix(cfg, inputs)

    def assemble(checkpoint: Path) -> StructurePainter:
        task = load_pix2pix(checkpoint).to(device_of(cfg))
        return structure_painter(StructureTranslator.from_task(task, noise=cfg.translator.noise), inputs)

    settings = {"noise": cfg.translator.noise}
    return Parts(trained.key, settings, lambda: kept_checkpoints(trained.path), assemble)
