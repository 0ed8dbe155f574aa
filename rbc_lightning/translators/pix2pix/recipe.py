"""Pix2Pix as recipes: its training, and the translator made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rbc_lightning.core.build import Spec, build
from rbc_lightning.core.files import to_plain
from rbc_lightning.core.progress import tell
from rbc_lightning.core.recipe import Node, Work
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.core.trainer import check_count
from rbc_lightning.errors import InputError
from rbc_lightning.translators.base import Translator, TranslatorRecipe
from rbc_lightning.translators.phases import EPOCHS, AdversarialPhase, arguments_of
from rbc_lightning.translators.pix2pix.structures.recipe import StructureBankRecipe

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store
    from rbc_lightning.data.manifest import Manifest
    from rbc_lightning.translators.pix2pix.task import ModeSeekingPix2PixTask

Transforms = Mapping[str, Mapping[str, Any]]

# Settings of a task that have an effect only under another value of another one.
_UNDER = {
    "structure_method": ("structure", True),
    "discriminator_strides": ("discriminator", "patch"),
    "discriminator_padding": ("discriminator", "patch"),
}
_LATER = ("l1_balance", "alike")
"""Arguments that were added later, and without which keys stay what they were."""


@dataclass(frozen=True, kw_only=True)
class Pix2PixPhase(AdversarialPhase["ModeSeekingPix2PixTask"]):
    """A trained `ModeSeekingPix2PixTask`.

    Args:
        task: the task's `_target_` and arguments; the image channels are those of the samples.
        batch_size: images that an optimiser step generates.
        augment: transforms of the training pairs beside mirror images, as `data.augment.transforms` has them; None for none.
        epoch_size: images that an epoch generates at most; None for as many as there are samples.
    """

    kind: ClassVar[str] = "pix2pix"
    format: ClassVar[int] = 2
    title: ClassVar[str] = "Pix2Pix training"

    task: Spec
    batch_size: int = 1
    augment: Transforms | None = None
    epoch_size: int | None = None

    def settings(self) -> dict[str, Any]:
        """Of the task all arguments with an effect, those left to their defaults too."""
        found = {**super().settings(), "task": self._deciding_task()}
        del found["augment"], found["epoch_size"]
        # In their order, which a mapping's hash leaves out.
        augment = {"augment": to_plain([*self.augment.items()])} if self.augment else {}
        return found | augment | ({"epoch_size": self.epoch_images} if self.epoch_images < len(self.train) else {})

    @property
    def epoch_images(self) -> int:
        """See `AdversarialPhase`."""
        return min(len(self.train), self.epoch_size or len(self.train))

    def build(self, directory: Path, store: Store) -> None:  # noqa: ARG002 (the samples lie in no store)
        """Train; an `InputError` names a setting of the task that is refused, or an image without a structure threshold."""
        import torch

        from rbc_lightning.core.training import LAST
        from rbc_lightning.translators.pix2pix.structures.maps import thresholds
        from rbc_lightning.translators.training import fit_gan

        torch.manual_seed(derive_seed(self.seed, "translator"))
        spec = self.train.spec
        image: dict[str, Any] = {"channels": spec.channels, "value_range": spec.value_range, "objects": spec.objects}
        if spec.labels == "classes":
            image |= {"labels": spec.labels, "classes": spec.classes}
        task: ModeSeekingPix2PixTask = build(self.task, "translator.task", image=image)
        hparams = task.hparams
        if hparams["structure"]:
            task.use_thresholds(thresholds(self.train, hparams["structure_method"]))
        alike = ", ".join(f"{name} as {told}" for name, told in hparams["alike"].items())
        knows = ("masks and structure maps" if hparams["structure"] else "masks alone") + (alike and f" ({alike})")
        again = " (resumed)" if (directory / LAST).is_file() else ""
        tell(
            f"Training Pix2Pix on {knows}{again}: {self.epochs} epochs of {self.epoch_images} of {len(self.train)} images, "
            f"crops of {hparams['size']} px; mode seeking {hparams['lambda_mode_seeking']:g}, L1 {hparams['lambda_l1']:g}"
        )
        fit_gan(
            self,
            directory,
            task,
            job=self.kind,
            crop=hparams["size"],
            samples_per_image=task.samples_per_image,
            transforms=self.augment,
        )

    def load_task(self, checkpoint: Path) -> ModeSeekingPix2PixTask:
        """See `AdversarialPhase`."""
        from rbc_lightning.translators.pix2pix.task import ModeSeekingPix2PixTask

        return ModeSeekingPix2PixTask.load_from_checkpoint(checkpoint, weights_only=True, map_location="cpu").eval()

    def work(self) -> Work:
        """Optimiser steps."""
        about = {name: value for name, value in self._deciding_task().items() if name not in EPOCHS}
        data = [self.train.samples[0].size, asdict(self.train.spec)]
        return Work(self.steps, "steps", [about, self.batch_size, self.trainer.numerics(), to_plain(data)])

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """See `AdversarialPhase`; the samples' key holds the description of the images."""
        return arguments_of(self.task)

    def _deciding_task(self) -> dict[str, Any]:
        arguments = self.arguments
        return {
            name: value
            for name, value in arguments.items()
            if (name not in _UNDER or arguments.get(_UNDER[name][0]) == _UNDER[name][1]) and (value or name not in _LATER)
        }


@dataclass(frozen=True, kw_only=True)
class Pix2PixRecipe(TranslatorRecipe):
    """A Pix2Pix on masks and structure maps; its structure maps are put together from the training cells.

    Args:
        task: `_target_` and arguments of a `ModeSeekingPix2PixTask`.
        batch_size: images that an optimiser step generates.
        noise: keep dropout at work in use: in which alone two images of one mask and structure map differ.
        augment, epoch_size: see `Pix2PixPhase`.

    Raises:
        InputError: a setting is refused.
    """

    has_styles: ClassVar[bool] = False

    task: Spec
    batch_size: int = 1
    noise: bool = True
    augment: Transforms | None = None
    epoch_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.train.spec.class_names
        if unknown := [name for pair in (self.task.get("alike") or {}).items() for name in pair if name not in names]:
            there = ", ".join(names) or "none here"
            raise InputError(f"translator.task.alike names {unknown[0]!r}; expected classes of the label maps: {there}")
        check_count("translator.batch_size", self.batch_size, 1)
        if self.epoch_size is not None:
            check_count("translator.epoch_size", self.epoch_size, 1)
        if self.augment:
            from rbc_lightning.data.augment.transforms import build_augmentation

            build_augmentation(self.augment, self.train.spec)
        if self.train.spec.labels == "classes" and self.structures:
            raise InputError(
                f"translator={self.name} learns structure maps of single cells, and these label maps hold classes; take "
                "translator=pix2pix_novoselov"
            )

    def phases(self) -> tuple[Pix2PixPhase]:
        """One training."""
        own = {name: getattr(self, name) for name in ("task", "batch_size", "augment", "epoch_size", "candidates")}
        return (Pix2PixPhase(**own, **self.of_phases()),)

    def settings(self) -> dict[str, Any]:
        """Those that are not settings of the training."""
        return {"recipe": type(self).__name__, "choose": self.choose, "noise": self.noise}

    def inputs(self) -> dict[str, Node]:
        """The training, what chooses among its checkpoints, and the structure bank."""
        return super().inputs() | ({"structures": self.structures} if self.structures else {})

    @property
    def structures(self) -> StructureBankRecipe | None:
        """Where structure maps come from; None for a generator without."""
        if not self.task.get("structure", True):
            return None
        return StructureBankRecipe.of(self.train, self.task.get("structure_method", "otsu"))

    def assembler(self, store: Store) -> Callable[[Path | None], Translator]:
        """The generator of a checkpoint, with the structure bank."""
        from rbc_lightning.translators.pix2pix.translator import StructureTranslator

        bank, (phase,) = store.make(self.structures) if self.structures else None, self.phases()

        def assemble(checkpoint: Path | None) -> Translator:
            assert checkpoint is not None  # there is a training
            return StructureTranslator.from_task(phase.load_task(checkpoint).to(self.trainer.device), self.noise, bank)

        return assemble

    def batch_sizes(self) -> dict[str, int]:
        """See `TranslatorRecipe`."""
        return {"translator.batch_size": self.batch_size}

    def preview(self, manifest: Manifest, path: Path) -> Path | None:
        """Find every image's structure threshold and draw some structure maps; None where none are used."""
        if not self.structures:
            return None
        from rbc_lightning.translators.pix2pix.preview import save_preview

        return save_preview(manifest, self.structures.method, path)
