"""How well two annotators of the test images agree: a ceiling of what a score against one of them can tell."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from rbc_lightning.core.files import write_rows
from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.spec import LabelMap
from rbc_lightning.metrics.instances import Instances, Prediction
from rbc_lightning.metrics.registry import Metric
from rbc_lightning.metrics.scans import SlicePlace
from rbc_lightning.metrics.scores import Scores
from rbc_lightning.study.run_record import AGREEMENT


def write_agreement(directory: Path, samples: Iterable[Sample], metrics: Iterable[Metric]) -> None:
    """Write `agreement.csv`: sample_id, group and, as in per_image.csv, every metric that has a value of an image.

    The second annotation stands in the place of a prediction, its cells with a score of 1, and the first is the truth. Samples
    without a second one have no row; without any row there is no file. Slices of one scan have one row.

    Raises:
        InputError: a second label map is damaged, or not of its image's size.
    """
    scores, groups = Scores(metric for metric in metrics if metric.value is not None), {}
    for sample in samples:
        second = sample.load_second_label_map()
        if second is not None:
            prediction = _as_prediction(second, bool(sample.spec.class_names))
            place = SlicePlace(*sample.place) if sample.place else None
            scores.update(prediction, sample.load_label_map(), sample.sample_id, sample.volume or "", place)
            groups[sample.unit] = sample.group
    rows = [{"sample_id": row["sample_id"], "group": groups[str(row["sample_id"])], **row} for row in scores.rows()]
    if rows:
        write_rows(directory / AGREEMENT, rows)
    else:
        # An interrupted attempt may have had some.
        (directory / AGREEMENT).unlink(missing_ok=True)


def _as_prediction(label_map: LabelMap, has_classes: bool) -> Prediction:
    boxes = label_map_to_boxes(label_map)
    found = Instances(boxes, np.ones(len(boxes), np.float32), label_map)
    return Prediction(found, label_map > 0, classes=label_map if has_classes else None)
