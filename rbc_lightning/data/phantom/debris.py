"""What lies between the cells: platelets, precipitated stain, dirt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.phantom.spec import PhantomSpec, Slide

PLATELET_HUE = np.array([0.55, 1.0, 0.30])  # azurophil granules: purple
DIRT_HUE = np.array([0.9, 1.0, 1.1])  # nearly neutral, a little brown


def draw_debris(spec: PhantomSpec, slide: Slide, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Draw two layers of optical density: purple (platelets, precipitate) and brown (dirt).

    Args:
        spec: Settings.
        slide: Gives the number of cells, to which the numbers of particles are proportional.
        rng: Source of all draws.

    Returns:
        Two layers, float32 (H, W).
    """
    purple = np.zeros((spec.height, spec.width), np.float32)
    brown = np.zeros_like(purple)
    hundreds = slide.count / 100.0
    for _ in range(rng.poisson(spec.platelets * hundreds)):
        _add_platelet(purple, spec, rng)
    for _ in range(rng.poisson(slide.precipitate * hundreds)):
        _add_blob(purple, _anywhere(spec, rng), rng.uniform(0.6, 1.3) * spec.unit, 1.2, rng.uniform(0.1, 0.6), rng)
    for _ in range(rng.poisson(spec.dirt * hundreds)):
        far = rng.random() < 0.25  # dirt on another surface of the optics is large, blurred and pale
        size = rng.uniform(6.0, 22.0) if far else rng.uniform(0.8, 2.8)
        density = rng.uniform(0.01, 0.05) if far else rng.uniform(0.1, 0.7)
        _add_blob(brown, _anywhere(spec, rng), size * spec.unit, rng.uniform(1.0, 2.0), density, rng)
    return [purple, brown]


def _anywhere(spec: PhantomSpec, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.uniform(0.0, 1.0, 2) * (spec.height, spec.width)


def _add_platelet(layer: NDArray[np.float32], spec: PhantomSpec, rng: np.random.Generator) -> None:
    """Add a pale body of about 8 to 17 pixels with dark granules."""
    center = _anywhere(spec, rng)
    size = rng.uniform(3.0, 6.5) * spec.unit
    _add_blob(layer, center, size, rng.uniform(1.0, 1.5), rng.uniform(0.15, 0.3), rng)
    for _ in range(rng.integers(3, 9)):
        offset = rng.normal(0.0, 0.6 * size, 2)
        _add_blob(layer, center + offset, rng.uniform(0.7, 1.4) * spec.unit, 1.2, rng.uniform(0.1, 0.35), rng)


def _add_blob(
    layer: NDArray[np.float32],
    center: NDArray[np.float64],
    sigma: float,
    aspect: float,
    density: float,
    rng: np.random.Generator,
) -> None:
    """Add an elliptical Gaussian-like spot of random direction in place, cut at the border."""
    angle = rng.uniform(0.0, np.pi)
    half = int(np.ceil(3.0 * sigma * aspect))
    top, left = int(center[0]) - half, int(center[1]) - half
    bottom, right = min(top + 2 * half + 1, layer.shape[0]), min(left + 2 * half + 1, layer.shape[1])
    top, left = max(top, 0), max(left, 0)
    if top >= bottom or left >= right:
        return
    rows = np.arange(top, bottom)[:, None] - center[0]
    cols = np.arange(left, right)[None, :] - center[1]
    along = (np.cos(angle) * cols + np.sin(angle) * rows) / (sigma * aspect)
    across = (np.cos(angle) * rows - np.sin(angle) * cols) / sigma
    # The fourth power gives a body with an edge; a plain Gaussian looks like a light leak.
    layer[top:bottom, left:right] += (density * np.exp(-0.25 * (along**2 + across**2) ** 2)).astype(np.float32)
