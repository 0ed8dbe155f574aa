"""Pairs of known quality: sources that give what they are told, and measured pairs with patches by hand."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from slice_samples import slice_spec

from rbc_lightning.core.recipe import aside
from rbc_lightning.evaluation.pair_quality.layout import RealPairs
from rbc_lightning.evaluation.pair_quality.measured import measure_pair
from rbc_lightning.pairs.base import Pair, PairSource, RealView

SPEC = replace(slice_spec("lesion"), context=("ventricles",), spacing=(2.0, 1.0))
"""Lesion 1, ventricles 2 where the context shows; pixels of 2 mm by 1 mm."""


@dataclass(frozen=True, kw_only=True)
class GivenSource(PairSource):
    """Pair i is what a function gives; the name decides the key."""

    name: str
    give: Callable[[int], Pair] = aside(None)

    def open(self, store):
        return self.give


@dataclass(frozen=True, kw_only=True)
class CropSource(GivenSource):
    """The same of crops, which are compared with the upper left corners of samples."""

    window: int = 0

    def views(self, samples):
        def cut(image, label_map):
            return image[: self.window, : self.window], label_map[: self.window, : self.window]

        return lambda index: RealView(samples.samples[index % len(samples)], cut)


def brain(*lesions, ventricle=True, side=40, seed=0):
    """A slice with square lesions, each (row, column, side), and ventricles in rows 18 to 21, columns 18 to 21."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    inside = np.hypot(rows, columns) < 0.45 * side
    label_map = np.zeros((side, side), np.int32)
    if ventricle:
        label_map[18:22, 18:22] = 2
    for row, column, length in lesions:
        label_map[row : row + length, column : column + length] = 1
    levels = np.where(inside, 1600.0, 200.0) + 900 * (label_map == 1)
    noise = np.random.default_rng(seed).normal(0, 40, (side, side, 2))
    return (levels[..., None] + noise).clip(0, 4095).astype(np.uint16), label_map


def measured(*pairs, spec=SPEC):
    return tuple(measure_pair(image, label_map, spec) for image, label_map in pairs)


def real(*pairs, groups=None, spec=SPEC):
    names = tuple(f"real_{index}" for index in range(len(pairs)))
    return RealPairs(measured(*pairs, spec=spec), tuple(groups or names), names)
