"""The training of a pair GAN as a recipe: what it draws from the train split, and how often."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.build import Spec, build
from rbc_lightning.core.files import to_plain
from rbc_lightning.core.progress import tell
from rbc_lightning.core.recipe import Work
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.data.manifest import Samples
from rbc_lightning.data.mix import SharedStream
from rbc_lightning.errors import InputError
from rbc_lightning.translators.phases import AdversarialPhase, arguments_of

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store
    from rbc_lightning.pairs.gan.task import PairGanTask


@dataclass(frozen=True, kw_only=True)
class PairGanPhase(AdversarialPhase["PairGanTask"]):
    """A trained `PairGanTask`.

    Args:
        task: the task's `_target_` and arguments; image channels and condition are those of the samples.
        steps: of the generator.
        steps_per_epoch: of these, between two checkpoints.
        batch_size: pairs that a step of either network generates.
        height: tell both networks how high in its scan a slice lies; without effect on samples that are no slices.
        labelled: share of the draws from samples that show something labelled, where some show nothing; None: as they come.
        n_targets: values of label maps that count as labelled; None: all.
        focus: share of the crops that lie about something labelled.
    """

    kind: ClassVar[str] = "pair_gan"
    title: ClassVar[str] = "pair GAN training"

    task: Spec
    steps: int = 1
    steps_per_epoch: int = 1
    batch_size: int = 1
    height: bool = True
    labelled: float | None = None
    n_targets: int | None = None
    focus: float = 0

    def settings(self) -> dict[str, Any]:
        """Of the task all arguments, those left to their defaults too."""
        found = {**super().settings(), "task": self.arguments, "height": self.conditioned}
        return {name: value for name, value in found.items() if name != "n_targets" or value is not None}

    @property
    def epochs(self) -> int:
        """Parts of the training between two checkpoints."""
        return self.steps // self.steps_per_epoch

    @property
    def epoch_images(self) -> int:
        """See `AdversarialPhase`."""
        return self.steps_per_epoch * self.batch_size

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """See `AdversarialPhase`; the samples' key holds the description of the images."""
        return arguments_of(self.task)

    @property
    def conditioned(self) -> bool:
        """Whether heights are used."""
        return self.height and all(sample.slice is not None for sample in self.train)

    @cached_property
    def values(self) -> tuple[frozenset[int], ...]:
        """Of every sample the values of its label map but 0."""
        return tuple(frozenset(np.unique(label_map).tolist()) - {0} for label_map in self.train.label_maps())

    @cached_property
    def shows(self) -> tuple[bool, ...]:
        """Of every sample whether it shows something labelled."""
        return tuple(any(self.n_targets is None or value <= self.n_targets for value in found) for found in self.values)

    @property
    def share(self) -> float | None:
        """`labelled`, where some samples show something labelled and some do not."""
        return self.labelled if any(self.shows) and not all(self.shows) else None

    @property
    def chances(self) -> NDArray[np.float64]:
        """How likely it is that a draw of the training is of this sample, float64 (n,) with sum 1."""
        some = np.array(self.shows)
        if self.share is None:
            return np.full(len(some), 1 / len(some))
        return np.asarray(np.where(some, self.share / some.sum(), (1 - self.share) / (~some).sum()))

    def build(self, directory: Path, store: Store) -> None:  # noqa: ARG002 (the samples lie in no store)
        """Train."""
        import torch

        from rbc_lightning.core.training import LAST
        from rbc_lightning.translators.training import fit_gan

        seed = derive_seed(self.seed, "translator")
        torch.manual_seed(seed)
        task = self._task()
        if self.conditioned:
            task.use_conditions(slice_heights(self.train))
        hparams = task.hparams
        again = " (resumed)" if (directory / LAST).is_file() else ""
        tell(
            f"Training {self.name}{again}: {self.steps} steps of {self.batch_size} pairs of {hparams['size']} px, critic "
            f"{hparams['n_critic']} : 1, on {len(self.train)} images, {sum(self.shows)} of them with something labelled"
        )
        fit_gan(
            self,
            directory,
            task,
            job=self.kind,
            crop=hparams["size"],
            samples_per_image=hparams["n_critic"],
            focus=self.focus,
            stream=None if self.share is None else SharedStream(self.shows, self.share, seed),
        )

    def _task(self) -> PairGanTask:
        """Untrained; an `InputError` names a setting that is refused."""
        image = to_plain(asdict(self.train.spec))
        task: PairGanTask = build({**self.task, "_recursive_": False}, "pairs.task", image=image, conditioned=self.conditioned)
        return task

    def load_task(self, checkpoint: Path) -> PairGanTask:
        """See `AdversarialPhase`."""
        from rbc_lightning.pairs.gan.task import PairGanTask

        return PairGanTask.load_from_checkpoint(checkpoint, weights_only=True, map_location="cpu").eval()

    def work(self) -> Work:
        """Steps of the generator, each with those of the critic."""
        data = [self.train.samples[0].size, asdict(self.train.spec)]
        about = [self.arguments, self.batch_size, self.conditioned, self.trainer.numerics(), to_plain(data)]
        return Work(self.steps, "steps", about)

    def check_samples(self, *, one_patient: bool) -> None:
        """Refuse, with an `InputError`, samples of one patient alone, a class that none shows, small images, and settings.

        Of `one_patient` that was asked for, what a GAN makes of it is the very question.
        """
        spec, size = self.train.spec, int(self.arguments["size"])
        for sample in self.train:
            if min(sample.size) < size:
                height, width = sample.size
                raise InputError(
                    f"pairs.task.size={size} px, and {sample.sample_id!r} has {height} x {width}; expected images of at least "
                    "that size: lower training.crop, or pairs.task.size and training.crop"
                )
        groups = {sample.group for sample in self.train}
        if len(groups) == 1 and not one_patient:
            raise InputError(
                f"all {len(self.train)} training images are of one patient or slide, {groups.pop()!r}, which a GAN would copy; "
                "expected at least two: add some, or take pairs=translated"
            )
        found = {value for values in self.values for value in values}
        missing = [name for value, name in enumerate(spec.class_names or spec.classes[:1], start=1) if value not in found]
        if missing:
            raise InputError(
                f"none of the {len(self.train)} training label maps shows {missing[0]!r}, whose mask a GAN would learn as "
                "empty; expected some: check the masks, or leave it out of data.targets"
            )
        import torch

        # Of shapes alone: its settings are refused before anything is written.
        with torch.device("meta"):
            self._task()


def slice_heights(samples: Samples) -> dict[str, float]:
    """How high slices lie in their scan, by sample_id: 0 = the lowest of its slices here, 1 = the highest."""
    ends: dict[str, tuple[int, int]] = {}
    for sample in samples:
        assert sample.slice is not None
        low, high = ends.get(sample.unit, (sample.slice, sample.slice))
        ends[sample.unit] = min(low, sample.slice), max(high, sample.slice)
    heights = {}
    for sample in samples:
        assert sample.slice is not None
        low, high = ends[sample.unit]
        heights[sample.sample_id] = (sample.slice - low) / max(1, high - low)
    return heights
