"""DiffAugment (Zhao et al. 2020): differentiable augmentation of what the discriminator sees.

Real and generated images pass through the same function, and the generator's gradient passes through it too: so the
discriminator cannot learn the few training images by heart, and the augmentations do not leak into the generator.

The paper's code knows class labels only. Here the discriminator judges an image together with its condition, so the
geometric augmentations treat the two as one picture: translation moves both and cutout blanks both, else a hole would be
held against a mask that asks for cells there. The colour ones leave the condition alone. A blanked one-hot condition is
zero in every channel, which no pixel of a label map ever is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Word = Literal["color", "translation", "cutout"]

# Part of every stream's key: the same per-image seed also feeds the generator's noise.
_STREAM = 0xD1FF


@dataclass(frozen=True)
class Augmentations:
    """Random parameters of a batch of B images; to be applied to real and generated images alike.

    Attributes:
        words: what is done, in this order.
        size: height and width in pixels that shift and hole are meant for.
        brightness: float64 (B,) in [-0.5, 0.5), added.
        saturation: float64 (B,) in [0, 2), factor about each pixel's mean over channels.
        contrast: float64 (B,) in [0.5, 1.5), factor about the image's mean.
        shift: int64 (B, 2), rows down and columns right; up to an eighth of the size either way.
        hole: int64 (B, 2), row and column of the centre of a hole of half the size, cut off at the border.
    """

    words: tuple[Word, ...]
    size: tuple[int, int]
    brightness: NDArray[np.float64]
    saturation: NDArray[np.float64]
    contrast: NDArray[np.float64]
    shift: NDArray[np.int64]
    hole: NDArray[np.int64]


def parse_policy(policy: str) -> tuple[Word, ...]:
    """Split a policy such as "color,translation,cutout"; the empty string does nothing.

    Raises:
        ValueError: a word is unknown, or there twice, or there are no words.
    """
    if not isinstance(policy, str):
        raise ValueError(f"diff_augment must be words such as 'color,translation,cutout', or '' for none, got {policy!r}")
    words = tuple(word.strip() for word in policy.split(",")) if policy.strip() else ()
    known = ", ".join(get_args(Word))
    for word in words:
        if word not in get_args(Word):
            raise ValueError(f"unknown augmentation {word!r} in policy {policy!r}: choose from {known}")
    if len(set(words)) < len(words):
        raise ValueError(f"policy {policy!r} names an augmentation twice: name each of {known} at most once")
    return cast(tuple[Word, ...], words)


def draw_augmentations(seeds: Sequence[int], policy: str, height: int, width: int) -> Augmentations:
    """Draw the parameters of a batch of images of height x width pixels, each image's from its own seed (>= 0) alone.

    Every parameter is drawn, whatever the policy: dropping a word leaves the others' draws as they were.
    """
    words = parse_policy(policy)
    size = np.array([height, width])
    reach, parity = size // 8, size // 2 % 2
    generators = [np.random.default_rng([int(seed), _STREAM]) for seed in seeds]
    color = np.array([generator.random(3) for generator in generators]).reshape(-1, 3)
    shift = np.array([generator.integers(-reach, reach + 1) for generator in generators]).reshape(-1, 2)
    # An even hole has its centre between two pixels: one more position makes both borders alike.
    hole = np.array([generator.integers(0, size + 1 - parity) for generator in generators]).reshape(-1, 2)
    return Augmentations(words, (height, width), color[:, 0] - 0.5, color[:, 1] * 2, color[:, 2] + 0.5, shift, hole)


def augment(parameters: Augmentations, image: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
    """Apply the parameters to images and to what they are conditioned on.

    Args:
        parameters: from `draw_augmentations`, for this batch and size.
        image: float (B, C, H, W) in [-1, 1]; the result may leave that range, as in the paper's code.
        condition: float (B, K, H, W); moved and blanked with the image, never recoloured.

    Returns:
        Image and condition of the same shapes and dtypes, differentiable; the inputs themselves for an empty policy.
    """
    expected = (len(parameters.shift), *parameters.size)
    for name, x in (("image", image), ("condition", condition)):
        if x.ndim != 4 or (x.shape[0], *x.shape[2:]) != expected:
            raise ValueError(f"parameters drawn for (B, H, W) = {expected}, got {name} of shape {tuple(x.shape)}")
    for word in parameters.words:
        if word == "color":
            image = _recolor(parameters, image)
        elif word == "translation":
            image, condition = _translate(parameters, image), _translate(parameters, condition)
        else:
            kept = _outside_hole(parameters, image.device)
            image, condition = image * kept.to(image.dtype), condition * kept.to(condition.dtype)
    return image, condition


def _recolor(parameters: Augmentations, image: Tensor) -> Tensor:
    brightness, saturation, contrast = (
        torch.as_tensor(values, dtype=image.dtype, device=image.device).view(-1, 1, 1, 1)
        for values in (parameters.brightness, parameters.saturation, parameters.contrast)
    )
    image = image + brightness
    gray = image.mean(dim=1, keepdim=True)
    image = gray + (image - gray) * saturation
    level = image.mean(dim=(1, 2, 3), keepdim=True)
    return level + (image - level) * contrast


def _translate(parameters: Augmentations, x: Tensor) -> Tensor:
    """Shift every image by whole pixels; zeros come in from outside."""
    # A padding of d on one side and -d on the other: no gather, whose backward pass adds in any order on a GPU.
    moved = [F.pad(one, (right, -right, down, -down)) for one, (down, right) in zip(x, parameters.shift.tolist(), strict=True)]
    return torch.stack(moved)


def _outside_hole(parameters: Augmentations, device: torch.device) -> Tensor:
    """Bool (B, 1, H, W), False in the hole."""
    height, width = parameters.size
    kept = torch.ones(len(parameters.hole), 1, height, width, dtype=torch.bool)
    for one, (row, column) in zip(kept, parameters.hole.tolist(), strict=True):
        top, left = row - height // 4, column - width // 4
        one[:, max(top, 0) : top + height // 2, max(left, 0) : left + width // 2] = False
    return kept.to(device)
