"""Single red cells: outline and thickness of a dried biconcave disc."""

from dataclasses import dataclass

import numpy as np

from rbc_lightning.data.readers.phantom.spec import Floats, PhantomSpec, Plane, Slide

# Evans and Fung 1972: thickness / radius = sqrt(1 - r^2) (C0 + C1 r^2 + C2 r^4) of a cell of radius 3.91 um.
EVANS_FUNG = (0.207, 2.003, -1.123)
CREST = -EVANS_FUNG[1] / (2 * EVANS_FUNG[2])  # r^2 where the polynomial peaks; beyond it only the edge falls
PEAK = 0.598  # largest thickness / radius of the dried profile: divided out, so that a normal rim has thickness 1
FLAT = 0.80  # height of a cell without dimple, in the same measure as the polynomial
FLOOR = 1.3  # dried on glass, the dimple has a flatter floor than the profile in suspension
N_ANGLES = 256


@dataclass(frozen=True)
class Cell:
    """One red cell before it is placed."""

    radius: float  # of the disc of the same area, pixels
    outline: Floats  # radius over angle divided by `radius`, (256,), before the ellipse is applied
    aspect: float  # ratio of the ellipse's axes, 1 or more
    angle: float  # of the long axis, radians
    dimple: float  # depth of the central dimple, 0 to about 1
    dimple_shift: Floats  # its offset, fraction of the radius, (2,)
    dimple_size: Floats  # its half axes relative to a normal cell's, (2,); a small second one is a slit
    tilt: Floats  # relative change of the thickness across one radius, (2,)
    bump: float  # height of a central knob: target cells
    spots: Floats  # crenation seen from above, (k, 2) positions as fractions of the radius
    pigment: float  # haemoglobin relative to the slide's mean


def draw_cells(spec: PhantomSpec, slide: Slide, rng: np.random.Generator) -> list[Cell]:
    """Draw the `slide.count` cells of one slide."""
    spread = 0.82 * spec.cell_std / spec.cell_size
    log_size = np.clip(rng.normal(0.0, spread, slide.count), -3.0 * spread, 3.5 * spread)
    return [_draw_cell(0.5 * slide.diameter * float(np.exp(size)), slide, rng) for size in log_size]


def _draw_cell(radius: float, slide: Slide, rng: np.random.Generator) -> Cell:
    crenated = bool(rng.random() < slide.crenated)
    slit = bool(rng.random() < 0.05)
    dimple = 0.1 if crenated else float(np.clip(rng.normal(slide.pallor, 0.15), 0.0, 1.15))
    reach = rng.uniform(0.2, 0.8, 11 if crenated else 0)
    turn = rng.uniform(0.0, 2 * np.pi, len(reach))
    return Cell(
        radius=radius,
        outline=_draw_outline(crenated, rng),
        aspect=1.0 + min(rng.gamma(1.5, 0.09), 0.9),
        angle=rng.uniform(0.0, np.pi),
        dimple=0.0 if rng.random() < 0.04 else dimple,  # spherocytes have none
        dimple_shift=rng.normal(0.0, 0.09, 2),
        dimple_size=rng.uniform([0.7, 0.25], [0.95, 0.45]) if slit else rng.uniform(0.8, 1.12) * rng.uniform(0.88, 1.0, 2),
        tilt=rng.normal(0.0, 0.08, 2),
        bump=rng.uniform(0.3, 0.6) if rng.random() < 0.03 else 0.0,
        spots=np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=1),
        pigment=float(np.clip(rng.normal(1.0, 0.09), 0.6, 1.4)),
    )


def _draw_outline(crenated: bool, rng: np.random.Generator) -> Floats:
    """Radius over angle with unit area: a few Fourier modes, sometimes a tail or crenations."""
    theta = np.arange(N_ANGLES) * (2 * np.pi / N_ANGLES)
    outline = np.ones(N_ANGLES)
    for mode in range(2, 7):
        outline += rng.normal(0.0, 0.07 / mode) * np.cos(mode * theta + rng.uniform(0.0, 2 * np.pi))
    if crenated:
        outline += rng.uniform(0.02, 0.06) * np.cos(rng.integers(9, 17) * theta + 2.0 * np.sin(theta + rng.uniform(0.0, 6.3)))
    if rng.random() < 0.02:
        # A teardrop's tail: a narrow peak on one side.
        away = np.abs(np.mod(theta - rng.uniform(0.0, 2 * np.pi) + np.pi, 2 * np.pi) - np.pi)
        outline += rng.uniform(0.3, 0.7) * (0.35 * np.exp(-((away / 0.55) ** 2)) + np.exp(-away / 0.14))
    return np.asarray(outline / np.sqrt(np.mean(outline**2)))


def cell_patch(cell: Cell, center: Floats, slide: Slide) -> tuple[int, int, Plane, Plane]:
    """Evaluate a cell in its bounding box, its centre placed at (row, column) in pixels.

    Returns:
        Top row and left column of the box (may be negative), the relative radius in it (below 1 inside the cell), and
        the thickness (1 at a normal rim, 0 outside); both float32 (h, w).
    """
    half = cell.radius * np.sqrt(cell.aspect) * float(cell.outline.max()) + 2.0
    top, left = int(np.floor(center[0] - half)), int(np.floor(center[1] - half))
    size = int(np.ceil(2 * half)) + 1
    rows = (np.arange(top, top + size, dtype=np.float32) - np.float32(center[0])) / np.float32(cell.radius)
    cols = (np.arange(left, left + size, dtype=np.float32) - np.float32(center[1])) / np.float32(cell.radius)
    cos, sin = np.float32(np.cos(cell.angle)), np.float32(np.sin(cell.angle))
    stretch = np.float32(np.sqrt(cell.aspect))
    # Into the cell's own frame, the ellipse made round.
    along = np.asarray((cos * cols[None, :] + sin * rows[:, None]) / stretch, dtype=np.float32)
    across = np.asarray((cos * rows[:, None] - sin * cols[None, :]) * stretch, dtype=np.float32)
    bearing = np.arctan2(across, along) * np.float32(N_ANGLES / (2 * np.pi))
    lookup = np.append(cell.outline, cell.outline[:1]).astype(np.float32)
    index = np.mod(bearing, N_ANGLES)
    outline = np.interp(index, np.arange(N_ANGLES + 1), lookup).astype(np.float32)
    rho = np.asarray(np.hypot(along, across) / outline, dtype=np.float32)
    return top, left, rho, _thickness(cell, rho, along, across, slide.edge_power)


def _thickness(cell: Cell, rho: Plane, along: Plane, across: Plane, edge_power: float) -> Plane:
    """Thickness of the disc over its relative radius, the dimple shifted and stretched within it; float32 (h, w)."""
    shift = cell.dimple_shift.astype(np.float32)
    size = cell.dimple_size.astype(np.float32)
    dimple2 = ((along - shift[0]) / size[0]) ** 2 + ((across - shift[1]) / size[1]) ** 2
    dimple2 = np.minimum(dimple2**FLOOR, CREST)
    c0, c1, c2 = EVANS_FUNG
    biconcave = c0 + dimple2 * (c1 + dimple2 * c2)
    height = FLAT + cell.dimple * (biconcave - FLAT)
    if cell.bump > 0:
        height = height + cell.bump * np.exp(-dimple2 / 0.05)
    for spot in cell.spots:
        height = height + 0.25 * np.exp(-((along - spot[0]) ** 2 + (across - spot[1]) ** 2) / 0.015)
    edge = np.sqrt(np.clip(1.0 - rho ** (2.0 * edge_power), 0.0, None))
    slope = 1.0 + np.float32(cell.tilt[0]) * along + np.float32(cell.tilt[1]) * across
    return np.asarray(cell.pigment / PEAK * edge * slope * np.maximum(height, 0.05), dtype=np.float32)
