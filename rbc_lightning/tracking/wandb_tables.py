"""What a run of Weights & Biases shows beside its curves: scores in the summary, tables of images, sheets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.conversions import to_rgb
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.splits import evenly
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.report.figures.runs import color_labels, draw_cells, outline_cells, shade_classes
from rbc_lightning.tracking.base import OpenRun

PREDICTIONS = "predictions"
SYNTHETIC = "synthetic"
_MOST_PREDICTIONS = 16
_MOST_PAIRS = 8
# Pixels of a shown image's longer side: a table of whole smears would be hundreds of megabytes.
_LONGEST = 768
_BLUE = (0, 114, 178)


def log_summary(run: OpenRun, metrics: Mapping[str, Any]) -> None:
    """Write a metrics record into the run's summary; what lies deeper as "mix/real"."""
    run.summary.update(dict(_flat(metrics)))


def log_predictions(
    run: OpenRun, rows: Sequence[Mapping[str, Any]], score: str, samples: Sequence[Sample], find: Callable[[Sample], Instances]
) -> None:
    """Log a table of test images, from the worst score to the best: image, truth, prediction, all scores.

    `rows` have the scores of each sample, or of the scan that it is a slice of, beside its `sample_id`; `find` finds the cells
    in one by the chosen weights.
    """
    import wandb

    by_id = {sample.unit: sample for sample in samples}
    ranked = sorted(rows, key=lambda row: float(row[score]))
    # The worst and the best, and some all along between them.
    shown = [*ranked[:1], *evenly(ranked[1:-1], _MOST_PREDICTIONS - 2), *ranked[1:][-1:]]
    names = [name for name in shown[0] if name != "sample_id"]
    table = wandb.Table(columns=["sample_id", "image", "truth", "prediction", *names])
    for row in shown:
        sample = by_id[str(row["sample_id"])]
        panels = _panels(to_rgb(sample.load_image(), sample.spec), sample.load_label_map(), find(sample))
        table.add_data(sample.sample_id, *map(wandb.Image, panels), *(row[name] for name in names))
    run.log({PREDICTIONS: table})


def log_pairs(run: OpenRun, samples: Sequence[Sample]) -> None:
    """Log a table of the first synthetic pairs: label map and generated image."""
    import wandb

    if not samples:
        return
    table = wandb.Table(columns=["sample_id", "label_map", "image", "cells"])
    for sample in samples[:_MOST_PAIRS]:
        image, label_map = _shrink(to_rgb(sample.load_image(), sample.spec), sample.load_label_map())
        cells = int(np.count_nonzero(np.unique(label_map)))
        table.add_data(sample.sample_id, wandb.Image(color_labels(label_map)), wandb.Image(image), cells)
    run.log({SYNTHETIC: table})


def log_sheets(run: OpenRun, sheets: Mapping[str, Path]) -> None:
    """Log pictures by name, each a file; as images, whose files lie beside the run's own wherever it is moved."""
    import wandb

    run.log({f"sheets/{name}": wandb.Image(str(path)) for name, path in sheets.items()})


def _panels(image: NDArray[np.uint8], truth: NDArray[np.int32], found: Instances) -> tuple[NDArray[np.uint8], ...]:
    """The image, the image with its true cells, and with those that were found; drawn after shrinking, so that lines stay."""
    small, small_truth = _shrink(image, truth)
    scale = small.shape[0] / image.shape[0]
    label_map = None if found.label_map is None else _shrink_labels(found.label_map, small.shape[:2])
    small_found = Instances((found.boxes * scale).astype(np.float32), found.scores, label_map, found.classes)
    has_classes = found.classes is not None
    drawn = shade_classes(small, small_truth) if has_classes else outline_cells(small, small_truth, _BLUE)
    return small, drawn, draw_cells(small, small_found)


def _shrink(image: NDArray[np.uint8], label_map: NDArray[np.int32]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    scale = _LONGEST / max(image.shape[:2])
    if scale >= 1:
        return image, label_map
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return small, _shrink_labels(label_map, (height, width))


def _shrink_labels(label_map: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.int32]:
    # By index and not by OpenCV, whose nearest neighbour keeps no ids above 65,535.
    rows, columns = ((np.arange(n) * side) // n for n, side in zip(size, label_map.shape, strict=True))
    small: NDArray[np.int32] = label_map[rows[:, None], columns]
    return small


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        yield from _flat(value, f"{prefix}{key}/") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
