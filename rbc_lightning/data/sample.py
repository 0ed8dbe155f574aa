"""Samples: an image with its label map, where they come from and what they may be used for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.data.conversions import to_rgb
from rbc_lightning.data.formats import image_size, read_image, read_pixels
from rbc_lightning.data.lineage import Lineage
from rbc_lightning.data.spec import RGB, Image, ImageSpec, LabelMap
from rbc_lightning.errors import InputError

Origin = Literal["real", "synthetic"]
Split = Literal["train", "val", "test", "external"]
SPLITS: tuple[Split, ...] = ("train", "val", "test", "external")
"""Of a manifest; `external` is of another source, tested apart from `test`, and as untouched."""


class Loader(Protocol):
    """Where a reader keeps a sample: it gives image and label map when asked."""

    @property
    def where(self) -> str:
        """The place, for messages and file names."""

    def image(self) -> Image:
        """uint8 or uint16 (H, W, C)."""

    def label_map(self) -> LabelMap:
        """int32 (H, W); ids of instances are contiguous."""

    def size(self) -> tuple[int, int]:
        """Height and width in pixels, found cheaply."""


@dataclass(frozen=True)
class FilePair:
    """The loader of an image file, colour or grey for the channels of `RGB`, else as `write_image` wrote it, and of its map."""

    image_path: Path
    label_path: Path
    spec: ImageSpec = RGB

    @property
    def where(self) -> str:
        """The image's path."""
        return str(self.image_path)

    def image(self) -> Image:
        """The decoded image."""
        is_colour = self.spec.channels == RGB.channels
        return read_image(self.image_path, self.spec.dtype) if is_colour else read_pixels(self.image_path)

    def label_map(self) -> LabelMap:
        """The decoded label map."""
        return read_label_map(self.label_path, contiguous=self.spec.labels == "instances")

    def size(self) -> tuple[int, int]:
        """From the image's header."""
        return image_size(self.image_path)


class ArrayPair:
    """The loader of a pair in memory, not to be written to: for readers of formats that are not one file for one sample."""

    def __init__(self, image: Image, label_map: LabelMap, where: str) -> None:
        self._image, self._label_map, self.where = image, label_map, where

    @cached_property
    def sha256(self) -> tuple[str, str]:
        """Hexadecimal SHA-256 of the image's and the label map's values, for `Sample`."""
        return sha256(self._image.tobytes()).hexdigest(), sha256(self._label_map.tobytes()).hexdigest()

    def image(self) -> Image:
        """The array given."""
        return self._image

    def label_map(self) -> LabelMap:
        """The array given."""
        return self._label_map

    def size(self) -> tuple[int, int]:
        """Height and width of the label map."""
        return self._label_map.shape


@dataclass(frozen=True)
class Sample:
    """One image with its label map, and what they may be used for."""

    sample_id: str
    split: Split
    group: str  # patient or slide; lies in one split
    image_sha256: str  # of the bytes
    label_sha256: str
    loader: Loader
    origin: Origin = "real"
    lineage: Lineage | None = None  # of synthetic ones
    spec: ImageSpec = RGB
    volume: str | None = None  # of which this is a slice
    slice: int | None = None  # its index there
    distance: float | None = None  # mm from slice to slice, where known
    second: Loader | None = None  # the same image with the label map of a second annotator; no part of training or of hashes

    @property
    def where(self) -> str:
        """The place, for messages and file names."""
        return self.loader.where

    @property
    def unit(self) -> str:
        """What a score is of: the scan that this is a slice of, or the image itself."""
        return self.volume or self.sample_id

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.loader.size()

    @property
    def place(self) -> tuple[int, tuple[float, float, float]] | None:
        """The slice's index in its scan, and mm between columns, rows and slices; None where that is not known."""
        if self.slice is None or self.spec.spacing is None or self.distance is None:
            return None
        row_mm, column_mm = self.spec.spacing
        return self.slice, (column_mm, row_mm, self.distance)

    def load_image(self) -> Image:
        """The image (H, W, C) in the spec's type and value range.

        Raises:
            InputError: the file is damaged, or the image is of another kind than its spec says.
        """
        image, spec = self.loader.image(), self.spec
        if image.shape[2:] != (spec.n_channels,) or image.dtype != spec.dtype:
            raise InputError(
                f"{self.where}: an image {image.shape} of type {image.dtype} (sample {self.sample_id!r}); expected "
                f"(H, W, {spec.n_channels}) of type {spec.dtype}, channels {', '.join(spec.channels)}: mend its file or reader"
            )
        return image

    def rgb(self) -> NDArray[np.uint8]:
        """The image for pictures, uint8 (H, W, 3); see `to_rgb`."""
        return to_rgb(self.load_image(), self.spec)

    def load_label_map(self) -> LabelMap:
        """The label map, int32 (H, W); context is background in it. An `InputError`: a damaged file, or another array."""
        return self._label_map(self.loader)

    def marked(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Where the label map has one of these classes, targets or context, bool (H, W)."""
        every = self.with_context()
        values = [every.spec.class_names.index(name) + 1 for name in names]
        return np.isin(every.load_label_map(), values)

    def load_second_label_map(self) -> LabelMap | None:
        """The label map of a second annotator, int32 (H, W), where there is one; for the test alone, as a ceiling of scores.

        Raises:
            InputError: as `load_label_map`; or the map is not of the image's size.
        """
        if self.second is None:
            return None
        label_map = self._label_map(self.second)
        if label_map.shape != self.size:
            raise InputError(
                f"{self.second.where}: a second label map {label_map.shape} (sample {self.sample_id!r}); expected the image's "
                f"size {self.size}: export it again"
            )
        return label_map

    def with_context(self) -> Sample:
        """The sample whose label map shows what lies around as well; see `ImageSpec.with_context`."""
        return replace(self, spec=self.spec.with_context()) if self.spec.context else self

    def _label_map(self, loader: Loader) -> LabelMap:
        label_map = loader.label_map()
        if label_map.ndim != 2 or label_map.dtype != np.int32:
            raise InputError(
                f"{loader.where}: a label map {label_map.shape} of type {label_map.dtype} (sample {self.sample_id!r}); "
                "expected (H, W) of type int32: mend its reader"
            )
        return self.spec.targets(label_map)


def common_spec(samples: Iterable[Sample]) -> ImageSpec:
    """The spec that samples share; `spacing` is None where theirs differ, `RGB` stands for no sample at all.

    Raises:
        InputError: names two samples that differ in anything else.
    """
    samples = tuple(samples)
    spec = samples[0].spec if samples else RGB
    for sample in samples:
        for name in ("channels", "value_range", "labels", "classes", "objects", "context", "upright", "standard"):
            here, there = getattr(spec, name), getattr(sample.spec, name)
            if here != there:
                raise InputError(
                    f"samples {samples[0].sample_id!r} and {sample.sample_id!r} differ in {name}: {here} and {there}; expected "
                    "one kind of image in a data set: read them as two"
                )
        if sample.spec.spacing != spec.spacing:
            spec = replace(spec, spacing=None)
    return spec
