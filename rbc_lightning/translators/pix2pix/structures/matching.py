"""Where each cell of a label map takes its structure from: maps from the image to crops."""

import numpy as np

from rbc_lightning.masks.bank.measure import cell_moments, central_moments
from rbc_lightning.translators.pix2pix.structures.crops import Floats, Ints, Labels

# Axis ratio up to which a cell counts as round and is turned freely.
_ROUND = 1.15
# A cell's crop is one of this many whose areas are nearest, of four drawn the most alike in axis ratio.
_ALIKE = 32
_DRAWN = 4
# Variance of a uniform density over one pixel: single pixels and straight lines have an extent too.
_PIXEL_VARIANCE = 1.0 / 12.0


def pose_maps(centers: Ints, poses: Floats) -> Floats:
    """Invert known poses (n, 2, 2) of cells with given centres (n, 2), see `SampledMask`.

    Returns:
        float64 (n, 2, 3), matrix and offset that take image coordinates to those of the crop, from its centre.
    """
    singular = np.flatnonzero(np.abs(np.linalg.det(poses)) < 1e-12)
    if len(singular):
        raise ValueError(f"poses must be invertible 2 x 2 matrices, got {poses[singular[0]].tolist()} for cell {singular[0]}")
    return _affine(np.asarray(np.linalg.inv(poses), np.float64), centers.astype(np.float64), np.zeros(centers.shape))


def borrowed_maps(label_map: Labels, moments: Floats, crop_centers: Ints, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Choose a crop for every cell and lay its ellipse of inertia on the cell's.

    Args:
        label_map: int32 (H, W).
        moments: float64 (crops, 6), see `cuts.shape_moments`.
        crop_centers: int64 (crops, 2), what the maps are relative to.
        rng: draws crops and turns.

    Returns:
        int64 (n,), the crop of label i + 1, and float64 (n, 2, 3), the maps as in `pose_maps`; absent labels get some too.
    """
    cells = central_moments(cell_moments(label_map, int(label_map.max()))[1:])
    axes, turns = _ellipses(cells)
    crop_axes, crop_turns = _ellipses(moments)
    crop_of = _draw_alike(cells[:, 0], _ratio(axes), moments[:, 0], _ratio(crop_axes), rng)
    chosen_axes, chosen_turns = crop_axes[crop_of], crop_turns[crop_of]
    spins = _draw_spins(_ratio(axes), rng)
    matrices = (chosen_turns * chosen_axes[:, None]) @ spins @ (turns / axes[:, None]).transpose(0, 2, 1)
    return crop_of, _affine(matrices, cells[:, 1:3], (moments[:, 1:3] - crop_centers)[crop_of])


def _ellipses(moments: Floats) -> tuple[Floats, Floats]:
    """Standard deviations along the principal axes (n, 2), the shorter first, and the axes as columns (n, 2, 2)."""
    covariance = moments[:, [3, 5, 5, 4]].reshape(-1, 2, 2) + _PIXEL_VARIANCE * np.eye(2)
    variances, turns = np.linalg.eigh(covariance)
    return np.sqrt(variances), turns


def _ratio(axes: Floats) -> Floats:
    return np.asarray(axes[:, 1] / axes[:, 0])


def _draw_alike(areas: Floats, ratios: Floats, crop_areas: Floats, crop_ratios: Floats, rng: np.random.Generator) -> Ints:
    """Draw a crop for each cell, alike in size, then in axis ratio."""
    order = np.argsort(crop_areas, kind="stable")
    ranked = crop_areas[order]
    window = min(_ALIKE, len(order))
    # Of all runs of so many ranks around a cell's size, the one whose ends are nearest to it.
    starts = np.searchsorted(ranked, areas)[:, None] + np.arange(-window, 1)
    starts = np.clip(starts, 0, len(order) - window)
    farthest = np.maximum(areas[:, None] - ranked[starts], ranked[starts + window - 1] - areas[:, None])
    first = starts[np.arange(len(areas)), farthest.argmin(axis=1)]
    drawn = order[first[:, None] + rng.integers(0, window, (len(areas), _DRAWN))]
    best = np.abs(np.log(crop_ratios[drawn] / ratios[:, None])).argmin(axis=1)
    return np.asarray(drawn[np.arange(len(areas)), best], np.int64)


def _draw_spins(ratios: Floats, rng: np.random.Generator) -> Floats:
    """Orthogonal matrices (n, 2, 2) between principal axes: any turn for round cells, flips alone for long ones."""
    angles = rng.uniform(0.0, 2.0 * np.pi, len(ratios)) * (ratios < _ROUND)
    cosine, sine = np.cos(angles), np.sin(angles)
    flips = rng.choice([-1.0, 1.0], (len(ratios), 1, 2))
    return np.asarray(np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2) * flips, np.float64)


def _affine(matrices: Floats, origins: Floats, targets: Floats) -> Floats:
    """Append the offset with which each matrix takes its origin (n, 2) to its target (n, 2)."""
    offsets = targets - (matrices @ origins[:, :, None])[:, :, 0]
    return np.concatenate([matrices, offsets[:, :, None]], axis=2)
