"""One threshold of one channel for all images, the best of the train split: the plainest floor. Nothing else is learnt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from rbc_lightning.data.sample import Sample
from rbc_lightning.metrics.instances import Instances, Prediction
from rbc_lightning.metrics.registry import Metric
from rbc_lightning.segmenters.illumination import Objects
from rbc_lightning.segmenters.postprocess import label_patches
from rbc_lightning.segmenters.threshold.cells import scored_by_solidity
from rbc_lightning.segmenters.threshold.head import inner_head
from rbc_lightning.segmenters.threshold.task import UntrainedTask


class Threshold(TypedDict):
    """A channel by its number from 0, and the value in [0, 1] beyond which its pixels are objects; their class of several."""

    channel: int
    level: float
    value: NotRequired[int]


class GlobalThresholdTask(UntrainedTask):
    """Objects are the 4-connected patches of pixels beyond one threshold of one channel; no background is subtracted.

    In standardised scans only the inside of the head is searched, see `inner_head`. What is found is of one class, of several
    the one that a threshold tells best: no other is found. A ValueError refuses arguments out of range.

    Args:
        global_threshold: See `Threshold`; that of `best_threshold` on the train split where a configuration has none.
        min_area: Smallest patch that is an object, pixels.
        net, metrics, objects, classes, standard: See `UntrainedTask` and `BaseTask`.
    """

    takes_classes: ClassVar[bool] = True

    def __init__(
        self,
        net: nn.Module,
        global_threshold: Mapping[str, float],
        min_area: int = 1,
        metrics: Mapping[str, Metric] | None = None,
        objects: Objects = "dark",
        classes: Sequence[str] | None = None,
        standard: Sequence[float] | None = None,
    ) -> None:
        super().__init__(net, metrics=metrics, objects=objects, classes=classes, standard=standard)
        if not isinstance(global_threshold, Mapping) or {*global_threshold} - {"value"} != {"channel", "level"}:
            raise ValueError(
                f"global_threshold must be channel and level, such as {{channel: 0, level: 0.5}}, got {global_threshold}."
            )
        if min_area < 1:
            raise ValueError(f"min_area must be at least 1 pixel, got {min_area}.")
        self.channel, self.level = int(global_threshold["channel"]), float(global_threshold["level"])
        self.min_area, self.value = min_area, int(global_threshold.get("value", 1))
        if classes and not 1 <= self.value <= len(classes):
            raise ValueError(f"global_threshold has value {self.value}, the classes have values 1 to {len(classes)}.")
        self.finds = classes[self.value - 1] if classes and len(classes) > 1 else None

    def predict_instances(self, image: Tensor) -> Instances:
        """Objects of one image, float (C, H, W) in [0, 1], see `scored_by_solidity`.

        Raises:
            ValueError: the image has no such channel.
        """
        if not 0 <= self.channel < len(image):
            raise ValueError(f"global_threshold has channel {self.channel}, the image has channels 0 to {len(image) - 1}.")
        every = image.detach().float().cpu().numpy()
        values = every[self.channel]
        mask = values > self.level if self.objects == "bright" else values < self.level
        if self.standard is not None:
            mask &= inner_head(every, self.standard)
        found = scored_by_solidity(label_patches(mask.astype(np.uint8), self.min_area))
        return replace(found, classes=np.full(len(found), self.value, np.int32)) if self.n_classes else found

    def predict(self, image: Tensor) -> Prediction:
        """The objects of one image; see `BaseTask.predict`."""
        return replace(super().predict(image), classes=self.predict_instances(image).class_map)


def best_threshold(samples: Iterable[Sample], objects: Objects) -> Threshold:
    """The threshold with the largest mean over images, or scans, of the Dice score with the labelled pixels.

    Of several classes it is that of one class, over the scans that have it: the class with the largest such mean.
    In standardised scans only the inside of the head counts, see `inner_head`. All places between two grey levels are tried. Of
    equally good ones it is the middle one, in the first channel that has any. Images are read one at a time.

    Args:
        samples: of the train split.
        objects: whether they are darker or brighter than what they lie on.

    Raises:
        ValueError: there is no sample.
    """
    counts: dict[int, dict[str, NDArray[np.int64]]] = {}
    low, high, several = 0, 0, False
    for sample in samples:
        low, high = map(int, sample.spec.value_range)
        several = len(sample.spec.class_names) > 1
        # As images are scaled to [0, 1]: what lies outside is cut off.
        image = np.clip(sample.load_image(), low, high).astype(np.int64) - low
        label_map, inside = sample.load_label_map(), np.ones(image.shape[:2], np.bool_)
        if sample.spec.standard is not None:
            inside = inner_head(image.transpose(2, 0, 1) / (high - low), sample.spec.standard)
        for value in range(1, len(sample.spec.class_names) + 1) if several else (1,):
            foreground = label_map == value if several else label_map > 0
            found = [_count_by_level(c, foreground, inside, high - low + 1, objects) for c in np.moveaxis(image, 2, 0)]
            of_class = counts.setdefault(value, {})
            of_class[sample.unit] = np.array(found) + of_class.get(sample.unit, 0)
    if not counts:
        raise ValueError("expected samples to find a threshold on, got none")
    if several:
        # A class that no cut finds a pixel of is not there.
        kept = {value: {unit: n for unit, n in of.items() if n[:, 0].any()} for value, of in counts.items()}
        counts = {value: of for value, of in kept.items() if of} or counts
    totals = {value: _total_dice(of_class.values()) for value, of_class in counts.items()}
    value = max(totals, key=lambda value: (totals[value].max() / len(counts[value]), -value))
    # What rounding alone sets apart is equally good.
    channels, cuts = np.nonzero(totals[value] >= totals[value].max() - 1e-9)
    best = cuts[channels == channels[0]]
    threshold: Threshold = {"channel": int(channels[0]), "level": (int(best[len(best) // 2]) - 0.5) / (high - low)}
    return {**threshold, "value": value} if several else threshold


def _total_dice(counts: Iterable[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Of each channel and cut, (C, n + 1): the sum over scans from counts (C, 2, n + 1) of each, see `_count_by_level`."""
    right, size = np.moveaxis(np.stack(list(counts)), 2, 0)
    # Nothing found of nothing is a full score, as in `dice_score`.
    return np.asarray(np.where(size > 0, 2 * right / np.maximum(size, 1), 1.0).sum(axis=0))


def _count_by_level(
    channel: NDArray[np.int64], foreground: NDArray[np.bool_], inside: NDArray[np.bool_], n_levels: int, objects: Objects
) -> NDArray[np.int64]:
    """Of each of the n + 1 cuts between n grey levels, (2, n + 1): pixels found rightly; pixels found and pixels labelled.

    Of cut c, levels below c lie on one side of it.
    """
    labelled, every = (np.bincount(values, minlength=n_levels) for values in (channel[foreground & inside], channel[inside]))
    right, found = (np.concatenate(([0], np.cumsum(counts))) for counts in (labelled, every))
    if objects == "bright":
        right, found = right[-1] - right, found[-1] - found
    return np.stack((right, found + np.count_nonzero(foreground)))
