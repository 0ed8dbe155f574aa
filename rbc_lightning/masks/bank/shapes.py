"""The cell shape database of Bailo et al. 2019, Sec. 4.1.1: outlines of whole cells, ready to be turned and drawn."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.files import read_arrays, write_arrays
from rbc_lightning.masks.bank import measure, outlines
from rbc_lightning.masks.sampler import raster

FORMAT_VERSION = 2
_BESIDE = 1  # background pixels up to which two cells share an outline
FIELDS = ("vertices", "starts", "areas", "image_diameters", "weights")


@dataclass(frozen=True)
class ShapeBank:
    """Binary cell shapes, each stored as a polygon that gives its pixels back exactly.

    Turning and filling a polygon costs its corners and rows; warping a bitmap would cost its area. Coordinates are
    relative to the rounded centroid, floor(centroid + 1/2), and doubled (see `outlines.outline`).

    Args:
        vertices: int16 (n_vertices, 2), doubled row and column of the corners of all polygons.
        starts: int64 (n_shapes + 1,), where each shape's corners begin in ``vertices``; the last is the end.
        areas: int32 (n_shapes,), pixels of each shape.
        image_diameters: float32 (n_shapes,), mean equivalent diameter sqrt(4 area / pi), in pixels, of the whole cells of
            the image each shape comes from, weighted: smears differ in magnification and swelling.
        weights: float64 (n_shapes,), > 0, what the chance of drawing each shape is proportional to: how many cells of its
            size it stands for, see `measure.border_weights`.

    Raises:
        ValueError: the arrays do not describe shapes.
    """

    vertices: NDArray[np.int16]
    starts: NDArray[np.int64]
    areas: NDArray[np.int32]
    image_diameters: NDArray[np.float32]
    weights: NDArray[np.float64]

    def __post_init__(self) -> None:
        per_shape = {len(self.starts) - 1, len(self.areas), len(self.image_diameters), len(self.weights)}
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 2 or len(per_shape) > 1:
            raise ValueError(
                f"vertices must be (n, 2) with one start per shape and one end, got {self.vertices.shape}, "
                f"{len(self.starts)} starts, {len(self.areas)} areas, {len(self.image_diameters)} diameters and "
                f"{len(self.weights)} weights"
            )
        if not bool(((self.weights > 0) & np.isfinite(self.weights)).all()):
            raise ValueError(f"weights must be finite and > 0, got {self.weights.min()} to {self.weights.max()}")
        if self.starts[0] != 0 or self.starts[-1] != len(self.vertices) or bool((np.diff(self.starts) < 3).any()):
            raise ValueError(f"starts must rise from 0 to {len(self.vertices)} by at least 3, the corners of a triangle")

    @classmethod
    def from_label_maps(cls, label_maps: Iterable[NDArray[np.integer]], free_standing: bool = False) -> "ShapeBank":
        """Collect every cell that is not cut by the image border (Bailo et al. 2019, Sec. 4.1.1).

        Of a label in several pieces the largest is kept; holes are filled. The bank may be empty, which `MaskSampler` refuses.

        With ``free_standing``, cells with at most one pixel between them and a neighbour are left out. The outline of such a
        cell is in part its neighbour's: drawn alone, it shows a straight cut or a bite that no cell has.

        Raises:
            TypeError: a label map is not of an integer type.
            ValueError: a label map is not a (H, W) array of ids >= 0.
        """
        polygons, numbers = [], [np.empty((3, 0))]
        for label_map in label_maps:
            cells = whole_cells(label_map, free_standing)
            polygons += [outlines.outline(cell.shape) for cell in cells]
            if cells:
                areas = np.array([cell.shape.sum() for cell in cells], np.float64)
                weights = np.array([cell.weight for cell in cells])
                diameter = np.average(np.sqrt(4 * areas / np.pi), weights=weights)
                numbers.append(np.stack([areas, np.full(len(cells), diameter), weights]))
        return _join(polygons, *np.concatenate(numbers, axis=1))

    def __len__(self) -> int:
        return len(self.areas)

    def extents(self) -> NDArray[np.int64]:
        """Height and width of every shape in pixels, int64 (n, 2)."""
        low, high = (limit.reduceat(self.vertices, self.starts[:-1]) for limit in (np.minimum, np.maximum))
        return (high.astype(np.int64) - low) // 2

    def radii(self) -> NDArray[np.float64]:
        """Distance of the farthest corner from the centre of every shape in pixels, float64 (n,)."""
        corners = self.vertices.astype(np.float64) / 2
        return np.maximum.reduceat(np.hypot(corners[:, 0], corners[:, 1]), self.starts[:-1])

    def select(self, keep: NDArray[np.bool_] | NDArray[np.integer]) -> "ShapeBank":
        """The bank of the chosen shapes, in the order given; `keep` is bool (n,) or indices."""
        chosen = np.arange(len(self))[keep]
        polygons = [self.vertices[self.starts[i] : self.starts[i + 1]] for i in chosen]
        return _join(polygons, self.areas[chosen], self.image_diameters[chosen], self.weights[chosen])

    def cumulative_weights(self) -> NDArray[np.float64]:
        """Running sum of the weights, the largest of them 1, float64 (n,); exactly 1, 2, ..., n where all are equal."""
        return np.cumsum(self.weights / self.weights.max())

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Draw shape number `index` as it was collected: bool (h, w), cropped to it."""
        reach = math.ceil(float(self.radii()[index])) + 1
        brush = raster.new_brush(reach)
        raster.rasterise(self.vertices, self.starts[index], self.starts[index + 1], np.eye(2), brush)
        rows, starts, stops = brush.runs[: brush.box[raster.RUNS]].T
        filled = np.zeros((rows.max() - rows.min() + 1, stops.max() - starts.min()), np.bool_)
        for row, start, stop in zip(rows - rows.min(), starts - starts.min(), stops - starts.min(), strict=True):
            filled[row, start:stop] = True
        return filled

    def save(self, path: Path) -> None:
        """Write the bank as a compressed .npz file, atomically."""
        write_arrays(path, {field: getattr(self, field) for field in FIELDS}, FORMAT_VERSION)

    @classmethod
    def load(cls, path: Path) -> "ShapeBank":
        """Read a bank that `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a shape bank of this version.
        """
        return cls(**read_arrays(path, FORMAT_VERSION, FIELDS, "shape bank", "ShapeBank.from_label_maps"))


class WholeCell(NamedTuple):
    """A cell that lies wholly inside its image.

    Attributes:
        label: its id in the label map.
        top, left: image row and column of the crop's first pixel.
        shape: bool (h, w), the largest part of the cell, holes filled, with a margin of one pixel.
        weight: how many cells of its size it stands for, see `measure.border_weights`.
    """

    label: int
    top: int
    left: int
    shape: NDArray[np.bool_]
    weight: float


def whole_cells(label_map: NDArray[np.integer], free_standing: bool = False) -> list[WholeCell]:
    """List the cells that a bank takes from a label map, in the order it numbers them; see `ShapeBank.from_label_maps`."""
    labels = measure.check_label_map(label_map)
    table = measure.cell_moments(labels, int(labels.max()))
    inside = measure.lies_inside(table, *labels.shape)
    if free_standing:
        inside[measure.contact_pairs(labels, _BESIDE)] = False
    cells = []
    present = np.flatnonzero(inside)
    weights = measure.border_weights(table[present], *labels.shape).tolist()
    for label, weight in zip(present.tolist(), weights, strict=True):
        top, bottom, left, right = table[label, measure.TOP :].tolist()
        crop = labels[top - 1 : bottom + 2, left - 1 : right + 2] == label
        cells.append(WholeCell(label, top - 1, left - 1, measure.largest_filled_component(crop), weight))
    return cells


def _join(
    polygons: list[NDArray[np.int16]],
    areas: NDArray[np.number],
    image_diameters: NDArray[np.number],
    weights: NDArray[np.float64],
) -> ShapeBank:
    """Lay polygons end to end."""
    starts = np.cumsum([0] + [len(polygon) for polygon in polygons]).astype(np.int64)
    vertices = np.concatenate(polygons) if polygons else np.empty((0, 2), np.int16)
    return ShapeBank(vertices, starts, areas.astype(np.int32), image_diameters.astype(np.float32), weights)
