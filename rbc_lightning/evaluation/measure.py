"""Quality of generated images, measured on held-out real pairs: images of validation masks beside the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.label_files import make_contiguous
from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.core.progress import count_progress
from rbc_lightning.core.recipe import Node
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.data.lineage import Ancestor
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.data.splits import to_look_at
from rbc_lightning.evaluation.distances import channel_wasserstein, kernel_distance_over_splits, nearest_distances
from rbc_lightning.evaluation.fcn_score import FcnScoreNetwork
from rbc_lightning.evaluation.held_out import HeldOut, ImageMeasures, gather_held_out
from rbc_lightning.evaluation.realism import BACKGROUND, CELLS, region_colors, rms_pairwise_difference, spread
from rbc_lightning.evaluation.result import QUALITY_FORMAT, Quality, QualitySamples
from rbc_lightning.masks import SampledMask
from rbc_lightning.metrics.average_precision import average_precision

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store
    from rbc_lightning.translators.base import Pixels, Translator

# Images of each mask that the FCN-score network sees; and of a part of it, of this side in pixels, for the colours alone:
# stains have a long tail, which four draws would miss.
STYLES, COLOR_STYLES, COLOR_SIDE = 4, 12, 256
_SUBSETS = 50
# Below the seeds of previews: other images are measured than the sheets show.
_STREAM = 1

Floats = NDArray[np.float64]


def measure_quality(translator: Translator, held_out: HeldOut, style: str, seed: int) -> Quality:
    """Generate images of held-out masks in several styles, and compare them with the real ones; writes nothing.

    They are generated as those of pairs are, every style of all masks being a stretch of a set: `Translator.paint_sampled`
    with `style`, the mode that pairs are made with. `seed` is `derive_seed(base seed, "preview")`.
    """
    generated: list[list[ImageMeasures]] = []
    colors: list[list[Floats]] = []
    total, spec = len(held_out.label_maps), held_out.spec
    with count_progress("Measuring generated images of held-out masks", total) as advance:
        for index, (label_map, painted) in enumerate(zip(held_out.label_maps, held_out.masks, strict=True)):

            def paint(mask: SampledMask, number: int, index: int = index) -> Pixels:
                own = np.random.SeedSequence([seed, _STREAM, index, number])
                return translator.paint_sampled(mask, own, style, number * total + index)

            mask, part = (SampledMask.from_label_map(each, spec.labels) for each in (painted, _centre(painted, spec)))
            generated.append([held_out.measure(paint(mask, number), label_map) for number in range(STYLES)])
            parts = (paint(part, STYLES + number) for number in range(COLOR_STYLES))
            colors.append([region_colors(image, spec.targets(part.label_map), spec) for image in parts])
            advance(index + 1, total)
    return _compare(held_out, generated, np.array(colors), seed)


@dataclass(frozen=True)
class QualityScorer:
    """Scores translators by the quality of their images; see `measure_quality` for the arguments."""

    held_out: HeldOut
    style: str
    seed: int

    def score(self, translator: Translator) -> float:
        """Faithfulness to the masks times diversity, see `Quality.score`."""
        return measure_quality(translator, self.held_out, self.style, self.seed).score


@dataclass(frozen=True, kw_only=True)
class QualityChooser(Node):
    """What `translator.choose=quality` chooses checkpoints by: images of at most so many validation pairs of the network."""

    kind = "quality"
    format = QUALITY_FORMAT

    network: FcnScoreNetwork
    images: int
    style: str
    seed: int

    @property
    def chosen_on(self) -> tuple[Ancestor, ...]:
        """The samples that have a say: all of validation, on which the network was chosen."""
        return self.network.val.ancestors

    def open(self, store: Store) -> QualityScorer:
        """Measure the real images, the network made first."""
        val = to_look_at(self.network.val.samples, self.images)
        held_out = gather_held_out(store.make(self.network), self.network.train, val)
        return QualityScorer(held_out, self.style, derive_seed(self.seed, "preview"))


def _compare(held_out: HeldOut, generated: Sequence[Sequence[ImageMeasures]], colors: Floats, seed: int) -> Quality:
    """Every measure of the generated images (masks by styles) beside its references; `colors` (masks, styles, 2, C)."""
    real, flat = held_out.real, held_out.flat
    # One image of each mask, where as many images as real ones must be compared.
    first = [styles[0] for styles in generated]
    every = [seen for styles in generated for seen in styles]
    targets = [{"boxes": label_map_to_boxes(label_map)} for label_map in held_out.label_maps]
    cells = {"": _nearest(first, held_out), "_real": _nearest(real, held_out), "_flat": _nearest(flat, held_out)}
    measures: dict[str, float] = {}
    for suffix, images, repeats in (("", every, STYLES), ("_real", real, 1), ("_flat", flat, 1)):
        measures[f"dice{suffix}"] = float(np.mean([seen.dice for seen in images]))
        asked = [target for target in targets for _ in range(repeats)]
        measures[f"ap50{suffix}"] = average_precision([seen.boxes for seen in images], asked)
        nearest = cells[suffix] if len(cells[suffix]) else [np.nan]
        measures[f"nearest_cell{suffix}"], measures[f"nearest_cell_p5{suffix}"] = np.percentile(nearest, (50, 5)).tolist()
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
        texture_diversity=float(
            np.mean([rms_pairwise_difference([seen.descriptor for seen in styles]) for styles in generated])
        ),
        # The features of a flat image are what its mask alone makes of them.
        texture_diversity_real=rms_pairwise_difference([r.descriptor - f.descriptor for r, f in zip(real, flat, strict=True)]),
        n_images=len(real),
        n_styles=STYLES,
        samples=_samples(held_out, generated, colors, cells[""], cells["_real"]),
    )


def _color_measures(held_out: HeldOut, generated: Floats, seed: int) -> dict[str, float]:
    """Spread, distance and diversity of mean colours; `generated` (masks, styles, 2, C)."""
    real, train = np.stack([seen.colors for seen in held_out.real]), held_out.train_colors
    measures: dict[str, float] = {}
    for region, name in ((BACKGROUND, "background"), (CELLS, "cell")):
        # Style by style: the spread and distance of few images depend on their number.
        by_style = generated[:, :, region].swapaxes(0, 1)
        rng = np.random.default_rng(seed)
        subsets = [train[:, region][rng.permutation(len(train))[: len(real)]] for _ in range(_SUBSETS)]
        measures[f"{name}_spread"] = _mean([spread(colors) for colors in by_style])
        measures[f"{name}_spread_real"] = spread(real[:, region])
        measures[f"{name}_spread_train"] = _mean([spread(colors) for colors in subsets])
        measures[f"{name}_distance"] = _mean([_distance(colors, real[:, region]) for colors in by_style])
        measures[f"{name}_distance_train"] = _mean([_distance(colors, real[:, region]) for colors in subsets])
    return measures | {
        "color_diversity": _mean([rms_pairwise_difference(styles.reshape(len(styles), -1)) for styles in generated]),
        "color_diversity_real": rms_pairwise_difference(real.reshape(len(real), -1)),
        "color_diversity_train": rms_pairwise_difference(train.reshape(len(train), -1)),
    }


def _samples(
    held_out: HeldOut, generated: Sequence[Sequence[ImageMeasures]], colors: Floats, nearest: Floats, nearest_real: Floats
) -> QualitySamples:
    real = np.stack([seen.colors for seen in held_out.real])
    of_images: dict[str, Any] = {}
    for suffix, values in (("", np.concatenate(list(colors))), ("_real", real), ("_train", held_out.train_colors)):
        for region, name in ((BACKGROUND, "background"), (CELLS, "cells")):
            of_images[f"{name}{suffix}"] = tuple(map(tuple, values[:, region].round(2).tolist()))
    return QualitySamples(
        sample_ids=tuple(sample.sample_id for sample in held_out.samples),
        dice=tuple(float(np.mean([seen.dice for seen in styles])) for styles in generated),
        dice_real=tuple(seen.dice for seen in held_out.real),
        nearest_cell=tuple(nearest.round(4).tolist()),
        nearest_cell_real=tuple(nearest_real.round(4).tolist()),
        **of_images,
    )


def _distance(first: Floats, second: Floats) -> float:
    """Wasserstein distance of mean colours (n, C); images without the region do not count."""
    known = [colors[~np.isnan(colors).any(axis=1)] for colors in (first, second)]
    return channel_wasserstein(known[0], known[1]) if all(map(len, known)) else float("nan")


def _centre(label_map: NDArray[np.int32], spec: ImageSpec) -> NDArray[np.int32]:
    top, left = (max(0, (length - COLOR_SIDE) // 2) for length in label_map.shape)
    part = label_map[top : top + COLOR_SIDE, left : left + COLOR_SIDE]
    return make_contiguous(part) if spec.labels == "instances" else part


def _mean(values: Sequence[float]) -> float:
    """Mean of what could be measured."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _nearest(images: Sequence[ImageMeasures], held_out: HeldOut) -> Floats:
    crops = np.concatenate([seen.crops for seen in images])
    return nearest_distances(crops, held_out.train_crops) if len(held_out.train_crops) else np.zeros(0)
