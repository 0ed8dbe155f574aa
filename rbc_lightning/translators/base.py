"""What all translators share: the object that generates images from label maps, and the recipe of a trained one."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast, get_args

import numpy as np

from rbc_lightning.core.files import write_text
from rbc_lightning.core.recipe import Node, Recipe, aside
from rbc_lightning.core.seeds import Seed
from rbc_lightning.core.trainer import TrainerSettings, check_count
from rbc_lightning.data.lineage import Ancestor, to_rows
from rbc_lightning.errors import InputError
from rbc_lightning.translators.choosing import Chooser, best_checkpoint, refuse_chosen_on_test
from rbc_lightning.translators.files import TRAINED_ON, load_translator, save_translator

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.table import Table
    from torch import Tensor

    from rbc_lightning.core.store import Store
    from rbc_lightning.data.manifest import Manifest, Samples
    from rbc_lightning.data.sample import Sample
    from rbc_lightning.data.spec import ImageSpec
    from rbc_lightning.evaluation.held_out import HeldOut
    from rbc_lightning.masks import SampledMask
    from rbc_lightning.tracking.base import Tracking

    Pixels = NDArray[np.uint8] | NDArray[np.uint16]

Choice = Literal["last", "quality", "validation"]


@dataclass(frozen=True)
class LoadContext:
    """What a translator may need of the run that uses it.

    Args:
        train: its training samples.
        seed: of its synthetic pairs.
        device: where images are made.
        store: of what was made.
    """

    train: Samples
    seed: int
    device: str
    store: Store

    def refuse_other_images(self, directory: Path, own: ImageSpec) -> None:
        """Refuse, with an `InputError`, a translator of other channels, range or classes than the run's."""
        expected = self.train.spec
        if (own.channels, own.value_range, own.class_names) != (
            expected.channels,
            expected.value_range,
            expected.class_names,
        ):
            made, wanted = map(_kind_of, (own, expected))
            raise InputError(
                f"the translator in {directory} makes images of {made}, where those of the data set are {wanted}; train one on "
                "them with stage=translator"
            )


class Translator(ABC):
    """Generates images from label maps; the same seed gives the same image.

    Attributes:
        spec: channels and value range of its images.
    """

    spec: ImageSpec

    @abstractmethod
    def paint(self, label_map: NDArray[np.integer], seed: Seed, style: str | None = None) -> Pixels:
        """Generate the image of any label map.

        Args:
            label_map: integer (H, W), 0 = background.
            seed: of all that the label map leaves open.
            style: how styles are drawn, for translators that have any; None for the default.

        Returns:
            (H, W, C) in the training images' own type, uint8 or uint16.
        """

    def paint_sampled(self, mask: SampledMask, seed: Seed, style: str, index: int) -> Pixels:  # noqa: ARG002 (for overriding)
        """Generate the image of pair number `index` of a set, from a mask whose cells may be known by shape and pose."""
        return self.paint(mask.label_map, seed, style)

    def paint_batch(self, label_maps: Tensor, seeds: Sequence[Seed], style: str | None = None) -> Tensor:
        """Generate images of label maps int64 (B, H, W), one seed each, as float32 (B, C, H, W) in [0, 1]."""
        import torch

        from rbc_lightning.data.conversions import to_unit

        images = [self.paint(ids, seed, style) for ids, seed in zip(label_maps.cpu().numpy(), seeds, strict=True)]
        return torch.from_numpy(np.stack([to_unit(image, self.spec) for image in images])).permute(0, 3, 1, 2)

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write what `load` needs into `directory`; every file decides what is generated."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path, context: LoadContext) -> Translator:
        """Read what `save` wrote."""

    def measure(self, held_out: HeldOut, directory: Path, seed: int) -> Table | None:  # noqa: ARG002 (for overriding)
        """Measure what only this kind of translator has, write it into its `directory`, and return a table to print."""
        return None

    def pictures(self, sample: Sample, seed: int) -> dict[str, NDArray[np.uint8]]:
        """What `sheets` shows of a sample beside its image: pictures uint8 (H, W, 3) by caption."""
        return {"generated": self.picture(sample.load_label_map(), seed)}

    def picture(self, label_map: NDArray[np.integer], seed: int, style: str | None = None) -> NDArray[np.uint8]:
        """See `paint`; for looking at, uint8 (H, W, 3)."""
        from rbc_lightning.data.conversions import to_rgb

        return to_rgb(self.paint(label_map, seed, style), self.spec)

    def sheets(self, samples: Sequence[Sample], directory: Path, seed: int) -> tuple[Path, ...]:
        """Draw what is to be looked at first, label maps, real and generated images, as `translations.png` in `directory`.

        The seed is that of the first image; the next ones follow. Returns the paths of all pictures.
        """
        # Drawing needs libraries that nothing else here does.
        from rbc_lightning.report.figures.style_sheets import TranslationRow, save_translation_sheet

        rows = [
            TranslationRow(
                sample.sample_id,
                sample.load_label_map(),
                sample.rgb(),
                self.pictures(sample, seed + index),
                sample.spec.labels == "classes",
            )
            for index, sample in enumerate(samples)
        ]
        save_translation_sheet(directory / "translations.png", rows)
        return (directory / "translations.png",)


@dataclass(frozen=True, kw_only=True)
class TranslatorRecipe(Recipe[Translator]):
    """A trained translator, put together from a checkpoint of its last training; the configuration group `translator`.

    A subclass is built by `_target_`. It overrides `assembler`, and `phases` and `settings` where it is trained.

    Class attributes:
        has_styles: whether `style` has an effect on what it generates.

    Args:
        train: samples that it is trained on.
        seed: of its training.
        trainer: how it is trained.
        pairs_seed: of the synthetic pairs that it paints; None for that of its training.
        tracking: where the curves go.
        name: what tables and plans call it.
        candidates: checkpoints kept of the second half of each training.
        choose: "last", or "quality" or "validation" for the candidate that `chooser` scores highest.
        chooser: scores them, see `QualityChooser` and `LossChooser`; no input with choose="last".

    Raises:
        InputError: a setting is refused.
    """

    kind: ClassVar[str] = "translator"
    title: ClassVar[str] = "translator"
    format: ClassVar[int] = 3
    has_styles: ClassVar[bool] = True

    train: Samples
    seed: int
    trainer: TrainerSettings
    pairs_seed: int | None = aside(None)
    tracking: Tracking | None = aside(None)
    name: str = aside("translator")
    candidates: int = 0
    choose: Choice = "last"
    chooser: Chooser | None = None

    def __post_init__(self) -> None:
        check_count("translator.candidates", self.candidates, 0)
        if self.choose not in get_args(Choice):
            raise InputError(f"translator.choose={self.choose}; expected one of {', '.join(get_args(Choice))}")
        if self.choose != "last" and self.chooser is None:
            raise InputError(f"translator.choose={self.choose} needs held-out pairs to choose on; take translator.choose=last")

    def phases(self) -> tuple[Recipe[Any], ...]:
        """Its trainings, in order; the last one leaves checkpoints as `translators.training.fit_gan` does."""
        return ()

    def of_phases(self) -> dict[str, Any]:
        """What every phase takes over."""
        return {name: getattr(self, name) for name in ("train", "seed", "trainer", "tracking", "name")}

    @abstractmethod
    def assembler(self, store: Store) -> Callable[[Path | None], Translator]:
        """A function that makes a translator of a checkpoint of the last phase, or of None where there is no phase."""

    def settings(self) -> dict[str, Any]:
        """With the name of the class: recipes of two classes are never the same thing."""
        settings = {"recipe": type(self).__name__, **super().settings()}
        # An input, or without effect.
        settings.pop("chooser", None)
        return settings

    def inputs(self) -> dict[str, Node]:
        """Training samples, phases, and last what chooses among checkpoints, where something does."""
        inputs: dict[str, Node] = {"train": self.train, **{phase.kind: phase for phase in self.phases()}}
        return inputs | ({"chooser": cast(Node, self._chooser)} if self._chooser else {})

    def build(self, directory: Path, store: Store) -> None:
        """Put together what generating images needs, from the chosen checkpoint."""
        from rbc_lightning.translators.training import kept_checkpoints

        assemble, phases = self.assembler(store), self.phases()
        chosen = None
        if phases:
            checkpoints = kept_checkpoints(store.ensure(phases[-1]))
            chosen = checkpoints[-1]
            if self._chooser:
                chosen = best_checkpoint(checkpoints, assemble, self._chooser, directory, store)
        save_translator(assemble(chosen), directory, self.settings())
        write_text(directory / TRAINED_ON, json.dumps(to_rows(self.train.ancestors), indent=1))

    def load(self, directory: Path, store: Store) -> Translator:
        """The translator, ready to use on the trainer's device."""
        seed = self.seed if self.pairs_seed is None else self.pairs_seed
        return load_translator(directory, LoadContext(self.train, seed, self.trainer.device, store))

    def batch_sizes(self) -> dict[str, int]:
        """Images of an optimiser step of its trainings, by the name of the setting."""
        return {}

    def directory(self, store: Store) -> Path:
        """Where it lies; made first if need be."""
        return store.ensure(self)

    def trained_on(self, store: Store) -> tuple[Ancestor, ...]:  # noqa: ARG002 (a given translator has to look)
        """The samples that it was trained on."""
        return self.train.ancestors

    def refuse_held_out(self, manifest: Manifest) -> None:
        """Refuse a translator whose checkpoint was chosen on test samples, with an `InputError` that names one."""
        if self._chooser:
            refuse_chosen_on_test("the translator", self._chooser.chosen_on, manifest)

    def preview(self, manifest: Manifest, path: Path) -> Path | None:  # noqa: ARG002 (for overriding)
        """Draw what it will see of the images beside their label maps, for `stage=check`; None where that is nothing."""
        return None

    @property
    def _chooser(self) -> Chooser | None:
        """What has a say in the choice."""
        return None if self.choose == "last" else self.chooser


def _kind_of(spec: ImageSpec) -> str:
    classes = f" of the classes {', '.join(spec.class_names)}" if spec.class_names else ""
    return f"{', '.join(spec.channels)}, {spec.value_range[0]:g} to {spec.value_range[1]:g}{classes}"
