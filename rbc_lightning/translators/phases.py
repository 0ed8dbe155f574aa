"""What the trainings of all GAN translators share as recipes; no heavy import before one begins."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbc_lightning.core.build import Spec, parameters_of
from rbc_lightning.core.recipe import Made_co, Recipe, aside
from rbc_lightning.core.trainer import TrainerSettings

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store
    from rbc_lightning.data.manifest import Samples
    from rbc_lightning.tracking.base import Tracking

EPOCHS = ("n_epochs", "n_epochs_decay")
"""Arguments of a task whose sum is how long it is trained."""


def arguments_of(task: Spec) -> dict[str, Any]:
    """Of a task's spec all values, those left to their defaults too, but for the description of the images."""
    known = parameters_of(task)
    defaults = {name: one.default for name, one in known.items() if one.default is not one.empty and name != "image"}
    return {**defaults, **task}


def steps_per_epoch(n_images: int, batch_size: int) -> int:
    """Optimiser steps in which so many images are generated."""
    return max(1, n_images // batch_size)


@dataclass(frozen=True, kw_only=True)
class AdversarialPhase(Recipe[Made_co]):
    """One training, with its checkpoints; a subclass trains by `training.fit_gan`.

    Args:
        train: samples that it is trained on.
        candidates: checkpoints kept before the last one, spread over the second half.
        seed: of the run.
        trainer: how it is trained.
        tracking: where the curves go.
        name: of the translator, by which its curves are looked for.
    """

    train: Samples
    candidates: int = 0
    seed: int
    trainer: TrainerSettings
    tracking: Tracking | None = aside(None)
    name: str = aside("translator")

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Images that an optimiser step generates."""

    @property
    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Of the task, see `arguments_of`."""

    @property
    def epoch_images(self) -> int:
        """Images that an epoch generates: as many as there are samples, unless a subclass says otherwise."""
        return len(self.train)

    @property
    def epochs(self) -> int:
        """Passes in which `epoch_images` are generated."""
        return sum(int(self.arguments[name]) for name in EPOCHS)

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.epochs * steps_per_epoch(self.epoch_images, self.batch_size)

    @abstractmethod
    def load_task(self, checkpoint: Path) -> Made_co:
        """The task of a checkpoint, on the CPU and in evaluation mode."""

    def load(self, directory: Path, store: Store) -> Made_co:  # noqa: ARG002 (all lies in the directory)
        """The task at the end of its training."""
        from rbc_lightning.core.training import LAST

        return self.load_task(directory / LAST)

    def done_units(self, directory: Path) -> int:
        """Optimiser steps of the epochs that an interrupted training has behind it."""
        from rbc_lightning.core.training import begun_epochs

        return begun_epochs(directory) * steps_per_epoch(self.epoch_images, self.batch_size)
