"""From optical density to a photograph: debris, light, Beer-Lambert absorption, defocus, scatter, camera noise."""

import cv2
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.readers.phantom.spec import Floats, PhantomSpec, Plane, Slide

RED_BLUR, BLUE_BLUR = 1.12, 0.95  # the lens focuses the three colours at slightly different depths
PLATELET_HUE = np.array([0.55, 1.0, 0.30])  # azurophil granules: purple
DIRT_HUE = np.array([0.9, 1.0, 1.1])  # nearly neutral, a little brown


def photograph(
    thickness: Plane, debris: list[Plane], spec: PhantomSpec, slide: Slide, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Render the slide as the camera sees it, RGB uint8 (H, W, 3).

    It is given the summed thickness of the cells, 1 at a normal rim, and the optical densities that `draw_debris` draws.
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


def draw_debris(spec: PhantomSpec, slide: Slide, rng: np.random.Generator) -> list[Plane]:
    """Draw two layers of optical density (H, W): purple (platelets, precipitated stain) and brown (dirt)."""
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


def _anywhere(spec: PhantomSpec, rng: np.random.Generator) -> Floats:
    return rng.uniform(0.0, 1.0, 2) * (spec.height, spec.width)


def _add_platelet(layer: Plane, spec: PhantomSpec, rng: np.random.Generator) -> None:
    """Add a pale body of about 8 to 17 pixels with dark granules."""
    center = _anywhere(spec, rng)
    size = rng.uniform(3.0, 6.5) * spec.unit
    _add_blob(layer, center, size, rng.uniform(1.0, 1.5), rng.uniform(0.15, 0.3), rng)
    for _ in range(rng.integers(3, 9)):
        offset = rng.normal(0.0, 0.6 * size, 2)
        _add_blob(layer, center + offset, rng.uniform(0.7, 1.4) * spec.unit, 1.2, rng.uniform(0.1, 0.35), rng)


def _add_blob(layer: Plane, center: Floats, sigma: float, aspect: float, density: float, rng: np.random.Generator) -> None:
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


def _clouds(spec: PhantomSpec, cells: float, rng: np.random.Generator) -> Plane:
    """Smooth noise of unit variance whose grain is the given number of cells wide, float32 (H, W)."""
    grain = max(1.0, cells * spec.cell_size)
    shape = (int(np.ceil(spec.height / grain)) + 3, int(np.ceil(spec.width / grain)) + 3)
    coarse = rng.standard_normal(shape, dtype=np.float32)
    size = (int(shape[1] * grain), int(shape[0] * grain))
    smooth = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    offset = int(grain)  # the outermost grain is extrapolated
    return np.asarray(smooth[offset : offset + spec.height, offset : offset + spec.width] * np.float32(1.3))


def _illumination(spec: PhantomSpec, rng: np.random.Generator) -> Plane:
    """Relative brightness of the lamp: a tilt and a fall-off around an off-centre axis, float32 (H, W)."""
    rows = np.linspace(-1.0, 1.0, spec.height, dtype=np.float32)[:, None]
    cols = np.linspace(-1.0, 1.0, spec.width, dtype=np.float32)[None, :]
    tilt = rng.normal(0.0, 0.02, 2)
    axis = rng.normal(0.0, 0.3, 2)
    fall = min(rng.exponential(0.03), 0.12)
    light = 1.0 + tilt[0] * rows + tilt[1] * cols - fall * ((rows - axis[0]) ** 2 + (cols - axis[1]) ** 2 - 0.67)
    return np.asarray(light, dtype=np.float32)


def _scatter(passed: Plane, haze: float, spec: PhantomSpec) -> Plane:
    """Replace a fraction of the light by its average over about a cell."""
    # A wide blur needs no full resolution.
    small = cv2.resize(passed, (max(1, spec.width // 8), max(1, spec.height // 8)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 20.0 * spec.unit / 8)
    veil = cv2.resize(small, (spec.width, spec.height), interpolation=cv2.INTER_LINEAR)
    return np.asarray((1.0 - haze) * passed + haze * veil, dtype=np.float32)


def _expose(image: Plane, slide: Slide, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Add camera noise whose variance grows with the light, and quantise."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    # Interpolation of the colour mosaic correlates the noise of neighbouring pixels; 1.6 restores its variance.
    noise = cv2.GaussianBlur(noise, (0, 0), 0.6) * np.float32(1.6 * slide.noise)
    noisy = image + noise * np.sqrt(np.maximum(image, 0.0) / 128.0 + 0.1)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), dtype=np.uint8)
