"""Uneven illumination: the smooth surface of an image's background, the image without it, and images standardised."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Objects = Literal["dark", "bright"]
"""Whether objects are darker or brighter than what they lie on."""
SQUARE = 8
"""Side in pixels of the squares whose means the surface is fitted to."""
ROUNDS = 6
OBJECT_WEIGHT = 0.02
"""Weight of squares off the surface on the side of the objects: mostly objects, which must not pull it."""
RIDGE = 0.02
"""Pull of slopes and curvatures towards zero, as a share of the weight of all squares: crops full of objects stay the same."""
IMAGE_STD_FLOOR = 0.02
"""Smallest standard deviation divided by; a field without cells has about this much noise."""


def background_surface(image: Tensor, objects: Objects = "dark") -> Tensor:
    """Fit the background of each image by a quadratic surface, channel by channel, from the side without objects.

    Least squares on means over squares of 8 x 8 pixels, repeated with small weights for squares that lie off the
    surface, towards the objects, by more than its own spread. Images and surfaces are float32 (B, C, H, W).
    """
    height, width = image.shape[-2:]
    side = min(SQUARE, height, width)
    # Autocast would do the products in bf16, which keeps two digits.
    with torch.autocast(device_type=image.device.type, enabled=False):
        small = F.avg_pool2d(image.double(), side)
        values = small.flatten(2).transpose(1, 2)
        grey = values.mean(2, keepdim=True)
        basis = torch.stack([term.flatten() for term in _terms(small.shape[-2], small.shape[-1], values)], dim=1)
        weights = torch.ones_like(grey)
        for _ in range(ROUNDS):
            residual = grey - basis @ _fit(basis, grey, weights)
            spread = ((weights * residual.square()).sum(1, keepdim=True) / weights.sum(1, keepdim=True)).sqrt()
            beyond = residual < -spread if objects == "dark" else residual > spread
            weights = torch.where(beyond, OBJECT_WEIGHT, 1.0).to(grey)
        coefficients = _fit(basis, values, weights).to(image.dtype)
        surface = torch.zeros_like(image)
        # One after the other: a field of 4000 x 6000 pixels has no room for all at once.
        for term, weight in zip(_terms(height, width, image), coefficients.unbind(1), strict=True):
            surface += term * weight[..., None, None]
        return surface


def flatten_illumination(image: Tensor, objects: Objects = "dark") -> Tensor:
    """Subtract the background's surface, but for its mean: light that falls off towards the corners becomes even.

    Images are float32 (B, C, H, W); each channel's mean stays.
    """
    surface = background_surface(image, objects)
    return image - (surface - surface.mean((2, 3), keepdim=True))


def standardize(image: Tensor, objects: Objects = "dark") -> Tensor:
    """Even out each image's light, subtract its mean and divide by its standard deviation, channel by channel.

    Stain and background differ more between smears than cells differ from background within one
    (the spread of mean intensity between images is a tenth of the full range), and in a pale smear a corner that the lamp
    does not reach is as dark as a cell, so that an image is its own best reference. Nothing is learnt or stored: a network
    sees the same input in training, test and prediction.

    Images are float (B, C, H, W) in [0, 1], the result is float32; a constant image gives zeros.
    """
    image = flatten_illumination(image.float(), objects)
    std, mean = torch.std_mean(image, dim=(2, 3), keepdim=True, correction=0)
    return (image - mean) / std.clamp_min(IMAGE_STD_FLOOR)


def _terms(height: int, width: int, like: Tensor) -> list[Tensor]:
    """Polynomials up to order two at every position, each (height, width), of coordinates in [-1, 1]; the constant first."""
    rows = torch.linspace(-1, 1, height, device=like.device, dtype=like.dtype)[:, None].expand(height, width)
    columns = torch.linspace(-1, 1, width, device=like.device, dtype=like.dtype)[None].expand(height, width)
    return [torch.ones_like(rows), rows, columns, rows * columns, rows**2, columns**2]


def _fit(basis: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """Coefficients (B, 6, C) of ridge regression of values (B, N, C) with weights (B, N, 1) on the basis (N, 6)."""
    weighted = basis * weights
    ridge = torch.full((basis.shape[1],), RIDGE * basis.shape[0], dtype=basis.dtype, device=basis.device)
    # The constant is free.
    ridge[0] = 0
    gram = weighted.transpose(1, 2) @ basis + torch.diag(ridge)
    solved: Tensor = torch.linalg.solve(gram, weighted.transpose(1, 2) @ values)
    return solved
