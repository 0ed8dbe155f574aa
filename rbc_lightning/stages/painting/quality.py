"""Quality of painted images, measured on held-out real pairs: the masks of validation painted anew and judged."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from rbc_lightning.data.formats import make_contiguous, write_atomically
from rbc_lightning.ops.average_precision import average_precision
from rbc_lightning.ops.cell_crops import nearest_distances
from rbc_lightning.ops.distribution_distances import channel_wasserstein, kernel_distance_over_splits
from rbc_lightning.ops.labels import label_map_to_boxes
from rbc_lightning.ops.painting_quality import (
    BACKGROUND,
    CELLS,
    mean_pairwise_distance,
    region_colors,
    spread,
)
from rbc_lightning.report.quality import Quality, QualitySamples
from rbc_lightning.report.quality_card import save_quality_card
from rbc_lightning.stages.inputs import Inputs, derive_seed
from rbc_lightning.stages.painting.held_out import HeldOut, ImageMeasures, gather_held_out, measure_image
from rbc_lightning.stages.progress import count_progress

QUALITY_FILE, CARD_FILE = "quality.json", "quality_card.png"

# Paintings of each mask that the judge sees; and of a part of it, of this side in pixels, for the colours alone: stains have
# a long tail, which four draws would miss.
_STYLES, _COLOR_STYLES, _COLOR_SIDE = 4, 12, 256
_SUBSETS = 50
# Below the seeds of previews: quality paints other images than the sheets show.
_STREAM = 1

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


class Painter(Protocol):
    """Whatever paints label maps; `tasks.translator.Translator` does."""

    def paint(
        self, label_map: NDArray[np.integer], seed: int | np.random.SeedSequence, style_mode: str | None = None
    ) -> Pixels:
        """Paint a label map (H, W) as uint8 (H, W, 3)."""


def measure_quality(cfg: DictConfig, inputs: Inputs, translator: Painter, held_out: HeldOut | None = None) -> Quality:
    """Paint the masks of held-out pairs in several styles, and compare the images with the real ones; writes nothing.

    Args:
        cfg: the whole configuration; `translator.quality` holds the settings, `seed` decides the styles.
        inputs: the data set; of it train and validation are looked at, never test.
        translator: what is measured.
        held_out: from `gather_held_out`, to measure several translators on.
    """
    held_out = held_out or gather_held_out(cfg, inputs)
    seed = derive_seed(cfg.seed, "preview")

    def paint(label_map: NDArray[np.integer], index: int, style: int) -> Pixels:
        return translator.paint(label_map, np.random.SeedSequence([seed, _STREAM, index, style]), cfg.synthetic.style)

    painted: list[list[ImageMeasures]] = []
    colors: list[list[Floats]] = []
    total = len(held_out.label_maps)
    with count_progress("Painting and judging held-out masks", total) as advance:
        for index, label_map in enumerate(held_out.label_maps):
            images = (paint(label_map, index, style) for style in range(_STYLES))
            painted.append([measure_image(held_out.judge, image, label_map) for image in images])
            part = _centre(label_map)
            draws = range(_STYLES, _STYLES + _COLOR_STYLES)
            colors.append([region_colors(paint(part, index, style), part) for style in draws])
            advance(index + 1, total)
    return _compare(held_out, painted, np.array(colors), seed)


def write_quality(directory: Path, quality: Quality) -> tuple[Path, Path]:
    """Write `quality.json` and `quality_card.png` into a directory, each atomically; return their paths."""
    table, card = directory / QUALITY_FILE, directory / CARD_FILE
    write_atomically(table, lambda part: part.write_text(quality.to_json()))
    save_quality_card(card, quality)
    return table, card


def _compare(held_out: HeldOut, painted: Sequence[Sequence[ImageMeasures]], colors: Floats, seed: int) -> Quality:
    """Every measure of the painted images (masks by styles) beside its yardsticks; `colors` (masks, styles, 2, 3)."""
    real, flat = held_out.real, held_out.flat
    # One painting of each mask, where as many images as real ones must be compared.
    first = [styles[0] for styles in painted]
    every = [seen for styles in painted for seen in styles]
    targets = [{"boxes": label_map_to_boxes(label_map)} for label_map in held_out.label_maps]
    cells = {"": _nearest(first, held_out), "_real": _nearest(real, held_out), "_flat": _nearest(flat, held_out)}
    measures: dict[str, float] = {}
    for suffix, images, repeats in (("", every, _STYLES), ("_real", real, 1), ("_flat", flat, 1)):
        measures[f"dice{suffix}"] = float(np.mean([seen.dice for seen in images]))
        asked = [target for target in targets for _ in range(repeats)]
        measures[f"ap50{suffix}"] = average_precision([seen.boxes for seen in images], asked)
        measures[f"nearest_cell{suffix}"] = _percentile(cells[suffix], 50)
        measures[f"nearest_cell_p5{suffix}"] = _percentile(cells[suffix], 5)
    windows = [[seen.windows for seen in images] for images in (real, first, flat)]
    kid = kernel_distance_over_splits(windows[0], windows[1], seed, _SUBSETS)
    return Quality(
        **measures,
        **_color_measures(held_out, colors, seed),
        kid=kid.distance,
        kid_std=kid.deviation,
        kid_real=kid.halves,
        kid_real_std=kid.halves_deviation,
        kid_flat=kernel_distance_over_splits(windows[0], windows[2], seed, _SUBSETS).distance,
        texture_diversity=float(np.mean([_difference([seen.descriptor for seen in styles]) for styles in painted])),
        # The features of a flat image are what its mask alone makes of them.
        texture_diversity_real=_difference([r.descriptor - f.descriptor for r, f in zip(real, flat, strict=True)]),
        n_images=len(real),
        n_styles=_STYLES,
        samples=_samples(held_out, painted, colors, cells[""], cells["_real"]),
    )


def _color_measures(held_out: HeldOut, painted: Floats, seed: int) -> dict[str, float]:
    """Spread, distance and diversity of mean colours; `painted` (masks, styles, 2, 3)."""
    real, train = np.stack([seen.colors for seen in held_out.real]), held_out.train_colors
    measures: dict[str, float] = {}
    for region, name in ((BACKGROUND, "background"), (CELLS, "cell")):
        # Style by style: the spread and distance of few images depend on their number.
        by_style = painted[:, :, region].swapaxes(0, 1)
        subsets = list(_subsets(train[:, region], len(real), seed))
        measures[f"{name}_spread"] = _mean([spread(colors) for colors in by_style])
        measures[f"{name}_spread_real"] = spread(real[:, region])
        measures[f"{name}_spread_train"] = _mean([spread(colors) for colors in subsets])
        measures[f"{name}_distance"] = _mean([_distance(colors, real[:, region]) for colors in by_style])
        measures[f"{name}_distance_train"] = _mean([_distance(colors, real[:, region]) for colors in subsets])
    return measures | {
        "color_diversity": _mean([_difference(styles.reshape(len(styles), -1)) for styles in painted]),
        "color_diversity_real": _difference(real.reshape(len(real), -1)),
        "color_diversity_train": _difference(train.reshape(len(train), -1)),
    }


def _samples(
    held_out: HeldOut,
    painted: Sequence[Sequence[ImageMeasures]],
    painted_colors: Floats,
    nearest: Floats,
    nearest_real: Floats,
) -> QualitySamples:
    real = np.stack([seen.colors for seen in held_out.real])
    by_name = {"": np.concatenate(list(painted_colors)), "_real": real, "_train": held_out.train_colors}
    pairs = [
        (f"{name}{suffix}", c[:, row]) for suffix, c in by_name.items() for row, name in enumerate(("background", "cells"))
    ]
    colors: dict[str, Any] = {name: tuple(map(tuple, rows.round(2).tolist())) for name, rows in pairs}
    return QualitySamples(
        sample_ids=held_out.sample_ids,
        dice=tuple(float(np.mean([seen.dice for seen in styles])) for styles in painted),
        dice_real=tuple(seen.dice for seen in held_out.real),
        nearest_cell=tuple(nearest.round(4).tolist()),
        nearest_cell_real=tuple(nearest_real.round(4).tolist()),
        **colors,
    )


def _distance(first: Floats, second: Floats) -> float:
    """Wasserstein distance of mean colours (n, 3); images without the region do not count."""
    known = [colors[~np.isnan(colors).any(axis=1)] for colors in (first, second)]
    return channel_wasserstein(known[0], known[1]) if all(map(len, known)) else float("nan")


def _subsets(colors: Floats, size: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    for _ in range(_SUBSETS):
        yield colors[rng.permutation(len(colors))[:size]]


def _centre(label_map: NDArray[np.int32]) -> NDArray[np.int32]:
    top, left = (max(0, (length - _COLOR_SIDE) // 2) for length in label_map.shape)
    return make_contiguous(label_map[top : top + _COLOR_SIDE, left : left + _COLOR_SIDE])


def _difference(rows: Sequence[Floats] | Floats) -> float:
    return mean_pairwise_distance(np.stack(list(rows)))


def _mean(values: Sequence[float]) -> float:
    """Mean of what could be measured."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _nearest(images: Sequence[ImageMeasures], held_out: HeldOut) -> Floats:
    crops = np.concatenate([seen.crops for seen in images])
    return nearest_distances(crops, held_out.train_crops) if len(held_out.train_crops) else np.zeros(0)


def _percentile(values: Floats, share: float) -> float:
    return float(np.percentile(values, share)) if len(values) else float("nan")
