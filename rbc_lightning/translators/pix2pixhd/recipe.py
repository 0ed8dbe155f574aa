"""The recipe of a trained pix2pixHD: the configuration group `translator=pix2pixhd`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbc_lightning.core.build import Spec
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.core.trainer import check_count
from rbc_lightning.errors import InputError
from rbc_lightning.translators.base import Translator, TranslatorRecipe
from rbc_lightning.translators.pix2pixhd.phases import GanPhase, GanPhase1, GanPhase2, PhaseSettings, whole_samples

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store

# Settings of `translator.stage2` that are the phase's own, not the task's.
_OF_THE_DATA = ("crop", "batch_size")
# Those that matter beside the phases.
_OWN = ("recipe", "seed", "choose", "n_clusters", "surface")


@dataclass(frozen=True, kw_only=True)
class Pix2PixHDRecipe(TranslatorRecipe):
    """Generator of one phase or two, with the styles and background textures of the training images.

    Args:
        task: spec of the `Pix2PixHDTask`.
        stage2: what differs from `task` in the second phase, with its own `crop` and `batch_size`.
        stages: 1: one generator at full size; 2: a generator at reduced size, then the enhancer around it.
        shrink: of two phases, the first sees images this many times smaller.
        crop: side of the training crops in pixels of the original image; None for whole images.
        batch_size: images of an optimiser step.
        n_clusters: of styles per class.
        surface: lay the background texture of a real image over each generated one.

    Raises:
        InputError: a setting is refused.
    """

    task: Spec
    stage2: Spec
    stages: int
    shrink: float
    crop: int | None
    batch_size: int = 1
    n_clusters: int = 10
    surface: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train.spec.labels == "classes":
            raise InputError(
                f"translator={self.name} learns styles of single cells, and these label maps hold classes; take "
                "translator=pix2pix_novoselov"
            )
        if self.stages not in (1, 2):
            raise InputError(f"translator.stages={self.stages}; expected one of 1, 2")
        check_count("translator.n_clusters", self.n_clusters, 1)
        for name, crop, batch_size in (
            ("translator", self.crop, self.batch_size),
            ("translator.stage2", self.stage2.get("crop"), self.stage2.get("batch_size", 1)),
        ):
            check_count(f"{name}.batch_size", batch_size, 1)
            if crop is not None:
                check_count(f"{name}.crop", crop, 32)

    def settings(self) -> dict[str, Any]:
        """What matters beside the phases."""
        return {name: value for name, value in super().settings().items() if name in _OWN}

    def phases(self) -> tuple[GanPhase, ...]:
        """The trainings: of the GAN, and with `stages=2` of the enhancer."""
        return self._phases

    @cached_property
    def _phases(self) -> tuple[GanPhase, ...]:
        common = self.of_phases()
        task = {**self.task, "image_channels": self.train.spec.n_channels}
        if self.stages == 1:
            gan = PhaseSettings(task, self.crop, self.batch_size)
            return (GanPhase1(gan=gan, candidates=self.candidates, **common),)
        changes = {name: value for name, value in self.stage2.items() if name not in _OF_THE_DATA}
        enhancer = PhaseSettings({**task, **changes, "stage": 2}, self.stage2.get("crop"), self.stage2.get("batch_size", 1))
        gan = PhaseSettings({**task, "shrink": self.shrink}, self.crop, self.batch_size)
        first = GanPhase1(gan=gan, enhancer=enhancer, **common)
        return first, GanPhase2(gan=enhancer, candidates=self.candidates, first=first, **common)

    def assembler(self, store: Store) -> Callable[[Path | None], Translator]:
        """The networks of a checkpoint with the styles they give the training cells."""
        # Imported here: keys and plans do without.
        from rbc_lightning.translators.pix2pixhd.backgrounds import BackgroundTextures
        from rbc_lightning.translators.pix2pixhd.styles import StyleBank
        from rbc_lightning.translators.pix2pixhd.translator import Pix2PixHDTranslator

        spec, device, phases = self.train.spec, self.trainer.device, self.phases()
        deep = spec.dtype.itemsize > 1
        backgrounds = BackgroundTextures.fit(whole_samples(self.train), deep) if self.surface else None

        def assemble(checkpoint: Path | None) -> Translator:
            assert checkpoint is not None
            task = phases[-1].load_task(checkpoint).to(device)
            # Styles come from phase 1: they are what phase 2 was trained on.
            encoding = store.make(phases[0]).to(device) if task.settings.stage == 2 else task
            bank = StyleBank.fit(
                encoding, whole_samples(self.train), n_clusters=self.n_clusters, seed=derive_seed(self.seed, "translator")
            )
            return Pix2PixHDTranslator.from_task(task, bank, backgrounds, spec)

        return assemble

    def batch_sizes(self) -> dict[str, int]:
        """Those of its trainings, by setting."""
        sizes = {"translator.batch_size": self.batch_size}
        return sizes | ({"translator.stage2.batch_size": self.stage2.get("batch_size", 1)} if self.stages == 2 else {})
