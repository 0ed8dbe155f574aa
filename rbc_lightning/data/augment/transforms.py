"""The augmentation of training samples: cells pasted in, then the ten changes of Bailo et al. 2019, Sec. 5.2, or stronger ones.

What is drawn depends on the seed of the call alone, so that any number
of loader workers gives the same stream.
"""

import inspect
import os
import random
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.files import to_plain
from rbc_lightning.data.augment.copy_paste import CopyPaste, CopyPasteSettings
from rbc_lightning.data.augment.crops import Augment, check_pair, separate_mirrored_cells
from rbc_lightning.data.augment.reflecting import REFLECTING, ReflectingAffine, ReflectingElastic
from rbc_lightning.data.augment.scans import BiasField, ScanContrast
from rbc_lightning.data.conversions import from_unit, to_unit
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.spec import RGB, Image, ImageSpec, LabelMap
from rbc_lightning.errors import InputError, blaming

# Without this albumentations asks a server for its newest version when it is imported.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations as A

Range = tuple[float, float]
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Pixels = NDArray[Any]
"""What transforms work on: uint8 in 0..255, or, for other value ranges, float32 in [0, 1]."""
FLIPS: Mapping[str, Mapping[str, Any]] = {"horizontal_flip": {"p": 0.5}, "vertical_flip": {"p": 0.5}}
"""Mirror images alone, as Bailo et al. 2019, Sec. 5.1 train their GAN with: they keep a smear a smear."""
_UPENDING = ("vertical_flip", "rotate_90")  # left out where up and down differ


class InvertChannels(A.ImageOnlyTransform):  # type: ignore[misc]  # albumentations has no types
    """x -> 255 - x in channels drawn independently with probability one half, at least one; or, not `per_channel`, in all."""

    def __init__(self, per_channel: bool = True, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.per_channel = per_channel

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Draw which channels are inverted: the bits of a number from 1 up, which has a bit for each."""
        every = 2 ** params["shape"][2] - 1
        bits = self.py_random.randint(1, every) if self.per_channel else every
        return {"inverted": [bool(bits >> channel & 1) for channel in range(params["shape"][2])]}

    def apply(self, img: Pixels, inverted: list[bool], **_: object) -> Pixels:
        """Invert the drawn channels."""
        return np.where(inverted, (255 if img.dtype == np.uint8 else np.float32(1)) - img, img)


class GreyCurve(A.ImageOnlyTransform):  # type: ignore[misc]  # albumentations has no types
    """Sends grey levels 0..255 through a curve drawn anew for each image, and clips them to that range."""

    @abstractmethod
    def draw(self, n_channels: int) -> Curve:
        """Draw a curve, from `self.py_random`; it takes and gives grey levels (..., C) or (..., 1)."""

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Draw the curve."""
        return {"curve": self.draw(params["shape"][2])}

    def apply(self, img: Pixels, curve: Curve, **_: object) -> Pixels:
        """Apply it to every value."""
        if img.dtype != np.uint8:
            return np.clip(curve(img * 255.0) / 255, 0, 1).astype(np.float32)
        # A curve of 256 values, looked up: fifty times faster than arithmetic on every pixel.
        values = np.broadcast_to(curve(np.arange(256.0)[:, None]), (256, img.shape[2]))
        table = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        return np.asarray(cv2.LUT(img, table[None]), dtype=np.uint8).reshape(img.shape)


class Brightness(GreyCurve):
    """x -> multiply * x + add, both drawn from a range."""

    def __init__(self, add: Range = (-30, 30), multiply: Range = (0.8, 1.2), p: float = 0.5) -> None:
        super().__init__(p=p)
        self.add, self.multiply = _range("add", add), _range("multiply", multiply, low=0)

    def draw(self, n_channels: int) -> Curve:  # noqa: ARG002
        """One line for all channels."""
        add, multiply = self.py_random.uniform(*self.add), self.py_random.uniform(*self.multiply)
        return lambda x: multiply * x + add


class ContrastAboutGrey(GreyCurve):
    """x -> 128 + factor * (x - 128), drawn from a range: contrast about middle grey (albumentations scales about 0)."""

    def __init__(self, factor: Range = (0.6, 1.5), p: float = 0.5) -> None:
        super().__init__(p=p)
        self.factor = _range("factor", factor, low=0)

    def draw(self, n_channels: int) -> Curve:  # noqa: ARG002
        """One line for all channels."""
        factor = self.py_random.uniform(*self.factor)
        return lambda x: 128 + factor * (x - 128)


class StainStrength(GreyCurve):
    """Scale each channel's optical density by a factor drawn from a range: x -> 255 * (x / 255)^scale, white stays white.

    By Beer-Lambert's law this is what more or less stain does to transmitted light.
    """

    def __init__(self, scale: Range = (0.7, 1.4), p: float = 0.5) -> None:
        super().__init__(p=p)
        self.scale = _range("scale", scale, low=0)

    def draw(self, n_channels: int) -> Curve:
        """A power for each channel."""
        scales = np.array([self.py_random.uniform(*self.scale) for _ in range(n_channels)])
        return lambda x: np.asarray(255 * (x / 255) ** scales)


TRANSFORMS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    # The ten of the paper, in its order.
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
    "affine": (ReflectingAffine, {"border_mode": cv2.BORDER_REFLECT_101}),
    "elastic": (ReflectingElastic, {"border_mode": cv2.BORDER_REFLECT_101}),
    "hue_saturation": (A.HueSaturationValue, {}),
    "stain_strength": (StainStrength, {}),
    "defocus": (A.Defocus, {}),
    "illumination": (A.Illumination, {}),
    "jpeg": (A.ImageCompression, {}),
    # Of scans.
    "scan_contrast": (ScanContrast, {}),
    "bias_field": (BiasField, {}),
}
"""Name in the configuration -> transform, and the arguments that are set for it."""


class Augmentation:
    """A fixed sequence of random transforms of image and label map, drawn from the seed of each call.

    Value ranges other than 0..255 are worked on as float32: the parameters keep their meaning in grey levels of 1/255 of the
    range.
    """

    def __init__(self, transforms: list[A.BasicTransform], spec: ImageSpec) -> None:
        self.spec = spec
        reflects = any(isinstance(transform, REFLECTING) for transform in transforms)
        self._separates = reflects and spec.labels == "instances"
        more = {"mirror": "mask"} if self._separates else {}
        self._compose = A.Compose(transforms, mask_interpolation=cv2.INTER_NEAREST, additional_targets=more)

    def __call__(self, image: Image, label_map: LabelMap, seed: int) -> tuple[Image, LabelMap]:
        """Transform an image (H, W, C) and its label map int32 (H, W), 0 = background, by draws from the seed alone.

        Ids are kept exactly, geometry follows the image by nearest neighbour. An instance mirrored in from outside the frame,
        apart from the one it mirrors, gets a new id; others may have left it, so ids may have gaps. "rotate_90" swaps the
        sides of an image that is not square. What is no pair is refused, see `check_pair`.
        """
        check_pair(image, label_map, self.spec)
        in_levels = self.spec.value_range == RGB.value_range
        # Reseeded at each call: workers would otherwise repeat one another, and each epoch the first. One stream is
        # shared by all transforms: set_random_seed() starts the same stream in each, which then act all or none.
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        more = {"mirror": np.zeros(label_map.shape, np.uint8)} if self._separates else {}
        result = self._compose(image=image if in_levels else to_unit(image, self.spec), mask=label_map, **more)
        changed = result["image"] if in_levels else from_unit(result["image"], self.spec)
        moved = np.ascontiguousarray(result["mask"])
        return np.ascontiguousarray(changed), separate_mirrored_cells(moved, result["mirror"]) if more else moved


def _in_turn(steps: Sequence[Augment], image: Image, label_map: LabelMap, seed: int) -> tuple[Image, LabelMap]:
    """Apply augmentations one after the other, each with a seed of its own."""
    for step, state in zip(steps, np.random.SeedSequence(seed).generate_state(len(steps)), strict=True):
        image, label_map = step(image, label_map, int(state))
    return image, label_map


@dataclass(frozen=True)
class TrainingAugmentation:
    """The configuration group `augment`; an `InputError` refuses a name, parameter or value."""

    transforms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # as `build_augmentation` takes them
    copy_paste: Mapping[str, Any] | CopyPasteSettings | None = None  # a mapping has some of the values; None for no pasting

    def __post_init__(self) -> None:
        build_augmentation(self.transforms)
        given, known = self.copy_paste, [entry.name for entry in fields(CopyPasteSettings)]
        if given is None or isinstance(given, CopyPasteSettings):
            return
        if not isinstance(given, Mapping) or set(given) - set(known):
            raise InputError(f"augment.copy_paste={given}; expected null, or a mapping with some of {', '.join(known)}")
        with blaming("augment.copy_paste"):
            object.__setattr__(self, "copy_paste", CopyPasteSettings(**given))

    def decisive(self) -> dict[str, Any]:
        """What enters keys: the order of the transforms too, which a mapping's hash leaves out."""
        transforms, copy_paste = to_plain(self.transforms), to_plain(self.copy_paste)
        # The second format of reflected cells: those in pieces under another cell stay one.
        reflected = {"reflected": 2} if any(TRANSFORMS[name][0] in REFLECTING for name in transforms) else {}
        return {"transforms": transforms, "order": list(transforms), "copy_paste": copy_paste, **reflected}

    def build(self, donors: Sequence[Sample], seed: int, spec: ImageSpec) -> Augment:
        """The augmentation for images of one kind.

        Cells may be cut from the donors, real training samples, which are read only then; the seed decides which are kept. An
        `InputError` refuses transforms and donors that make no sense for such images.
        """
        transforms = build_augmentation(self.transforms, spec)
        if not isinstance(self.copy_paste, CopyPasteSettings):
            return transforms
        return partial(_in_turn, (CopyPaste(donors, self.copy_paste, seed), transforms))


def build_augmentation(settings: Mapping[str, Mapping[str, Any]], spec: ImageSpec = RGB) -> Augmentation:
    """Make an augmentation from its configuration: name of a transform -> its parameters, `p` and ranges, in their order.

    What turns an image upside down, "vertical_flip" and "rotate_90", is left out of upright images.

    Raises:
        InputError: If a name or parameter is unknown, a value is refused, or a transform makes no sense for such images.
    """
    built = {name: _build_transform(name, parameters, spec) for name, parameters in settings.items()}
    return Augmentation([each for name, each in built.items() if not (spec.upright and name in _UPENDING)], spec)


def _build_transform(name: str, parameters: Mapping[str, Any], spec: ImageSpec) -> A.BasicTransform:
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
    _refuse_kind(name, spec)
    # YAML has lists where albumentations wants tuples.
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in parameters.items()}
    try:
        with warnings.catch_warnings():
            # Some values it refuses albumentations replaces by its defaults, with a warning.
            warnings.simplefilter("error")
            return transform(**values, **fixed)
    except (TypeError, ValueError, Warning) as error:
        raise InputError(f"Augmentation {name!r} refuses its parameters {parameters}: {error}") from error


def _refuse_kind(name: str, spec: ImageSpec) -> None:
    """Refuse a transform that is defined for other images only."""
    has = f"these images have {spec.n_channels} ({', '.join(spec.channels)})"
    if name in ("grayscale", "hue_saturation") and spec.channels != RGB.channels:
        needs = f"three channels (red, green, blue); {has}"
    elif name == "jpeg" and (spec.n_channels not in (1, 3) or spec.value_range != RGB.value_range):
        needs = f"one or three channels of values 0..255; {has} of values {spec.value_range[0]}..{spec.value_range[1]}"
    elif name == "stain_strength" and spec.objects == "bright":
        needs = "objects that absorb light; the objects of these images are bright"
    else:
        return
    raise InputError(f"augment.transforms.{name} needs {needs}: take it out")


def _range(name: str, values: Range, low: float = -np.inf) -> Range:
    if len(values) != 2 or not low <= values[0] <= values[1]:
        raise ValueError(f"{name} must be a range [smallest, largest] from {low} up, got {values}.")
    return values[0], values[1]
