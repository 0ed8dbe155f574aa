"""Kernels that draw: a pose, a parent, an offset."""

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.masks.canvas import Recipe
from rbc_lightning.masks.jit import kernel


@kernel
def draw_pose(rng: np.random.Generator, recipe: Recipe, size: float, pose: NDArray[np.float64]) -> None:
    """Draw rotation, scale and flips as one 2 x 2 matrix; ``size`` multiplies the drawn scale."""
    scale = recipe.scale_mean
    if recipe.scale_std > 0:
        scale = rng.normal(recipe.scale_mean, recipe.scale_std)
    scale = size * min(max(scale, recipe.scale_min), recipe.scale_max)
    angle = 2.0 * np.pi * rng.random() if recipe.rotate else 0.0
    sine, cosine = scale * np.sin(angle), scale * np.cos(angle)
    signs = int(4.0 * rng.random()) if recipe.flip else 0
    flip_row = -1.0 if signs & 1 else 1.0
    flip_column = -1.0 if signs & 2 else 1.0
    pose[0, 0], pose[0, 1] = cosine * flip_row, -sine * flip_column
    pose[1, 0], pose[1, 1] = sine * flip_row, cosine * flip_column


@kernel
def draw_parent(rng: np.random.Generator, placed: int, n_init: int, exact_mean: bool) -> int:
    """Draw a placed cell by its weight in P(i); with the offset, this is a draw from P(i) without the map.

    A mixture is sampled by choosing the component first. With the printed a_i the ``n_init`` initial cells share a
    weight of n_init + 1 and every later one has 1 (`adhesion.parent_weights`).
    """
    if exact_mean:
        return int(rng.random() * placed)
    share = rng.random() * (placed + 1)
    if share < n_init + 1:
        return min(int(share * n_init / (n_init + 1)), n_init - 1)
    return int(share) - 1


@kernel
def draw_offset(rng: np.random.Generator, keep: NDArray[np.float64], alias: NDArray[np.int32], side: int) -> tuple[int, int]:
    """Draw a lattice offset: an entry of the quadrant by the alias method, and two signs."""
    # One number serves for signs, entry and the choice between entry and alias: of its 53 bits 2, then 16 or so.
    where = rng.random() * (4 * len(keep))
    whole = int(where)
    signs, entry = whole & 3, whole >> 2
    if where - whole >= keep[entry]:
        entry = alias[entry]
    row, column = entry // side, entry % side
    return (-row if signs & 1 else row), (-column if signs & 2 else column)


@kernel
def draw_place(
    rng: np.random.Generator,
    centers: NDArray[np.int64],
    placed: int,
    keep: NDArray[np.float64],
    alias: NDArray[np.int32],
    side: int,
    n_init: int,
    exact_mean: bool,
    low: int,
    bottom: int,
    right: int,
) -> tuple[int, int]:
    """Draw from P(i) within rows low..bottom-1 and columns low..right-1, without the map.

    The parent is kept while the offset leaves the image: so each z is cut at the border and scaled to sum 1, as in
    `adhesion.adhesion_map`. Drawing both again would weigh the parents by how much of their z lies inside.
    """
    parent = draw_parent(rng, placed, n_init, exact_mean)
    while True:
        row, column = draw_offset(rng, keep, alias, side)
        row += centers[parent, 0]
        column += centers[parent, 1]
        if low <= row < bottom and low <= column < right:
            return row, column
