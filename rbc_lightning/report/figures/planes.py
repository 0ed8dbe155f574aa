"""Scans in three planes, axial, coronal and sagittal, with the letters of their sides and outlines of what is labelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.ndimage import label

from rbc_lightning.report.figures.runs import save_figure

VERMILION, BLUE = "#d55e00", "#56b4e9"
_PLANES = (("axial", 2), ("coronal", 1), ("sagittal", 0))
# Letters at left, right, top and bottom, patient's right on the left as radiologists have it; the nose to the left.
_LETTERS = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}
_TILE, _TITLE, _MARGIN = 2.4, 0.25, 8.0  # inches of a panel and of a title; mm around the largest plane, for the letters
_FINE = 4  # points of an outline to a pixel: it follows the pixels' edges


@dataclass(frozen=True)
class ThreePlanes:
    """A scan as it is drawn.

    Args:
        title: above its row.
        image: (x, y, z), x to the right, y to the front, z up.
        sides: of a voxel, mm.
        outlines: label maps, likewise, with their colours; all that is above 0 is outlined, the first on top.
    """

    title: str
    image: NDArray[Any]
    sides: tuple[float, float, float]
    outlines: Sequence[tuple[NDArray[Any], str]] = ()


def save_planes(path: Path, scans: Sequence[ThreePlanes]) -> None:
    """Save a sheet of scans, a row for each, through the middle of the largest patch of the first outline that has one.

    Axial and coronal planes have the patient's right on the left, sagittal ones the front; sides are as long as in the body.
    """
    field = max(side * n for scan in scans for side, n in zip(scan.sides, scan.image.shape, strict=True)) + 2 * _MARGIN
    size = (len(_PLANES) * _TILE, len(scans) * (_TILE + _TITLE))
    figure, axes = plt.subplots(len(scans), len(_PLANES), figsize=size, squeeze=False, layout="none", facecolor="black")
    top = _TITLE / (_TILE + _TITLE)
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1 - top / len(scans), wspace=0, hspace=_TITLE / _TILE)
    for scan, row in zip(scans, axes, strict=True):
        at = centre_of_largest([mask for mask, _ in scan.outlines], scan.image.shape)
        for axis, (name, across) in zip(row, _PLANES, strict=True):
            _draw(scan, at, axis, name, across, field)
        row[0].set_title(scan.title, loc="left", fontsize=8, color="white")
    save_figure(figure, path)


def centre_of_largest(masks: Sequence[NDArray[Any]], shape: Sequence[int]) -> tuple[int, int, int]:
    """A voxel in the middle of the largest patch, 26-connected, of the first mask that has one; else the volume's middle."""
    for mask in masks:
        patches, count = label(mask > 0, np.ones((3, 3, 3)))
        if count:
            inside = np.argwhere(patches == np.bincount(patches.ravel())[1:].argmax() + 1)
            # Its own voxel nearest to the mean: of a crescent, the mean lies outside.
            return tuple(map(int, inside[((inside - inside.mean(axis=0)) ** 2).sum(axis=1).argmin()]))  # type: ignore[return-value]
    return tuple(n // 2 for n in shape)  # type: ignore[return-value]


def plane(volume: NDArray[Any], across: int, at: tuple[int, int, int]) -> NDArray[Any]:
    """The plane across an axis of an upright volume as a picture, rows from the top and columns from the left."""
    # Of the axes that are left, the first runs along the columns; right, front and up come last in both, and are to come first.
    return np.flip(np.take(volume, at[across], axis=across).T, axis=(0, 1))


def _draw(scan: ThreePlanes, at: tuple[int, int, int], axis: Axes, name: str, across: int, field: float) -> None:
    inside = scan.image[scan.image > 0]
    high = float(np.percentile(inside, 99.5)) if inside.size else 1.0
    shown = plane(scan.image, across, at)
    wide, tall = (side for index, side in enumerate(scan.sides) if index != across)
    width, height = wide * shown.shape[1], tall * shown.shape[0]
    axis.imshow(shown, cmap="gray", vmin=0, vmax=high, extent=(0, width, height, 0), interpolation="nearest")
    for mask, color in reversed(scan.outlines):
        inner = np.pad(np.kron(plane(mask, across, at) > 0, np.ones((_FINE, _FINE))), 1)
        if inner.any():
            rows, columns = ((np.arange(n) - 0.5) / _FINE for n in inner.shape)
            axis.contour(columns * wide, rows * tall, inner, levels=[0.5], colors=color, linewidths=0.7)
    axis.set(xlim=(width / 2 - field / 2, width / 2 + field / 2), ylim=(height / 2 + field / 2, height / 2 - field / 2))
    axis.axis("off")
    beside = _MARGIN / 2
    places = ((-beside, height / 2), (width + beside, height / 2), (width / 2, -beside), (width / 2, height + beside))
    for letter, (x, y) in zip(_LETTERS[name], places, strict=True):
        axis.text(x, y, letter, color="yellow", fontsize=7, ha="center", va="center")
