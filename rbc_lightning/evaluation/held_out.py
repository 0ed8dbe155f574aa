"""What generated images are compared with: held-out real pairs and the training cells; and what is measured of any image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label as connected_components

from rbc_lightning.data.sample import Sample, common_spec
from rbc_lightning.data.spec import RGB, Image, ImageSpec, LabelMap
from rbc_lightning.evaluation.fcn_score import STRIDES, view
from rbc_lightning.evaluation.realism import cell_crops, region_colors, region_descriptor, region_means, window_means
from rbc_lightning.metrics.label_maps import dice_score
from rbc_lightning.segmenters.postprocess import split_cells
from rbc_lightning.segmenters.segmentation import SegmentationTask

# Side of the windows whose features the kernel distance compares, pixels: one to four cells; and windows per image.
_WINDOW, _MOST_WINDOWS = 64, 64

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ImageMeasures:
    """What is measured of one image, real or generated, against its label map.

    Attributes:
        colors: mean colours of background and cells, float64 (2, C), grey levels.
        windows: the FCN-score network's features averaged over windows, float64 (n, features).
        descriptor: see `region_descriptor`, on all of the network's feature maps.
        dice: of the network's foreground.
        boxes: of the network's patches of foreground, with `scores`.
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
    """The references, measured once for any number of translators.

    Attributes:
        network: from `FcnScoreNetwork`.
        samples, label_maps, real: held-out pairs, their label maps and images; of classes every patch counts as a cell.
        masks: what images are generated from: the label maps, of classes the values with what lies around.
        flat: the same masks, background and cells each in the mean colour of the real image: the texture-free baseline.
        train_colors: mean colours of the training images, float64 (m, 2, C).
        train_crops: of the training cells.
        spec: what the numbers of all images mean.
    """

    network: SegmentationTask
    samples: tuple[Sample, ...]
    label_maps: tuple[LabelMap, ...]
    masks: tuple[LabelMap, ...]
    real: tuple[ImageMeasures, ...]
    flat: tuple[ImageMeasures, ...]
    train_colors: Floats
    train_crops: NDArray[np.float32]
    spec: ImageSpec = RGB

    def measure(self, image: Image, label_map: LabelMap) -> ImageMeasures:
        """Measure an image (H, W, C) of a label map (H, W), as the held-out ones were."""
        return measure_image(self.network, image, label_map, self.spec)


def gather_held_out(network: SegmentationTask, train: Iterable[Sample], val: Sequence[Sample]) -> HeldOut:
    """Measure real images: held-out ones, and of training samples the colours and cells."""
    spec = common_spec(val)
    pairs = [(sample.load_image(), _cells(sample)) for sample in val]
    masks = tuple(sample.with_context().load_label_map() for sample in val)
    colors, crops = [], []
    for sample in train:
        pair = sample.load_image(), _cells(sample)
        colors.append(region_colors(*pair, spec))
        crops.append(cell_crops(*pair))
    label_maps = tuple(label_map for _, label_map in pairs)
    real = tuple(measure_image(network, *pair, spec) for pair in pairs)
    flat = tuple(measure_image(network, _flatten(*pair), pair[1], spec) for pair in pairs)
    return HeldOut(network, tuple(val), label_maps, masks, real, flat, np.stack(colors), np.concatenate(crops), spec)


def measure_image(network: SegmentationTask, image: Image, label_map: LabelMap, spec: ImageSpec = RGB) -> ImageMeasures:
    """Show the network an image (H, W, C), and compare what it sees with the label map (H, W)."""
    seen = view(network, image, spec)
    found = split_cells(seen.probability, object_threshold=network.threshold, max_hole_area=0)
    foreground = label_map > 0
    return ImageMeasures(
        colors=region_colors(image, label_map, spec),
        windows=window_means(seen.feature_maps[-1], _WINDOW // STRIDES[-1], _MOST_WINDOWS),
        descriptor=region_descriptor(seen.feature_maps, torch.from_numpy(foreground)),
        dice=dice_score(seen.probability > network.threshold, foreground),
        boxes=found.as_detections(),
        crops=cell_crops(image, label_map),
    )


def _cells(sample: Sample) -> LabelMap:
    label_map = sample.load_label_map()
    return label_map if sample.spec.labels == "instances" else connected_components(label_map > 0).astype(np.int32)


def _flatten(image: Image, label_map: LabelMap) -> Image:
    background, cells = np.nan_to_num(region_means(image, label_map)).round().astype(image.dtype)
    return np.asarray(np.where((label_map > 0)[..., None], cells, background), dtype=image.dtype)
