"""Thresholds of probability maps, chosen on validation once the weights are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

import torch

from rbc_lightning.core.training import autocast
from rbc_lightning.metrics.scores import Scores
from rbc_lightning.segmenters.base import Batch, names_of
from rbc_lightning.segmenters.segmentation import SegmentationTask

LEAST_SCANS = 3
"""Fewer validation scans choose no threshold: it would be that of one or two patients (README of experiments/novoselov_mri)."""


@dataclass(frozen=True)
class Chosen:
    """What a choice of thresholds found.

    Attributes:
        thresholds: those of the best score, by name.
        start: those that the training was validated with.
        metric: name of the metric of the task's `monitor`.
        score, start_score: its values with either.
        too_few: validation scans that were too few to choose, so that the thresholds are where they started; else None.
    """

    thresholds: Mapping[str, float]
    start: Mapping[str, float]
    metric: str
    score: float
    start_score: float
    too_few: int | None = None

    def line(self) -> str:
        """One line for the console."""
        chosen, start = (
            ", ".join(f"{name} {value:g}" for name, value in each.items()) for each in (self.thresholds, self.start)
        )
        if self.too_few is not None:
            scans = f"{self.too_few} validation scan{'s' if self.too_few > 1 else ''}"
            return f"Kept {start}: {scans}, of at least {LEAST_SCANS} that can choose ({self.metric} {self.start_score:.4f})"
        return f"Chose {chosen} by validation: {self.metric} {self.score:.4f} ({self.start_score:.4f} with {start})"


@torch.inference_mode()
def choose_thresholds(task: SegmentationTask, batches: Iterable[Batch], precision: str) -> Chosen:
    """Find the thresholds with the best score of the task's `monitor` among all that `to_choose` combines, and set them.

    Equal scores: those nearest to where they started, then the lowest. Each image is seen by the network once. Of slices of
    fewer than `LEAST_SCANS` scans they stay where they started.

    Args:
        task: on its device; it is left in evaluation mode.
        batches: of validation.
        precision: the trainer's, by its name or "auto".
    """
    names, metric = tuple(task.to_choose), task.monitor.removeprefix("val/")
    start = tuple(float(getattr(task, name)) for name in names)

    def far(values: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
        return round(sum(abs(a - b) for a, b in zip(values, start, strict=True)), 6), values

    tried = sorted({start, *product(*task.to_choose.values())}, key=far)
    scores = [Scores([task.metrics[metric]]) for _ in tried]
    volumes: set[str] = set()
    task.eval()
    for batch in batches:
        truths = batch["label_map"].cpu().numpy()
        for index, (image, truth) in enumerate(zip(batch["image"].to(task.device), truths, strict=True)):
            with autocast(task.device, precision):
                maps = task.predict_maps(image).float().cpu().numpy()
            volumes.add(names_of(batch, index)[1])
            for values, score in zip(tried, scores, strict=True):
                task.set_thresholds(dict(zip(names, values, strict=True)))
                score.update(task.prediction(maps), truth, *names_of(batch, index))
    found = [score.compute()[metric] for score in scores]
    too_few = None if "" in volumes or len(volumes) >= LEAST_SCANS else len(volumes)
    # The first of equal ones, which is the nearest; the first of all is the start.
    among = range(len(tried)) if too_few is None else range(1)
    best = (max if task.mode == "max" else min)(among, key=found.__getitem__)
    chosen = Chosen(
        thresholds=dict(zip(names, tried[best], strict=True)),
        start=dict(zip(names, start, strict=True)),
        metric=metric,
        score=found[best],
        start_score=found[0],
        too_few=too_few,
    )
    task.set_thresholds(chosen.thresholds)
    return chosen
