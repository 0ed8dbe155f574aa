"""How a Pix2Pix answers to its condition: held-out masks painted with the structure maps of their own images (S4 section 4)."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.table import Table

from rbc_lightning.data.formats import read_image
from rbc_lightning.ops.mode_seeking import collapse_index, mean_pairwise_distance, texture_correlation
from rbc_lightning.stages.inputs import Inputs, derive_seed
from rbc_lightning.stages.painting.held_out import HeldOut, measure_image
from rbc_lightning.stages.painting.painters import StructurePainter
from rbc_lightning.stages.painting.structures import structure_of

RESPONSE_FILE = "condition_response.json"
_GREY_LEVELS = 255.0


@dataclass(frozen=True)
class ConditionResponse:
    """Measures of images painted over held-out conditions, one each, beside those of the real images.

    What compares conditions is None where that cannot be told: of one image, or of real images that are one picture.

    Attributes:
        l1: mean absolute difference to the real image, in [-1, 1] units as S4 eq. 3 has it.
        diversity, diversity_real: `mean_pairwise_distance` across conditions, grey levels.
        collapse: `collapse_index` of whole images.
        texture_collapse: `collapse_index` of texture.
        texture_correlation, texture_correlation_real: `texture_correlation`.
        dice, dice_real: of the judge's foreground with the mask.
        n_images: conditions.
    """

    l1: float
    diversity: float | None
    diversity_real: float | None
    collapse: float | None
    texture_collapse: float | None
    texture_correlation: float | None
    texture_correlation_real: float | None
    dice: float
    dice_real: float
    n_images: int

    def table(self) -> Table:
        """For the terminal."""
        table = Table(title=f"Answer to {self.n_images} held-out conditions", title_justify="left")
        for title in ("", "painted", "real"):
            table.add_column(title, justify="left" if not title else "right")
        values = asdict(self)
        for name, title in _TITLES.items():
            shown = [values[name], *([values[f"{name}_real"]] if f"{name}_real" in values else [])]
            table.add_row(title, *("-" if value is None else f"{value:.3f}" for value in shown))
        return table


_TITLES = {
    "l1": "L1 to the real image, in [-1, 1]",
    "diversity": "difference across conditions, grey levels",
    "collapse": "collapse index (0: as diverse as real, 1: one picture)",
    "texture_collapse": "collapse index of texture",
    "texture_correlation": "correlation of texture across conditions",
    "dice": "Dice of the judge with the mask",
}


def measure_response(cfg: DictConfig, inputs: Inputs, painter: StructurePainter, held_out: HeldOut) -> ConditionResponse:
    """Paint held-out masks with the structure maps of their own images, and compare with these; writes nothing.

    Args:
        cfg: the whole configuration; `seed` decides dropout and latent codes.
        inputs: the data set; of it validation is looked at, never test.
        painter: what is measured.
        held_out: of images of several sizes those of the commonest count, as pictures are compared pixel by pixel.

    Raises:
        InputError: names a held-out image that has no structure threshold.
    """
    records = {record.sample_id: record for record in inputs.manifest.split("val")}
    shape = _commonest([label_map.shape for label_map in held_out.label_maps])
    kept = [index for index, label_map in enumerate(held_out.label_maps) if label_map.shape == shape]
    masks = [held_out.label_maps[index] for index in kept]
    seed, method = derive_seed(cfg.seed, "preview"), painter.translator.settings.structure_method
    real, painted = [], []
    for index, mask in zip(kept, masks, strict=True):
        record = records[held_out.sample_ids[index]]
        real.append(read_image(record.image_path))
        structure = None if painter.bank is None else structure_of(record, real[-1], method)
        painted.append(painter.translator.paint(mask, structure, seed + index))
    differences = [np.abs(ours.astype(float) - theirs).mean() for ours, theirs in zip(painted, real, strict=True)]
    judged = [measure_image(held_out.judge, image, mask).dice for image, mask in zip(painted, masks, strict=True)]
    return ConditionResponse(
        l1=float(np.mean(differences)) * 2 / _GREY_LEVELS,
        diversity=_told(mean_pairwise_distance, painted),
        diversity_real=_told(mean_pairwise_distance, real),
        collapse=_told(collapse_index, painted, real),
        texture_collapse=_told(collapse_index, painted, real, masks),
        texture_correlation=_told(texture_correlation, painted, masks),
        texture_correlation_real=_told(texture_correlation, real, masks),
        dice=float(np.mean(judged)),
        dice_real=float(np.mean([held_out.real[index].dice for index in kept])),
        n_images=len(kept),
    )


def _told(measure: Callable[..., float], *pictures: Sequence[NDArray[Any]]) -> float | None:
    """A measure across pictures, or None where they give nothing to compare: no reason to end a finished training with."""
    try:
        return measure(*pictures)
    except ValueError:
        return None


def _commonest(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    return max(sorted(set(shapes)), key=shapes.count)
