"""What every segmenter's task shares: optimiser and schedule, tests by the metrics given, the record of what was drawn."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from rbc_lightning.core.processes import gather, share_buffers
from rbc_lightning.errors import InputError
from rbc_lightning.metrics.instances import Instances, Prediction
from rbc_lightning.metrics.registry import Metric, choose_metrics
from rbc_lightning.metrics.scans import SlicePlace
from rbc_lightning.metrics.scores import Scores
from rbc_lightning.metrics.units import unit_names
from rbc_lightning.segmenters.illumination import Objects, standardize
from rbc_lightning.segmenters.optimizers import ADAMW, ONE_CYCLE, MakeOptimizer, MakeSchedule, check_factory

Batch = dict[str, Any]


class BaseTask(pl.LightningModule):
    """One network with its optimiser, schedule and metrics; subclasses train it and find objects with it.

    A batch is a dict: `image` float32 (B, C, H, W) in [0, 1], `label_map` int64 (B, H, W) with 0 = background,
    `sample_id` and `origin` lists of str, and where samples are slices `volume`, of each the scan, or an empty str, `place`
    and, where some predictions count neither way, `ignored`; see `SmearDataset`.

    A subclass has `training_step` and `predict_instances`; validation and test follow. Logged are `val/NAME` of the metrics
    in `validated`, `test/NAME` of all, and each epoch how many samples of each kind were trained on: `drawn/real`,
    `drawn/synthetic`, `drawn/augmented`. After a test, `per_image` holds one row per image: sample_id and the metrics that
    have a value of an image; slices of one scan have one row, the scan's. Test on one device: the rows are those of this
    process. Processes that share a training share the images of its validation; a mean that a `validation_step` of one's own
    logs is wrong where one has more than another.
    A ValueError refuses arguments out of range.

    Class attributes:
        monitor: the logged value by which weights are chosen.
        mode: whether it is to be small or large.
        validated: metrics of the validation.
        has_label_maps: whether objects are found with their pixels; else by boxes alone.
        takes_classes: whether it can tell classes of pixels; else it finds cells.
        gives_probabilities: whether it reads what it finds from maps of probabilities, of which ensembles take the mean.
        learns: whether there is anything to train; else the task is tested as it is built.

    Args:
        optimizer: Makes the optimiser of the network's trainable parameters.
        schedule: Makes the schedule of its learning rate, stepped once per optimiser step; None keeps it constant.
        metrics: Computed besides those that are registered, by name.
        objects: "dark" or "bright": how objects differ from what they lie on.
        tile: Images with a longer side are searched in overlapping tiles of this side, pixels; None: never.
        classes: Names of the values 1, 2, ... of label maps; None: values are the ids of cells.
        standard: Mean and deviation, in [0, 1], of scans standardised as a whole; None: each image is by its own.
    """

    monitor: str = "val/ap50"
    mode: ClassVar[Literal["min", "max"]] = "max"
    validated: tuple[str, ...] = ("ap50",)
    has_label_maps: ClassVar[bool] = True
    takes_classes: ClassVar[bool] = False
    gives_probabilities: ClassVar[bool] = False
    learns: ClassVar[bool] = True
    least_tile: int = 256
    """Smallest side of tiles that `set_tile` takes, pixels."""
    score_threshold: float = 0.5
    """From this score on an object counts as found."""
    tested: str = "test"
    """What a test logs its scores as, before the slash: the split."""

    def __init__(
        self,
        net: nn.Module,
        optimizer: MakeOptimizer = ADAMW,
        schedule: MakeSchedule | None = ONE_CYCLE,
        metrics: Mapping[str, Metric] | None = None,
        objects: Objects = "dark",
        tile: int | None = None,
        classes: Sequence[str] | None = None,
        standard: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        check_factory("optimizer", optimizer, "parameters")
        if schedule is not None:
            check_factory("schedule", schedule, "optimiser", "number of steps")
        if objects not in get_args(Objects):
            raise ValueError(f"objects must be {' or '.join(get_args(Objects))}, got {objects!r}.")
        if classes and not self.takes_classes:
            raise ValueError(f"{type(self).__name__} finds cells, and cannot tell classes ({', '.join(classes)}) apart.")
        # channels_last halves the time of a step in bf16 on a CPU and is never slower on a GPU.
        self.net = net.to(memory_format=torch.channels_last)
        self.optimizer, self.schedule = optimizer, schedule
        self.metrics = choose_metrics(self.has_label_maps, metrics or {}, classes)
        self.objects, self.tile, self.standard = objects, tile, standard
        self.n_classes = len(classes or ())
        self._validation, self._test = self._scores(), self._scores()

    @abstractmethod
    def predict_instances(self, image: Tensor) -> Instances:
        """Find the objects in one image, float32 (C, H, W) in [0, 1], on the task's device; the task in evaluation mode."""

    def predict(self, image: Tensor) -> Prediction:
        """What metrics compare with the truth of one image."""
        return Prediction(self.predict_instances(image), score_threshold=self.score_threshold)

    def set_tile(self, tile: int | None) -> None:
        """Predict images with a longer side in tiles of this side, pixels; None: whole.

        Raises:
            InputError: Tiles are too small.
        """
        if tile is not None and (isinstance(tile, bool) or not isinstance(tile, int) or tile < self.least_tile):
            raise InputError(
                f"predict.tile={tile}; expected {self.least_tile} pixels or more (tiles overlap), or null: no tiles"
            )
        self.tile = tile

    def metrics_about(self) -> dict[str, dict[str, Any]]:
        """Title and direction of every score that images have, by name: `title`, `higher_is_better`."""
        return {
            name: {"title": metric.title, "higher_is_better": metric.higher_is_better}
            for name, metric in self.metrics.items()
            if metric.value is not None and metric.higher_is_better is not None
        }

    def standardize(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) as the network sees them."""
        if self.standard is None:
            return standardize(image, self.objects)
        mean, deviation = self.standard
        return (image.float() - mean) / deviation

    def on_validation_epoch_start(self) -> None:
        """Start the validation scores afresh, in every process with the weights of the first."""
        share_buffers(self)
        self._validation = self._scores(*self.validated)

    def validation_step(self, batch: Batch) -> None:
        """Score the images."""
        label_maps = batch["label_map"].cpu().numpy()
        for index, (image, label_map) in enumerate(zip(batch["image"], label_maps, strict=True)):
            self._validation.update(self.predict(image), label_map, *names_of(batch, index))

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the validation, over the images of all processes."""
        parts = gather(self._validation.images)
        if len(parts) > 1:
            self._validation.join(parts)
        self.log_dict({f"val/{name}": value for name, value in self._validation.compute().items()}, sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Start the test scores afresh."""
        self._test = self._scores(*self.metrics)

    def test_step(self, batch: Batch) -> None:
        """Score the images."""
        label_maps = batch["label_map"].cpu().numpy()
        for index, (image, label_map) in enumerate(zip(batch["image"], label_maps, strict=True)):
            self._test.update(self.predict(image), label_map, *names_of(batch, index))

    def on_test_epoch_end(self) -> None:
        """Log the scores of the test."""
        self.log_dict({f"{self.tested}/{name}": value for name, value in self._test.compute().items()})

    @property
    def per_image(self) -> list[dict[str, float | str]]:
        """The rows of the test; see `Scores.rows`."""
        return self._test.rows()

    def units(self, metric: str) -> dict[str, Any]:
        """After a test, what the function of a metric gave of each image or scan; see `Scores.units`."""
        return self._test.units(metric)

    def left_out(self, groups: Mapping[str, str]) -> dict[str, dict[str, float]]:
        """After a test, the value of each pooled metric without one unit: by name and unit; see `Scores.left_out`.

        Args:
            groups: patient or slide of each row of `per_image` by sample_id, where it is known; see `unit_names`.
        """
        return self._test.left_out(unit_names([str(row["sample_id"]) for row in self.per_image], groups))

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:  # noqa: ANN401 (Lightning's)
        """Log the kinds of samples that this step was trained on, summed over the epoch and over all processes."""
        # Whatever was augmented counts as augmented alone. All at once: a GPU would send each element by itself.
        augmented = batch["augmented"].tolist() if "augmented" in batch else [False] * len(batch["origin"])
        kinds = ["augmented" if changed else origin for origin, changed in zip(batch["origin"], augmented, strict=True)]
        for kind in ("real", "synthetic", "augmented"):
            self.log(f"drawn/{kind}", float(kinds.count(kind)), on_step=False, on_epoch=True, reduce_fx="sum", sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser of the trainable parameters, and the schedule stepped once per optimiser step.

        Raises:
            ValueError: If the schedule needs the run's length and the trainer sets none.
        """
        optimizer = self.optimizer([parameter for parameter in self.net.parameters() if parameter.requires_grad])
        if self.schedule is None:
            return optimizer
        total_steps = self.trainer.estimated_stepping_batches
        if not math.isfinite(total_steps):
            raise ValueError(
                f"schedule {self.schedule!r} needs the length of the run: set max_steps or max_epochs of the trainer, "
                "or take schedule None for a constant learning rate."
            )
        scheduler = self.schedule(optimizer, int(total_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _scores(self, *names: str) -> Scores:
        return Scores(self.metrics[name] for name in names)


def names_of(batch: Batch, index: int) -> tuple[str, str, SlicePlace | None, NDArray[np.bool_] | None]:
    """Name, scan, place in it, and what is ignored, of a sample of a batch, as `Scores.update` takes them."""
    volumes, ignored = batch.get("volume"), batch.get("ignored")
    number, *spacing = batch["place"][index].tolist() if "place" in batch else [math.nan]
    place = None if math.isnan(number) else SlicePlace(int(number), (spacing[0], spacing[1], spacing[2]))
    marked = None if ignored is None else ignored[index].cpu().numpy()
    return batch["sample_id"][index], volumes[index] if volumes else "", place, marked
