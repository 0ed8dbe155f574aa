"""What quality is measured on: the held-out real pairs and the training cells, and what is measured of any image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig

from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.ops.cell_crops import cell_crops
from rbc_lightning.ops.instances import split_cells
from rbc_lightning.ops.metrics import dice_score
from rbc_lightning.ops.painting_quality import region_colors, region_descriptor, window_means
from rbc_lightning.stages.inputs import Inputs
from rbc_lightning.stages.painting.judge import STRIDES, get_judge, view
from rbc_lightning.tasks.segmentation import SegmentationTask

# Side of the windows whose features the kernel distance compares, pixels: one to four cells; and windows per image.
_WINDOW, _MOST_WINDOWS = 64, 64

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ImageMeasures:
    """What is measured of one image, real or painted, against its label map.

    Attributes:
        colors: mean RGB of background and cells, float64 (2, 3), grey levels.
        windows: the judge's features averaged over windows, float64 (n, C).
        descriptor: see `region_descriptor`, on all of the judge's feature maps.
        dice: of the judge's foreground.
        boxes: of the judge's patches of foreground, with `scores`.
        crops: see `cell_crops`.
    """

    colors: Floats
    windows: Floats
    descriptor: Floats
    dice: float
    boxes: dict[str, Any]
    crops: NDArray[np.float32]


@dataclass(frozen=True)
class HeldOut:
    """The yardsticks, measured once for any number of translators.

    Attributes:
        judge: see `get_judge`.
        sample_ids: held-out pairs.
        label_maps: theirs, int32 (H, W).
        real: their images.
        flat: the same masks, background and cells each in the mean colour of the real image.
        train_colors: mean colours of the training images, float64 (m, 2, 3).
        train_crops: of the training cells.
    """

    judge: SegmentationTask
    sample_ids: tuple[str, ...]
    label_maps: tuple[NDArray[np.int32], ...]
    real: tuple[ImageMeasures, ...]
    flat: tuple[ImageMeasures, ...]
    train_colors: Floats
    train_crops: NDArray[np.float32]


def gather_held_out(cfg: DictConfig, inputs: Inputs) -> HeldOut:
    """Measure the real images: up to `translator.quality.images` of validation, and colours and cells of train."""
    records = inputs.manifest.split("val")[: cfg.translator.quality.images]
    judge = get_judge(cfg, inputs)
    pairs = [(read_image(record.image_path), read_label_map(record.label_path)) for record in records]
    train = [(read_image(r.image_path), read_label_map(r.label_path)) for r in inputs.manifest.split("train")]
    return HeldOut(
        judge,
        tuple(record.sample_id for record in records),
        tuple(label_map for _, label_map in pairs),
        tuple(measure_image(judge, image, label_map) for image, label_map in pairs),
        tuple(measure_image(judge, _flatten(image, label_map), label_map) for image, label_map in pairs),
        np.stack([region_colors(*pair) for pair in train]),
        np.concatenate([cell_crops(*pair) for pair in train]),
    )


def measure_image(judge: SegmentationTask, image: NDArray[np.uint8], label_map: NDArray[np.int32]) -> ImageMeasures:
    """Show the judge an image, uint8 (H, W, 3), and compare what it sees with the label map (H, W)."""
    seen = view(judge, image)
    found = split_cells(seen.probability, object_threshold=judge.threshold, max_hole_area=0)
    foreground = label_map > 0
    return ImageMeasures(
        colors=region_colors(image, label_map),
        windows=window_means(seen.feature_maps[-1], _WINDOW // STRIDES[-1], _MOST_WINDOWS),
        descriptor=region_descriptor(seen.feature_maps, torch.from_numpy(foreground)),
        dice=dice_score(seen.probability > judge.threshold, foreground),
        boxes=found.as_detections(),
        crops=cell_crops(image, label_map),
    )


def _flatten(image: NDArray[np.uint8], label_map: NDArray[np.int32]) -> NDArray[np.uint8]:
    background, cells = np.nan_to_num(region_colors(image, label_map)).round().astype(np.uint8)
    return np.asarray(np.where((label_map > 0)[..., None], cells, background), dtype=np.uint8)
