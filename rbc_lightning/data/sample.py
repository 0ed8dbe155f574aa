"""Samples: an image with its label map, what their numbers mean, where they come from and what they may be used for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.data.formats import image_size, read_image, read_pixels
from rbc_lightning.data.lineage import Lineage
from rbc_lightning.errors import InputError

Origin = Literal["real", "synthetic"]
Split = Literal["train", "val", "test", "external"]
SPLITS: tuple[Split, ...] = ("train", "val", "test", "external")
"""Of a manifest; `external` is of another source, tested apart from `test`, and as untouched."""
Image = NDArray[np.unsignedinteger[Any]]
LabelMap = NDArray[np.int32]


@dataclass(frozen=True)
class ImageSpec:
    """What the numbers of a data set's images and label maps mean; an `InputError` refuses what cannot be."""

    channels: tuple[str, ...] = ("red", "green", "blue")  # names, in order
    value_range: tuple[float, float] = (0, 255)  # up to 255 stored as uint8, above as uint16 (12 bit: (0, 4095))
    labels: Literal["instances", "classes"] = "instances"  # ids 1..n; or value c is `classes[c - 1]`; 0 is background
    classes: tuple[str, ...] = ("cell",)  # names of what is labelled
    objects: Literal["dark", "bright"] = "dark"  # beside what they lie on
    spacing: tuple[float, float] | None = None  # of pixels, in mm (row, column), where known
    context: tuple[str, ...] = ()  # classes behind `classes` that tell translators what lies around: never segmented or scored
    upright: bool = False  # up and down differ, as in a slice of a head: turned a little and mirrored left to right alone
    # Mean and deviation, in [0, 1], of scans standardised as a whole; None: each image is standardised by its own.
    standard: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("channels", "value_range", "classes", "spacing", "context", "standard"):
            if getattr(self, name) is not None:
                # Lists, as JSON and YAML have them.
                object.__setattr__(self, name, tuple(getattr(self, name)))
        low, high = self.value_range
        if not 0 <= low < high <= np.iinfo(np.uint16).max:
            raise InputError(f"value_range {self.value_range}; expected 0 <= smallest < largest <= 65535: scale the images")
        if not self.channels or len(set(self.channels)) < len(self.channels) or not self.classes:
            raise InputError(f"channels {self.channels}, classes {self.classes}; expected one or more, all different")
        every = (*self.classes, *self.context)
        if (self.context and self.labels != "classes") or len(set(every)) < len(every):
            raise InputError(f"classes {self.classes}, context {self.context}; expected names of classes, all different")
        if self.labels not in ("instances", "classes") or self.objects not in ("dark", "bright"):
            got = f"labels {self.labels!r}, objects {self.objects!r}"
            raise InputError(f"{got}; expected 'instances' or 'classes', 'dark' or 'bright'")

    @property
    def n_channels(self) -> int:
        """Channels of an image."""
        return len(self.channels)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the values 1, 2, ... of a label map of classes; none of instances, which have ids."""
        return self.classes if self.labels == "classes" else ()

    def with_context(self) -> ImageSpec:
        """The spec of the same images where what lies around counts as classes as well: for translators and label maps."""
        return replace(self, classes=(*self.classes, *self.context), context=()) if self.context else self

    def targets(self, label_map: LabelMap) -> LabelMap:
        """A label map without what lies around; not in place, since a loader may keep its array."""
        return np.where(label_map > len(self.classes), np.int32(0), label_map) if self.labels == "classes" else label_map

    def decisive(self) -> dict[str, Any]:
        """What enters keys; what came later only where it is used."""
        return {k: v for k, v in asdict(self).items() if k not in ("context", "upright", "standard") or v != getattr(RGB, k)}

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """Type of an image's values."""
        return np.dtype(np.uint8 if self.value_range[1] <= np.iinfo(np.uint8).max else np.uint16)


RGB = ImageSpec()
"""8-bit colour images of cells that are darker than the ground."""


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


def to_unit(image: NDArray[Any], spec: ImageSpec = RGB) -> NDArray[np.float32]:
    """Scale values of the spec's range to [0, 1], float32 of the same shape."""
    low, high = map(np.float32, spec.value_range)
    unit = image.astype(np.float32)  # in place, and only what is needed: this is done for every sample that is loaded
    if low != 0:
        unit -= low
    unit /= high - low
    if image.dtype != np.uint8 or spec.value_range != RGB.value_range:
        np.clip(unit, 0, 1, out=unit)
    return unit


def from_unit(array: NDArray[Any], spec: ImageSpec = RGB) -> Image:
    """Scale [0, 1] to the spec's range and type, rounded; what lies outside is clipped."""
    low, high = spec.value_range
    return np.asarray(np.rint(np.clip(array, 0, 1) * np.float32(high - low) + np.float32(low)), dtype=spec.dtype)


def to_levels(values: NDArray[Any], spec: ImageSpec = RGB) -> NDArray[np.float32]:
    """Grey levels, float32: 0..255 over the spec's range, whatever its bits."""
    return values.astype(np.float32) if spec.value_range == RGB.value_range else to_unit(values, spec) * np.float32(255)


def from_levels(levels: NDArray[Any], spec: ImageSpec = RGB) -> Image:
    """Grey levels 0..255 in the spec's range and type, rounded; what lies outside is clipped."""
    if spec.value_range == RGB.value_range:
        return np.asarray(np.clip(np.rint(levels), 0, 255), dtype=np.uint8)
    return from_unit(levels / np.float32(255), spec)


def to_rgb(image: Image, spec: ImageSpec = RGB) -> NDArray[np.uint8]:
    """As a picture, uint8 (H, W, 3): one channel, or a scan's first, as grey, two as red and green, else the first three."""
    shown = np.asarray(from_levels(to_levels(image[..., : 1 if spec.standard else 3], spec)), dtype=np.uint8)
    if shown.shape[2] == 1:
        return np.repeat(shown, 3, axis=2)
    return np.pad(shown, ((0, 0), (0, 0), (0, 3 - shown.shape[2])))
