"""Segmentation: networks that give maps of logits, and the cells read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rbc_lightning.core.tiles import tile_windows
from rbc_lightning.metrics.instances import Instances, Prediction
from rbc_lightning.metrics.registry import Metric
from rbc_lightning.segmenters.base import BaseTask, Batch, names_of
from rbc_lightning.segmenters.illumination import Objects
from rbc_lightning.segmenters.losses import Loss, SoftDice
from rbc_lightning.segmenters.optimizers import ADAMW, ONE_CYCLE, MakeOptimizer, MakeSchedule, check_factory
from rbc_lightning.segmenters.postprocess import class_patches, split_cells
from rbc_lightning.segmenters.restarts import Restart

TILE_OVERLAP = 128
"""Pixels shared by two tiles: the seam in the middle lies two strides of FCN-8s from either border."""
SOFT_DICE = SoftDice()
NEUTRAL = 0.5
"""Where a threshold of a probability starts that is to be chosen."""


class SegmentationTask(BaseTask):
    """Trains and tests a network for cells against background (Bailo et al. 2019, Sec. 5.2), or for classes.

    The target is `label_map > 0`: one map, a sigmoid, a threshold. For several classes it is the label map itself: a map for
    each and for background, a softmax, and of each pixel the largest. Weights are then chosen by `val/mean_dice`, over the
    classes present without background. Logged beside what `BaseTask` logs: `train/loss`; `val/loss`, the mean over images.
    A ValueError refuses arguments out of range.

    Class attributes:
        thresholds: names of the attributes that turn probabilities into cells.
        grid: values of the threshold among which validation chooses.

    Attributes:
        to_choose: thresholds that were left open, by name, with the values among which validation chooses on the best
            weights after the training; it is validated with where they start. Without a metric behind `monitor` they
            stay there.

    Args:
        net: Network from (B, C, H, W) to logits per pixel (B, outputs, H, W); one output, of K > 1 classes K + 1.
        loss: Of logits and target (B, H, W), float; of several classes of logits (B, K + 1, H, W) and values (B, H, W), int64.
        threshold: Probability above which a pixel is foreground; None: chosen on validation.
        cell_size: Mean diameter of a cell in pixels, from which the smallest patch follows that is a cell; None keeps all.
        optimizer, schedule, tile, metrics, objects, classes, standard: See `BaseTask`.
        mirrored: Average an image's probabilities with those of its mirror image, left to right, in validation and use: for
            slices of heads, whose halves are alike.
        restart: When a training begins again with another seed; None: never.
    """

    monitor = "val/dice"
    validated: tuple[str, ...] = ("dice",)
    takes_classes: ClassVar[bool] = True
    gives_probabilities: ClassVar[bool] = True
    outputs: int = 1
    thresholds: tuple[str, ...] = ("threshold",)
    grid: ClassVar[tuple[float, ...]] = tuple(step / 20 for step in range(1, 20))
    least_area: ClassVar[float] = 0.1
    """Patches of foreground under this share of a mean cell's area are no cells."""

    def __init__(
        self,
        net: nn.Module,
        loss: Loss = SOFT_DICE,
        optimizer: MakeOptimizer = ADAMW,
        schedule: MakeSchedule | None = ONE_CYCLE,
        threshold: float | None = None,
        cell_size: float | None = None,
        tile: int | None = None,
        metrics: Mapping[str, Metric] | None = None,
        objects: Objects = "dark",
        classes: Sequence[str] | None = None,
        standard: Sequence[float] | None = None,
        mirrored: bool = False,
        restart: Restart | None = None,
    ) -> None:
        super().__init__(net, optimizer, schedule, metrics, objects, tile, classes, standard)
        check_factory("loss", loss, "logits", "target")
        if threshold is not None and not 0 < threshold < 1:
            raise ValueError(f"threshold must lie strictly between 0 and 1 or be None, got {threshold}.")
        if cell_size is not None and not cell_size > 0:
            raise ValueError(f"cell_size must be a positive diameter in pixels or None, got {cell_size}.")
        if tile is not None and tile < self.least_tile:
            raise ValueError(f"tile must be at least {self.least_tile} pixels or None, got {tile}.")
        if restart is not None and not isinstance(restart, Restart):
            raise ValueError(f"restart must be a rbc_lightning.segmenters.restarts.Restart or None, got {restart!r}.")
        self.loss, self.cell_size, self.mirrored, self.restart = loss, cell_size, mirrored, restart
        self.threshold = NEUTRAL if threshold is None else threshold
        self.to_choose: dict[str, tuple[float, ...]] = {"threshold": self.grid} if threshold is None else {}
        if self.n_classes > 1:
            self.outputs, self.to_choose, self.thresholds = self.n_classes + 1, {}, ()
            self.monitor, self.validated = "val/mean_dice", ("mean_dice", "dice")

    def forward(self, image: Tensor) -> Tensor:
        """Logits float32 (B, outputs, H, W) of images (B, C, H, W) in [0, 1]."""
        return self.logits(self.standardize(image))

    def logits(self, standardized: Tensor) -> Tensor:
        """Logits of images that are standardised already; see `forward`.

        Raises:
            ValueError: If the network has another number of outputs.
        """
        logits: Tensor = self.net(standardized.contiguous(memory_format=torch.channels_last))
        if logits.shape[1] != self.outputs:
            raise ValueError(
                f"{type(self).__name__} needs a network with {self.outputs} output channel{'s' * (self.outputs > 1)}, this "
                f"one has {logits.shape[1]}."
            )
        return logits.float()

    def total_loss(self, logits: Tensor, label_map: Tensor) -> Tensor:
        """The loss of the foreground, or of the classes."""
        return self.loss(logits, label_map) if self.n_classes > 1 else self.loss(logits[:, 0], (label_map > 0).float())

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of logits (B, outputs, H, W): each map's own; of several classes they add up to one."""
        return logits.softmax(1) if self.n_classes > 1 else logits.sigmoid()

    def training_step(self, batch: Batch) -> Tensor:
        """Loss of one batch."""
        loss = self.total_loss(self(batch["image"]), batch["label_map"])
        self.log("train/loss", loss, batch_size=len(batch["image"]))
        return loss

    def validation_step(self, batch: Batch) -> None:
        """Log the loss, score the images, each in one piece."""
        logits, label_maps = self(batch["image"]), batch["label_map"]
        probabilities = self.probabilities(logits)
        if self.mirrored:
            probabilities = (probabilities + self.probabilities(self(batch["image"].flip(-1))).flip(-1)) / 2
        every_maps, truths = probabilities.cpu().numpy(), label_maps.cpu().numpy()
        for index, (maps, truth) in enumerate(zip(every_maps, truths, strict=True)):
            loss = self.total_loss(logits[index : index + 1], label_maps[index : index + 1])
            self._validation.update(self.prediction(maps), truth, *names_of(batch, index), loss=loss.item())

    def predict_step(self, batch: Batch) -> Tensor:
        """Probability of foreground, float32 (B, H, W)."""
        maps = torch.stack([self.predict_maps(image) for image in batch["image"]])
        return 1 - maps[:, 0] if self.n_classes > 1 else maps[:, 0]

    def predict_maps(self, image: Tensor) -> Tensor:
        """Probabilities float32 (outputs, H, W) of one image (C, H, W) in [0, 1], in tiles if it is larger than `tile`.

        Every tile is standardised by the mean and deviation of the whole image; of the overlap of two tiles the first
        gives the outer 64 pixels, the second the rest.
        """
        maps = self._maps(image)
        return (maps + self._maps(image.flip(-1)).flip(-1)) / 2 if self.mirrored else maps

    def _maps(self, image: Tensor) -> Tensor:
        standard = self.standardize(image[None])
        height, width = image.shape[-2:]
        if self.tile is None or max(height, width) <= self.tile:
            return self.probabilities(self.logits(standard))[0]
        maps = torch.empty(self.outputs, height, width, device=image.device)
        for rows, columns in tile_windows(height, width, self.tile, TILE_OVERLAP):
            found = self.probabilities(self.logits(standard[..., rows, columns]))[0]
            top, left = (TILE_OVERLAP // 2 if side.start > 0 else 0 for side in (rows, columns))
            maps[:, rows.start + top : rows.stop, columns.start + left : columns.stop] = found[:, top:, left:]
        return maps

    def predict(self, image: Tensor) -> Prediction:
        """Foreground and cells of one image, float32 (C, H, W) in [0, 1]."""
        return self.prediction(self.predict_maps(image).detach().cpu().numpy())

    def set_thresholds(self, chosen: Mapping[str, float]) -> None:
        """Set those of `to_choose`; others stay as they were given."""
        for name in self.to_choose.keys() & chosen.keys():
            setattr(self, name, chosen[name])

    def predict_instances(self, image: Tensor) -> Instances:
        """Cells of one image, float32 (C, H, W) in [0, 1], with their label map."""
        return self.predict(image).cells

    def read_cells(self, maps: NDArray[np.float32]) -> Instances:
        """Cells of probability maps (outputs, H, W): each patch of foreground, or of a class, is one."""
        if self.n_classes:
            return class_patches(self._classes(maps), maps)
        return split_cells(maps[0], object_threshold=self.threshold, max_hole_area=0, min_area=self.min_area)

    @property
    def min_area(self) -> int:
        """Area in pixels under which a patch is no cell."""
        return 0 if self.cell_size is None else round(self.least_area * np.pi / 4 * self.cell_size**2)

    def prediction(self, maps: NDArray[np.float32]) -> Prediction:
        """Foreground and cells of probability maps (outputs, H, W), by the thresholds."""
        # Dice alone needs no cells: they are read when a metric asks.
        found = partial(self.read_cells, maps)
        if self.n_classes:
            classes = self._classes(maps)
            return Prediction(found, classes > 0, self.score_threshold, classes)
        return Prediction(found, maps[0] > self.threshold, self.score_threshold)

    def _classes(self, maps: NDArray[np.float32]) -> NDArray[np.integer]:
        """The value of each pixel, (H, W), of probability maps."""
        return np.asarray(maps.argmax(0)) if self.n_classes > 1 else (maps[0] > self.threshold).astype(np.int64)
