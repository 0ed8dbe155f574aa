"""Collects the cells found image by image and scores them, per image and over all images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.ops.average_precision import Interpolation, detections_by_image, first_hits, ranked_precision
from rbc_lightning.ops.coco_average_precision import coco_average_precision
from rbc_lightning.ops.instance_metrics import aggregated_jaccard_index, count_error, panoptic_quality
from rbc_lightning.ops.instances import Instances
from rbc_lightning.ops.labels import label_map_to_boxes

LabelMap = NDArray[np.integer]


class InstanceScores:
    """Average precision, counting error and, where label maps were found, AJI and panoptic quality of a set of images.

    Average precision ranks all cells, of all images together; what is counted or compared pixel by pixel are the cells of
    at least `score_threshold`, image by image, and the result is the mean over images, each with the same weight.

    Args:
        score_threshold: a cell of this score or a higher one counts as found, in [0, 1].

    Raises:
        ValueError: the threshold is outside [0, 1].
    """

    def __init__(self, score_threshold: float = 0.5) -> None:
        if not 0 <= score_threshold <= 1:
            raise ValueError(f"score_threshold must lie in [0, 1], got {score_threshold}")
        self.score_threshold = score_threshold
        self._predictions: list[dict[str, Any]] = []
        self._targets: list[dict[str, Any]] = []
        self._scores: list[NDArray[np.float64]] = []
        self._hits: list[NDArray[np.bool_]] = []
        self._rows: list[dict[str, float]] = []

    def update(self, found: Instances, label_map: LabelMap) -> dict[str, float]:
        """Add one image.

        Args:
            found: the cells found in it.
            label_map: integer (H, W), the truth; 0 is background.

        Returns:
            The scores of this image: `ap50` (VOC, area), `n_true`, `n_found`, `count_error`, and `aji` and `pq` if
            `found` has a label map.

        Raises:
            TypeError: a label map is not an integer array.
            ValueError: the label maps differ in shape, the map found has an id without a row, or boxes or scores have
                another shape than `Instances` says.
        """
        prediction, target = found.as_detections(), {"boxes": label_map_to_boxes(label_map)}
        (image,) = detections_by_image([prediction], [target])
        hits = first_hits(image, iou_threshold=0.5)
        n_true, n_found = len(image.targets), int(np.count_nonzero(found.scores >= self.score_threshold))
        row = {
            "ap50": ranked_precision(image.scores, hits, n_true),
            "n_true": float(n_true),
            "n_found": float(n_found),
            "count_error": count_error(n_found, n_true),
        }
        if found.label_map is not None:
            kept = self._kept_cells(found.label_map, found.scores)
            row["aji"] = aggregated_jaccard_index(kept, label_map)
            row["pq"] = panoptic_quality(kept, label_map).pq
        # Nothing is kept of an image that was refused above.
        self._predictions.append(prediction)
        self._targets.append(target)
        self._scores.append(image.scores)
        self._hits.append(hits)
        self._rows.append(row)
        return dict(row)

    @property
    def ap50(self) -> float:
        """Average precision at IoU 0.5 (VOC, area) over all images: the cheap one, made to be asked during training.

        Raises:
            ValueError: no image was added.
        """
        return self._voc("area")

    def compute(self) -> dict[str, float]:
        """Score all images added so far.

        Returns:
            `ap50` (VOC, area) and `ap50_11_point`, `ap` (COCO, mean over IoU 0.5 to 0.95), each over the cells of all
            images; `count_error` as mean over images; and means of `aji` and `pq` if every image had a label map.

        Raises:
            ValueError: no image was added.
        """
        scores = {
            "ap50": self._voc("area"),
            "ap50_11_point": self._voc("11-point"),
            "ap": coco_average_precision(self._predictions, self._targets),
        }
        for name in ("count_error", "aji", "pq"):
            if all(name in row for row in self._rows):
                scores[name] = float(np.mean([row[name] for row in self._rows]))
        return scores

    def _voc(self, interpolation: Interpolation) -> float:
        if not self._rows:
            raise ValueError("No image was added, so there is no score: call update() first.")
        n_targets = sum(len(target["boxes"]) for target in self._targets)
        return ranked_precision(np.concatenate(self._scores), np.concatenate(self._hits), n_targets, interpolation)

    def _kept_cells(self, label_map: LabelMap, scores: NDArray[np.float32]) -> LabelMap:
        """The label map found without the cells below the threshold."""
        if label_map.size and not 0 <= label_map.min() <= label_map.max() <= len(scores):
            found = f"from {label_map.min()} to {label_map.max()}"
            raise ValueError(f"expected ids from 0 to {len(scores)} for {len(scores)} cells found, got ids {found}")
        ids = np.arange(len(scores) + 1)
        ids[1:][scores < self.score_threshold] = 0
        return np.asarray(ids[label_map])
