"""One procedural smear: image and label map from a seed, its cells settled under repulsion, adhesion and thermal motion."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rbc_lightning.core.label_files import make_contiguous
from rbc_lightning.data.readers.phantom.cells import Cell, cell_patch, draw_cells
from rbc_lightning.data.readers.phantom.optics import draw_debris, photograph
from rbc_lightning.data.readers.phantom.spec import Floats, PhantomSpec, Plane, Slide, draw_slide
from rbc_lightning.masks.bank.measure import largest_pieces

MARGIN = 0.4  # diameters that a centre may lie outside the field: such cells are cut by the border
N_STEPS = 80
REACH = 1.35  # contact distances over which two cells attract each other
STIFFNESS = 26.0  # of the soft core, thermal energies at full overlap
MIN_PIXELS = 4  # visible pixels below which a cell is left unlabelled


def render_smear(spec: PhantomSpec, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Render one slide: biconcave discs, stained, settled on glass, and photographed.

    Every image is a slide of its own: count, size, stain, light and focus differ between seeds as between patients.
    Where cells overlap, their absorption adds up and the line of equal relative radius divides their labels, since
    transmitted light does not show which one lies on top. The settings and the seed, not negative, decide the picture.

    Returns:
        RGB image, uint8 (H, W, 3), and label map, int32 (H, W): 0 = background, 1..n = cells, each one 4-connected.
    """
    if seed < 0:
        raise ValueError(f"seed must be zero or positive, got {seed}")
    # One stream per concern: another number of specks leaves the cells where they are.
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(5)]
    slide = draw_slide(spec, streams[0])
    cells = draw_cells(spec, slide, streams[1])
    diameters = np.array([2.0 * cell.radius for cell in cells])
    centers = settle(diameters, spec.height, spec.width, slide.adhesion, streams[2])
    thickness, label_map = _lay_down(cells, centers, spec, slide)
    image = photograph(thickness, draw_debris(spec, slide, streams[3]), spec, slide, streams[4])
    return image, tidy_labels(label_map)


def settle(diameters: Floats, height: int, width: int, adhesion: float, rng: np.random.Generator) -> Floats:
    """Let cells sink onto the slide: Brownian dynamics of soft, slightly sticky discs.

    The cells start from an uneven rain (a smear is thicker in places) and move for a fixed number of steps, too few
    to even the density out, enough to resolve deep overlaps and to form small clusters. The box is periodic and
    larger than the field by a margin on every side, so nothing gathers at the border. This process shares nothing
    with the mask sampler that is later measured on this data.

    Returns:
        The centre of each cell, (row, column) in pixels of the field, float64 (n, 2); some lie a little outside.
    """
    mean = float(diameters.mean())
    box = np.array([height, width]) + 2 * MARGIN * mean
    centers = _uneven_rain(len(diameters), box, mean, rng)
    for step in range(N_STEPS):
        # Motion slows down as the film dries: large moves first, small ones to finish.
        mobility = 0.012 * (1.0 - 0.8 * step / N_STEPS)
        drift = mobility * _forces(centers, diameters, box, adhesion)
        drift *= np.minimum(1.0, 0.3 / np.maximum(np.linalg.norm(drift, axis=1, keepdims=True), 1e-9))
        noise = np.sqrt(2.0 * mobility) * rng.normal(0.0, 1.0, centers.shape)
        centers = np.mod(centers + mean * (drift + noise), box)
    return centers - MARGIN * mean


def _uneven_rain(n: int, box: Floats, mean: float, rng: np.random.Generator) -> Floats:
    """Draw n points whose density varies over about ten cells, float64 (n, 2) in the box."""
    points = rng.uniform(0.0, 1.0, (4 * n, 2)) * box
    log_density = np.zeros(len(points))
    for _ in range(6):
        # Whole numbers of waves per side keep the density periodic like the box.
        waves = np.round(rng.normal(0.0, 1.0, 2) * box / (10.0 * mean))
        log_density += 0.2 * np.cos(2 * np.pi * (points / box @ waves + rng.uniform()))
    keys = rng.gumbel(size=len(points)) + log_density
    return points[np.argsort(-keys, kind="stable")[:n]]


def _forces(centers: Floats, diameters: Floats, box: Floats, adhesion: float) -> Floats:
    """Force on each cell in thermal energies per mean diameter, float64 (n, 2)."""
    reach = min(REACH * float(diameters.max()), 0.49 * float(box.min()))
    pairs = cKDTree(centers, boxsize=box).query_pairs(reach, output_type="ndarray")
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]  # sums in floating point depend on the order
    first, second = pairs[:, 0], pairs[:, 1]
    gap = centers[second] - centers[first]
    gap -= box * np.round(gap / box)
    length = np.maximum(np.linalg.norm(gap, axis=1), 1e-6)
    ratio = length / (0.5 * (diameters[first] + diameters[second]))
    push = -STIFFNESS * np.clip(1.0 - ratio, 0.0, None)
    # Beyond contact the energy rises from -adhesion to zero as a half cosine.
    phase = np.clip((ratio - 1.0) / (REACH - 1.0), 0.0, 1.0)
    pull = adhesion * 0.5 * np.pi / (REACH - 1.0) * np.sin(np.pi * phase)
    force = ((push + pull) / length)[:, None] * gap
    n = len(centers)
    return np.stack([np.bincount(first, axis, n) - np.bincount(second, axis, n) for axis in force.T], axis=1)


def _lay_down(cells: list[Cell], centers: Floats, spec: PhantomSpec, slide: Slide) -> tuple[Plane, NDArray[np.int32]]:
    """Sum the cells' thickness and give every pixel to the cell at whose smallest relative radius it lies."""
    thickness = np.zeros((spec.height, spec.width), np.float32)
    nearest = np.ones_like(thickness)
    label_map = np.zeros(thickness.shape, np.int32)
    for label, (cell, center) in enumerate(zip(cells, centers, strict=True), start=1):
        top, left, rho, patch = cell_patch(cell, center, slide)
        inner = (slice(max(0, -top), max(0, spec.height - top)), slice(max(0, -left), max(0, spec.width - left)))
        rho, patch = rho[inner], patch[inner]
        outer = (slice(max(0, top), max(0, top) + rho.shape[0]), slice(max(0, left), max(0, left) + rho.shape[1]))
        thickness[outer] += patch
        wins = rho < nearest[outer]
        nearest[outer][wins] = rho[wins]
        label_map[outer][wins] = label
    return thickness, label_map


def tidy_labels(label_map: NDArray[np.int32]) -> NDArray[np.int32]:
    """Make every label one piece: cut-off pieces go to the neighbour they touch, gaps in the ids are closed.

    Returns:
        Label map of the largest piece of every cell, grown over the smaller ones of its neighbours; cells below
        `MIN_PIXELS` are dropped. int32 (H, W), ids 1..n contiguous, each one 4-connected.
    """
    largest = largest_pieces(label_map, int(label_map.max()))
    large = np.bincount(largest.ravel()) >= MIN_PIXELS
    kept = make_contiguous(np.where(large[largest], largest, 0))
    return _absorb(kept, (label_map > 0) & (kept == 0))


def _absorb(label_map: NDArray[np.int32], orphans: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Let labels grow over orphan pixels along rows and columns; orphans that touch no cell become background."""
    padded = np.pad(label_map, 1)
    rows, cols = np.nonzero(np.pad(orphans, 1))
    while len(rows):
        around = [padded[rows - 1, cols], padded[rows + 1, cols], padded[rows, cols - 1], padded[rows, cols + 1]]
        grown = np.max(around, axis=0)
        padded[rows, cols] = grown
        if not grown.any():
            break
        rows, cols = rows[grown == 0], cols[grown == 0]
    return np.ascontiguousarray(padded[1:-1, 1:-1])
