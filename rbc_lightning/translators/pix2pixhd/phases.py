"""The trainings of pix2pixHD: the GAN at reduced or full size, then the enhancer on the styles that the GAN gave every cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rbc_lightning.core.build import Spec, build
from rbc_lightning.core.files import file_sha256, write_arrays
from rbc_lightning.core.progress import tell
from rbc_lightning.core.recipe import Work, aside
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.errors import InputError, blaming
from rbc_lightning.translators.phases import EPOCHS, AdversarialPhase, arguments_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbc_lightning.core.store import Store
    from rbc_lightning.data.manifest import Samples
    from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask

# Arguments of the task that change neither weights nor images.
_NO_MATTER = ("compile", "checkpoint_activations")


@dataclass(frozen=True)
class PhaseSettings:
    """What one phase trains, and on what.

    Args:
        task: the spec of a `Pix2PixHDTask`.
        crop: side of the training crops in pixels of the original image; None for whole images.
        batch_size: images of an optimiser step.
    """

    task: Spec
    crop: int | None
    batch_size: int

    def decisive(self) -> dict[str, Any]:
        """What decides the weights, defaults too; a file of the perceptual term's weights counts by content."""
        task = {name: value for name, value in self.arguments.items() if name not in _NO_MATTER}
        perceptual = task["perceptual"]
        if perceptual is None:
            del task["lambda_perceptual"]
        elif Path(perceptual).is_file():
            task["perceptual"] = file_sha256(Path(perceptual))
        return {"task": task, "crop": self.crop, "batch_size": self.batch_size}

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """See `arguments_of`."""
        return arguments_of(self.task)

    def build_task(self, seed: int) -> Pix2PixHDTask:
        """The task, its weights drawn from the run's seed."""
        import torch

        stage = self.task.get("stage", 1)
        torch.manual_seed(derive_seed(seed, "translator") + stage - 1)
        # The names of what differs from `translator.task` belong into the message.
        task: Pix2PixHDTask = build(self.task, "translator.task with translator.stage2" if stage == 2 else "translator.task")
        return task


@dataclass(frozen=True, kw_only=True)
class GanPhase(AdversarialPhase["Pix2PixHDTask"]):
    """One training, of `gan`; see the two subclasses."""

    format: ClassVar[int] = 5
    number: ClassVar[int]

    gan: PhaseSettings

    @property
    def batch_size(self) -> int:
        """See `AdversarialPhase`."""
        return self.gan.batch_size

    @property
    def arguments(self) -> dict[str, Any]:
        """See `AdversarialPhase`."""
        return self.gan.arguments

    def load_task(self, checkpoint: Path) -> Pix2PixHDTask:
        """See `AdversarialPhase`; what only training needs is left away."""
        from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask

        # Without the perceptual network: generating images must not depend on its file.
        unneeded: dict[str, Any] = {"perceptual": None, "compile": False}
        return Pix2PixHDTask.load_from_checkpoint(checkpoint, weights_only=True, map_location="cpu", **unneeded).eval()

    def work(self) -> Work:
        """Its optimiser steps."""
        sizes = [sample.size for sample in self.train]
        pixels = round(float(np.mean([height * width for height, width in sizes]))) if sizes else 0
        gan = self.gan.decisive()
        task = {name: value for name, value in gan["task"].items() if name not in EPOCHS}
        about = {**gan, "task": task, "pixels": pixels, **self.trainer.numerics()}
        return Work(self.steps, "steps", about)

    def _fit(self, directory: Path, task: Pix2PixHDTask) -> None:
        from rbc_lightning.translators.training import fit_gan

        crop = fitting_crop(self.train, self.gan.crop)
        region = "whole images" if crop is None else f"crops of {crop} px"
        smaller = f", made {task.hparams['shrink']:g} times smaller" if task.hparams["shrink"] != 1 else ""
        perceptual = "" if task.hparams["perceptual"] else " The VGG term is off (translator.task.perceptual)."
        tell(
            f"Training the translator, stage {self.number}: {self.epochs} epochs of {len(self.train)} images, "
            f"{region}{smaller}.{perceptual}"
        )
        fit_gan(self, directory, task, job=f"translator_stage{self.number}", crop=crop)


@dataclass(frozen=True, kw_only=True)
class GanPhase1(GanPhase):
    """Generator and encoder against the discriminators.

    Args:
        enhancer: what phase 2 will train; checked before this training begins, which may take hours.
    """

    kind: ClassVar[str] = "gan_stage1"
    title: ClassVar[str] = "GAN, stage 1,"
    number: ClassVar[int] = 1

    enhancer: PhaseSettings | None = aside(None)

    def build(self, directory: Path, store: Store) -> None:  # noqa: ARG002 (made of the samples alone)
        """Check both phases, and train."""
        _check_batches(self.train, self.gan)
        task = self.gan.build_task(self.seed)
        if self.enhancer is not None:
            _check_batches(self.train, self.enhancer)
            with blaming("translator.stage2"):
                self.enhancer.build_task(self.seed).start_from(task)
            # Drawn anew: what is random in a task must not depend on this check.
            task = self.gan.build_task(self.seed)
        self._fit(directory, task)


@dataclass(frozen=True, kw_only=True)
class GanPhase2(GanPhase):
    """The enhancer around the generator of phase 1, which gives the styles of the training cells, too."""

    kind: ClassVar[str] = "gan_stage2"
    title: ClassVar[str] = "GAN, stage 2,"
    number: ClassVar[int] = 2

    first: GanPhase1

    def build(self, directory: Path, store: Store) -> None:
        """Train on the styles that phase 1 gave to every training cell."""
        from rbc_lightning.core.training import LAST

        task, first = self.gan.build_task(self.seed), store.make(self.first)
        task.use_styles(stored_styles(first, self.train, directory / "stored_styles.npz"))
        if not (directory / LAST).is_file():
            task.start_from(first)
        self._fit(directory, task)


def whole_samples(train: Samples) -> Iterator[Mapping[str, Any]]:
    """The training samples uncropped, as dicts of tensors; see `SmearDataset`."""
    from rbc_lightning.data.stream import SmearDataset

    samples = SmearDataset(train)
    return (samples[index] for index in range(len(samples)))


def stored_styles(first: Pix2PixHDTask, train: Samples, path: Path) -> dict[str, NDArray[np.float32]]:
    """Style vectors of every instance of the training images, by sample_id (N, S); written to `path` once."""
    from rbc_lightning.translators.pix2pixhd.instance_styles import encode_samples

    if not path.is_file():
        styles = encode_samples(first, whole_samples(train))
        write_arrays(path, {style.sample_id: style.vectors for style in styles})
    with np.load(path, allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def fitting_crop(train: Samples, crop: int | None) -> int | None:
    """The crop, no larger than the smallest image: styles are kept by id, and continuing an image would make new ids."""
    return None if crop is None else min(crop, *(min(sample.size) for sample in train))


def _check_batches(train: Samples, gan: PhaseSettings) -> None:
    """Refuse whole images of several sizes (width first, as files have it) where they would have to be stacked."""
    sizes = sorted({sample.size[::-1] for sample in train})
    if gan.crop is None and len(sizes) > 1 and (gan.batch_size > 1 or gan.task.get("pool_size")):
        raise InputError(
            f"the training images have {len(sizes)} sizes, such as {sizes[0][0]} x {sizes[0][1]} and {sizes[-1][0]} x "
            f"{sizes[-1][1]}: whole ones cannot share a batch or an image pool; set a crop (translator.crop, "
            "translator.stage2.crop), or take batches of 1 and no pool"
        )
