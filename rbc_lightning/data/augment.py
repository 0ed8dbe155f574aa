"""Random changes of image and label map: the ten of S3 section 5.2, and a stronger set.

The one module that imports albumentations. What is drawn depends on the seed of the call alone, so that any number
of loader workers gives the same stream.
"""

from __future__ import annotations

import inspect
import os
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.crops import Image, LabelMap, check_pair, random_crop, random_flips, separate_mirrored_cells
from rbc_lightning.errors import InputError

# Without this albumentations asks a server for its newest version when it is imported.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations as A

__all__ = ["Augmentation", "build_augmentation", "random_crop", "random_flips"]

Range = tuple[float, float]
MIDDLE_GREY = 128


class InvertChannels(A.ImageOnlyTransform):  # type: ignore[misc]  # albumentations has no types
    """x -> 255 - x in channels drawn independently with probability one half, at least one; or in all.

    Args:
        per_channel: Draw the channels one by one; False inverts all three.
        p: Probability of being applied.
    """

    def __init__(self, per_channel: bool = True, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.per_channel = per_channel

    def get_params(self) -> dict[str, Any]:
        """Draw which channels are inverted: the bits of a number from 1 to 7."""
        bits = self.py_random.randint(1, 7) if self.per_channel else 7
        return {"inverted": [bool(bits >> channel & 1) for channel in range(3)]}

    def apply(self, img: Image, inverted: list[bool], **_: object) -> Image:
        """Invert the drawn channels."""
        return np.where(inverted, 255 - img, img)


class Brightness(A.ImageOnlyTransform):  # type: ignore[misc]  # albumentations has no types
    """x -> multiply * x + add, clipped to 0..255.

    Args:
        add: Range of the summand, in grey levels.
        multiply: Range of the factor.
        p: Probability of being applied.
    """

    def __init__(self, add: Range = (-30, 30), multiply: Range = (0.8, 1.2), p: float = 0.5) -> None:
        super().__init__(p=p)
        self.add, self.multiply = _range("add", add), _range("multiply", multiply, low=0)

    def get_params(self) -> dict[str, Any]:
        """Draw summand and factor."""
        return {"add": self.py_random.uniform(*self.add), "multiply": self.py_random.uniform(*self.multiply)}

    def apply(self, img: Image, add: float, multiply: float, **_: object) -> Image:
        """Apply the drawn line to every value."""
        return _through_table(img, lambda x: multiply * x + add)


class ContrastAboutGrey(A.ImageOnlyTransform):  # type: ignore[misc]  # albumentations has no types
    """x -> 128 + factor * (x - 128), clipped to 0..255: contrast about middle grey (albumentations scales about 0).

    Args:
        factor: Range of the factor.
        p: Probability of being applied.
    """

    def __init__(self, factor: Range = (0.6, 1.5), p: float = 0.5) -> None:
        super().__init__(p=p)
        self.factor = _range("factor", factor, low=0)

    def get_params(self) -> dict[str, Any]:
        """Draw the factor."""
        return {"factor": self.py_random.uniform(*self.factor)}

    def apply(self, img: Image, factor: float, **_: object) -> Image:
        """Apply the drawn line to every value."""
        return _through_table(img, lambda x: MIDDLE_GREY + factor * (x - MIDDLE_GREY))


class StainStrength(A.ImageOnlyTransform):  # type: ignore[misc]  # albumentations has no types
    """Scale each channel's optical density: x -> 255 * (x / 255)^scale, white stays white.

    By Beer-Lambert's law this is what more or less stain does to transmitted light.

    Args:
        scale: Range of the factor on the optical density, drawn for each channel.
        p: Probability of being applied.
    """

    def __init__(self, scale: Range = (0.7, 1.4), p: float = 0.5) -> None:
        super().__init__(p=p)
        self.scale = _range("scale", scale, low=0)

    def get_params(self) -> dict[str, Any]:
        """Draw one factor per channel."""
        return {"scales": np.array([self.py_random.uniform(*self.scale) for _ in range(3)])}

    def apply(self, img: Image, scales: NDArray[np.float64], **_: object) -> Image:
        """Apply each channel's curve."""
        return _through_table(img, lambda x: 255 * (x / 255) ** scales)


TRANSFORMS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    # The ten of S3, in its order.
    "horizontal_flip": (A.HorizontalFlip, {}),
    "vertical_flip": (A.VerticalFlip, {}),
    "gaussian_blur": (A.GaussianBlur, {}),
    "sharpen": (A.Sharpen, {}),
    "emboss": (A.Emboss, {}),
    "gaussian_noise": (A.GaussNoise, {}),
    "invert_channels": (InvertChannels, {}),
    "brightness": (Brightness, {}),
    "contrast": (ContrastAboutGrey, {}),
    "grayscale": (A.ToGray, {}),
    # The stronger set. What comes in from outside the frame is the reflected smear, never black.
    "rotate_90": (A.RandomRotate90, {}),
    "affine": (A.Affine, {"border_mode": cv2.BORDER_REFLECT_101}),
    "elastic": (A.ElasticTransform, {"border_mode": cv2.BORDER_REFLECT_101}),
    "hue_saturation": (A.HueSaturationValue, {}),
    "stain_strength": (StainStrength, {}),
    "defocus": (A.Defocus, {}),
    "illumination": (A.Illumination, {}),
    "jpeg": (A.ImageCompression, {}),
}
"""Name in the configuration -> transform, and the arguments that are set for it."""


class Augmentation:
    """A fixed sequence of random transforms of image and label map, drawn from the seed of each call."""

    def __init__(self, transforms: list[A.BasicTransform]) -> None:
        self._compose = A.Compose(transforms, mask_interpolation=cv2.INTER_NEAREST)
        self._reflects = any(getattr(transform, "border_mode", None) is not None for transform in transforms)

    def __call__(self, image: Image, label_map: LabelMap, seed: int) -> tuple[Image, LabelMap]:
        """Transform one sample.

        Args:
            image: uint8 (H, W, 3), RGB.
            label_map: int32 (H, W), 0 = background; ids are kept exactly, geometry follows the image by nearest
                neighbour. A cell mirrored in from outside the frame, apart from the one it mirrors, gets a new id.
            seed: Seed of all draws of this call, not negative; the same seed gives the same result.

        Returns:
            Image and label map of the same dtypes; cells may have left the frame, so ids may have gaps.
            "rotate_90" swaps the sides of an image that is not square.

        Raises:
            TypeError: If a dtype is another one.
            ValueError: If the shapes do not belong together.
        """
        check_pair(image, label_map)
        # Reseeded at each call: workers would otherwise repeat one another, and each epoch the first. One stream is
        # shared by all transforms: set_random_seed() starts the same stream in each, which then act all or none.
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        result = self._compose(image=image, mask=label_map)
        moved = np.ascontiguousarray(result["mask"])
        return np.ascontiguousarray(result["image"]), separate_mirrored_cells(moved) if self._reflects else moved


def build_augmentation(settings: Mapping[str, Mapping[str, Any]]) -> Augmentation:
    """Make an augmentation from its configuration.

    Args:
        settings: Name of a transform -> its parameters, `p` (probability) and ranges, applied in this order.
            An empty mapping changes nothing.

    Returns:
        The augmentation.

    Raises:
        InputError: If a name or parameter is unknown, or a value is refused.
    """
    return Augmentation([_build_transform(name, parameters) for name, parameters in settings.items()])


def _build_transform(name: str, parameters: Mapping[str, Any]) -> A.BasicTransform:
    if name not in TRANSFORMS:
        raise InputError(f"Unknown augmentation {name!r}; known are {', '.join(TRANSFORMS)}.")
    if not isinstance(parameters, Mapping):
        raise InputError(f"Augmentation {name!r} takes a mapping such as {{p: 0.5}}, got {parameters!r}.")
    transform, fixed = TRANSFORMS[name]
    known = [key for key in inspect.signature(transform).parameters if key not in fixed]
    # albumentations only warns about an argument it does not know, and goes on without it.
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise InputError(f"Augmentation {name!r} has no parameter {', '.join(unknown)}; it has {', '.join(known)}.")
    probability = parameters.get("p", 0.5)
    if not isinstance(probability, int | float) or not 0 <= probability <= 1:
        raise InputError(f"Augmentation {name!r}: the probability p must lie in [0, 1], got {probability!r}.")
    try:
        with warnings.catch_warnings():
            # Some values it refuses albumentations replaces by its defaults, with a warning.
            warnings.simplefilter("error")
            return transform(**{key: _to_tuple(value) for key, value in parameters.items()}, **fixed)
    except (TypeError, ValueError, Warning) as error:
        raise InputError(f"Augmentation {name!r} refuses its parameters {parameters}: {error}") from error


def _to_tuple(value: object) -> object:
    # YAML has lists where albumentations wants tuples.
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _range(name: str, values: Range, low: float = -np.inf) -> Range:
    if len(values) != 2 or not low <= values[0] <= values[1]:
        raise ValueError(f"{name} must be a range [smallest, largest] from {low} up, got {values}.")
    return values[0], values[1]


def _through_table(image: Image, curve: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Image:
    # A curve of 256 values, looked up: fifty times faster than arithmetic on every pixel.
    values = np.broadcast_to(curve(np.arange(256.0)[:, None]), (256, 3))
    table = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), dtype=np.uint8)
