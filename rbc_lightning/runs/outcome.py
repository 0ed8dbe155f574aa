"""What a finished run leaves beside its scores: counts of what was drawn, a figure, and what an online service shows."""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning.loggers import Logger

from rbc_lightning.core.files import write_csv, write_rows
from rbc_lightning.data.conversions import to_rgb
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.splits import one_of_each_scan
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.metrics.scans import ScanLesions
from rbc_lightning.report.figures.runs import save_run_figure
from rbc_lightning.segmenters.base import BaseTask
from rbc_lightning.segmenters.segmentation import SegmentationTask
from rbc_lightning.study.run_record import LESIONS, PER_IMAGE
from rbc_lightning.study.tables import OPTIMISTIC
from rbc_lightning.tracking.base import Tracking
from rbc_lightning.tracking.wandb_tables import log_pairs, log_predictions, log_summary

Find = Callable[[Sample], Instances]
"""What the chosen weights find in a sample."""
Drawn = tuple[str, str, bool]
"""Origin and sample_id of a sample, and whether it was augmented."""
DRAWN = "drawn.csv"
_LOOKED_AT = 16
"""Generated samples among which the one to show is chosen."""


def write_counts(directory: Path, counts: Mapping[Drawn, int]) -> None:
    """Write `drawn.csv`: how often each sample was drawn."""
    rows = [(*key, count) for key, count in sorted(counts.items())]
    write_csv(directory / DRAWN, ("origin", "sample_id", "augmented", "draws"), rows)


def read_counts(path: Path) -> dict[Drawn, int]:
    """What `write_counts` wrote."""
    with path.open(newline="") as handle:
        return {
            (row["origin"], row["sample_id"], row["augmented"] == "True"): int(row["draws"]) for row in csv.DictReader(handle)
        }


def write_per_image(directory: Path, task: BaseTask, groups: Mapping[str, str], name: str = PER_IMAGE) -> None:
    """Write a table: sample_id, group (of `groups`, by sample_id) and scores of each image or scan that was tested."""
    rows = [{"sample_id": row["sample_id"], "group": groups[str(row["sample_id"])], **row} for row in task.per_image]
    write_rows(directory / name, rows)


def write_lesions(directory: Path, task: BaseTask, groups: Mapping[str, str]) -> None:
    """Write `lesions.csv` where whole scans were tested: of every true lesion scan, group, ml and whether it was touched."""
    scans: dict[str, ScanLesions] = task.units("lesion_recall")
    rows = [
        (name, groups[name], round(ml, 6), int(touched))
        for name, scan in scans.items()
        for ml, touched in zip(scan.ml.tolist(), scan.touched.tolist(), strict=True)
    ]
    if scans:
        write_csv(directory / LESIONS, ("sample_id", "group", "ml", "found"), rows)


def finite(scores: Mapping[str, float]) -> dict[str, float]:
    """Values over all images without those that are NaN, which JSON does not know: a reader takes them for not computed."""
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def without_units(task: BaseTask, groups: Mapping[str, str]) -> dict[str, dict[str, float | None]]:
    """`left_out` of metrics.json: pooled values without the images of one unit, by metric and unit; None for NaN."""
    return {
        name: {unit: value if math.isfinite(value) else None for unit, value in by_unit.items()}
        for name, by_unit in task.left_out(groups).items()
    }


def thresholds(task: BaseTask, split: str) -> dict[str, float | str | None]:
    """Each threshold of a task and, as NAME_chosen_on, the split on which it was chosen; None where it was given."""
    if not isinstance(task, SegmentationTask):
        return {}
    chosen = {f"{name}_chosen_on": split if name in task.to_choose else None for name in task.thresholds}
    return {name: getattr(task, name) for name in task.thresholds} | chosen


def draw(directory: Path, data: PairDataModule, find: Find, *, optimistic: bool) -> None:
    """Draw `figures/run.png`: a sample of each kind, and a test image with truth and findings; of a scan its fullest slice."""
    test, *_ = one_of_each_scan(data.manifest.split("test"))
    chosen = {kind: _shown(pool) for kind, pool in data.train_set.pools.items() if pool}
    panels = [(kind, sample.rgb(), sample.load_label_map()) for kind, sample in chosen.items()]
    mix, train = data.stream.mix, data.train_set
    if mix.augmented and train.augment is not None:
        sample = chosen[mix.augmented_from[0]]
        image, label_map = train.augment(sample.load_image(), sample.load_label_map(), train.seed)
        panels.append(("augmented", to_rgb(image, sample.spec), label_map))
    note = OPTIMISTIC if optimistic else ""
    path = directory / "figures" / "run.png"
    save_run_figure(path, panels, test.sample_id, test.rgb(), test.load_label_map(), find(test), note)


def _shown(pool: Sequence[Sample]) -> Sample:
    """The first, of a scan its fullest slice; of pictures of classes that belong to no scan the fullest of some."""
    first, *_ = one_of_each_scan(pool)
    if first.volume or first.spec.labels != "classes":
        return first
    return max(pool[:_LOOKED_AT], key=lambda sample: np.count_nonzero(sample.load_label_map()))


def show(
    tracking: Tracking,
    loggers: Sequence[Logger],
    data: PairDataModule,
    task: BaseTask,
    find: Find,
    record: Mapping[str, Any],
) -> None:
    """Give an online service, if one is asked for, the scores and pictures of a finished run."""
    pairs, test = data.train_set.pools.get("synthetic", ()), one_of_each_scan(data.manifest.split("test"))
    score = task.monitor.rsplit("/", maxsplit=1)[-1]
    tracking.show(loggers, "the summary", lambda run: log_summary(run, record))
    tracking.show(loggers, "predictions", lambda run: log_predictions(run, task.per_image, score, test, find))
    tracking.show(loggers, "synthetic pairs", lambda run: log_pairs(run, pairs))
