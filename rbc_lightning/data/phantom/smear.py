"""One procedural smear: image and label map from a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage import measure

from rbc_lightning.data.phantom.cells import Cell, cell_patch, draw_cells
from rbc_lightning.data.phantom.debris import draw_debris
from rbc_lightning.data.phantom.layout import settle
from rbc_lightning.data.phantom.optics import photograph
from rbc_lightning.data.phantom.spec import PhantomSpec, Slide, draw_slide

MIN_PIXELS = 4  # visible pixels below which a cell is left unlabelled


def render_smear(spec: PhantomSpec, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Render one slide: biconcave discs, stained, settled on glass, and photographed.

    Every image is a slide of its own: count, size, stain, light and focus differ between seeds as between patients.
    Where cells overlap, their absorption adds up and the line of equal relative radius divides their labels, since
    transmitted light does not show which one lies on top.

    Args:
        spec: Settings.
        seed: Non-negative integer; the picture is a pure function of `spec` and `seed`.

    Returns:
        RGB image, uint8 (H, W, 3), and label map, int32 (H, W): 0 = background, 1..n = cells, each one 4-connected.

    Raises:
        ValueError: If `seed` is negative.
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


def _lay_down(
    cells: list[Cell], centers: NDArray[np.float64], spec: PhantomSpec, slide: Slide
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
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

    Args:
        label_map: int32 (H, W), 0 = background.

    Returns:
        Label map of the largest piece of every cell, grown over the smaller ones of its neighbours; cells below
        `MIN_PIXELS` are dropped. int32 (H, W), ids 1..n contiguous, each one 4-connected.
    """
    pieces = measure.label(label_map, background=0, connectivity=1)
    area = np.bincount(pieces.ravel())
    owner = np.zeros(len(area), np.int32)
    owner[pieces.ravel()] = label_map.ravel()
    largest = np.zeros(int(label_map.max()) + 1, np.int64)
    np.maximum.at(largest, owner, area)
    keep = (owner > 0) & (area == largest[owner]) & (area >= MIN_PIXELS)
    keep[keep] = ~_repeated(owner[keep])  # of equal pieces, the first
    ids = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return _absorb(ids[pieces], (pieces > 0) & ~keep[pieces])


def _repeated(values: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Mark all but the first occurrence of each value."""
    repeated = np.ones(len(values), np.bool_)
    repeated[np.unique(values, return_index=True)[1]] = False
    return repeated


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
