"""A translator: background and cells in the mean colours of the training images, with a little noise."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rbc_lightning.core.files import write_json
from rbc_lightning.core.store import Store
from rbc_lightning.data.conversions import from_unit, to_unit
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.translators.base import LoadContext, Translator, TranslatorRecipe


class FlatTranslator(Translator):
    """Two colours (2, C) in [0, 1]: of background and of cells."""

    def __init__(self, colors: np.ndarray, noise: float, spec: ImageSpec) -> None:
        self.colors, self.noise, self.spec = np.asarray(colors, dtype=np.float32), noise, spec

    def paint(self, label_map, seed, style=None):
        image = self.colors[(label_map > 0).astype(int)]
        image = image + np.random.default_rng(seed).normal(0, self.noise, image.shape)
        return from_unit(image.clip(0, 1).astype(np.float32), self.spec)

    def save(self, directory: Path) -> None:
        write_json(directory / "flat.json", {"colors": self.colors.tolist(), "noise": self.noise})

    @classmethod
    def load(cls, directory: Path, context: LoadContext) -> "FlatTranslator":
        content = json.loads((directory / "flat.json").read_text())
        return cls(np.array(content["colors"]), content["noise"], context.train.spec)


@dataclass(frozen=True, kw_only=True)
class FlatRecipe(TranslatorRecipe):
    """Measures the colours; there is nothing to train."""

    noise: float = 0.02

    def assembler(self, store: Store) -> Callable[[Path | None], Translator]:
        means = []
        for sample in self.train:
            image, inside = to_unit(sample.load_image(), sample.spec), sample.load_label_map() > 0
            means.append([image[~inside].mean(axis=0), image[inside].mean(axis=0)])
        flat = FlatTranslator(np.mean(means, axis=0), self.noise, self.train.spec)
        return lambda _: flat
