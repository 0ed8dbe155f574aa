"""A run without training: a model that learns nothing, tested and recorded as every other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from rbc_lightning.core.progress import tell
from rbc_lightning.core.recipe import Node, Work, aside
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.core.training import build_trainer
from rbc_lightning.data.augment import TrainingAugmentation
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.mix import Mix
from rbc_lightning.runs.recipe import Protocol, TrainedSegmenter
from rbc_lightning.segmenters.base import BaseTask
from rbc_lightning.segmenters.model import Model, TrainingSettings
from rbc_lightning.segmenters.threshold.task import UntrainedTask
from rbc_lightning.study.tables import WITHOUT_TRAINING

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store

_PRECISION = "32-true"  # nothing is gained by less


@dataclass(frozen=True, kw_only=True)
class UntrainedSegmenter(TrainedSegmenter):
    """A model that learns nothing, tested on the test split; its directory is a run directory without checkpoints.

    Data and model decide it: mix, training, protocol, seed and trainer have no effect, so that all columns of a sweep share one
    run for each cut of validation from train (training cells tell their size). Nothing is chosen: it is never optimistic.

    Args:
        data, model, manifest, tracking, labels: see `TrainedSegmenter`.
        seed: of no effect; the base seed names the run.
        trainer: where it is tested.
        mix, training, augmentation, synthetic, protocol: of no effect.
    """

    format: ClassVar[int] = 2

    mix: Mix = aside(Mix(real=1, synthetic=0, augmented=0))
    training: TrainingSettings = aside(TrainingSettings(steps=1, steps_per_epoch=1, batch_size=1))
    augmentation: TrainingAugmentation = aside(TrainingAugmentation())
    synthetic: Node | None = aside(None)
    protocol: Protocol = aside("held_out")
    seed: int = aside(0)
    trainer: TrainerSettings = aside(TrainerSettings())

    def parts(self) -> dict[str, Any]:
        """The settings that decide the run, apart from data: those of the model."""
        return {
            "base": {"model": self.model.decisive(), **self._of_classes(), **self._scored()},
            "augmented": None,
            "synthetic": None,
        }

    def settings(self) -> dict[str, Any]:
        """Those that decide the run; see `Recipe`."""
        return super().settings() | self._of_classes()

    def _of_classes(self) -> dict[str, str]:
        """Of several classes one is chosen, where formerly it was the first."""
        return {"class": "chosen"} if len(self.manifest.spec.class_names) > 1 else {}

    def work(self) -> Work:
        """Nothing worth a plan: seconds."""
        return Work(0, "steps", None)

    def done_units(self, directory: Path) -> int:  # noqa: ARG002 (the interface's)
        """None: a test begins anew."""
        return 0

    @property
    def _column(self) -> str:
        return WITHOUT_TRAINING

    @property
    def _steps(self) -> int:
        return 0

    def _train(
        self,
        directory: Path,
        store: Store,  # noqa: ARG002 (the interface's)
        model: Model,
        task: BaseTask,
        data: PairDataModule,
        loggers: Sequence[Logger],
    ) -> tuple[pl.Trainer, float | None, PairDataModule]:
        """Train nothing; gives a trainer of one process, for the test."""
        finds = _finds(task)
        tell(f"Testing {model.name}, which learns nothing{f' and finds {finds} alone' if finds else ''}, on the test images")
        alone = replace(self.trainer, devices=1, strategy="auto", precision=_PRECISION)
        return build_trainer(alone, directory, seed=0, callbacks=[], loggers=loggers), None, data

    def _record(self, task: BaseTask, facts: Mapping[str, Any], best: float | None) -> dict[str, Any]:
        record = super()._record(task, facts, best)
        # No weights were chosen, on no split, by no value.
        del record[task.monitor]
        nothing = dict.fromkeys(("real", "synthetic", "augmented", "total"), 0)
        finds = _finds(task)
        record |= {"finds": finds} if finds else {}
        return {**record, "mix": nothing, "selected_on": None, "precision": _PRECISION}


def _finds(task: BaseTask) -> str | None:
    """The one of several classes that the task finds; None where it finds all there is."""
    return task.finds if isinstance(task, UntrainedTask) else None
