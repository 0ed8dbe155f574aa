"""What the numbers of a data set's images and label maps mean."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.errors import InputError

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
