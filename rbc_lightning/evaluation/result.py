"""The quality of generated images: how much is spent on it, and its numbers, every one beside what real images give."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rbc_lightning.core.trainer import check_count
from rbc_lightning.segmenters.model import check_steps

QUALITY_FILE, CARD_FILE = "quality.json", "quality_card.png"
"""In a translator's directory: the numbers, and a picture of them."""
QUALITY_FORMAT = 2
"""Raised when other images are measured, or in another way."""

Color = tuple[float, ...]
"""One value per channel, grey levels."""


@dataclass(frozen=True)
class QualitySettings:
    """The part `translator.quality` of the configuration: whether to measure, training of the FCN-score network, pairs at most.

    Raises:
        InputError: a value is refused.
    """

    enabled: bool
    steps: int
    images: int

    def __post_init__(self) -> None:
        check_count("translator.quality.steps", self.steps, 1)
        check_count("translator.quality.images", self.images, 2)

    def check_steps(self, per_epoch: int) -> None:
        """Refuse, by an InputError, steps that would end in the middle of an epoch; fewer than one has are one epoch."""
        check_steps("translator.quality.steps", self.steps, min(self.steps, per_epoch))


@dataclass(frozen=True)
class QualitySamples:
    """Single values behind the numbers, for figures.

    Attributes:
        sample_ids: the held-out pairs whose masks were given.
        dice: Dice of the FCN-score network on the generated images of each mask, averaged over its styles.
        dice_real: the same on the real image of each mask.
        background, cells: mean colours of images of a part of each mask, in more styles, grey levels.
        background_real, cells_real: of the held-out real images.
        background_train, cells_train: of the training images.
        nearest_cell: distance of generated cells to the nearest training cell.
        nearest_cell_real: the same of the real cells of the same masks.
    """

    sample_ids: tuple[str, ...]
    dice: tuple[float, ...]
    dice_real: tuple[float, ...]
    background: tuple[Color, ...]
    cells: tuple[Color, ...]
    background_real: tuple[Color, ...]
    cells_real: tuple[Color, ...]
    background_train: tuple[Color, ...]
    cells_train: tuple[Color, ...]
    nearest_cell: tuple[float, ...]
    nearest_cell_real: tuple[float, ...]


@dataclass(frozen=True)
class Quality:
    """Generated images of held-out masks beside real ones; NaN where there are too few images.

    `_real` stands for the held-out real images of the same masks, `_train` for training images, which the styles come from,
    and `_flat` for the same masks in two colours each, the texture-free baseline.

    Attributes:
        background_spread, cell_spread: deviation between images of the mean colour, grey levels.
        background_distance, cell_distance: Wasserstein distance of mean colours to those of the held-out images, grey levels;
            `_train`: of as many training images.
        kid, kid_std: kernel distance on the network's features to real images of other masks, and its deviation over splits;
            `_real`: between halves of the real images.
        color_diversity: difference of the mean colours (root mean square, grey levels) of two images of one mask;
            `_real`, `_train`: of two such images.
        texture_diversity: the same of the network's features by region; `_real`: of two held-out images, less what their
            masks make of it.
        dice: Dice of the network against the mask given, averaged over images.
        ap50: average precision at IoU 0.5 of the boxes of the network's connected patches, against those of the cells.
        nearest_cell, nearest_cell_p5: median and 5th percentile over cells of the distance to the nearest training cell
            (0 = copy).
        n_images: held-out masks looked at.
        n_styles: whole images of each.
        samples: single values.
    """

    background_spread: float
    background_spread_real: float
    background_spread_train: float
    cell_spread: float
    cell_spread_real: float
    cell_spread_train: float
    background_distance: float
    background_distance_train: float
    cell_distance: float
    cell_distance_train: float
    kid: float
    kid_std: float
    kid_real: float
    kid_real_std: float
    kid_flat: float
    color_diversity: float
    color_diversity_real: float
    color_diversity_train: float
    texture_diversity: float
    texture_diversity_real: float
    dice: float
    dice_real: float
    dice_flat: float
    ap50: float
    ap50_real: float
    ap50_flat: float
    nearest_cell: float
    nearest_cell_real: float
    nearest_cell_flat: float
    nearest_cell_p5: float
    nearest_cell_p5_real: float
    nearest_cell_p5_flat: float
    n_images: int
    n_styles: int
    samples: QualitySamples

    @property
    def diversity(self) -> float:
        """Diversity in colour as a share of the training images', in texture as one of the real ones, averaged.

        Each share counts at most 1: more diverse than real images earns nothing. A share that could not be measured is left
        out; 1 where neither could.
        """
        pairs = ((self.color_diversity, self.color_diversity_train), (self.texture_diversity, self.texture_diversity_real))
        shares = [min(1.0, ours / real) for ours, real in pairs if real > 0 and not math.isnan(ours)]
        return float(np.mean(shares)) if shares else 1.0

    @property
    def score(self) -> float:
        """Mask faithfulness (Dice) times diversity, in [0, 1]: high only where an image shows its mask in many stains."""
        return self.dice * self.diversity

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for JSON, with `score`, `diversity` and `format`; None stands for NaN."""
        content = {**asdict(self), "score": self.score, "diversity": self.diversity, "format": QUALITY_FORMAT}
        # NaN alone differs from itself.
        return dict(changed(content, lambda value: value if value == value else None, list))

    def to_json(self) -> str:
        """JSON text of `to_dict`."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Quality:
        """Read back what `to_dict` gave."""
        values = changed(content, lambda value: math.nan if value is None else value, tuple)
        given = {key: value for key, value in values.items() if key not in ("score", "diversity", "format")}
        return cls(**given | {"samples": QualitySamples(**given["samples"])})


def changed(value: Any, change: Callable[[Any], Any], many: type) -> Any:  # noqa: ANN401 (any nested plain value)
    """A nested plain value with every leaf changed, and sequences of one type."""
    if isinstance(value, Mapping):
        return {key: changed(entry, change, many) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return many(changed(entry, change, many) for entry in value)
    return change(value)
