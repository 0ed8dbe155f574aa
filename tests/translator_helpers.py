"""Translators that need no network: cells of one grey level."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from pix2pixhd_helpers import TRAINER, make_samples

from rbc_lightning.core.recipe import Node, Recipe, aside
from rbc_lightning.core.store import Store
from rbc_lightning.data.lineage import Ancestor
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.translators.base import Translator, TranslatorRecipe
from rbc_lightning.translators.phases import AdversarialPhase

GREY = ImageSpec(channels=("grey",), value_range=(0, 1000))
VAL = tuple(Ancestor(f"val_{index}", f"image {index}", f"label map {index}") for index in range(2))


class Flat(Translator):
    """Cells of one grey level."""

    def __init__(self, level, spec, context=None):
        self.level, self.spec, self.context = level, spec, context

    def paint(self, label_map, seed, style=None):
        image = np.where(label_map > 0, self.level, 0)[..., None]
        return np.repeat(image, self.spec.n_channels, axis=2).astype(self.spec.dtype)

    def save(self, directory):
        (directory / "level.txt").write_text(str(self.level))

    @classmethod
    def load(cls, directory, context):
        return cls(int((directory / "level.txt").read_text()), context.train.spec, context)


@dataclass(frozen=True, kw_only=True)
class FlatRecipe(TranslatorRecipe):
    level: int = 7

    def assembler(self, store: Store) -> Callable[[Path | None], Translator]:
        return lambda checkpoint: Flat(self.level, self.train.spec)


@dataclass(frozen=True, kw_only=True)
class Levels(Recipe[Path]):
    """A training whose checkpoints are levels."""

    kind: ClassVar[str] = "levels"
    title: ClassVar[str] = "levels"
    levels: tuple[int, ...]

    def build(self, directory, store):
        (directory / "checkpoints" / "candidates").mkdir(parents=True)
        for level in self.levels[:-1]:
            (directory / "checkpoints" / "candidates" / f"{level}.ckpt").write_text(str(level))
        (directory / "checkpoints" / "last.ckpt").write_text(str(self.levels[-1]))

    def load(self, directory, store):
        return directory


@dataclass(frozen=True, kw_only=True)
class TrainedRecipe(TranslatorRecipe):
    def phases(self):
        return (Levels(levels=(3, 9, 5)),)

    def assembler(self, store):
        return lambda checkpoint: Flat(int(checkpoint.read_text()), self.train.spec)


@dataclass(frozen=True)
class Highest(Node):
    """Prefers high levels."""

    kind: ClassVar[str] = "chooser"
    name: str
    chosen_on: tuple[Ancestor, ...] = aside(VAL)

    def open(self, store):
        return self

    def score(self, translator):
        return float(translator.level)


def make_recipe(cls=FlatRecipe, spec=GREY, **options):
    return cls(train=make_samples(spec=spec), seed=5, trainer=TRAINER, **options)


@dataclass(frozen=True, kw_only=True)
class PlainPhase(AdversarialPhase[None]):
    """A training that is told how long it is."""

    kind: ClassVar[str] = "plain_phase"
    title: ClassVar[str] = "training"
    batch_size: int = 1
    arguments: dict[str, int] = aside(None)

    def build(self, directory, store):
        pytest.fail("a phase that was asked for its length alone is trained")

    def load_task(self, checkpoint):
        pytest.fail("a phase that was asked for its length alone is loaded")


def make_phase(count=2, **options):
    return PlainPhase(train=make_samples(count), seed=0, trainer=TRAINER, **options)
