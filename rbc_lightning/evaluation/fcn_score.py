"""The FCN-score network (Isola et al. 2017): trained on the real pairs of the train split alone, shown generated images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbc_lightning.core.progress import tell
from rbc_lightning.core.recipe import Recipe, Work, aside
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.core.training import begun_epochs
from rbc_lightning.data.conversions import to_unit
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.manifest import Samples
from rbc_lightning.data.spec import RGB, Image, ImageSpec
from rbc_lightning.segmenters.fcn8s.nets import FCN8s, TrunkFeatures
from rbc_lightning.segmenters.model import Model, TrainingSettings
from rbc_lightning.segmenters.segmentation import SegmentationTask
from rbc_lightning.segmenters.training import fit, is_begun, load_best
from rbc_lightning.tracking.base import Tracking, opened

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store

STRIDES = (8, 16)
"""Pixels per position of the two feature maps of a `NetworkView`."""
# Added to the seed of training: a run on real images must not be the twin of the network that its images are scored by.
_STREAM = 1


class NetworkView(NamedTuple):
    """What the network makes of one image: float32 (H, W) of a cell; (C, H // stride, W // stride) after pool3 and pool4."""

    probability: NDArray[np.float32]
    feature_maps: tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class FcnScoreNetwork(Recipe[SegmentationTask]):
    """An FCN-8s, the same whatever model a run trains: else each row of a table would choose another translator.

    It sees flipped real pairs of `train` only: mirror images are smears as well, and stronger augmentation would teach it to
    overlook what it should see. Its weights are chosen on `val`. Generated images take no part.
    """

    kind = "fcn_score"
    format = 4
    title = "FCN-score network"

    model: Model
    training: TrainingSettings
    train: Samples
    val: Samples
    seed: int
    trainer: TrainerSettings
    tracking: Tracking | None = aside(None)

    def build(self, directory: Path, store: Store) -> None:  # noqa: ARG002 (the samples lie in no store)
        """Train, or go on training."""
        seed = int(np.random.SeedSequence([derive_seed(self.seed, "training"), _STREAM]).generate_state(1)[0])
        torch.manual_seed(seed)
        task = self._model().build()
        data = PairDataModule.flipped(
            self.train,
            self.val,
            crop=self.training.crop,
            focus=self.training.focus,
            batch_size=self.training.batch_size,
            steps_per_epoch=self.training.steps_per_epoch,
            seed=seed,
            num_workers=self.trainer.num_workers,
        )
        tell(
            f"{'Resuming' if is_begun(directory) else 'Training'} the {self.title}, {self.model.name}, on {len(self.train)} "
            f"real pairs: {self.training.steps} steps"
        )
        with opened(self.tracking, directory, job=self.kind, tags=[self.model.name]) as loggers:
            fit(self.trainer, self.training, directory, task, data, seed=seed, loggers=loggers)

    def load(self, directory: Path, store: Store) -> SegmentationTask:  # noqa: ARG002 (nothing else is needed)
        """The task with the chosen weights, in evaluation mode, on the trainer's device."""
        task = load_best(directory, self._model()).eval().to(self.trainer.device)
        return cast(SegmentationTask, task)

    def work(self) -> Work:
        """Optimiser steps."""
        training = {name: getattr(self.training, name) for name in ("batch_size", "crop", "ema_decay")}
        numbers = {"trainer": self.trainer.numerics(), "spec": asdict(self.train.spec)}
        return Work(self.training.steps, "steps", {"model": self.model.decisive(), "training": training, **numbers})

    def done_units(self, directory: Path) -> int:
        """Steps after which an interrupted training would go on."""
        return begun_epochs(directory) * self.training.steps_per_epoch

    def _model(self) -> Model:
        """With what the images say; how large cells are matters to none of its numbers. Classes are one foreground to it."""
        spec = self.train.spec
        standard = {} if spec.standard is None else {"standard": list(spec.standard)}
        return self.model.with_facts({"in_channels": spec.n_channels, "objects": spec.objects, **standard})


@torch.inference_mode()
def view(network: SegmentationTask, image: Image, spec: ImageSpec = RGB) -> NetworkView:
    """Show the network, on any device, an image (H, W, C) in the type and range of `spec`."""
    caught: list[TrunkFeatures] = []
    net = cast(FCN8s, network.net)
    handle = net.trunk.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    try:
        tensor = torch.from_numpy(to_unit(image, spec).transpose(2, 0, 1).copy())[None].to(network.device)
        probability = network.predict_step({"image": tensor})[0]
    finally:
        handle.remove()
    # The network pads images to whole strides: positions that look at padding alone are left out.
    maps = [
        features[0, :, : max(1, image.shape[0] // stride), : max(1, image.shape[1] // stride)].float()
        for features, stride in zip((caught[0].pool3, caught[0].pool4), STRIDES, strict=True)
    ]
    return NetworkView(probability.float().cpu().numpy(), (maps[0], maps[1]))
