"""From optical density to a photograph: illumination, Beer-Lambert absorption, defocus, scatter, camera noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.phantom.debris import DIRT_HUE, PLATELET_HUE
from rbc_lightning.data.phantom.spec import PhantomSpec, Slide

RED_BLUR, BLUE_BLUR = 1.12, 0.95  # the lens focuses the three colours at slightly different depths


def photograph(
    thickness: NDArray[np.float32],
    debris: list[NDArray[np.float32]],
    spec: PhantomSpec,
    slide: Slide,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Render the slide as the camera sees it.

    Args:
        thickness: Summed thickness of the cells, float32 (H, W), 1 at a normal rim.
        debris: Optical density of the purple and of the brown particles, float32 (H, W) each.
        spec: Settings.
        slide: Stain, light and focus of this image.
        rng: Source of all draws.

    Returns:
        RGB image, uint8 (H, W, 3).
    """
    # First-order defocus adds the density's Laplacian: dark inside the outline, bright outside, or the reverse.
    wide = cv2.GaussianBlur(thickness, (0, 0), 2.5 * spec.unit)
    cells = thickness + np.float32(slide.refraction) * (thickness - wide)
    cells += 0.02 * _clouds(spec, 3.0, rng)
    light = _illumination(spec, rng)
    texture = 1.0 + 0.006 * _clouds(spec, 0.5, rng) + 0.008 * _clouds(spec, 0.08, rng)
    image = np.empty((*thickness.shape, 3), np.float32)
    for channel, blur in enumerate((RED_BLUR, 1.0, BLUE_BLUR)):
        density = np.float32(slide.absorbance[channel]) * cells
        density += np.float32(PLATELET_HUE[channel]) * debris[0] + np.float32(DIRT_HUE[channel]) * debris[1]
        passed = np.exp(density * np.float32(-np.log(10.0)))  # Beer-Lambert
        focused = np.asarray(cv2.GaussianBlur(passed, (0, 0), blur * slide.focus_sigma), dtype=np.float32)
        arriving = _scatter(focused, slide.haze, spec) * light * texture
        image[..., channel] = np.float32(slide.background[channel]) * arriving
    return _expose(image, slide, rng)


def _clouds(spec: PhantomSpec, cells: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise of unit variance whose grain is the given number of cells wide, float32 (H, W)."""
    grain = max(1.0, cells * spec.cell_size)
    shape = (int(np.ceil(spec.height / grain)) + 3, int(np.ceil(spec.width / grain)) + 3)
    coarse = rng.standard_normal(shape, dtype=np.float32)
    size = (int(shape[1] * grain), int(shape[0] * grain))
    smooth = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    offset = int(grain)  # the outermost grain is extrapolated
    return np.asarray(smooth[offset : offset + spec.height, offset : offset + spec.width] * np.float32(1.3))


def _illumination(spec: PhantomSpec, rng: np.random.Generator) -> NDArray[np.float32]:
    """Relative brightness of the lamp: a tilt and a fall-off around an off-centre axis, float32 (H, W)."""
    rows = np.linspace(-1.0, 1.0, spec.height, dtype=np.float32)[:, None]
    cols = np.linspace(-1.0, 1.0, spec.width, dtype=np.float32)[None, :]
    tilt = rng.normal(0.0, 0.02, 2)
    axis = rng.normal(0.0, 0.3, 2)
    fall = min(rng.exponential(0.03), 0.12)
    light = 1.0 + tilt[0] * rows + tilt[1] * cols - fall * ((rows - axis[0]) ** 2 + (cols - axis[1]) ** 2 - 0.67)
    return np.asarray(light, dtype=np.float32)


def _scatter(passed: NDArray[np.float32], haze: float, spec: PhantomSpec) -> NDArray[np.float32]:
    """Replace a fraction of the light by its average over about a cell."""
    # A wide blur needs no full resolution.
    small = cv2.resize(passed, (max(1, spec.width // 8), max(1, spec.height // 8)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 20.0 * spec.unit / 8)
    veil = cv2.resize(small, (spec.width, spec.height), interpolation=cv2.INTER_LINEAR)
    return np.asarray((1.0 - haze) * passed + haze * veil, dtype=np.float32)


def _expose(image: NDArray[np.float32], slide: Slide, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Add camera noise whose variance grows with the light, and quantise."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    # Interpolation of the colour mosaic correlates the noise of neighbouring pixels; 1.6 restores its variance.
    noise = cv2.GaussianBlur(noise, (0, 0), 0.6) * np.float32(1.6 * slide.noise)
    noisy = image + noise * np.sqrt(np.maximum(image, 0.0) / 128.0 + 0.1)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), dtype=np.uint8)
