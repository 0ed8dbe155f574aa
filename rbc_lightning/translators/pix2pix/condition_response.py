"""How a Pix2Pix responds to its condition: images of held-out masks and structure maps (Allender et al., Sec. 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from rbc_lightning.translators.pix2pix.mode_seeking import (
    collapse_index,
    mean_absolute_pairwise_difference,
    texture_correlation,
)
from rbc_lightning.translators.pix2pix.structures.maps import structure_of

if TYPE_CHECKING:
    from rbc_lightning.evaluation.held_out import HeldOut
    from rbc_lightning.translators.pix2pix.translator import StructureTranslator

RESPONSE_FILE = "condition_response.json"


@dataclass(frozen=True)
class ConditionResponse:
    """Measures of images generated from held-out conditions, one each, beside those of the real images.

    What compares conditions is None where it is undefined: of one image, or of real images that are all the same.

    Attributes:
        l1: mean absolute difference to the real image, in [-1, 1] units as in Allender et al., eq. 3.
        diversity, diversity_real: `mean_absolute_pairwise_difference` across conditions, grey levels of the data set.
        collapse: `collapse_index` of whole images.
        texture_collapse: `collapse_index` of texture.
        texture_correlation, texture_correlation_real: `texture_correlation`.
        dice, dice_real: of the FCN-score network's foreground with the mask.
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
        table = Table(title=f"Response to {self.n_images} held-out conditions", title_justify="left")
        for title in ("", "generated", "real"):
            table.add_column(title, justify="left" if not title else "right")
        values = asdict(self)
        for name, title in _TITLES.items():
            shown = [values[name], *([values[f"{name}_real"]] if f"{name}_real" in values else [])]
            table.add_row(title, *("-" if value is None else f"{value:.3f}" for value in shown))
        return table


_TITLES = {
    "l1": "L1 to the real image, in [-1, 1]",
    "diversity": "difference across conditions, grey levels",
    "collapse": "collapse index (0: as diverse as real, 1: one image)",
    "texture_collapse": "collapse index of texture",
    "texture_correlation": "correlation of texture across conditions",
    "dice": "Dice of the FCN-score network with the mask",
}


def measure_response(translator: StructureTranslator, held_out: HeldOut, seed: int) -> ConditionResponse:
    """Generate images of held-out masks with the structure maps of their own images, and compare with these.

    Of images of several sizes those of the commonest count, as images are compared pixel by pixel. An `InputError` names a
    held-out image that has no structure threshold.
    """
    shapes = [label_map.shape for label_map in held_out.label_maps]
    commonest = max(sorted(set(shapes)), key=shapes.count)
    kept = [index for index, shape in enumerate(shapes) if shape == commonest]
    masks = [held_out.label_maps[index] for index in kept]
    real, generated = [], []
    for index in kept:
        sample = held_out.samples[index]
        real.append(sample.load_image())
        structure = None
        if translator.bank is not None:
            structure = structure_of(sample, real[-1], translator.settings.structure_method)
        generated.append(translator.paint_with(held_out.masks[index], structure, seed + index))
    differences = [np.abs(ours.astype(float) - theirs).mean() for ours, theirs in zip(generated, real, strict=True)]
    scores = [held_out.measure(image, mask).dice for image, mask in zip(generated, masks, strict=True)]
    low, high = translator.spec.value_range
    return ConditionResponse(
        l1=float(np.mean(differences)) * 2 / (high - low),
        diversity=_or_none(mean_absolute_pairwise_difference, generated),
        diversity_real=_or_none(mean_absolute_pairwise_difference, real),
        collapse=_or_none(collapse_index, generated, real),
        texture_collapse=_or_none(collapse_index, generated, real, masks),
        texture_correlation=_or_none(texture_correlation, generated, masks),
        texture_correlation_real=_or_none(texture_correlation, real, masks),
        dice=float(np.mean(scores)),
        dice_real=float(np.mean([held_out.real[index].dice for index in kept])),
        n_images=len(kept),
    )


def _or_none(measure: Callable[..., float], *images: Sequence[NDArray[Any]]) -> float | None:
    """A measure across images, or None where there is nothing to compare: no reason to fail after a training."""
    try:
        return measure(*images)
    except ValueError:
        return None
